//! What runs here: release and slot, read once.

use std::{fs::File, io::Read, path::Path};

use serde::Deserialize;

/// More than the kernel's command line or a release's description ever is.
const MAX_BYTES: u64 = 16 * 1024;

/// Absent where the image does not say, as on a computer that is no unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Release, as in `/etc/adit/release.json`.
    pub version: Option<String>,
    /// Control board.
    pub board: Option<String>,
    /// `a` or `b`: the slot that this boot came from.
    pub slot: Option<String>,
}

#[derive(Deserialize)]
struct Release {
    version: String,
    board: String,
}

impl Identity {
    /// Reads below `root`: `/` on a unit.
    pub fn read(root: &Path) -> Self {
        let release = text(&root.join("etc/adit/release.json"))
            .and_then(|text| serde_json::from_str::<Release>(&text).ok());
        let (version, board) = release.map(|release| (release.version, release.board)).unzip();
        let slot = text(&root.join("proc/cmdline")).and_then(|line| slot(&line));
        Self { version, board, slot }
    }
}

fn text(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(MAX_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The signed command line says `adit.slot=a` or `adit.slot=b`.
fn slot(command_line: &str) -> Option<String> {
    let value = command_line.split_whitespace().find_map(|word| word.strip_prefix("adit.slot="))?;
    ["a", "b"].contains(&value).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_and_slot_are_what_the_image_and_the_command_line_say() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Identity::read(root.path()), Identity::default());
        for folder in ["etc/adit", "proc"] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        let release = r#"{"board": "qemu-aarch64", "version": "0.1.0+g1", "built": 1, "layout": 1}"#;
        std::fs::write(root.path().join("etc/adit/release.json"), release).unwrap();
        let line = "root=/dev/dm-0 adit.slot=b adit.board=qemu-aarch64 quiet\n";
        std::fs::write(root.path().join("proc/cmdline"), line).unwrap();
        let identity = Identity::read(root.path());
        assert_eq!(identity.version.as_deref(), Some("0.1.0+g1"));
        assert_eq!(identity.board.as_deref(), Some("qemu-aarch64"));
        assert_eq!(identity.slot.as_deref(), Some("b"));
    }

    #[test]
    fn a_slot_that_does_not_exist_is_not_shown() {
        assert_eq!(slot("adit.slot=<script>"), None);
    }
}
