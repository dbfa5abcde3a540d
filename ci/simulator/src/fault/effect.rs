//! The faults that are there now, and what they do.

use super::Fault;
use crate::machine::AMBIENT_CELSIUS;
use crate::physics::silicon::uniform;
use crate::random::Random;

/// No machine has more.
const MOST_FANS: usize = 8;

/// Of one chain and its line.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChainFaults {
    pub(crate) chain_silent: bool,
    flip_response_bits: u32,
    flip_command_bits: u32,
    noise: f64,
    lost: f64,
    pub(crate) duplicate_nonces: bool,
    wrong_nonces: u32,
    missing_chips: u32,
    dead_chip: Option<u32>,
    pub(crate) deaf_chip: Option<u32>,
    pub(crate) stuck_address: Option<u32>,
}

/// Of the machine, and of each board what is no matter of its chips.
#[derive(Clone, Debug)]
pub(crate) struct MachineFaults {
    all_fans_stopped: bool,
    /// A bit for each.
    fans_stopped: u32,
    /// Share of the speed that each reaches.
    fan_shares: [f64; MOST_FANS],
    pub(crate) tach_silent: bool,
    pub(crate) board_silent: bool,
    pub(crate) temperature_offset: f64,
    pub(crate) ambient: f64,
    pub(crate) psu_stuck_on: bool,
    pub(crate) psu_refuses: bool,
    pub(crate) psu_deaf: bool,
    pub(crate) rail_controllers_deaf: bool,
    pub(crate) button_pressed: bool,
    pub(crate) boards: Vec<BoardFaults>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct BoardFaults {
    pub(crate) rail_stuck_off: bool,
    pub(crate) rail_stuck_on: bool,
    /// Volts.
    pub(crate) rail_drop: f64,
    pub(crate) extra_amperes: f64,
    pub(crate) unplugged: bool,
    pub(crate) controller_blank: bool,
}

impl MachineFaults {
    pub(crate) fn new(boards: usize) -> Self {
        Self {
            all_fans_stopped: false,
            fans_stopped: 0,
            fan_shares: [1.0; MOST_FANS],
            tach_silent: false,
            board_silent: false,
            temperature_offset: 0.0,
            ambient: AMBIENT_CELSIUS,
            psu_stuck_on: false,
            psu_refuses: false,
            psu_deaf: false,
            rail_controllers_deaf: false,
            button_pressed: false,
            boards: vec![BoardFaults::default(); boards],
        }
    }

    /// Begins or ends a fault of this kind; others are not its matter.
    pub(crate) fn set(&mut self, board: usize, fault: Fault) {
        match fault {
            Fault::FanStopped(on) => {
                self.all_fans_stopped = on;
                if !on {
                    self.fans_stopped = 0;
                }
            }
            Fault::OneFanStopped { fan, on } => {
                let bit = 1u32.checked_shl(fan as u32).unwrap_or(0);
                self.fans_stopped = if on { self.fans_stopped | bit } else { self.fans_stopped & !bit };
            }
            Fault::FanSlow { fan: None, share } => self.fan_shares.fill(share),
            Fault::FanSlow { fan: Some(fan), share } => {
                if let Some(known) = self.fan_shares.get_mut(fan) {
                    *known = share;
                }
            }
            Fault::TachSilent(on) => self.tach_silent = on,
            Fault::BoardSilent(on) => self.board_silent = on,
            Fault::Temperature(offset) => self.temperature_offset = offset,
            Fault::Ambient(celsius) => self.ambient = celsius.unwrap_or(AMBIENT_CELSIUS),
            Fault::PsuStuckOn(on) => self.psu_stuck_on = on,
            Fault::PsuNak(on) => self.psu_refuses = on,
            Fault::PsuHeartbeatIgnored(on) => self.psu_deaf = on,
            Fault::RailHeartbeatIgnored(on) => self.rail_controllers_deaf = on,
            Fault::RailStuckOff(on) => self.boards[board].rail_stuck_off = on,
            Fault::RailStuckOn(on) => self.boards[board].rail_stuck_on = on,
            Fault::RailDrop(millivolts) => self.boards[board].rail_drop = millivolts / 1e3,
            Fault::ButtonPressed(on) => self.button_pressed = on,
            Fault::RailControllerBlank(on) => self.boards[board].controller_blank = on,
            Fault::ExtraLoad(amperes) => self.boards[board].extra_amperes = amperes,
            Fault::Unplugged(on) => self.boards[board].unplugged = on,
            _ => {}
        }
    }

    /// Share of the speed that a fan reaches.
    pub(crate) fn fan_share(&self, fan: usize) -> f64 {
        let stopped =
            self.all_fans_stopped || self.fans_stopped.checked_shr(fan as u32).unwrap_or(0) & 1 != 0;
        if stopped { 0.0 } else { self.fan_shares.get(fan).copied().unwrap_or(1.0) }
    }
}

impl ChainFaults {
    /// Begins or ends a fault of this kind; others are not its matter. Garbage is not a state; whoever owns the line sends it.
    pub(crate) fn set(&mut self, fault: Fault) {
        match fault {
            Fault::ChainSilent(on) => self.chain_silent = on,
            Fault::FlipResponseBits(count) => self.flip_response_bits = count,
            Fault::FlipCommandBits(count) => self.flip_command_bits = count,
            Fault::Noise(share) => self.noise = share,
            Fault::LostBytes(share) => self.lost = share,
            Fault::DuplicateNonces(on) => self.duplicate_nonces = on,
            Fault::WrongNonces(count) => self.wrong_nonces = count,
            Fault::MissingChips(count) => self.missing_chips = count,
            Fault::DeadChip(chip) => self.dead_chip = chip,
            Fault::DeafChip(chip) => self.deaf_chip = chip,
            Fault::StuckAddress(chip) => self.stuck_address = chip,
            _ => {}
        }
    }

    /// How many of this many chips bytes reach, from the nearest on.
    pub(crate) fn reachable(&self, chips: usize) -> usize {
        let reach = chips.saturating_sub(self.missing_chips as usize);
        self.dead_chip.map_or(reach, |dead| reach.min(dead as usize))
    }

    /// Inverts a bit of an answer while that fault lasts.
    pub(crate) fn spoil(&mut self, bytes: &mut [u8], random: &mut Random) {
        if self.flip_response_bits > 0 {
            self.flip_response_bits -= 1;
            let bit = random.next() as usize % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    /// What becomes of a byte from the host on its way; none: it is lost.
    pub(crate) fn hear(&mut self, byte: u8, random: &mut Random) -> Option<u8> {
        let mut byte = self.carry(byte, random)?;
        if self.flip_command_bits > 0 {
            self.flip_command_bits -= 1;
            byte ^= 1 << (random.next() % 8);
        }
        Some(byte)
    }

    /// What a bad line makes of a byte, in either direction.
    pub(crate) fn carry(&self, byte: u8, random: &mut Random) -> Option<u8> {
        if self.lost > 0.0 && uniform(random) < self.lost {
            return None;
        }
        let garbled = self.noise > 0.0 && uniform(random) < self.noise;
        Some(if garbled { byte ^ (random.byte() | 1) } else { byte })
    }

    /// Inverts a bit of a nonce while that fault lasts.
    pub(crate) fn wrong_nonce(&mut self, nonce: u32, random: &mut Random) -> u32 {
        if self.wrong_nonces == 0 {
            return nonce;
        }
        self.wrong_nonces -= 1;
        nonce ^ 1 << (random.next() % 32)
    }
}
