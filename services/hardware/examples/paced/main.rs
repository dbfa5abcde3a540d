//! Measures the driver on a paced pseudo-terminal: `scripts/bench hardware` runs this program and judges what it prints, one JSON object.
//!
//! The driver runs in a thread of its own, as it is; the simulated machine, and a miner that only sends works and takes nonces, in others.
#![allow(clippy::unwrap_used, reason = "what does not go well ends a bench")]

mod allocations;
#[path = "../../tests/bench/mod.rs"]
mod bench;
mod floor;
mod jobs;
mod load;
mod nonces;

use std::time::Duration;

use adit_sys::allocations::Noting;
use clap::Parser;
use serde_json::Value;

#[global_allocator]
static ALLOCATOR: Noting = Noting;

#[derive(Parser)]
enum What {
    /// Work frame at the driver's socket → the job's last byte on a line of 3.125 Mbaud
    Jobs {
        #[arg(default_value_t = 200)]
        jobs: u32,
    },
    /// Nonces at the line's full rate of 3.125 Mbaud: lost ones, processor time, and what a loop takes that only moves the bytes
    Nonces {
        #[arg(default_value_t = 2000)]
        ms: u64,
    },
    /// What the driver's thread allocates while jobs go out and nonces come in
    Allocations {
        #[arg(default_value_t = 3000)]
        ms: u64,
    },
}

fn main() {
    let what = What::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let said: Value = runtime.block_on(async {
        match what {
            What::Jobs { jobs } => jobs::measure(jobs).await,
            What::Nonces { ms } => nonces::measure(Duration::from_millis(ms)).await,
            What::Allocations { ms } => allocations::measure(Duration::from_millis(ms)).await,
        }
    });
    println!("{said}");
}
