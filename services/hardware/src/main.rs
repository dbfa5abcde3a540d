//! adit-hardware's command line.

use std::{
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use adit_hardware::{
    Doors, Kept,
    profile::{Commissioning, CutOff, Profile},
    safe_state,
};
use adit_service::fd_store;
use anyhow::Context;
use clap::Parser;
use tracing::{error, info, warn};

/// Drives the hash boards: chains, power, fans, and the limits that no message can raise.
///
/// Run by adit-init, which passes the sockets of its doors. Exit codes of --safe-state: 0 all of it reached; 3 there is no way to any board; 8 plus 1 (a rail not off), 2 (a reset not
/// held), 4 (a fan not full).
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
    if arguments.safe_state {
        // Not by `run`: nothing here waits for a signal, so that none may be caught.
        let mut kept = kept_alone();
        let profile = profile_for_safe_state(&path, &arguments.commissioning, &mut kept)?;
        return Ok(adit_service::runtime()?.block_on(make_safe(&profile, kept, began)));
    }
    let unit = Commissioning::load(&arguments.commissioning)?;
    let profile = Profile::load_commissioned(&path, &unit)?;
    let (doors, mut kept) = Doors::passed()?;
    kept.take(Commissioning::LEFT);
    if let Err(error) = unit.leave().and_then(|copy| fd_store::leave(Commissioning::LEFT, copy.as_fd())) {
        warn!(target: "adit_hardware", %error, "adit-init cannot be given what is confirmed");
    }
    info!(target: "adit_hardware", machine = %profile.name, simulated = profile.simulated, "start");
    if profile.untested {
        warn!(target: "adit_hardware", machine = %profile.name, "this profile is untested on hardware");
    }
    if profile.safety.cut_off == CutOff::None {
        warn!(target: "adit_hardware", machine = %profile.name, "nothing but the regulators' own limits cuts power when this program and the kernel are dead");
    }
    adit_service::run(|stop| adit_hardware::run(&profile, doors, kept, stop))?;
    Ok(ExitCode::SUCCESS)
}

/// What adit-init has passed to a safe state: no doors.
fn kept_alone() -> Kept {
    let passed = adit_sys::activation::sockets().unwrap_or_else(|error| {
        warn!(target: "adit_hardware", %error, "nothing was kept");
        Vec::new()
    });
    Kept::new(passed)
}

/// By what the driver went by; before the first one by the unit's file. What is wrong with that must not keep power on: nothing is confirmed then.
fn profile_for_safe_state(path: &Path, file: &Path, kept: &mut Kept) -> anyhow::Result<Profile> {
    let unconfirmed = Profile::load(path).context("safe state: nothing was touched")?;
    let unit = match kept.take(Commissioning::LEFT) {
        Some(left) => Commissioning::left(left),
        None => Commissioning::load(file),
    };
    Ok(unit.and_then(|unit| Profile::load_commissioned(path, &unit)).unwrap_or_else(|error| {
        warn!(target: "adit_hardware", "{error}");
        unconfirmed
    }))
}

async fn make_safe(profile: &Profile, kept: Kept, began: Instant) -> ExitCode {
    let state = safe_state::run(profile, kept).await;
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
