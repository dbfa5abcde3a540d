//! A Bitcoin node's `getblocktemplate` and `submitblock`: mining without a pool.
//!
//! [`calls`] are the requests' bodies and what the answers mean, [`Template`] is what there is to mine: it makes [`Job`](crate::v1::Job)s like those of a pool, and
//! from a share that is good enough the whole [`Block`]. Sources: BIP 22, 23, 145 (the calls), 34 (height), 141 (witness commitment).
//!
//! A node is believed about what its chain allows (which transactions are good, what they pay), about nothing else: sizes, counts, digits, targets, times and the
//! commitment are checked, and a body costs memory in proportion to its length at most.

mod block;
pub mod calls;
mod coinbase;
mod template;
mod transactions;

pub use block::Block;
pub use calls::{CallError, Submitted};
pub use coinbase::{EXTRANONCE1_SIZE, EXTRANONCE2_SIZE, Payout};
pub use template::{MAX_LONG_POLL_ID, Template, TemplateError};
