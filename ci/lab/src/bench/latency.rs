//! Job switch and share, natively: a new block's notify at the miner's socket → last byte of new work on the slowest of four paced chains;
//! last byte of a nonce on a chain's line → the share at the pool's end of the miner's socket.

use std::{
    collections::HashMap,
    fmt::Write,
    time::{Duration, Instant},
};

use adit_simulator::Event;
use anyhow::{Context, Result, bail};
use serde_json::json;

use super::{Measured, programs, spread::Spread};
use crate::{
    budgets::{Bench, Figure},
    native::{CHAINS, Native},
    site::{Backend, Effort, HOST_SEEN_FROM_UNIT},
    tap::{Seen, Tap},
    truth,
};

/// Below what the chips' ticket lets through: every nonce is a share.
const SHARE: f64 = 1e-7;
/// Between blocks; no multiple of the 500 ms after which chains get other work anyway.
const PAUSE: Duration = Duration::from_millis(137);
/// What a switch takes at the least, and then some: until then nobody looks, for looking takes time from what is measured.
const BEFORE_LOOKING: Duration = Duration::from_millis(8);
const LOOK: Duration = Duration::from_millis(4);
const LONGEST: Duration = Duration::from_secs(5);

/// What one round came to, microseconds.
struct Round {
    /// notify → last byte on the slowest chain.
    switch: Spread,
    /// The same without the frame's own time on that chain's wire.
    over_wire: Spread,
    wire: Spread,
    share: Spread,
}

/// One chain's record of the simulated machine, as far as it was read.
struct Follower {
    after: u64,
    block: Option<String>,
}

pub(super) async fn measure(blocks: usize, rounds: usize) -> Result<Measured> {
    let folder = tempfile::Builder::new().prefix("adit-bench-").tempdir()?;
    let effort = Effort { share: SHARE, block: 1.0 };
    let backend = Backend::start(None, effort, None).await?;
    let tap = Tap::start(backend.pool.address()).await?;
    let config = folder.path().join("adit.toml");
    let pool = format!("{HOST_SEEN_FROM_UNIT}:{}", backend.pool.address().port());
    std::fs::write(&config, backend.unit_config().replace(&pool, &tap.address().to_string()))?;
    let native = Native::start(&programs()?, folder.path(), &config)?;
    native.wait_for_work(Duration::from_secs(20)).await?;

    let mut done = Vec::new();
    for _ in 0..rounds {
        done.push(round(&backend, &tap, &native, blocks).await?);
    }
    native.stop();
    backend.stop().await;
    measured(blocks, &done)
}

async fn round(backend: &Backend, tap: &Tap, native: &Native, blocks: usize) -> Result<Round> {
    let follow = |machine| Follower { after: truth::newest(machine), block: None };
    let mut chains: Vec<Follower> = native.simulators.iter().map(follow).collect();
    let (mut switches, mut wires) = (Vec::new(), Vec::new());
    let mut nonces: HashMap<String, u64> = HashMap::new();
    let mut seen = Vec::new();
    tap.take();
    for number in 0..=blocks {
        tokio::time::sleep(PAUSE).await;
        for (follower, machine) in chains.iter_mut().zip(&native.simulators) {
            follower.read(machine, &mut nonces)?;
        }
        seen.extend(tap.take());
        let before: Vec<Option<String>> = chains.iter().map(|chain| chain.block.clone()).collect();
        backend.pool.new_block().await?;
        tokio::time::sleep(BEFORE_LOOKING).await;
        let deadline = Instant::now() + LONGEST;
        let mut switched = [None; CHAINS];
        while switched.contains(&None) {
            for (chain, follower) in chains.iter_mut().enumerate() {
                let jobs = follower.read(&native.simulators[chain], &mut nonces)?;
                let first = jobs.into_iter().find(|job| Some(&job.block) != before[chain].as_ref());
                switched[chain] = switched[chain].or(first.map(|job| (job.last_us, job.wire_us)));
            }
            if Instant::now() > deadline {
                bail!("a new block did not reach every chain's wire within {} s", LONGEST.as_secs());
            }
            tokio::time::sleep(LOOK).await;
        }
        seen.extend(tap.take());
        let notify = seen.iter().rev().find_map(|seen| match seen {
            Seen::NewBlock { us } => Some(*us),
            Seen::Share { .. } => None,
        });
        let notify = notify.context("the pool's new block did not pass the tap")?;
        let (last, wire) = switched.into_iter().flatten().max().context("no chains")?;
        // Before the first one, what a chain was at is not known.
        if number > 0 {
            switches.push(last.saturating_sub(notify));
            wires.push(wire);
        }
    }
    let over_wire = switches.iter().zip(&wires).map(|(switch, wire)| switch.saturating_sub(*wire));
    let none = "nothing was measured: --blocks 1 at least";
    Ok(Round {
        over_wire: Spread::of(over_wire).context(none)?,
        switch: Spread::of(switches.iter().copied()).context(none)?,
        wire: Spread::of(wires.iter().copied()).context(none)?,
        share: Spread::of(shares(&seen, &nonces)).context("no share was handed in")?,
    })
}

/// A job on a chain's wire.
struct Job {
    block: String,
    last_us: u64,
    wire_us: u64,
}

impl Follower {
    /// Takes what happened since the last time; nonces by what they are submitted as.
    fn read(
        &mut self,
        machine: &adit_simulator::Handle,
        nonces: &mut HashMap<String, u64>,
    ) -> Result<Vec<Job>> {
        let mut jobs = Vec::new();
        for record in truth::events(machine, self.after)? {
            self.after = record.seq;
            match record.event {
                Event::Job { first_byte_us, last_byte_us, prev_hash, .. } => {
                    self.block = Some(prev_hash.clone());
                    let wire_us = last_byte_us.saturating_sub(first_byte_us);
                    jobs.push(Job { block: prev_hash, last_us: last_byte_us, wire_us });
                }
                Event::Nonce { nonce, last_byte_us, .. } => {
                    nonces.insert(nonce, last_byte_us);
                }
                _ => {}
            }
        }
        Ok(jobs)
    }
}

/// How long each share's nonce was on its way.
fn shares(seen: &[Seen], nonces: &HashMap<String, u64>) -> Vec<u64> {
    let took = |seen: &Seen| match seen {
        // A nonce that was on its way already when the round began is not known.
        Seen::Share { us, nonce } => nonces.get(nonce).map(|found| us.saturating_sub(*found)),
        Seen::NewBlock { .. } => None,
    };
    seen.iter().filter_map(took).collect()
}

fn measured(blocks: usize, rounds: &[Round]) -> Result<Measured> {
    let mut table = format!(
        "latency, {CHAINS} paced chains of a simulated machine, {} × {blocks} new blocks, microseconds:\n{:<52}{:>6}{:>8}{:>8}{:>8}{:>8}\n",
        rounds.len(),
        "",
        "count",
        "p10",
        "p50",
        "p99",
        "max"
    );
    let mut rows = Vec::new();
    for (number, round) in rounds.iter().enumerate() {
        for (what, spread) in [
            ("notify → last byte of new work on the slowest chain", round.switch),
            ("  of that, the frame's own time on the wire", round.wire),
            ("  of that, everything else", round.over_wire),
            ("last byte of a nonce → share at the pool", round.share),
        ] {
            let Spread { count, p10, p50, p99, max, .. } = spread;
            writeln!(table, "{what:<52}{count:>6}{p10:>8}{p50:>8}{p99:>8}{max:>8}")?;
        }
        rows.push(json!({
            "round": number + 1,
            "switch_us": round.switch,
            "wire_us": round.wire,
            "over_wire_us": round.over_wire,
            "share_us": round.share,
        }));
    }
    let best = |value: fn(&Round) -> u64| {
        let least = rounds.iter().map(value).min().context("nothing was measured: --rounds 1 at least");
        least.map(|us| us as f64 / 1000.0)
    };
    let figures = vec![
        Figure::new("latency.switch-over-wire-p10", best(|round| round.over_wire.p10)?),
        Figure::new("latency.switch-over-wire-p50", best(|round| round.over_wire.p50)?),
        Figure::new("latency.switch-over-wire-p99", best(|round| round.over_wire.p99)?),
        Figure::new("latency.share-p50", best(|round| round.share.p50)?),
        Figure::new("latency.share-p99", best(|round| round.share.p99)?),
    ];
    let json = json!({ "chains": CHAINS, "blocks": blocks, "rounds": rows });
    Ok(Measured { bench: Bench::Latency, table, json, figures, partly: false })
}
