use adit_peripherals::{Eeprom, Error as PartError, eeprom::Contents};

use super::BoardError;
use crate::{
    bus::{Bus, Buses},
    profile,
};

/// What a board says that it is.
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

    /// The board's name; `None` where it is scrambled and may be. Errors when it is not a board that this profile is for, or does not say.
    pub(crate) async fn check(&mut self) -> Result<Option<String>, BoardError> {
        match self.eeprom.board(&mut self.bus).await {
            Ok(board) if self.names.contains(&board.name) => Ok(Some(board.name)),
            Ok(board) => Err(BoardError::OtherBoard { found: board.name, wanted: self.names.join(" or ") }),
            Err(PartError::Contents { contents: Contents::Scrambled { .. }, .. })
                if self.may_be_scrambled =>
            {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}
