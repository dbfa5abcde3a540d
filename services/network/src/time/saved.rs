//! The time that outlives the power: a small file on `data`, replaced in one step. What stands in it is checked like a stranger's word.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::Path,
};

/// A file of ours is shorter, bytes.
const MOST_BYTES: u64 = 64;

/// Seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Saved {
    /// The clock when this was written: where the next boot begins, and no more than that. Unauthenticated sources may have set it.
    pub clock: i64,
    /// The time was certainly later: several operators have signed it. Nothing sets the clock below this again.
    pub signed: i64,
}

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it is not two lines \"clock SECONDS\" and \"signed SECONDS\"")]
    Form,
    #[error("{0} is before 1970 or too far ahead of this release")]
    Year(i64),
}

/// `None`: there is none. `ceiling`: a later time is not possible, seconds since 1970.
pub fn read(path: &Path, ceiling: i64) -> Result<Option<Saved>, Unusable> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    let saved = parse(&bytes).ok_or(Unusable::Form)?;
    for seconds in [saved.clock, saved.signed] {
        if !(0..=ceiling).contains(&seconds) {
            return Err(Unusable::Year(seconds));
        }
    }
    Ok(Some(saved))
}

fn parse(bytes: &[u8]) -> Option<Saved> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() as u64 <= MOST_BYTES)?;
    let (clock, signed) = text.strip_prefix("clock ")?.strip_suffix('\n')?.split_once("\nsigned ")?;
    Some(Saved { clock: clock.parse().ok()?, signed: signed.parse().ok()? })
}

/// Replaces the file: after a power cut the old or the new one is there. Makes the folder, not the file system that it is on.
pub fn write(path: &Path, saved: Saved) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(format!("clock {}\nsigned {}\n", saved.clock, saved.signed).as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CEILING: i64 = 2_000_000_000;

    #[test]
    fn what_was_written_is_read_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("network/time");
        assert!(matches!(read(&path, CEILING), Ok(None)));
        for saved in [Saved { clock: 1_800_000_000, signed: 0 }, Saved { clock: CEILING, signed: CEILING }] {
            write(&path, saved).unwrap();
            assert_eq!(read(&path, CEILING).unwrap(), Some(saved));
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_not_ours_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("time");
        for content in [
            "",
            "clock 5",
            "clock 5\nsigned 4",
            "clock 5\nsigned 4\n\n",
            "clock x\nsigned 4\n",
            "clock 5\nsigned 99999999999999999999\n",
            "clock -1\nsigned 4\n",
            "clock 2000000001\nsigned 4\n",
            "clock 5\nsigned 2000000001\n",
            "\0\0\0\0\0\0\0\0",
        ] {
            fs::write(&path, content).unwrap();
            assert!(read(&path, CEILING).is_err(), "{content:?}");
        }
        fs::write(&path, vec![b' '; 1 << 20]).unwrap();
        assert!(matches!(read(&path, CEILING), Err(Unusable::Form)));
        assert!(read(folder.path(), CEILING).is_err());
    }

    #[test]
    fn without_a_place_to_write_there_is_an_error_and_no_more() {
        let missing = Path::new("/nonexistent/network/time");
        assert!(write(missing, Saved::default()).is_err());
    }

    proptest! {
        #[test]
        fn no_file_stops_the_unit(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse(&bytes);
        }
    }
}
