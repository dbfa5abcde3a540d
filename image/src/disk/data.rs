//! The data partition: an empty ext4 whose identifiers and times are fixed.

use std::fs::{self, File};

use crate::board::Board;
use crate::error::{At as _, Result};
use crate::names;
use crate::tool::Tool;

/// The file system as bytes, `bytes` long.
pub(super) fn file_system(board: &Board, bytes: u64, built: u64) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir().at("creating a folder in", &std::env::temp_dir())?;
    let image = folder.path().join("data");
    File::create(&image).and_then(|file| file.set_len(bytes)).at("creating", &image)?;
    let identity = names::uuid(&["data", &board.name]);
    let hash_seed = names::uuid(&["data hash seed", &board.name]);
    Tool::new("mkfs.ext4", "e2fsprogs")
        .dated(built)
        // What e2fsprogs 1.47.0 reads instead.
        .env("E2FSPROGS_FAKE_TIME", built.to_string())
        // The machine's own defaults must not decide.
        .env("MKE2FS_CONFIG", "/dev/null")
        .args(["-q", "-F", "-b", "4096", "-I", "256", "-m", "0", "-L", "data", "-J", "size=4", "-O"])
        .arg("none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum")
        .arg("-U")
        .arg(identity.to_string())
        .arg("-E")
        .arg(format!("hash_seed={hash_seed},lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0"))
        .arg(&image)
        .run()?;
    fs::read(&image).at("reading", &image)
}
