//! The boot, from the kernel's entry on, beside a boot of the same kernel, verity tree and disk layout whose PID 1 does nothing.
//!
//! Both in the same emulator and in turns, so that what else the computer does hits both; ratios carry over to other machines, milliseconds do not.

use std::{fmt::Write, path::Path, time::Duration};

use anyhow::{Context, Result};
use serde_json::json;

use super::{Measured, spread::Spread};
use crate::{
    budgets::{Bench, Figure},
    buses::Buses,
    console::Event,
    images::{Difference, Images, copy_sparse},
    machine::Machine,
    qemu::Said,
    site::{Backend, Effort, Rig, RigInputs},
};

/// Emulated, on a busy machine.
const BOOT: Duration = Duration::from_secs(120);
const NOOP: &str = "adit-noop";
const NOOP_SAYS: &str = "no-op init ms=";

/// Milliseconds since the kernel's entry.
struct Boot {
    init: u64,
    ready: u64,
    first_work: u64,
}

pub(super) async fn measure(runs: usize) -> Result<Measured> {
    let images = Images::prepare(&crate::prepare::out()?, &[], &[])?;
    let noop = images.other_program(NOOP)?;
    let noop = images.other_slot(
        "noop-slot",
        &Difference { version: ".no-op", init: Some(&noop), ..Difference::default() },
    )?;
    let backend = Backend::start(None, Effort::default(), None).await?;
    let folder = tempfile::Builder::new().prefix("adit-bench-").tempdir()?;
    let disks = [folder.path().join("noop.img"), folder.path().join("unit.img")];
    for (disk, slot) in disks.iter().zip([&noop, &*images.slot]) {
        images.disk(
            disk,
            [slot, slot],
            adit_image::disk::fresh_boot_state(),
            Some(&backend.unit_config()),
        )?;
    }
    let (mut noops, mut boots) = (Vec::new(), Vec::new());
    for run in 1..=runs {
        eprintln!("boot {run} of {runs}");
        noops.push(boot_noop(&images, &disks[0]).await?);
        boots.push(boot(&images, &disks[1]).await?);
    }
    backend.stop().await;
    measured(runs, &noops, &boots)
}

/// Starts a unit from a copy of `disk`, in a folder of its own.
fn start(images: &Images, disk: &Path) -> Result<(Rig, tempfile::TempDir)> {
    let folder = tempfile::Builder::new().prefix("adit-unit-").tempdir()?;
    let own = folder.path().join("disk.img");
    copy_sparse(disk, &own)?;
    let rig = Rig::start(&RigInputs {
        images,
        disk: &own,
        folder: folder.path(),
        extra: &[],
        machine: &Machine::bitaxe(),
        buses: &Buses::default(),
        hurry_bits: 0,
    })?;
    Ok((rig, folder))
}

async fn boot_noop(images: &Images, disk: &Path) -> Result<u64> {
    let (rig, _folder) = start(images, disk)?;
    let ms = |said: &Said| said.line.split_once(NOOP_SAYS)?.1.trim().parse().ok();
    let heard = rig.unit.wait_from(0, BOOT, "the no-op init", ms).await;
    rig.stop().await;
    Ok(heard?.0)
}

async fn boot(images: &Images, disk: &Path) -> Result<Boot> {
    let (rig, _folder) = start(images, disk)?;
    let result = timeline(&rig).await;
    rig.stop().await;
    result
}

async fn timeline(rig: &Rig) -> Result<Boot> {
    let event = async |wanted: &str| {
        let ms = |event: &Event| match event {
            Event::Timeline { event, ms } if event == wanted => Some(*ms),
            _ => None,
        };
        anyhow::Ok(rig.unit.wait_event(0, BOOT, wanted, ms).await?.0)
    };
    Ok(Boot {
        init: event("init").await?,
        ready: event("ready").await?,
        first_work: event("first-work").await?,
    })
}

fn measured(runs: usize, noops: &[u64], boots: &[Boot]) -> Result<Measured> {
    let none = "nothing was measured: --runs 1 at least";
    let noop = Spread::of(noops.iter().copied()).context(none)?;
    let of = |value: fn(&Boot) -> u64| Spread::of(boots.iter().map(value)).context(none);
    let stages = [
        ("init", "adit-init's first line", of(|boot| boot.init)?),
        ("ready", "every essential service is ready", of(|boot| boot.ready)?),
        ("first-work", "first work on a chain's wire", of(|boot| boot.first_work)?),
    ];
    let mut table = format!(
        "boot, {runs} runs in turns, milliseconds since the kernel's entry (emulated):\n{:<36}{:>7}{:>8}{:>7}{:>16}{:>16}\n",
        "", "min", "median", "max", "ratio of minima", "of medians"
    );
    writeln!(table, "{:<36}{:>7}{:>8}{:>7}", "no-op init's first line", noop.min, noop.p50, noop.max)?;
    let mut json = json!({ "runs": runs, "noop_init_ms": noop });
    let mut figures = Vec::new();
    for (name, what, spread) in stages {
        let ratio = |own: u64, noop: u64| own as f64 / noop.max(1) as f64;
        let (of_minima, of_medians) = (ratio(spread.min, noop.min), ratio(spread.p50, noop.p50));
        writeln!(
            table,
            "{what:<36}{:>7}{:>8}{:>7}{of_minima:>16.2}{of_medians:>16.2}",
            spread.min, spread.p50, spread.max
        )?;
        json[format!("{}_ms", name.replace('-', "_"))] = json!(spread);
        // Of minima: a run that the computer held up says nothing about us.
        figures.push(Figure::new(format!("boot.{name}-ratio"), of_minima));
    }
    Ok(Measured { bench: Bench::Boot, table, json, figures, partly: false })
}
