use adit_peripherals::{Eeprom, Error as PartError, eeprom::Contents};

use super::BoardError;
use crate::{
    bus::{Bus, Buses},
    profile,
    safety::Identity as Verdict,
};

/// What a board says that it is, for people, and whether the profile is for it.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) text: String,
    pub(crate) verdict: Verdict,
}

/// Where that is asked.
#[derive(Debug)]
pub(crate) struct Identity {
    bus: Bus,
    eeprom: Eeprom,
    names: Vec<String>,
    may_be_scrambled: bool,
}

impl Identity {
    pub(crate) fn new(eeprom: &profile::Eeprom, buses: &Buses) -> Self {
        Self {
            bus: buses.get(&eeprom.bus),
            eeprom: Eeprom::new(eeprom.address),
            names: eeprom.names.clone(),
            may_be_scrambled: eeprom.may_be_scrambled,
        }
    }

    /// Errors when it does not say.
    pub(crate) async fn read(&mut self) -> Result<Claimed, BoardError> {
        match self.eeprom.board(&mut self.bus).await {
            Ok(board) if self.names.contains(&board.name) => {
                Ok(Claimed { text: board.name, verdict: Verdict::Matches })
            }
            Ok(board) => {
                let verdict =
                    Verdict::Differs { profile: self.names.join(" or "), eeprom: board.name.clone() };
                Ok(Claimed { text: board.name, verdict })
            }
            Err(PartError::Contents { contents: Contents::Scrambled { .. }, .. })
                if self.may_be_scrambled =>
            {
                Ok(Claimed { text: "scrambled".into(), verdict: Verdict::Matches })
            }
            Err(error) => Err(error.into()),
        }
    }
}
