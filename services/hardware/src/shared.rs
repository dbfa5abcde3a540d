//! What all boards share: the PSU, fans and sensors of the machine. A fault here takes all boards off.

use std::time::{Duration, Instant};

use adit_peripherals::Duty;
use tokio::time::sleep;
use tracing::warn;

use crate::{
    board::{self, SafeState},
    bus::Buses,
    guard::Guard,
    notify,
    parts::{BoardError, Fan, Psu, Sensor},
    power::{Fault, Sample},
    profile::Profile,
    safety::{Place, Reading},
};

/// Readings that prove parts before power follow each other like this.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(crate) struct Shared {
    psu: Option<Psu>,
    fans: Vec<Fan>,
    sensors: Vec<Sensor>,
    /// When the supply last heard from us.
    beat: Instant,
}

impl Shared {
    /// Touches nothing yet.
    pub(crate) fn new(profile: &Profile, buses: &Buses) -> Self {
        Self {
            psu: profile.psu.as_ref().map(|psu| Psu::new(psu, buses)),
            fans: profile.fan.iter().map(|fan| Fan::new(fan, &profile.fan, buses)).collect(),
            sensors: profile.sensor.iter().map(|sensor| Sensor::new(sensor, None, buses)).collect(),
            beat: Instant::now(),
        }
    }

    /// Boards have everything of their own.
    pub(crate) fn is_nothing(&self) -> bool {
        self.psu.is_none() && self.fans.is_empty() && self.sensors.is_empty()
    }

    /// Output off by its line, fans full, each read back. What the output holds for a while is [`Shared::wait_for_fall`]'s.
    pub(crate) async fn make_safe(&mut self, state: &mut SafeState) {
        let off = match &mut self.psu {
            Some(psu) => psu.switch_off().await,
            None => Ok(()),
        };
        state.rail_off = state.note("supply", off).is_some();
        // Boards hold their own resets.
        state.reset_held = true;
        state.fan_full = self.cool(state).await;
    }

    /// Until the output has fallen: boards are not started on what capacitors hold. That may take longer than a supply may be silent.
    pub(crate) async fn wait_for_fall(&mut self, guard: &Guard<'_>) -> Result<(), BoardError> {
        let Some(window) = self.psu.as_ref().map(|psu| psu.window) else { return Ok(()) };
        let measure = async || {
            self.keep_alive(guard).await;
            let psu = self.psu.as_mut().expect("it was there");
            psu.measured().await
        };
        window.fallen(measure).await
    }

    /// Fans full.
    pub(crate) async fn cool(&mut self, state: &mut SafeState) -> bool {
        board::drive_full(&mut self.fans, state).await
    }

    /// Has fans say how fast they turn.
    pub(crate) async fn listen(&mut self) {
        board::listen(&mut self.fans).await;
    }

    /// Fans turning, sensors cool, supply on.
    pub(crate) async fn bring_up(&mut self, profile: &Profile, guard: &Guard<'_>) -> Result<(), Fault> {
        for fan in &mut self.fans {
            fan.prepare().await?;
            fan.drive(Duty::FULL).await?;
        }
        for sensor in &mut self.sensors {
            sensor.prepare().await?;
        }
        board::prove(&mut self.fans).await?;
        let sample = self.sample().await;
        board::is_cool(&self.sensors, &sample, profile)?;
        if let Some(psu) = &mut self.psu {
            psu.prepare().await?;
            guard.psu_answered(psu.heartbeat().await?);
            guard.psu_answered(psu.heartbeat().await?);
            self.beat = Instant::now();
        }
        let asked = Instant::now();
        while !guard.permits(Place::Machine, &self.sample().await, asked)? {
            notify::progress();
            self.keep_alive(guard).await;
            sleep(LOOK).await;
        }
        if let Some(psu) = &mut self.psu {
            let on = psu.switch_on().await;
            // Also when it has not come on well: from switching it off again its output has its time to fall.
            guard.see(Place::Machine, Reading::Power(true));
            on?;
        }
        Ok(())
    }

    pub(crate) async fn sample(&mut self) -> Sample {
        let looked = self.look().await;
        looked.unwrap_or_else(|silent| Sample { silent: Some(silent.to_string()), ..Default::default() })
    }

    async fn look(&mut self) -> Result<Sample, BoardError> {
        let rail_volts = match &mut self.psu {
            Some(psu) => psu.measured().await.ok(),
            None => None,
        };
        let fans = board::look_at_fans(&mut self.fans).await?;
        let sensors = board::look_at_sensors(&mut self.sensors).await?;
        let fan_percent = self.fans.iter().map(Fan::percent).collect();
        Ok(Sample { silent: None, rail_volts, rail_amperes: None, fans, fan_percent, sensors, die: None })
    }

    /// There is no supply that could be switched.
    pub(crate) fn has_no_switch(&self) -> bool {
        self.psu.is_none()
    }

    /// Fans at a share of what lies between quiet and full.
    pub(crate) async fn regulate(&mut self, share: f64) {
        board::regulate(&mut self.fans, share).await;
    }

    /// Lets the supply hear from us when it is time. One that did not answer is told again at the next look: how long that may go on is the safety core's to say.
    pub(crate) async fn keep_alive(&mut self, guard: &Guard<'_>) {
        let due = self.beat.elapsed();
        let Some(psu) = self.psu.as_mut().filter(|psu| due >= psu.heartbeat) else { return };
        match psu.heartbeat().await {
            Ok(on) => {
                self.beat = Instant::now();
                guard.psu_answered(on);
            }
            Err(error) => warn!(target: "adit_hardware", %error, "the supply does not answer"),
        }
    }
}
