//! Kernel switches (sysctl) from `/etc/adit/sysctl.conf`: set, and reported as what they are, set or absent.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What became of the switches.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub applied: usize,
    /// Keys that this kernel does not have.
    pub absent: Vec<String>,
    /// Keys that it refused to set, or lines that are none, with the reason.
    pub refused: Vec<String>,
}

/// Sets every `key = value` of the file below `kernel` (`/proc/sys`). `#` begins a comment.
pub fn apply(file: &Path, kernel: &Path) -> io::Result<Outcome> {
    let mut outcome = Outcome::default();
    for (number, line) in (1..).zip(fs::read_to_string(file)?.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((key, value)) = line.split_once('=').map(|(key, value)| (key.trim(), value.trim())) else {
            outcome.refused.push(format!("{}:{number}: not key = value", file.display()));
            continue;
        };
        let Some(path) = path_of(kernel, key) else {
            outcome.refused.push(format!("{}:{number}: {key} is not a key", file.display()));
            continue;
        };
        // Opened without being created: a key that is absent stays so.
        let written = fs::OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut switch| io::Write::write_all(&mut switch, value.as_bytes()));
        match written {
            Ok(()) => outcome.applied += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => outcome.absent.push(key.to_owned()),
            Err(error) => outcome.refused.push(format!("{key} = {value}: {error}")),
        }
    }
    Ok(outcome)
}

fn path_of(kernel: &Path, key: &str) -> Option<PathBuf> {
    let plain = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    key.split('.').all(plain).then(|| kernel.join(key.replace('.', "/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_key_is_reported_as_absent_and_not_created() {
        let folder = tempfile::tempdir().unwrap();
        let kernel = folder.path().join("sys");
        fs::create_dir_all(kernel.join("kernel/yama")).unwrap();
        fs::write(kernel.join("kernel/kptr_restrict"), "0\n").unwrap();
        fs::write(kernel.join("kernel/yama/ptrace_scope"), "0\n").unwrap();
        let file = folder.path().join("sysctl.conf");
        fs::write(
            &file,
            "# reason\nkernel.kptr_restrict = 2\n\nkernel.yama.ptrace_scope=3\nkernel.modules_disabled = 1\n\
             kernel/../../x = 1\nnonsense\n",
        )
        .unwrap();
        let outcome = apply(&file, &kernel).unwrap();
        assert_eq!(outcome.applied, 2);
        assert_eq!(outcome.absent, ["kernel.modules_disabled"]);
        assert_eq!(outcome.refused.len(), 2, "{outcome:?}");
        // Files keep what follows the value that is written over; a switch of the kernel does not.
        assert_eq!(fs::read_to_string(kernel.join("kernel/kptr_restrict")).unwrap(), "2\n");
        assert_eq!(fs::read_to_string(kernel.join("kernel/yama/ptrace_scope")).unwrap(), "3\n");
        assert!(!kernel.join("kernel/modules_disabled").exists());
    }

    #[test]
    fn the_switches_that_ship_are_all_well_formed_and_have_each_key_once() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../overlay/etc/adit/sysctl.conf");
        let outcome = apply(&file, Path::new("/nonexistent")).unwrap();
        assert_eq!((outcome.applied, outcome.refused), (0, vec![]));
        let mut keys = outcome.absent.clone();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), outcome.absent.len());
        assert!(keys.len() > 30);
    }
}
