//! What stands in for a board's own flash in emulation: U-Boot's environment, and the device tree that it runs with.

use std::fs;
use std::path::Path;

use crate::board::{Board, Flash};
use crate::disk::SparseFile;
use crate::error::{At as _, Result};
use crate::fit;
use crate::keys::SigningKey;
use crate::progress::step;
use crate::tool::Tool;

/// Writes the image of the flash bank that holds U-Boot's environment.
pub fn flash(board: &Board, flash: &Flash, image: &Path) -> Result<()> {
    step("U-Boot environment", || {
        let folder = tempfile::tempdir().at("creating a folder in", &std::env::temp_dir())?;
        let block = folder.path().join("environment");
        Tool::new("mkenvimage", "u-boot-tools")
            .args(["-s", &flash.environment_bytes.to_string(), "-o"])
            .arg(&block)
            .arg(board.environment())
            .run()?;
        let block = fs::read(&block).at("reading", &block)?;
        SparseFile::create(image, flash.bytes)?.write(flash.environment_offset, &block)
    })
}

/// Writes the device tree that U-Boot runs with, the public key inside.
pub fn control_tree(board: &Board, key: &SigningKey, tree: &Path) -> Result<()> {
    step("control device tree", || {
        let work = tempfile::tempdir().at("creating a folder in", &std::env::temp_dir())?;
        fit::control_tree(board, key, work.path(), tree)
    })
}
