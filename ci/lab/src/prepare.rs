//! Makes what takes long, once a machine: see `adit-lab prepare`.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

fn tree() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Where a run's images are put: `out/` in the source tree.
pub fn out() -> Result<PathBuf> {
    let folder = tree().canonicalize()?.join("out").join(crate::images::BOARD);
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder)
}

/// The folder with a Bitcoin node in it.
pub fn node() -> Result<PathBuf> {
    let cache = adit_image::Cache::from_environment()?;
    let script = tree().join("ci/node/prepare");
    let output = Command::new(&script)
        .arg(cache.folder())
        .stderr(Stdio::inherit())
        .stdin(Stdio::null())
        .output()
        .with_context(|| script.display().to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let chroot = PathBuf::from(text.lines().last().unwrap_or_default());
    if !output.status.success() || !chroot.is_dir() {
        bail!("{} could not make the node's folder: see above", script.display());
    }
    Ok(chroot)
}

/// All of it.
pub fn everything() -> Result<()> {
    let folder = tempfile::tempdir()?;
    crate::images::Images::prepare(folder.path(), &["adit-agent"], &[])?;
    node()?;
    Ok(())
}
