//! A slot gets its tries back when it is known to be good: its essential services are ready, and its root file system can be read to
//! the last block. dm-verity checks a block when it is read; without this, one that rots where nobody has looked yet would restart
//! the unit ever again, with full tries each time. Found here, it restarts a unit whose tries are still counted down.
//!
//! Reading and writing disks may take any time, so a thread does both; the event loop only hears of the outcome.

use std::fs::{self, File};
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use adit_sys::clock;

use crate::boot_state::{BootStateError, Storage};
use crate::paths::Paths;

/// Bytes read at a time, and the pause after them: at most 3 MB/s, so that the services hardly notice.
const CHUNK: usize = 64 * 1024;
const PAUSE: Duration = Duration::from_millis(20);

/// A root of a few megabytes takes seconds. What takes longer than this hangs, and gives no tries back.
const LIMIT: Duration = Duration::from_secs(300);

#[derive(Debug, thiserror::Error)]
pub enum GoodBootError {
    #[error("root device: {0}")]
    NoRoot(io::Error),
    #[error("{}: after {bytes} bytes: {source}", path.display())]
    Unreadable { path: PathBuf, bytes: u64, source: io::Error },
    #[error("not done after {} s", LIMIT.as_secs())]
    TooSlow,
    #[error("its thread ended early")]
    Lost,
    #[error("thread: {0}")]
    NoThread(io::Error),
    #[error(transparent)]
    BootState(#[from] BootStateError),
}

/// A check that is under way.
pub struct Check {
    /// Readable when the thread has ended.
    end: PipeReader,
    outcome: Receiver<Result<bool, GoodBootError>>,
    pub deadline: Duration,
}

impl Check {
    pub fn start(paths: &Paths, storage: Storage) -> Result<Self, GoodBootError> {
        let (end, held_open) = io::pipe().map_err(GoodBootError::NoThread)?;
        let (sender, outcome) = mpsc::channel();
        let paths = paths.clone();
        let work = move || {
            let root = root_device(&paths).map_err(GoodBootError::NoRoot);
            // Nobody listens any more when it took too long.
            let _ = sender.send(root.and_then(|root| confirm(&root, &storage)));
            drop(held_open);
        };
        thread::Builder::new().name("good-boot".to_owned()).spawn(work).map_err(GoodBootError::NoThread)?;
        Ok(Check { end, outcome, deadline: clock::boottime() + LIMIT })
    }

    /// How it came out: true when tries were given back. None: it goes on.
    pub fn outcome(&self) -> Option<Result<bool, GoodBootError>> {
        match self.outcome.try_recv() {
            Ok(outcome) => Some(outcome),
            Err(mpsc::TryRecvError::Disconnected) => Some(Err(GoodBootError::Lost)),
            Err(mpsc::TryRecvError::Empty) if clock::boottime() >= self.deadline => {
                Some(Err(GoodBootError::TooSlow))
            }
            Err(mpsc::TryRecvError::Empty) => None,
        }
    }
}

impl AsFd for Check {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}

/// The block device that `/` lies on: with dm-verity the mapped one, so that reading it checks every block.
fn root_device(paths: &Paths) -> io::Result<PathBuf> {
    let device = fs::metadata(paths.at("/"))?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let text = fs::read_to_string(paths.at(&format!("/sys/dev/block/{major}:{minor}/uevent")))?;
    let node =
        text.lines().find_map(|line| line.strip_prefix("DEVNAME=")).filter(|node| !node.contains(".."));
    let node =
        node.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("{major}:{minor} has no name")))?;
    Ok(paths.devices().join(node))
}

fn confirm(root: &Path, storage: &Storage) -> Result<bool, GoodBootError> {
    let began = Instant::now();
    read_to_the_end(root)?;
    if began.elapsed() >= LIMIT {
        return Err(GoodBootError::TooSlow);
    }
    Ok(storage.restore_tries()?)
}

fn read_to_the_end(path: &Path) -> Result<u64, GoodBootError> {
    let mut bytes = 0;
    let mut read = || -> io::Result<()> {
        let mut file = File::open(path)?;
        let mut chunk = vec![0; CHUNK];
        loop {
            match file.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(length) => bytes += length as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            thread::sleep(PAUSE);
        }
    };
    let result = read();
    result.map_err(|source| GoodBootError::Unreadable { path: path.to_owned(), bytes, source })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_byte_of_the_root_is_read_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root");
        fs::write(&path, vec![7; 2 * CHUNK + 1]).unwrap();
        assert_eq!(read_to_the_end(&path).unwrap(), 2 * CHUNK as u64 + 1);
    }

    #[test]
    fn a_root_that_cannot_be_read_is_named() {
        // Opens, and refuses to be read.
        let error = read_to_the_end(Path::new("/proc/self/task")).unwrap_err().to_string();
        assert!(error.starts_with("/proc/self/task: after 0 bytes: "), "{error}");
    }

    #[test]
    fn the_root_device_is_found_by_its_number() {
        let folder = tempfile::tempdir().unwrap();
        let device = fs::metadata(folder.path()).unwrap().dev();
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let entry = folder.path().join(format!("sys/dev/block/{major}:{minor}"));
        fs::create_dir_all(&entry).unwrap();
        fs::write(entry.join("uevent"), "MAJOR=253\nMINOR=0\nDEVNAME=dm-0\nDEVTYPE=disk\n").unwrap();
        let paths = Paths::new(folder.path());
        assert_eq!(root_device(&paths).unwrap(), paths.devices().join("dm-0"));
    }
}
