//! `scripts/bench`: figures, each printed with what it is compared to in the same run.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use adit_simulator::Event;
use anyhow::{Context, Result, bail};
use clap::Subcommand;

use crate::{
    native::Native,
    site::{Backend, Effort},
    truth,
};

#[derive(Debug, Clone, Subcommand)]
pub enum What {
    /// Every bench, shortly: shows that they run
    Smoke,
    /// Job switch: from the pool's new block to the last byte of the new work on the wire
    Latency {
        /// How many new blocks
        #[arg(long, default_value_t = 200)]
        blocks: usize,
    },
    /// SHA-256d search on this computer's instructions, MH/s
    Hash,
}

pub async fn run(what: What) -> Result<()> {
    match what {
        What::Smoke => {
            hash()?;
            latency(20).await
        }
        What::Latency { blocks } => latency(blocks).await,
        What::Hash => hash(),
    }
}

/// The folder with this build's programs: this program's own.
fn programs() -> Result<std::path::PathBuf> {
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

async fn latency(blocks: usize) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("adit-bench-").tempdir()?;
    let effort = Effort { share: 1.0, ..Effort::default() };
    let backend = Backend::start(None, effort, None).await?;
    let config = folder.path().join("adit.toml");
    std::fs::write(&config, backend.unit_config().replace("10.0.2.2", "127.0.0.1"))?;
    let native = Native::start(&programs()?, folder.path(), &config)?;
    native.wait_for_work(Duration::from_secs(20)).await?;

    let mut total = Vec::with_capacity(blocks);
    let mut wire = Vec::with_capacity(blocks);
    let mut after = 0;
    let mut current = None;
    for _ in 0..blocks {
        tokio::time::sleep(Duration::from_millis(137)).await;
        for record in truth::events(&native.simulator, after)? {
            after = record.seq;
            if let Event::Job { prev_hash, .. } = record.event {
                current = Some(prev_hash);
            }
        }
        let start = adit_sys::clock::monotonic_us();
        backend.pool.new_block().await?;
        let deadline = Instant::now() + Duration::from_secs(5);
        let (first, last) = loop {
            let news = truth::events(&native.simulator, after)?;
            let switched = news.into_iter().find_map(|record| match record.event {
                Event::Job { first_byte_us, last_byte_us, prev_hash, .. }
                    if Some(&prev_hash) != current.as_ref() =>
                {
                    Some((record.seq, first_byte_us, last_byte_us, prev_hash))
                }
                _ => None,
            });
            if let Some((seq, first, last, prev_hash)) = switched {
                (after, current) = (seq, Some(prev_hash));
                break (first, last);
            }
            if Instant::now() > deadline {
                bail!("a new block did not reach the wire within 5 s");
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        };
        total.push(last.saturating_sub(start));
        wire.push(last.saturating_sub(first));
    }
    native.stop();
    backend.stop().await;
    println!("job switch over {blocks} blocks, one paced chain (simulated machine), microseconds:");
    println!("  new block at the pool → last byte on the wire   {}", Spread::of(&mut total));
    println!("  of that, the frame's own time on the wire       {}", Spread::of(&mut wire));
    Ok(())
}

struct Spread {
    p50: u64,
    p99: u64,
    longest: u64,
}

impl Spread {
    fn of(samples: &mut [u64]) -> Self {
        samples.sort_unstable();
        let at = |percent: usize| {
            samples.get((samples.len().saturating_sub(1)) * percent / 100).copied().unwrap_or(0)
        };
        Self { p50: at(50), p99: at(99), longest: at(100) }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p50 {:>6}  p99 {:>6}  max {:>6}", self.p50, self.p99, self.longest)
    }
}
