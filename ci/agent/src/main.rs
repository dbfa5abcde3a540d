//! Fault injection and measuring inside a unit, for boot tests and benches only: release images do not contain it.
//!
//! Reads orders, one a line, from the serial port named on the command line and answers each with one line:
//!
//! * `signal NAME NUMBER`: sends the signal to every process of that name; `ok COUNT`
//! * `pids NAME`: `ok PID …`
//! * `memory`: resident memory of every process, KiB, and what it took of the processor, ms; `ok NAME ANONYMOUS FILE SHARED PROCESSOR, NAME …`
//! * `ping`: `ok`
//!
//! and what [`buses`] lists, of the unit's I²C, GPIO and USB.
//!
//! Anything else: `error …`.

mod buses;

use std::{fs, io::Read, os::fd::AsFd};

use anyhow::{Context, Result, bail};
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, Signal, kill_process},
};

const LONGEST_ORDER: usize = 256;

fn main() -> Result<()> {
    let port = std::env::args().nth(1).context("usage: adit-agent /dev/ttyS2")?;
    let port = adit_sys::tty::open(&port, 115_200).context(port)?;
    let mut port = fs::File::from(port);
    let mut line = Vec::new();
    let mut held = buses::Held::default();
    loop {
        wait(&port, PollFlags::IN)?;
        let mut bytes = [0; 64];
        let count = match port.read(&mut bytes) {
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error.into()),
        };
        for &byte in &bytes[..count] {
            if byte != b'\n' {
                line.push(byte);
                line.truncate(LONGEST_ORDER);
                continue;
            }
            let order = String::from_utf8_lossy(&line).into_owned();
            line.clear();
            let answer = obey(order.trim(), &mut held).unwrap_or_else(|error| format!("error {error:#}"));
            write(&mut port, &format!("{answer}\n"))?;
        }
    }
}

fn obey(order: &str, held: &mut buses::Held) -> Result<String> {
    let words: Vec<&str> = order.split_ascii_whitespace().collect();
    match words[..] {
        ["ping"] => Ok("ok".into()),
        ["pids", name] => {
            let found: Vec<String> = pids(name)?.iter().map(|pid| pid.as_raw_nonzero().to_string()).collect();
            Ok(format!("ok {}", found.join(" ")))
        }
        ["memory"] => Ok(format!("ok {}", memory()?.join(", "))),
        ["signal", name, number] => {
            let signal = number.parse().ok().and_then(Signal::from_named_raw).context("no such signal")?;
            let found = pids(name)?;
            for pid in &found {
                kill_process(*pid, signal)?;
            }
            Ok(format!("ok {}", found.len()))
        }
        ["i2c" | "gpio" | "usb" | "tty", ..] => buses::obey(&words, held),
        _ => bail!("orders are: ping, memory, pids NAME, signal NAME NUMBER, i2c …, gpio …, usb, tty …"),
    }
}

fn pids(name: &str) -> Result<Vec<Pid>> {
    let named = |pid: &Pid| {
        // A process may end while we look.
        fs::read_to_string(in_proc(*pid, "comm")).is_ok_and(|comm| comm.trim_end() == name)
    };
    Ok(processes()?.into_iter().filter(named).collect())
}

/// Milliseconds in a tick of `/proc/PID/stat`: USER_HZ is 100 on every processor that we build for.
const MS_PER_TICK: u64 = 10;

/// `NAME ANONYMOUS FILE SHARED PROCESSOR` of each process; a thread of the kernel has no memory of its own and is left out.
fn memory() -> Result<Vec<String>> {
    let of = |pid: Pid| {
        let status = fs::read_to_string(in_proc(pid, "status")).ok()?;
        let value = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
            line.split_ascii_whitespace().next()
        };
        let (anonymous, file, shared) = (value("RssAnon")?, value("RssFile")?, value("RssShmem")?);
        let processor = ticks(&fs::read_to_string(in_proc(pid, "stat")).ok()?)? * MS_PER_TICK;
        Some(format!("{} {anonymous} {file} {shared} {processor}", value("Name")?))
    };
    Ok(processes()?.into_iter().filter_map(of).collect())
}

/// User and system time, of all threads: fields 14 and 15 of proc_pid_stat(5). The name before them, in parentheses, may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

fn processes() -> Result<Vec<Pid>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        found.extend(name.to_str().and_then(|text| text.parse().ok()).and_then(Pid::from_raw));
    }
    Ok(found)
}

fn in_proc(pid: Pid, file: &str) -> String {
    format!("/proc/{}/{file}", pid.as_raw_nonzero())
}

fn write(port: &mut fs::File, text: &str) -> Result<()> {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        match std::io::Write::write(port, rest) {
            Ok(count) => rest = &rest[count..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => wait(port, PollFlags::OUT)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn wait(port: &fs::File, events: PollFlags) -> Result<()> {
    let mut ready = [PollFd::from_borrowed_fd(port.as_fd(), events)];
    poll(&mut ready, None).context("poll")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_any_name() {
        let stat = "42 (a) R 7 (b) S 1 42 42 0 -1 4194560 300 0 0 0 17 5 0 0 20 0 1 0 30 1000000 200";
        assert_eq!(ticks(stat), Some(22));
        assert_eq!(ticks("42 (short) S 1 42"), None);
    }
}
