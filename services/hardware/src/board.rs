//! The board around the chips: controller, fan and sensors, rail, reset line; and the few things that are done with them as a whole.
//!
//! Rule of this room: power comes on only in [`Board::power_up`], after a turning fan; everything else here only reads or makes safer.

mod bitaxe_raw;
mod error;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use adit_peripherals::{Duty, Emc2101, Tps546, tps546};
use tokio::time::sleep;

use self::bitaxe_raw::BitaxeRaw;
pub(crate) use self::{bitaxe_raw::ControllerError, error::BoardError};
use crate::{
    port::{Port, PortError},
    power::{Fault, Sample},
    profile::{ControllerKind, FanKind, Profile, Rail, RailKind},
};

/// Fan and rail are looked at this often while they come up.
const LOOK: Duration = Duration::from_millis(10);
/// Looks in a row at which a fan must turn before it counts as turning.
const FAN_LOOKS: u32 = 2;
/// A rail that is off must have fallen below this share of its nominal voltage …
const OFF_SHARE: f64 = 0.25;
/// … within this time.
const FALL: Duration = Duration::from_millis(500);

/// Which parts of the safe state have been reached and read back.
#[derive(Debug, Default)]
pub struct SafeState {
    pub rail_off: bool,
    pub reset_held: bool,
    pub fan_full: bool,
    /// What stood in the way.
    pub errors: Vec<String>,
}

impl SafeState {
    pub fn reached(&self) -> bool {
        self.rail_off && self.reset_held && self.fan_full
    }

    fn note<T>(&mut self, what: &str, result: Result<T, BoardError>) -> Option<T> {
        result.map_err(|error| self.errors.push(format!("{what}: {error}"))).ok()
    }
}

#[derive(Debug)]
pub(crate) struct Board {
    controller: BitaxeRaw,
    fan: Emc2101,
    rail: Tps546,
    reset_pin: u8,
    nominal_volts: f64,
}

impl Board {
    /// Opens the controller's port; touches nothing yet.
    pub(crate) fn open(profile: &Profile) -> Result<Self, BoardError> {
        Self::on(profile, Port::open)
    }

    /// As [`Board::open`], on a port that another process may hold.
    pub(crate) fn open_beside(profile: &Profile) -> Result<Self, BoardError> {
        Self::on(profile, Port::open_beside)
    }

    fn on(
        profile: &Profile,
        open: impl FnOnce(&Path, u32) -> Result<Port, PortError>,
    ) -> Result<Self, BoardError> {
        let port = open(&profile.controller.port, profile.controller.baud)?;
        Ok(Self {
            controller: match profile.controller.kind {
                ControllerKind::BitaxeRaw => BitaxeRaw::new(port),
            },
            fan: match profile.fan.kind {
                FanKind::Emc2101 => Emc2101::new(profile.fan.address),
            },
            rail: match profile.rail.kind {
                RailKind::Tps546d24a => Tps546::new(profile.rail.address, settings(&profile.rail)),
            },
            reset_pin: profile.controller.reset_pin,
            nominal_volts: profile.rail.volts,
        })
    }

    /// Rail off, reset held, fan full, each read back. The rail comes first: without it nothing heats.
    ///
    /// Every part is tried even when an earlier one failed, for they hang on different devices; except that a controller that does not answer at all is not asked again.
    pub(crate) async fn make_safe(&mut self) -> SafeState {
        let mut state = SafeState::default();
        self.make_safe_into(&mut state).await;
        state
    }

    /// As [`Board::make_safe`], for a caller that may break off: `state` holds what was reached until then.
    pub(crate) async fn make_safe_into(&mut self, state: &mut SafeState) {
        let off = self.rail.switch_off(&mut self.controller).await.map_err(BoardError::from);
        let silent = off.as_ref().is_err_and(BoardError::is_silence);
        let off = state.note("rail", off).is_some();
        if silent {
            return;
        }
        let held = self.controller.set_pin(self.reset_pin, false).await;
        state.reset_held = state.note("reset", held.map_err(BoardError::from)).is_some();
        let full = self.fan.drive(&mut self.controller, Duty::FULL).await;
        state.fan_full = state.note("fan", full.map_err(BoardError::from)).is_some();
        if off {
            let fallen = self.wait_for_fall().await;
            state.rail_off = state.note("rail", fallen).is_some();
        }
    }

    async fn wait_for_fall(&mut self) -> Result<(), BoardError> {
        let deadline = Instant::now() + FALL;
        loop {
            let volts = self.rail.volts(&mut self.controller).await?;
            if self.is_off(volts) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(BoardError::StillOn { volts });
            }
            sleep(LOOK).await;
        }
    }

    /// Identities of fan controller and regulator, and the regulator's limits. The rail stays off.
    pub(crate) async fn prepare(&mut self) -> Result<(), BoardError> {
        self.fan.prepare(&mut self.controller).await?;
        self.fan.drive(&mut self.controller, Duty::FULL).await?;
        Ok(self.rail.prepare(&mut self.controller).await?)
    }

    /// Waits until the fan turns. Errors with [`Fault::Fan`] when it does not in time.
    pub(crate) async fn prove_fan(&mut self, profile: &Profile) -> Result<(), Fault> {
        let deadline = Instant::now() + Duration::from_millis(profile.fan.spin_up_ms.into());
        let mut turning = 0;
        loop {
            let rpm = self.fan.rpm(&mut self.controller).await?;
            turning = if rpm >= profile.fan.min_rpm { turning + 1 } else { 0 };
            if turning == FAN_LOOKS {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Fault::Fan { rpm, min: profile.fan.min_rpm });
            }
            sleep(LOOK).await;
        }
    }

    /// Rail on, measured within limits, reset released. The caller has seen the fan turn.
    ///
    /// Looks at the fan once more itself, so that no path through the program leads past it.
    pub(crate) async fn power_up(&mut self, profile: &Profile) -> Result<(), Fault> {
        self.controller.set_pin(self.reset_pin, false).await?;
        let rpm = self.fan.rpm(&mut self.controller).await?;
        if rpm < profile.fan.min_rpm {
            return Err(Fault::Fan { rpm, min: profile.fan.min_rpm });
        }
        self.rail.switch_on(&mut self.controller).await?;
        let rail = &profile.rail;
        let deadline = Instant::now() + Duration::from_millis(rail.rise_ms.into());
        loop {
            let volts = self.rail.volts(&mut self.controller).await?;
            if volts > rail.max_volts || (volts < rail.min_volts && Instant::now() > deadline) {
                return Err(Fault::Rail { volts, min: rail.min_volts, max: rail.max_volts });
            }
            if volts >= rail.min_volts {
                break;
            }
            sleep(LOOK).await;
        }
        self.controller.set_pin(self.reset_pin, true).await?;
        sleep(Duration::from_millis(profile.controller.reset_settle_ms.into())).await;
        Ok(())
    }

    /// A rail that was switched off measures as off.
    pub(crate) fn is_off(&self, volts: f64) -> bool {
        volts <= self.nominal_volts * OFF_SHARE
    }

    /// Everything that the limits are about. A device that does not answer leaves its values out; a controller that does not is not asked for the rest, so that a look takes no longer than one
    /// request with its tries.
    pub(crate) async fn sample(&mut self) -> Sample {
        let looked = self.look().await;
        looked.unwrap_or_else(|silent| Sample { silent: Some(silent.to_string()), ..Default::default() })
    }

    async fn look(&mut self) -> Result<Sample, BoardError> {
        Ok(Sample {
            silent: None,
            rail_volts: unless_silent(self.rail.volts(&mut self.controller).await)?,
            fan_rpm: unless_silent(self.fan.rpm(&mut self.controller).await)?,
            chip_celsius: unless_silent(self.fan.chip_celsius(&mut self.controller).await)?.flatten(),
            board_celsius: unless_silent(self.fan.board_celsius(&mut self.controller).await)?,
        })
    }
}

fn settings(rail: &Rail) -> tps546::Settings {
    tps546::Settings {
        volts: rail.volts,
        min_volts: rail.min_volts,
        max_volts: rail.max_volts,
        over_current_amperes: rail.over_current_amperes,
        over_temperature_celsius: rail.over_temperature_celsius,
        feedback_scale: rail.feedback_scale,
        switching_khz: rail.switching_khz,
        input_on_volts: rail.input_on_volts,
        input_off_volts: rail.input_off_volts,
        input_max_volts: rail.input_max_volts,
    }
}

/// `None`: the device did not answer. Errors: the controller did not.
fn unless_silent<T>(result: Result<T, impl Into<BoardError>>) -> Result<Option<T>, BoardError> {
    match result.map_err(Into::into) {
        Err(error) if error.is_silence() => Err(error),
        result => Ok(result.ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    #[tokio::test]
    async fn a_controller_that_falls_silent_in_the_middle_of_a_look_is_not_asked_for_the_rest() {
        let far = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&far).unwrap();
        unlockpt(&far).unwrap();
        let near = ptsname(&far, Vec::new()).unwrap().into_string().unwrap();
        let shipped = include_str!("../../../overlay/etc/adit/machines/bench-bitaxe.toml");
        let profile = Profile::parse(&shipped.replace("/tmp/adit/board", &near)).unwrap();
        let mut board = Board::open(&profile).unwrap();
        let controller = std::thread::spawn(move || {
            let mut request = [0; 64];
            let length = rustix::io::read(&far, &mut request).unwrap();
            assert!(length > 2);
            // 1.15 V: the rail is well, and nothing more is said.
            rustix::io::write(&far, &[2, 0, request[2], 0x4d, 0x02]).unwrap();
            far
        });
        let began = Instant::now();
        let sample = board.sample().await;
        let silent = sample.silent.as_deref();
        assert_eq!(silent, Some("board controller silent: no answer to 3 requests"), "{sample:?}");
        assert!(
            began.elapsed() < Duration::from_millis(2200),
            "one request with its tries: {:?}",
            began.elapsed()
        );
        drop(controller.join().unwrap());
    }
}
