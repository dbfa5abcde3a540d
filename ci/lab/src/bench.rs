//! `scripts/bench`: figures, each printed with what it is compared to in the same run, and judged by `ci/lab/budgets.toml`.

mod boot;
mod hardware;
mod latency;
mod memory;
mod size;
mod spread;

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use serde_json::{Value, json};

use crate::budgets::{self, Bench, Figure, Leniency};

#[derive(Debug, Clone, Subcommand)]
pub enum What {
    /// Every bench, shortly, judged by its budgets: what CI runs
    Smoke,
    /// Kernel entry → adit-init → services ready → first work, beside the same kernel with an init that does nothing
    Boot {
        /// Boots of each kind, in turns
        #[arg(long, default_value_t = 7)]
        runs: usize,
        #[command(flatten)]
        output: Output,
    },
    /// Bytes of programs, root file system, kernel and slot
    Size {
        /// Leave the ARMv7 programs out (they are compiled for this alone)
        #[arg(long)]
        no_armv7: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Memory of every process in a booted unit that mines
    Memory {
        /// After the first share mine on for so long, with a new block and both pages asked for every second
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        mine: u64,
        #[command(flatten)]
        output: Output,
    },
    /// Job switch to the last of four chains, and nonce to share, natively on paced lines
    Latency {
        /// New blocks in each round
        #[arg(long, default_value_t = 200)]
        blocks: usize,
        /// Rounds; the best one is judged
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        #[command(flatten)]
        output: Output,
    },
    /// The driver on a line of 3.125 Mbaud: work out, nonces in at the line's rate, processor time, allocations
    Hardware {
        /// Works in each round
        #[arg(long, default_value_t = 200)]
        jobs: u32,
        /// Rounds; the best one is judged
        #[arg(long, default_value_t = 3)]
        rounds: u32,
        #[command(flatten)]
        output: Output,
    },
    /// SHA-256d search on this computer's instructions, MH/s
    Hash,
}

#[derive(Debug, Clone, Default, clap::Args)]
pub struct Output {
    /// One JSON object instead of the table
    #[arg(long)]
    json: bool,
    /// Other programs run on this computer: budgets that need a quiet one only warn
    #[arg(long)]
    busy: bool,
}

/// What a bench found out.
struct Measured {
    bench: Bench,
    /// For people, whole lines.
    table: String,
    /// For programs.
    json: Value,
    figures: Vec<Figure>,
    /// Not all of the bench's figures were asked for.
    partly: bool,
}

pub async fn run(what: What) -> Result<()> {
    match what {
        What::Smoke => smoke().await,
        What::Boot { runs, output } => show(&boot::measure(runs).await?, &output),
        What::Size { no_armv7, output } => show(&size::measure(!no_armv7)?, &output),
        What::Memory { mine, output } => show(&memory::measure(Duration::from_secs(mine)).await?, &output),
        What::Latency { blocks, rounds, output } => show(&latency::measure(blocks, rounds).await?, &output),
        What::Hardware { jobs, rounds, output } => show(&hardware::measure(jobs, rounds)?, &output),
        What::Hash => hash(),
    }
}

/// All of them, whatever one of them says; then what was wrong.
async fn smoke() -> Result<()> {
    let output = Output { busy: true, json: false };
    let judged = |measured: Result<Measured>| show(&measured?, &output);
    let shown = [
        hash(),
        judged(hardware::measure(40, 1)),
        judged(latency::measure(40, 3).await),
        judged(size::measure(false)),
        judged(memory::measure(Duration::ZERO).await),
        judged(boot::measure(3).await),
    ];
    let breaches: Vec<String> =
        shown.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")).collect();
    if !breaches.is_empty() {
        bail!("{}", breaches.join("\n"));
    }
    Ok(())
}

/// Prints what was measured. Errors: a budget is missed.
fn show(measured: &Measured, output: &Output) -> Result<()> {
    let Measured { bench, table, json, figures, partly } = measured;
    let mut verdicts = String::new();
    let leniency = Leniency { partly: *partly, busy: output.busy };
    let judged = budgets::judge(*bench, figures, leniency, &mut |line| verdicts += &format!("{line}\n"));
    if output.json {
        let mut object = json.clone();
        object["bench"] = json!(bench);
        object["figures"] = figures.iter().map(|figure| (figure.name.clone(), json!(figure.value))).collect();
        object["within_budget"] = json!(judged.is_ok());
        println!("{object}");
    } else {
        print!("{table}judged:\n{verdicts}");
    }
    judged
}

/// The folder with this build's programs: this program's own.
fn programs() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    own.parent().map(Path::to_owned).context("this program is in no folder")
}

fn hash() -> Result<()> {
    let example = programs()?.join("examples/throughput");
    let done = Command::new(&example).status().with_context(|| example.display().to_string())?;
    if !done.success() {
        bail!("{}: {done}", example.display());
    }
    Ok(())
}
