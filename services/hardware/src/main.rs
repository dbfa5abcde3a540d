//! adit-hardware's command line.

use std::{path::PathBuf, process::ExitCode, time::Instant};

use adit_hardware::{
    Doors,
    profile::{Commissioning, CutOff, Profile},
    safe_state,
};
use anyhow::Context;
use clap::Parser;
use tracing::{error, info, warn};

/// Drives the hash boards: chains, power, fans, and the limits that no message can raise.
///
/// Run by adit-init, which passes the sockets of its doors. Exit codes of --safe-state: 0 all of it reached; 1 no profile says what there is, and nothing was touched; 3 there is no way to
/// any board; 8 plus 1 (a rail not off), 2 (a reset not held), 4 (a fan not full).
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Machine profile: a file, or a name below /etc/adit/machines. Default: the environment's ADIT_MACHINE.
    #[arg(long, value_name = "FILE")]
    machine: Option<String>,
    /// What has been found out about this unit. Need not be there.
    #[arg(long, value_name = "FILE", default_value = Commissioning::PATH)]
    commissioning: PathBuf,
    /// Only switch the rails off, hold the chips in reset and run the fans at full speed.
    #[arg(long)]
    safe_state: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    adit_service::log_to_stderr();
    start(&arguments).unwrap_or_else(|error| {
        error!(target: "adit_hardware", "{error:#}");
        ExitCode::FAILURE
    })
}

fn start(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let machine = arguments
        .machine
        .clone()
        .or_else(|| std::env::var("ADIT_MACHINE").ok())
        .context("no machine named: --machine FILE or ADIT_MACHINE=NAME")?;
    let path = Profile::path(&machine);
    let profile = match Commissioning::load(&arguments.commissioning) {
        // What is wrong with a unit's own file must not keep power on: nothing is confirmed then.
        Err(error) if arguments.safe_state => {
            warn!(target: "adit_hardware", "{error}");
            Profile::load(&path)
        }
        unit => Profile::load_commissioned(&path, &unit?),
    };
    let profile =
        if arguments.safe_state { profile.context("safe state: nothing was touched")? } else { profile? };
    if arguments.safe_state {
        // Not by `run`: nothing here waits for a signal, so that none may be caught.
        return Ok(adit_service::runtime()?.block_on(make_safe(&profile, began)));
    }
    let doors = Doors::passed()?;
    info!(target: "adit_hardware", machine = %profile.name, simulated = profile.simulated, "start");
    if profile.untested {
        warn!(target: "adit_hardware", machine = %profile.name, "this profile is untested on hardware");
    }
    if profile.safety.cut_off == CutOff::None {
        warn!(target: "adit_hardware", machine = %profile.name, "nothing but the regulators' own limits cuts power when this program and the kernel are dead");
    }
    adit_service::run(|stop| adit_hardware::run(&profile, doors, stop))?;
    Ok(ExitCode::SUCCESS)
}

async fn make_safe(profile: &Profile, began: Instant) -> ExitCode {
    let state = safe_state::run(profile).await;
    if state.unopened {
        error!(target: "adit_hardware", "safe state: {}", state.errors.join("; "));
        return ExitCode::from(safe_state::exit_code(&state));
    }
    let (rail_off, reset_held, fan_full) = (state.rail_off, state.reset_held, state.fan_full);
    let ms = began.elapsed().as_millis() as u64;
    if state.reached() {
        info!(target: "adit_hardware", rail_off, reset_held, fan_full, ms, "safe state");
    } else {
        let errors = state.errors.join("; ");
        warn!(target: "adit_hardware", rail_off, reset_held, fan_full, ms, errors = %errors, "safe state not reached");
    }
    ExitCode::from(safe_state::exit_code(&state))
}
