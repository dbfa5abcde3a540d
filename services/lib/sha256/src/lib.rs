//! SHA-256d over many nonces at once, for looking through block headers and for nothing else.
//!
//! In: the state after a header's first 64 bytes, its next 12 bytes, an arithmetic series of nonces, and how many
//! leading zero bits a hash must have. Out: the few nonces that have them. The widest instructions of the CPU are
//! chosen at run time; every implementation gives the same answers.
//!
//! Never: a general hash (use `sha2`), secrets (timing depends on the data), allocation, threads or clocks.
#![allow(unsafe_code)] // vector instructions; each block says why it is sound

mod compress;
mod implementation;
mod lanes;
mod search;
#[cfg(target_arch = "x86_64")]
mod sha_ni;

pub use implementation::Implementation;
pub use search::{Hit, Nonces, Search, leading_zero_bits, midstate};
