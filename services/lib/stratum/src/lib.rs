//! Pool protocols: bytes in, events and bytes out.
//!
//! [`v1`] is Stratum V1; V2 will stand beside it. [`node`] is no pool's protocol: it takes work from a Bitcoin node, in the same terms. A client is a state machine for one connection: the caller moves bytes, tells the time and acts on
//! events. All that a pool said (jobs, difficulty, extranonce, version mask) lives in the client and dies with it, so that nothing of one connection
//! can get into the next.
//!
//! Pure: no IO, no clock. What a pool sends is hostile until checked: lines, tables and texts are bounded, nothing a pool sends panics.

pub mod node;
pub mod text;
pub mod v1;
