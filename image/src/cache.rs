//! Slow products, kept outside the source tree under a hash of everything that they are made from.
//!
//! A product is a folder that is complete or does not exist: it is made aside and renamed into place, under a lock, so that
//! several builds can share one cache.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::error::{At as _, Error, Result};

/// Where products are made.
const UNFINISHED: &str = "unfinished";

pub struct Cache {
    root: PathBuf,
}

/// A hash of named inputs.
#[derive(Default)]
pub(crate) struct Key(Sha256);

impl Key {
    pub(crate) fn with(mut self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref();
        // Lengths keep neighbours apart: ("a", "bc") is not ("ab", "c").
        self.0.update((name.len() as u64).to_le_bytes());
        self.0.update(name);
        self.0.update((content.len() as u64).to_le_bytes());
        self.0.update(content);
        self
    }

    fn name(self) -> String {
        hex::encode(&self.0.finalize()[..8])
    }
}

/// Held while its value lives; other processes wait.
pub(crate) struct Lock {
    _file: File,
}

impl Cache {
    /// The cache that [`Cache::open`] finds when nobody chooses one.
    pub fn from_environment() -> Result<Self> {
        Self::open(None)
    }

    /// The folder given, else `$ADIT_CACHE`, `$XDG_CACHE_HOME/adit`, `~/.cache/adit`; made when it is missing. What builds that
    /// were killed left in it is removed.
    pub fn open(chosen: Option<&Path>) -> Result<Self> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let root = chosen
            .map(Path::to_owned)
            .or_else(|| variable("ADIT_CACHE"))
            .or_else(|| variable("XDG_CACHE_HOME").map(|dir| dir.join("adit")))
            .or_else(|| variable("HOME").map(|dir| dir.join(".cache/adit")))
            .ok_or_else(|| Error::input("cache", "there is no $HOME: give --cache DIR or set ADIT_CACHE"))?;
        fs::create_dir_all(&root).at("creating", &root)?;
        let root = root.canonicalize().at("opening", &root)?;
        let cache = Cache { root };
        cache.remove_leftovers();
        Ok(cache)
    }

    /// Where the products are.
    pub fn folder(&self) -> &Path {
        &self.root
    }

    /// A folder inside that is kept, without a key.
    pub(crate) fn subfolder(&self, name: &str) -> Result<PathBuf> {
        let path = self.root.join(name);
        fs::create_dir_all(&path).at("creating", &path)?;
        Ok(path)
    }

    pub(crate) fn lock(&self, name: &str) -> Result<Lock> {
        let (path, file) = self.lock_file(name)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                eprintln!("           waiting for another build that makes {name}");
                file.lock().at("locking", &path)?;
            }
            Err(TryLockError::Error(error)) => return Err(error).at("locking", &path),
        }
        Ok(Lock { _file: file })
    }

    fn lock_file(&self, name: &str) -> Result<(PathBuf, File)> {
        let path = self.subfolder("locks")?.join(name);
        let file = File::options().create(true).append(true).open(&path).at("opening", &path)?;
        Ok((path, file))
    }

    /// Removes what nobody makes any more: who makes a product holds its lock. What cannot be removed now, perhaps because a compiler
    /// that outlived its build still writes there, goes another time.
    fn remove_leftovers(&self) {
        let Ok(entries) = fs::read_dir(self.root.join(UNFINISHED)) else { return };
        for entry in entries.flatten() {
            let Ok((_, lock)) = self.lock_file(&entry.file_name().to_string_lossy()) else { continue };
            if lock.try_lock().is_ok() {
                let _ = remove(&entry.path());
            }
        }
    }

    /// Where the product of this kind and key is, or would be.
    pub(crate) fn place(&self, kind: &str, key: Key) -> PathBuf {
        self.root.join(format!("{kind}-{}", key.name()))
    }

    /// The product at `place`, made by `make` in the folder that it is given unless it is there already.
    pub(crate) fn product(&self, place: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        if place.exists() {
            return Ok(());
        }
        let name = place.file_name().expect("places are made by `place`").to_string_lossy();
        let _lock = self.lock(&name)?;
        if place.exists() {
            return Ok(());
        }
        let unfinished = self.subfolder(UNFINISHED)?.join(&*name);
        remove(&unfinished)?;
        fs::create_dir(&unfinished).at("creating", &unfinished)?;
        make(&unfinished)?;
        fs::rename(&unfinished, place).at("storing", place)
    }
}

/// Removes a folder, if it is there.
pub(crate) fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.at("removing", folder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_made_once_and_one_that_failed_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(folder.path())).unwrap();
        let place = cache.place("thing", Key::default().with("a", "1"));
        let failed = cache.product(&place, |dir| {
            fs::write(dir.join("half"), "x").at("writing", dir)?;
            Err(Error::input("thing", "broke"))
        });
        assert!(failed.is_err() && !place.exists());
        for round in 0..2 {
            let made = cache.product(&place, |dir| {
                assert!(round == 0 && !dir.join("half").exists());
                fs::write(dir.join("whole"), "x").at("writing", dir)
            });
            made.unwrap();
        }
        assert!(place.join("whole").exists());
    }

    #[test]
    fn what_a_killed_build_left_is_removed_at_the_next_start_and_what_is_being_made_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(folder.path())).unwrap();
        let left = folder.path().join(UNFINISHED).join("thing-of-yesterday");
        fs::create_dir_all(left.join("objects")).unwrap();
        let place = cache.place("thing", Key::default());
        let made = cache.product(&place, |dir| {
            Cache::open(Some(folder.path())).unwrap();
            assert!(dir.exists() && !left.exists());
            Ok(())
        });
        made.unwrap();
        assert!(place.exists());
    }

    #[test]
    fn keys_differ_when_any_name_or_content_does() {
        let name = |pairs: &[(&str, &str)]| {
            pairs.iter().fold(Key::default(), |key, (name, content)| key.with(name, content)).name()
        };
        assert_eq!(name(&[("a", "bc")]), name(&[("a", "bc")]));
        assert_ne!(name(&[("a", "bc")]), name(&[("ab", "c")]));
        assert_ne!(name(&[("a", "b"), ("c", "d")]), name(&[("a", "bcd")]));
    }
}
