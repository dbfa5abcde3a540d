//! The rows: one chip each. Sources: `docs/asic.md`.

mod headers;
mod midstates;

pub use headers::{BM1362, BM1366, BM1368, BM1370};
pub use midstates::{BM1387, BM1397};

use crate::Chip;

/// All of them, for look-ups by name.
pub(crate) const CHIPS: &[&Chip] = &[&BM1362, &BM1366, &BM1368, &BM1370, &BM1387, &BM1397];
