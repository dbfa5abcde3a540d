//! The unit's configuration: `adit.toml`, schema version 1. Contract and example: `docs/configuration.md`.
//!
//! In: the file's bytes and the name to show for it. Out: a [`Config`] in which everything has been checked, or [`Errors`]: every problem of the file,
//! one line each, with its place and what would be right. A file is taken whole or not at all.
//!
//! Pure: no IO. Credentials do not show in `Debug` output, and no error repeats a value that could hold one.

mod address;
mod error;
mod ip;
mod network;
mod own_address;
mod payout;
mod reader;
mod roughtime;
mod schema;
mod secret;
mod trust;

pub use address::{HostPort, PoolUrl, Scheme};
pub use error::{Errors, Problem};
pub use ip::{is_host, is_unicast, same_network};
pub use network::{Addressing, MAX_DNS, MAX_NTP, Network};
pub use own_address::{Static, StaticAddress, StaticIpv6};
pub use payout::PayoutAddress;
pub use roughtime::Roughtime;
pub use schema::{Config, MAX_POOLS, MAX_SIZE, Pool, Solo, VERSION};
pub use secret::Secret;
pub use trust::{Fingerprint, Trust};
