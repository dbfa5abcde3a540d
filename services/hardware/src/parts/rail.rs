use std::time::{Duration, Instant};

use adit_peripherals::{Dspic, Pic16, Tps546, dspic, pic16, tps546};
use tokio::time::sleep;

use super::{BoardError, Delay, Window, trimmed::Trimmed};
use crate::{
    bus::{Bus, Buses, Output},
    power::Fault,
    profile::{self, RailPart, Tps546d24a},
};

/// A rail that was switched off counts as off within this time.
pub(crate) const FALL: Duration = Duration::from_millis(500);
/// A supply of the chips' inputs has come within this time: its boost converter and regulators take a millisecond.
const IO_SETTLE: Duration = Duration::from_millis(10);
/// A current source alone: nothing switches its regulator off, or nothing tells what came of it.
const UNDRIVEN_TRIMMED: &str = "ds4432u without an enable line and a meter";

/// A board's own regulator.
#[derive(Debug)]
pub(crate) struct Rail {
    window: Window,
    /// It cuts the rail when it does not hear from us so often …
    heartbeat: Option<Duration>,
    /// … and did then.
    beat: Instant,
    /// Nothing measures it: off since its controller has acknowledged that.
    acknowledged_off: bool,
    enable: Option<Output>,
    io_enable: Option<Output>,
    regulator: Regulator,
}

#[derive(Debug)]
enum Regulator {
    Tps546d24a(Bus, Tps546),
    Trimmed(Trimmed),
    Dspic33(Bus, Dspic),
    Pic16(Bus, Pic16),
    Undriven(&'static str),
}

impl Rail {
    pub(crate) fn new(rail: &profile::Rail, buses: &Buses) -> Self {
        let mut heartbeat = None;
        let regulator = match &rail.part {
            RailPart::Tps546d24a(tps) => {
                Regulator::Tps546d24a(buses.get(&tps.bus), Tps546::new(tps.address, settings(rail, tps)))
            }
            RailPart::Ds4432u(ds) => match (&rail.enable, &ds.meter) {
                (Some(_), Some(meter)) => Regulator::Trimmed(Trimmed::new(rail, ds, *meter, buses)),
                _ => Regulator::Undriven(UNDRIVEN_TRIMMED),
            },
            RailPart::Dspic33(pic) => {
                let facts = dspic::Facts { firmware: pic.firmware, ..dspic::Facts::FIRMWARE_89 };
                heartbeat = Some(Duration::from_millis(pic.heartbeat_ms.into()));
                Regulator::Dspic33(buses.get(&pic.bus), Dspic::new(pic.address, facts))
            }
            RailPart::Pic16f1704(pic) => {
                heartbeat = Some(Duration::from_millis(pic.heartbeat_ms.into()));
                Regulator::Pic16(buses.get(&pic.bus), Pic16::new(pic.address, pic16::Pace::STANDARD))
            }
            RailPart::Tps55289(_) | RailPart::Unpublished => Regulator::Undriven(rail.part.name()),
        };
        Self {
            window: Window {
                volts: rail.volts,
                min_volts: rail.min_volts,
                max_volts: rail.max_volts,
                rise: Duration::from_millis(rail.rise_ms.into()),
                fall: FALL,
            },
            regulator,
            heartbeat,
            beat: Instant::now(),
            acknowledged_off: false,
            enable: rail.enable.as_ref().map(|line| buses.output(line)),
            io_enable: rail.io_enable.as_ref().map(|line| buses.output(line)),
        }
    }

    /// The part that nothing here drives, if it is one.
    pub(crate) fn undriven(&self) -> Option<&'static str> {
        match self.regulator {
            Regulator::Undriven(part) => Some(part),
            _ => None,
        }
    }

    /// It is reached through the controller that `bus` is.
    pub(crate) fn is_behind(&self, bus: &Bus) -> bool {
        match &self.regulator {
            Regulator::Tps546d24a(own, _) | Regulator::Dspic33(own, _) | Regulator::Pic16(own, _) => {
                own.shares_controller(bus)
            }
            Regulator::Trimmed(trimmed) => trimmed.bus.shares_controller(bus),
            Regulator::Undriven(_) => false,
        }
    }

    /// Off at once: by its line first, where it has one. Needs no earlier call to have come through.
    pub(crate) async fn switch_off(&mut self) -> Result<(), BoardError> {
        let line = set(self.enable.as_ref(), false).await;
        let regulator = self.regulator_off().await;
        let io = set(self.io_enable.as_ref(), false).await;
        line.and(regulator).and(io)
    }

    async fn regulator_off(&mut self) -> Result<(), BoardError> {
        match &mut self.regulator {
            Regulator::Tps546d24a(bus, part) => Ok(part.switch_off(bus).await?),
            // Its line was all there is.
            Regulator::Trimmed(_) => Ok(()),
            // It lives on what it switches. One that nobody hears has no supply; if it has and hangs, it hears no heartbeat either.
            Regulator::Dspic33(bus, part) => {
                match part.disable(bus, &mut Delay).await.map_err(BoardError::from) {
                    Err(error) if error.is_unacknowledged() => Ok(()),
                    result => result,
                }
            }
            Regulator::Pic16(bus, part) => {
                self.acknowledged_off = false;
                part.disable(bus, &mut Delay).await?;
                self.acknowledged_off = true;
                Ok(())
            }
            Regulator::Undriven(part) => Err(BoardError::Undriven(part)),
        }
    }

    /// Checks what it is, switches off, and writes every limit.
    pub(crate) async fn prepare(&mut self) -> Result<(), BoardError> {
        set(self.enable.as_ref(), false).await?;
        match &mut self.regulator {
            Regulator::Tps546d24a(bus, part) => Ok(part.prepare(bus).await?),
            Regulator::Trimmed(trimmed) => trimmed.set_volts(self.window.volts).await,
            Regulator::Dspic33(bus, part) => {
                part.start(bus, &mut Delay).await?;
                Ok(part.disable(bus, &mut Delay).await?)
            }
            Regulator::Pic16(bus, part) => {
                // Its program starts with the rail off.
                part.prepare(bus, &mut Delay).await?;
                part.set(bus, &mut Delay, self.window.volts).await?;
                self.regulator_off().await
            }
            Regulator::Undriven(part) => Err(BoardError::Undriven(part)),
        }
    }

    pub(crate) async fn switch_on(&mut self) -> Result<(), BoardError> {
        if self.io_enable.is_some() {
            set(self.io_enable.as_ref(), true).await?;
            sleep(IO_SETTLE).await;
        }
        match &mut self.regulator {
            Regulator::Tps546d24a(bus, part) => part.switch_on(bus).await?,
            Regulator::Trimmed(trimmed) => trimmed.set_volts(self.window.volts).await?,
            Regulator::Dspic33(bus, part) => {
                part.enable(bus, &mut Delay).await?;
                part.heartbeat(bus, &mut Delay).await?;
            }
            Regulator::Pic16(bus, part) => {
                self.acknowledged_off = false;
                part.enable(bus, &mut Delay).await?;
                part.heartbeat(bus, &mut Delay).await?;
            }
            Regulator::Undriven(part) => return Err(BoardError::Undriven(part)),
        }
        self.beat = Instant::now();
        // Last: with a line and a bus to obey, what the bus said stands before the line lets it.
        set(self.enable.as_ref(), true).await
    }

    /// Lets the regulator hear from us when it is time.
    pub(crate) async fn keep_alive(&mut self) -> Result<(), BoardError> {
        if self.heartbeat.is_none_or(|interval| self.beat.elapsed() < interval) {
            return Ok(());
        }
        match &mut self.regulator {
            Regulator::Dspic33(bus, part) => part.heartbeat(bus, &mut Delay).await?,
            Regulator::Pic16(bus, part) => part.heartbeat(bus, &mut Delay).await?,
            _ => {}
        }
        self.beat = Instant::now();
        Ok(())
    }

    /// Another voltage for a rail that is on. The caller has held it against the profile's limits, and the regulator, where it knows them, holds it against them again.
    pub(crate) async fn set_volts(&mut self, volts: f64) -> Result<(), BoardError> {
        match &mut self.regulator {
            Regulator::Tps546d24a(bus, part) => Ok(part.set_volts(bus, volts).await?),
            Regulator::Trimmed(trimmed) => trimmed.set_volts(volts).await,
            Regulator::Dspic33(..) => Err(BoardError::Undriven("dspic33's voltage")),
            Regulator::Pic16(bus, part) => {
                part.set(bus, &mut Delay, volts).await?;
                Ok(())
            }
            Regulator::Undriven(part) => Err(BoardError::Undriven(part)),
        }
    }

    /// As measured; `None` where nothing measures it.
    pub(crate) async fn measured(&mut self) -> Result<Option<f64>, BoardError> {
        match &mut self.regulator {
            Regulator::Tps546d24a(bus, part) => Ok(Some(part.volts(bus).await?)),
            Regulator::Trimmed(trimmed) => Ok(Some(trimmed.volts().await?)),
            Regulator::Dspic33(bus, part) => {
                match part.volts(bus, &mut Delay).await.map_err(BoardError::from) {
                    Err(error) if error.is_unacknowledged() => Ok(Some(0.0)),
                    result => result.map(Some),
                }
            }
            Regulator::Pic16(..) => Ok(None),
            Regulator::Undriven(part) => Err(BoardError::Undriven(part)),
        }
    }

    /// As measured; `None` where the regulator does not say.
    pub(crate) async fn amperes(&mut self) -> Result<Option<f64>, BoardError> {
        match &mut self.regulator {
            Regulator::Tps546d24a(bus, part) => Ok(Some(part.amperes(bus).await?)),
            _ => Ok(None),
        }
    }

    /// A rail that was switched off measures as off, or was acknowledged to be where nothing measures it.
    pub(crate) fn is_off(&self, volts: Option<f64>) -> bool {
        match self.regulator {
            Regulator::Pic16(..) => self.acknowledged_off,
            _ => volts.is_some_and(|volts| self.window.is_off(volts)),
        }
    }

    pub(crate) async fn wait_for_fall(&mut self) -> Result<(), BoardError> {
        let window = self.window;
        if let Regulator::Pic16(..) = self.regulator {
            return Ok(());
        }
        window.fallen(async || Ok(self.measured().await?.unwrap_or(f64::NAN))).await
    }

    pub(crate) async fn wait_for_rise(&mut self) -> Result<(), Fault> {
        let window = self.window;
        if let Regulator::Pic16(bus, part) = &mut self.regulator {
            // Nothing tells that it has risen. What its controller says that it was told must at least be right.
            sleep(window.rise).await;
            let told = part.told(bus, &mut Delay).await?;
            return match told >= window.min_volts && told <= window.max_volts {
                true => Ok(()),
                false => Err(Fault::rail("rail", told, window.min_volts, window.max_volts)),
            };
        }
        window.risen("rail", async || Ok(self.measured().await?.unwrap_or(f64::NAN))).await
    }
}

async fn set(line: Option<&Output>, active: bool) -> Result<(), BoardError> {
    match line {
        Some(line) => Ok(line.set(active).await?),
        None => Ok(()),
    }
}

fn settings(rail: &profile::Rail, tps: &Tps546d24a) -> tps546::Settings {
    tps546::Settings {
        volts: rail.volts,
        min_volts: rail.min_volts,
        max_volts: rail.max_volts,
        over_current_amperes: tps.over_current_amperes,
        over_temperature_celsius: tps.over_temperature_celsius,
        feedback_scale: tps.feedback_scale,
        switching_khz: tps.switching_khz,
        input_on_volts: tps.input_on_volts,
        input_off_volts: tps.input_off_volts,
        input_max_volts: tps.input_max_volts,
    }
}

#[cfg(test)]
mod tests {
    use adit_simulator::{Endpoint, Event, Fault as Broken, Handle, MachineConfig, S9, Simulator};

    use super::*;
    use crate::bus::{Claim, simulated};
    use crate::profile::Profile;

    /// Board 0 of a simulated S9, and its rail.
    fn s9(volts: &str) -> (tempfile::TempDir, Handle, Rail) {
        let folder = tempfile::tempdir().unwrap();
        let chain = |board: usize| Endpoint::Pty(folder.path().join(format!("chain-{board}")));
        let config = MachineConfig::new(&S9, (0..3).map(chain).collect(), None);
        let handle = Simulator::start_machine(&config).unwrap();
        let i2c = Some(handle.i2c(0));
        simulated::attach("boards", simulated::Simulated { i2c, ..Default::default() });
        let text = include_str!("../../../../overlay/etc/adit/machines/s9-zynq.toml");
        let profile = Profile::parse(&text.replace("volts = 8.8\n", volts)).unwrap();
        let buses = Buses::new(&profile, Claim::Alone);
        let rail = Rail::new(profile.board[0].rail.as_ref().unwrap(), &buses);
        (folder, handle, rail)
    }

    fn volts(handle: &Handle) -> f64 {
        f64::from(handle.state().boards[0].rail.millivolts) / 1e3
    }

    async fn until(handle: &Handle, wanted: impl Fn(f64) -> bool) -> Duration {
        let began = Instant::now();
        while !wanted(volts(handle)) {
            assert!(began.elapsed() < Duration::from_secs(30), "{} V", volts(handle));
            sleep(Duration::from_millis(10)).await;
        }
        began.elapsed()
    }

    #[tokio::test]
    async fn a_rail_that_nothing_measures_is_off_when_its_controller_has_said_so() {
        let (_folder, handle, mut rail) = s9("volts = 8.8\n");
        // The simulated supply takes a moment to come.
        sleep(Duration::from_secs(1)).await;
        assert!(!rail.is_off(None), "nobody has said anything yet");
        rail.switch_off().await.unwrap();
        rail.prepare().await.unwrap();
        assert!(rail.is_off(None) && rail.measured().await.unwrap().is_none());
        assert!(volts(&handle) < 0.1);
        rail.switch_on().await.unwrap();
        assert!(!rail.is_off(None));
        rail.wait_for_rise().await.unwrap();
        assert!((8.7..8.9).contains(&volts(&handle)), "{}", volts(&handle));
        rail.set_volts(8.5).await.unwrap();
        until(&handle, |volts| (8.4..8.6).contains(&volts)).await;
        rail.switch_off().await.unwrap();
        assert!(rail.is_off(None));
        until(&handle, |volts| volts < 0.1).await;
        let complaints: Vec<_> = handle.events(0).events;
        assert!(!complaints.iter().any(|record| matches!(record.event, Event::ProtocolError { .. })));
    }

    #[tokio::test]
    async fn a_rail_whose_controller_hears_nothing_is_cut_and_one_that_is_told_stays() {
        let (_folder, handle, mut rail) = s9("volts = 8.8\n");
        sleep(Duration::from_secs(1)).await;
        rail.prepare().await.unwrap();
        rail.switch_on().await.unwrap();
        rail.wait_for_rise().await.unwrap();
        for _ in 0..24 {
            sleep(Duration::from_millis(500)).await;
            rail.keep_alive().await.unwrap();
        }
        assert!(volts(&handle) > 8.0, "twelve seconds with heartbeats");
        let took = until(&handle, |volts| volts < 0.1).await;
        assert!((8..12).contains(&took.as_secs()), "ten seconds after the last one: {took:?}");
    }

    #[tokio::test]
    async fn a_controller_that_answers_nobody_has_not_said_that_its_rail_is_off() {
        let (_folder, handle, mut rail) = s9("volts = 8.8\n");
        sleep(Duration::from_secs(1)).await;
        rail.prepare().await.unwrap();
        handle.fault_on(0, Broken::Unplugged(true)).unwrap();
        let error = rail.switch_off().await.unwrap_err();
        assert!(error.to_string().starts_with("PIC16F1704 at 0x55: "), "{error}");
        assert!(!rail.is_off(None));
    }
}
