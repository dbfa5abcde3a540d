//! Buses and lines: how a part's driver reaches its part.
//!
//! In: buses of the profile. Out: handles that any number of parts may hold; each bus has one owner, which serves them in turn. A bus is opened when it is first needed, and again when it was lost: a USB
//! board that is plugged in later is simply there at the next try. Every wait is bounded. Nothing here knows what a part is.

mod behind;
mod bitaxe_raw;
mod error;
mod gpio;
mod i2c;
mod kept;
mod registers;
#[cfg(test)]
pub(crate) mod simulated;
mod usb;

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use adit_peripherals::eeprom;
use embedded_hal_async::i2c::{ErrorType, I2c, Operation};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};

pub use self::kept::Kept;
#[cfg(test)]
pub(crate) use self::registers::standing_in;
pub(crate) use self::{
    behind::{BehindChip, Mailbox, Question},
    bitaxe_raw::ControllerError,
    error::BusError,
    gpio::Tachometer,
    registers::{Registers, open as open_registers, open_alone as open_registers_alone},
};
use self::{bitaxe_raw::BitaxeRaw, gpio::Gpio, i2c::LinuxI2c, kept::Lines};
use crate::{
    line::{At, Place},
    port::{Port, PortError},
    profile::{self, BitaxeRawPort, BoardProfile, BusPart, ChainProfile, Level, Profile, UsbPort},
};

/// A driver that was killed just now may still be on its way out. One that hangs in the kernel keeps its lock: after this time the safe state goes on without.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);
const LOCK_LOOK: Duration = Duration::from_millis(10);

/// What to do about a port that another process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It stays that process's.
    Alone,
    /// For the safe state: a while is waited, then it is used beside that process, which is taken to hang.
    Insist,
}

/// All buses of a machine, by name.
#[derive(Debug, Clone)]
pub(crate) struct Buses {
    all: Vec<(String, Bus)>,
    kept: Lines,
    /// By chain, in the profile's order of boards; what hangs on their chips is asked through these.
    mailboxes: Rc<Vec<(ChainKey, Rc<Mailbox>)>>,
}

/// No two chains have the same line.
type ChainKey = (Option<PathBuf>, Option<UsbPort>, Option<String>);

/// A handle.
#[derive(Debug, Clone)]
pub(crate) enum Bus {
    Raw(Rc<RawBus>),
    Linux(Rc<LinuxBus>),
    BehindChip(BehindChip),
    #[cfg(test)]
    Simulated(simulated::Simulated),
}

/// A bitaxe-raw controller.
#[derive(Debug)]
pub(crate) struct RawBus {
    at: BitaxeRawPort,
    claim: Claim,
    /// Of the device that was found by its USB identity, while it is open.
    device: RefCell<Option<usb::Found>>,
    /// Sockets whose devices are some bus's: opening one beside its owner would cost that an answer.
    taken: Rc<RefCell<Vec<PathBuf>>>,
    open: Mutex<Option<BitaxeRaw>>,
}

/// I²C adapter and GPIO chip of the control board.
#[derive(Debug)]
pub(crate) struct LinuxBus {
    i2c: Option<LinuxI2c>,
    gpio: Option<Gpio>,
}

/// An output of a bus.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    bus: Bus,
    line: u32,
    active: Level,
}

/// An input of a bus.
#[derive(Debug, Clone)]
pub(crate) struct Input(Output);

impl Buses {
    /// Opens nothing yet.
    pub(crate) fn new(profile: &Profile, claim: Claim) -> Self {
        let (taken, kept) = (Rc::default(), Lines::default());
        let bus = |bus: &profile::Bus| {
            #[cfg(test)]
            if let Some(simulated) = simulated::attached(&bus.name) {
                return (bus.name.clone(), Bus::Simulated(simulated));
            }
            let handle = match &bus.part {
                BusPart::BitaxeRaw(at) => Bus::Raw(Rc::new(RawBus {
                    at: at.clone(),
                    claim,
                    device: RefCell::default(),
                    taken: Rc::clone(&taken),
                    open: Mutex::default(),
                })),
                BusPart::Linux(linux) => Bus::Linux(Rc::new(LinuxBus {
                    i2c: linux.i2c.clone().map(LinuxI2c::new),
                    gpio: linux.gpio.clone().map(|chip| Gpio::new(chip, kept.clone())),
                })),
            };
            (bus.name.clone(), handle)
        };
        let mailbox = |board: &BoardProfile| (key(&board.chain), Rc::default());
        let mailboxes = Rc::new(profile.board.iter().map(mailbox).collect());
        Self { all: profile.bus.iter().map(bus).collect(), kept, mailboxes }
    }

    fn mailbox(&self, chain: &ChainProfile) -> Rc<Mailbox> {
        let found = self.mailboxes.iter().find(|(known, _)| *known == key(chain));
        found.map(|(_, mailbox)| Rc::clone(mailbox)).expect("every chain has its mailbox")
    }

    /// The bus behind the chip at this place of a chain.
    pub(crate) fn behind_chip(&self, chain: &ChainProfile, place: u16) -> BehindChip {
        BehindChip::new(self.mailbox(chain), chain.chip().address(place, chain.chips), place)
    }

    /// Lines that an earlier run has left open, to be used in the place of new ones.
    pub(crate) fn fill(&self, kept: Kept) {
        self.kept.fill(kept);
    }

    fn chips(&self) -> impl Iterator<Item = &Gpio> {
        self.all.iter().filter_map(|(_, bus)| match bus {
            Bus::Linux(linux) => linux.gpio.as_ref(),
            _ => None,
        })
    }

    /// Closes kept lines that are none of this machine's outputs. Once every part has been given its own.
    pub(crate) fn let_go_of_others(&self) {
        let wanted: Result<Vec<_>, _> = self.chips().map(Gpio::names).collect();
        // A chip that is not there just now: which lines are its own cannot be told.
        if let Ok(wanted) = wanted {
            self.kept.let_go_of_all_but(&wanted.into_iter().flatten().collect());
        }
    }

    /// Every output that this process has requested is with adit-init; false: later.
    pub(crate) fn leave(&self) -> bool {
        self.chips().all(Gpio::leave)
    }

    pub(crate) fn get(&self, name: &str) -> Bus {
        let found = self.all.iter().find(|(known, _)| known == name);
        found.map(|(_, bus)| bus.clone()).expect("the bus was looked up on loading")
    }

    pub(crate) fn output(&self, line: &profile::Line) -> Output {
        let output = self.line(line);
        if let Bus::Linux(linux) = &output.bus
            && let Some(gpio) = &linux.gpio
        {
            gpio.want(line.line);
        }
        output
    }

    pub(crate) fn input(&self, line: &profile::Line) -> Input {
        Input(self.line(line))
    }

    fn line(&self, line: &profile::Line) -> Output {
        Output { bus: self.get(&line.bus), line: line.line, active: line.active }
    }

    /// Where a chain's UART is just now; `None` where its USB device is not there.
    pub(crate) fn chain_port(&self, chain: &ChainProfile) -> Option<At> {
        let place = self.place(chain)?;
        Some(At { place, mailbox: self.mailbox(chain) })
    }

    fn place(&self, chain: &ChainProfile) -> Option<Place> {
        if let Some(usb) = &chain.usb
            && let Bus::Raw(raw) = self.get(&usb.bus)
        {
            return raw.device.borrow().as_ref().and_then(|device| device.port(usb.port)).map(Place::Port);
        }
        let fpga = || chain.uio.clone().map(Place::Fpga);
        chain.port.clone().map(Place::Port).or_else(fpga)
    }
}

fn key(chain: &ChainProfile) -> ChainKey {
    (chain.port.clone(), chain.usb.clone(), chain.uio.clone())
}

impl Bus {
    /// Drops what is open, so that the next use opens it again.
    pub(crate) async fn close(&self) {
        if let Self::Raw(raw) = self {
            *raw.open.lock().await = None;
            raw.let_go();
        }
    }

    /// It can be opened. Errors say why not.
    pub(crate) async fn open(&self) -> Result<(), BusError> {
        match self {
            Self::Raw(raw) => {
                let mut open = raw.open.lock().await;
                raw.opened(&mut open).await.map(drop)
            }
            // Where it has lines, resets hang on them: they are to be held also when the adapter is gone.
            Self::Linux(linux) => match (&linux.gpio, &linux.i2c) {
                (Some(gpio), _) => gpio.open(),
                (None, Some(i2c)) => i2c.open(),
                (None, None) => Ok(()),
            },
            Self::BehindChip(_) => Ok(()),
            #[cfg(test)]
            Self::Simulated(_) => Ok(()),
        }
    }

    /// One controller answers for both: when it is silent for the one, it is for the other.
    pub(crate) fn shares_controller(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Raw(one), Self::Raw(other)) if Rc::ptr_eq(one, other))
    }

    async fn set_line(&self, line: u32, high: bool) -> Result<(), BusError> {
        match self {
            Self::Raw(raw) => {
                let mut open = raw.open.lock().await;
                let controller = raw.opened(&mut open).await?;
                let set = controller.set_pin(line as u8, high).await;
                Ok(raw.kept(&mut open, set)?)
            }
            Self::Linux(linux) => linux.gpio()?.set(line, high),
            Self::BehindChip(_) => Err(BusError::NoLine),
            #[cfg(test)]
            Self::Simulated(simulated) => simulated.set(line, high),
        }
    }

    async fn line(&self, line: u32) -> Result<bool, BusError> {
        match self {
            Self::Raw(raw) => {
                let mut open = raw.open.lock().await;
                let controller = raw.opened(&mut open).await?;
                let got = controller.pin(line as u8).await;
                Ok(raw.kept(&mut open, got)?)
            }
            Self::Linux(linux) => linux.gpio()?.get(line),
            Self::BehindChip(_) => Err(BusError::NoLine),
            #[cfg(test)]
            Self::Simulated(simulated) => simulated.get(line),
        }
    }

    /// What a converter of the board's controller reads, in its own counts.
    pub(crate) async fn converter(&self, channel: u8) -> Result<u16, BusError> {
        match self {
            Self::Raw(raw) => {
                let mut open = raw.open.lock().await;
                let controller = raw.opened(&mut open).await?;
                let got = controller.converter(channel).await;
                Ok(raw.kept(&mut open, got)?)
            }
            Self::Linux(_) | Self::BehindChip(_) => Err(BusError::NoConverter),
            #[cfg(test)]
            Self::Simulated(_) => Err(BusError::NoConverter),
        }
    }

    /// Counts a fan's pulses.
    pub(crate) fn tachometer(&self, line: u32) -> Result<Tachometer, BusError> {
        match self {
            Self::Raw(_) | Self::BehindChip(_) => Err(BusError::NoLine),
            Self::Linux(linux) => linux.gpio()?.tachometer(line),
            #[cfg(test)]
            Self::Simulated(_) => Err(BusError::NoLine),
        }
    }
}

impl ErrorType for Bus {
    type Error = BusError;
}

impl I2c for Bus {
    async fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), BusError> {
        // Nothing that is driven here may do that, whatever a driver believes.
        if eeprom::is_write(address, operations) {
            return Err(BusError::EepromWrite { address });
        }
        match self {
            Self::Raw(raw) => {
                let mut open = raw.open.lock().await;
                let controller = raw.opened(&mut open).await?;
                let done = controller.transaction(address, operations).await;
                Ok(raw.kept(&mut open, done)?)
            }
            Self::Linux(linux) => {
                linux.i2c.as_ref().ok_or(BusError::NoI2c)?.transaction(address, operations).await
            }
            Self::BehindChip(chip) => chip.transaction(address, operations).await,
            #[cfg(test)]
            Self::Simulated(simulated) => simulated.transaction(address, operations).await,
        }
    }
}

/// Hands what was read, in one piece, to the reads that it was for.
fn give_back(operations: &mut [Operation<'_>], mut read: &[u8]) {
    for operation in operations {
        if let Operation::Read(bytes) = operation
            && let Some((these, others)) = read.split_at_checked(bytes.len())
        {
            bytes.copy_from_slice(these);
            read = others;
        }
    }
}

impl RawBus {
    async fn opened<'a>(&self, open: &'a mut Option<BitaxeRaw>) -> Result<&'a mut BitaxeRaw, BusError> {
        match open {
            Some(controller) => Ok(controller),
            none => Ok(none.insert(BitaxeRaw::new(self.find().await?))),
        }
    }

    /// A port that went away is opened again next time.
    fn kept<T>(
        &self,
        open: &mut Option<BitaxeRaw>,
        result: Result<T, ControllerError>,
    ) -> Result<T, ControllerError> {
        if let Err(ControllerError::Port(_)) = &result {
            *open = None;
        }
        result
    }

    /// Opens the port, or the first device of the right identity that nobody else has.
    async fn find(&self) -> Result<Port, BusError> {
        if let Some(path) = &self.at.port {
            return Ok(self.claim(path).await.map_err(ControllerError::from)?);
        }
        let wanted = self.at.usb.as_ref().expect("there is a port or an identity");
        self.let_go();
        let mut last = BusError::NotPlugged { product: wanted.product.clone() };
        for device in usb::find(Path::new(usb::SYSFS), wanted) {
            let is_taken = self.taken.borrow().contains(&device.place);
            let Some(path) = device.port(0).filter(|_| !is_taken) else { continue };
            match self.claim(&path).await {
                Ok(port) => {
                    self.taken.borrow_mut().push(device.place.clone());
                    self.device.replace(Some(device));
                    return Ok(port);
                }
                Err(error) => last = ControllerError::from(error).into(),
            }
        }
        Err(last)
    }

    /// Another bus may have the device.
    fn let_go(&self) {
        if let Some(device) = self.device.take() {
            self.taken.borrow_mut().retain(|place| *place != device.place);
        }
    }

    async fn claim(&self, path: &Path) -> Result<Port, PortError> {
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            match Port::open(path, self.at.baud) {
                Err(error @ PortError::Held { .. }) if self.claim == Claim::Insist => {
                    if Instant::now() < deadline {
                        sleep(LOCK_LOOK).await;
                        continue;
                    }
                    tracing::warn!(target: "adit_hardware", "{error}: safe state goes on without the lock");
                    return Port::open_beside(path, self.at.baud);
                }
                result => return result,
            }
        }
    }
}

impl LinuxBus {
    fn gpio(&self) -> Result<&Gpio, BusError> {
        self.gpio.as_ref().ok_or(BusError::NoLine)
    }
}

impl Output {
    /// Makes the line do, or not do, what its name says. Reads it back where that is possible.
    pub(crate) async fn set(&self, active: bool) -> Result<(), BusError> {
        self.bus.set_line(self.line, self.active.when(active)).await
    }
}

impl Input {
    /// The line says what its name says.
    pub(crate) async fn is_active(&self) -> Result<bool, BusError> {
        let Output { bus, line, active } = &self.0;
        Ok(bus.line(*line).await? == active.when(true))
    }
}
