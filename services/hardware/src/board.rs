//! One hash board: reset line, rail, its own fans and sensors; and the few things that are done with them as a whole.
//!
//! Rule of this room: power comes on only in [`Board::power_up`], after turning fans; everything else here only reads or makes safer. What boards share is in [`crate::shared`].

use std::time::{Duration, Instant};

use adit_peripherals::Duty;
use tokio::time::sleep;
use tracing::warn;

use crate::{
    bus::{Bus, Buses, Input, Output},
    parts::{BoardError, Claimed, Fan, Identity, Rail, Sensor},
    power::{Fault, Sample},
    profile::{BoardProfile, Place, Profile},
};

/// Fans are looked at this often while they come up.
const LOOK: Duration = Duration::from_millis(10);
/// A controller that waits for our heartbeat is looked after this often while chips settle.
const BEAT: Duration = Duration::from_millis(100);
/// Looks in a row at which a fan must turn before it counts as turning.
const FAN_LOOKS: u32 = 2;

/// Which parts of the safe state have been reached and read back.
#[derive(Debug, Clone, Default)]
pub struct SafeState {
    pub rail_off: bool,
    pub reset_held: bool,
    pub fan_full: bool,
    /// What stood in the way.
    pub errors: Vec<String>,
    /// There is no way to the board at all; of a machine: to none of its boards.
    pub unopened: bool,
    /// The board is not plugged in.
    pub absent: bool,
}

impl SafeState {
    pub fn reached(&self) -> bool {
        self.rail_off && self.reset_held && self.fan_full
    }

    pub(crate) fn note<T>(&mut self, what: &str, result: Result<T, BoardError>) -> Option<T> {
        result.map_err(|error| self.errors.push(format!("{what}: {error}"))).ok()
    }

    /// Of several boards: what all have reached. One that is not plugged in has nothing to reach.
    pub(crate) fn with(mut self, other: Self) -> Self {
        if self.absent || other.absent {
            let (mut there, gone) = if self.absent { (other, self) } else { (self, other) };
            there.errors.extend(gone.errors);
            return there;
        }
        self.errors.extend(other.errors);
        Self {
            rail_off: self.rail_off && other.rail_off,
            reset_held: self.reset_held && other.reset_held,
            fan_full: self.fan_full && other.fan_full,
            errors: self.errors,
            unopened: self.unopened && other.unopened,
            absent: false,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Board {
    reset: Output,
    reset_settle: Duration,
    plug: Option<Input>,
    /// `None`: the chips hang on the PSU.
    rail: Option<Rail>,
    pub(crate) fans: Vec<Fan>,
    pub(crate) sensors: Vec<Sensor>,
    identity: Option<Identity>,
    /// Whose loss is the board's.
    bus: Bus,
}

impl Board {
    /// Touches nothing yet.
    pub(crate) fn new(board: &BoardProfile, buses: &Buses) -> Self {
        Self {
            reset: buses.output(&board.reset),
            reset_settle: Duration::from_millis(board.reset_settle_ms.into()),
            plug: board.plug.as_ref().map(|plug| buses.input(plug)),
            rail: board.rail.as_ref().map(|rail| Rail::new(rail, buses)),
            fans: board.fan.iter().map(|fan| Fan::new(fan, &board.fan, buses)).collect(),
            identity: board.eeprom.as_ref().map(|eeprom| Identity::new(eeprom, buses)),
            sensors: board
                .sensor
                .iter()
                .map(|sensor| Sensor::new(sensor, Some(&board.chain), buses))
                .collect(),
            bus: buses.get(&board.reset.bus),
        }
    }

    pub(crate) fn has_rail(&self) -> bool {
        self.rail.is_some()
    }

    /// Drops the way to the board, so that it is looked for anew.
    pub(crate) async fn close(&self) {
        self.bus.close().await;
    }

    /// A board is there, as far as can be said: its bus opens, and its plug line does not deny it.
    pub(crate) async fn is_there(&self) -> bool {
        self.bus.open().await.is_ok()
            && match &self.plug {
                Some(plug) => plug.is_active().await.unwrap_or(true),
                None => true,
            }
    }

    /// Rail off, reset held, fans full, each read back. Behind one controller the rail comes first, for without it nothing heats; a reset line of its own does not wait for the rail's bus.
    ///
    /// Every part is tried even when an earlier one failed, for they hang on different devices; except that a controller that does not answer at all is not asked again. `state` holds what was reached
    /// until then for a caller that breaks off.
    pub(crate) async fn make_safe(&mut self, state: &mut SafeState) {
        if let Err(error) = self.bus.open().await {
            (state.unopened, state.absent) = (error.is_unopened(), error.is_absence());
            state.errors.push(error.to_string());
            return;
        }
        if let Some(plug) = &self.plug
            && matches!(plug.is_active().await, Ok(false))
        {
            state.absent = true;
            // Whatever is plugged in next must not find its chips running.
            let _ = self.reset.set(true).await;
            return;
        }
        let together = self.rail.as_ref().is_some_and(|rail| rail.is_behind(&self.bus));
        if !together {
            self.hold_reset(state).await;
        }
        let off = match &mut self.rail {
            Some(rail) => rail.switch_off().await,
            None => Ok(()),
        };
        let silent = off.as_ref().is_err_and(BoardError::is_silence);
        let off = state.note("rail", off).is_some();
        if together {
            if silent {
                return;
            }
            self.hold_reset(state).await;
        }
        state.fan_full = drive_full(&mut self.fans, state).await;
        if off {
            let fallen = match &mut self.rail {
                Some(rail) => rail.wait_for_fall().await,
                None => Ok(()),
            };
            state.rail_off = state.note("rail", fallen).is_some();
        }
    }

    async fn hold_reset(&mut self, state: &mut SafeState) {
        let held = self.reset.set(true).await;
        state.reset_held = state.note("reset", held.map_err(BoardError::from)).is_some();
    }

    /// What the board says that it is; `None` where nobody asks. Errors: it does not say.
    pub(crate) async fn identify(&mut self) -> Result<Option<Claimed>, BoardError> {
        match &mut self.identity {
            Some(identity) => identity.read().await.map(Some),
            None => Ok(None),
        }
    }

    /// Identities of its fan controllers, sensors and regulator, and the regulator's limits. The rail stays off.
    pub(crate) async fn prepare(&mut self) -> Result<(), BoardError> {
        for fan in &mut self.fans {
            fan.prepare().await?;
            fan.drive(Duty::FULL).await?;
        }
        for sensor in &mut self.sensors {
            sensor.prepare().await?;
        }
        match &mut self.rail {
            Some(rail) => rail.prepare().await,
            None => Ok(()),
        }
    }

    /// Lets a regulator that wants to hear from us do so. Its silence shows in what is measured.
    async fn keep_alive(&mut self) -> Result<(), BoardError> {
        match &mut self.rail {
            Some(rail) => unless_silent(rail.keep_alive().await).map(drop),
            None => Ok(()),
        }
    }

    /// Rail on, measured within limits, reset released. The caller has seen the fans turn.
    ///
    /// Looks at the fans once more itself, so that no path through the program leads past it.
    pub(crate) async fn power_up(&mut self) -> Result<(), Fault> {
        self.reset.set(true).await?;
        for fan in &mut self.fans {
            let rpm = fan.rpm().await?;
            if rpm < fan.min_rpm {
                return Err(Fault::fan(fan, rpm));
            }
        }
        if let Some(rail) = &mut self.rail {
            rail.switch_on().await?;
            rail.wait_for_rise().await?;
        }
        self.reset.set(false).await?;
        let settled = Instant::now() + self.reset_settle;
        while Instant::now() < settled {
            self.keep_alive().await?;
            sleep(BEAT.min(settled.saturating_duration_since(Instant::now()))).await;
        }
        Ok(())
    }

    /// Another voltage for a rail that is on. The caller has held it against the profile's limits, and a regulator that knows them does so again.
    pub(crate) async fn set_volts(&mut self, volts: f64) -> Result<(), BoardError> {
        match &mut self.rail {
            Some(rail) => rail.set_volts(volts).await,
            None => Ok(()),
        }
    }

    /// A rail that was switched off measures as off.
    pub(crate) fn is_off(&self, sample: &Sample) -> bool {
        match &self.rail {
            Some(rail) => rail.is_off(sample.rail_volts),
            None => true,
        }
    }

    /// Everything that the limits are about; a board that is `powered` is told besides that somebody looks. A device that does not answer leaves its values out; a controller that does not is not asked for the rest, so that a look takes no longer than one
    /// request with its tries.
    pub(crate) async fn sample(&mut self, powered: bool) -> Sample {
        let looked = self.look(powered).await;
        looked.unwrap_or_else(|silent| Sample { silent: Some(silent.to_string()), ..Default::default() })
    }

    async fn look(&mut self, powered: bool) -> Result<Sample, BoardError> {
        let (rail_volts, rail_amperes) = match &mut self.rail {
            Some(rail) => (
                unless_silent(rail.measured().await)?.flatten(),
                unless_silent(rail.amperes().await)?.flatten(),
            ),
            None => (None, None),
        };
        let fans = look_at_fans(&mut self.fans).await?;
        let mut sensors = Vec::with_capacity(self.sensors.len());
        for index in 0..self.sensors.len() {
            // Slow sensors must not keep the heartbeat waiting.
            if powered {
                self.keep_alive().await?;
            }
            sensors.push(unless_silent(self.sensors[index].celsius().await)?.flatten());
        }
        let fan_percent = self.fans.iter().map(Fan::percent).collect();
        Ok(Sample { silent: None, rail_volts, rail_amperes, fans, fan_percent, sensors, die: None })
    }

    /// Nothing here can drive this part: the board is not to be powered.
    pub(crate) fn undriven(&self) -> Option<String> {
        self.rail.as_ref().and_then(Rail::undriven).map(|part| format!("rail {part}"))
    }
}

/// All fans at full speed; true when each has taken it.
pub(crate) async fn drive_full(fans: &mut [Fan], state: &mut SafeState) -> bool {
    let mut all = true;
    for fan in fans {
        let full = fan.drive(Duty::FULL).await;
        all &= state.note(&fan.name, full).is_some();
    }
    all
}

/// Fans at a share of what lies between quiet and full. One that does not take it is told again at the next look, and its tachometer is believed, not its drive. A controller that does not answer
/// is not asked for the rest: what is to be switched off waits for it, too.
pub(crate) async fn regulate(fans: &mut [Fan], share: f64) {
    for fan in fans {
        let regulated = fan.regulate(share).await;
        if let Err(error) = &regulated
            && !std::mem::replace(&mut fan.complained, true)
        {
            warn!(target: "adit_hardware", fan = %fan.name, %error, "fan not regulated; tried again at every look");
        }
        match regulated {
            Err(error) if error.is_silence() => return,
            Err(_) => {}
            Ok(()) => fan.complained = false,
        }
    }
}

/// Has fans say how fast they turn, which some do not do by themselves. What does not answer shows in the looks.
pub(crate) async fn listen(fans: &mut [Fan]) {
    for fan in fans {
        if let Err(error) = fan.prepare().await {
            tracing::debug!(%error, "a fan cannot be prepared");
        }
    }
}

/// Waits until all fans turn. Errors with [`Fault::Fan`] when one does not in time.
pub(crate) async fn prove(fans: &mut [Fan]) -> Result<(), Fault> {
    let began = Instant::now();
    for fan in fans {
        let mut turning = 0;
        while turning < FAN_LOOKS {
            let rpm = fan.rpm().await?;
            turning = if rpm >= fan.min_rpm { turning + 1 } else { 0 };
            if turning < FAN_LOOKS && began.elapsed() > fan.spin_up {
                return Err(Fault::fan(fan, rpm));
            }
            if turning < FAN_LOOKS {
                sleep(LOOK).await;
            }
        }
    }
    Ok(())
}

pub(crate) async fn look_at_fans(fans: &mut [Fan]) -> Result<Vec<Option<u32>>, BoardError> {
    let mut rpm = Vec::with_capacity(fans.len());
    for fan in fans {
        rpm.push(unless_silent(fan.rpm().await)?);
    }
    Ok(rpm)
}

pub(crate) async fn look_at_sensors(sensors: &mut [Sensor]) -> Result<Vec<Option<f64>>, BoardError> {
    let mut celsius = Vec::with_capacity(sensors.len());
    for sensor in sensors {
        celsius.push(unless_silent(sensor.celsius().await)?.flatten());
    }
    Ok(celsius)
}

/// The first board temperature that is too high, or missing, for power.
pub(crate) fn is_cool(sensors: &[Sensor], sample: &Sample, profile: &Profile) -> Result<(), Fault> {
    let max = profile.temperature.start_board_celsius;
    for (sensor, celsius) in sensors.iter().zip(&sample.sensors) {
        match celsius {
            // What hangs on the chips is heard when they hash; until then nothing tells how warm they are.
            _ if sensor.of != Place::Board || sensor.reads_with_power() => {}
            Some(celsius) if *celsius <= max => {}
            Some(celsius) => return Err(Fault::StillWarm { celsius: *celsius, max }),
            None => return Err(Fault::SensorLost("board temperature".into())),
        }
    }
    Ok(())
}

/// `None`: the device did not answer. Errors: the controller did not.
fn unless_silent<T>(result: Result<T, BoardError>) -> Result<Option<T>, BoardError> {
    match result {
        Err(error) if error.is_silence() => Err(error),
        result => Ok(result.ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Claim;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    #[tokio::test]
    async fn a_controller_that_falls_silent_in_the_middle_of_a_look_is_not_asked_for_the_rest() {
        let far = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&far).unwrap();
        unlockpt(&far).unwrap();
        let near = ptsname(&far, Vec::new()).unwrap().into_string().unwrap();
        let shipped = include_str!("../../../overlay/etc/adit/machines/bench-bitaxe.toml");
        let profile = Profile::parse(&shipped.replace("/tmp/adit/board", &near)).unwrap();
        let mut board = Board::new(&profile.board[0], &Buses::new(&profile, Claim::Alone));
        let controller = std::thread::spawn(move || {
            let mut request = [0; 64];
            let length = rustix::io::read(&far, &mut request).unwrap();
            assert!(length > 2);
            // 1.15 V: the rail is well, and nothing more is said.
            rustix::io::write(&far, &[2, 0, request[2], 0x4d, 0x02]).unwrap();
            far
        });
        let began = Instant::now();
        let sample = board.sample(true).await;
        let silent = sample.silent.as_deref();
        assert_eq!(silent, Some("board controller silent: no answer to 3 requests"), "{sample:?}");
        assert!(
            began.elapsed() < Duration::from_millis(2200),
            "one request with its tries: {:?}",
            began.elapsed()
        );
        drop(controller.join().unwrap());
    }

    #[test]
    fn a_machine_is_safe_when_each_of_its_boards_is() {
        let safe = || SafeState { rail_off: true, reset_held: true, fan_full: true, ..Default::default() };
        assert!(safe().with(safe()).reached());
        let half = SafeState { rail_off: false, ..safe() };
        let state = safe().with(half);
        assert!(!state.reached() && state.reset_held && state.fan_full);
        let gone = || SafeState { absent: true, unopened: true, ..Default::default() };
        assert!(safe().with(gone()).reached() && gone().with(safe()).reached());
        let none = gone().with(gone());
        assert!(none.unopened && !none.reached());
    }
}
