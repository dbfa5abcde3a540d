//! What the laboratory boots: slots built from the source tree, and disks composed of them.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use adit_image::{
    Board, Cache, DiskInputs, Program, Result, SigningKey, SlotFiles, SlotInputs, SourceTree,
    build::{self, Options, Parts},
    disk, qemu, release,
    services::{CrossBuild, RustStd},
    slot,
};
use adit_slots::boot_state::COPY_BYTES;
use anyhow::{Context, bail};

use crate::machine::Machine;

pub const BOARD: &str = "qemu-aarch64";
const INIT: &str = "/sbin/adit-init";

/// One set of parts (kernel, programs, key) and the slot built from them.
pub struct Images {
    pub board: Board,
    pub folder: PathBuf,
    pub slot: Arc<SlotFiles>,
    parts: Parts,
    built: u64,
    version: String,
}

/// How a slot differs from the one that the source tree makes.
#[derive(Default)]
pub struct Difference<'a> {
    /// Appended to the release's version: another name makes another root, and so another root hash.
    pub version: &'a str,
    /// A program that takes adit-init's place.
    pub init: Option<&'a Path>,
    /// Another machine profile than the board's own, named on the signed command line.
    pub machine: Option<&'a str>,
}

impl Images {
    /// Builds what is missing; with a warm cache this takes seconds. `packages` are put into `/sbin` beside the services.
    pub fn prepare(folder: &Path, packages: &[&str], overlays: &[PathBuf]) -> Result<Self> {
        let tree = SourceTree::containing(Path::new(env!("CARGO_MANIFEST_DIR")))?;
        let board = tree.board(BOARD)?;
        let cache = Cache::from_environment()?;
        let options = Options {
            packages: packages.iter().map(ToString::to_string).collect(),
            overlays: overlays.to_vec(),
            ..Options::default()
        };
        let parts = build::parts(&tree, &board, &cache, &options, &folder.join("programs"))?;
        let release = release::of_tree(tree.root(), None)?;
        let (built, version) = (release.built, release.version.clone());
        let mut images = Self {
            folder: folder.to_owned(),
            slot: Arc::new(build_slot(&board, &parts, release, None, &parts.key, &folder.join("slot"))?),
            board,
            parts,
            built,
            version,
        };
        images.write_firmware()?;
        Ok(images)
    }

    /// Another slot from the same parts.
    pub fn other_slot(&self, name: &str, difference: &Difference<'_>) -> Result<SlotFiles> {
        let release = adit_slots::manifest::Release {
            version: format!("{}{}", self.version, difference.version),
            built: self.built,
        };
        let key = &self.parts.key;
        let mut board = self.board.clone();
        if let Some(machine) = difference.machine {
            machine.clone_into(&mut board.machine);
        }
        build_slot(&board, &self.parts, release, difference.init, key, &self.folder.join(name))
    }

    /// The slot for a unit that drives `machine`: the same but for the profile that its command line names.
    pub fn slot_for(&self, machine: &Machine) -> Result<Arc<SlotFiles>> {
        if machine.profile == self.board.machine {
            return Ok(self.slot.clone());
        }
        let difference = Difference { machine: Some(machine.profile), ..Difference::default() };
        Ok(Arc::new(self.other_slot(&format!("slot-{}", machine.profile), &difference)?))
    }

    /// The same slot signed by another key than the one that the firmware knows.
    pub fn signed_by(&self, name: &str, key: &SigningKey) -> Result<SlotFiles> {
        let release = adit_slots::manifest::Release { version: self.version.clone(), built: self.built };
        build_slot(&self.board, &self.parts, release, None, key, &self.folder.join(name))
    }

    /// The programs in the slot, uncompressed.
    pub fn programs(&self) -> &[Program] {
        &self.parts.programs
    }

    /// A package of the workspace that is not in the slot, built in the same way.
    pub fn other_program(&self, package: &str) -> Result<PathBuf> {
        let tree = SourceTree::containing(Path::new(env!("CARGO_MANIFEST_DIR")))?;
        let cache = Cache::from_environment()?;
        let build = CrossBuild::prepare(&tree, &self.board.target, RustStd::Any, &cache)?;
        let folder = self.folder.join("other-programs");
        Ok(build.build(&[package], &folder)?.remove(0).file)
    }

    /// A disk with these slots, boot state and configuration, which is kept as `adit.toml` beside it.
    pub fn disk(
        &self,
        image: &Path,
        slots: [&SlotFiles; 2],
        boot_state: [[u8; COPY_BYTES]; 2],
        config: Option<&str>,
    ) -> anyhow::Result<()> {
        let file = image.with_file_name("adit.toml");
        if let Some(text) = config {
            std::fs::write(&file, text).with_context(|| file.display().to_string())?;
        }
        let [slot_a, slot_b] = slots;
        let config = config.map(|_| &*file);
        let inputs = DiskInputs { board: &self.board, slot_a, slot_b, boot_state, config, built: self.built };
        Ok(disk::build(&inputs, image)?)
    }

    pub fn flash(&self) -> PathBuf {
        self.folder.join("flash.img")
    }

    pub fn control_tree(&self) -> PathBuf {
        self.folder.join("control.dtb")
    }

    fn write_firmware(&mut self) -> Result<()> {
        if let Some(emulated) = &self.board.qemu {
            qemu::flash(&self.board, emulated, &self.flash())?;
        }
        qemu::control_tree(&self.board, &self.parts.key, &self.control_tree())
    }
}

/// Copies a mostly empty file without writing its holes.
pub(crate) fn copy_sparse(from: &Path, to: &Path) -> anyhow::Result<()> {
    let done = Command::new("cp").arg("--sparse=always").args([from, to]).status()?;
    if !done.success() {
        bail!("cp {} {}: {done}", from.display(), to.display());
    }
    Ok(())
}

fn build_slot(
    board: &Board,
    parts: &Parts,
    release: adit_slots::manifest::Release,
    init: Option<&Path>,
    key: &SigningKey,
    folder: &Path,
) -> Result<SlotFiles> {
    let mut programs = parts.programs.clone();
    if let Some(init) = init {
        programs.retain(|program| program.destination != INIT);
        programs.push(Program { destination: INIT.into(), file: init.to_owned() });
    }
    let inputs = SlotInputs {
        board,
        release,
        kernel: &parts.kernel,
        programs: &programs,
        overlays: &parts.overlays,
        key,
    };
    slot::build(&inputs, folder)
}
