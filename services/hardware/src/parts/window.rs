use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::BoardError;
use crate::power::Fault;

/// A voltage is looked at this often while it comes and goes.
const LOOK: Duration = Duration::from_millis(10);
/// An output that is off must have fallen below this share of its nominal voltage.
pub(crate) const OFF_SHARE: f64 = 0.25;

/// What an output must measure when it is on and when it is off, and how long it may take to get there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) volts: f64,
    pub(crate) min_volts: f64,
    pub(crate) max_volts: f64,
    /// From switching on to a measured voltage within limits.
    pub(crate) rise: Duration,
    /// From switching off to one that counts as off.
    pub(crate) fall: Duration,
}

impl Window {
    /// Waits until an output that was just switched on measures within limits. Too high counts at once.
    pub(crate) async fn risen(
        self,
        name: &str,
        mut measure: impl AsyncFnMut() -> Result<f64, BoardError>,
    ) -> Result<(), Fault> {
        let deadline = Instant::now() + self.rise;
        loop {
            let volts = measure().await?;
            if volts >= self.min_volts && volts <= self.max_volts {
                return Ok(());
            }
            if volts > self.max_volts || Instant::now() > deadline {
                return Err(Fault::rail(name, volts, self.min_volts, self.max_volts));
            }
            sleep(LOOK).await;
        }
    }

    /// Waits until an output that was switched off measures as off: capacitors hold it up for a while.
    pub(crate) async fn fallen(
        self,
        mut measure: impl AsyncFnMut() -> Result<f64, BoardError>,
    ) -> Result<(), BoardError> {
        let deadline = Instant::now() + self.fall;
        loop {
            let volts = measure().await?;
            if self.is_off(volts) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(BoardError::StillOn { volts });
            }
            sleep(LOOK).await;
        }
    }

    pub(crate) fn is_off(self, volts: f64) -> bool {
        volts <= self.volts * OFF_SHARE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than any test waits.
    const EVER: Duration = Duration::from_secs(3600);
    const SOON: Duration = Duration::from_millis(30);

    fn window(rise: Duration, fall: Duration) -> Window {
        Window { volts: 1.2, min_volts: 1.1, max_volts: 1.3, rise, fall }
    }

    #[tokio::test]
    async fn an_output_may_rise_in_its_time_but_never_too_high() {
        let mut rising = [0.0, 0.6, 1.15].into_iter();
        window(EVER, EVER).risen("rail", async || Ok(rising.next().unwrap())).await.unwrap();
        let high = window(EVER, EVER).risen("rail", async || Ok(1.31)).await.unwrap_err();
        assert_eq!(high.to_string(), "rail at 1.310 V, must be 1.100 to 1.300");
        for volts in [1.09, f64::NAN] {
            let low = window(SOON, EVER).risen("rail", async || Ok(volts)).await;
            assert!(matches!(low, Err(Fault::Rail { .. })), "{volts}: {low:?}");
        }
    }

    #[tokio::test]
    async fn an_output_is_off_below_a_quarter_and_may_fall_in_its_time() {
        let mut falling = [1.2, 0.4, 0.3].into_iter();
        window(EVER, EVER).fallen(async || Ok(falling.next().unwrap())).await.unwrap();
        for volts in [0.31, f64::NAN] {
            let on = window(EVER, SOON).fallen(async || Ok(volts)).await;
            assert!(matches!(on, Err(BoardError::StillOn { .. })), "{volts}: {on:?}");
        }
    }
}
