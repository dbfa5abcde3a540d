//! Puts the machine together and runs it on threads of its own.

use crate::chip::{BM1370, Chain, Model};
use crate::clock;
use crate::control::Control;
use crate::endpoint::{Endpoint, OpenError, Port};
use crate::events::Events;
use crate::fault::Fault;
use crate::ports::{GpioPort, I2cPort};
use crate::shared::Shared;
use crate::state::State;
use crate::world::World;
use crate::{hasher, line};
use std::path::PathBuf;
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
        let times = chips.max(1) as f64 * f64::from(model.small_cores) / f64::from(BM1370.small_cores);
        let slowdown_bits = ONE_CHIP_SLOWDOWN_BITS.saturating_add_signed(times.log2().round() as i32);
        Self { model, chips, slowdown_bits, ..self }
    }
}

/// What a thread does.
type Body = Box<dyn FnOnce(&Arc<Shared>) + Send>;

/// Starts simulations.
pub struct Simulator;

impl Simulator {
    /// Opens the endpoints and runs the machine, without power, until the handle is dropped or told to stop.
    pub fn start(config: &Config) -> Result<Handle, OpenError> {
        let chain_port = Port::open(&config.chain)?;
        let board_port = Port::open(&config.board)?;
        let control = config.control.as_deref().map(Control::bind).transpose()?;
        let (line_sender, line_queue) = sync_channel(LINE_QUEUE);
        let chain = Chain::new(config.model, config.chips);
        let world = World::new(chain, config.base_bits, config.seed, line_sender);
        let shared = Arc::new(Shared::new(world));
        let mut threads = Vec::new();
        let mut spawn = |name: &str, body: Body| {
            let shared = shared.clone();
            let thread = thread::Builder::new().name(name.into()).spawn(move || body(&shared));
            thread.map(|thread| threads.push(thread)).map_err(|source| OpenError::Thread { source })
        };
        let chain_port = Arc::new(chain_port);
        let from_host = chain_port.clone();
        let (slowdown_bits, seed) = (config.slowdown_bits, config.seed);
        spawn("line-in", Box::new(move |shared| line::receive(shared, &from_host)))?;
        spawn("line-out", Box::new(move |shared| line::transmit(shared, &chain_port, &line_queue)))?;
        spawn("board", Box::new(move |shared| line::control_board(shared, &board_port)))?;
        spawn("hasher", Box::new(move |shared| hasher::run(shared, slowdown_bits, seed)))?;
        spawn("machine", Box::new(|shared| watch(shared)))?;
        if let Some(control) = control {
            spawn("control", Box::new(move |shared| control.serve(shared)))?;
        }
        Ok(Handle { shared, threads })
    }
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

    pub fn fault(&self, fault: Fault) {
        self.shared.change(|world| world.fault(fault));
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
