//! adit-miner: takes what adit-init passes on and hands over to the library.

use std::{env, path::PathBuf};

use adit_bus::{door, miner::STATUS_DOOR};
use adit_miner::Surroundings;

fn main() {
    adit_service::log_to_stderr();
    if let Err(error) = start() {
        tracing::error!(target: "adit_miner", "{error:#}");
        std::process::exit(1);
    }
}

fn start() -> anyhow::Result<()> {
    let surroundings = Surroundings {
        config: env::var_os("ADIT_CONFIG").map(PathBuf::from),
        doors: door::directory(),
        status: adit_service::only_door(STATUS_DOOR)?,
    };
    adit_service::run(|stop| adit_miner::run(surroundings, stop))
}
