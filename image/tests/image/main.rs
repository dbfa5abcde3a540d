//! Slots, disks and boards, judged by the tools of those who read them.

#![allow(clippy::unwrap_used, reason = "helpers of tests panic like tests")]

mod board;
mod disk;
mod slot;
mod support;
