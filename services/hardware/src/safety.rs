//! The safety core: decides, from readings and time alone, what boards may do at most. Pure: no IO, no clock; times are arguments.
//!
//! In: [`Limits`] of one machine, filled from its profile, and [`Reading`]s as they come. Out: a [`Verdict`], for each board and the machine a [`Stage`] and what fans should do; and the latched
//! [`Cause`]s. Independent of adit-miner and of every message: the one thing that a message can do here is to clear what a person must clear, and only when it is well again.
//! Never: raises a limit, acts by itself, waits, panics.
//!
//! ```text
//!  Reading ─▶ detect/: a Detector a part ──Finding──▶ watch: the one state machine ──Latch──▶ zone, core: Verdict
//!             (thermometer, fan, rail, …)             × hazard: the table of times
//! ```
//!
//! A part that has never been seen well holds power back, so fans are proven before power and an EEPROM is read first. A reading that does not come is one that cannot be had. What cannot be
//! switched apart is switched together ([`Supply`]).
//!
//! `docs/safety.md` tells people the same.
//!
//! # How a driver uses it
//!
//! ```
//! # use std::time::{Duration, Instant};
//! # use adit_hardware::safety::*;
//! # fn limits() -> Limits {
//! #     let sensor = SensorLimits { name: "board sensor".into(), kind: SensorKind::Board, warm: 62.0, max: 70.0, cool: 50.0, hysteresis: 3.0, reads: Reads::Always,
//! #         settle: Duration::ZERO, must_speak: true, physics: Physics::default(), frozen: Some(Frozen::on_a_board_of(18.0)) };
//! #     let fan = FanLimits { name: "fan".into(), min_rpm: 2000.0, full_rpm: None, slow_share: 0.6, spin_up: Duration::from_secs(5) };
//! #     let parts = Parts { sensors: vec![sensor], fans: vec![fan], fans_needed: 1, rails: vec![] };
//! #     let board = BoardLimits { name: "board".into(), supply: Supply::Own, parts, controller: None, has_identity: false };
//! #     Limits { boards: vec![board], ..Limits::default() }
//! # }
//! # struct Board;
//! # impl Board { fn celsius(&self) -> Option<f64> { Some(25.0) } fn rpm(&self) -> Option<f64> { Some(5000.0) } fn apply(&mut self, _: Stage) {} fn fan(&mut self, _: FanDemand) {} }
//! # let mut board = Board;
//! let began = Instant::now();
//! let mut safety = Safety::new(limits(), began.elapsed())?;
//! let place = Place::Board(0);
//! # let mut ruled = Vec::new();
//! for _look in 0..3 {
//!     // Each reading with the time at which it was had; several buses may report in any order.
//!     safety.see(began.elapsed(), place, Reading::Celsius(0, board.celsius()));
//!     safety.see(began.elapsed(), place, Reading::Rpm(0, board.rpm()));
//!     safety.see(began.elapsed(), Place::Machine, Reading::Control);
//!     // Once a look, even when nothing could be read: missing readings and silence are noticed here.
//!     let verdict = safety.judge(began.elapsed());
//!     let ruling = &verdict.boards[0];
//!     // Fans before power, power before work; on the way down the other way round.
//!     board.fan(ruling.fans);
//!     board.apply(ruling.stage);
//! #   ruled.push(ruling.stage);
//! }
//! # assert_eq!(ruled, [Stage::ChainOff, Stage::Run, Stage::Run]);
//! # Ok::<(), Wrong>(())
//! ```
//!
//! Besides: [`Reading::Power`]`(true)` *before* a rail is switched on and `(false)` when it was switched off; [`Reading::Percent`] whenever a fan is told something; [`Reading::Control`] for every frame
//! of the work path's holder: nothing gets power before the first one. A stage is obeyed within the look that brought it; a board goes from off to on only on `Run`.

mod core;
mod detect;
mod hazard;
mod limits;
mod watch;
mod zone;

/// Time since a fixed start; never runs backwards.
pub type Time = std::time::Duration;

pub use self::{
    core::{Cause, FanDemand, Identity, Place, PsuState, Reading, Ruling, Safety, Verdict, Wait, Why},
    hazard::{Clears, Hazard, Rule, Rules, Stage, TABLE},
    limits::{
        BoardLimits, ControllerLimits, Cooling, FanLimits, Frozen, Limits, Parts, Physics, PsuLimits,
        RailLimits, Reads, SensorKind, SensorLimits, Supply, Wrong,
    },
    watch::Evidence,
};

#[cfg(test)]
mod tests;
