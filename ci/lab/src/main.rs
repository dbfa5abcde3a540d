//! `adit-lab`: boots the appliance in QEMU with everything around it. `scripts/run`, `scripts/bench` and `scripts/test` call it.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use adit_lab::{bench, machine::Machine, outcome::Goal, prepare, run};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "adit-lab",
    about = "A whole mining site on one computer: Bitcoin node, pool, simulated machine, and the appliance in QEMU"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Boot the appliance and mine; Ctrl-C ends everything it started
    #[command(name = "run", bin_name = "scripts/run")]
    Run {
        /// Stop when this is reached: ready, shares=N or blocks=N. The last line printed is one JSON object
        #[arg(long, value_name = "GOAL")]
        until: Option<Goal>,
        /// Give up this many seconds after power-on (building is not counted)
        #[arg(long, value_name = "SECONDS")]
        timeout: Option<u64>,
        /// Without a Bitcoin node: the pool makes its templates up, and there are no blocks
        #[arg(long)]
        no_node: bool,
        /// Without a pool: the unit mines at the Bitcoin node
        #[arg(long, conflicts_with = "no_node")]
        solo: bool,
        /// What the unit drives: qemu-bitaxe, qemu-s19j-pro or qemu-s21
        #[arg(long, value_name = "PROFILE", default_value = "qemu-bitaxe", value_parser = Machine::by_profile)]
        machine: Machine,
        /// Keep disk, console log and control sockets in this folder
        #[arg(long, value_name = "FOLDER")]
        keep: Option<PathBuf>,
    },
    /// Make what takes long (kernel, programs, the node's folder) and print nothing but progress
    Prepare,
    /// Measure
    #[command(bin_name = "scripts/bench")]
    Bench {
        #[command(subcommand)]
        what: bench::What,
    },
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run { until, timeout, no_node, solo, machine, keep } => {
            let timeout = timeout.map(Duration::from_secs);
            run::run(run::Options { until, timeout, no_node, solo, machine, folder: keep }).await
        }
        Command::Prepare => prepare::everything(),
        Command::Bench { what } => bench::run(what).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
