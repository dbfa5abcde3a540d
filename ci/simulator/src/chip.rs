//! Chips and the chain that they form: what silicon does with a command, without any idea of time, wires or search.

mod behind;
mod chain;
mod model;
mod own;
mod pll;
mod registers;
mod single;
mod ticket;
mod uart;
mod wake;

pub(crate) use behind::Behind;
pub use chain::{Chain, Effect};
pub use model::{
    BM1362, BM1366, BM1368, BM1370, BM1387, BM1397, Model, NonceLayout, NonceSpace, UnknownModel,
};
pub(crate) use own::Activity;
pub use single::{Cores, Sweeping};
pub use ticket::TicketMask;
