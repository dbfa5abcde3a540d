//! `org.adit.Hardware1.Status` and `org.adit.Hardware1.Control`, on sockets that adit-init bound. Contract: `docs/doors.md`.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixListener},
    sync::{Arc, Mutex, MutexGuard},
};

use adit_asic::KiloHertz;
use adit_bus::{
    door,
    hardware::{CONTROL_DOOR, ChipStatus, HardwareStatus, OBJECT, STATUS_DOOR, Targets},
};
use adit_sys::{activation, seqpacket};
use tokio::sync::mpsc;
use zbus::fdo;

use crate::{
    bus::Kept,
    orders::{Orders, Refusal},
    status::Told,
};

/// The sockets to answer on.
pub struct Doors {
    pub status: UnixListener,
    pub control: UnixListener,
}

impl Doors {
    /// The sockets that were passed to this process, and what else was. Errors with the name of the one that was not.
    pub fn passed() -> io::Result<(Self, Kept)> {
        let mut sockets = activation::sockets()?;
        let mut take = |name: &str| {
            let place = sockets.iter().position(|(passed, _)| passed == name).ok_or_else(|| {
                let text = format!("no socket named {name} was passed in LISTEN_FDS; adit-init does that");
                io::Error::new(io::ErrorKind::NotFound, text)
            })?;
            Ok::<_, io::Error>(UnixListener::from(sockets.swap_remove(place).1))
        };
        let doors = Self { status: take(STATUS_DOOR)?, control: take(CONTROL_DOOR)? };
        Ok((doors, Kept::new(sockets)))
    }

    /// Answers until a listener fails. New holders' ends of the work path go to `holders`.
    pub(crate) async fn serve(
        self,
        told: Arc<Mutex<Told>>,
        orders: Arc<Orders>,
        holders: mpsc::Sender<OwnedFd>,
    ) -> io::Result<()> {
        let listener = |socket: UnixListener| {
            socket.set_nonblocking(true)?;
            tokio::net::UnixListener::from_std(socket)
        };
        let status = || StatusDoor { told: Arc::clone(&told), orders: Arc::clone(&orders) };
        let control =
            || ControlDoor { told: Arc::clone(&told), orders: Arc::clone(&orders), holders: holders.clone() };
        tokio::try_join!(
            door::serve(listener(self.status)?, OBJECT, status),
            door::serve(listener(self.control)?, OBJECT, control),
        )
        .map(|((), ())| ())
    }
}

struct StatusDoor {
    told: Arc<Mutex<Told>>,
    orders: Arc<Orders>,
}

/// What the machine is doing. Read only.
#[zbus::interface(name = "org.adit.Hardware1.Status")]
impl StatusDoor {
    /// Everything but the single chips. Numbers that were not measured are NaN, texts that are not known are empty.
    ///
    /// machine s, simulated b, stage s (off fans power enumerate ramp hashing fault), fault s, rail_volts d, fan_rpm au, and lists of dictionaries:
    ///
    /// boards: board y, name s, state s (stage, or absent), reason s, identity s, volts d, target_volts d, watts d.
    ///
    /// chains: chain y, board y, chip s, chips_found q, chips_expected q, mhz d, target_mhz d, min_mhz d, max_mhz d, throttle_mhz d, baud u, ticket_bits y, chip_celsius d, die_celsius d;
    /// counters t since the driver's start: works_sent, nonces, crc_errors, impossible, and in units of 2^32 hashes chip_hashes, chip_errors.
    ///
    /// sensors: name s, part s, board y, celsius d, state s (good unknown lost absurd frozen hot).
    ///
    /// fans: name s, board y, rpm u, duty_percent d, state s (good unknown slow stopped lost).
    ///
    /// psu, where there is one: model s, state s (off on lost), volts d, watts d.
    ///
    /// faults: cause s, part s, board y, value d, unit s, text s, stage s (throttle, chain off, all off), since_ms t (since the kernel's start), needs_clearing b.
    ///
    /// A list's board is missing where the part belongs to the whole machine.
    fn read(&self) -> HardwareStatus {
        let mut status = self.told().machine.clone();
        for chain in &mut status.chains {
            let (wanted, throttle) = self.orders.asked(chain.chain);
            chain.target_mhz = wanted.mhz();
            chain.throttle_mhz = throttle.map_or(f64::NAN, KiloHertz::mhz);
        }
        status
    }

    /// The chips of one chain, at most 128, nearest first: place, address, found when all were last called, nonces, wrong hashes by its own count in units of 2^32, °C by its own thermometer or NaN.
    fn chips(&self, chain: u8) -> fdo::Result<Vec<ChipStatus>> {
        let told = self.told();
        let none =
            || format!("there is no chain {chain}: the machine has {}, counted from 0", told.chips.len());
        told.chips.get(usize::from(chain)).cloned().ok_or_else(|| fdo::Error::InvalidArgs(none()))
    }
}

impl StatusDoor {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().expect("no holder of the status panics")
    }
}

struct ControlDoor {
    told: Arc<Mutex<Told>>,
    orders: Arc<Orders>,
    holders: mpsc::Sender<OwnedFd>,
}

/// Work, and targets within the machine profile's hard limits, which no call can raise.
#[zbus::interface(name = "org.adit.Hardware1.Control")]
impl ControlDoor {
    /// The work path: a connected SOCK_SEQPACKET socket for the frames of docs/work-frames.md. It has one holder: a new call closes the socket of the one before.
    fn acquire_work(&self) -> fdo::Result<zbus::OwnedFd> {
        let (ours, theirs) = seqpacket::pair().map_err(|error| fdo::Error::NoMemory(error.to_string()))?;
        self.holders
            .try_send(ours)
            .map_err(|_| fdo::Error::LimitsExceeded("several holders are already waiting".into()))?;
        Ok(zbus::OwnedFd::from(theirs))
    }

    /// What a chain shall run at: mhz d for its chips, volts d for the rail of its board; what is not given stays. Taken at once and carried out by the profile's ramp while work goes on;
    /// voltage rises before the frequency and falls after it. A newer call replaces an older one that is still under way. The status has what is so far.
    ///
    /// Errors: LimitsExceeded beyond a limit of the profile, with its name, and nothing changes; InvalidArgs where there is no such chain, or no such key.
    fn set_targets(&self, chain: u8, targets: Targets) -> fdo::Result<()> {
        self.orders.set_targets(chain, &targets).map_err(|refusal| refused(&refusal))
    }

    /// The light that tells this machine from its neighbours. Errors: NotSupported where the profile names none.
    fn locate(&self, on: bool) -> fdo::Result<()> {
        self.orders.locate(on).map_err(|refusal| refused(&refusal))
    }

    /// A person has seen to what took power off: the machine may try again. Errors: Failed when nothing waits for that.
    fn clear_fault(&self) -> fdo::Result<()> {
        let waits = self.told.lock().expect("no holder of the status panics").waits_for_person();
        self.orders.clear_fault(waits).map_err(|refusal| refused(&refusal))
    }
}

fn refused(refusal: &Refusal) -> fdo::Error {
    let text = refusal.to_string();
    match refusal {
        Refusal::Beyond { .. } => fdo::Error::LimitsExceeded(text),
        Refusal::NoLight { .. } | Refusal::NoRail { .. } => fdo::Error::NotSupported(text),
        Refusal::NoFault => fdo::Error::Failed(text),
        _ => fdo::Error::InvalidArgs(text),
    }
}
