//! adit-network: takes what adit-init passes on and hands over to the library.

use std::{env, path::PathBuf};

use adit_bus::network::STATUS_DOOR;
use adit_network::{Surroundings, time};

fn main() {
    adit_service::log_to_stderr();
    if let Err(error) = start() {
        tracing::error!(target: "adit_network", "{error:#}");
        std::process::exit(1);
    }
}

fn start() -> anyhow::Result<()> {
    let surroundings = Surroundings {
        config: env::var_os("ADIT_CONFIG").map(PathBuf::from),
        resolver: PathBuf::from("/run/adit/resolv.conf"),
        status: adit_service::only_door(STATUS_DOOR)?,
        time: time::Places {
            release: PathBuf::from("/etc/adit/release.json"),
            saved: PathBuf::from("/data/network/time"),
        },
    };
    adit_service::run(|stop| adit_network::run(surroundings, stop))
}
