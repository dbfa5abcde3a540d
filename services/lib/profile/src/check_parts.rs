//! What a profile's parts must be: buses that exist, addresses and lines of one use, values within what each device can be told.

use std::collections::HashSet;

use adit_peripherals::{eeprom, pic16};

use super::{
    Apw, BitaxeRawPort, BoardProfile, BusPart, Ds4432u, Eeprom, Fan, FanPart, Light, Line, LinuxBus, Place,
    Profile, Psu, Rail, RailPart, Sensor, SensorPart, UsbIdentity, check::Checks, place,
};

/// What chips of these families stand, for each domain in a row.
const MOST_CHIP_VOLTS: f64 = 1.5;

pub(super) struct Parts<'a> {
    profile: &'a Profile,
    is: &'a mut Checks,
    lines: HashSet<(&'a str, u32)>,
}

impl<'a> Parts<'a> {
    pub(super) fn new(profile: &'a Profile, is: &'a mut Checks) -> Self {
        Self { profile, is, lines: HashSet::new() }
    }

    pub(super) fn check(&mut self) {
        let profile = self.profile;
        let mut names = HashSet::new();
        for (index, bus) in profile.bus.iter().enumerate() {
            let key = format!("bus.{index}");
            self.once(&format!("{key}.name"), &bus.name, &mut names);
            match &bus.part {
                BusPart::BitaxeRaw(raw) => self.bitaxe_raw(&format!("{key}.part.bitaxe-raw"), raw),
                BusPart::Linux(linux) => self.linux(&format!("{key}.part.linux"), linux),
            }
        }
        if let Some(psu) = &profile.psu {
            self.psu("psu", psu);
        }
        self.fans("fan", &profile.fan);
        self.sensors("sensor", &profile.sensor);
        self.lights("led", &profile.led);
        self.lights("button", &profile.button);
        let mut names = HashSet::new();
        for (index, board) in profile.board.iter().enumerate() {
            let key = format!("board.{index}");
            self.once(&format!("{key}.name"), &board.name, &mut names);
            self.board(&key, board);
        }
        // Last, for whoever left out the table should not be told of its consequences first.
        for (index, board) in profile.board.iter().enumerate() {
            let cooled = !profile.fan.is_empty() || !board.fan.is_empty();
            self.is.that(cooled, &format!("board.{index}"), || {
                format!("nothing cools {}: there is neither a [[fan]] nor a [[board.fan]]", board.name)
            });
            let sensed = board.sensor.iter().any(|sensor| sensor.of == Place::Board);
            self.is.that(sensed, &format!("board.{index}"), || {
                format!("{} has no sensor of = \"board\": nothing would notice its heat", board.name)
            });
        }
    }

    fn once(&mut self, key: &str, name: &'a str, names: &mut HashSet<&'a str>) {
        self.is.name(key, name);
        self.is.that(names.insert(name), key, || format!("{name:?} is there twice"));
    }

    fn bitaxe_raw(&mut self, key: &str, raw: &BitaxeRawPort) {
        self.is.that(raw.port.is_some() != raw.usb.is_some(), key, || "needs either port or usb".into());
        self.is.range(&format!("{key}.baud"), raw.baud, 1200, 4_000_000);
        if let Some(UsbIdentity { manufacturer, product, serial }) = &raw.usb {
            for text in [manufacturer, product].into_iter().chain(serial) {
                let right = !text.is_empty() && text.len() <= 126 && !text.contains(char::is_control);
                self.is.that(right, &format!("{key}.usb"), || {
                    format!("{text:?} is not a text of 1 to 126 characters")
                });
            }
        }
    }

    fn linux(&mut self, key: &str, linux: &LinuxBus) {
        self.is.that(linux.i2c.is_some() || linux.gpio.is_some(), key, || "needs i2c, gpio or both".into());
        if let Some(path) = &linux.i2c {
            self.is.that(path.is_absolute(), &format!("{key}.i2c"), || {
                format!("{} is not a device node like /dev/i2c-0", path.display())
            });
        }
        if let Some(chip) = &linux.gpio {
            self.is.that(!chip.is_empty(), &format!("{key}.gpio"), || {
                "is neither a device node like /dev/gpiochip0 nor a label".into()
            });
        }
    }

    fn bus(&mut self, key: &str, name: &str) -> Option<&'a BusPart> {
        let bus = self.profile.bus.iter().find(|bus| bus.name == name);
        self.is.that(bus.is_some(), &format!("{key}.bus"), || {
            let names: Vec<_> = self.profile.bus.iter().map(|bus| bus.name.as_str()).collect();
            format!("there is no bus {name:?}; there is {}", names.join(", "))
        });
        Some(&bus?.part)
    }

    fn i2c(&mut self, key: &str, bus: &str, address: u8) {
        if let Some(BusPart::Linux(LinuxBus { i2c: None, .. })) = self.bus(key, bus) {
            self.is.that(false, &format!("{key}.bus"), || format!("{bus:?} has no i2c"));
        }
        self.is.range(&format!("{key}.address"), address, 0x08, 0x77);
    }

    /// A device that is no EEPROM, nor a controller whose place that is.
    fn device(&mut self, key: &str, bus: &str, address: u8) {
        self.i2c(key, bus, address);
        self.is.that(!eeprom::ADDRESSES.contains(&address), &format!("{key}.address"), || {
            format!("{address:#04x} is where boards have their EEPROM, which nothing may write to")
        });
    }

    fn line(&mut self, key: &str, line: &'a Line) {
        match self.bus(key, &line.bus) {
            Some(BusPart::Linux(LinuxBus { gpio: None, .. })) => {
                self.is.that(false, &format!("{key}.bus"), || format!("{:?} has no gpio", line.bus));
            }
            Some(BusPart::BitaxeRaw(_)) => self.is.range(&format!("{key}.line"), line.line, 0, 255),
            _ => self.is.range(&format!("{key}.line"), line.line, 0, 1023),
        }
        let new = self.lines.insert((&line.bus, line.line));
        self.is.that(new, &format!("{key}.line"), || format!("{} of {} is used twice", line.line, line.bus));
    }

    fn psu(&mut self, key: &str, psu: &'a Psu) {
        let Apw { bus, address, .. } = psu.part.apw();
        self.device(&format!("{key}.part.{}", psu.part.name()), bus, *address);
        self.line(&format!("{key}.enable"), &psu.enable);
        self.is.volts(key, [psu.volts, psu.min_volts, psu.max_volts], [5.0, 22.0]);
        self.is.range(&format!("{key}.rise_ms"), psu.rise_ms, 10, 30_000);
        self.is.range(&format!("{key}.fall_ms"), psu.fall_ms, 10, 60_000);
        // Half of the twenty seconds after which its silence slows chips down, so that one that is lost is not felt.
        self.is.range(&format!("{key}.heartbeat_ms"), psu.heartbeat_ms, 100, 10_000);
        self.is.range(&format!("{key}.curve.volts_per_count"), psu.curve.volts_per_count, 0.001, 0.1);
        self.is.range(&format!("{key}.curve.volts_at_0"), psu.curve.volts_at_0, 5.0, 30.0);
        let count = (psu.curve.volts_at_0 - psu.volts) / psu.curve.volts_per_count;
        let (first, last) = (psu.curve.min_count, psu.curve.max_count);
        self.is.that((f64::from(first)..=f64::from(last)).contains(&count), &format!("{key}.curve"), || {
            format!("{} V would be count {count:.0}, which is not within {first} to {last}", psu.volts)
        });
    }

    fn fans(&mut self, key: &str, fans: &'a [Fan]) {
        self.is.range(key, fans.len(), 0, 8);
        let mut names = HashSet::new();
        for (index, fan) in fans.iter().enumerate() {
            let key = format!("{key}.{index}");
            self.once(&format!("{key}.name"), &fan.name, &mut names);
            self.is.range(&format!("{key}.min_rpm"), fan.min_rpm, 100, 20_000);
            self.is.range(&format!("{key}.spin_up_ms"), fan.spin_up_ms, 100, 30_000);
            self.is.range(&format!("{key}.quiet_percent"), fan.quiet_percent, 20, 100);
            if let Some(full) = fan.full_rpm {
                self.is.range(&format!("{key}.full_rpm"), full, fan.min_rpm + 1, 30_000);
            }
            let part = format!("{key}.part.{}", fan.part.name());
            match &fan.part {
                FanPart::Emc2101(device) => self.device(&part, &device.bus, device.address),
                FanPart::Emc2305(fan) => {
                    self.device(&part, &fan.bus, fan.address);
                    self.is.range(&format!("{part}.channel"), fan.channel, 1, 5);
                }
                FanPart::Pwm(pwm) => {
                    self.is.range(&format!("{part}.period_ns"), pwm.period_ns, 1000, 10_000_000);
                    self.is.range(&format!("{part}.pulses_per_turn"), pwm.pulses_per_turn, 1, 8);
                    self.line(&format!("{part}.tach"), &pwm.tach);
                }
                FanPart::Hwmon(hwmon) => self.is.range(&format!("{part}.channel"), hwmon.channel, 1, 8),
                FanPart::S9Fpga(fpga) => self.is.range(&format!("{part}.tachometer"), fpga.tachometer, 0, 3),
            }
        }
    }

    fn sensors(&mut self, key: &str, sensors: &'a [Sensor]) {
        self.is.range(key, sensors.len(), 0, 16);
        let mut names = HashSet::new();
        for (index, sensor) in sensors.iter().enumerate() {
            let key = format!("{key}.{index}");
            self.once(&format!("{key}.name"), &sensor.name, &mut names);
            match sensor.max_celsius {
                Some(max) => self.is.range(&format!("{key}.max_celsius"), max, 30.0, 110.0),
                None => self.is.that(sensor.of != Place::Intake, &format!("{key}.of"), || {
                    "\"intake\" has no limit in [temperature]: max_celsius must be there".into()
                }),
            }
            let part = format!("{key}.part.{}", sensor.part.name());
            match &sensor.part {
                SensorPart::Emc2101(device)
                | SensorPart::Emc2101Diode(device)
                | SensorPart::Lm75(device)
                | SensorPart::Tmp75(device)
                | SensorPart::Tmp1075(device)
                | SensorPart::Tmp451(device)
                | SensorPart::Tmp451Diode(device) => self.device(&part, &device.bus, device.address),
                SensorPart::Dspic33(passed) => {
                    self.device(&part, &passed.bus, passed.address);
                    self.is.range(&format!("{part}.sensor"), passed.sensor, 0x48, 0x4b);
                }
                SensorPart::ChipI2c(chip) => {
                    self.is.range(&format!("{part}.address"), chip.address, 0x08, 0x77);
                    let on_board = key.starts_with("board.");
                    self.is.that(on_board, &part, || {
                        "is for a [[board.sensor]]: it is on a chip of that board".into()
                    });
                }
            }
        }
    }

    fn lights(&mut self, key: &str, lights: &'a [Light]) {
        let mut names = HashSet::new();
        for (index, light) in lights.iter().enumerate() {
            let key = format!("{key}.{index}");
            self.once(&format!("{key}.name"), &light.name, &mut names);
            self.line(&format!("{key}.line"), &light.line);
        }
    }

    fn board(&mut self, key: &str, board: &'a BoardProfile) {
        self.line(&format!("{key}.reset"), &board.reset);
        self.is.range(&format!("{key}.reset_settle_ms"), board.reset_settle_ms, 1, 5000);
        if let Some(plug) = &board.plug {
            self.line(&format!("{key}.plug"), plug);
        }
        if let Some(Eeprom { bus, address, names, .. }) = &board.eeprom {
            let key = format!("{key}.eeprom");
            self.i2c(&key, bus, *address);
            self.is.range(
                &format!("{key}.address"),
                *address,
                *eeprom::ADDRESSES.start(),
                *eeprom::ADDRESSES.end(),
            );
            let right = |name: &String| (1..=16).contains(&name.len()) && name.is_ascii();
            self.is.that(!names.is_empty() && names.iter().all(right), &format!("{key}.names"), || {
                "needs one name or more, each of 1 to 16 letters".into()
            });
        }
        if let Some(watts) = board.watts {
            self.is.range(&format!("{key}.watts"), watts, 1.0, 10_000.0);
        }
        self.fans(&format!("{key}.fan"), &board.fan);
        self.sensors(&format!("{key}.sensor"), &board.sensor);
        for (index, sensor) in board.sensor.iter().enumerate() {
            let SensorPart::ChipI2c(at) = &sensor.part else { continue };
            let part = format!("{key}.sensor.{index}.part.chip-i2c");
            let (chain, places) = (&board.chain, board.chain.chips.saturating_sub(1));
            self.is.that(chain.chip == "BM1387", &part, || format!("a {} passes nothing on", chain.chip));
            self.is.range(&format!("{part}.chip"), at.chip, 0, places);
        }
        match &board.rail {
            Some(rail) => self.rail(&format!("{key}.rail"), rail, board.chain.domains),
            None => self.is.that(self.profile.psu.is_some(), key, || {
                format!("nothing powers {}: there is neither a [board.rail] nor a [psu]", board.name)
            }),
        }
        if let Some(usb) = &board.chain.usb {
            let bus = self.bus(&format!("{key}.chain.usb"), &usb.bus);
            let is_usb = bus.is_some_and(|bus| matches!(bus, BusPart::BitaxeRaw(raw) if raw.usb.is_some()));
            self.is.that(is_usb, &format!("{key}.chain.usb.bus"), || {
                format!("{:?} is not a bus with usb", usb.bus)
            });
        }
    }

    fn rail(&mut self, key: &str, rail: &'a Rail, domains: u16) {
        let part = format!("{key}.part.{}", rail.part.name());
        match &rail.part {
            RailPart::Tps546d24a(tps) => {
                self.device(&part, &tps.bus, tps.address);
                let at = |name: &str| format!("{part}.{name}");
                self.is.range(&at("over_current_amperes"), tps.over_current_amperes, 1.0, 40.0);
                self.is.range(&at("over_temperature_celsius"), tps.over_temperature_celsius, 40.0, 150.0);
                self.is.range(&at("feedback_scale"), tps.feedback_scale, 0.125, 1.0);
                self.is.range(&at("switching_khz"), tps.switching_khz, 225, 1000);
                self.is.range(&at("input_max_volts"), tps.input_max_volts, 3.0, 18.0);
                self.is.range(&at("input_on_volts"), tps.input_on_volts, 2.75, tps.input_max_volts);
                self.is.range(&at("input_off_volts"), tps.input_off_volts, 2.5, tps.input_on_volts);
            }
            RailPart::Ds4432u(ds) => self.trimmed(&part, ds, rail.volts),
            RailPart::Tps55289(device) => self.device(&part, &device.bus, device.address),
            RailPart::Pic16f1704(pic) => {
                // An S9 has its controllers where later boards have EEPROMs.
                self.i2c(&part, &pic.bus, pic.address);
                // A third of the ten seconds after which it takes us for dead.
                self.is.range(&format!("{part}.heartbeat_ms"), pic.heartbeat_ms, 100, 3000);
                let shown = format!("{part}.off_shown_by");
                let open = self.profile.disputed.iter().any(|disputed| place::overlap(disputed, &shown));
                self.is.that(open || self.profile.simulated, &shown, || {
                    "must be disputed: nothing measures this rail, so that a person has to say that it is enough".into()
                });
                let told = [rail.min_volts, rail.max_volts].map(pic16::can_be_told);
                self.is.that(told == [true; 2], &format!("{key}.volts"), || {
                    format!("a PIC16F1704 can be told {:.2} to {:.2} V", pic16::LOWEST, pic16::HIGHEST)
                });
            }
            RailPart::Dspic33(pic) => {
                self.device(&part, &pic.bus, pic.address);
                self.is.range(&format!("{part}.heartbeat_ms"), pic.heartbeat_ms, 100, 5000);
                self.is.that(self.profile.psu.is_some(), &part, || {
                    "switches a supply's voltage, and there is no [psu]".into()
                });
            }
            RailPart::Unpublished => {}
        }
        for (name, line) in [("enable", &rail.enable), ("io_enable", &rail.io_enable)] {
            if let Some(line) = line {
                self.line(&format!("{key}.{name}"), line);
            }
        }
        // What the chips stand; regulators could do more.
        let most = MOST_CHIP_VOLTS * f64::from(domains.max(1));
        self.is.volts(key, [rail.volts, rail.min_volts, rail.max_volts], [0.5, most.min(22.0)]);
        self.is.range(&format!("{key}.rise_ms"), rail.rise_ms, 10, 5000);
    }

    fn trimmed(&mut self, part: &str, ds: &Ds4432u, volts: f64) {
        self.device(part, &ds.bus, ds.address);
        self.is.range(&format!("{part}.output"), ds.output, 0, 1);
        let at = |name: &str| format!("{part}.feedback.{name}");
        self.is.range(&at("reference_volts"), ds.feedback.reference_volts, 0.3, 2.5);
        self.is.range(&at("upper_ohms"), ds.feedback.upper_ohms, 100.0, 1e6);
        self.is.range(&at("lower_ohms"), ds.feedback.lower_ohms, 100.0, 1e6);
        // The data sheet's: 800 µA to 50 µA at full scale.
        self.is.range(&at("full_scale_ohms"), ds.feedback.full_scale_ohms, 9_000.0, 160_000.0);
        if self.is.is_ok() {
            let reached = ds.feedback.network().code(volts).is_some();
            self.is.that(reached, &format!("{part}.feedback"), || {
                format!("{volts} V cannot be reached with these resistors")
            });
        }
        let Some(meter) = &ds.meter else { return };
        let at = format!("{part}.meter");
        let is_raw = matches!(self.bus(part, &ds.bus), Some(BusPart::BitaxeRaw(_)));
        self.is.that(is_raw, &at, || {
            format!("{:?} has no converter: only a bitaxe-raw controller does", ds.bus)
        });
        self.is.range(&format!("{at}.volts_per_count"), meter.volts_per_count, 1e-5, 0.1);
    }
}
