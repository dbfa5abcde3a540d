//! `--safe-state`: rail off, reset held, fan full, and nothing else. For the moment when the driver is dead.
//!
//! Needs no other process and no door. adit-init runs it when the driver has ended, or hangs so that not even SIGKILL ends it. The port's lock keeps two processes
//! from speaking at once for as long as that can be waited for; who still holds it then is taken to hang, and a board under power must not wait for it.

use std::time::Duration;

pub use crate::board::SafeState;
use tokio::time::{sleep, timeout};

use crate::{
    bus::{Claim, Kept},
    machine::{Links, Machine},
    orders::{Limits, Orders},
    profile::Profile,
    status::Status,
    work_path::WorkPath,
};

/// The whole attempt, the wait for ports' locks included.
const PATIENCE: Duration = Duration::from_millis(1900);

/// For what adit-init could not take at once, and pauses between tries.
const LEAVE_PATIENCE: Duration = Duration::from_millis(300);
const LEAVE_LOOK: Duration = Duration::from_millis(10);

/// Exit codes; [`exit_code`] makes the last ones.
const EXIT_PORT: u8 = 3;
const EXIT_PARTS: u8 = 8;

/// 0 when everything was reached; else 8 + 1 (rail not off) + 2 (reset not held) + 4 (fan not full).
pub fn exit_code(state: &SafeState) -> u8 {
    if state.reached() {
        return 0;
    }
    if state.unopened {
        return EXIT_PORT;
    }
    let missing = [(state.rail_off, 1), (state.reset_held, 2), (state.fan_full, 4)];
    missing.iter().filter(|(reached, _)| !reached).fold(EXIT_PARTS, |code, (_, bit)| code | bit)
}

/// Brings the machine into its safe state: all boards at once. Lines that the driver has left open are in `kept`: nobody could request those.
pub async fn run(profile: &Profile, kept: Kept) -> SafeState {
    let (path, status) = (WorkPath::new(profile.board.len() as u8), Status::new(profile));
    let orders = Orders::new(Limits::of(profile));
    let links = Links { path: &path, orders: &orders, status: &status };
    let mut machine = Machine::new(profile, links, Claim::Insist);
    machine.take_over(kept);
    let broken_off = timeout(PATIENCE, machine.make_safe()).await.is_err();
    let mut state = machine.safe();
    if broken_off {
        state.errors.push(format!("no end within {} ms", PATIENCE.as_millis()));
    }
    // What was requested here would be let go with this process.
    let leave = async {
        while !machine.leave_lines() {
            sleep(LEAVE_LOOK).await;
        }
    };
    if timeout(LEAVE_PATIENCE, leave).await.is_err() {
        tracing::warn!(target: "adit_hardware", "adit-init does not take the lines: they are let go");
    }
    state
}
