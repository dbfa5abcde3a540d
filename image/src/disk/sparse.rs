//! A file in which only what is not zero takes space.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::error::{At as _, Result};

/// File systems allocate in pieces of this size.
const PIECE: usize = 4096;

pub(crate) struct SparseFile {
    file: File,
    path: PathBuf,
}

impl SparseFile {
    /// A file of `bytes` zeros, readable too.
    pub(crate) fn create(path: &Path, bytes: u64) -> Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path);
        let file = file.at("creating", path)?;
        file.set_len(bytes).at("sizing", path)?;
        Ok(SparseFile { file, path: path.to_owned() })
    }

    /// Writes `bytes` at `offset`, where nothing has been written before.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        for (index, piece) in bytes.chunks(PIECE).enumerate() {
            if piece.iter().any(|byte| *byte != 0) {
                let at = offset + (index * PIECE) as u64;
                let written = self.file.seek(SeekFrom::Start(at)).and_then(|_| self.file.write_all(piece));
                written.at("writing", &self.path)?;
            }
        }
        Ok(())
    }

    pub(crate) fn into_file(self) -> File {
        self.file
    }
}
