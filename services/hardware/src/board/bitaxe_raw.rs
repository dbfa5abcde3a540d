//! `bitaxe-raw`: the open USB firmware's control port. Requests and answers over a byte stream, one at a time.
//!
//! Request: `length u16 (all bytes) | id | bus 0 | page | command | data`. Answer: `length u16 (of the data) | id | data`; an error is the data `FF code …`. Little-endian. The firmware drops
//! a request whose rest does not come within 4 ms, which is how a line gets back into step. Source: bitaxeorg/bitaxe-raw, 256foundation/mujina `PROTOCOL.md`.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::{
    notify,
    port::{Port, PortError},
};

const I2C: u8 = 0x05;
const I2C_WRITE: u8 = 0x20;
const I2C_WRITE_READ: u8 = 0x40;
const GPIO: u8 = 0x06;

const REQUEST_HEAD: usize = 6;
const ANSWER_HEAD: usize = 3;
/// Longest request or answer that this driver has a use for.
const MAX_LEN: usize = 32;

const ERROR: u8 = 0xff;
const ERROR_CODES: [u8; 4] = [0x10, 0x11, 0x12, 0xff];

/// Silence before each try and time for its answer. The first pause puts the firmware back into step when a dead driver left half a request; the longest is for a controller that is slower to forget.
const TRIES_MS: [(u64, u64); 3] = [(0, 100), (10, 200), (520, 300)];
/// The same before the first request after opening.
const STEP_MS: u64 = 6;

#[derive(Debug, thiserror::Error)]
pub(crate) enum BoardError {
    #[error(transparent)]
    Port(#[from] PortError),
    #[error("board controller silent: no answer to {tries} requests")]
    Silent { tries: usize },
    #[error("board controller refused page {page:#04x} command {command:#04x}: error {code:#04x}")]
    Refused { page: u8, command: u8, code: u8 },
    #[error("board controller answered {got} bytes where {expected} were asked for")]
    Length { expected: usize, got: usize },
    #[error(
        "device at {address:#04x}: {register:#04x} reads back {got:#06x} after {written:#06x} was written"
    )]
    NotTaken { address: u8, register: u8, written: u16, got: u16 },
    #[error("device at {address:#04x} is a {got}, not a {expected}")]
    Identity { address: u8, expected: &'static str, got: String },
    #[error("still at {volts:.3} V after it was switched off")]
    StillOn { volts: f64 },
}

impl BoardError {
    /// The controller itself does not answer, so that nothing behind it can be reached.
    pub(super) fn is_silence(&self) -> bool {
        matches!(self, Self::Silent { .. } | Self::Port(_))
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
    pub(crate) async fn set_pin(&mut self, pin: u8, high: bool) -> Result<(), BoardError> {
        let level = u8::from(high);
        self.request(GPIO, pin, &[level], &mut [0; 1]).await?;
        let mut got = [0];
        self.request(GPIO, pin, &[], &mut got).await?;
        if got[0] != level {
            let (written, got) = (level.into(), got[0].into());
            return Err(BoardError::NotTaken { address: 0, register: pin, written, got });
        }
        Ok(())
    }

    /// Writes to a device on the I²C bus: a register or command and its data.
    pub(crate) async fn write(&mut self, address: u8, register: u8, data: &[u8]) -> Result<(), BoardError> {
        let mut bytes = [0; MAX_LEN];
        bytes[..2].copy_from_slice(&[address, register]);
        bytes[2..2 + data.len()].copy_from_slice(data);
        self.request(I2C, I2C_WRITE, &bytes[..2 + data.len()], &mut []).await
    }

    /// Reads a device's register.
    pub(crate) async fn read<const N: usize>(
        &mut self,
        address: u8,
        register: u8,
    ) -> Result<[u8; N], BoardError> {
        let mut answer = [0; N];
        self.request(I2C, I2C_WRITE_READ, &[address, register, N as u8], &mut answer).await?;
        Ok(answer)
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
    ) -> Result<(), BoardError> {
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
        Err(BoardError::Silent { tries: TRIES_MS.len() })
    }
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
async fn receive(port: &Port, id: u8) -> Result<([u8; MAX_LEN], usize), BoardError> {
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

/// One byte `FF` is data where one byte was asked for; `FF` and a known code is an error where it cannot be data or is no plausible word.
fn judge(page: u8, command: u8, received: &[u8], answer: &mut [u8]) -> Result<(), BoardError> {
    if let [ERROR, code, ..] = *received
        && ERROR_CODES.contains(&code)
    {
        return Err(BoardError::Refused { page, command, code });
    }
    if !answer.is_empty() {
        if received.len() != answer.len() {
            return Err(BoardError::Length { expected: answer.len(), got: received.len() });
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
        assert!(matches!(judge(&[0xff, 0x10], &mut [0; 1]), Err(BoardError::Refused { code: 0x10, .. })));
        assert!(matches!(judge(&[0xff, 0x11], &mut []), Err(BoardError::Refused { code: 0x11, .. })));
        assert!(matches!(judge(&[1, 2], &mut [0; 1]), Err(BoardError::Length { expected: 1, got: 2 })));
        let mut answer = [0];
        assert!(judge(&[0xff], &mut answer).is_ok(), "a register may read ff");
        assert_eq!(answer, [0xff]);
        assert!(judge(&[], &mut []).is_ok() && judge(&[1], &mut []).is_ok());
    }

    /// A controller that answers each request with what `script` makes of it (its id, how many came before).
    fn controller(script: impl Fn(u8, usize) -> Vec<u8> + Send + 'static) -> BitaxeRaw {
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
                        let answer = script(request[2], count);
                        rustix::io::write(&far, &answer).unwrap();
                    }
                    _ => return,
                }
            }
        });
        board
    }

    #[tokio::test]
    async fn an_answer_is_found_behind_a_late_one_and_behind_nonsense() {
        let mut board = controller(|id, _| vec![1, 0, id.wrapping_sub(1), 0x55, 1, 0, id, 0xaa]);
        assert_eq!(board.read::<1>(0x4c, 0).await.unwrap(), [0xaa]);
        // A length that cannot be: everything so far is dropped, and the request is repeated.
        let mut board = controller(|id, count| match count {
            0 => vec![0xff, 0xff, 0x12, 0x34],
            _ => vec![1, 0, id, 0xbb],
        });
        assert_eq!(board.read::<1>(0x4c, 0).await.unwrap(), [0xbb]);
    }

    #[tokio::test]
    async fn a_lost_answer_is_asked_for_again_and_silence_has_an_end() {
        let mut board = controller(|id, count| if count < 2 { vec![] } else { vec![1, 0, id, 7] });
        assert_eq!(board.read::<1>(0x4c, 0).await.unwrap(), [7]);
        let began = std::time::Instant::now();
        let mut board = controller(|_, _| vec![]);
        let silent = board.read::<1>(0x4c, 0).await;
        assert!(matches!(silent, Err(BoardError::Silent { tries: 3 })), "{silent:?}");
        assert!(began.elapsed() < Duration::from_secs(3));
    }

    #[tokio::test]
    async fn a_pin_that_does_not_follow_is_an_error() {
        let mut board = controller(|id, _| vec![1, 0, id, 1]);
        assert!(matches!(board.set_pin(0, false).await, Err(BoardError::NotTaken { got: 1, .. })));
        assert!(board.set_pin(0, true).await.is_ok());
    }
}
