//! Puts the machine together and runs it on threads of its own.

use crate::chip::{BM1370, Behind, Chain, Model};
use crate::circuit::Circuit;
use crate::clock;
use crate::control::Control;
use crate::endpoint::{Endpoint, OpenError, Port};
use crate::events::Events;
use crate::fault::{Fault, FaultError};
use crate::machine::Machine;
use crate::machine::model::MachineModel;
use crate::machine::models::BITAXE_GAMMA;
use crate::ports::{GpioPort, I2cPort};
use crate::shared::Shared;
use crate::state::{ChipState, State};
use crate::world::World;
use crate::{hasher, line};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Answers that may wait for the line; more are lost.
const LINE_QUEUE: usize = 1024;
/// How finely rail, fan and heat are watched.
const TICK: Duration = Duration::from_millis(20);

/// Leaves one BM1370 about 4 MH/s of 525 MHz.
const ONE_CHIP_SLOWDOWN_BITS: u32 = 18;

/// What to simulate.
#[derive(Clone, Debug)]
pub struct Config {
    /// The chips' serial line.
    pub chain: Endpoint,
    /// The board controller.
    pub board: Endpoint,
    /// Socket of the control port.
    pub control: Option<PathBuf>,
    pub model: &'static Model,
    pub chips: usize,
    /// Leading zero bits of a hash that is reported when the ticket mask asks for nothing more. Silicon: 32.
    pub base_bits: u32,
    /// Hash rate is what silicon would make, divided by two to this power.
    pub slowdown_bits: u32,
    /// Of everything random: where an unset nonce counter starts, noise, flipped bits.
    pub seed: u64,
}

impl Config {
    /// One BM1370 behind `bitaxe-raw`, slowed down so that a CPU can keep up.
    pub fn bitaxe(chain: Endpoint, board: Endpoint) -> Self {
        Self {
            chain,
            board,
            control: None,
            model: &BM1370,
            chips: 1,
            base_bits: 16,
            slowdown_bits: ONE_CHIP_SLOWDOWN_BITS,
            seed: 0,
        }
    }

    /// The same board with another chain on it, slowed down to the hash rate of [`Config::bitaxe`], near enough.
    pub fn with_chain(self, model: &'static Model, chips: usize) -> Self {
        Self { model, chips, slowdown_bits: slowdown_bits(model, chips), ..self }
    }
}

/// What to simulate when it is a whole machine.
#[derive(Clone, Debug)]
pub struct MachineConfig {
    pub model: &'static MachineModel,
    /// Each board's serial line.
    pub chains: Vec<Endpoint>,
    /// The board controller of a machine that has one.
    pub board: Option<Endpoint>,
    /// Socket of the control port.
    pub control: Option<PathBuf>,
    /// Leading zero bits of a hash that is reported when the ticket mask asks for nothing more. Silicon: 32.
    pub base_bits: u32,
    /// Each board's hash rate is what silicon would make, divided by two to this power.
    pub slowdown_bits: u32,
    /// Of everything random: the dies' luck, where an unset nonce counter starts, noise, flipped bits.
    pub seed: u64,
    /// No two dies are alike; else all are typical.
    pub lottery: bool,
    /// What boards' EEPROMs hold, instead of the model's own.
    pub eeproms: Vec<[u8; 256]>,
}

impl MachineConfig {
    /// As the machine was built, slowed down so that a CPU can keep up.
    pub fn new(model: &'static MachineModel, chains: Vec<Endpoint>, board: Option<Endpoint>) -> Self {
        let chips = model.boards * model.board.chips;
        Self {
            model,
            chains,
            board,
            control: None,
            base_bits: 16,
            slowdown_bits: slowdown_bits(model.chip, chips),
            seed: 0,
            lottery: true,
            eeproms: Vec::new(),
        }
    }
}

/// Leaves this many chips together the hash rate of one BM1370, near enough.
fn slowdown_bits(model: &Model, chips: usize) -> u32 {
    let times = chips.max(1) as f64 * f64::from(model.small_cores) / f64::from(BM1370.small_cores);
    ONE_CHIP_SLOWDOWN_BITS.saturating_add_signed(times.log2().round() as i32)
}

/// What a thread does.
type Body = Box<dyn FnOnce(&Arc<Shared>) + Send>;

/// A chain and its endpoint.
struct Wired {
    chain: Chain,
    endpoint: Endpoint,
}

/// Starts simulations.
pub struct Simulator;

impl Simulator {
    /// Opens the endpoints and runs a Bitaxe, without power, until the handle is dropped or told to stop.
    pub fn start(config: &Config) -> Result<Handle, OpenError> {
        let machine = Machine::new(&BITAXE_GAMMA, config.seed, false, &[]);
        let chain = Chain::new(config.model, config.chips);
        let wired = vec![Wired { chain, endpoint: config.chain.clone() }];
        let pace =
            Pace { base_bits: config.base_bits, slowdown_bits: config.slowdown_bits, seed: config.seed };
        run(machine, wired, Some(&config.board), config.control.as_deref(), &pace)
    }

    /// Likewise a whole machine. Errors: as many endpoints of chains are needed as it has boards, and one of a board
    /// controller exactly if it has one.
    pub fn start_machine(config: &MachineConfig) -> Result<Handle, OpenError> {
        let model = config.model;
        if config.chains.len() != model.boards {
            return Err(OpenError::Chains {
                name: model.name,
                boards: model.boards,
                given: config.chains.len(),
            });
        }
        if config.board.is_some() != model.usb {
            return Err(OpenError::Controller { name: model.name, has: model.usb });
        }
        let machine = Machine::new(model, config.seed, config.lottery, &config.eeproms);
        let wired = config
            .chains
            .iter()
            .map(|endpoint| {
                let mut chain = Chain::new(model.chip, model.board.chips);
                chain.behind = model.behind_chip.map(|(chip, address)| Behind::new(chip, address));
                Wired { chain, endpoint: endpoint.clone() }
            })
            .collect();
        let pace =
            Pace { base_bits: config.base_bits, slowdown_bits: config.slowdown_bits, seed: config.seed };
        run(machine, wired, config.board.as_ref(), config.control.as_deref(), &pace)
    }
}

struct Pace {
    base_bits: u32,
    slowdown_bits: u32,
    seed: u64,
}

fn run(
    machine: Machine,
    wired: Vec<Wired>,
    board: Option<&Endpoint>,
    control: Option<&Path>,
    pace: &Pace,
) -> Result<Handle, OpenError> {
    let now_ns = clock::now_ns();
    let mut circuits = Vec::new();
    let mut ends = Vec::new();
    for (number, Wired { chain, endpoint }) in wired.into_iter().enumerate() {
        let (sender, queue) = sync_channel(LINE_QUEUE);
        let seed = pace.seed.wrapping_add(number as u64);
        circuits.push(Circuit::new(number, chain, pace.base_bits, seed, sender, now_ns));
        ends.push((Arc::new(Port::open(&endpoint)?), queue, seed));
    }
    let board_port = board.map(Port::open).transpose()?;
    let control = control.map(Control::bind).transpose()?;
    let shared = Arc::new(Shared::new(World::new(machine, circuits, now_ns)));
    let mut threads = Vec::new();
    let mut spawn = |name: String, body: Body| {
        let shared = shared.clone();
        let thread = thread::Builder::new().name(name).spawn(move || body(&shared));
        thread.map(|thread| threads.push(thread)).map_err(|source| OpenError::Thread { source })
    };
    let slowdown_bits = pace.slowdown_bits;
    for (number, (port, queue, seed)) in ends.into_iter().enumerate() {
        let from_host = port.clone();
        spawn(
            format!("line-in-{number}"),
            Box::new(move |shared| line::receive(shared, number, &from_host)),
        )?;
        spawn(
            format!("line-out-{number}"),
            Box::new(move |shared| line::transmit(shared, number, &port, &queue)),
        )?;
        spawn(
            format!("hasher-{number}"),
            Box::new(move |shared| hasher::run(shared, number, slowdown_bits, seed)),
        )?;
    }
    if let Some(port) = board_port {
        spawn("board".into(), Box::new(move |shared| line::control_board(shared, &port)))?;
    }
    spawn("machine".into(), Box::new(|shared| watch(shared)))?;
    if let Some(control) = control {
        spawn("control".into(), Box::new(move |shared| control.serve(shared)))?;
    }
    Ok(Handle { shared, threads })
}

/// Lets the machine's time pass.
fn watch(shared: &Shared) {
    while !shared.stopped() {
        shared.change(|world| world.tick(clock::now_ns()));
        thread::sleep(TICK);
    }
}

/// A running simulation. Dropped, it ends and its sockets and links are gone.
pub struct Handle {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Handle {
    /// The truth now.
    pub fn state(&self) -> State {
        self.shared.change(|world| world.state())
    }

    /// What happened after event number `after` (0: from the beginning), at most 512 of them.
    pub fn events(&self, after: u64) -> Events {
        self.shared.read(|world| world.events(after))
    }

    /// Begins or ends a fault, on board 0 if it is one of a board's. What the machine does not have is left alone.
    pub fn fault(&self, fault: Fault) {
        self.fault_on(0, fault).ok();
    }

    /// Likewise on another board. Errors: the machine has no such board, chip, fan, sensor or supply.
    pub fn fault_on(&self, board: usize, fault: Fault) -> Result<(), FaultError> {
        self.shared.change(|world| world.fault(board, fault))
    }

    /// All chips of a board; none: no such board.
    pub fn chips(&self, board: usize) -> Option<Vec<ChipState>> {
        self.shared.change(|world| world.chips(board))
    }

    /// How many I²C buses the machine has.
    pub fn i2c_buses(&self) -> usize {
        self.shared.change(|world| world.i2c_buses())
    }

    /// An I²C bus of the machine, from 0; nobody answers on one that is not there.
    pub fn i2c(&self, bus: usize) -> I2cPort {
        I2cPort::new(self.shared.clone(), bus)
    }

    /// The lines between control board and machine.
    pub fn gpio(&self) -> GpioPort {
        GpioPort::new(self.shared.clone())
    }

    /// False once somebody asked on the control port for the end.
    pub fn is_running(&self) -> bool {
        !self.shared.stopped()
    }

    /// Ends the simulation and waits for its threads.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.stop();
        self.shared.change(|world| world.lines().end());
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so itself.
            thread.join().ok();
        }
    }
}
