//! The kernel's command line, which the slot's signed device tree carries.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use adit_slots::Slot;

/// The kernel's own limit on the boards that we know (COMMAND_LINE_SIZE).
const MAX_BYTES: u64 = 4096;
const MAX_VALUE: usize = 64;

/// What the command line says about this boot; what it does not say is `None`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    pub slot: Option<Slot>,
    pub board: Option<String>,
    pub machine: Option<String>,
    pub root: Root,
    /// Parameters that begin with `adit.` and were not understood.
    pub refused: Vec<String>,
}

/// How the root file system is mounted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// Every block is checked against the signed root hash.
    Verity,
    #[default]
    Plain,
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Root::Verity => "verity",
            Root::Plain => "plain",
        })
    }
}

impl CommandLine {
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut bytes = Vec::new();
        File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
        Ok(Self::parse(&String::from_utf8_lossy(&bytes)))
    }

    pub fn parse(text: &str) -> Self {
        let mut found = CommandLine::default();
        for word in words(text) {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            let understood = match key {
                "adit.slot" => {
                    found.slot = Slot::BOTH.into_iter().find(|slot| slot.suffix() == value);
                    found.slot.is_some()
                }
                "adit.board" => set_name(&mut found.board, value),
                "adit.machine" => set_name(&mut found.machine, value),
                // `name,uuid,minor,flags,start sectors target …`; set up by the kernel before it mounts the root.
                "dm-mod.create" => {
                    if value.split_whitespace().any(|part| part == "verity") {
                        found.root = Root::Verity;
                    }
                    true
                }
                _ => !key.starts_with("adit."),
            };
            if !understood {
                found.refused.push(word.chars().take(MAX_VALUE).collect());
            }
        }
        found
    }
}

/// Words end at spaces outside double quotes, as the kernel splits them; the quotes around a value are taken off.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let ends = move |c: char| {
        if c == '"' {
            quoted = !quoted;
        }
        c.is_whitespace() && !quoted
    };
    text.split(ends).filter(|word| !word.is_empty()).map(|word| word.trim_matches('"'))
}

/// Names become parts of paths: small letters, digits and hyphens only.
fn set_name(place: &mut Option<String>, value: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let good = !value.is_empty() && value.len() <= MAX_VALUE && value.chars().all(plain);
    if good {
        *place = Some(value.to_owned());
    }
    good
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_units_command_line_says_slot_board_machine_and_root() {
        let found = CommandLine::parse(
            "console=ttyAMA0 ro root=/dev/dm-0 dm-mod.create=\"root,,0,ro,0 32768 verity 1 PARTLABEL=root_b PARTLABEL=root_b 4096 4096 4096 4097 \
             sha256 aa bb 1 restart_on_corruption\" adit.slot=b adit.board=qemu-aarch64 adit.machine=qemu-bitaxe init=/sbin/adit-init\n",
        );
        assert_eq!(
            found,
            CommandLine {
                slot: Some(Slot::B),
                board: Some("qemu-aarch64".into()),
                machine: Some("qemu-bitaxe".into()),
                root: Root::Verity,
                refused: vec![],
            }
        );
    }

    #[test]
    fn names_that_could_leave_their_folder_are_refused() {
        let long = format!("adit.machine={}", "a".repeat(65));
        for word in
            ["adit.machine=../../data/x", "adit.machine=", "adit.board=A", "adit.slot=c", "adit.x", &long]
        {
            let found = CommandLine::parse(word);
            assert_eq!((found.slot, found.board, found.machine), (None, None, None), "{word}");
            assert_eq!(found.refused.len(), 1, "{word}");
        }
    }

    #[test]
    fn verity_in_another_parameter_is_not_a_verified_root() {
        assert_eq!(CommandLine::parse("quiet note=verity root=/dev/vda4").root, Root::Plain);
    }
}
