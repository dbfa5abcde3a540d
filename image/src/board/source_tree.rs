//! The project's source tree, found from any folder inside.

use std::fs;
use std::path::{Path, PathBuf};

use super::Board;
use crate::error::{At as _, Error, Result};

pub struct SourceTree {
    root: PathBuf,
}

impl SourceTree {
    /// The tree that contains `start`.
    pub fn containing(start: &Path) -> Result<Self> {
        let start = start.canonicalize().at("opening", start)?;
        let root = start.ancestors().find(|folder| folder.join("image/boards").is_dir());
        let root = root.ok_or_else(|| Error::file(&start, "is not inside Adit's source tree"))?;
        Ok(SourceTree { root: root.to_owned() })
    }

    /// The tree that contains the current folder.
    pub fn here() -> Result<Self> {
        Self::containing(Path::new("."))
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Files that go into every root file system as they are.
    pub fn overlay(&self) -> PathBuf {
        self.root.join("overlay")
    }

    /// Names of all boards.
    pub fn boards(&self) -> Result<Vec<String>> {
        let folder = self.boards_folder();
        let mut names: Vec<_> = fs::read_dir(&folder)
            .at("reading", &folder)?
            .flatten()
            .filter(|entry| entry.path().join("board.toml").is_file())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    pub fn board(&self, name: &str) -> Result<Board> {
        let known = self.boards()?;
        if !known.iter().any(|board| board == name) {
            let problem = format!("is no board; there are {}", known.join(", "));
            return Err(Error::input(format!("{name:?}"), problem));
        }
        Board::read(&self.boards_folder(), name)
    }

    fn boards_folder(&self) -> PathBuf {
        self.root.join("image/boards")
    }
}
