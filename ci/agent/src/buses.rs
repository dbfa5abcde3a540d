//! The unit's I²C, GPIO and USB as a program on it sees them: through the kernel's character devices, and sysfs for what a device says of itself.
//!
//! * `i2c list`: `ok i2c-N NAME, …`
//! * `i2c write BUS ADDRESS BYTES`: one write message; all in hexadecimal, but BUS
//! * `i2c read BUS ADDRESS BYTES COUNT`: a write message and, after a repeated start, a read message; without BYTES (`-`) only that; `ok BYTES`
//! * `gpio list`: `ok gpiochipN LINES NAME NAME …, …`
//! * `gpio get CHIP LINE`: as an input; `ok LEVEL`
//! * `gpio set CHIP LINE LEVEL`: as an output, which it stays until `gpio free CHIP LINE`
//! * `gpio watch CHIP LINE`: edges from now on; `gpio edge CHIP LINE` waits for one, 5 s at most; `ok rising` or `ok falling`
//! * `usb`: `ok ttyACMN INTERFACE VENDOR:PRODUCT MANUFACTURER PRODUCT SERIAL, …`
//! * `tty NAME BAUD BYTES COUNT`: sends and waits for COUNT bytes, 3 s at most; `ok BYTES`

use std::{
    collections::HashMap,
    fs,
    io::Read,
    os::fd::AsFd,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use gpiocdev::{
    Request,
    line::{EdgeDetection, EdgeKind, Value},
};
use i2cdev::{
    core::{I2CMessage as _, I2CTransfer as _},
    linux::{LinuxI2CBus, LinuxI2CMessage},
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

const EDGE: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(3);

/// GPIO lines that stay as they are between orders, by chip and line.
#[derive(Default)]
pub(crate) struct Held(HashMap<(u32, u32), Request>);

pub(crate) fn obey(words: &[&str], held: &mut Held) -> Result<String> {
    match *words {
        ["i2c", "list"] => adapters(),
        ["i2c", "write", bus, address, bytes] => {
            transfer(bus, address, &hex::decode(bytes)?, &mut [])?;
            Ok("ok".into())
        }
        ["i2c", "read", bus, address, bytes, count] => {
            let bytes = if bytes == "-" { Vec::new() } else { hex::decode(bytes)? };
            let mut answer = vec![0; count.parse()?];
            transfer(bus, address, &bytes, &mut answer)?;
            Ok(format!("ok {}", hex::encode(answer)))
        }
        ["gpio", "list"] => chips(),
        ["gpio", order, chip, line] => gpio(held, order, chip.parse()?, line.parse()?),
        ["gpio", "set", chip, line, level] => set(held, chip.parse()?, line.parse()?, level),
        ["usb"] => usb(),
        ["tty", name, baud, bytes, count] => {
            let answer = exchange(name, baud.parse()?, &hex::decode(bytes)?, count.parse()?)?;
            Ok(format!("ok {}", hex::encode(answer)))
        }
        _ => bail!("no such order for buses"),
    }
}

/// A write message and then a read message, each only if it has bytes.
fn transfer(bus: &str, address: &str, write: &[u8], read: &mut [u8]) -> Result<()> {
    let address = u16::from_str_radix(address, 16)?;
    let mut messages = Vec::new();
    if !write.is_empty() {
        messages.push(LinuxI2CMessage::write(write).with_address(address));
    }
    if !read.is_empty() {
        messages.push(LinuxI2CMessage::read(read).with_address(address));
    }
    let wanted = messages.len();
    let done = LinuxI2CBus::new(format!("/dev/i2c-{bus}"))?.transfer(&mut messages)?;
    // Linux's driver of the virtio adapter says so, and not by an error.
    if usize::try_from(done)? != wanted {
        bail!("not acknowledged");
    }
    Ok(())
}

fn adapters() -> Result<String> {
    let mut found = Vec::new();
    for name in names("/sys/class/i2c-dev", "i2c-")? {
        let about = text(&Path::new("/sys/class/i2c-dev").join(&name).join("name"));
        found.push(format!("{name} {}", about.unwrap_or_default()));
    }
    Ok(format!("ok {}", found.join(", ")))
}

fn device(chip: u32) -> PathBuf {
    format!("/dev/gpiochip{chip}").into()
}

fn chips() -> Result<String> {
    let mut found = Vec::new();
    for name in names("/dev", "gpiochip")? {
        let chip = gpiocdev::Chip::from_path(Path::new("/dev").join(&name))?;
        let lines = chip.info()?.num_lines;
        let mut about = format!("{name} {lines}");
        for line in 0..lines {
            about.push(' ');
            about.push_str(&chip.line_info(line)?.name);
        }
        found.push(about);
    }
    Ok(format!("ok {}", found.join(", ")))
}

fn gpio(held: &mut Held, order: &str, chip: u32, line: u32) -> Result<String> {
    let place = (chip, line);
    match order {
        "get" => {
            let request = Request::builder().on_chip(device(chip)).with_line(line).as_input().request()?;
            Ok(format!("ok {}", u8::from(request.value(line)? == Value::Active)))
        }
        "free" => {
            held.0.remove(&place).context("is not held")?;
            Ok("ok".into())
        }
        "watch" => {
            let mut request = Request::builder();
            request.on_chip(device(chip)).with_line(line).with_edge_detection(EdgeDetection::BothEdges);
            held.0.insert(place, request.request()?);
            Ok("ok".into())
        }
        "edge" => {
            let request = held.0.get(&place).context("is not watched")?;
            if !request.wait_edge_event(EDGE)? {
                bail!("no edge within {} s", EDGE.as_secs());
            }
            let rising = request.read_edge_event()?.kind == EdgeKind::Rising;
            Ok(format!("ok {}", if rising { "rising" } else { "falling" }))
        }
        _ => bail!("no such order for a line"),
    }
}

fn set(held: &mut Held, chip: u32, line: u32, level: &str) -> Result<String> {
    let value = match level {
        "0" => Value::Inactive,
        "1" => Value::Active,
        _ => bail!("a level is 0 or 1"),
    };
    match held.0.get(&(chip, line)) {
        Some(request) => request.set_value(line, value)?,
        None => {
            let request =
                Request::builder().on_chip(device(chip)).with_line(line).as_output(value).request()?;
            held.0.insert((chip, line), request);
        }
    }
    Ok("ok".into())
}

fn usb() -> Result<String> {
    let names = names("/sys/class/tty", "ttyACM")?;
    // One that comes or goes just now has no whole description.
    let found: Vec<String> = names.iter().filter_map(|name| serial_port(name).ok()).collect();
    Ok(format!("ok {}", found.join(", ")))
}

fn serial_port(name: &str) -> Result<String> {
    let interface = fs::canonicalize(Path::new("/sys/class/tty").join(name).join("device"))?;
    let board = interface.parent().context("an interface is part of a device")?;
    let mut about = format!("{name} {}", text(&interface.join("bInterfaceNumber"))?);
    about.push_str(&format!(" {}:{}", text(&board.join("idVendor"))?, text(&board.join("idProduct"))?));
    for file in ["manufacturer", "product", "serial"] {
        about.push(' ');
        about.push_str(&text(&board.join(file)).unwrap_or_default());
    }
    Ok(about)
}

fn exchange(name: &str, baud: u32, bytes: &[u8], count: usize) -> Result<Vec<u8>> {
    let port = adit_sys::tty::open(format!("/dev/{name}"), baud)?;
    let mut port = fs::File::from(port);
    std::io::Write::write_all(&mut port, bytes)?;
    let deadline = Instant::now() + ANSWER;
    let mut answer = Vec::new();
    while answer.len() < count {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            bail!("only {} came", hex::encode(answer));
        }
        let wait = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        poll(&mut [PollFd::from_borrowed_fd(port.as_fd(), PollFlags::IN)], Some(&wait))?;
        let mut some = [0; 256];
        match port.read(&mut some) {
            Ok(0) => bail!("hung up after {}", hex::encode(answer)),
            Ok(read) => answer.extend_from_slice(&some[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(answer)
}

/// What is in a folder, by number; nothing when there is no such folder.
fn names(folder: &str, prefix: &str) -> Result<Vec<String>> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string().ok().filter(|name| name.starts_with(prefix)));
    }
    names.sort_by_key(|name| (name.len(), name.clone()));
    Ok(names)
}

fn text(file: &Path) -> Result<String> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    Ok(text.trim_end().replace(['\n', ','], " "))
}
