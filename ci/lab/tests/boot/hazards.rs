//! Hazards of `docs/safety.md`, all that a simulated machine can be brought to, provoked in the image with adit-miner running, killed and stopped. How long the machine's rails really stayed on is read from the machine's own record on this computer,
//! and judged by that page. Prints a line for each; the page's column *measured* is what they said.
//!
//! All of it is simulated and emulated: figures are the software's, not a machine's.

mod cases;
mod page;
mod stand;

use std::time::Duration;

use adit_lab::machine::Machine;
use adit_simulator::Fault;

use self::{
    cases::{DESK, FARM},
    stand::{Miner, Stand},
};

/// From a hazard's time on the page: a look a second (of a machine with a mains supply two, for that takes more than half a second to tell its voltage) and a second to carry out what was decided …
const DRIVER: Duration = Duration::from_secs(3);
/// … and what emulation on a busy computer adds.
const EMULATION: Duration = Duration::from_secs(2);
/// adit-init's own, with a program to start: `docs/machines.md` says two seconds.
const SAFE_STATE: Duration = Duration::from_secs(2);

/// As many as half a minute has room for: one of each stage, each with another state of the miner.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hazards_on_a_desk_cut_power_in_their_times() {
    let mut stand = Stand::new(Machine::bitaxe(), 525.0).await;
    for (name, miner) in [("too few fans", Miner::Killed), ("chip warm", Miner::Stopped)] {
        stand.provoke(DESK.iter().find(|case| case.hazard == name).unwrap(), miner).await;
    }
    stand.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "eight minutes: scripts/test --long boot"]
async fn every_hazard_on_a_desk_cuts_power_in_its_time_whatever_the_miner_does() {
    let mut stand = Stand::new(Machine::bitaxe(), 525.0).await;
    for miner in [Miner::Running, Miner::Stopped, Miner::Killed] {
        for case in DESK {
            stand.provoke(case, miner).await;
        }
    }
    stand.provoke_stuck_rail(Fault::RailStuckOn(true), Fault::RailStuckOn(false)).await;
    stand.kill_driver(SAFE_STATE).await;
    stand.end().await;
}

/// The driver's reactions do not lead through adit-miner: one hazard of each place and stage shows that for a whole machine, all of them for a Bitaxe.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "ten minutes: scripts/test --long boot"]
async fn every_hazard_of_a_farm_machine_cuts_power_in_its_time_whatever_the_miner_does() {
    let mut stand = Stand::new(Machine::s19j_pro(), 535.0).await;
    for case in FARM {
        stand.provoke(case, Miner::Running).await;
    }
    for (name, miner) in [
        ("board hot", Miner::Stopped),
        ("board hot", Miner::Killed),
        ("too few fans", Miner::Stopped),
        ("too few fans", Miner::Killed),
        ("sensor lost", Miner::Stopped),
        ("sensor lost", Miner::Killed),
    ] {
        stand.provoke(FARM.iter().find(|case| case.hazard == name).unwrap(), miner).await;
    }
    stand.silence_miner().await;
    stand.kill_driver(SAFE_STATE).await;
    stand.hang_driver().await;
    stand.provoke_stuck_rail(Fault::PsuStuckOn(true), Fault::PsuStuckOn(false)).await;
    stand.freeze("board-1-outlet", "board-1-inlet", 1).await;
    stand.reset().await;
    stand.end().await;
}
