//! What stands in for a board's own flash in emulation, and the arguments that start it all.

use std::fs;
use std::path::{Path, PathBuf};

use crate::board::{Board, Qemu};
use crate::disk::SparseFile;
use crate::error::{At as _, Error, Result};
use crate::fit;
use crate::keys::SigningKey;
use crate::progress::step;
use crate::tool::Tool;

/// Writes the image of the flash bank that begins with U-Boot's environment.
pub fn flash(board: &Board, qemu: &Qemu, image: &Path) -> Result<()> {
    step("U-Boot environment", || {
        let folder = tempfile::tempdir().at("creating a folder in", &std::env::temp_dir())?;
        let block = folder.path().join("environment");
        Tool::new("mkenvimage", "u-boot-tools")
            .args(["-s", &board.uboot.environment_bytes.to_string(), "-o"])
            .arg(&block)
            .arg(board.environment())
            .run()?;
        let block = fs::read(&block).at("reading", &block)?;
        SparseFile::create(image, qemu.flash_mib << 20)?.write(0, &block)
    })
}

/// Writes the device tree that U-Boot runs with, the public key inside.
pub fn control_tree(board: &Board, key: &SigningKey, tree: &Path) -> Result<()> {
    step("control device tree", || {
        let work = tempfile::tempdir().at("creating a folder in", &std::env::temp_dir())?;
        fit::control_tree(board, key, work.path(), tree)
    })
}

/// What an emulated unit is started from; `flash` and `disk` are written to.
#[derive(Debug, Clone, Copy)]
pub struct QemuFiles<'a> {
    pub control_tree: &'a Path,
    pub flash: &'a Path,
    pub disk: &'a Path,
    /// Port of this computer's loopback that leads to the unit's port 80; must be free.
    pub http: u16,
}

/// The arguments of the board's QEMU (`qemu.binary` in its `board.toml`), its console on standard output. They refer to character
/// devices `chain1` to `chain4`, the unit's `/dev/ttyS0` to `/dev/ttyS3`, which the caller adds: see [`serial_port`].
pub fn arguments(board: &Board, qemu: &Qemu, files: &QemuFiles<'_>) -> Result<Vec<String>> {
    let values = [
        ("memory_mib", qemu.memory_mib.to_string()),
        ("uboot", option(&board.uboot.binary)?),
        ("control_tree", option(files.control_tree)?),
        ("flash", option(files.flash)?),
        ("disk", option(files.disk)?),
        ("http", files.http.to_string()),
    ];
    let values: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    qemu.arguments.iter().map(|argument| board.fill(argument, &values)).collect()
}

/// Sockets of buses that end outside of the emulator, by kind; somebody listens at each.
#[derive(Debug, Clone, Copy, Default)]
pub struct BusSockets<'a> {
    pub i2c: &'a [PathBuf],
    pub gpio: &'a [PathBuf],
    pub usb: &'a [PathBuf],
}

/// The arguments that add these buses; none for none.
pub fn buses(board: &Board, qemu: &Qemu, sockets: BusSockets<'_>) -> Result<Vec<String>> {
    let templates = &qemu.buses;
    let mut arguments = Vec::new();
    let mut add = |template: &[String], values: &[(&str, &str)]| -> Result<()> {
        for argument in template {
            arguments.push(board.fill(argument, values)?);
        }
        Ok(())
    };
    if !sockets.i2c.is_empty() || !sockets.gpio.is_empty() {
        add(&templates.memory, &[("memory_mib", &qemu.memory_mib.to_string())])?;
    }
    if !sockets.usb.is_empty() {
        add(&templates.usb_controller, &[])?;
    }
    let kinds =
        [(sockets.i2c, &templates.i2c), (sockets.gpio, &templates.gpio), (sockets.usb, &templates.usb)];
    for (sockets, template) in kinds {
        for (number, socket) in sockets.iter().enumerate() {
            add(template, &[("number", &number.to_string()), ("socket", &option(socket)?)])?;
        }
    }
    Ok(arguments)
}

/// What a serial port of the unit ends in.
#[derive(Debug, Clone, Copy)]
pub enum FarEnd<'a> {
    /// A Unix socket that somebody listens on already.
    Client(&'a Path),
    /// A Unix socket that QEMU listens on; the unit does not wait for anybody.
    Server(&'a Path),
    Nothing,
}

/// The arguments that make character device `chain{number}` (from 1).
pub fn serial_port(number: usize, far_end: FarEnd<'_>) -> Result<[String; 2]> {
    let device = match far_end {
        FarEnd::Client(socket) => format!("socket,id=chain{number},path={}", option(socket)?),
        FarEnd::Server(socket) => {
            format!("socket,id=chain{number},path={},server=on,wait=off", option(socket)?)
        }
        FarEnd::Nothing => format!("null,id=chain{number}"),
    };
    Ok(["-chardev".to_owned(), device])
}

/// The value of QEMU's `-qmp` that makes it listen for orders (QEMU's machine protocol, JSON lines) at `socket`.
pub fn monitor(socket: &Path) -> Result<String> {
    Ok(format!("unix:{},server=on,wait=off", option(socket)?))
}

/// A path inside one of QEMU's comma-separated options.
fn option(path: &Path) -> Result<String> {
    let text = path.to_str().filter(|text| !text.contains(','));
    let problem = "is a path that QEMU's options cannot hold: no commas, only UTF-8";
    text.map(str::to_owned).ok_or_else(|| Error::file(path, problem))
}
