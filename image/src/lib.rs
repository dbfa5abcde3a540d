//! Composes what a control board boots from: root file system, hash tree, signed boot image, disk.
//!
//! In comes the source tree (`overlay/`, `image/boards/`, the services' packages), out come files that are the same for the
//! same input. Slow products (kernel, cross-compiled dependencies) are kept in a [`Cache`] outside the tree. The steps are
//! public, so that tests can build slots that differ in one thing and disks with two different slots.
//!
//! Never here: anything that runs on a unit; private keys in the output; decisions about a board, which are data in its `board.toml`.

pub mod board;
pub mod build;
mod cache;
pub mod disk;
mod elf;
mod error;
mod fit;
pub mod kernel;
mod keys;
mod names;
mod progress;
pub mod qemu;
pub mod release;
mod report;
mod root;
mod rust;
pub mod services;
pub mod slot;
mod tool;

pub use board::{Board, SourceTree};
pub use cache::Cache;
pub use disk::DiskInputs;
pub use error::{Error, Result};
pub use keys::SigningKey;
pub use report::Report;
pub use services::Program;
pub use slot::{SlotFiles, SlotInputs};
