//! The kernel: Debian's source package, configured from fragments, built once per machine and kept in the cache.

mod fragment;
pub mod options;

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::num::NonZero;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::board::Board;
use crate::cache::{self, Cache, Key};
use crate::error::{At as _, Error, Result};
use crate::progress::{long_step, step};
use crate::tool::Tool;
use fragment::Fragment;

/// Raised when the commands below change what comes out.
const RECIPE: &str = "1";

/// Where Debian's package puts the source.
const SOURCE: &str = "/usr/src/linux-source-6.12.tar.xz";

/// The folder that everything in it lies in.
const SOURCE_FOLDER: &str = "linux-source-6.12";

/// A built kernel, in the cache.
pub struct Kernel {
    folder: PathBuf,
}

impl Kernel {
    /// The image as the board's boot loader runs it, not compressed further.
    pub fn image(&self) -> PathBuf {
        self.folder.join("image")
    }
}

/// The board's kernel, from the cache or built now. `test` adds the fragment of options that exist to break things.
pub fn kernel(board: &Board, cache: &Cache, test: bool) -> Result<Kernel> {
    let source = source()?;
    let fragments = fragments(board, test)?;
    let compiler = format!("{}gcc", board.kernel.cross_compile);
    let version = |program: &str| Tool::new(program, board.kernel.compiler_package()).arg("--version").run();
    let mut key = Key::default()
        .with("recipe", RECIPE)
        .with("source", step("kernel source checked", || digest(source))?)
        .with("arch", &board.kernel.arch)
        .with("target", &board.kernel.make_target)
        .with("image", board.kernel.image.as_os_str().as_encoded_bytes())
        .with("compiler", version(&compiler)?)
        .with("linker", version(&format!("{}ld", board.kernel.cross_compile))?);
    for fragment in &fragments {
        key = key.with("fragment", &fragment.text);
    }
    let folder = cache.place(&format!("kernel-{}", board.name), key);
    if !folder.exists() {
        long_step("kernel", "not in the cache, building it takes about ten minutes", || {
            cache.product(&folder, |product| build(board, &fragments, source, product))
        })?;
    }
    Ok(Kernel { folder })
}

/// The source package, if it is installed.
fn source() -> Result<&'static Path> {
    let source = Path::new(SOURCE);
    let problem = "the kernel's source is not there: apt-get install linux-source-6.12";
    if source.exists() { Ok(source) } else { Err(Error::file(source, problem)) }
}

fn fragments(board: &Board, test: bool) -> Result<Vec<Fragment>> {
    let fragments =
        board.kernel_fragments(test).iter().map(|path| Fragment::read(path)).collect::<Result<Vec<_>>>()?;
    fragment::check_distinct(&fragments)?;
    Ok(fragments)
}

/// SHA-256 of a file.
fn digest(path: &Path) -> Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut file = BufReader::with_capacity(1 << 20, File::open(path).at("opening", path)?);
    loop {
        let piece = file.fill_buf().at("reading", path)?;
        if piece.is_empty() {
            return Ok(hash.finalize().into());
        }
        hash.update(piece);
        let length = piece.len();
        file.consume(length);
    }
}

/// Unpacks, configures and builds inside `product`; source and objects (2 GB) are gone afterwards, whatever came of it.
fn build(board: &Board, fragments: &[Fragment], source: &Path, product: &Path) -> Result<()> {
    let (tree, objects) = (product.join("tree"), product.join("objects"));
    for folder in [&tree, &objects] {
        fs::create_dir(folder).at("creating", folder)?;
    }
    let result = step("kernel source unpacked", || {
        let tar = Tool::new("tar", "tar xz-utils").args(["--strip-components=1", "-xf"]).arg(source);
        tar.arg("-C").arg(&tree).run()
    })
    .and_then(|_| configure(board, fragments, &tree, &objects))
    .and_then(|()| compile(board, &tree, &objects, product));
    cache::remove(&tree)?;
    cache::remove(&objects)?;
    result
}

fn configure(board: &Board, fragments: &[Fragment], tree: &Path, objects: &Path) -> Result<()> {
    let all = objects.join("fragments");
    let text: String = fragments.iter().map(|fragment| fragment.text.as_str()).collect();
    fs::write(&all, text).at("writing", &all)?;
    make(board, tree, objects).env("KCONFIG_ALLCONFIG", &all).args(["-s", "allnoconfig"]).run()?;
    let config = objects.join(".config");
    fragment::check(&fs::read_to_string(&config).at("reading", &config)?, fragments)
}

/// Builds the kernel and moves it, with its configuration, into `product`.
fn compile(board: &Board, tree: &Path, objects: &Path, product: &Path) -> Result<()> {
    let jobs = std::thread::available_parallelism().map_or(1, NonZero::get);
    make(board, tree, objects).arg(format!("-j{jobs}")).arg(&board.kernel.make_target).run_counting(
        "objects",
        |line| line.starts_with("CC ") || line.starts_with("AS "),
        &product.join("build.log"),
    )?;
    for (from, to) in [(&board.kernel.image, "image"), (&PathBuf::from(".config"), "config")] {
        let from = objects.join(from);
        fs::rename(&from, product.join(to)).at("storing", &from)?;
    }
    Ok(())
}

fn make(board: &Board, tree: &Path, objects: &Path) -> Tool {
    // Nothing of this machine or this hour may end up in the kernel's banner.
    let tool = Tool::new("make", "make flex bison bc libelf-dev libssl-dev cpio")
        .env("KBUILD_BUILD_TIMESTAMP", "2000-01-01 00:00:00 UTC")
        .env("KBUILD_BUILD_USER", "adit")
        .env("KBUILD_BUILD_HOST", "adit")
        .env("KBUILD_BUILD_VERSION", "1");
    // A make that started us must not lend us its flags and job slots.
    ["MAKEFLAGS", "MFLAGS", "MAKELEVEL", "KCFLAGS", "CFLAGS", "LDFLAGS"]
        .into_iter()
        .fold(tool, |tool, name| tool.without_env(name))
        .arg(format!("ARCH={}", board.kernel.arch))
        .arg(format!("CROSS_COMPILE={}", board.kernel.cross_compile))
        .arg(format!("O={}", objects.display()))
        .dir(tree)
}
