//! Fans of the control board itself: a PWM in sysfs with a tachometer on a GPIO line, or a fan of the kernel's hwmon.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use adit_peripherals::Duty;

use super::BoardError;
use crate::{
    bus::{Bus, Tachometer},
    profile::{HwmonFan, PwmFan},
};

const PWM: &str = "/sys/class/pwm";
const HWMON: &str = "/sys/class/hwmon";
const HWMON_FULL: u32 = 255;
/// `pwmN_enable`: the duty is ours to set.
const BY_HAND: &str = "1";

#[derive(Debug)]
pub(super) struct Pwm {
    /// `/sys/class/pwm/pwmchip0`
    chip: PathBuf,
    channel: u32,
    period_ns: u32,
    pulses_per_turn: u8,
    bus: Bus,
    line: u32,
    tach: Option<Tachometer>,
}

impl Pwm {
    pub(super) fn new(fan: &PwmFan, bus: Bus) -> Self {
        Self {
            chip: Path::new(PWM).join(&fan.chip),
            channel: fan.channel,
            period_ns: fan.period_ns,
            pulses_per_turn: fan.pulses_per_turn,
            bus,
            line: fan.tach.line,
            tach: None,
        }
    }

    pub(super) fn prepare(&mut self) -> Result<(), BoardError> {
        if self.tach.is_none() {
            self.tach = Some(self.bus.tachometer(self.line)?);
        }
        Ok(())
    }

    pub(super) fn drive(&self, duty: Duty) -> Result<(), BoardError> {
        let own = self.chip.join(format!("pwm{}", self.channel));
        if !own.exists() {
            write(&self.chip.join("export"), &self.channel.to_string())?;
        }
        let on_ns = u64::from(self.period_ns) * u64::from(duty.get()) / 100;
        // The kernel refuses a period that is shorter than the duty of before.
        if read(&own.join("period"))? != self.period_ns.to_string() {
            write(&own.join("duty_cycle"), "0")?;
            write(&own.join("period"), &self.period_ns.to_string())?;
        }
        set(&own.join("duty_cycle"), &on_ns.to_string())?;
        set(&own.join("enable"), "1")
    }

    pub(super) fn rpm(&mut self) -> Result<u32, BoardError> {
        self.prepare()?;
        let tach = self.tach.as_mut().expect("it was just opened");
        Ok((tach.hertz()? * 60.0 / f64::from(self.pulses_per_turn)).round() as u32)
    }
}

#[derive(Debug)]
pub(super) struct Hwmon {
    root: PathBuf,
    chip: String,
    channel: u8,
}

impl Hwmon {
    pub(super) fn new(fan: &HwmonFan) -> Self {
        Self { root: HWMON.into(), chip: fan.chip.clone(), channel: fan.channel }
    }

    /// The numbers of hwmon devices change from boot to boot, their names do not.
    fn folder(&self) -> Result<PathBuf, BoardError> {
        let error = |error| BoardError::Kernel { path: self.root.join(&self.chip), error };
        let mut devices = fs::read_dir(&self.root).map_err(error)?.flatten().map(|entry| entry.path());
        let is_it = |folder: &PathBuf| {
            fs::read_to_string(folder.join("name")).is_ok_and(|name| name.trim_end() == self.chip)
        };
        devices.find(is_it).ok_or_else(|| error(io::ErrorKind::NotFound.into()))
    }

    pub(super) fn drive(&self, duty: Duty) -> Result<(), BoardError> {
        let folder = self.folder()?;
        let enable = folder.join(format!("pwm{}_enable", self.channel));
        if enable.exists() {
            write(&enable, BY_HAND)?;
        }
        let value = (u32::from(duty.get()) * HWMON_FULL + 50) / 100;
        set(&folder.join(format!("pwm{}", self.channel)), &value.to_string())
    }

    pub(super) fn rpm(&self) -> Result<u32, BoardError> {
        let path = self.folder()?.join(format!("fan{}_input", self.channel));
        let text = read(&path)?;
        text.parse().map_err(|_| BoardError::Kernel { path, error: io::ErrorKind::InvalidData.into() })
    }
}

fn read(path: &Path) -> Result<String, BoardError> {
    let text = fs::read_to_string(path);
    text.map(|text| text.trim_end().to_owned())
        .map_err(|error| BoardError::Kernel { path: path.to_owned(), error })
}

fn write(path: &Path, value: &str) -> Result<(), BoardError> {
    fs::write(path, value).map_err(|error| BoardError::Kernel { path: path.to_owned(), error })
}

/// Writes and reads back.
fn set(path: &Path, value: &str) -> Result<(), BoardError> {
    write(path, value)?;
    let got = read(path)?;
    if got == value {
        return Ok(());
    }
    let error = io::Error::other(format!("reads back {got} after {value} was written"));
    Err(BoardError::Kernel { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fan_of_hwmon_is_found_by_its_name() {
        let root = tempfile::tempdir().unwrap();
        for (folder, name) in [("hwmon0", "cpu"), ("hwmon1", "emc2305")] {
            let folder = root.path().join(folder);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("name"), format!("{name}\n")).unwrap();
            fs::write(folder.join("pwm2"), "0\n").unwrap();
            fs::write(folder.join("fan2_input"), "4321\n").unwrap();
        }
        let fan = |chip: &str| Hwmon { root: root.path().into(), chip: chip.into(), channel: 2 };
        fan("emc2305").drive(Duty::FULL).unwrap();
        assert_eq!(fs::read_to_string(root.path().join("hwmon1/pwm2")).unwrap(), "255");
        assert_eq!(fs::read_to_string(root.path().join("hwmon0/pwm2")).unwrap(), "0\n", "another's");
        assert_eq!(fan("emc2305").rpm().unwrap(), 4321);
        assert!(fan("nct6775").rpm().is_err());
    }

    /// A channel as the kernel makes it when it is exported: all 0.
    fn channel(chip: &Path, channel: u32) -> PathBuf {
        let folder = chip.join(format!("pwm{channel}"));
        fs::create_dir_all(&folder).unwrap();
        for name in ["period", "duty_cycle", "enable"] {
            fs::write(folder.join(name), "0\n").unwrap();
        }
        folder
    }

    fn pwm(chip: &Path, line: u32) -> Pwm {
        let bus = Bus::Simulated(crate::bus::simulated::Simulated::default());
        Pwm { chip: chip.into(), channel: 1, period_ns: 100_000, pulses_per_turn: 2, bus, line, tach: None }
    }

    fn told(folder: &Path) -> [String; 3] {
        ["period", "duty_cycle", "enable"].map(|name| fs::read_to_string(folder.join(name)).unwrap())
    }

    #[test]
    fn a_pwm_is_exported_once_and_its_period_and_duty_are_the_profiles() {
        let chip = tempfile::tempdir().unwrap();
        let export = chip.path().join("export");
        fs::write(&export, "").unwrap();
        // No kernel makes the channel here.
        let error = pwm(chip.path(), 5).drive(Duty::FULL).unwrap_err().to_string();
        assert!(error.contains("pwm1/period"), "{error}");
        assert_eq!(fs::read_to_string(&export).unwrap(), "1");

        fs::write(&export, "").unwrap();
        let folder = channel(chip.path(), 1);
        for (percent, on_ns) in [(100, "100000"), (30, "30000"), (0, "0"), (100, "100000")] {
            pwm(chip.path(), 5).drive(Duty::percent(percent)).unwrap();
            assert_eq!(told(&folder), ["100000", on_ns, "1"]);
        }
        assert_eq!(fs::read_to_string(&export).unwrap(), "", "it was there");
    }

    #[test]
    fn fans_that_share_a_drive_drive_it_alike_and_another_period_is_replaced() {
        let chip = tempfile::tempdir().unwrap();
        let folder = channel(chip.path(), 1);
        for (name, left) in [("period", "10000\n"), ("duty_cycle", "10000\n"), ("enable", "1\n")] {
            fs::write(folder.join(name), left).unwrap();
        }
        let (front, rear) = (pwm(chip.path(), 5), pwm(chip.path(), 6));
        front.drive(Duty::percent(60)).unwrap();
        rear.drive(Duty::percent(60)).unwrap();
        assert_eq!(told(&folder), ["100000", "60000", "1"]);
    }

    #[test]
    fn a_drive_that_does_not_take_its_duty_is_an_error_with_its_path() {
        let chip = tempfile::tempdir().unwrap();
        let folder = channel(chip.path(), 1);
        fs::write(folder.join("period"), "100000\n").unwrap();
        fs::remove_file(folder.join("duty_cycle")).unwrap();
        std::os::unix::fs::symlink("/dev/null", folder.join("duty_cycle")).unwrap();
        let error = pwm(chip.path(), 5).drive(Duty::FULL).unwrap_err().to_string();
        assert!(error.contains("pwm1/duty_cycle") && error.contains("after 100000 was written"), "{error}");
        assert_eq!(told(&folder)[2], "0\n", "not enabled with an unknown duty");
        // Its tachometer is a line of a bus that has none.
        assert!(pwm(chip.path(), 5).rpm().is_err());
    }
}
