//! Machines as they were sold, in air of 25 °C, until nothing changes any more: what the physics makes of them, beside what
//! others published.

use crate::machine::AMBIENT_CELSIUS;
use crate::machine::model::{Feed, MachineModel};
use crate::machine::models::MODELS;
use crate::physics::board::{Air, Board, Load};
use std::fmt;

/// Long enough for heat sinks, at the coarseness that steady states bear.
const SETTLED_SECONDS: u32 = 900;

/// A machine at stock.
#[derive(Clone, Debug)]
pub struct Figures {
    pub machine: &'static MachineModel,
    /// At the wall, or at the board's input.
    pub watts: f64,
    pub ths: f64,
    /// Mean of all chips, and the hottest.
    pub mean_celsius: f64,
    pub hottest_celsius: f64,
    /// Share of all hashes that come out wrong.
    pub error_share: f64,
}

/// All machines that are sold, settled at stock. `seed` draws each machine's dies.
pub fn machines(seed: u64) -> Vec<Figures> {
    MODELS.iter().filter(|model| model.published.watts > 0.0).map(|model| settled(model, seed)).collect()
}

fn settled(model: &'static MachineModel, seed: u64) -> Figures {
    let stock = model.stock;
    let rpm = vec![stock.fan * model.air.full_rpm; model.air.fans];
    let share = model.air.share(&rpm);
    let air = Air {
        inlet: AMBIENT_CELSIUS,
        watts_per_kelvin: model.air.watts_per_kelvin(share) / model.boards as f64,
        share,
    };
    let load = |_| Load { mhz: stock.mhz, hashing: 1.0 };
    let boards: Vec<Board> = (0..model.boards)
        .map(|number| {
            let lottery = (model.boards > 1).then(|| seed.wrapping_add(number as u64));
            let mut board = Board::new(&model.board, AMBIENT_CELSIUS, lottery);
            (0..SETTLED_SECONDS).for_each(|_| board.advance(&model.board, stock.volts, air, load, 1.0));
            board
        })
        .collect();
    let chips = || boards.iter().flat_map(|board| &board.chips);
    let count = chips().count() as f64;
    let board_watts: f64 = boards.iter().map(|board| board.watts + board.loss_watts(&model.board)).sum();
    let direct = board_watts + model.air.watts(&rpm) + model.standing_watts;
    let errors = chips().map(|chip| chip.errors).sum::<f64>() / count;
    let hashes = stock.mhz * 1e6 * f64::from(model.chip.small_cores) * count * (1.0 - errors);
    Figures {
        machine: model,
        watts: direct + model.supply.map_or(0.0, |supply| supply.loss_watts(direct)),
        ths: hashes / 1e12,
        mean_celsius: chips().map(|chip| chip.celsius).sum::<f64>() / count,
        hottest_celsius: boards.iter().map(Board::hottest).fold(f64::MIN, f64::max),
        error_share: errors,
    }
}

impl Figures {
    pub fn joules_per_terahash(&self) -> f64 {
        self.watts / self.ths
    }

    /// Watts and TH/s above the published ones, as shares of these.
    pub fn deviations(&self) -> (f64, f64) {
        let published = &self.machine.published;
        (self.watts / published.watts - 1.0, self.ths / published.ths - 1.0)
    }

    /// How far published figures are apart, or what their maker allows.
    pub fn spread(&self) -> f64 {
        self.machine.published.spread
    }

    /// Least and most degrees of chips that were published.
    pub fn published_celsius(&self) -> Option<(f64, f64)> {
        self.machine.published.celsius
    }

    /// The head of the table that [`fmt::Display`] writes lines of.
    pub const HEAD: &str = "\
| machine | MHz, V on the rail | W published | W simulated | TH/s published | simulated | J/TH published | simulated | chips °C published | simulated: mean, hottest | errors | published by |
|---|---|---|---|---|---|---|---|---|---|---|---|";
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (model, published) = (self.machine, &self.machine.published);
        let (watts, ths) = self.deviations();
        let celsius = published.celsius.map_or("–".into(), |(least, most)| format!("{least:.0}–{most:.0}"));
        write!(
            f,
            "| {} | {:.0}, {:.2}{} | {:.0} ± {:.0} % | {:.1} ({:+.1} %) | {} | {:.3} ({:+.1} %) | {:.1} | {:.1} | {celsius} | {:.0}, {:.0} | {:.3} % | {} |",
            model.name,
            model.stock.mhz,
            model.stock.volts,
            if model.feed == Feed::Supply { " (supply)" } else { "" },
            published.watts,
            published.spread * 100.0,
            self.watts,
            watts * 100.0,
            published.ths,
            self.ths,
            ths * 100.0,
            published.watts / published.ths,
            self.joules_per_terahash(),
            self.mean_celsius,
            self.hottest_celsius,
            self.error_share * 100.0,
            published.source,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_come_as_near_to_published_figures_as_these_are_to_each_other() {
        for figures in machines(1) {
            let (watts, ths) = figures.deviations();
            println!("{figures}");
            assert!(watts.abs() <= figures.spread(), "{figures}");
            assert!(ths.abs() <= 0.03, "{figures}");
            assert!(figures.error_share < 0.005, "{figures}");
            if let Some((least, most)) = figures.published_celsius() {
                assert!((least..=most).contains(&figures.mean_celsius), "{figures}");
            }
        }
    }

    #[test]
    fn the_lottery_moves_a_machine_by_less_than_its_makers_tolerance() {
        let of = |seed| settled(&crate::machine::models::S19J_PRO, seed).watts;
        let (least, most) =
            (1..6).map(of).fold((f64::MAX, 0.0), |(a, b), w| (f64::min(a, w), f64::max(b, w)));
        assert!(most / least < 1.05 && most > least, "{least} {most}");
    }
}
