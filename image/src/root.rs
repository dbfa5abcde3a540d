//! The root file system: overlay folders and programs, composed, packed into EROFS, with its hash tree behind it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use adit_slots::manifest::{Release, Root};
use adit_slots::verity::{BLOCK_BYTES, Salt};
use adit_slots::{Tree, TreeBuilder};

use crate::board::Board;
use crate::elf;
use crate::error::{At as _, Error, Result};
use crate::names;
use crate::progress::step;
use crate::services::Program;
use crate::tool::Tool;

/// Folders that adit-init mounts something on.
const MOUNT_POINTS: [&str; 6] = ["data", "dev", "proc", "run", "sys", "tmp"];

/// Files that change on a read-only root: their places and what they lead to. adit-network writes the name servers.
const LINKS: [(&str, &str); 1] = [("etc/resolv.conf", "/run/adit/resolv.conf")];

/// Level 12 of LZ4 and clusters of 64 KiB: the smallest result whose decompression still costs little on one core.
const COMPRESSION: [&str; 2] = ["-zlz4hc,12", "-C65536"];

/// Fixed: a salt makes trees of different products differ, it is no secret.
fn salt(board: &Board) -> Salt {
    names::bytes(&["root salt", &board.name])
}

/// What a root file system is made from.
pub(crate) struct RootInputs<'a> {
    pub(crate) board: &'a Board,
    pub(crate) release: &'a Release,
    pub(crate) programs: &'a [Program],
    /// Folders laid over each other, the later ones on top.
    pub(crate) overlays: &'a [PathBuf],
}

/// Writes the root image (file system and hash tree) to `image`.
pub(crate) fn build(inputs: &RootInputs<'_>, work: &Path, image: &Path) -> Result<Root> {
    let tree = work.join("root");
    step("root file system composed", || compose(inputs, &tree))?;
    step("root file system packed", || pack(inputs.board, &tree, image))?;
    step("hash tree", || append_tree(image, salt(inputs.board)))
}

fn compose(inputs: &RootInputs<'_>, tree: &Path) -> Result<()> {
    make_folder(tree)?;
    for name in MOUNT_POINTS {
        make_folder(&tree.join(name))?;
    }
    for (place, target) in LINKS {
        let place = tree.join(place);
        make_folder(place.parent().expect("every link is in a folder"))?;
        std::os::unix::fs::symlink(target, &place).at("linking", &place)?;
    }
    for (relative, source) in contents(inputs.overlays)? {
        place(&fs::read(&source).at("reading", &source)?, &tree.join(relative), 0o644)?;
    }
    for program in inputs.programs {
        elf::check_static(&program.file, &inputs.board.target)?;
        let bytes = fs::read(&program.file).at("reading", &program.file)?;
        let relative = Path::new(&program.destination);
        let relative = relative.strip_prefix("/").unwrap_or(relative);
        place(&bytes, &tree.join(relative), 0o755)?;
    }
    let Release { version, built } = inputs.release;
    let board = &inputs.board.name;
    let os_release = format!(
        "NAME=Adit\nID=adit\nVERSION_ID={version}\nPRETTY_NAME=\"Adit {version}\"\nVARIANT_ID={board}\n"
    );
    place(os_release.as_bytes(), &tree.join("etc/os-release"), 0o644)?;
    let release = serde_json::json!({
        "board": board, "version": version, "built": built, "layout": inputs.board.layout,
    });
    place(format!("{release:#}\n").as_bytes(), &tree.join("etc/adit/release.json"), 0o644)
}

/// What overlays put into the root file system: where, and from which file. Errors: a machine profile that the driver would refuse.
pub(crate) fn contents(overlays: &[PathBuf]) -> Result<BTreeMap<PathBuf, PathBuf>> {
    let mut contents = BTreeMap::new();
    for overlay in overlays {
        contents.extend(files(overlay)?);
    }
    let machines = Path::new(adit_profile::DIRECTORY.trim_start_matches('/'));
    for (relative, source) in &contents {
        if relative.parent() == Some(machines) && relative.extension().is_some_and(|kind| kind == "toml") {
            adit_profile::Profile::load(source)?;
        }
    }
    Ok(contents)
}

/// Every file below an overlay folder, by its path inside, in a fixed order. Links and devices are refused: what an image
/// contains should be what the folder shows.
fn files(overlay: &Path) -> Result<BTreeMap<PathBuf, PathBuf>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![overlay.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).at("reading", &folder)? {
            let entry = entry.at("reading", &folder)?;
            let kind = entry.file_type().at("reading", &entry.path())?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let relative = entry.path().strip_prefix(overlay).map(Path::to_owned);
                found.insert(relative.expect("found below the overlay"), entry.path());
            } else {
                return Err(Error::file(
                    &entry.path(),
                    "is neither a file nor a folder: overlays hold only those",
                ));
            }
        }
    }
    Ok(found)
}

/// Makes a folder and those above it that are missing, with a mode that does not depend on the builder's umask.
fn make_folder(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent() {
        make_folder(above)?;
    }
    fs::create_dir(path).at("creating", path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).at("marking", path)
}

/// Writes a file, over an earlier one of the same path, with a mode that does not depend on the builder's umask.
fn place(bytes: &[u8], path: &Path, mode: u32) -> Result<()> {
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    let mut file = File::options().write(true).create(true).truncate(true).mode(mode).open(path);
    file.as_mut().map_or(Ok(()), |file| file.write_all(bytes)).at("writing", path)?;
    file.at("creating", path)?.set_permissions(fs::Permissions::from_mode(mode)).at("marking", path)
}

fn pack(board: &Board, tree: &Path, image: &Path) -> Result<()> {
    Tool::new("mkfs.erofs", "erofs-utils")
        .args(COMPRESSION)
        .args(["--all-root", "-T0", "-x-1", "--quiet"])
        .arg(format!("-U{}", names::uuid(&["root", &board.name])))
        .arg(image)
        .arg(tree)
        .run()?;
    Ok(())
}

/// Fills the image up to whole blocks and appends its hash tree.
fn append_tree(image: &Path, salt: Salt) -> Result<Root> {
    let mut data = fs::read(image).at("reading", image)?;
    data.resize(data.len().next_multiple_of(BLOCK_BYTES), 0);
    let mut builder = TreeBuilder::new(salt);
    builder.push(&data);
    let tree: Tree = builder.finish()?;
    data.extend_from_slice(tree.bytes());
    fs::write(image, &data).at("writing", image)?;
    Ok(Root::describe(&tree, salt))
}
