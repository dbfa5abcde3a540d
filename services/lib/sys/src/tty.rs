//! Serial ports: raw, eight data bits, no parity, one stop bit, no flow control, any rate.
//!
//! Rates go through `termios2`, so chains can run at what their chips divide to (115 740, 1 000 000, 3 125 000 baud).

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::termios::{self, ControlModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios};

/// Opens the port, non-blocking and closed on exec, and sets it up. What arrived before is dropped.
pub fn open(path: impl AsRef<Path>, baud: u32) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let port = rustix::fs::open(path.as_ref(), flags, Mode::empty())?;
    let mut settings = termios::tcgetattr(&port)?;
    settings.make_raw();
    // Without HUPCL the modem lines, which may be wired to a reset, stay as they are when the port is closed.
    let off = ControlModes::PARENB | ControlModes::CSTOPB | ControlModes::CRTSCTS | ControlModes::HUPCL;
    settings.control_modes.remove(off);
    settings.control_modes.insert(ControlModes::CS8 | ControlModes::CREAD | ControlModes::CLOCAL);
    settings.special_codes[SpecialCodeIndex::VMIN] = 1;
    settings.special_codes[SpecialCodeIndex::VTIME] = 0;
    apply_rate(&port, settings, baud)?;
    discard_input(&port)?;
    Ok(port)
}

/// Changes the rate of both directions at once; bytes still in the transmitter leave at the new rate, so [`drain`] first.
pub fn set_baud(port: impl AsFd, baud: u32) -> io::Result<()> {
    let settings = termios::tcgetattr(&port)?;
    apply_rate(&port, settings, baud)
}

/// The rate that the driver has really set, which may differ from the one asked for by what its divider allows.
pub fn baud(port: impl AsFd) -> io::Result<u32> {
    Ok(termios::tcgetattr(port)?.output_speed())
}

/// Waits until every byte written has left the driver. Blocks for as long as the line takes.
pub fn drain(port: impl AsFd) -> io::Result<()> {
    Ok(termios::tcdrain(port)?)
}

/// Drops bytes that have arrived and were not read.
pub fn discard_input(port: impl AsFd) -> io::Result<()> {
    Ok(termios::tcflush(port, QueueSelector::IFlush)?)
}

fn apply_rate(port: impl AsFd, mut settings: Termios, baud: u32) -> io::Result<()> {
    if baud == 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "0 baud would hang the line up"));
    }
    settings.set_speed(baud)?;
    Ok(termios::tcsetattr(port, OptionalActions::Now, &settings)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pty;
    use std::process::Command;

    fn pseudo_terminal() -> (OwnedFd, String) {
        let main = pty::openpt(pty::OpenptFlags::RDWR | pty::OpenptFlags::NOCTTY).unwrap();
        pty::grantpt(&main).unwrap();
        pty::unlockpt(&main).unwrap();
        let path = pty::ptsname(&main, Vec::new()).unwrap().into_string().unwrap();
        (main, path)
    }

    #[test]
    fn stty_reads_what_open_has_set() {
        let (_main, path) = pseudo_terminal();
        let _port = open(&path, 1_000_000).unwrap();
        let output = Command::new("stty").args(["-F", &path, "-a"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("speed 1000000 baud"), "{text}");
        for setting in
            ["cs8", "-parenb", "-cstopb", "-crtscts", "-hupcl", "clocal", "-icanon", "-echo", "-opost"]
        {
            assert!(text.split([' ', ';', '\n']).any(|word| word == setting), "{setting}: {text}");
        }
    }

    #[test]
    fn a_rate_without_a_constant_is_set_and_read_back() {
        let (_main, path) = pseudo_terminal();
        let port = open(&path, 115_740).unwrap();
        assert_eq!(baud(&port).unwrap(), 115_740);
        set_baud(&port, 3_125_000).unwrap();
        assert_eq!(baud(&port).unwrap(), 3_125_000);
    }

    #[test]
    fn bytes_pass_unchanged_both_ways_and_stale_ones_are_dropped() {
        let (main, path) = pseudo_terminal();
        let port = open(&path, 115_200).unwrap();
        let every_byte: Vec<u8> = (0..=255).collect();
        rustix::io::write(&port, &every_byte).unwrap();
        let mut seen = [0; 256];
        assert_eq!(rustix::io::read(&main, &mut seen).unwrap(), 256);
        assert_eq!(&seen[..], &every_byte[..]);
        rustix::io::write(&main, b"stale").unwrap();
        discard_input(&port).unwrap();
        let empty = rustix::io::read(&port, &mut seen).unwrap_err();
        assert_eq!(empty, rustix::io::Errno::AGAIN);
    }

    #[test]
    fn zero_baud_is_refused() {
        let (_main, path) = pseudo_terminal();
        assert_eq!(open(&path, 0).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
