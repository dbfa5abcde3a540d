//! adit-sys
