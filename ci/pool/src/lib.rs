//! A small strict Stratum V1 pool, and the Bitcoin node behind it, for tests and for `scripts/run`.
//!
//! In: miners over TCP, templates from a node, orders over a control port. Out: jobs, verdicts, blocks for the node, the truth about all of
//! it. This is the judge of our miner: it shares no code with it, and counts nothing that it has not hashed itself. Never for strangers: no
//! accounts, no payout; TLS only by a [`TlsFront`] of a test. Contract: `docs/test-pool.md`.
//!
//! [`Node`] is a private `bitcoind -regtest`, [`Rpc`] a connection to any node, [`Pool::start`] gives a [`Handle`].

mod coins;
mod connection;
mod control;
mod datum;
mod difficulty;
mod error;
mod fault;
mod feeder;
mod hash;
mod lines;
mod node;
mod pool;
mod process;
mod rpc;
mod session;
mod share;
mod state;
mod template;
mod tls;
mod work;

pub use datum::Datum;
pub use difficulty::{Difficulty, DifficultyError};
pub use error::Error;
pub use fault::{Fault, FaultError, FaultRequest};
pub use node::{Node, RPC_ACCOUNT};
pub use pool::{Config, Handle, Pool};
pub use rpc::Rpc;
pub use state::{NodeState, Rejected, State};
pub use tls::{Authority, Certificate, TlsFront};
pub use work::{ANYONE_CAN_SPEND, VERSION_MASK};
