//! Whose unit this is: the configuration file, if there is a usable one.

use std::{fs::File, io, io::Read, path::Path};

use adit_config::{Config, MAX_SIZE};

/// What the configuration file makes of the unit.
#[derive(Debug)]
pub(crate) enum Claim {
    Claimed(Config),
    /// Nobody has configured the unit, or not so that it can be used.
    Unclaimed {
        reason: String,
        /// What is wrong with the file, one mistake each, with its place.
        mistakes: Vec<String>,
    },
}

impl Claim {
    /// Reads the file at `path`, which is what `ADIT_CONFIG` says.
    pub(crate) fn read(path: Option<&Path>) -> Self {
        let unclaimed = |reason: String| Self::Unclaimed { reason, mistakes: Vec::new() };
        let Some(path) = path else { return unclaimed("ADIT_CONFIG is not set".to_owned()) };
        let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        match read_bounded(path) {
            Ok(bytes) => match Config::parse_bytes(&bytes, &file) {
                Ok(config) => Self::Claimed(config),
                Err(errors) => {
                    let count = errors.problems().len();
                    let plural = if count == 1 { "" } else { "s" };
                    let reason = format!("{file} has {count} mistake{plural}");
                    Self::Unclaimed { reason, mistakes: errors.lines().collect() }
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => unclaimed(format!("there is no {file}")),
            Err(error) => Self::Unclaimed {
                reason: format!("{file} cannot be read"),
                mistakes: vec![format!("{}: {error}", path.display())],
            },
        }
    }
}

/// One byte more than may be, so that a longer file is seen to be one.
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_SIZE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unclaimed(path: Option<&Path>) -> (String, Vec<String>) {
        match Claim::read(path) {
            Claim::Unclaimed { reason, mistakes } => (reason, mistakes),
            Claim::Claimed(config) => panic!("{config:?}"),
        }
    }

    #[test]
    fn a_missing_file_is_no_mistake() {
        assert_eq!(unclaimed(None), ("ADIT_CONFIG is not set".to_owned(), vec![]));
        let nowhere = Path::new("/nonexistent/adit.toml");
        assert_eq!(unclaimed(Some(nowhere)), ("there is no adit.toml".to_owned(), vec![]));
    }

    #[test]
    fn a_broken_file_is_answered_line_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("adit.toml");
        std::fs::write(
            &path,
            "version = 1\n[[pool]]\nurl = \"stratum+tcp://host\"\nusr = \"me\"\nuser = \"me\"\n",
        )
        .unwrap();
        let (reason, mistakes) = unclaimed(Some(&path));
        assert_eq!(reason, "adit.toml has 2 mistakes");
        assert_eq!(
            mistakes,
            [
                "adit.toml:3: pool.url: \"stratum+tcp://host\" has no port; write stratum+tcp://host:3333",
                "adit.toml:4: pool.usr: unknown key; did you mean user?",
            ]
        );
    }

    #[test]
    fn a_folder_in_its_place_is_a_mistake() {
        let folder = tempfile::tempdir().unwrap();
        let (_, mistakes) = unclaimed(Some(folder.path()));
        assert_eq!(mistakes.len(), 1);
    }
}
