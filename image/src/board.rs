//! Control boards as data: what `image/boards/NAME/board.toml` says, and the files beside it.

use std::fs;
use std::path::{Path, PathBuf};

use adit_slots::Slot;
use adit_slots::manifest::Root;
use serde::Deserialize;

use crate::error::{At as _, Error, Result};

/// The project's source, found from any folder inside.
pub struct SourceTree {
    root: PathBuf,
}

impl SourceTree {
    /// The tree that contains `start`.
    pub fn containing(start: &Path) -> Result<Self> {
        let start = start.canonicalize().at("opening", start)?;
        let root = start.ancestors().find(|folder| folder.join("image/boards").is_dir());
        let root = root.ok_or_else(|| Error::file(&start, "is not inside Adit's source tree"))?;
        Ok(SourceTree { root: root.to_owned() })
    }

    /// The tree that contains the current folder.
    pub fn here() -> Result<Self> {
        Self::containing(Path::new("."))
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Files that go into every root file system as they are.
    pub fn overlay(&self) -> PathBuf {
        self.root.join("overlay")
    }

    /// Names of all boards.
    pub fn boards(&self) -> Result<Vec<String>> {
        let folder = self.root.join("image/boards");
        let mut names: Vec<_> = fs::read_dir(&folder)
            .at("reading", &folder)?
            .flatten()
            .filter(|entry| entry.path().join("board.toml").is_file())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    pub fn board(&self, name: &str) -> Result<Board> {
        let known = self.boards()?;
        if !known.iter().any(|board| board == name) {
            let problem = format!("is no board; there are {}", known.join(", "));
            return Err(Error::input(format!("{name:?}"), problem));
        }
        Board::read(&self.root.join("image/boards").join(name))
    }
}

/// A control board. Lengths are bytes.
#[derive(Debug, Clone)]
pub struct Board {
    pub name: String,
    folder: PathBuf,
    /// Partition layout's number in slot manifests.
    pub layout: u32,
    pub rust_target: String,
    pub kernel: KernelRecipe,
    pub partitions: Vec<Partition>,
    /// What stands in for the board's own flash, where the board is emulated.
    pub flash: Option<Flash>,
}

/// How the board's kernel is built and started.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelRecipe {
    /// As the kernel's makefiles name the architecture.
    pub arch: String,
    pub cross_compile: String,
    /// Makefile target and file name below `arch/ARCH/boot`.
    pub image: String,
    /// As U-Boot names the architecture.
    pub fit_arch: String,
    /// Where U-Boot unpacks the kernel, and where it jumps to.
    pub load: u32,
    pub entry: u32,
    /// The command line, with `{slot}` and `{verity}` to be filled in.
    pub arguments: String,
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

/// One partition; they lie one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    pub name: String,
    pub bytes: u64,
}

/// U-Boot's environment in a flash bank.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flash {
    pub bytes: u64,
    pub environment_offset: u64,
    pub environment_bytes: u64,
}

impl Board {
    fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("board.toml");
        let text = fs::read_to_string(&path).at("reading", &path)?;
        let file: BoardFile = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
            Error::input(format!("{}:{line}", path.display()), error.message())
        })?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Board {
            name,
            folder: folder.to_owned(),
            layout: file.layout,
            rust_target: file.rust_target,
            kernel: file.kernel,
            partitions: file
                .partitions
                .into_iter()
                .map(|p| Partition { name: p.name, bytes: p.mib << 20 })
                .collect(),
            flash: file.flash,
        })
    }

    pub fn partition(&self, name: &str) -> Result<&Partition> {
        let found = self.partitions.iter().find(|partition| partition.name == name);
        found.ok_or_else(|| self.no_partition(name))
    }

    pub(crate) fn no_partition(&self, name: &str) -> Error {
        Error::file(&self.folder.join("board.toml"), format!("has no partition {name}"))
    }

    pub(crate) fn kernel_fragments(&self, test: bool) -> Vec<PathBuf> {
        let common = self.folder.join("../common.fragment");
        let mut fragments = vec![common, self.folder.join("kernel.fragment")];
        if test {
            fragments.push(self.folder.join("../test.fragment"));
        }
        fragments
    }

    pub(crate) fn device_tree(&self) -> PathBuf {
        self.folder.join("board.dts")
    }

    pub(crate) fn boot_script(&self) -> PathBuf {
        self.folder.join("../boot.cmd")
    }

    pub(crate) fn environment(&self) -> PathBuf {
        self.folder.join("uboot.env")
    }

    /// The kernel's command line for `root` in `slot`.
    pub(crate) fn arguments(&self, root: &Root, slot: Slot) -> String {
        let target = root.dm_target(&format!("PARTLABEL=root_{}", slot.suffix()));
        let sectors = root.bytes / 512;
        let verity = format!("0 {sectors} verity {target}");
        self.kernel.arguments.replace("{verity}", &verity).replace("{slot}", slot.suffix())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BoardFile {
    layout: u32,
    rust_target: String,
    kernel: KernelRecipe,
    partitions: Vec<PartitionEntry>,
    flash: Option<Flash>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartitionEntry {
    name: String,
    mib: u64,
}
