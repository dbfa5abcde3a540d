//! Unit files: one TOML file a service, as `docs/units.md` describes them.
//!
//! In: the files of `/etc/adit/services`. Out: checked [`Service`]s, or what is wrong with file, line and what would be right.
//! A key that is not implemented is refused, so that nobody relies on a wall or a limit that is not there.

mod together;

use std::fs;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::descriptors::MAX_KEPT;
use crate::service::{Backoff, Readiness, SafeState, Service};

/// A unit file is a few lines; more than this is none.
const MAX_BYTES: u64 = 16 * 1024;
const MAX_SERVICES: usize = 32;
/// Entries of the folder that are looked at, of whatever kind.
const MAX_ENTRIES: usize = 1024;
const MAX_DOORS: usize = 16;
/// Characters of a service's or door's name: a door's path must fit the 107 bytes of a Unix address.
const MAX_NAME: usize = 48;
/// Longer times are typing errors.
const LONGEST_TIME: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, thiserror::Error)]
pub enum UnitError {
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}:{line}: {text}", path.display())]
    Wrong { path: PathBuf, line: usize, text: String },
    #[error("{}: no unit file (NAME.toml) is here", .0.display())]
    Empty(PathBuf),
}

/// Every unit file of a folder, in the order of their names. Services whose own file is right are returned even when another
/// file is wrong: their safe states are wanted then.
pub fn load(folder: &Path) -> (Vec<Service>, Vec<UnitError>) {
    let (paths, mut errors) = list(folder);
    if paths.is_empty() && errors.is_empty() {
        errors.push(UnitError::Empty(folder.to_owned()));
    }
    let mut files = Vec::new();
    for path in paths {
        match read(path).and_then(|source| source.parse().map(|service| (source, service))) {
            Ok(file) => files.push(file),
            Err(error) => errors.push(error),
        }
    }
    // With a file missing from the whole, its neighbours would be blamed for needing it.
    if errors.is_empty() {
        errors = together::check(&files);
    }
    (files.into_iter().map(|(_, service)| service).collect(), errors)
}

/// The folder's unit files, as far as it can be read and as many as there may be; and what was wrong with it.
fn list(folder: &Path) -> (Vec<PathBuf>, Vec<UnitError>) {
    let wrong = |source| UnitError::Read { path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return (Vec::new(), vec![wrong(error)]),
    };
    let mut paths = Vec::new();
    let mut errors = Vec::new();
    for entry in entries.take(MAX_ENTRIES) {
        match entry {
            Ok(entry) if entry.path().extension().is_some_and(|extension| extension == "toml") => {
                paths.push(entry.path());
            }
            Ok(_) => {}
            Err(error) => errors.push(wrong(error)),
        }
    }
    paths.sort();
    if paths.len() > MAX_SERVICES {
        paths.truncate(MAX_SERVICES);
        let text = format!("more than {MAX_SERVICES} unit files");
        errors.push(wrong(io::Error::new(ErrorKind::InvalidData, text)));
    }
    (paths, errors)
}

fn read(path: PathBuf) -> Result<Source, UnitError> {
    let mut text = String::new();
    let file = fs::File::open(&path).and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text));
    match file {
        Ok(length) if length as u64 <= MAX_BYTES => Ok(Source { path, text }),
        Ok(_) => {
            let source = io::Error::new(ErrorKind::InvalidData, format!("longer than {MAX_BYTES} bytes"));
            Err(UnitError::Read { path, source })
        }
        Err(source) => Err(UnitError::Read { path, source }),
    }
}

/// A unit file's text, and where it stands: what an error has to name.
pub struct Source {
    pub path: PathBuf,
    pub text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    exec: Vec<String>,
    #[serde(default)]
    needs: Vec<String>,
    #[serde(default)]
    doors: Vec<String>,
    ready: Option<ReadyKey>,
    #[serde(default)]
    essential: bool,
    #[serde(default)]
    oneshot: bool,
    start_timeout_ms: Option<u64>,
    stop_timeout_ms: Option<u64>,
    #[serde(default)]
    backoff: BackoffKeys,
    safe_state: Option<Vec<String>>,
    safe_state_timeout_ms: Option<u64>,
    fd_store_max: Option<usize>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum ReadyKey {
    Notify,
    Started,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct BackoffKeys {
    first_ms: u64,
    longest_ms: u64,
    factor: f64,
    jitter: f64,
    reset_after_s: u64,
}

impl Default for BackoffKeys {
    fn default() -> Self {
        BackoffKeys { first_ms: 100, longest_ms: 30_000, factor: 2.0, jitter: 0.2, reset_after_s: 60 }
    }
}

const DEFAULT_START_TIMEOUT_MS: u64 = 10_000;
const DEFAULT_STOP_TIMEOUT_MS: u64 = 5_000;
const DEFAULT_SAFE_STATE_TIMEOUT_MS: u64 = 5_000;

impl Source {
    /// One file by itself, and the service that it describes.
    pub fn parse(&self) -> Result<Service, UnitError> {
        let keys: Keys = toml::from_str(&self.text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_at(&self.text, span.start));
            self.wrong_at(line, error.message().replace('\n', " "))
        })?;
        let name = self.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        if let Some(reason) = not_a_name(&name) {
            return Err(self.wrong_at(1, format!("the file's name is the service's, and {name:?} {reason}")));
        }
        self.check_command("exec", &keys.exec)?;
        for (list, names) in [("needs", &keys.needs), ("doors", &keys.doors)] {
            self.check_names(list, names)?;
        }
        let ready = match (keys.oneshot, keys.ready) {
            (true, None) => Readiness::Finished,
            (true, Some(_)) => {
                let text = "a oneshot is ready when it has ended with exit code 0: leave `ready` out";
                return Err(self.wrong("ready", text.to_owned()));
            }
            (false, Some(ReadyKey::Notify)) => Readiness::Notify,
            (false, Some(ReadyKey::Started) | None) => Readiness::Started,
        };
        if keys.safe_state.is_none() && keys.safe_state_timeout_ms.is_some() {
            let text = "there is no `safe_state` that this could limit".to_owned();
            return Err(self.wrong("safe_state_timeout_ms", text));
        }
        let safe_state = match keys.safe_state {
            None => None,
            Some(exec) => {
                self.check_command("safe_state", &exec)?;
                let timeout = keys.safe_state_timeout_ms.unwrap_or(DEFAULT_SAFE_STATE_TIMEOUT_MS);
                Some(SafeState { exec, timeout: self.time("safe_state_timeout_ms", timeout)? })
            }
        };
        let fd_store_max = keys.fd_store_max.unwrap_or(0);
        if fd_store_max > MAX_KEPT {
            let text = format!("{fd_store_max} descriptors, at most {MAX_KEPT} can be kept");
            return Err(self.wrong("fd_store_max", text));
        }
        Ok(Service {
            name,
            exec: keys.exec,
            needs: keys.needs,
            doors: keys.doors,
            ready,
            essential: keys.essential,
            start_timeout: self
                .time("start_timeout_ms", keys.start_timeout_ms.unwrap_or(DEFAULT_START_TIMEOUT_MS))?,
            stop_timeout: self
                .time("stop_timeout_ms", keys.stop_timeout_ms.unwrap_or(DEFAULT_STOP_TIMEOUT_MS))?,
            backoff: self.backoff(&keys.backoff)?,
            safe_state,
            fd_store_max,
        })
    }

    fn backoff(&self, keys: &BackoffKeys) -> Result<Backoff, UnitError> {
        let backoff = Backoff {
            first: self.time("first_ms", keys.first_ms)?,
            longest: self.time("longest_ms", keys.longest_ms)?,
            factor: keys.factor,
            jitter: keys.jitter,
            reset_after: self.time("reset_after_s", keys.reset_after_s.saturating_mul(1000))?,
        };
        if backoff.longest < backoff.first {
            let text = format!("{} ms is shorter than first_ms, {} ms", keys.longest_ms, keys.first_ms);
            return Err(self.wrong("longest_ms", text));
        }
        for (key, value, from, to) in [("factor", keys.factor, 1.0, 10.0), ("jitter", keys.jitter, 0.0, 1.0)]
        {
            if !(from..=to).contains(&value) {
                return Err(self.wrong(key, format!("{value} is not between {from} and {to}")));
            }
        }
        Ok(backoff)
    }

    fn check_command(&self, key: &str, command: &[String]) -> Result<(), UnitError> {
        match command.first() {
            Some(program) if program.starts_with('/') => {}
            Some(program) => {
                let text = format!("{program:?} is not an absolute path: there is no search path");
                return Err(self.wrong(key, text));
            }
            None => return Err(self.wrong(key, "needs a program: [\"/sbin/program\", …]".to_owned())),
        }
        match command.iter().find(|word| word.contains('\0')) {
            Some(word) => Err(self.wrong(key, format!("{word:?} holds a zero character"))),
            None => Ok(()),
        }
    }

    fn check_names(&self, key: &str, names: &[String]) -> Result<(), UnitError> {
        if names.len() > MAX_DOORS {
            return Err(self.wrong(key, format!("{} names, at most {MAX_DOORS} are allowed", names.len())));
        }
        for (index, name) in names.iter().enumerate() {
            if let Some(reason) = not_a_name(name) {
                return Err(self.wrong(key, format!("{name:?} {reason}")));
            }
            if names[..index].contains(name) {
                return Err(self.wrong(key, format!("{name:?} stands twice")));
            }
        }
        Ok(())
    }

    fn time(&self, key: &str, milliseconds: u64) -> Result<Duration, UnitError> {
        let time = Duration::from_millis(milliseconds);
        if time.is_zero() || time > LONGEST_TIME {
            return Err(self.wrong(key, "must be more than nothing and at most a day".to_owned()));
        }
        Ok(time)
    }

    /// An error at the line that sets `key`, at its start or inside an inline table.
    fn wrong(&self, key: &str, mut text: String) -> UnitError {
        let sets = |line: &str| {
            let after = line.trim_start().strip_prefix(key);
            after.is_some_and(|rest| rest.trim_start().starts_with('='))
        };
        let found = self
            .text
            .lines()
            .position(sets)
            .or_else(|| self.text.lines().position(|line| line.contains(key)));
        text.insert_str(0, &format!("{key}: "));
        self.wrong_at(found.map_or(1, |index| index + 1), text)
    }

    fn wrong_at(&self, line: usize, text: String) -> UnitError {
        UnitError::Wrong { path: self.path.clone(), line, text }
    }
}

fn line_at(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|byte| *byte == b'\n').count() + 1
}

/// Why a text cannot name a service or a door, which become file names and environment entries.
fn not_a_name(name: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let letter_first = name.starts_with(|c: char| c.is_ascii_lowercase());
    (!letter_first || !name.chars().all(plain) || name.len() > MAX_NAME).then(|| {
        format!("is not a name: a small letter, then small letters, digits, '-' and '.', up to {MAX_NAME}")
    })
}
