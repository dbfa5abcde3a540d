//! `bitaxe-raw`: the open USB firmware's control port. Requests and answers over a byte stream, one at a time.
//!
//! Request: `length u16 (all bytes) | id | bus 0 | page | command | data`. Answer: `length u16 (of the data) | id | data`; an error is the data `FF code …`. Little-endian. The firmware drops
//! a request whose rest does not come within 4 ms, which is how a line gets back into step. Source: bitaxeorg/bitaxe-raw, 256foundation/mujina `PROTOCOL.md`.

use std::time::Duration;

use embedded_hal_async::i2c::{self, ErrorKind, ErrorType, I2c as I2cBus, NoAcknowledgeSource, Operation};
use tokio::time::{sleep, timeout};

use crate::{
    notify,
    port::{Port, PortError},
};

const I2C: u8 = 0x05;
const I2C_WRITE: u8 = 0x20;
const I2C_READ: u8 = 0x30;
const I2C_WRITE_READ: u8 = 0x40;
const GPIO: u8 = 0x06;
const ADC: u8 = 0x07;

const REQUEST_HEAD: usize = 6;
const ANSWER_HEAD: usize = 3;
/// Of the controllers' converters, all of which have twelve bits.
const MOST_COUNTS: u16 = 4095;
/// The firmware of the ESP32 answers the first request for a reading with an error, for it does not wait for its converter, and the next one with what that has measured.
const READINGS: usize = 3;

/// Longest request or answer that this driver has a use for.
const MAX_LEN: usize = 32;

const ERROR: u8 = 0xff;
/// An error that is told as text.
const IN_WORDS: u8 = 0xff;
const ERROR_CODES: [u8; 4] = [0x10, 0x11, 0x12, IN_WORDS];

/// Silence before each try and time for its answer. The first pause puts the firmware back into step when a dead driver left half a request; the longest is for a controller that is slower to forget.
const TRIES_MS: [(u64, u64); 3] = [(0, 100), (10, 200), (520, 300)];
/// The same before the first request after opening.
const STEP_MS: u64 = 6;

/// What can go wrong between here and the firmware, or between the firmware and a device on its bus.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControllerError {
    #[error(transparent)]
    Port(#[from] PortError),
    #[error("board controller silent: no answer to {tries} requests")]
    Silent { tries: usize },
    #[error("board controller refused page {page:#04x} command {command:#04x}: error {code:#04x}")]
    Refused { page: u8, command: u8, code: u8 },
    #[error("board controller answered {got} bytes where {expected} were asked for")]
    Length { expected: usize, got: usize },
    #[error("board controller's converter reads {counts}, which cannot be")]
    Counts { counts: u16 },
    #[error("board controller's pin {pin} reads {got} after {written} was written")]
    PinNotTaken { pin: u8, written: u8, got: u8 },
    #[error(
        "board controller cannot do this I²C transaction: at most {MAX_LEN} bytes, all writes before all reads"
    )]
    Transaction,
}

impl ControllerError {
    /// The controller itself does not answer, so that nothing behind it can be reached.
    pub(crate) fn is_silence(&self) -> bool {
        matches!(self, Self::Silent { .. } | Self::Port(_))
    }
}

impl i2c::Error for ControllerError {
    /// The firmware does not say why a device's turn failed; that nobody acknowledged is the usual reason.
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused { page: I2C, .. } => ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown),
            _ => ErrorKind::Other,
        }
    }
}

#[derive(Debug)]
pub(crate) struct BitaxeRaw {
    port: Port,
    next_id: u8,
    fresh: bool,
}

impl BitaxeRaw {
    pub(crate) fn new(port: Port) -> Self {
        Self { port, next_id: 0, fresh: true }
    }

    /// Sets an output pin and reads it back.
    pub(crate) async fn set_pin(&mut self, pin: u8, high: bool) -> Result<(), ControllerError> {
        let level = u8::from(high);
        self.request(GPIO, pin, &[level], &mut [0; 1]).await?;
        let got = self.pin(pin).await?;
        if got != high {
            return Err(ControllerError::PinNotTaken { pin, written: level, got: got.into() });
        }
        Ok(())
    }

    pub(crate) async fn pin(&mut self, pin: u8) -> Result<bool, ControllerError> {
        let mut got = [0];
        self.request(GPIO, pin, &[], &mut got).await?;
        Ok(got[0] != 0)
    }

    /// Counts of a converter.
    pub(crate) async fn converter(&mut self, channel: u8) -> Result<u16, ControllerError> {
        let mut got = [0; 2];
        for _ in 1..READINGS {
            match self.request(ADC, channel, &[], &mut got).await {
                Err(ControllerError::Refused { code: IN_WORDS, .. }) => {}
                result => return result.and_then(|()| counts(got)),
            }
        }
        self.request(ADC, channel, &[], &mut got).await?;
        counts(got)
    }

    /// One request with its tries. Every request of this driver may be repeated without harm.
    ///
    /// An empty `answer` means that any answer but an error will do.
    async fn request(
        &mut self,
        page: u8,
        command: u8,
        data: &[u8],
        answer: &mut [u8],
    ) -> Result<(), ControllerError> {
        if std::mem::take(&mut self.fresh) {
            sleep(Duration::from_millis(STEP_MS)).await;
        }
        for (pause_ms, patience_ms) in TRIES_MS {
            if pause_ms > 0 {
                sleep(Duration::from_millis(pause_ms)).await;
            }
            self.port.discard_input()?;
            self.next_id = self.next_id.wrapping_add(1);
            let (request, length) = encode(self.next_id, page, command, data);
            self.port.write(&request[..length]).await?;
            let patience = Duration::from_millis(patience_ms);
            let received = timeout(patience, receive(&self.port, self.next_id)).await;
            notify::progress();
            let Ok(received) = received else { continue };
            let (received, length) = received?;
            return judge(page, command, &received[..length], answer);
        }
        Err(ControllerError::Silent { tries: TRIES_MS.len() })
    }
}

impl ErrorType for BitaxeRaw {
    type Error = ControllerError;
}

/// The firmware knows a write, a read and a write followed by a read; operations in a row of one kind are one write or one read.
impl I2cBus for BitaxeRaw {
    async fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), ControllerError> {
        let writes =
            operations.iter().take_while(|operation| matches!(operation, Operation::Write(_))).count();
        let (writes, reads) = operations.split_at_mut(writes);
        let mut request = [0; MAX_LEN];
        request[0] = address;
        let mut length = 1;
        for operation in writes.iter() {
            let Operation::Write(bytes) = operation else { continue };
            let end = length + bytes.len();
            request.get_mut(length..end).ok_or(ControllerError::Transaction)?.copy_from_slice(bytes);
            length = end;
        }
        let mut wanted = 0;
        for operation in reads.iter() {
            let Operation::Read(bytes) = operation else { return Err(ControllerError::Transaction) };
            wanted += bytes.len();
        }
        if wanted == 0 {
            return self.request(I2C, I2C_WRITE, &request[..length], &mut []).await;
        }
        let mut answer = [0; MAX_LEN];
        let answer = answer.get_mut(..wanted).ok_or(ControllerError::Transaction)?;
        *request.get_mut(length).ok_or(ControllerError::Transaction)? = wanted as u8;
        let command = if length == 1 { I2C_READ } else { I2C_WRITE_READ };
        self.request(I2C, command, &request[..=length], answer).await?;
        super::give_back(reads, answer);
        Ok(())
    }
}

fn counts(bytes: [u8; 2]) -> Result<u16, ControllerError> {
    let counts = u16::from_le_bytes(bytes);
    if counts > MOST_COUNTS {
        return Err(ControllerError::Counts { counts });
    }
    Ok(counts)
}

fn encode(id: u8, page: u8, command: u8, data: &[u8]) -> ([u8; REQUEST_HEAD + MAX_LEN], usize) {
    let mut request = [0; REQUEST_HEAD + MAX_LEN];
    let length = REQUEST_HEAD + data.len();
    request[..2].copy_from_slice(&(length as u16).to_le_bytes());
    request[2..REQUEST_HEAD].copy_from_slice(&[id, 0, page, command]);
    request[REQUEST_HEAD..length].copy_from_slice(data);
    (request, length)
}

/// Waits for the answer to request `id`. Late answers to other requests are passed over; an absurd length means that the stream is out of step, and everything so far is dropped.
async fn receive(port: &Port, id: u8) -> Result<([u8; MAX_LEN], usize), ControllerError> {
    let mut bytes = [0; ANSWER_HEAD + MAX_LEN];
    let mut held = 0;
    loop {
        held += port.read(&mut bytes[held..]).await?;
        while held >= ANSWER_HEAD {
            let length = usize::from(u16::from_le_bytes([bytes[0], bytes[1]]));
            if length > MAX_LEN {
                held = 0;
                break;
            }
            let end = ANSWER_HEAD + length;
            if held < end {
                break;
            }
            if bytes[2] == id {
                let mut data = [0; MAX_LEN];
                data[..length].copy_from_slice(&bytes[ANSWER_HEAD..end]);
                return Ok((data, length));
            }
            bytes.copy_within(end..held, 0);
            held -= end;
        }
    }
}

/// `FF code` or `FF FF text` is an error where it cannot be data. Where the length is what was asked for, one byte `FF` is data, and so is `FF FF` with anything behind it that is no text.
fn judge(page: u8, command: u8, received: &[u8], answer: &mut [u8]) -> Result<(), ControllerError> {
    if let [ERROR, code, text @ ..] = received
        && ERROR_CODES.contains(code)
    {
        let is_error = match (*code, received.len() == answer.len()) {
            (_, false) => true,
            (ERROR, true) => !text.is_empty() && text.iter().all(|byte| matches!(byte, b' '..=b'~')),
            (_, true) => text.is_empty(),
        };
        if is_error {
            return Err(ControllerError::Refused { page, command, code: *code });
        }
    }
    if !answer.is_empty() {
        if received.len() != answer.len() {
            return Err(ControllerError::Length { expected: answer.len(), got: received.len() });
        }
        answer.copy_from_slice(received);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples that the firmware's documentation gives.
    #[test]
    fn requests_are_the_published_ones() {
        let shown = |id, page, command, data: &[u8]| {
            let (bytes, length) = encode(id, page, command, data);
            hex::encode(&bytes[..length])
        };
        assert_eq!(shown(1, I2C, I2C_WRITE, &[0x4f, 0xde]), "0800010005204fde");
        assert_eq!(shown(1, I2C, I2C_WRITE_READ, &[0x32, 0xfe, 2]), "0900010005 4032fe02".replace(' ', ""));
        assert_eq!(shown(0, GPIO, 0, &[0]), "07000000060000");
    }

    #[test]
    fn an_error_is_told_from_data() {
        let judge = |received: &[u8], answer: &mut [u8]| judge(5, 0x40, received, answer);
        assert!(matches!(
            judge(&[0xff, 0x10], &mut [0; 1]),
            Err(ControllerError::Refused { code: 0x10, .. })
        ));
        assert!(matches!(judge(&[0xff, 0x11], &mut []), Err(ControllerError::Refused { code: 0x11, .. })));
        assert!(matches!(judge(&[1, 2], &mut [0; 1]), Err(ControllerError::Length { expected: 1, got: 2 })));
        let mut answer = [0];
        assert!(judge(&[0xff], &mut answer).is_ok(), "a register may read ff");
        assert_eq!(answer, [0xff]);
        assert!(judge(&[], &mut []).is_ok() && judge(&[1], &mut []).is_ok());
        assert!(matches!(
            judge(&[0xff, 0x10], &mut [0; 2]),
            Err(ControllerError::Refused { code: 0x10, .. })
        ));
        assert!(judge(b"\xff\xffI2C", &mut [0; 5]).is_err(), "an error in words");
        let mut answer = [0; 16];
        assert!(judge(&[0xff; 16], &mut answer).is_ok(), "an empty EEPROM");
        assert_eq!(answer, [0xff; 16]);
        assert!(judge(&[0xff, 0xff], &mut [0; 2]).is_ok(), "minus one");
    }

    /// A controller that answers each request with what `script` makes of it (its id, how many came before).
    fn controller(script: impl Fn(u8, usize) -> Vec<u8> + Send + 'static) -> BitaxeRaw {
        whole(move |request, count| script(request[2], count))
    }

    /// The same, for a script that wants to see the whole request.
    fn whole(script: impl Fn(&[u8], usize) -> Vec<u8> + Send + 'static) -> BitaxeRaw {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let far = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&far).unwrap();
        unlockpt(&far).unwrap();
        let near = ptsname(&far, Vec::new()).unwrap().into_string().unwrap();
        let board = BitaxeRaw::new(Port::open(near.as_ref(), 115_200).unwrap());
        std::thread::spawn(move || {
            let mut request = [0; 64];
            for count in 0.. {
                match rustix::io::read(&far, &mut request) {
                    Ok(length) if length >= REQUEST_HEAD => {
                        let answer = script(&request[..length], count);
                        rustix::io::write(&far, &answer).unwrap();
                    }
                    _ => return,
                }
            }
        });
        board
    }

    async fn read(board: &mut BitaxeRaw) -> Result<[u8; 1], ControllerError> {
        let mut answer = [0];
        board.write_read(0x4c, &[0], &mut answer).await.map(|()| answer)
    }

    /// What of a request of the bus arrives, without length and id; answered with `answer` and as many zeros as were asked for.
    #[tokio::test]
    async fn a_bus_transaction_is_one_request_that_the_firmware_knows() {
        let (sender, requests) = std::sync::mpsc::channel();
        let mut board = recorded(move |request| sender.send(hex::encode(&request[3..])).unwrap());
        let mut two = [0; 2];
        board.write(0x4f, &[0xde]).await.unwrap();
        assert_eq!(requests.recv().unwrap(), "0005204fde");
        board.read(0x4c, &mut two).await.unwrap();
        assert_eq!(requests.recv().unwrap(), "0005304c02");
        board.write_read(0x32, &[0xfe], &mut two).await.unwrap();
        assert_eq!(requests.recv().unwrap(), "00054032fe02");
        assert_eq!(two, [1, 2]);
        let (mut first, mut second) = ([0; 2], [0; 3]);
        let mut operations = [
            Operation::Write(&[1]),
            Operation::Write(&[2, 3]),
            Operation::Read(&mut first),
            Operation::Read(&mut second),
        ];
        board.transaction(0x10, &mut operations).await.unwrap();
        assert_eq!(requests.recv().unwrap(), "0005401001020305");
        assert_eq!((first, second), ([1, 2], [3, 4, 5]));
    }

    #[tokio::test]
    async fn what_the_firmware_cannot_do_is_refused_before_it_is_sent() {
        let mut board = recorded(|_| panic!("nothing is sent"));
        let long = [0; MAX_LEN];
        let refused = |result| matches!(result, Err(ControllerError::Transaction));
        assert!(refused(board.write(0x50, &long).await));
        assert!(refused(board.read(0x50, &mut [0; MAX_LEN + 1]).await));
        assert!(refused(board.write_read(0x50, &long[1..], &mut [0]).await));
        let mut byte = [0];
        let mut backwards = [Operation::Read(&mut byte), Operation::Write(&[1])];
        assert!(refused(board.transaction(0x50, &mut backwards).await));
    }

    /// Shows each request to `look` and answers a read with 1, 2, 3 ….
    fn recorded(look: impl Fn(&[u8]) + Send + 'static) -> BitaxeRaw {
        whole(move |request, _| {
            look(request);
            let wanted = match request[5] {
                I2C_READ | I2C_WRITE_READ => request[request.len() - 1],
                _ => 0,
            };
            [&[wanted, 0, request[2]][..], &(1..=wanted).collect::<Vec<_>>()].concat()
        })
    }

    #[tokio::test]
    async fn an_answer_is_found_behind_a_late_one_and_behind_nonsense() {
        let mut board = controller(|id, _| vec![1, 0, id.wrapping_sub(1), 0x55, 1, 0, id, 0xaa]);
        assert_eq!(read(&mut board).await.unwrap(), [0xaa]);
        // A length that cannot be: everything so far is dropped, and the request is repeated.
        let mut board = controller(|id, count| match count {
            0 => vec![0xff, 0xff, 0x12, 0x34],
            _ => vec![1, 0, id, 0xbb],
        });
        assert_eq!(read(&mut board).await.unwrap(), [0xbb]);
    }

    #[tokio::test]
    async fn a_lost_answer_is_asked_for_again_and_silence_has_an_end() {
        let mut board = controller(|id, count| if count < 2 { vec![] } else { vec![1, 0, id, 7] });
        assert_eq!(read(&mut board).await.unwrap(), [7]);
        let began = std::time::Instant::now();
        let mut board = controller(|_, _| vec![]);
        let silent = read(&mut board).await;
        assert!(matches!(silent, Err(ControllerError::Silent { tries: 3 })), "{silent:?}");
        assert!(began.elapsed() < Duration::from_secs(3));
    }

    #[tokio::test]
    async fn a_converter_that_has_to_be_asked_twice_is_and_nonsense_is_none() {
        let mut board = whole(|request, count| {
            assert_eq!(request[3..], [0, ADC, 0x50]);
            match count {
                0 => [&[16, 0, request[2], 0xff, 0xff][..], b"ADC Read Error"].concat(),
                1 => vec![2, 0, request[2], 0xd0, 0x07],
                _ => vec![2, 0, request[2], 0x00, 0x10],
            }
        });
        assert_eq!(board.converter(0x50).await.unwrap(), 2000);
        let error = board.converter(0x50).await.unwrap_err();
        assert_eq!(error.to_string(), "board controller's converter reads 4096, which cannot be");
        let mut deaf = controller(|id, _| [&[4, 0, id, 0xff, 0xff][..], b"no"].concat());
        assert!(matches!(deaf.converter(0x50).await, Err(ControllerError::Refused { page: ADC, .. })));
    }

    #[tokio::test]
    async fn a_pin_that_does_not_follow_is_an_error() {
        let mut board = controller(|id, _| vec![1, 0, id, 1]);
        assert!(matches!(board.set_pin(0, false).await, Err(ControllerError::PinNotTaken { got: 1, .. })));
        assert!(board.set_pin(0, true).await.is_ok());
    }
}
