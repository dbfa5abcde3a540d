//! adit-miner: from the pool to the chips and back.
//!
//! In: the configuration file, the jobs of pools or the templates of Bitcoin nodes, the nonces that adit-hardware passes up. Out: work for the chips, shares for the pool, blocks for the nodes, the unit's earnings on the
//! status door and on the console. Every nonce is hashed before it counts for anything. What a pool said lives as long as its connection, and goes to no other pool.
//!
//! Never: a device, a listening socket of its own, a credential in a log. A missing or broken configuration is a state (`unclaimed`), not an end.
//!
//! The decisions are in [`policy`], [`work_source`], [`share_check`] and [`failover`], without IO; [`pools`], [`pool_link`], `wire`, `solo` and [`work_path`] move bytes; [`miner`] joins them on
//! one thread, so that a job goes from the pool's socket to the driver's without waiting for anything between.

mod backoff;
mod claim;
mod clock_watch;
mod conduct;
mod hashrate;
mod once;
mod report;
mod sent;
mod solo;
mod status_door;
mod tickets;
mod tls;
mod wire;

pub mod failover;
pub mod miner;
pub mod policy;
pub mod pool_link;
pub mod pools;
pub mod share_check;
pub mod work_path;
pub mod work_source;

pub use miner::{Surroundings, run};
