//! How hard fans have to work: as the hottest of what they cool needs, between as quiet as their profile allows and full. When they must run full whatever the temperatures say is the safety core's.

use std::cell::RefCell;

use crate::{
    guard::limits,
    power::Sample,
    profile::{Profile, Sensor},
    safety::{FanDemand, Place},
};

/// Full so far below the temperature at which chips are slowed down, in K …
const FULL_BELOW: f64 = 3.0;
/// … and quiet so far below that.
const SPAN: f64 = 20.0;

/// Of the machine and its boards.
#[derive(Debug)]
pub(crate) struct Cooling {
    /// By sensor, the machine's first, then each board's: at what it is to be full. `None`: is only shown.
    full: Vec<Vec<Option<f64>>>,
    /// Likewise, for the hottest die.
    die_full: f64,
    /// What each place needs, 0 to 1.
    needs: RefCell<Vec<f64>>,
}

impl Cooling {
    pub(crate) fn new(profile: &Profile) -> Self {
        let full_at = |sensor: &Sensor| Some(limits::of_sensor(profile, sensor)?.warm - FULL_BELOW);
        let of = |sensors: &[Sensor]| sensors.iter().map(full_at).collect::<Vec<_>>();
        let boards = profile.board.iter().map(|board| of(&board.sensor));
        let full: Vec<_> = std::iter::once(of(&profile.sensor)).chain(boards).collect();
        let die_full = profile.temperature.max_chip_celsius - limits::WARM_BELOW - FULL_BELOW;
        Self { needs: RefCell::new(vec![0.0; full.len()]), full, die_full }
    }

    /// What a place's own fans are driven at, as a share of what lies between quiet and full; the machine's serve all boards. `powered`: what cannot be read may be hot.
    pub(crate) fn share(&self, place: Place, demand: FanDemand, sample: &Sample, powered: bool) -> f64 {
        let index = if let Place::Board(board) = place { board + 1 } else { 0 };
        let mut needs = self.needs.borrow_mut();
        let die = sample.die.map_or(0.0, |celsius| share(self.die_full, celsius));
        needs[index] = need(&self.full[index], &sample.sensors, powered).max(die);
        match (demand, place) {
            (FanDemand::Full, _) => 1.0,
            (_, Place::Machine) => needs.iter().copied().fold(0.0, f64::max),
            (_, Place::Board(_)) => needs[index],
        }
    }
}

fn share(full: f64, celsius: f64) -> f64 {
    (1.0 - (full - celsius) / SPAN).clamp(0.0, 1.0)
}

fn need(full: &[Option<f64>], sensors: &[Option<f64>], powered: bool) -> f64 {
    let unread = if powered { 1.0 } else { 0.0 };
    let judged = full.iter().enumerate().filter_map(|(at, full)| Some((at, (*full)?)));
    let needs = judged.map(|(at, full)| match sensors.get(at).copied().flatten() {
        Some(celsius) if celsius.is_finite() => share(full, celsius),
        _ => unread,
    });
    needs.fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(sensors: &[Option<f64>]) -> Sample {
        Sample { sensors: sensors.to_vec(), ..Default::default() }
    }

    #[test]
    fn fans_follow_the_hottest_and_what_cannot_be_read_under_power_counts_as_hot() {
        let text = include_str!("../../../overlay/etc/adit/machines/qemu-bitaxe.toml");
        let profile = Profile::parse(text).unwrap();
        let cooling = Cooling::new(&profile);
        let share = |chip, board, powered| {
            let sample = sample(&[chip, board]);
            cooling.share(Place::Board(0), FanDemand::Normal, &sample, powered)
        };
        // Chips are slowed down at 70 °C, boards at 65.
        let table = [
            ((Some(25.0), Some(25.0), true), 0.0),
            ((Some(57.0), Some(25.0), true), 0.5),
            ((Some(57.0), Some(57.0), true), 0.75),
            ((Some(67.0), Some(25.0), true), 1.0),
            ((Some(90.0), Some(25.0), true), 1.0),
            ((None, Some(25.0), true), 1.0),
            ((Some(f64::NAN), Some(25.0), true), 1.0),
            ((None, Some(25.0), false), 0.0),
        ];
        for ((chip, board, powered), wanted) in table {
            assert_eq!(share(chip, board, powered), wanted, "{chip:?} {board:?} {powered}");
        }
        let die = Sample { die: Some(62.0), ..sample(&[Some(25.0), Some(25.0)]) };
        assert_eq!(cooling.share(Place::Board(0), FanDemand::Normal, &die, true), 0.75);
        let cold = sample(&[Some(25.0), Some(25.0)]);
        assert_eq!(cooling.share(Place::Board(0), FanDemand::Full, &cold, true), 1.0);
    }

    #[test]
    fn fans_that_boards_share_work_for_the_hottest_board() {
        let text = include_str!("../../../overlay/etc/adit/machines/bench-s19j-pro.toml");
        let cooling = Cooling::new(&Profile::parse(text).unwrap());
        let at = |board, celsius| {
            let sample = sample(&[Some(celsius); 4]);
            cooling.share(Place::Board(board), FanDemand::None, &sample, true);
            cooling.share(Place::Machine, FanDemand::Normal, &Sample::default(), true)
        };
        at(0, 20.0);
        assert_eq!(at(1, 90.0), 1.0);
        assert_eq!(at(0, 20.0), 1.0, "the other one is as hot as before");
        assert_eq!(at(1, 20.0), 0.0);
    }
}
