//! adit-hardware: drives the hash boards, and protects them.
//!
//! In: a machine profile, works from adit-miner. Out: job frames to the chips, nonces and credits back, status. Owns *safety* and *actuation*: the limits are the profile's and no
//! message can raise them. Never: a network, a policy (which pool, which frequency), a hash (adit-miner checks every nonce before it believes).
//!
//! [`run`] is the driver, [`safe_state`] the one-shot that adit-init runs when the driver is dead. The binary only parses its command line, so that tests run the same code in-process.

mod board;
mod bus;
mod chain;
mod cooling;
mod doors;
mod guard;
mod line;
mod machine;
mod notify;
mod orders;
mod parts;
mod poll;
mod port;
mod power;
pub mod safe_state;
pub mod safety;
mod shared;
mod status;
mod work_path;

use std::{future::Future, sync::Arc, time::Duration};

use anyhow::{Context, Error, bail};
use tokio::{sync::mpsc, time::timeout};

pub use adit_profile as profile;
use bus::Claim;
pub use bus::Kept;
pub use doors::Doors;
use guard::Guard;
use machine::{Links, Machine};
use orders::{Limits, Orders};
use profile::Profile;
use status::Status;
use work_path::WorkPath;

/// Time for the safe state at the end of the process.
const LAST: Duration = Duration::from_secs(3);
/// Calls of `AcquireWork` that may wait for their turn.
const HOLDERS: usize = 4;

/// What keeps the machine, then each of its boards, from power whatever they say: keys that nobody has confirmed, parts that are not driven. Touches nothing.
pub fn refusals(profile: &Profile) -> Vec<String> {
    let (path, status) = (WorkPath::new(profile.board.len() as u8), Status::new(profile));
    let orders = Orders::new(Limits::of(profile));
    Machine::new(profile, Links { path: &path, orders: &orders, status: &status }, Claim::Alone).refusals()
}

/// Drives the machine until `stop`, then brings it into its safe state. `kept` are the lines that were passed besides the doors.
///
/// Says READY=1 when the doors are served, every board that is plugged in has been tried and one has read back its safe state; hashing comes later and shows in the status.
/// Errors: a door failed, or the safe state was not reached at the end.
pub async fn run(
    profile: &Profile,
    doors: Doors,
    kept: Kept,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let status = Status::new(profile);
    let path = WorkPath::new(profile.board.len() as u8);
    let orders = Arc::new(Orders::new(Limits::of(profile)));
    let guard = Guard::new(profile, &path, &orders).context("limits")?;
    let (sender, mut holders) = mpsc::channel(HOLDERS);
    let mut doors = tokio::spawn(doors.serve(status.shared(), Arc::clone(&orders), sender));

    let links = Links { path: &path, orders: &orders, status: &status };
    let mut machine = Machine::new(profile, links, Claim::Alone);
    machine.take_over(kept);
    let ended = tokio::select! {
        biased;
        () = stop => Ok(()),
        ended = &mut doors => ended.map_err(Error::new).and_then(|served| Ok(served?)).context("doors"),
        never = machine.run(&guard) => match never {},
        () = path.serve(&mut holders) => Ok(()),
        () = notify::watchdog() => Ok(()),
    };
    // Whatever ended it: power off first.
    notify::stopping();
    // What was not reached until then shows in the state.
    let _ = timeout(LAST, machine.make_safe()).await;
    let state = machine.safe();
    doors.abort();
    if !state.reached() {
        bail!("safe state not reached: {}", state.errors.join("; "));
    }
    ended
}
