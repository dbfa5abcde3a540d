//! adit-asic
