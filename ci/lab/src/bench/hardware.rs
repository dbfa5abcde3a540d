//! The driver on a line of 3.125 Mbaud, natively: a work through it, nonces at the line's full rate, what they cost, and whether either allocates.
//!
//! `services/hardware/examples/paced` measures; here its samples become figures. Whatever another program held up is not ours: the best of several rounds is judged.

use std::{fmt::Write, process::Command};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::json;

use super::{Measured, programs, spread::Spread};
use crate::budgets::{Bench, Figure};

/// A response's eleven bytes, each with its start and stop bit.
const BITS: f64 = 110.0;

#[derive(Debug, Deserialize)]
struct Jobs {
    baud: u32,
    total_us: Vec<u64>,
    wire_us: Vec<u64>,
}

#[derive(Debug, Clone, Deserialize)]
struct Nonces {
    baud: u32,
    seconds: f64,
    /// By the chips, until the line was silent again.
    sent: u64,
    /// Of those, within `seconds`, and how long a line takes for them.
    sent_in_time: u64,
    wire_seconds: f64,
    taken_by_driver: u64,
    arrived: u64,
    crc_errors: u64,
    impossible: u64,
    cpu_ns: u64,
    floor: Floor,
}

/// A loop that only moves the bytes.
#[derive(Debug, Clone, Deserialize)]
struct Floor {
    nonces: u64,
    seconds: f64,
    cpu_ns: u64,
}

#[derive(Debug, Deserialize)]
struct Allocations {
    chip: String,
    jobs: u64,
    nonces: u64,
    looks: u64,
    allocations: u64,
    stray: u64,
}

pub(super) fn measure(jobs: u32, rounds: u32) -> Result<Measured> {
    let rounds = 1..=rounds;
    let jobs: Vec<Jobs> =
        rounds.clone().map(|_| paced(&["jobs", &jobs.to_string()])).collect::<Result<_>>()?;
    let nonces: Vec<Nonces> = rounds.map(|_| paced(&["nonces"])).collect::<Result<_>>()?;
    measured(&jobs, &nonces, &paced::<Vec<Allocations>>(&["allocations"])?)
}

fn paced<T: for<'de> Deserialize<'de>>(arguments: &[&str]) -> Result<T> {
    let program = programs()?.join("examples/paced");
    let name = || format!("{} {}", program.display(), arguments.join(" "));
    let output = Command::new(&program).args(arguments).output().with_context(name)?;
    if !output.status.success() {
        bail!("{}: {}: {}", name(), output.status, String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).with_context(name)
}

impl Nonces {
    /// With the line full, at what a nonce costs.
    fn cpu_ms_per_second(&self) -> f64 {
        self.cpu_us_each() / 1e3 * f64::from(self.baud) / BITS
    }

    fn cpu_us_each(&self) -> f64 {
        self.cpu_ns as f64 / 1e3 / self.sent_in_time.max(1) as f64
    }

    fn floor_us_each(&self) -> f64 {
        self.floor.cpu_ns as f64 / 1e3 / self.floor.nonces.max(1) as f64
    }

    fn us_each(&self) -> f64 {
        self.seconds * 1e6 / self.sent_in_time.max(1) as f64
    }

    /// Did not come from the line into the driver whole.
    fn lost(&self) -> u64 {
        self.sent.abs_diff(self.taken_by_driver) + self.crc_errors + self.impossible
    }

    fn undelivered(&self) -> u64 {
        self.taken_by_driver.abs_diff(self.arrived)
    }
}

fn measured(jobs: &[Jobs], nonces: &[Nonces], allocations: &[Allocations]) -> Result<Measured> {
    let none = "nothing was measured: --rounds 1 and --jobs 1 at least";
    let baud = jobs.first().context(none)?.baud;
    let mut table = format!(
        "a work through the driver onto a line of {baud} baud (BM1362 × 126, simulated), microseconds:\n{:<52}{:>6}{:>8}{:>8}{:>8}{:>8}\n",
        "", "count", "p10", "p50", "p99", "max"
    );
    let mut spreads = Vec::new();
    for round in jobs {
        let over = round.total_us.iter().zip(&round.wire_us).map(|(total, wire)| total.saturating_sub(*wire));
        let over = Spread::of(over).context(none)?;
        let wire = Spread::of(round.wire_us.iter().copied()).context(none)?;
        let total = Spread::of(round.total_us.iter().copied()).context(none)?;
        for (what, spread) in [
            ("work frame at the driver's socket → last byte", total),
            ("  of that, the frame's own time on the wire", wire),
            ("  of that, everything else", over),
        ] {
            let Spread { count, p10, p50, p99, max, .. } = spread;
            writeln!(table, "{what:<52}{count:>6}{p10:>8}{p50:>8}{p99:>8}{max:>8}")?;
        }
        spreads.push((total, wire, over));
    }
    writeln!(
        table,
        "nonces of one chain at the line's rate; processor time beside a loop that only moves the bytes:"
    )?;
    writeln!(
        table,
        "{:>12}{:>12}{:>8}{:>14}{:>10}{:>14}{:>14}",
        "nonces/s", "of the line", "lost", "undelivered", "ms/s", "µs a nonce", "loop's µs"
    )?;
    for round in nonces {
        writeln!(
            table,
            "{:>12.0}{:>10.0} %{:>8}{:>14}{:>10.1}{:>14.2}{:>14.2}",
            round.sent_in_time as f64 / round.seconds,
            round.wire_seconds / round.seconds * 100.0,
            round.lost(),
            round.undelivered(),
            round.cpu_ms_per_second(),
            round.cpu_us_each(),
            round.floor_us_each(),
        )?;
    }
    writeln!(table, "allocations of the driver's thread:")?;
    for of in allocations {
        let Allocations { chip, jobs, nonces, looks, allocations, stray } = of;
        writeln!(
            table,
            "  {chip}: {jobs} jobs, {nonces} nonces, {looks} looks at the machine that allocate: {allocations}, of which not in a look: {stray}"
        )?;
        if *jobs < 100 || *nonces < 20 {
            bail!("{chip}: {jobs} jobs and {nonces} nonces are too few to say anything");
        }
    }
    let least = |values: Vec<f64>| values.into_iter().fold(f64::NAN, f64::min);
    let of_jobs = |value: fn(&Spread) -> u64| {
        least(spreads.iter().map(|(.., over)| value(over) as f64 / 1e3).collect())
    };
    let of_nonces = |value: fn(&Nonces) -> f64| least(nonces.iter().map(value).collect());
    let ratio = spreads.iter().map(|(total, wire, _)| total.p50 as f64 / wire.p50.max(1) as f64).collect();
    let figures = vec![
        Figure::new("hardware.allocations", allocations.iter().map(|of| of.stray).sum::<u64>() as f64),
        Figure::new("hardware.job-over-wire-p10", of_jobs(|over| over.p10)),
        Figure::new("hardware.job-over-wire-p50", of_jobs(|over| over.p50)),
        Figure::new("hardware.job-over-wire-p99", of_jobs(|over| over.p99)),
        Figure::new("hardware.job-wire-ratio-p50", least(ratio)),
        Figure::new("hardware.nonces-lost", of_nonces(|round| round.lost() as f64)),
        Figure::new("hardware.nonces-undelivered", of_nonces(|round| round.undelivered() as f64)),
        Figure::new("hardware.nonce-time", of_nonces(Nonces::us_each)),
        Figure::new("hardware.cpu-per-chain", of_nonces(Nonces::cpu_ms_per_second)),
        // Least against least: a round in which the loop was held up flatters nobody.
        Figure::new("hardware.cpu-ratio", of_nonces(Nonces::cpu_us_each) / of_nonces(Nonces::floor_us_each)),
    ];
    let rounds = |(round, (total, wire, over)): (&Nonces, &(Spread, Spread, Spread))| {
        json!({
            "total_us": total, "wire_us": wire, "over_wire_us": over,
            "nonces_per_second": round.sent_in_time as f64 / round.seconds, "lost": round.lost(), "undelivered": round.undelivered(),
            "cpu_ms_per_second": round.cpu_ms_per_second(), "cpu_us": round.cpu_us_each(), "loop_cpu_us": round.floor_us_each(), "loop_seconds": round.floor.seconds,
            "baud": round.baud,
        })
    };
    let json = json!({
        "rounds": nonces.iter().zip(&spreads).map(rounds).collect::<Vec<_>>(),
        "allocations": allocations.iter().map(|of| json!({
            "chip": of.chip, "jobs": of.jobs, "nonces": of.nonces, "looks": of.looks, "all": of.allocations, "stray": of.stray,
        })).collect::<Vec<_>>(),
    });
    Ok(Measured { bench: Bench::Hardware, table, json, figures, partly: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs() -> Jobs {
        Jobs { baud: 3_125_000, total_us: vec![400, 500, 900], wire_us: vec![282; 3] }
    }

    fn nonces() -> Nonces {
        Nonces {
            baud: 3_125_000,
            seconds: 2.0,
            sent: 50_010,
            sent_in_time: 50_000,
            wire_seconds: 1.76,
            taken_by_driver: 50_010,
            arrived: 50_010,
            crc_errors: 0,
            impossible: 0,
            cpu_ns: 100_000_000,
            floor: Floor { nonces: 56_000, seconds: 2.0, cpu_ns: 112_000_000 },
        }
    }

    fn allocations(stray: u64) -> Allocations {
        Allocations {
            chip: "BM1362".into(),
            jobs: 600,
            nonces: 50_000,
            looks: 1,
            allocations: 9 + stray,
            stray,
        }
    }

    fn figure(measured: &Measured, name: &str) -> f64 {
        measured.figures.iter().find(|figure| figure.name == name).unwrap().value
    }

    #[test]
    fn the_best_round_is_judged() {
        let worse = Nonces { cpu_ns: 900_000_000, arrived: 7, sent: 60_000, ..nonces() };
        let of = measured(&[jobs()], &[worse, nonces()], &[allocations(0)]).unwrap();
        for (name, value) in [
            ("allocations", 0.0),
            ("job-over-wire-p10", 0.118),
            ("job-over-wire-p50", 0.218),
            ("nonces-lost", 0.0),
            ("nonces-undelivered", 0.0),
            ("nonce-time", 40.0),
            ("cpu-per-chain", 2.0 * 3125.0 / 110.0),
            ("cpu-ratio", 1.0),
        ] {
            let figure = figure(&of, &format!("hardware.{name}"));
            assert!((figure - value).abs() < 1e-9, "{name}: {figure}");
        }
    }

    #[test]
    fn what_was_lost_or_allocated_shows() {
        let lossy = Nonces { taken_by_driver: 50_000, arrived: 49_000, crc_errors: 1, ..nonces() };
        let of = measured(&[jobs()], &[lossy], &[allocations(3), allocations(4)]).unwrap();
        assert_eq!(figure(&of, "hardware.nonces-lost"), 11.0);
        assert_eq!(figure(&of, "hardware.nonces-undelivered"), 1000.0);
        assert_eq!(figure(&of, "hardware.allocations"), 7.0);
        let idle = Allocations { nonces: 3, ..allocations(0) };
        assert!(measured(&[jobs()], &[nonces()], &[idle]).is_err());
    }
}
