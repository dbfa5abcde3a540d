//! Kernel options without a kernel: whether Kconfig takes every line of a board's fragments, the test kernel's too. Takes seconds,
//! so that a fragment which nobody has built lately cannot rot.

use std::path::{Path, PathBuf};

use crate::board::Board;
use crate::cache::{Cache, Key};
use crate::error::{At as _, Result};
use crate::progress::{long_step, step};
use crate::tool::Tool;

/// Checks the fragments of the release's kernel, and the same with the test fragment.
pub fn check(board: &Board, cache: &Cache) -> Result<()> {
    let source = super::source()?;
    let tree = kconfig(board, cache, source)?;
    for (test, what) in [(false, "kernel options"), (true, "kernel options for tests")] {
        let fragments = super::fragments(board, test)?;
        let objects = tempfile::tempdir().at("creating a folder in", &std::env::temp_dir())?;
        step(&format!("{what} checked"), || super::configure(board, &fragments, &tree, objects.path()))?;
    }
    Ok(())
}

/// The part of the kernel's source that Kconfig reads or runs, unpacked in the cache: 23 MB instead of 1.5 GB.
fn kconfig(board: &Board, cache: &Cache, source: &Path) -> Result<PathBuf> {
    let arch = &board.kernel.arch;
    let digest = step("kernel source checked", || super::digest(source))?;
    let key = Key::default().with("recipe", super::RECIPE).with("source", digest).with("arch", arch);
    let place = cache.place("kconfig", key);
    if !place.exists() {
        let top = super::SOURCE_FOLDER;
        let members = [
            format!("{top}/Makefile"),
            format!("{top}/arch/{arch}/Makefile"),
            format!("{top}/scripts"),
            "*/Kconfig*".to_owned(),
        ];
        long_step("kernel options", "not in the cache, unpacking them takes half a minute", || {
            cache.product(&place, |product| {
                let tar = Tool::new("tar", "tar xz-utils").args(["--strip-components=1", "--wildcards"]);
                tar.arg("-C").arg(product).arg("-xf").arg(source).args(members).run().map(drop)
            })
        })?;
    }
    Ok(place)
}
