//! `--safe-state`: rail off, reset held, fan full, and nothing else. For the moment when the driver is dead.
//!
//! Needs no other process and no door. adit-init runs it when the driver has ended, or hangs so that not even SIGKILL ends it. The port's lock keeps two processes
//! from speaking at once for as long as that can be waited for; who still holds it then is taken to hang, and a board under power must not wait for it.

use std::time::{Duration, Instant};

pub use crate::board::SafeState;
use anyhow::Context;
use tokio::time::{sleep, timeout};

use crate::{
    board::{Board, BoardError, ControllerError},
    port::PortError,
    profile::Profile,
};

/// The whole attempt, the wait for the lock included.
const PATIENCE: Duration = Duration::from_millis(1900);
/// A driver that was killed just now may still be on its way out. One that hangs in the kernel keeps its lock: after this time the safe state goes on without.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);
const LOCK_LOOK: Duration = Duration::from_millis(10);

/// Exit codes; [`exit_code`] makes the last ones.
pub const EXIT_PORT: u8 = 3;
const EXIT_PARTS: u8 = 8;

/// 0 when everything was reached; else 8 + 1 (rail not off) + 2 (reset not held) + 4 (fan not full).
pub fn exit_code(state: &SafeState) -> u8 {
    if state.reached() {
        return 0;
    }
    let missing = [(state.rail_off, 1), (state.reset_held, 2), (state.fan_full, 4)];
    missing.iter().filter(|(reached, _)| !reached).fold(EXIT_PARTS, |code, (_, bit)| code | bit)
}

/// Brings the machine into its safe state. Errors when the controller's port cannot be had.
pub async fn run(profile: &Profile) -> anyhow::Result<SafeState> {
    let began = Instant::now();
    let mut board = open(profile).await.context("board controller")?;
    let mut state = SafeState::default();
    if timeout(PATIENCE.saturating_sub(began.elapsed()), board.make_safe_into(&mut state)).await.is_err() {
        state.errors.push(format!("no end within {} ms", PATIENCE.as_millis()));
    }
    Ok(state)
}

async fn open(profile: &Profile) -> Result<Board, BoardError> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match Board::open(profile) {
            Err(BoardError::Controller(ControllerError::Port(PortError::Held { .. })))
                if Instant::now() < deadline =>
            {
                sleep(LOCK_LOOK).await
            }
            Err(BoardError::Controller(ControllerError::Port(error @ PortError::Held { .. }))) => {
                tracing::warn!(target: "adit_hardware", "{error}: safe state goes on without the lock");
                return Board::open_beside(profile);
            }
            result => return result,
        }
    }
}
