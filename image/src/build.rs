//! The whole way from the source tree to a folder that QEMU can start from.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::board::{Board, SourceTree};
use crate::cache::{self, Cache};
use crate::disk::{self, DiskInputs};
use crate::error::{At as _, Result};
use crate::keys::SigningKey;
use crate::report::Report;
use crate::services::{CrossBuild, PACKAGES, Program, RustStd};
use crate::slot::{self, SlotFiles, SlotInputs};
use crate::{kernel, qemu, release, root};

/// What a person may choose about a build.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The unit's configuration, put on the disk.
    pub config: Option<PathBuf>,
    /// More folders over the source tree's own overlay.
    pub overlays: Vec<PathBuf>,
    /// More packages of the workspace, built and put into `/sbin`.
    pub packages: Vec<String>,
    /// A kernel with the options that exist to break things.
    pub test_kernel: bool,
    /// The release's name instead of version and commit.
    pub release: Option<String>,
    /// A folder with the signing key instead of the development key.
    pub keys: Option<PathBuf>,
    pub rust_std: RustStd,
}

/// What slots are made of that takes long: kept apart so that several slots can be made from the same.
pub struct Parts {
    pub kernel: PathBuf,
    pub programs: Vec<Program>,
    pub overlays: Vec<PathBuf>,
    pub key: SigningKey,
}

/// Builds or finds kernel, programs and key. The programs are copied into `folder`.
pub fn parts(
    tree: &SourceTree,
    board: &Board,
    cache: &Cache,
    options: &Options,
    folder: &Path,
) -> Result<Parts> {
    let key = match &options.keys {
        Some(folder) => SigningKey::open(folder)?,
        None => SigningKey::development(cache)?,
    };
    let overlays =
        std::iter::once(tree.overlay()).chain(options.overlays.iter().cloned()).collect::<Vec<_>>();
    // Before anything that takes long.
    root::contents(&overlays)?;
    let kernel = kernel::kernel(board, cache, options.test_kernel)?.image();
    let packages: Vec<&str> =
        PACKAGES.into_iter().chain(options.packages.iter().map(String::as_str)).collect();
    let programs =
        CrossBuild::prepare(tree, &board.target, options.rust_std, cache)?.build(&packages, folder)?;
    Ok(Parts { kernel, programs, overlays, key })
}

/// Everything into `out`: `disk.img`, `slot/`, `report.json`, and for an emulated board `flash.img` and `control.dtb`.
pub fn build(
    tree: &SourceTree,
    board: &Board,
    cache: &Cache,
    options: &Options,
    out: &Path,
) -> Result<Report> {
    let start = Instant::now();
    if let Some(config) = &options.config {
        let bytes = fs::read(config).at("reading", config)?;
        adit_config::Config::parse_bytes(&bytes, &config.display().to_string())?;
    }
    fs::create_dir_all(out).at("creating", out)?;
    // Nothing half made under the names that others read.
    let unfinished = out.join(".unfinished");
    cache::remove(&unfinished)?;
    fs::create_dir(&unfinished).at("creating", &unfinished)?;

    let parts = parts(tree, board, cache, options, &unfinished.join("programs"))?;
    let release = release::of_tree(tree.root(), options.release.as_deref())?;
    let built = release.built;
    let slot: SlotFiles = slot::build(
        &SlotInputs {
            board,
            release,
            kernel: &parts.kernel,
            programs: &parts.programs,
            overlays: &parts.overlays,
            key: &parts.key,
        },
        &unfinished.join("slot"),
    )?;
    let inputs = DiskInputs {
        board,
        slot_a: &slot,
        slot_b: &slot,
        boot_state: disk::fresh_boot_state(),
        config: options.config.as_deref(),
        built,
    };
    disk::build(&inputs, &unfinished.join("disk.img"))?;
    if let Some(emulated) = &board.qemu {
        qemu::flash(board, emulated, &unfinished.join("flash.img"))?;
        qemu::control_tree(board, &parts.key, &unfinished.join("control.dtb"))?;
    }
    let report = Report::new(&slot, &parts.programs)?;
    report.write(&unfinished.join("report.json"))?;
    cache::remove(&unfinished.join("programs"))?;

    for entry in fs::read_dir(&unfinished).at("reading", &unfinished)? {
        let from = entry.at("reading", &unfinished)?.path();
        let to = out.join(from.file_name().expect("entries have names"));
        if to.is_dir() {
            cache::remove(&to)?;
        }
        fs::rename(&from, &to).at("storing", &to)?;
    }
    cache::remove(&unfinished)?;
    eprintln!("{:7.1} s  in all, into {}", start.elapsed().as_secs_f32(), out.display());
    Ok(report)
}
