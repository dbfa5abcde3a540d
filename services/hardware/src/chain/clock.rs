//! The chips' clock while they hash: step by step to what is asked for, between the jobs.
//!
//! A new target never waits for an old one and costs nothing by itself: the next step goes to whatever is wanted then, and steps are no closer than the profile's ramp has them.

use std::time::Duration;

use adit_asic::{Chip, Frame, KiloHertz};
use tokio::time::Instant;
use tracing::info;

use super::{Chain, ChainFault};
use crate::orders::Clock;

/// Steps are at least so far apart, also where the ramp of a start without current needs no pauses.
const STEPS: Duration = Duration::from_millis(10);

/// A clock that was not changed for so long is worth a line in the log.
const SETTLED: Duration = Duration::from_secs(1);

/// Where the clock is on its way.
#[derive(Debug)]
pub(super) struct Tuning {
    /// What the last step was for; the PLL comes near it.
    at: KiloHertz,
    /// Writes of the present step that are yet to be sent.
    writes: std::vec::IntoIter<Frame>,
    /// Before this nothing is written.
    due: Instant,
    /// Before this no new step begins, unless safety wants one.
    ramped: Instant,
    /// When to say where the clock has come to.
    say: Option<Instant>,
}

impl Tuning {
    pub(super) fn new(at: KiloHertz, now: Instant) -> Self {
        Self { at, writes: Vec::new().into_iter(), due: now, ramped: now, say: None }
    }

    /// When there is something to do for `wanted`; never when it has been reached.
    pub(super) fn next(&self, wanted: Clock) -> Option<Instant> {
        let Clock { target, throttled } = wanted;
        if !self.writes.as_slice().is_empty() || (throttled && target < self.at) {
            return Some(self.due);
        }
        if target == self.at { self.say } else { Some(self.due.max(self.ramped)) }
    }

    /// The frequency of the next step: up by the ramp's step, down likewise, or at once when safety wants it down.
    fn step(&self, wanted: Clock, step: KiloHertz) -> KiloHertz {
        let Clock { target, throttled } = wanted;
        if target > self.at {
            KiloHertz(self.at.0.saturating_add(step.0)).min(target)
        } else if throttled {
            target
        } else {
            KiloHertz(self.at.0.saturating_sub(step.0)).max(target)
        }
    }

    /// The next write, and how long the chips need after it. `None`: there is nothing more to write for now.
    fn advance(
        &mut self,
        chip: &Chip,
        wanted: Clock,
        ramp: adit_asic::init::Ramp,
        now: Instant,
    ) -> Option<Write> {
        let mut set = None;
        if self.writes.as_slice().is_empty() {
            if self.at == wanted.target {
                return None;
            }
            self.at = self.step(wanted, ramp.step);
            // Between two frequencies that can be set may lie one that cannot: that step is left out.
            if let Ok((pll, frames)) = chip.set_frequency(self.at) {
                self.writes = frames.into_iter();
                set = Some(pll.frequency());
            }
            self.say = Some(now + SETTLED);
        }
        let frame = self.writes.next();
        let gap = Duration::from_millis(chip.pll_writes.gap_ms.into());
        self.due = now + gap;
        self.ramped = now + Duration::from_millis(ramp.step_ms.into()).max(STEPS);
        Some(Write { frame, set })
    }
}

struct Write {
    frame: Option<Frame>,
    /// The step's first write: what it sets.
    set: Option<KiloHertz>,
}

impl Chain<'_> {
    /// Does what is due for the clock that is wanted: at most one write. Returns the chips' new clock when that was its first.
    pub(super) async fn tune(
        &self,
        tuning: &mut Tuning,
        wanted: Clock,
    ) -> Result<Option<KiloHertz>, ChainFault> {
        let now = Instant::now();
        if tuning.next(wanted).is_none_or(|due| now < due) {
            return Ok(None);
        }
        let Some(Write { frame, set }) = tuning.advance(self.chip, wanted, self.profile.setup().ramp, now)
        else {
            tuning.say = None;
            let throttled = wanted.throttled;
            info!(target: "adit_hardware", chain = self.index, mhz = %tuning.at, throttled, "clock");
            return Ok(None);
        };
        if let Some(frame) = frame {
            self.port.write(frame.as_bytes()).await?;
        }
        if let Some(set) = set {
            self.status.chain(self.index, |chain| chain.mhz = set.mhz());
        }
        if tuning.writes.as_slice().is_empty() {
            self.orders.clock_is(self.index, tuning.at);
        }
        Ok(set)
    }

    /// Time between two jobs of four midstates: the profile's is for its own clock.
    pub(super) fn job_interval(&self, clock: KiloHertz) -> Duration {
        self.profile.job_interval().mul_f64(self.profile.mhz / clock.mhz())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use adit_asic::{BM1370, BM1397, init::Ramp};

    fn at(mhz: f64) -> KiloHertz {
        KiloHertz::from_mhz(mhz)
    }

    fn ramp() -> Ramp {
        Ramp { start: at(62.5), step: at(25.0), step_ms: 100, target: at(525.0) }
    }

    fn to(mhz: f64) -> Clock {
        Clock { target: at(mhz), throttled: false }
    }

    /// Everything that is written until the clock is there: at which millisecond, and which frequency began.
    fn writes(chip: &Chip, tuning: &mut Tuning, wanted: Clock, began: Instant) -> Vec<(u128, Option<f64>)> {
        let mut writes = Vec::new();
        loop {
            let due = tuning.next(wanted).unwrap();
            match tuning.advance(chip, wanted, ramp(), due) {
                Some(write) => {
                    writes.push((due.duration_since(began).as_millis(), write.set.map(KiloHertz::mhz)))
                }
                None => return writes,
            }
        }
    }

    #[test]
    fn the_clock_goes_up_and_down_by_steps_no_closer_than_the_ramps() {
        let now = Instant::now();
        let mut tuning = Tuning::new(at(525.0), now);
        assert_eq!(tuning.next(to(525.0)), None, "nothing to do");
        let up = writes(&BM1370, &mut tuning, to(600.0), now);
        assert_eq!(up, [(0, Some(550.0)), (100, Some(575.0)), (200, Some(600.0))]);
        let now = Instant::now();
        let down = writes(&BM1370, &mut tuning, to(560.0), now);
        let began = down[0].0;
        assert_eq!(down.iter().map(|(ms, _)| ms - began).collect::<Vec<_>>(), [0, 100]);
        assert_eq!(down[0].1, Some(575.0));
        assert!((down[1].1.unwrap() - 560.0).abs() < 6.0, "{down:?}");
    }

    #[test]
    fn safety_does_not_wait_for_the_ramp() {
        let now = Instant::now();
        let mut tuning = Tuning::new(at(525.0), now);
        tuning.advance(&BM1370, to(600.0), ramp(), now);
        let throttle = Clock { target: at(100.0), throttled: true };
        assert_eq!(tuning.next(throttle), Some(now), "at once, in the middle of a pause");
        assert_eq!(writes(&BM1370, &mut tuning, throttle, now), [(0, Some(100.0))]);
    }

    #[test]
    fn a_step_of_several_writes_is_ended_before_the_next_one_begins() {
        let now = Instant::now();
        let mut tuning = Tuning::new(at(425.0), now);
        tuning.advance(&BM1397, to(450.0), ramp(), now);
        let throttle = Clock { target: at(100.0), throttled: true };
        let written = writes(&BM1397, &mut tuning, throttle, now);
        // Twice each of two registers, 10 ms after each.
        assert_eq!(written.len(), 3 + 4, "{written:?}");
        assert_eq!(written[3], (40, Some(100.0)));
        assert_eq!(written.iter().map(|(ms, _)| *ms).collect::<Vec<_>>(), [10, 20, 30, 40, 50, 60, 70]);
    }
}
