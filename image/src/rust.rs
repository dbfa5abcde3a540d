//! What it takes to build static Rust programs for a board: zig as linker and C compiler, and a standard library.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::cache::{self, Cache, Key};
use crate::error::{At as _, Error, Result};
use crate::progress::{long_step, step};
use crate::tool::Tool;

/// Pinned wheels from PyPI, for x86_64 and aarch64 machines.
const WHEELS: &str = "\
ziglang==0.17.1 \
  --hash=sha256:ea6cc5d87b033cf0aedfbc8f9549a908cae6c50ac31f1698188fa48a74524b54 \
  --hash=sha256:b7c5f02fccd40f89b999ee16a1f5ddced56e6182370f8affe494bcf8a28cf07e
cargo-zigbuild==0.24.0 \
  --hash=sha256:484412e39e4c6039474535ce97ee75a22bab22d58233056f8ec8a8f9034bb957 \
  --hash=sha256:6942e4320f7b05d8fb29e0a8ce5670bcbb3d254275100b85b5b7c86552f9a744
";

/// Debian suite that carries the standard library's source in the version of recent Rust releases.
const SOURCE_SUITE: &str = "trixie-backports";

/// Where the standard library of a target comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StandardLibrary {
    /// rustup has installed a built one.
    Prebuilt,
    /// This `library` folder, compiled with the programs.
    Source(PathBuf),
}

/// The compiler that cargo uses in a source tree.
pub(crate) struct Rustc {
    /// `1.95.0`.
    pub(crate) release: String,
    /// What `rustc -vV` prints: everything that tells compilers apart.
    pub(crate) identity: String,
}

impl Rustc {
    pub(crate) fn find(source_tree: &Path) -> Result<Self> {
        let identity = rustc(source_tree).arg("-vV").run()?;
        let release = identity.lines().find_map(|line| line.strip_prefix("release: "));
        let release = release
            .ok_or_else(|| Error::input("rustc -vV", "prints no release: install Rust with rustup"))?;
        Ok(Rustc { release: release.to_owned(), identity: identity.clone() })
    }
}

fn rustc(source_tree: &Path) -> Tool {
    toolchain(Tool::new("rustc", "rustup")).dir(source_tree)
}

/// Lets rustup choose by the source tree's `rust-toolchain.toml`, also when cargo itself has started us.
pub(crate) fn toolchain(tool: Tool) -> Tool {
    ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTC", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"]
        .into_iter()
        .fold(tool, |tool, name| tool.without_env(name))
}

/// The folder with `bin/cargo-zigbuild` and `ziglang/zig`.
pub(crate) fn zig(cache: &Cache) -> Result<PathBuf> {
    let place = cache.place("zig", Key::default().with("wheels", WHEELS));
    if !place.exists() {
        long_step("zig", "downloading it from PyPI", || {
            cache.product(&place, |product| {
                let list = product.join("requirements.txt");
                fs::write(&list, WHEELS).at("writing", &list)?;
                // Debian's Python has no pip of its own and lets none write into it.
                let pip = product.join("pip");
                Tool::new("python3", "python3-venv").args(["-m", "venv"]).arg(&pip).run()?;
                Tool::new(pip.join("bin/python"), "python3-venv")
                    .args(["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"])
                    .args(["--require-hashes", "--target"])
                    .arg(product)
                    .arg("--requirement")
                    .arg(&list)
                    .run()?;
                cache::remove(&pip)
            })
        })?;
    }
    Ok(place)
}

/// A standard library for `target`: rustup's where it has or gets one, else source from Debian.
pub(crate) fn standard_library(
    source_tree: &Path,
    target: &str,
    rustc: &Rustc,
    cache: &Cache,
) -> Result<StandardLibrary> {
    if has_prebuilt(source_tree, target)? || rustup_adds(source_tree, target)? {
        Ok(StandardLibrary::Prebuilt)
    } else {
        source_library(source_tree, rustc, cache)
    }
}

/// The source of the standard library: the toolchain's own component, else Debian's package.
pub(crate) fn source_library(source_tree: &Path, rustc: &Rustc, cache: &Cache) -> Result<StandardLibrary> {
    let in_sysroot = sysroot(source_tree)?.join("lib/rustlib/src/rust/library");
    if in_sysroot.join("Cargo.lock").exists() {
        return Ok(StandardLibrary::Source(in_sysroot));
    }
    debian_source(rustc, cache).map(StandardLibrary::Source)
}

fn sysroot(source_tree: &Path) -> Result<PathBuf> {
    Ok(rustc(source_tree).args(["--print", "sysroot"]).run()?.trim().into())
}

fn has_prebuilt(source_tree: &Path, target: &str) -> Result<bool> {
    let folder = rustc(source_tree).args(["--print", "target-libdir", "--target", target]).run()?;
    let Ok(entries) = fs::read_dir(folder.trim()) else { return Ok(false) };
    Ok(entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-")))
}

/// Asks rustup for the target; anything that keeps it from that is no error, there is another way.
fn rustup_adds(source_tree: &Path, target: &str) -> Result<bool> {
    let added = step(&format!("standard library for {target} asked of rustup"), || {
        let rustup = toolchain(Tool::new("timeout", "coreutils").args(["300", "rustup"])).dir(source_tree);
        rustup.args(["target", "add", target]).succeeds()
    })?;
    Ok(added && has_prebuilt(source_tree, target)?)
}

/// Source of the standard library, of exactly the compiler's release, as Debian packages it: apt checks its signatures.
fn debian_source(rustc: &Rustc, cache: &Cache) -> Result<PathBuf> {
    let place = cache.place("rust-src", Key::default().with("release", &rustc.release));
    if !place.exists() {
        let suite = format!("downloading rust-src {} from Debian {SOURCE_SUITE}", rustc.release);
        long_step("standard library's source", &suite, || {
            cache.product(&place, |product| download_source(&rustc.release, product))
        })?;
    }
    Ok(place.join("library"))
}

fn download_source(release: &str, product: &Path) -> Result<()> {
    let apt = product.join("apt");
    for folder in ["lists/partial", "archives/partial"] {
        let folder = apt.join(folder);
        fs::create_dir_all(&folder).at("creating", &folder)?;
    }
    let sources = apt.join("sources.list");
    let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let line = format!("deb [signed-by={keyring}] {} {SOURCE_SUITE} main\n", debian_mirror()?);
    fs::write(&sources, line).at("writing", &sources)?;
    let config = apt.join("apt.conf");
    let settings = format!(
        "Dir::Etc::SourceList \"{}\";\nDir::Etc::SourceParts \"-\";\nDir::Etc::Preferences \"-\";\n\
         Dir::Etc::PreferencesParts \"-\";\nDir::State::Lists \"{}\";\nDir::Cache \"{}\";\n\
         Acquire::Languages \"none\";\nAPT::Sandbox::User \"root\";\n",
        sources.display(),
        apt.join("lists").display(),
        apt.display(),
    );
    fs::write(&config, settings).at("writing", &config)?;
    let run = |program: &str, args: &[&str]| {
        Tool::new(program, "apt debian-archive-keyring").env("APT_CONFIG", &config).args(args).dir(&apt).run()
    };
    run("apt-get", &["update"])?;
    // "rust-src | 1.95.0+dfsg1-2~bpo13+1 | …", newest first.
    let versions = run("apt-cache", &["madison", "rust-src"])?;
    let version = versions
        .lines()
        .filter_map(|line| line.split('|').nth(1).map(str::trim))
        .find(|version| version.split('+').next() == Some(release));
    let Some(version) = version else {
        let problem = format!("has no rust-src {release}: try `rustup component add rust-src`");
        return Err(Error::input(format!("Debian {SOURCE_SUITE}"), problem));
    };
    run("apt-get", &["download", &format!("rust-src={version}")])?;
    let package = fs::read_dir(&apt)
        .at("reading", &apt)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .ok_or_else(|| Error::file(&apt, "apt-get download has left no package"))?;
    unpack_library(&package, product)?;
    cache::remove(&apt)
}

/// Takes the folder `library` alone out of the package: the compiler's own source is five times as much.
fn unpack_library(package: &Path, product: &Path) -> Result<()> {
    let mut reader = Tool::new("dpkg-deb", "dpkg").arg("--fsys-tarfile").arg(package).into_command();
    let mut reader = reader.stdout(Stdio::piped()).spawn().at("unpacking", package)?;
    let archive = reader.stdout.take().expect("the output is piped");
    let mut tar = Tool::new("tar", "tar")
        .args(["-x", "-f", "-", "--strip-components=4", "-C"])
        .arg(product)
        .args(["--wildcards", "--no-wildcards-match-slash", "./usr/src/rustc-*/library"])
        .into_command();
    let unpacked = tar.stdin(archive).status().at("starting", Path::new("tar"))?;
    let read = reader.wait().at("waiting for", Path::new("dpkg-deb"))?;
    if unpacked.success() && read.success() && product.join("library/Cargo.lock").is_file() {
        Ok(())
    } else {
        Err(Error::file(package, "does not hold the standard library's source where it is looked for"))
    }
}

fn debian_mirror() -> Result<String> {
    let mirror = Tool::new("sh", "dash").args(["-c", include_str!("../debian-mirror")]).run()?;
    Ok(mirror.trim().to_owned())
}
