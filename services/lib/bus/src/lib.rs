//! The doors: every D-Bus interface between the processes of a unit, one file a service, and how to come through.
//!
//! A door is an interface spoken peer to peer over a Unix socket: no bus daemon, one socket a door, status and control apart, so that what a
//! process may reach is a matter of which sockets it can see. adit-init binds the sockets; [`door::serve`] answers on one, [`door::connect`] goes to one. Contract: `docs/doors.md`.
//!
//! Replies are dictionaries (`a{sv}`): an old reader is not broken by a new key.

pub mod door;
pub mod hardware;
pub mod miner;
pub mod network;
