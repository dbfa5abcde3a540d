//! From reset to ready for jobs: the chip's start-up list, carried out and checked.

use std::time::Duration;

use adit_asic::{
    KiloHertz, Response,
    command::Target,
    init::{Action, actions},
    register,
};
use tokio::time::sleep;
use tracing::info;

use super::{Chain, ChainFault, Oddity};
use crate::status::Stage;

/// How long the next answer may take while some are missing, and the pause that means that no more will come. An answer takes 1 ms on the slowest line.
const NEXT_ANSWER: Duration = Duration::from_millis(500);
const SILENCE: Duration = Duration::from_millis(50);
/// A line that never falls silent is not a chain.
const COUNTING: Duration = Duration::from_secs(5);
/// Noise may cost an answer: so often are the chips counted before power is cycled.
const COUNTS: u32 = 3;

/// What a round of counting has heard.
#[derive(Default)]
struct Heard {
    chips: u16,
    stranger: Option<u16>,
    /// One bit an address.
    addresses: [u64; 4],
    others: u64,
}

impl Chain<'_> {
    /// Returns the clock that the chips were set to.
    pub(super) async fn bring_up(&mut self) -> Result<KiloHertz, ChainFault> {
        self.status.stage(self.index, Stage::Enumerate);
        self.port.discard_input()?;
        self.parser.restart(self.chip.responses);
        let gap = Duration::from_millis(self.profile.write_gap_ms.into());
        let mut setup = self.profile.setup();
        setup.ramp.target = self.orders.clock(self.index).target;
        for action in actions(self.chip, &setup)? {
            match action {
                Action::Send(frame) => {
                    self.port.write(frame.as_bytes()).await?;
                    if !gap.is_zero() {
                        sleep(gap).await;
                    }
                }
                Action::CountChips(frame) => {
                    self.count(frame.as_bytes()).await?;
                }
                Action::RampBegins => self.status.stage(self.index, Stage::Ramp),
                Action::Wait { ms } => {
                    self.port.drained().await;
                    sleep(Duration::from_millis(ms.into())).await;
                }
                Action::HostBaud(baud) => {
                    self.port.set_baud(baud)?;
                    self.port.discard_input()?;
                    self.parser.restart(self.chip.responses);
                }
            }
        }
        self.check_addresses().await?;
        let (pll, _) = self.chip.set_frequency(setup.ramp.target)?;
        let mhz = pll.frequency();
        self.orders.clock_is(self.index, setup.ramp.target);
        self.status.chain(self.index, |chain| {
            chain.mhz = mhz.mhz();
            chain.baud = self.profile.baud;
        });
        info!(
            target: "adit_hardware",
            chain = self.index,
            chip = %self.chip.name,
            chips = self.profile.chips,
            mhz = %mhz,
            baud = self.profile.baud,
            "chain up"
        );
        Ok(setup.ramp.target)
    }

    /// After everything: every chip is there, has its own address, and understands the line rate.
    async fn check_addresses(&mut self) -> Result<(), ChainFault> {
        let heard = self.count(self.chip.generation.read(Target::All, register::CHIP_ID).as_bytes()).await?;
        let mut missing = None;
        self.status.chips(self.index, |_, chips| {
            for chip in chips {
                chip.found = heard.has(chip.address);
                if !chip.found {
                    missing.get_or_insert((chip.place, chip.address));
                }
            }
        });
        let (expected, chip) = (self.profile.chips, self.chip.name);
        match missing {
            None => Ok(()),
            Some((place, address)) => Err(ChainFault::Address { place, address, expected, chip }),
        }
    }

    /// Asks all chips who they are until as many answer as there should be.
    async fn count(&mut self, question: &[u8]) -> Result<Heard, ChainFault> {
        let expected = self.profile.chips;
        let mut most = 0;
        let mut stranger = None;
        for _ in 0..COUNTS {
            self.port.write(question).await?;
            self.port.drained().await;
            let mut heard = Heard::default();
            let id = self.chip.id;
            let each = |response| {
                heard.add(response, id);
                heard.chips >= expected
            };
            self.receive_until_silent(NEXT_ANSWER, SILENCE, COUNTING, each).await?;
            for _ in 0..heard.others {
                self.impossible(Oddity::Register, "an answer to no question");
            }
            most = most.max(heard.chips);
            stranger = stranger.or(heard.stranger);
            self.status.chain(self.index, |chain| chain.chips_found = most);
            if heard.chips == expected && heard.stranger.is_none() {
                return Ok(heard);
            }
        }
        match stranger {
            Some(model) => Err(ChainFault::Model { model, chip: self.chip.name }),
            None => Err(ChainFault::Count { found: most, expected, chip: self.chip.name }),
        }
    }
}

impl Heard {
    fn add(&mut self, response: Response, id: u16) {
        match response {
            Response::Register { value, chip, register: register::CHIP_ID } => {
                let model = (value >> 16) as u16;
                if model == id {
                    self.chips = self.chips.saturating_add(1);
                    self.addresses[usize::from(chip >> 6)] |= 1 << (chip & 63);
                } else {
                    self.stranger = Some(model);
                }
            }
            Response::Register { .. } => self.others += 1,
            // A chip that was not reset may still be hashing, and the jobs that wake cores find nonces, too.
            Response::Nonce { .. } => {}
        }
    }

    fn has(&self, address: u8) -> bool {
        self.addresses[usize::from(address >> 6)] >> (address & 63) & 1 != 0
    }
}
