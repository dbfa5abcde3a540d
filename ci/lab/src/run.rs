//! `adit-lab run`: boots a unit, shows what happens, stops when the goal is reached.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    buses::Buses,
    console::Event,
    display::{Display, Numbers},
    images::{BOARD, Images},
    machine::Machine,
    outcome::{Goal, Outcome},
    site::{Backend, Effort, Rig, RigInputs},
};

/// How often pool and machine are asked.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Debug, Clone)]
pub struct Options {
    /// Without a goal the run goes on until a signal ends it.
    pub until: Option<Goal>,
    pub timeout: Option<Duration>,
    /// No Bitcoin node: made-up templates, no blocks.
    pub no_node: bool,
    /// The unit mines at the node, not at the pool: each block that the node has beyond its first is the unit's.
    pub solo: bool,
    /// What the unit drives.
    pub machine: Machine,
    /// Kept files (disk, console log, control sockets); a temporary folder otherwise.
    pub folder: Option<PathBuf>,
}

/// Runs and prints; the last line of standard output is the outcome as one JSON object.
pub async fn run(options: Options) -> Result<()> {
    if options.no_node && matches!(options.until, Some(Goal::Blocks(_))) {
        bail!("--no-node finds no blocks: leave it out, or wait for shares=N");
    }
    if options.solo && matches!(options.until, Some(Goal::Shares(_))) {
        bail!("without a pool there are no shares: wait for blocks=N");
    }
    let folder = crate::prepare::out()?;
    let mut images = Images::prepare(&folder, &[], &[])?;
    images.slot = images.slot_for(&options.machine)?;
    let chroot = if options.no_node { None } else { Some(crate::prepare::node()?) };

    // From here on a signal ends the run in order; while images are built it ends this program and its tools at once.
    let mut signals = Signals::new()?;
    let temporary = tempfile::Builder::new().prefix("adit-run-").tempdir()?;
    let work = options.folder.as_deref().unwrap_or(temporary.path());
    std::fs::create_dir_all(work).with_context(|| work.display().to_string())?;
    let mut outcome = Outcome {
        board: BOARD.into(),
        image_bytes: images.slot.bytes(),
        root_bytes: images.slot.manifest.root.partition_bytes(),
        ..Outcome::default()
    };
    let mut display = Display::new();
    let start = Instant::now();
    let backend = tokio::select! {
        backend = Backend::start(chroot.as_deref(), Effort::default(), Some(work.join("pool.sock"))) => backend?,
        () = signals.any() => return interrupted(&options),
    };
    display.line(start.elapsed(), &format!("pool on {}{}", backend.pool.address(), node_words(&backend)));
    let result =
        boot_and_watch(&options, &images, &backend, work, &mut signals, &mut display, &mut outcome).await;
    backend.stop().await;
    drop(display);
    println!("{}", serde_json::to_string(&outcome)?);
    result
}

/// SIGINT and SIGTERM, taken over for as long as this lives.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn node_words(backend: &Backend) -> String {
    backend.node.as_ref().map_or(String::new(), |node| format!(", bitcoind -regtest on {}", node.url()))
}

async fn boot_and_watch(
    options: &Options,
    images: &Images,
    backend: &Backend,
    work: &Path,
    signals: &mut Signals,
    display: &mut Display,
    outcome: &mut Outcome,
) -> Result<()> {
    let disk = work.join("disk.img");
    let config = if options.solo { backend.solo_config() } else { Some(backend.unit_config()) };
    let config = config.context("mining without a pool needs a node")?;
    images.disk(&disk, [&images.slot, &images.slot], adit_image::disk::fresh_boot_state(), Some(&config))?;
    let mut rig = Rig::start(&RigInputs {
        images,
        disk: &disk,
        folder: work,
        extra: &[],
        machine: &options.machine,
        buses: &Buses::default(),
        hurry_bits: 0,
    })?;
    let result = watch(options, backend, &mut rig, signals, display, outcome).await;
    rig.stop().await;
    result
}

async fn watch(
    options: &Options,
    backend: &Backend,
    rig: &mut Rig,
    signals: &mut Signals,
    display: &mut Display,
    outcome: &mut Outcome,
) -> Result<()> {
    let started = rig.unit.started();
    display.line(started.elapsed(), "power on (QEMU, AArch64 virt, emulated)");
    display.line(started.elapsed(), &format!("status page: http://{}/", rig.page));
    let mut look = tokio::time::interval(LOOK);
    let mut cursor = 0;
    let mut numbers = Numbers::default();
    // The block that the node is looking for before the unit has found any.
    let first = backend.pool.state().height;
    let mut refused = 0;
    loop {
        tokio::select! {
            () = signals.any() => return interrupted(options),
            _ = look.tick() => {}
        }
        let (said, next) = rig.unit.said_since(cursor);
        cursor = next;
        for one in &said {
            let Some(event) = &one.event else { continue };
            outcome.hear(event);
            display.event(one.at.duration_since(started), event);
            if let Event::Hashing { mhs, rejected, .. } = event {
                numbers.mhs = Some(*mhs);
                refused = *rejected;
            }
        }
        let (pool, machine) = (backend.pool.state(), rig.simulator.state());
        let blocks =
            if options.solo { u64::from(pool.height.saturating_sub(first)) } else { pool.blocks_accepted };
        // Without a pool each share is a block.
        let shares =
            if options.solo { (blocks, refused) } else { (pool.shares_accepted, pool.shares_rejected) };
        (outcome.shares_accepted, outcome.shares_rejected) = shares;
        (numbers.shares_accepted, numbers.shares_rejected) = shares;
        outcome.blocks_accepted = blocks;
        numbers.blocks_accepted = blocks;
        numbers.height = u64::from(pool.height);
        numbers.chip_celsius = machine.celsius.chip;
        numbers.fan_rpm = machine.fan.rpm;
        numbers.rail_volts = f64::from(machine.rail.millivolts) / 1000.0;
        display.numbers(started.elapsed(), &numbers);
        if options.until.is_some_and(|goal| goal.reached(outcome)) {
            return Ok(());
        }
        if !rig.unit.running() {
            bail!("QEMU ended: {}", rig.unit.last_words());
        }
        if let Some(limit) = options.timeout
            && started.elapsed() > limit
        {
            let goal = options.until.map_or("the end".into(), |goal| goal.to_string());
            bail!(
                "{goal} not reached in {} s: {}\n{}",
                limit.as_secs(),
                standing(outcome),
                rig.unit.tail(15)
            );
        }
    }
}

/// A signal is how a run without a goal ends; with one, the goal was missed.
fn interrupted(options: &Options) -> Result<()> {
    match options.until {
        Some(goal) => bail!("interrupted before {goal}"),
        None => Ok(()),
    }
}

/// How far the boot came, in words.
fn standing(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome { slot: None, .. } => "U-Boot did not start a slot",
        Outcome { kernel_to_init_ms: None, .. } => "the kernel did not reach adit-init",
        Outcome { init_to_ready_ms: None, .. } => "the services did not become ready",
        Outcome { init_to_first_work_ms: None, .. } => "no work reached the chain",
        Outcome { shares_accepted: 0, .. } => "no share was accepted",
        Outcome { blocks_accepted: 0, .. } => "no block was accepted",
        _ => "still going",
    }
}
