//! The programs of an image: static musl binaries, cross-compiled with zig.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::board::SourceTree;
use crate::cache::{Cache, Key};
use crate::elf;
use crate::error::{At as _, Result};
use crate::progress::long_step;
use crate::rust::{self, Rustc, StandardLibrary};
use crate::tool::Tool;

/// A program and its place in the root file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Absolute path on the unit.
    pub destination: String,
    pub file: PathBuf,
}

/// The packages that an image contains; each becomes `/sbin/NAME`.
pub const PACKAGES: [&str; 5] = ["adit-init", "adit-hardware", "adit-miner", "adit-network", "adit-gateway"];

/// Which standard library the programs are built with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RustStd {
    /// rustup's where there is one, else from source.
    #[default]
    Any,
    /// From source, to try that way where rustup would help.
    Source,
}

/// A cross build for one target.
pub struct CrossBuild<'a> {
    source: &'a SourceTree,
    target: String,
    cache: &'a Cache,
    zig: PathBuf,
    library: StandardLibrary,
    rustc: Rustc,
}

impl<'a> CrossBuild<'a> {
    /// Finds or installs what the build needs.
    pub fn prepare(source: &'a SourceTree, target: &str, std: RustStd, cache: &'a Cache) -> Result<Self> {
        let rustc = Rustc::find(source.root())?;
        let zig = rust::zig(cache)?;
        let library = match std {
            RustStd::Any => rust::standard_library(source.root(), target, &rustc, cache)?,
            RustStd::Source => rust::source_library(source.root(), &rustc, cache)?,
        };
        Ok(CrossBuild { source, target: target.to_owned(), cache, zig, library, rustc })
    }

    /// Builds `packages` and copies each binary into `out`.
    pub fn build(&self, packages: &[&str], out: &Path) -> Result<Vec<Program>> {
        fs::create_dir_all(out).at("creating", out)?;
        let (target_dir, name) = self.target_dir()?;
        // Held until the copies are made: another source tree may build into the same folder next.
        let _lock = self.cache.lock(&name)?;
        self.run("zigbuild", packages, &target_dir)?;
        packages
            .iter()
            .map(|package| {
                let built = target_dir.join(&self.target).join("release").join(package);
                elf::check_static(&built, &self.target)?;
                let file = out.join(package);
                fs::copy(&built, &file).at("copying", &built)?;
                fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).at("marking", &file)?;
                Ok(Program { destination: format!("/sbin/{package}"), file })
            })
            .collect()
    }

    /// Compiles `packages` as far as errors can be found, without linking.
    pub fn check(&self, packages: &[&str]) -> Result<()> {
        let (target_dir, name) = self.target_dir()?;
        let _lock = self.cache.lock(&name)?;
        self.run("check", packages, &target_dir)
    }

    /// One folder per compiler, so that the standard library and the dependencies are compiled once per machine.
    fn target_dir(&self) -> Result<(PathBuf, String)> {
        let key = Key::default().with("rustc", &self.rustc.identity);
        let place = self.cache.place("cross", key);
        let name = place.file_name().expect("places are made by `place`").to_string_lossy().into_owned();
        Ok((self.cache.subfolder(&name)?, name))
    }

    /// cargo names what it built of a source tree by its path inside the tree, and takes it for fresh when the files are older: what
    /// another tree left behind in this folder could pass for ours. So a tree that comes after another compiles its own crates anew.
    fn leave_to_one_tree(&self, target_dir: &Path) -> Result<()> {
        let owner = target_dir.join("tree");
        let root = self.source.root().as_os_str().as_encoded_bytes();
        if fs::read(&owner).is_ok_and(|last| last == root) {
            return Ok(());
        }
        for target in [Path::new("release"), &Path::new(&self.target).join("release")] {
            let fingerprints = target_dir.join(target).join(".fingerprint");
            let Ok(entries) = fs::read_dir(&fingerprints) else { continue };
            for entry in entries {
                let entry = entry.at("reading", &fingerprints)?;
                if entry.file_name().to_string_lossy().starts_with("adit-") {
                    fs::remove_dir_all(entry.path()).at("removing", &entry.path())?;
                }
            }
        }
        fs::write(&owner, root).at("writing", &owner)
    }

    fn run(&self, command: &str, packages: &[&str], target_dir: &Path) -> Result<()> {
        self.leave_to_one_tree(target_dir)?;
        let cargo_home = std::env::var_os("CARGO_HOME").map_or_else(
            || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cargo"),
            PathBuf::from,
        );
        // Paths in panic messages: those of dependencies are absolute. The source tree's own are relative already, and
        // naming it here would rebuild everything for every clone.
        let mut flags = vec![format!("--remap-path-prefix={}=/cargo", cargo_home.display())];
        let zigbuild = self.zig.join("bin/cargo-zigbuild");
        let mut cargo = rust::toolchain(Tool::new(zigbuild, "python3-venv")).dir(self.source.root());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CARGO_PROFILE_") {
                cargo = cargo.without_env(name);
            }
        }
        cargo = cargo
            .without_env("CARGO_ENCODED_RUSTFLAGS")
            .without_env("CARGO_BUILD_TARGET")
            .env("CARGO_ZIGBUILD_ZIG_PATH", self.zig.join("ziglang/zig"))
            .env("CARGO_ZIGBUILD_CACHE_DIR", self.cache.subfolder("zigbuild")?)
            .env("ZIG_GLOBAL_CACHE_DIR", self.cache.subfolder("zig-objects")?)
            .env("ZIG_LOCAL_CACHE_DIR", self.cache.subfolder("zig-objects")?)
            .env("CARGO_TARGET_DIR", target_dir)
            .args([command, "--locked", "--release", "--target", &self.target]);
        let warning = match &self.library {
            StandardLibrary::Prebuilt => "compiling for the board",
            StandardLibrary::Source(library) => {
                // zig brings the C library's start files.
                flags.push("-Clink-self-contained=no".to_owned());
                flags.push(format!("--remap-path-prefix={}=/rust/library", library.display()));
                cargo = cargo
                    .env("RUSTC_BOOTSTRAP", "1")
                    // The one way to name another source than the toolchain's own folder, which is not ours to change.
                    .env("__CARGO_TESTS_ONLY_SRC_ROOT", library)
                    .arg("-Zbuild-std=std,panic_abort");
                "compiling for the board, the standard library too the first time"
            }
        };
        for package in packages {
            cargo = cargo.args(["--package", package]);
        }
        let cargo = cargo.env("RUSTFLAGS", flags.join(" "));
        let log = target_dir.join("build.log");
        let is_crate = |line: &str| line.starts_with("Compiling ") || line.starts_with("Checking ");
        long_step(&format!("programs for {}", self.target), warning, || {
            cargo.run_counting("crates", is_crate, &log)
        })
    }
}
