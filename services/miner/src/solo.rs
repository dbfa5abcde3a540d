//! Mining at a Bitcoin node, without a pool: `getblocktemplate` instead of jobs, `submitblock` instead of shares.
//!
//! [`link`] stands for one node where `pool_link` stands for a pool, so that failover does not tell them apart; [`blocks`] hands what was found to all nodes of the
//! configuration; [`access`] moves the bytes.

mod access;
mod blocks;
mod link;

pub(crate) use access::Access;
pub(crate) use blocks::Blocks;
pub(crate) use link::{BlockError, NodeLink};
