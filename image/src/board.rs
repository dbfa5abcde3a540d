//! Control boards as data: what `image/boards/NAME/board.toml` says, checked; paths in it are relative to `image/boards`.

mod source_tree;

use std::fs;
use std::path::{Path, PathBuf};

use adit_slots::Slot;
use adit_slots::manifest::Root;
use serde::Deserialize;

use crate::error::{At as _, Error, Result};
pub use source_tree::SourceTree;

/// A control board. Lengths are bytes unless the name says otherwise.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    pub name: String,
    /// Machine profile of the simulated machine.
    pub machine: String,
    /// Rust target triple.
    pub target: String,
    /// Partition layout's number in slot manifests.
    pub layout: u32,
    pub kernel: KernelRecipe,
    pub fit: Fit,
    pub uboot: UBoot,
    #[serde(rename = "partition")]
    pub partitions: Vec<Partition>,
    /// How to emulate the board.
    pub qemu: Option<Qemu>,
    /// `image/boards`.
    #[serde(skip)]
    boards: PathBuf,
}

/// How the board's kernel is built.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelRecipe {
    /// As the kernel's makefiles name the architecture.
    pub arch: String,
    pub cross_compile: String,
    fragments: Vec<PathBuf>,
    test_fragment: PathBuf,
    pub make_target: String,
    /// What `make_target` makes, relative to the build folder.
    pub image: PathBuf,
    /// Largest kernel in a boot image.
    pub compressed_bytes_max: u64,
}

/// How U-Boot starts the kernel.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fit {
    /// As U-Boot names the architecture.
    pub arch: String,
    pub compression: Compression,
    /// Where U-Boot unpacks the kernel, and where it jumps to.
    pub load: u32,
    pub entry: u32,
    device_tree: PathBuf,
    /// The kernel's command line; `{slot}`, `{board}`, `{machine}` and `{root_table}` are filled in.
    bootargs: String,
    /// Device-mapper table of the root; `{slot}`, `{sectors}`, `{blocks}`, `{root_hash}` and `{salt}` are filled in.
    root_table: String,
}

/// How the kernel lies in the boot image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    Gzip,
    None,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UBoot {
    script: PathBuf,
    pub script_arch: String,
    environment: PathBuf,
    pub environment_bytes: u64,
    /// U-Boot itself, where a distribution packages it.
    pub binary: PathBuf,
}

/// One partition; they lie one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    pub name: String,
    mib: u64,
    pub content: Content,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// What the loader reads.
    Fat,
    /// Both copies of the boot state.
    State,
    /// A slot's boot image.
    Fit,
    /// A slot's root file system and hash tree.
    Root,
    /// The unit's data.
    Ext4,
}

/// How the board is emulated; `{…}` in the arguments stand for the files of a build.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Qemu {
    pub binary: String,
    pub memory_mib: u64,
    pub flash_mib: u64,
    pub arguments: Vec<String>,
    pub buses: Buses,
}

/// Further arguments of the emulator for buses that end outside of it: `{number}` counts from 0, `{socket}` is where somebody listens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Buses {
    /// Once, with any I²C or GPIO.
    pub memory: Vec<String>,
    pub i2c: Vec<String>,
    pub gpio: Vec<String>,
    /// Once, with any USB port.
    pub usb_controller: Vec<String>,
    pub usb: Vec<String>,
}

impl Partition {
    pub fn bytes(&self) -> u64 {
        self.mib << 20
    }
}

impl KernelRecipe {
    /// Debian's package of the compiler.
    pub(crate) fn compiler_package(&self) -> &'static str {
        match self.cross_compile.as_str() {
            "aarch64-linux-gnu-" => "gcc-aarch64-linux-gnu",
            "arm-linux-gnueabihf-" => "gcc-arm-linux-gnueabihf",
            _ => "gcc",
        }
    }
}

impl Board {
    /// Reads `board.toml` of the board `name` below `boards`.
    fn read(boards: &Path, name: &str) -> Result<Self> {
        let path = boards.join(name).join("board.toml");
        let text = fs::read_to_string(&path).at("reading", &path)?;
        let mut board: Board = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            Error::input(format!("{}:{line}", path.display()), error.message())
        })?;
        board.boards = boards.to_owned();
        board.check(name).map_err(|problem| Error::file(&path, problem))?;
        Ok(board)
    }

    fn check(&self, folder: &str) -> std::result::Result<(), String> {
        if self.name != folder {
            return Err(format!("name is {:?}, its folder says {folder:?}", self.name));
        }
        for (name, content) in [
            ("loader", Content::Fat),
            ("bootstate", Content::State),
            ("boot_a", Content::Fit),
            ("root_a", Content::Root),
            ("boot_b", Content::Fit),
            ("root_b", Content::Root),
            ("data", Content::Ext4),
        ] {
            match self.partitions.iter().filter(|partition| partition.name == name).collect::<Vec<_>>()[..] {
                [partition] if partition.content != content => {
                    return Err(format!(
                        "partition {name} has content {:?}, not {content:?}",
                        partition.content
                    ));
                }
                [partition] if !(1..=1 << 20).contains(&partition.mib) => {
                    return Err(format!("partition {name} has {} MiB, expected 1 to 1048576", partition.mib));
                }
                [_] => {}
                [] => return Err(format!("there is no partition {name}")),
                _ => return Err(format!("there are several partitions {name}")),
            }
        }
        if self.partitions.len() > 7 {
            return Err("there are partitions that nothing fills: seven are known".to_owned());
        }
        for kind in ["boot", "root"] {
            if self.partition(kind, Slot::A).mib != self.partition(kind, Slot::B).mib {
                return Err(format!("{kind}_a and {kind}_b differ in size: a release must fit either"));
            }
        }
        Ok(())
    }

    /// The partition of this kind ("boot", "root") for `slot`.
    pub fn partition(&self, kind: &str, slot: Slot) -> &Partition {
        let name = format!("{kind}_{}", slot.suffix());
        let found = self.partitions.iter().find(|partition| partition.name == name);
        found.expect("`check` has found every partition")
    }

    pub(crate) fn kernel_fragments(&self, test: bool) -> Vec<PathBuf> {
        let test = test.then_some(&self.kernel.test_fragment);
        self.kernel.fragments.iter().chain(test).map(|path| self.boards.join(path)).collect()
    }

    pub(crate) fn device_tree(&self) -> PathBuf {
        self.boards.join(&self.fit.device_tree)
    }

    pub(crate) fn boot_script(&self) -> PathBuf {
        self.boards.join(&self.uboot.script)
    }

    pub(crate) fn environment(&self) -> PathBuf {
        self.boards.join(&self.uboot.environment)
    }

    /// The kernel's command line for `root` in `slot`.
    pub(crate) fn arguments(&self, root: &Root, slot: Slot) -> Result<String> {
        let number = |value: u64| value.to_string();
        let root_table = self.fill(
            &self.fit.root_table,
            &[
                ("slot", slot.suffix()),
                ("sectors", &number(root.bytes / 512)),
                ("blocks", &number(root.data_blocks)),
                ("root_hash", &hex::encode(root.root_hash)),
                ("salt", &hex::encode(root.salt)),
            ],
        )?;
        self.fill(
            &self.fit.bootargs,
            &[
                ("slot", slot.suffix()),
                ("board", &self.name),
                ("machine", &self.machine),
                ("root_table", &root_table),
            ],
        )
    }

    /// `template` with every `{name}` replaced by its value; one that is not known is an error.
    pub(crate) fn fill(&self, template: &str, values: &[(&str, &str)]) -> Result<String> {
        let mut filled = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            let Some((_, value)) = values.iter().find(|(known, _)| *known == name) else {
                let known: Vec<_> = values.iter().map(|(known, _)| format!("{{{known}}}")).collect();
                let path = self.boards.join(&self.name).join("board.toml");
                let problem = format!("{{{name}}} stands for nothing here, only {} do", known.join(", "));
                return Err(Error::file(&path, problem));
            };
            filled.push_str(before);
            filled.push_str(value);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }
}
