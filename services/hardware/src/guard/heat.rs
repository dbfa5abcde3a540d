//! What a board turns into heat where nothing measures it.

use adit_asic::KiloHertz;

use crate::profile::BoardProfile;

/// As the profile says, at this clock and voltage.
#[derive(Debug)]
pub(super) struct Heat {
    watts: f64,
    mhz: f64,
    volts: Option<f64>,
}

impl Heat {
    pub(super) fn of(board: &BoardProfile) -> Option<Self> {
        let volts = board.rail.as_ref().filter(|rail| rail.part.is_settable()).map(|rail| rail.volts);
        Some(Self { watts: board.watts?, mhz: board.chain.mhz, volts })
    }

    /// Switching chips draw in proportion to their clock and to the square of their voltage.
    pub(super) fn at(&self, clock: KiloHertz, volts: f64) -> f64 {
        let voltage = self.volts.map_or(1.0, |own| volts / own);
        self.watts * clock.mhz() / self.mhz * voltage * voltage
    }
}
