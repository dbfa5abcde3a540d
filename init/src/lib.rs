//! adit-init
pub mod notify;
pub mod service;
pub mod supervisor;
pub mod unit_file;
