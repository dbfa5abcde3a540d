//! What a person sees of a run: one line an event, and below it a line that lives.

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use crate::console::Event;

/// The numbers on the living line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Numbers {
    /// What the unit says of itself.
    pub mhs: Option<f64>,
    /// What pool and node say.
    pub shares_accepted: u64,
    pub shares_rejected: u64,
    pub blocks_accepted: u64,
    pub height: u64,
    /// What the simulated machine knows.
    pub chip_celsius: f64,
    pub fan_rpm: u32,
    pub rail_volts: f64,
}

/// Longest time without numbers where nothing is redrawn.
const QUIET: Duration = Duration::from_secs(10);

pub struct Display {
    terminal: bool,
    living: bool,
    last: Numbers,
    /// When the numbers were last printed as a line of their own.
    said: Duration,
}

impl Display {
    pub fn new() -> Self {
        Self {
            terminal: std::io::stderr().is_terminal(),
            living: false,
            last: Numbers::default(),
            said: Duration::ZERO,
        }
    }

    /// One line, `since` the start of the run.
    pub fn line(&mut self, since: Duration, text: &str) {
        let mut out = std::io::stderr().lock();
        if self.living {
            let _ = write!(out, "\r\x1b[K");
            self.living = false;
        }
        let _ = writeln!(out, "{:>7.1} s  {text}", since.as_secs_f64());
    }

    pub fn event(&mut self, since: Duration, event: &Event) {
        if let Some(text) = words(event) {
            self.line(since, &text);
        }
    }

    /// On a terminal the line is redrawn; elsewhere one is added at the first share, at every block, and every ten seconds.
    pub fn numbers(&mut self, since: Duration, now: &Numbers) {
        let text = format!(
            "{}  shares {} ({} rejected)  blocks {}  height {}  chip {:.0} °C  fan {} rpm  rail {:.2} V",
            now.mhs.map_or("   -  MH/s".into(), |mhs| format!("{mhs:>6.2} MH/s")),
            now.shares_accepted,
            now.shares_rejected,
            now.blocks_accepted,
            now.height,
            now.chip_celsius,
            now.fan_rpm,
            now.rail_volts,
        );
        if self.terminal {
            let mut out = std::io::stderr().lock();
            let _ = write!(out, "\r\x1b[K{:>7.1} s  {text}", since.as_secs_f64());
            let _ = out.flush();
            self.living = true;
        } else if now.blocks_accepted != self.last.blocks_accepted
            || (self.last.shares_accepted == 0 && now.shares_accepted > 0)
            || since >= self.said + QUIET
        {
            self.line(since, &text);
            self.said = since;
        }
        self.last = now.clone();
    }
}

impl Default for Display {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if self.living {
            eprintln!();
        }
    }
}

fn words(event: &Event) -> Option<String> {
    Some(match event {
        Event::Slot { slot, left_a, left_b, .. } => {
            format!("U-Boot starts slot {slot} (tries left: a {left_a}, b {left_b})")
        }
        Event::SlotRefused { slot } => {
            format!("U-Boot does not start slot {slot}: no FIT, or not signed by our key")
        }
        Event::NoTriesLeft => "U-Boot: no slot has tries left".into(),
        Event::Timeline { event, ms } => match event.as_str() {
            "init" => format!("Linux runs; adit-init is PID 1 ({ms} ms after the kernel's entry)"),
            "ready" => format!("essential services are ready ({ms} ms)"),
            "first-work" => format!("first work on the chain's wire ({ms} ms)"),
            _ => return None,
        },
        Event::ChainUp(at) => {
            let at = |key: &str| at.get(key).map_or("?", String::as_str);
            format!(
                "chain {} up: {} × {} at {} MHz, {} baud",
                at("chain"),
                at("chips"),
                at("chip"),
                at("mhz"),
                at("baud")
            )
        }
        Event::Pool(at) => {
            let at = |key: &str| at.get(key).map_or("", String::as_str);
            format!("pool {} {} {}", at("url"), at("state"), at("reason")).trim_end().into()
        }
        Event::Block(at) => {
            let at = |key: &str| at.get(key).map_or("?", String::as_str);
            format!("block {} at {}: {}", at("height"), at("url"), at("answer"))
        }
        Event::SafeState { reason, ms } => format!("safe state in {ms} ms: {reason}"),
        Event::Service { name, state, .. } if state == "failed" || state == "backoff" => {
            format!("service {name}: {state}")
        }
        Event::Complaint(line) | Event::KernelPanic(line) | Event::Corruption(line) => line.clone(),
        Event::Boot(_) | Event::Service { .. } | Event::Hashing { .. } => return None,
    })
}
