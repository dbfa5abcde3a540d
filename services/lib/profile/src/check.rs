//! What a profile's values must be: the machine as a whole and its chains. Each check names the key, so that the answer can name the line.

use std::{collections::HashSet, fmt, path::Path};

use adit_asic::{Chip, WorkLayout, command::Generation, init, register};
use toml::{Table, Value};

use super::{BusPart, ChainProfile, CutOff, Profile, RailPart, Temperature, check_parts::Parts, place};

pub(super) const SILICON_BASE_BITS: u8 = 32;

/// A job of four midstates, ten bits a byte.
const LONGEST_JOB_BITS: u64 = 152 * 10;

/// A value that cannot be.
#[derive(Debug)]
pub(super) struct Wrong {
    /// `board.0.rail.volts`.
    pub(super) key: String,
    what: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.what)
    }
}

/// The first value that cannot be is what counts.
pub(super) struct Checks(Result<(), Wrong>);

impl Checks {
    pub(super) fn that(&mut self, right: bool, key: &str, what: impl FnOnce() -> String) {
        if self.0.is_ok() && !right {
            self.0 = Err(Wrong { key: key.into(), what: what() });
        }
    }

    pub(super) fn range<T: PartialOrd + fmt::Display + Copy>(&mut self, key: &str, value: T, from: T, to: T) {
        // Not `contains`: NaN must fail.
        self.that(value >= from && value <= to, key, || format!("{value} is not within {from} to {to}"));
    }

    pub(super) fn name(&mut self, key: &str, name: &str) {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        self.that(!name.is_empty() && name.len() <= 64 && name.bytes().all(plain), key, || {
            format!("{name:?} is not of the form a-z, 0-9 and -, at most 64 long")
        });
    }

    /// A nominal value and its limits.
    pub(super) fn volts(&mut self, key: &str, [volts, min, max]: [f64; 3], [least, most]: [f64; 2]) {
        self.range(&format!("{key}.max_volts"), max, least, most);
        self.range(&format!("{key}.min_volts"), min, least * 0.8, max);
        self.that(volts > min && volts < max, &format!("{key}.volts"), || {
            format!("{volts} is not between min_volts {min} and max_volts {max}")
        });
    }

    pub(super) fn is_ok(&self) -> bool {
        self.0.is_ok()
    }
}

impl Profile {
    pub(super) fn check(&self, text: &str) -> Result<(), Wrong> {
        let mut is = Checks(Ok(()));
        is.name("name", &self.name);
        is.range("bus", self.bus.len(), 1, 16);
        is.range("board", self.board.len(), 1, 8);
        Parts::new(self, &mut is).check();

        self.temperature.check(&mut is, "temperature");
        if let Some(limits) = &self.immersion {
            limits.check(&mut is, "immersion");
        }
        self.check_safety(&mut is);
        for (index, board) in self.board.iter().enumerate() {
            board.chain.check(&mut is, &format!("board.{index}.chain"), self.simulated);
        }
        self.check_ports(&mut is);
        self.check_disputed(&mut is, text);
        is.0
    }

    fn check_safety(&self, is: &mut Checks) {
        let safety = &self.safety;
        is.range("safety.interval_ms", safety.interval_ms, 50, 2000);
        is.range("safety.bad_looks", safety.bad_looks, 1, 5);
        is.range("safety.retry_ms", safety.retry_ms, 100, 600_000);
        is.range("safety.retry_max_ms", safety.retry_max_ms, safety.retry_ms, 600_000);
        let key = "safety.cut_off";
        match safety.cut_off {
            CutOff::None => {
                is.that(safety.cut_off_ms.is_none(), "safety.cut_off_ms", || {
                    "there is no cut_off that could take so long".into()
                });
                return;
            }
            CutOff::PsuHeartbeat => is.that(self.psu.is_some(), key, || "there is no [psu]".into()),
            CutOff::PicHeartbeat => {
                let has_pic =
                    |rail: &super::Rail| matches!(rail.part, RailPart::Pic16f1704(_) | RailPart::Dspic33(_));
                let all = self.board.iter().all(|board| board.rail.as_ref().is_some_and(has_pic));
                is.that(all, key, || "not every board has a pic16f1704 or dspic33 as its rail".into());
            }
        }
        let ms = safety.cut_off_ms.unwrap_or(0);
        is.that((100..=600_000).contains(&ms), "safety.cut_off_ms", || {
            format!("{ms} is not within 100 to 600000: how long the cut-off takes must be known")
        });
    }

    /// Every serial port has one use.
    fn check_ports(&self, is: &mut Checks) {
        let mut taken: HashSet<&Path> = HashSet::new();
        for bus in &self.bus {
            if let BusPart::BitaxeRaw(raw) = &bus.part
                && let Some(port) = &raw.port
            {
                taken.insert(port);
            }
        }
        let mut usb = HashSet::new();
        for (index, board) in self.board.iter().enumerate() {
            let key = |name: &str| format!("board.{index}.chain.{name}");
            if let Some(port) = &board.chain.port {
                is.that(taken.insert(port), &key("port"), || format!("{} is used twice", port.display()));
            }
            if let Some(port) = &board.chain.usb {
                let new = usb.insert((port.bus.as_str(), port.port));
                is.that(port.port > 0 && new, &key("usb"), || {
                    format!("port {} of {} is used twice", port.port, port.bus)
                });
            }
        }
    }

    /// What is disputed stands in the file, and can be confirmed with one value.
    fn check_disputed(&self, is: &mut Checks, text: &str) {
        let Ok(table) = text.parse::<Table>() else { return };
        let mut table = Value::Table(table);
        for (index, key) in self.disputed.iter().enumerate() {
            let mut values = Vec::new();
            place::each_at(&mut table, key, &mut |value| values.push(value.clone()));
            let at = format!("disputed.{index}");
            is.that(!values.is_empty(), &at, || format!("there is no {key} in this file"));
            is.that(values.windows(2).all(|pair| pair[0] == pair[1]), &at, || {
                format!("{key} has several values here: name each, as in board.0.reset.line")
            });
        }
    }
}

impl Temperature {
    fn check(&self, is: &mut Checks, at: &str) {
        is.range(&format!("{at}.max_chip_celsius"), self.max_chip_celsius, 30.0, 110.0);
        is.range(&format!("{at}.max_board_celsius"), self.max_board_celsius, 30.0, 110.0);
        let start = format!("{at}.start_board_celsius");
        is.range(&start, self.start_board_celsius, 20.0, self.max_board_celsius);
        is.range(&format!("{at}.settle_ms"), self.settle_ms, 0, 5000);
    }
}

impl ChainProfile {
    fn check(&self, is: &mut Checks, at: &str, simulated: bool) {
        let key = |name: &str| format!("{at}.{name}");
        let ways = [self.port.is_some(), self.usb.is_some(), self.uio.is_some()];
        is.that(ways.into_iter().filter(|way| *way).count() == 1, at, || {
            "needs exactly one of port, usb and uio".into()
        });
        let Some(chip) = Chip::by_name(&self.chip) else {
            let known = Chip::names().collect::<Vec<_>>().join(", ");
            is.that(false, &key("chip"), || format!("{:?} is not a known chip; known: {known}", self.chip));
            return;
        };
        is.that(self.uio.is_none() || chip.generation == Generation::Old, &key("uio"), || {
            format!("the FPGA is driven for BM1387 only, not for a {}", chip.name)
        });
        is.range(&key("chips"), self.chips, 1, 128);
        let whole = self.domains > 0 && self.chips.is_multiple_of(self.domains);
        is.that(whole, &key("domains"), || {
            format!("{} chips are not {} domains of equally many", self.chips, self.domains)
        });
        is.range(&key("max_mhz"), self.max_mhz, 50.0, 1000.0);
        is.range(&key("mhz"), self.mhz, 50.0, self.max_mhz);
        let fastest = chip.fastest(self.chips).map_or(f64::INFINITY, |fastest| fastest.mhz());
        is.that(self.max_mhz <= fastest, &key("max_mhz"), || {
            let (chips, name) = (self.chips, chip.name);
            format!("above {fastest} each of {chips} {name} would search nonces of its neighbour, too")
        });
        let reset = register::baud(register::RESET_DIVIDER);
        is.that(chip.uart.rate(self.baud).is_some(), &key("baud"), || {
            let fast: String = chip.uart.fast.iter().map(|(rate, _)| format!(", or {rate}")).collect();
            format!("{} is not 25 MHz / (8 · n): 3125000, 1562500, 1041666, …, {reset}{fast}", self.baud)
        });
        is.range(&key("base_bits"), self.base_bits, 8, SILICON_BASE_BITS);
        is.that(simulated || self.base_bits == SILICON_BASE_BITS, &key("base_bits"), || {
            format!("{} needs simulated = true; silicon has {SILICON_BASE_BITS}", self.base_bits)
        });
        is.range(&key("ticket_bits"), self.ticket_bits, 0, 32);
        is.range(&key("work_interval_ms"), self.work_interval_ms, 10, 60_000);
        self.check_jobs(is, &key, chip);
        is.range(&key("write_gap_ms"), self.write_gap_ms, 0, 1000);
        is.range(&key("chip_gap_ms"), self.chip_gap_ms, 0, 1000);
        is.range(&key("ramp.step_mhz"), self.ramp.step_mhz, 1.0, 100.0);
        is.range(&key("ramp.step_ms"), self.ramp.step_ms, 0, 10_000);
        is.range(&key("ramp.start_mhz"), self.ramp.start_mhz, 50.0, self.mhz);
        if is.is_ok()
            && let Err(error) = init::actions(chip, &self.setup())
        {
            is.that(false, &key("mhz"), || error.to_string());
        }
    }

    /// Jobs must come before the chips have searched the last one through, and no faster than the line takes them.
    fn check_jobs(&self, is: &mut Checks, key: &dyn Fn(&str) -> String, chip: &Chip) {
        if let Some(epoch) = chip.version_epoch_ms() {
            is.that(u64::from(self.work_interval_ms) < epoch, &key("work_interval_ms"), || {
                let own = self.work_interval_ms;
                format!("{own} is not below {epoch}, after which a {} has searched a job through", chip.name)
            });
        }
        let name = "job_interval_us";
        match chip.work {
            WorkLayout::Headers { .. } => {
                is.that(self.job_interval_us.is_none(), &key(name), || {
                    format!("a {} rolls versions itself: work_interval_ms is all there is", chip.name)
                });
            }
            WorkLayout::Midstates if is.is_ok() => {
                // Jobs come faster in proportion when the clock is raised to its limit.
                let own = (self.job_interval().as_micros() as f64 * self.mhz / self.max_mhz) as u64;
                let wire = LONGEST_JOB_BITS * 1_000_000 / u64::from(self.baud.max(1));
                is.that(own > wire, &key(name), || {
                    format!(
                        "a job each {own} µs at {} MHz, but one takes {wire} µs at {} baud",
                        self.max_mhz, self.baud
                    )
                });
                is.that(own <= 60_000_000, &key(name), || format!("{own} is above 60000000"));
            }
            WorkLayout::Midstates => {}
        }
    }
}
