//! The work path: work from adit-miner to the chains, credits and nonces back. Contract: `docs/work-frames.md`.
//!
//! What a frame means is decided in [`state`], without IO. This shell carries packets between the socket of the present holder and the chains' tasks. It allocates only when a
//! holder comes, never waits for the miner, and closes the path to nobody but a holder whose successor came. Nonces that a miner does not take at once wait for it, up to a bound.

mod state;

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    io,
    os::fd::OwnedFd,
    task::Poll,
    time::Instant,
};

use adit_sys::seqpacket;
use adit_work::frame::{FromHardware, MAX_LEN, Nonce, ToHardware, Work};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::{Notify, mpsc},
};
use tracing::{info, warn};

use self::state::{State, Verdict};
use crate::poll;

/// Packets that are read in one go before the chains get their turn.
const BURST: usize = 64;

/// Nonces that wait for a miner that reads late: a seventh of a second of a line that carries nothing else, minutes of a usual machine. The socket itself holds a few hundred.
const WAITING: usize = 4096;

/// What has been counted since the start, over all holders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Packets that are no frame.
    pub refused: u64,
    /// Works of older generations.
    pub stale: u64,
    /// Works beyond the credit, repeated, or for a chain that is not there.
    pub unasked: u64,
    /// Nonces that the miner did not take in time.
    pub dropped: u64,
}

/// Names a work in a chain's job table across holders and generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epoch {
    pub path: u32,
    pub generation: u32,
}

/// One for the whole driver. Chains share it within one thread.
#[derive(Debug)]
pub(crate) struct WorkPath {
    state: RefCell<State>,
    holder: RefCell<Option<AsyncFd<OwnedFd>>>,
    /// Nonces for the present holder, oldest first.
    waiting: RefCell<VecDeque<Nonce>>,
    /// Nonces have begun to wait.
    backlog: Notify,
    /// One a chain: something changed that it should look at.
    changed: Vec<Notify>,
    counters: Cell<Counters>,
    warned: Cell<bool>,
    heard: Cell<Option<Instant>>,
    first_heard: Notify,
}

impl WorkPath {
    pub(crate) fn new(chains: u8) -> Self {
        Self {
            state: RefCell::new(State::new(chains)),
            holder: RefCell::new(None),
            waiting: RefCell::new(VecDeque::with_capacity(WAITING)),
            backlog: Notify::new(),
            changed: (0..chains).map(|_| Notify::new()).collect(),
            counters: Cell::default(),
            warned: Cell::default(),
            heard: Cell::default(),
            first_heard: Notify::new(),
        }
    }

    /// Serves one holder after the other. Never ends; may be dropped at any time.
    pub(crate) async fn serve(&self, holders: &mut mpsc::Receiver<OwnedFd>) {
        loop {
            tokio::select! {
                biased;
                next = holders.recv() => match next {
                    Some(socket) => self.begin(socket),
                    None => std::future::pending().await,
                },
                () = self.readable() => self.read_burst(),
                () = self.deliverable() => self.deliver(),
            }
        }
    }

    /// The work that `chain` should send next, which stays in the queue until [`WorkPath::written`].
    pub(crate) fn next(&self, chain: u8) -> Option<(Epoch, Work)> {
        let state = self.state.borrow();
        state.next(chain).map(|work| (state.epoch(), work))
    }

    /// When the last valid frame came, whoever held the path: the control loop's last sign of life.
    pub(crate) fn heard(&self) -> Option<Instant> {
        self.heard.get()
    }

    /// Waits until somebody has asked for work to be done, once since the start.
    pub(crate) async fn asked(&self) {
        while self.heard.get().is_none() {
            self.first_heard.notified().await;
        }
    }

    /// What the chain is to search for now; works of other epochs are stale.
    pub(crate) fn epoch(&self) -> Epoch {
        self.state.borrow().epoch()
    }

    /// `work`, from [`WorkPath::next`], is on the wire: the miner may send another one.
    pub(crate) fn written(&self, chain: u8, epoch: Epoch, work: &Work) {
        self.state.borrow_mut().written(chain, epoch, work.sequence);
        self.announce();
    }

    /// Sends credits that have not been announced, also those that the miner did not take earlier.
    pub(crate) fn announce(&self) {
        loop {
            let credit = self.state.borrow().unannounced();
            match credit {
                Some(credit) if self.send(&credit) => self.state.borrow_mut().announced(&credit),
                _ => return,
            }
        }
    }

    /// Waits until `chain` has something new to look at.
    pub(crate) async fn changed(&self, chain: u8) {
        self.changed[usize::from(chain)].notified().await;
    }

    /// A nonce for the holder of `path`; one for a holder before is dropped. Credits that the miner did not take earlier go first: a miner without credit sends no work, so nothing else would
    /// bring them up again while the chips go on reporting. A nonce for which there is no room waits behind those that do already; beyond the bound the oldest is dropped.
    pub(crate) fn nonce(&self, path: u32, nonce: Nonce) {
        self.announce();
        if self.epoch().path != path {
            return;
        }
        let mut waiting = self.waiting.borrow_mut();
        let first = waiting.is_empty();
        if first && self.send(&FromHardware::Nonce(nonce)) {
            return;
        }
        if waiting.len() == WAITING {
            waiting.pop_front();
            self.count(|counters| counters.dropped += 1);
        }
        waiting.push_back(nonce);
        if first {
            self.backlog.notify_one();
        }
    }

    /// Waits until there is room for a nonce that waits.
    async fn deliverable(&self) {
        while self.waiting.borrow().is_empty() {
            self.backlog.notified().await;
        }
        std::future::poll_fn(|context| match self.holder.borrow().as_ref() {
            Some(socket) => socket.poll_write_ready(context).map(drop),
            None => Poll::Pending,
        })
        .await;
    }

    /// Sends what waits until there is no more room.
    fn deliver(&self) {
        self.announce();
        let holder = self.holder.borrow();
        let Some(socket) = holder.as_ref() else { return };
        let mut waiting = self.waiting.borrow_mut();
        while let Some(nonce) = waiting.front() {
            let frame = FromHardware::Nonce(*nonce).encode();
            match socket.try_io(Interest::WRITABLE, |fd| seqpacket::send(fd, frame.as_bytes())) {
                Ok(()) => drop(waiting.pop_front()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // Nobody reads any more, which the reading side sees, too.
                Err(_) => return waiting.clear(),
            }
        }
    }

    fn begin(&self, socket: OwnedFd) {
        let socket = match poll::register(socket) {
            Ok(socket) => socket,
            Err(error) => return warn!(%error, "work path cannot be polled"),
        };
        self.holder.replace(Some(socket));
        self.waiting.borrow_mut().clear();
        let hello = self.state.borrow_mut().begin();
        self.send(&hello);
        self.wake_all();
        info!("work path has a holder");
    }

    fn end(&self) {
        self.holder.replace(None);
        self.waiting.borrow_mut().clear();
        self.state.borrow_mut().begin();
        self.wake_all();
        let Counters { refused, stale, unasked, dropped } = self.counters.get();
        info!(refused, stale, unasked, dropped, "work path closed; counters since the start");
    }

    /// Waits until the present holder sent something. The borrow does not live across the wait, in which a new holder may come.
    async fn readable(&self) {
        std::future::poll_fn(|context| match self.holder.borrow().as_ref() {
            // Readiness stays until `read_burst` finds nothing; an error shows there, too.
            Some(socket) => socket.poll_read_ready(context).map(drop),
            None => Poll::Pending,
        })
        .await;
    }

    fn read_burst(&self) {
        let mut packet = [0; MAX_LEN];
        for _ in 0..BURST {
            let received = match self.holder.borrow().as_ref() {
                None => return,
                Some(socket) => socket.try_io(Interest::READABLE, |fd| seqpacket::receive(fd, &mut packet)),
            };
            match received {
                Ok(0) => return self.end(),
                Ok(length) => self.take(&packet[..length]),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    io::ErrorKind::InvalidData => self.refuse(&"packet longer than any frame"),
                    io::ErrorKind::Interrupted => {}
                    _ => return self.end(),
                },
            }
        }
    }

    fn take(&self, packet: &[u8]) {
        let frame = match ToHardware::decode(packet) {
            Ok(frame) => frame,
            Err(error) => return self.refuse(&error),
        };
        self.hear();
        let verdict = self.state.borrow_mut().take(frame);
        match verdict {
            Verdict::Queued(chain) => self.changed[usize::from(chain)].notify_one(),
            Verdict::NewGeneration => self.wake_all(),
            Verdict::Stale => self.count(|counters| counters.stale += 1),
            Verdict::Unasked => self.count(|counters| counters.unasked += 1),
            Verdict::Nothing => {}
        }
    }

    /// A valid frame has come.
    pub(crate) fn hear(&self) {
        if self.heard.replace(Some(Instant::now())).is_none() {
            self.first_heard.notify_waiters();
        }
    }

    fn wake_all(&self) {
        self.changed.iter().for_each(Notify::notify_one);
    }

    fn send(&self, frame: &FromHardware) -> bool {
        let holder = self.holder.borrow();
        let Some(socket) = holder.as_ref() else { return true };
        seqpacket::send(socket.get_ref(), frame.encode().as_bytes()).is_ok()
    }

    fn refuse(&self, reason: &dyn std::fmt::Display) {
        self.count(|counters| counters.refused += 1);
        if !self.warned.replace(true) {
            warn!(%reason, "work path: a packet is no frame; further ones are only counted");
        }
    }

    fn count(&self, change: impl FnOnce(&mut Counters)) {
        let mut counters = self.counters.get();
        change(&mut counters);
        self.counters.set(counters);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonce(sequence: u32) -> Nonce {
        Nonce {
            chain: 0,
            generation: 1,
            sequence,
            nonce: 0,
            version: 0,
            chip: 0,
            core: 0,
            small_core: 0,
            received_us: 0,
        }
    }

    fn work() -> Work {
        Work {
            chain: 0,
            generation: 1,
            sequence: 1,
            version: 0,
            version_mask: 0,
            ntime: 0,
            nbits: 0,
            prev_hash: [0; 32],
            merkle_root: [0; 32],
        }
    }

    #[tokio::test]
    async fn a_credit_that_a_stalled_miner_missed_comes_before_the_next_nonce() {
        let path = WorkPath::new(1);
        let (ours, miner) = seqpacket::pair().unwrap();
        path.begin(ours);
        path.take(ToHardware::Work(work()).encode().as_bytes());
        let of = path.epoch().path;
        while path.counters.get().dropped == 0 {
            path.nonce(of, nonce(1));
        }
        path.written(0, path.epoch(), &work());
        let mut packet = [0; MAX_LEN];
        let mut drain = || {
            std::iter::from_fn(|| {
                seqpacket::receive(&miner, &mut packet).ok().map(|length| packet[..length].to_vec())
            })
            .map(|packet| FromHardware::decode(&packet).unwrap())
            .collect::<Vec<_>>()
        };
        let stalled = drain();
        assert!(!stalled.iter().any(|frame| matches!(frame, FromHardware::Credit { .. })), "it did not fit");
        path.nonce(of, nonce(1));
        let credit = FromHardware::Credit { chain: 0, generation: 1, sequence: 3 };
        assert_eq!(drain(), [credit], "before the nonces that wait");
    }

    #[tokio::test]
    async fn a_miner_that_reads_late_finds_every_nonce_in_order_up_to_the_bound() {
        let path = WorkPath::new(1);
        let (ours, miner) = seqpacket::pair().unwrap();
        path.begin(ours);
        let of = path.epoch().path;
        let sent = WAITING as u32 + 100;
        (1..=sent).for_each(|sequence| path.nonce(of, nonce(sequence)));
        assert_eq!(path.counters.get().dropped, 0, "the socket has room for the first hundred");
        let miner = poll::register(miner).unwrap();
        let (_holders, mut holders) = mpsc::channel(1);
        let read = async {
            let (mut packet, mut next) = ([0; MAX_LEN], 1);
            while next <= sent {
                let mut ready = miner.readable().await.unwrap();
                let Ok(length) = ready.try_io(|fd| seqpacket::receive(fd.get_ref(), &mut packet)) else {
                    continue;
                };
                match FromHardware::decode(&packet[..length.unwrap()]).unwrap() {
                    FromHardware::Nonce(nonce) => {
                        assert_eq!(nonce.sequence, next);
                        next += 1;
                    }
                    FromHardware::Hello { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
        };
        tokio::select! {
            () = path.serve(&mut holders) => unreachable!("it never ends"),
            () = read => {}
        }
        let more = 2 * WAITING as u32;
        (1..=more).for_each(|sequence| path.nonce(of, nonce(sequence)));
        let dropped = path.counters.get().dropped;
        assert!(dropped > 0 && dropped < u64::from(more) - WAITING as u64, "{dropped}");
        assert_eq!(path.waiting.borrow().back().unwrap().sequence, more, "the oldest go first");
    }
}
