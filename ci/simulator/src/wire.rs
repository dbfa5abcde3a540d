//! What travels on the chips' serial line: commands towards the chips, answers from them. Knows formats and checksums,
//! nothing of what they mean to a chip.

mod command;
mod crc;
mod job;
mod response;

pub use command::{Broken, Command, Dialect, Parser, Received, Target};
pub use crc::{crc5, crc16};
pub use job::{Body, Job};
pub use response::Response;
