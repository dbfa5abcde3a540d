//! The board controller: `bitaxe-raw`, the open USB firmware of the Bitaxe boards, on its control port.
//!
//! Request: length (u16 LE, all bytes), id, bus 0, page, command, data. Answer: length of the data (u16 LE), id, data;
//! on an error the data are `FF` and a code. Source: bitaxeorg/bitaxe-raw, `PROTOCOL.md` of 256foundation/mujina.

use crate::device::Nak;
use crate::machine::Machine;

/// Least and most bytes of a request: the fixed part, and the firmware's buffer.
const SHORTEST: usize = 6;
const LONGEST: usize = 4096;
/// What a request without its end waits for before it is dropped. The firmware waits 4 ms; an emulated serial port has longer gaps than that.
pub(crate) const PARTIAL_REQUEST_EXPIRES_NS: u64 = 50_000_000;

const I2C: u8 = 0x05;
const GPIO: u8 = 0x06;
const ADC: u8 = 0x07;
const LED: u8 = 0x08;

/// Answers counts, u16 LE.
const READ_VDD: u8 = 0x50;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// A device on the bus did not acknowledge.
    Timeout,
    Invalid,
    /// In words.
    Said(&'static str),
}

impl Failure {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Timeout => vec![0xFF, 0x10],
            Self::Invalid => vec![0xFF, 0x11],
            Self::Said(text) => [&[0xFF, 0xFF], text.as_bytes()].concat(),
        }
    }
}

impl From<Nak> for Failure {
    fn from(_: Nak) -> Self {
        Self::Timeout
    }
}

/// What came of the bytes so far.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// More bytes are needed.
    Wait,
    Answer(Vec<u8>),
    /// The length made no sense; everything up to here was dropped.
    Malformed,
}

/// Cuts the byte stream into requests. Holds at most one and the bytes that came with it.
#[derive(Debug, Default)]
pub(crate) struct Board {
    bytes: Vec<u8>,
    last_byte_ns: u64,
    /// What the converter has measured since it was started, and nobody has fetched.
    measured: Option<u16>,
}

impl Board {
    pub(crate) fn push(&mut self, bytes: &[u8], now_ns: u64) {
        if now_ns.saturating_sub(self.last_byte_ns) > PARTIAL_REQUEST_EXPIRES_NS {
            self.bytes.clear();
        }
        self.last_byte_ns = now_ns;
        self.bytes.extend_from_slice(bytes);
    }

    /// Does the next whole request. Call until it says `Wait`.
    pub(crate) fn step(&mut self, machine: &mut Machine) -> Step {
        let Some(&[low, high]) = self.bytes.first_chunk() else { return Step::Wait };
        let length = usize::from(u16::from_le_bytes([low, high]));
        if !(SHORTEST..=LONGEST).contains(&length) {
            self.bytes.clear();
            return Step::Malformed;
        }
        if self.bytes.len() < length {
            return Step::Wait;
        }
        let request: Vec<u8> = self.bytes.drain(..length).collect();
        let (id, result) = (request[2], answer(&request[3..], machine, &mut self.measured));
        let data = result.unwrap_or_else(Failure::bytes);
        let mut reply = (data.len() as u16).to_le_bytes().to_vec();
        reply.push(id);
        reply.extend(data);
        Step::Answer(reply)
    }
}

/// From the bus number on.
fn answer(request: &[u8], machine: &mut Machine, measured: &mut Option<u16>) -> Result<Vec<u8>, Failure> {
    let bus = &mut machine.buses()[0];
    match *request {
        [0, I2C, 0x10, _, _, _, _] => Ok(vec![]), // bus frequency: the model has none
        [0, I2C, 0x20, address, ref bytes @ ..] => {
            bus.write(address, bytes)?;
            Ok(vec![])
        }
        [0, I2C, 0x30, address, count] => Ok(bus.read(address, count.into())?),
        [0, I2C, 0x40, address, ref bytes @ .., count] => {
            bus.write(address, bytes)?;
            Ok(bus.read(address, count.into())?)
        }
        [0, GPIO, pin] => {
            machine.lines().level(pin.into()).map(|level| vec![u8::from(level)]).ok_or(Failure::Invalid)
        }
        [0, GPIO, pin, level] => {
            let driven = machine.lines().host_drives(pin.into(), Some(level != 0));
            driven.map_err(|_| Failure::Invalid)?;
            Ok(vec![u8::from(level != 0)])
        }
        [0, ADC, READ_VDD] => {
            let converter = machine.model.converter;
            let now = converter.counts(machine.seats[0].rail_volts);
            let counts = if converter.asked_twice { measured.take() } else { Some(now) };
            if counts.is_none() {
                *measured = Some(now);
            }
            Ok(counts.ok_or(Failure::Said("ADC Read Error"))?.to_le_bytes().to_vec())
        }
        [0, LED, 0x10, _, _, _] => Ok(vec![]),
        _ => Err(Failure::Invalid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::models::{BITAXE_GAMMA, EMBERONE00};

    fn ask(board: &mut Board, machine: &mut Machine, hex_bytes: &str) -> Step {
        board.push(&hex::decode(hex_bytes.replace(' ', "")).expect("hex"), 0);
        board.step(machine)
    }

    fn reply(hex_bytes: &str) -> Step {
        Step::Answer(hex::decode(hex_bytes.replace(' ', "")).expect("hex"))
    }

    #[test]
    fn published_requests_are_answered() {
        let (mut board, mut machine) = (Board::default(), Machine::new(&BITAXE_GAMMA, 0, false, &[]));
        let mut ask = |bytes| ask(&mut board, &mut machine, bytes);
        assert_eq!(ask("07 00 00 00 06 00 00"), reply("01 00 00 00"), "reset low");
        assert_eq!(ask("07 00 05 00 06 00 01"), reply("01 00 05 01"), "reset high");
        assert_eq!(ask("06 00 06 00 06 00"), reply("01 00 06 01"), "reset level");
        assert_eq!(ask("0A 00 01 00 05 10 80 1A 06 00"), reply("00 00 01"), "400 kHz");
        assert_eq!(ask("09 00 01 00 05 40 4C FE 01"), reply("01 00 01 5D"), "fan controller's maker");
        assert_eq!(ask("08 00 01 00 05 20 4C 4C"), reply("00 00 01"), "pointer only");
    }

    #[test]
    fn what_is_not_there_is_an_error_with_its_code() {
        let (mut board, mut machine) = (Board::default(), Machine::new(&BITAXE_GAMMA, 0, false, &[]));
        let mut ask = |bytes| ask(&mut board, &mut machine, bytes);
        assert_eq!(ask("08 00 01 00 05 20 4F DE"), reply("02 00 01 FF 10"), "no such device");
        assert_eq!(ask("09 00 02 00 05 40 32 FE 02"), reply("02 00 02 FF 10"));
        assert_eq!(ask("06 00 03 00 06 07"), reply("02 00 03 FF 11"), "no such pin");
        assert_eq!(ask("06 00 04 01 06 00"), reply("02 00 04 FF 11"), "bus 1");
        assert_eq!(ask("06 00 04 00 0B 00"), reply("02 00 04 FF 11"), "no such page");
    }

    #[test]
    fn a_bitaxes_converter_is_asked_twice_and_an_emberones_once() {
        let (mut board, mut bitaxe) = (Board::default(), Machine::new(&BITAXE_GAMMA, 0, false, &[]));
        let mut ask = |bytes| ask(&mut board, &mut bitaxe, bytes);
        let busy = format!("10 00 01 FF FF {}", hex::encode("ADC Read Error"));
        assert_eq!(ask("06 00 01 00 07 50"), reply(&busy));
        assert_eq!(ask("06 00 02 00 07 50"), reply("02 00 02 00 00"));
        assert_eq!(ask("06 00 01 00 07 50"), reply(&busy), "and so on");
        let (mut board, mut ember) = (Board::default(), Machine::new(&EMBERONE00, 0, false, &[]));
        ember.seats[0].rail_volts = 3.6;
        board.push(&[6, 0, 1, 0, 7, 0x50], 0);
        assert_eq!(board.step(&mut ember), reply("02 00 01 ba 08"), "3.6 V are 2234 counts of 1.611 mV");
    }

    #[test]
    fn a_length_that_cannot_be_drops_what_came() {
        let (mut board, mut machine) = (Board::default(), Machine::new(&BITAXE_GAMMA, 0, false, &[]));
        assert_eq!(ask(&mut board, &mut machine, "03 00 00 00"), Step::Malformed);
        assert_eq!(ask(&mut board, &mut machine, "FF FF 00"), Step::Malformed);
        assert_eq!(ask(&mut board, &mut machine, "06 00 09 00"), Step::Wait);
        assert_eq!(ask(&mut board, &mut machine, "06 00"), reply("01 00 09 00"), "the rest came later");
    }

    #[test]
    fn half_a_request_is_forgotten_after_a_pause() {
        let (mut board, mut machine) = (Board::default(), Machine::new(&BITAXE_GAMMA, 0, false, &[]));
        board.push(&[0x07, 0x00, 0x00], 0);
        board.push(&[0x06, 0x00, 0x09, 0x00, 0x06, 0x00], PARTIAL_REQUEST_EXPIRES_NS + 1);
        assert_eq!(board.step(&mut machine), reply("01 00 09 00"));
    }
}
