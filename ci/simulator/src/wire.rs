//! What travels on the chips' serial line: commands towards the chips, answers from them. Knows formats and checksums,
//! nothing of what they mean to a chip.

mod command;
mod crc;
mod response;

pub use command::{Broken, Command, Job, Parser, Received, Target};
pub use crc::{crc5, crc16};
pub use response::Response;
