//! Memory of a unit that mines: every process's resident pages, asked of the agent in a test image that has the released kernel and programs.
//!
//! The kernel has no `smaps_rollup` (`PROC_PAGE_MONITOR` also brings `pagemap`, which a release has no use for), so PSS is not read but bounded: no two
//! processes share a library or a program, so what is resident is theirs alone, and the sum of it is the sum of all PSS, or a little above.
//! The kernel counts lazily: each figure may be off by 128 KiB.
//!
//! What a process takes of the processor is shown beside it, not judged: emulated, it moves with everything else that this computer does.

use std::{
    fmt::Write,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Measured;
use crate::{
    budgets::{Bench, Figure},
    buses::Buses,
    images::Images,
    machine::Machine,
    site::{Backend, Effort, Rig, RigInputs},
};

/// Emulated, on a busy machine: from power-on to an accepted share.
const MINING: Duration = Duration::from_secs(120);
/// Measures, and is in no release.
const AGENT: &str = "adit-agent";
const KIB_PER_MIB: f64 = 1024.0;

/// One process, KiB.
struct Process {
    name: String,
    /// Heap, stacks, written data: nobody else's.
    anonymous: u64,
    /// Pages of its program: the page cache's, which the kernel may drop and read again.
    file: u64,
    /// Memory that has a descriptor.
    shared: u64,
    /// Of the emulated processor, since it was started, ms.
    processor: u64,
}

impl Process {
    fn resident(&self) -> u64 {
        self.anonymous + self.file + self.shared
    }
}

/// `mine`: how long the unit goes on after its first share, with a new block and both pages asked for every second.
pub(super) async fn measure(mine: Duration) -> Result<Measured> {
    let overlay = Path::new(env!("CARGO_MANIFEST_DIR")).join("overlays/agent");
    let folder = crate::prepare::out()?.join("with-agent");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let images = Images::prepare(&folder, &[AGENT], &[overlay])?;
    let backend = Backend::start(None, Effort::default(), None).await?;
    let work = tempfile::Builder::new().prefix("adit-bench-").tempdir()?;
    let disk = work.path().join("disk.img");
    images.disk(
        &disk,
        [&images.slot, &images.slot],
        adit_image::disk::fresh_boot_state(),
        Some(&backend.unit_config()),
    )?;
    let rig = Rig::start(&RigInputs {
        images: &images,
        disk: &disk,
        folder: work.path(),
        extra: &[],
        machine: &Machine::bitaxe(),
        buses: &Buses::default(),
        hurry_bits: 0,
    })?;
    let answer = ask(&rig, &backend, mine).await;
    rig.stop().await;
    backend.stop().await;
    measured(&read(&answer?)?)
}

/// The agent's answer once the unit has done everything that it does: a share is accepted, a page and the metrics were asked for.
async fn ask(rig: &Rig, backend: &Backend, mine: Duration) -> Result<String> {
    rig.accepted_share(MINING).await?;
    let end = Instant::now() + mine;
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        second.tick().await;
        for path in ["/", "/metrics"] {
            tokio::time::timeout(Duration::from_secs(20), get(rig, path))
                .await
                .with_context(|| format!("the unit's page does not answer GET {path}"))??;
        }
        if Instant::now() >= end {
            return rig.agent("memory").await;
        }
        backend.pool.new_block().await?;
    }
}

async fn get(rig: &Rig, path: &str) -> Result<()> {
    let mut page = tokio::net::TcpStream::connect(rig.page).await?;
    page.write_all(format!("GET {path} HTTP/1.1\r\nHost: unit\r\nConnection: close\r\n\r\n").as_bytes())
        .await?;
    let mut answer = Vec::new();
    page.read_to_end(&mut answer).await?;
    if !answer.starts_with(b"HTTP/1.1 200") {
        let line = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
        bail!("GET {path}: {}", String::from_utf8_lossy(line));
    }
    Ok(())
}

/// `ok NAME ANONYMOUS FILE SHARED PROCESSOR, NAME …`, KiB and ms.
fn read(answer: &str) -> Result<Vec<Process>> {
    let processes = answer.strip_prefix("ok ").unwrap_or(answer).split(", ");
    processes
        .map(|text| {
            let words: Vec<&str> = text.split(' ').collect();
            let &[name, anonymous, file, shared, processor] = &words[..] else {
                bail!("the agent's answer has '{text}', five words are wanted");
            };
            let number = |word: &str| word.parse().with_context(|| format!("'{word}' in '{text}'"));
            Ok(Process {
                name: name.to_owned(),
                anonymous: number(anonymous)?,
                file: number(file)?,
                shared: number(shared)?,
                processor: number(processor)?,
            })
        })
        .collect()
}

fn measured(processes: &[Process]) -> Result<Measured> {
    let mut table = format!(
        "memory of a unit that mines (AArch64, emulated), KiB:\n  {:<24}{:>10}{:>10}{:>10}{:>10}{:>16}\n",
        "", "resident", "private", "program", "shared", "processor, ms"
    );
    let mut rows = Vec::new();
    for process in processes {
        let Process { name, anonymous, file, shared, processor } = process;
        let resident = process.resident();
        let aside = if name == AGENT { " (in test images only, not counted)" } else { "" };
        writeln!(
            table,
            "  {name:<24}{resident:>10}{anonymous:>10}{file:>10}{shared:>10}{processor:>16}{aside}"
        )?;
        rows.push(json!({
            "process": name, "resident_kib": resident, "private_kib": anonymous, "program_kib": file, "shared_kib": shared,
            "processor_ms": processor,
        }));
    }
    let ours: Vec<&Process> = processes.iter().filter(|process| process.name != AGENT).collect();
    let sum = |part: fn(&Process) -> u64| ours.iter().map(|process| part(process)).sum::<u64>();
    let (resident, private) = (sum(Process::resident), sum(|process| process.anonymous));
    writeln!(
        table,
        "  {:<24}{resident:>10}{private:>10}{:>10}{:>10}{:>16}",
        "together",
        sum(|process| process.file),
        sum(|process| process.shared),
        sum(|process| process.processor)
    )?;
    let figures = vec![
        Figure::new("memory.resident", resident as f64 / KIB_PER_MIB),
        Figure::new("memory.private", private as f64 / KIB_PER_MIB),
    ];
    // A program that runs twice would share its pages, and one that is missing would weigh nothing.
    let mut names: Vec<&str> = ours.iter().map(|process| process.name.as_str()).collect();
    names.sort_unstable();
    let mut wanted = adit_image::services::PACKAGES;
    wanted.sort_unstable();
    if names != wanted {
        bail!("in the unit run {}; each of {} should, once", names.join(", "), wanted.join(", "));
    }
    Ok(Measured { bench: Bench::Memory, table, json: json!({ "processes": rows }), figures, partly: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> String {
        let mut answer = String::from("ok adit-agent 100 200 0 50");
        for (package, kib) in adit_image::services::PACKAGES.iter().zip(1..) {
            answer += &format!(", {package} {kib} 1000 4 70");
        }
        answer
    }

    #[test]
    fn the_agent_is_shown_but_does_not_count() {
        let measured = measured(&read(&answer()).unwrap()).unwrap();
        let count = adit_image::services::PACKAGES.len() as u64;
        let private = count * (count + 1) / 2;
        let resident = private + count * 1004;
        let of = |kib: u64| kib as f64 / 1024.0;
        assert_eq!(
            measured.figures,
            [Figure::new("memory.resident", of(resident)), Figure::new("memory.private", of(private))]
        );
        assert!(measured.table.contains("adit-agent"));
    }

    #[test]
    fn a_program_that_does_not_run_or_runs_twice_is_said() {
        let twice = format!("{}, adit-miner 1 1 1 1", answer());
        for wrong in ["ok adit-init 1 1 1 1", &twice] {
            let error = measured(&read(wrong).unwrap()).err().unwrap().to_string();
            assert!(error.contains("each of"), "{error}");
        }
        assert!(read("ok adit-init 1 1 1").is_err());
    }
}
