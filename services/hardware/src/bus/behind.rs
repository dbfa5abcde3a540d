//! The I²C bus behind a chip: pins of a BM1387 that its register 0x20 speaks through. Only the chain can be asked, over its own line, between its jobs; a mailbox carries questions there and answers back.
//!
//! Register 0x20: busy 31, do 24, address 23..17, write 16, register 15..8, data 7..0. Register 0x1C gives the pins to the bus. Source: Braiins' open S9 firmware, `bm1387/i2c.rs`.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    time::Duration,
};

use embedded_hal_async::i2c::Operation;
use tokio::{
    sync::{Mutex, Notify},
    time::{sleep, timeout},
};

use super::BusError;

const MISC_CONTROL: u8 = 0x1c;
const I2C: u8 = 0x20;

const BUSY: u32 = 1 << 31;
const DO: u32 = 1 << 24;
const WRITE: u32 = 1 << 16;
/// Of what was asked for, to know the answer by: address, direction and register.
const WHAT: u32 = 0x00ff_ff00;

/// Register 0x1C: leave the rate alone; cores take work; pins are SDA and SCL of the first bus.
const KEEP_RATE: u32 = 1 << 30;
const GATED: u32 = 1 << 15;
const SECOND_BUS: u32 = 1 << 16;
const PINS: u32 = 1 << 14 | 3 << 5;

/// For an answer over the line, between jobs.
const ANSWER: Duration = Duration::from_millis(200);
/// Noise may cost an answer.
const TRIES: usize = 2;
/// A part's turn takes less than a millisecond at 100 kHz.
const TURNS: usize = 50;
const TURN: Duration = Duration::from_millis(1);

/// A register of one chip, by the chip's address, to be read, or written and not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) chip: u8,
    pub(crate) register: u8,
    pub(crate) value: Option<u32>,
}

/// A BM1387's answer says neither which register it is of nor, but for its identity, which chip's: the next one is that to the question.
#[derive(Debug, Clone, Copy, Default)]
enum Awaits {
    #[default]
    Nothing,
    Answer,
    /// A question was given up: an answer that comes now must not be taken for the next one's.
    Straggler,
}

/// Between a chain and what hangs on its chips.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    /// Of how manieth hashing chain; chips forget everything between two of them.
    session: Cell<Option<u64>>,
    sessions: Cell<u64>,
    /// A write and the read behind it at most.
    questions: RefCell<VecDeque<Question>>,
    asked: Notify,
    awaits: Cell<Awaits>,
    answer: Cell<Option<u32>>,
    answered: Notify,
    /// One question at a time.
    turn: Mutex<()>,
}

/// The chain takes questions while this lives.
#[derive(Debug)]
pub(crate) struct Open(Rc<Mailbox>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.session.set(None);
        self.0.questions.borrow_mut().clear();
    }
}

impl Mailbox {
    /// The chain hashes, and will answer.
    pub(crate) fn open(self: &Rc<Self>) -> Open {
        self.sessions.set(self.sessions.get() + 1);
        self.session.set(Some(self.sessions.get()));
        Open(Rc::clone(self))
    }

    /// What the chain is to ask next.
    pub(crate) fn take(&self) -> Option<Question> {
        self.questions.borrow_mut().pop_front()
    }

    /// Waits until there may be something to take.
    pub(crate) async fn asked(&self) {
        if self.questions.borrow().is_empty() {
            self.asked.notified().await;
        }
    }

    /// The chain has heard a chip, and asked for nothing itself; `true` when somebody waits for that, or has until just now.
    pub(crate) fn hear(&self, value: u32) -> bool {
        match self.awaits.get() {
            Awaits::Nothing => false,
            Awaits::Straggler => true,
            Awaits::Answer => {
                self.awaits.set(Awaits::Nothing);
                self.answer.set(Some(value));
                self.answered.notify_one();
                true
            }
        }
    }

    fn ask(&self, question: Question) {
        self.questions.borrow_mut().push_back(question);
        self.asked.notify_one();
    }
}

/// The bus behind one chip.
#[derive(Debug, Clone)]
pub(crate) struct BehindChip {
    mailbox: Rc<Mailbox>,
    /// The chip's address, and its place for whoever reads an error.
    chip: u8,
    place: u16,
    /// In which session its pins were given to the bus.
    ready: Rc<RefCell<Option<u64>>>,
}

impl BehindChip {
    pub(crate) fn new(mailbox: Rc<Mailbox>, chip: u8, place: u16) -> Self {
        Self { mailbox, chip, place, ready: Rc::default() }
    }

    /// Which session of the chain can be asked; `None`: the chips have no power, or are not set up yet.
    pub(crate) fn session(&self) -> Option<u64> {
        self.mailbox.session.get()
    }

    /// A read of one byte of a register, or a write of one.
    pub(super) async fn transaction(
        &self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), BusError> {
        let _turn = self.mailbox.turn.lock().await;
        self.give_pins().await?;
        let to = u32::from(address) << 17;
        match operations {
            [Operation::Write([register]), Operation::Read([byte])] => {
                let done = self.transfer(to | u32::from(*register) << 8).await?;
                *byte = done as u8;
                Ok(())
            }
            [Operation::Write([register, data])] => {
                let word = to | WRITE | u32::from(*register) << 8 | u32::from(*data);
                self.transfer(word).await.map(drop)
            }
            _ => Err(self.failed("knows a register of one byte only")),
        }
    }

    async fn give_pins(&self) -> Result<(), BusError> {
        let session = self.session();
        if session.is_none() {
            return Err(self.failed("is not asked while its chain does not hash"));
        }
        if *self.ready.borrow() != session {
            let misc = self.read(MISC_CONTROL).await?;
            self.write(MISC_CONTROL, (misc | KEEP_RATE | PINS) & !(GATED | SECOND_BUS));
            self.idle().await?;
            *self.ready.borrow_mut() = session;
        }
        Ok(())
    }

    async fn transfer(&self, word: u32) -> Result<u32, BusError> {
        self.idle().await?;
        self.write(I2C, word | DO);
        let done = self.idle().await?;
        // It would be another part's answer.
        if done & WHAT & !WRITE == word & WHAT & !WRITE {
            Ok(done)
        } else {
            Err(self.failed("answered for another part"))
        }
    }

    /// The register when the part has had its turn.
    async fn idle(&self) -> Result<u32, BusError> {
        for _ in 0..TURNS {
            let value = self.read(I2C).await?;
            if value & BUSY == 0 {
                return Ok(value);
            }
            sleep(TURN).await;
        }
        Err(self.failed("hears nobody on its bus"))
    }

    async fn read(&self, register: u8) -> Result<u32, BusError> {
        let mailbox = &self.mailbox;
        for _ in 0..TRIES {
            mailbox.answer.set(None);
            mailbox.awaits.set(Awaits::Answer);
            mailbox.ask(Question { chip: self.chip, register, value: None });
            let answered = async {
                loop {
                    if let Some(value) = mailbox.answer.take() {
                        return value;
                    }
                    mailbox.answered.notified().await;
                }
            };
            if let Ok(value) = timeout(ANSWER, answered).await {
                return Ok(value);
            }
            mailbox.questions.borrow_mut().clear();
            mailbox.awaits.set(Awaits::Straggler);
            sleep(ANSWER).await;
            mailbox.awaits.set(Awaits::Nothing);
        }
        Err(self.failed("did not answer for what is behind it"))
    }

    /// Goes out before the next question, which follows at once.
    fn write(&self, register: u8, value: u32) {
        self.mailbox.ask(Question { chip: self.chip, register, value: Some(value) });
    }

    fn failed(&self, what: &'static str) -> BusError {
        BusError::BehindChip { place: self.place, what }
    }
}
