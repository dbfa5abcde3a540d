//! What can go wrong while an image is made, told to the person who started it.

use std::io;
use std::path::{Path, PathBuf};

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{doing} {}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("{tool} is not installed: apt-get install {package}")]
    NotInstalled { tool: String, package: &'static str },
    #[error("{tool} ended with {status}:\n{tail}")]
    Tool { tool: String, status: String, tail: String },
    /// Something that a person wrote or chose: where it is, what is wrong, what would be right.
    #[error("{place}: {problem}")]
    Input { place: String, problem: String },
    #[error("{what} has {bytes} bytes, {limit} fit")]
    TooLarge { what: String, bytes: u64, limit: u64 },
    #[error("the kernel's configuration does not keep what the fragments ask for:\n{}", .0.join("\n"))]
    DroppedOptions(Vec<String>),
    /// Each problem of a unit's configuration on a line of its own, with file and line.
    #[error(transparent)]
    Config(#[from] adit_config::Errors),
    /// A machine profile of an overlay, with file and line.
    #[error(transparent)]
    Profile(#[from] adit_profile::ProfileError),
    #[error("slot manifest")]
    Manifest(#[from] adit_slots::manifest::ManifestError),
    #[error("hash tree")]
    Verity(#[from] adit_slots::verity::VerityError),
    #[error("partition table")]
    PartitionTable(#[from] gpt::GptError),
}

impl Error {
    pub(crate) fn input(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Error::Input { place: place.into(), problem: problem.into() }
    }

    /// An input error about a file.
    pub(crate) fn file(path: &Path, problem: impl Into<String>) -> Self {
        Error::input(path.display().to_string(), problem)
    }
}

/// Says what was being done to which file when an operation failed.
pub(crate) trait At<T> {
    /// `doing` reads well before a path: "reading", "creating".
    fn at(self, doing: &'static str, path: &Path) -> Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, doing: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Io { doing, path: path.to_owned(), source })
    }
}
