//! Stratum V1: JSON-RPC, one object a line, over TCP.
//!
//! [`Client`] speaks it, [`Event`] is what it hears, [`Job`] what there is to mine, [`Share`] what was found. There is no standard; what pools send and
//! accept is written down at the place that copes with it. BIP 310 is the source for version rolling.

mod client;
mod event;
mod field;
mod job;
mod lines;
mod message;
mod pending;

pub use client::{Client, Error, SHARE_PATIENCE, Settings, Share};
pub use event::{Event, Oddity, Refusal};
pub use job::{Job, JobError, MAX_BRANCH, MAX_EXTRANONCE1, MAX_EXTRANONCE2, MAX_JOB_ID};
pub use lines::MAX_LINE;
