//! Simulated mining machines, from the wires' far end: chips that check every frame and search nonces for real, the parts on
//! their buses, the lines and the board controller, and the power, heat and air that join them.
//!
//! In: bytes on the chips' lines and on the board controller's, messages on I²C buses, levels on lines, requests on the
//! control port. Out: answers, nonces, the truth, and a record of what happened. It is written against captures and data
//! sheets; what had to be assumed is listed in `docs/simulator.md`, what the physics is worth in `docs/simulation.md`.
//!
//! Never: code of the driver that it tests (frames, checksums and states are its own), a guess where silicon would be
//! silent, a panic on input, unbounded memory, a busy wait.

mod board;
mod bus;
mod chip;
mod circuit;
mod clock;
mod control;
mod device;
mod endpoint;
mod events;
mod fault;
mod gpio;
mod hasher;
mod line;
mod machine;
mod physics;
mod ports;
mod random;
mod search;
mod shared;
mod simulator;
mod state;
mod stock;
mod wire;
mod world;

pub use chip::{
    BM1362, BM1366, BM1368, BM1370, BM1387, BM1397, Chain, Cores, Effect, Model, NonceLayout, NonceSpace,
    Sweeping, TicketMask, UnknownModel,
};
pub use device::Nak;
pub use endpoint::{Endpoint, EndpointError, OpenError};
pub use events::{Event, Events, Record};
pub use fault::{Arguments, Fault, FaultError};
pub use gpio::{Driver, Edge, Line, LineError};
pub use machine::model::MachineModel;
pub use machine::models::{
    BENCH_PARTS, BITAXE_GAMMA, BITAXE_MAX, BITAXE_SUPRA, BITAXE_ULTRA, EMBERONE00, S9, S19_XP, S19J_PRO,
    S19J_PRO_PIC, S21, S21_PRO, UnknownMachine,
};
pub use ports::{GpioPort, I2cPort};
pub use search::{ChipWork, Found, Position, Sweep, Work};
pub use simulator::{Config, Handle, MachineConfig, Simulator};
pub use state::{BoardState, Celsius, ChainState, ChipState, Fan, Psu, Rail, SensorState, State};
pub use stock::{Figures, machines};
pub use wire::{Body, Broken, Command, Dialect, Job, Parser, Received, Response, Target, crc5, crc16};
