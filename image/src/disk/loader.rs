//! The FAT file system that the loader reads: its script, and the unit's configuration. Never written again after the first boot.

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::Path;

use fatfs::{FileSystem, FormatVolumeOptions, FsOptions};

use super::DiskInputs;
use crate::error::{At as _, Result};
use crate::names;
use crate::tool::Tool;

/// The file system as bytes, `bytes` long. fatfs without its clock dates every file 1980-01-01.
pub(super) fn file_system(inputs: &DiskInputs<'_>, bytes: u64) -> Result<Vec<u8>> {
    let mut files = vec![("boot.scr", boot_script(inputs)?)];
    if let Some(config) = inputs.config {
        files.push(("adit.toml", fs::read(config).at("reading", config)?));
    }
    let mut volume = Cursor::new(vec![0; usize::try_from(bytes).expect("a partition fits into memory")]);
    fill(&mut volume, names::volume(&["loader", &inputs.board.name]), &files)
        .at("making the FAT file system of", Path::new("loader"))?;
    Ok(volume.into_inner())
}

fn fill(volume: &mut Cursor<Vec<u8>>, id: u32, files: &[(&str, Vec<u8>)]) -> std::io::Result<()> {
    let options = FormatVolumeOptions::new().volume_id(id).volume_label(*b"ADIT       ");
    fatfs::format_volume(&mut *volume, options)?;
    let system = FileSystem::new(volume, FsOptions::new())?;
    for (name, content) in files {
        let mut file = system.root_dir().create_file(name)?;
        file.truncate()?;
        file.write_all(content)?;
    }
    system.unmount()
}

/// The boot script in the form that U-Boot's `source` takes. It is not signed: the FIT that it starts is.
fn boot_script(inputs: &DiskInputs<'_>) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir().at("creating a folder in", &std::env::temp_dir())?;
    let script = folder.path().join("boot.scr");
    Tool::new("mkimage", "u-boot-tools")
        .dated(inputs.built)
        .args(["-T", "script", "-C", "none", "-n", "Adit", "-A", &inputs.board.uboot.script_arch, "-d"])
        .arg(inputs.board.boot_script())
        .arg(&script)
        .run()?;
    fs::read(&script).at("reading", &script)
}
