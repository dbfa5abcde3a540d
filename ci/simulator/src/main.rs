//! `adit-simulator`: reads the command line, starts the machine, waits for the end.

use adit_simulator::{
    Config, Endpoint, Figures, Handle, MachineConfig, MachineModel, Model, Simulator, UnknownMachine,
    UnknownModel, machines,
};
use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tracing::info;

/// A mining machine to develop against: the far end of a control board's wires.
///
/// The chips answer as silicon does, check every frame, and really search for nonces. Point QEMU's serial ports at
/// sockets, or a native driver at pseudo-terminals.
#[derive(Parser)]
#[command(name = "adit-simulator", disable_help_subcommand = true)]
struct CommandLine {
    #[command(subcommand)]
    machine: MachineKind,
}

#[derive(Subcommand)]
enum MachineKind {
    /// A whole machine: its boards with their chains, supply, fans, sensors and lines
    Machine(Whole),
    /// What the physics makes of each machine as it was sold, beside published figures, as a table
    Physics(Physics),
    /// A Bitaxe Gamma: one BM1370, with a board controller that speaks bitaxe-raw; or another chain of chips on that board
    Bitaxe(Bitaxe),
}

#[derive(Args)]
struct Bitaxe {
    /// The chip's serial line: unix:PATH (listens; QEMU connects; not paced) or pty:LINK (a pseudo-terminal; bytes take as
    /// long as on a wire, and a wrong line rate garbles them)
    #[arg(long, value_name = "ENDPOINT")]
    chain: Endpoint,
    /// The board controller's control port: unix:PATH or pty:LINK
    #[arg(long, value_name = "ENDPOINT")]
    board: Endpoint,
    /// Socket for the control port: truth, events, faults, shutdown, as JSON lines
    #[arg(long, value_name = "PATH")]
    control: PathBuf,
    /// Model of the chips: bm1362, bm1366, bm1368, bm1370, bm1387 or bm1397
    #[arg(long, value_name = "MODEL", default_value = "bm1370", value_parser = model)]
    chip: &'static Model,
    /// How many of them are on the chain. The board around them stays a Bitaxe's
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=128))]
    chips: u16,
    /// Report a nonce when its hash begins with this many zero bits, and those that the ticket mask adds. Silicon: 32
    #[arg(long, value_name = "BITS", default_value_t = 16, value_parser = clap::value_parser!(u32).range(8..=32))]
    base_bits: u32,
    /// Hash 2^BITS times slower than silicon [default: what makes about 4 MH/s of 525 MHz, 18 for one BM1370]
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u32).range(0..=40))]
    slowdown_bits: Option<u32>,
    /// Repeats everything that is left to chance
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

#[derive(Args)]
struct Whole {
    /// Which one: bitaxe-gamma, bitaxe-supra, bitaxe-ultra, bitaxe-max, emberone00, s9, s19j-pro, s19j-pro-pic, s19-xp, s21 or s21-pro
    #[arg(long, value_name = "NAME", value_parser = machine)]
    model: &'static MachineModel,
    /// Serial line of a board's chain, unix:PATH or pty:LINK; once for each board
    #[arg(long, value_name = "ENDPOINT", required = true)]
    chain: Vec<Endpoint>,
    /// Control port of the board controller, where the machine has one
    #[arg(long, value_name = "ENDPOINT")]
    board: Option<Endpoint>,
    /// Socket for the control port: truth, events, faults, shutdown, as JSON lines
    #[arg(long, value_name = "PATH")]
    control: PathBuf,
    /// Report a nonce when its hash begins with this many zero bits, and those that the ticket mask adds. Silicon: 32
    #[arg(long, value_name = "BITS", default_value_t = 16, value_parser = clap::value_parser!(u32).range(8..=32))]
    base_bits: u32,
    /// Hash 2^BITS times slower than silicon [default: what makes about 4 MH/s of all boards together]
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u32).range(0..=40))]
    slowdown_bits: Option<u32>,
    /// Repeats everything that is left to chance, the dies' luck among it
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// All dies are typical ones
    #[arg(long)]
    typical: bool,
    /// What a board's EEPROM holds: a file of 256 bytes, once for each board [default: the board's own name, not scrambled]
    #[arg(long, value_name = "FILE")]
    eeprom: Vec<PathBuf>,
}

#[derive(Args)]
struct Physics {
    /// Draws the machines' dies
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

impl Whole {
    fn config(self) -> anyhow::Result<MachineConfig> {
        let machine = MachineConfig::new(self.model, self.chain, self.board);
        let mut eeproms = Vec::new();
        for path in self.eeprom {
            let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
            let length = bytes.len();
            let bytes = bytes
                .try_into()
                .ok()
                .with_context(|| format!("{}: {length} bytes, an EEPROM has 256", path.display()))?;
            eeproms.push(bytes);
        }
        Ok(MachineConfig {
            control: Some(self.control),
            base_bits: self.base_bits,
            slowdown_bits: self.slowdown_bits.unwrap_or(machine.slowdown_bits),
            seed: self.seed,
            lottery: !self.typical,
            eeproms,
            ..machine
        })
    }
}

impl From<Bitaxe> for Config {
    fn from(bitaxe: Bitaxe) -> Self {
        let machine = Self::bitaxe(bitaxe.chain, bitaxe.board).with_chain(bitaxe.chip, bitaxe.chips.into());
        Self {
            control: Some(bitaxe.control),
            base_bits: bitaxe.base_bits,
            slowdown_bits: bitaxe.slowdown_bits.unwrap_or(machine.slowdown_bits),
            seed: bitaxe.seed,
            ..machine
        }
    }
}

fn model(name: &str) -> Result<&'static Model, UnknownModel> {
    Model::by_name(name)
}

fn machine(name: &str) -> Result<&'static MachineModel, UnknownMachine> {
    MachineModel::by_name(name)
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().without_time().with_ansi(false).with_writer(std::io::stderr).init();
    match run(CommandLine::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("adit-simulator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command_line: CommandLine) -> anyhow::Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, stop.clone()).context("signal handler")?;
    }
    match command_line.machine {
        MachineKind::Bitaxe(bitaxe) => {
            let config = Config::from(bitaxe);
            let handle = Simulator::start(&config)?;
            info!(chip = config.model.name, chips = config.chips, chain = %config.chain, board = %config.board, "ready");
            serve(handle, &stop);
            Ok(())
        }
        MachineKind::Machine(whole) => {
            let config = whole.config()?;
            let handle = Simulator::start_machine(&config)?;
            info!(machine = config.model.name, boards = config.model.boards, "ready");
            serve(handle, &stop);
            Ok(())
        }
        MachineKind::Physics(physics) => {
            println!("{}", Figures::HEAD);
            machines(physics.seed).iter().for_each(|figures| println!("{figures}"));
            Ok(())
        }
    }
}

/// Until somebody wants the end.
fn serve(handle: Handle, stop: &AtomicBool) {
    while handle.is_running() && !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(50));
    }
    handle.stop();
}
