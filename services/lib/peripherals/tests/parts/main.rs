//! Every driver against transcripts of its bus, and against everything that is no answer. One program: it links once.

mod apw;
mod common;
mod dspic;
mod eeprom;
mod fans;
mod hostile;
mod pic16;
mod regulators;
mod sensors;
