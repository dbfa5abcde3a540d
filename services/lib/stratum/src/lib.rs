//! adit-stratum
