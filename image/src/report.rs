//! `report.json`: what the parts of an image weigh, for budgets in CI.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{At as _, Result};
use crate::services::Program;
use crate::slot::SlotFiles;

/// All numbers are bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub board: String,
    pub release: String,
    /// What an installation writes: boot image, root file system and its hash tree.
    pub image_bytes: u64,
    /// The signed FIT.
    pub boot_bytes: u64,
    /// Root file system and hash tree.
    pub root_bytes: u64,
    /// The kernel, compressed as in the boot image.
    pub kernel_bytes: u64,
    /// Each program before the file system compresses it, by its path on the unit.
    pub programs: BTreeMap<String, u64>,
}

impl Report {
    pub(crate) fn new(slot: &SlotFiles, programs: &[Program]) -> Result<Self> {
        let size = |program: &Program| {
            let bytes = fs::metadata(&program.file).at("reading", &program.file)?.len();
            Ok((program.destination.clone(), bytes))
        };
        Ok(Report {
            board: slot.manifest.board.clone(),
            release: slot.manifest.release.version.clone(),
            image_bytes: slot.bytes(),
            boot_bytes: slot.manifest.boot.bytes,
            root_bytes: slot.manifest.root.partition_bytes(),
            kernel_bytes: slot.kernel_bytes,
            programs: programs.iter().map(size).collect::<Result<_>>()?,
        })
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).expect("numbers and names only");
        fs::write(path, text + "\n").at("writing", path)
    }
}
