//! What the miner says: console lines (contract: `docs/console.md`) and words to adit-init.

use adit_bus::miner::MinerStatus;
use adit_config::PoolUrl;
use adit_stratum::text;
use sd_notify::NotifyState;
use tracing::info;

/// All lines of this service stand under this name.
pub(crate) const TARGET: &str = "adit_miner";

pub(crate) fn pool(url: &PoolUrl, state: &str) {
    info!(target: TARGET, %url, state = %state, "pool");
}

pub(crate) fn pool_lost(url: &PoolUrl, reason: &str) {
    info!(target: TARGET, %url, state = %"lost", reason = %quoted(reason), "pool");
}

/// A block that this unit found, and what one node said about it.
pub(crate) fn block(url: &PoolUrl, height: u32, hash: &str, answer: &str) {
    info!(target: TARGET, %url, height, %hash, answer = %quoted(answer), "block");
}

pub(crate) fn hashing(status: &MinerStatus) {
    info!(
        target: TARGET,
        mhs = %format_args!("{:.2}", status.mhs),
        accepted = status.shares_accepted,
        rejected = status.shares_rejected,
        stale = status.shares_stale,
        invalid = status.nonces_invalid,
        generation = status.generation,
        "hashing"
    );
}

/// A value as `docs/console.md` has it: between double quotes, without Rust's escapes.
fn quoted(value: &str) -> String {
    format!("\"{}\"", text::plain(value))
}

/// Tells adit-init; without one (no `NOTIFY_SOCKET`) nothing happens.
pub(crate) fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(target: TARGET, %error, "sd_notify");
    }
}
