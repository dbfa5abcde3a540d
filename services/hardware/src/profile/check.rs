//! What a profile's values must be. Each check names the key, so that the answer can name the line.

use std::fmt;

use adit_asic::{Chip, WorkLayout, init, register};
use toml::de::{DeTable, DeValue};

use super::{ChainProfile, Profile};

pub(super) const SILICON_BASE_BITS: u8 = 32;

/// A job of four midstates, ten bits a byte.
const LONGEST_JOB_BITS: u64 = 152 * 10;

/// A value that cannot be.
#[derive(Debug)]
pub(super) struct Wrong {
    /// `rail.volts`, `chain.0.mhz`.
    pub(super) key: String,
    what: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key.rsplit('.').next().unwrap_or_default();
        write!(f, "{key}: {}", self.what)
    }
}

struct Checks(Result<(), Wrong>);

impl Checks {
    fn that(&mut self, right: bool, key: &str, what: impl FnOnce() -> String) {
        if self.0.is_ok() && !right {
            self.0 = Err(Wrong { key: key.into(), what: what() });
        }
    }

    fn range<T: PartialOrd + fmt::Display + Copy>(&mut self, key: &str, value: T, from: T, to: T) {
        // Not `contains`: NaN must fail.
        self.that(value >= from && value <= to, key, || format!("{value} is not within {from} to {to}"));
    }
}

impl Profile {
    pub(super) fn check(&self) -> Result<(), Wrong> {
        let mut is = Checks(Ok(()));
        let name = &self.name;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        is.that(!name.is_empty() && name.len() <= 64 && name.bytes().all(plain), "name", || {
            format!("{name:?} is not of the form a-z, 0-9 and -, at most 64 long")
        });
        is.range("controller.baud", self.controller.baud, 1200, 4_000_000);
        is.range("controller.reset_settle_ms", self.controller.reset_settle_ms, 1, 5000);

        is.range("fan.address", self.fan.address, 0x08, 0x77);
        is.range("fan.min_rpm", self.fan.min_rpm, 100, 20_000);
        is.range("fan.spin_up_ms", self.fan.spin_up_ms, 100, 30_000);

        let rail = &self.rail;
        is.range("rail.address", rail.address, 0x08, 0x77);
        // What the chips of this family stand; the regulator itself could do more.
        is.range("rail.max_volts", rail.max_volts, 0.5, 1.5);
        is.range("rail.min_volts", rail.min_volts, 0.4, rail.max_volts);
        is.that(rail.volts > rail.min_volts && rail.volts < rail.max_volts, "rail.volts", || {
            format!(
                "{} is not between min_volts {} and max_volts {}",
                rail.volts, rail.min_volts, rail.max_volts
            )
        });
        is.range("rail.rise_ms", rail.rise_ms, 10, 5000);
        is.range("rail.over_current_amperes", rail.over_current_amperes, 1.0, 40.0);
        is.range("rail.over_temperature_celsius", rail.over_temperature_celsius, 40.0, 150.0);
        is.range("rail.feedback_scale", rail.feedback_scale, 0.125, 1.0);
        is.range("rail.switching_khz", rail.switching_khz, 225, 1000);
        is.range("rail.input_max_volts", rail.input_max_volts, 3.0, 18.0);
        is.range("rail.input_on_volts", rail.input_on_volts, 2.75, rail.input_max_volts);
        is.range("rail.input_off_volts", rail.input_off_volts, 2.5, rail.input_on_volts);

        let limits = &self.temperature;
        is.range("temperature.max_chip_celsius", limits.max_chip_celsius, 30.0, 110.0);
        is.range("temperature.max_board_celsius", limits.max_board_celsius, 30.0, 110.0);
        is.range(
            "temperature.start_board_celsius",
            limits.start_board_celsius,
            20.0,
            limits.max_board_celsius,
        );
        is.range("temperature.settle_ms", limits.settle_ms, 0, 5000);

        is.range("safety.interval_ms", self.safety.interval_ms, 50, 2000);
        is.range("safety.bad_looks", self.safety.bad_looks, 1, 5);
        is.range("safety.retry_ms", self.safety.retry_ms, 100, 600_000);
        is.range("safety.retry_max_ms", self.safety.retry_max_ms, self.safety.retry_ms, 600_000);

        is.range("chain", self.chain.len(), 1, 4);
        for (index, chain) in self.chain.iter().enumerate() {
            chain.check(&mut is, index, self.simulated);
            let ports = self.chain[..index].iter().map(|other| &other.port);
            let taken = ports.chain([&self.controller.port]).any(|port| *port == chain.port);
            is.that(!taken, &format!("chain.{index}.port"), || {
                format!("{} is used twice", chain.port.display())
            });
        }
        is.0
    }
}

impl ChainProfile {
    fn check(&self, is: &mut Checks, index: usize, simulated: bool) {
        let key = |name: &str| format!("chain.{index}.{name}");
        let Some(chip) = Chip::by_name(&self.chip) else {
            let known = Chip::names().collect::<Vec<_>>().join(", ");
            is.that(false, &key("chip"), || format!("{:?} is not a known chip; known: {known}", self.chip));
            return;
        };
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
        if is.0.is_ok()
            && let Err(error) = init::actions(chip, &self.setup())
        {
            is.that(false, &key("mhz"), || error.to_string());
        }
    }
}

impl ChainProfile {
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
            WorkLayout::Midstates if is.0.is_ok() => {
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

/// The line, from 1, that byte `offset` is on.
pub(super) fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// The line of a key like `chain.0.mhz`; of the innermost table that is there when the key itself is not written.
pub(super) fn line_of(text: &str, key: &str) -> usize {
    let Ok(root) = DeTable::parse(text) else { return 1 };
    let root = DeValue::Table(root.into_inner());
    let (mut value, mut offset) = (&root, 0);
    for part in key.split('.') {
        let next = match value {
            DeValue::Table(table) => {
                table.iter().find(|(name, _)| name.get_ref().as_ref() == part).map(|(_, inner)| inner)
            }
            DeValue::Array(items) => part.parse().ok().and_then(|index: usize| items.get(index)),
            _ => None,
        };
        let Some(inner) = next else { break };
        offset = inner.span().start;
        value = inner.get_ref();
    }
    line_at(text, offset)
}
