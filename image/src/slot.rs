//! A slot's files: `boot.itb`, `root.img` and the manifest that describes them.

use std::fs;
use std::path::{Path, PathBuf};

use adit_slots::manifest::{self, Boot, Release};
use adit_slots::{Manifest, Slot};
use sha2::{Digest as _, Sha256};

use crate::board::Board;
use crate::error::{At as _, Error, Result};
use crate::fit::{self, FitInputs};
use crate::keys::SigningKey;
use crate::root::{self, RootInputs};
use crate::services::Program;

/// What a slot is made from.
pub struct SlotInputs<'a> {
    pub board: &'a Board,
    pub release: Release,
    /// The kernel image, uncompressed.
    pub kernel: &'a Path,
    pub programs: &'a [Program],
    /// Folders that go into the root file system as they are, the later ones on top.
    pub overlays: &'a [PathBuf],
    pub key: &'a SigningKey,
}

/// A built slot, in a folder of its own.
#[derive(Debug, Clone)]
pub struct SlotFiles {
    pub folder: PathBuf,
    pub manifest: Manifest,
    /// Bytes of the kernel as it lies in the boot image.
    pub kernel_bytes: u64,
}

impl SlotFiles {
    /// The signed FIT, for the start of `boot_a` or `boot_b`.
    pub fn boot(&self) -> PathBuf {
        self.folder.join("boot.itb")
    }

    /// File system and hash tree, for the start of `root_a` or `root_b`.
    pub fn root(&self) -> PathBuf {
        self.folder.join("root.img")
    }

    /// Bytes that an installation writes.
    pub fn bytes(&self) -> u64 {
        self.manifest.boot.bytes + self.manifest.root.partition_bytes()
    }
}

/// Builds a slot in `folder`, which is made or emptied.
pub fn build(inputs: &SlotInputs<'_>, folder: &Path) -> Result<SlotFiles> {
    crate::cache::remove(folder)?;
    fs::create_dir_all(folder).at("creating", folder)?;
    let work = tempfile::tempdir().at("creating a folder for temporary files in", &std::env::temp_dir())?;
    let work = work.path();
    let (boot, root) = (folder.join("boot.itb"), folder.join("root.img"));
    let described = root::build(
        &RootInputs {
            board: inputs.board,
            release: &inputs.release,
            programs: inputs.programs,
            overlays: inputs.overlays,
        },
        work,
        &root,
    )?;
    let kernel_bytes = fit::build(
        &FitInputs {
            board: inputs.board,
            kernel: inputs.kernel,
            root: &described,
            key: inputs.key,
            built: inputs.release.built,
        },
        work,
        &boot,
    )?;
    let fit = fs::read(&boot).at("reading", &boot)?;
    let manifest = Manifest {
        version: manifest::VERSION,
        board: inputs.board.name.clone(),
        release: inputs.release.clone(),
        layout: inputs.board.layout,
        boot: Boot { bytes: fit.len() as u64, sha256: Sha256::digest(&fit).into() },
        root: described,
    };
    manifest.check()?;
    for (kind, bytes) in [("boot", manifest.boot.bytes), ("root", manifest.root.partition_bytes())] {
        // Both slots' partitions are of one size.
        let limit = inputs.board.partition(kind, Slot::A).bytes();
        if bytes > limit {
            return Err(Error::TooLarge { what: format!("the {kind} image"), bytes, limit });
        }
    }
    let path = folder.join("manifest.json");
    fs::write(&path, manifest.to_json()).at("writing", &path)?;
    Ok(SlotFiles { folder: folder.to_owned(), manifest, kernel_bytes })
}
