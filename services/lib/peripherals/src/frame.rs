//! The framed protocol of Bitmain's power supplies and voltage controllers: `[55 AA] LEN CMD data… SUM SUM`.
//!
//! LEN counts itself, CMD, data and the two bytes of the sum, so LEN = 4 + data. The sum is that of LEN, CMD and data in 16 bits: little-endian in supplies, big-endian in voltage controllers.
//! Checked against every frame that the sources of `apw` and `dspic` publish. Pure.

/// Data of the longest frame that has a use here.
pub(crate) const MOST_DATA: usize = 8;

const HEAD: [u8; 2] = [0x55, 0xaa];
/// LEN, CMD and the sum.
const OVERHEAD: usize = 4;
const LONGEST: usize = HEAD.len() + OVERHEAD + MOST_DATA;

/// Why bytes are no answer to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("answer begins with {0:#04x}, which begins no frame")]
    Head(u8),
    #[error("answer says that it is {0} bytes long")]
    Length(u8),
    #[error("sum {got:#06x}, must be {expected:#06x}")]
    Sum { expected: u16, got: u16 },
    #[error("answers command {0:#04x}")]
    Command(u8),
    #[error("{got} bytes of data, must be {expected}")]
    Data { expected: usize, got: usize },
    #[error("refused with {0:#04x}")]
    Refused(u8),
}

/// Byte order of the sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SumOrder {
    /// Power supplies.
    Little,
    /// Voltage controllers.
    Big,
}

impl SumOrder {
    fn bytes(self, sum: u16) -> [u8; 2] {
        match self {
            Self::Little => sum.to_le_bytes(),
            Self::Big => sum.to_be_bytes(),
        }
    }

    fn word(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }
}

/// Up to [`MOST_DATA`] bytes that came with an answer, or a whole frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bytes {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Bytes {
    fn new() -> Self {
        Self { bytes: [0; LONGEST], length: 0 }
    }

    pub(crate) fn of<const N: usize>(data: [u8; N]) -> Self {
        const { assert!(N <= MOST_DATA) };
        let mut bytes = Self::new();
        bytes.push(&data);
        bytes
    }

    /// The caller keeps within [`LONGEST`].
    fn push(&mut self, more: &[u8]) {
        self.bytes[self.length..][..more.len()].copy_from_slice(more);
        self.length += more.len();
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Exactly `N` bytes of data.
    pub(crate) fn data<const N: usize>(&self) -> Result<[u8; N], FrameError> {
        self.as_slice().try_into().map_err(|_| FrameError::Data { expected: N, got: self.length })
    }
}

/// A request, head included.
pub(crate) fn request<const N: usize>(order: SumOrder, command: u8, data: [u8; N]) -> Bytes {
    const { assert!(N <= MOST_DATA) };
    let length = (OVERHEAD + N) as u8;
    let mut frame = Bytes::new();
    frame.push(&HEAD);
    frame.push(&[length, command]);
    frame.push(&data);
    let sum = sum(frame.as_slice()[HEAD.len()..].iter());
    frame.push(&order.bytes(sum));
    frame
}

/// An answer that is taken in byte by byte, because these parts give one byte a transaction.
#[derive(Debug)]
pub(crate) struct Answer {
    order: SumOrder,
    command: u8,
    /// From LEN on.
    bytes: Bytes,
}

impl Answer {
    pub(crate) fn to(command: u8, order: SumOrder) -> Self {
        Self { order, command, bytes: Bytes::new() }
    }

    /// Takes the next byte, from LEN on. `Some`: the frame is complete, and this is its data.
    pub(crate) fn take(&mut self, byte: u8) -> Result<Option<Bytes>, FrameError> {
        if self.bytes.length == 0 && !(OVERHEAD..=OVERHEAD + MOST_DATA).contains(&usize::from(byte)) {
            return Err(FrameError::Length(byte));
        }
        self.bytes.push(&[byte]);
        let frame = self.bytes.as_slice();
        if frame.len() < usize::from(frame[0]) {
            return Ok(None);
        }
        let (said, tail) = frame.split_at(frame.len() - 2);
        let (expected, got) = (sum(said.iter()), self.order.word([tail[0], tail[1]]));
        if expected != got {
            return Err(FrameError::Sum { expected, got });
        }
        if said[1] != self.command {
            return Err(FrameError::Command(said[1]));
        }
        let mut data = Bytes::new();
        data.push(&said[2..]);
        Ok(Some(data))
    }
}

fn sum<'a>(bytes: impl Iterator<Item = &'a u8>) -> u16 {
    bytes.map(|byte| u16::from(*byte)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published frames: HashSource's copy of the x17 supply protocol, DCENT_OS captures of voltage controllers.
    #[test]
    fn requests_are_the_published_ones() {
        let little = |bytes: Bytes| hex::encode(bytes.as_slice());
        assert_eq!(little(request(SumOrder::Little, 0x01, [])), "55aa04010500");
        assert_eq!(little(request(SumOrder::Little, 0x02, [])), "55aa04020600");
        assert_eq!(little(request(SumOrder::Little, 0x03, [])), "55aa04030700");
        assert_eq!(little(request(SumOrder::Little, 0x04, [])), "55aa04040800");
        assert_eq!(little(request(SumOrder::Little, 0x05, [])), "55aa04050900");
        assert_eq!(little(request(SumOrder::Little, 0x83, [0x0d, 0x00])), "55aa06830d009600");
        assert_eq!(little(request(SumOrder::Little, 0x81, [0x01, 0x00])), "55aa068101008800");
        assert_eq!(little(request(SumOrder::Big, 0x17, [])), "55aa0417001b");
        assert_eq!(little(request(SumOrder::Big, 0x16, [])), "55aa0416001a");
        assert_eq!(little(request(SumOrder::Big, 0x3a, [])), "55aa043a003e");
        assert_eq!(little(request(SumOrder::Big, 0x15, [1])), "55aa051501001b");
        assert_eq!(little(request(SumOrder::Big, 0x15, [0])), "55aa051500001a");
    }

    fn answer(order: SumOrder, command: u8, bytes: &[u8]) -> Result<Option<Bytes>, FrameError> {
        let mut answer = Answer::to(command, order);
        for (index, byte) in bytes.iter().enumerate() {
            if let Some(data) = answer.take(*byte)? {
                assert_eq!(index, bytes.len() - 1, "no byte is left over");
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    #[test]
    fn published_answers_are_understood() {
        let data = |order, command, text| {
            let bytes = hex::decode(text).unwrap();
            answer(order, command, &bytes).unwrap().unwrap().as_slice().to_vec()
        };
        assert_eq!(data(SumOrder::Little, 0x01, "060106000d00"), [6, 0]);
        assert_eq!(data(SumOrder::Little, 0x02, "060241004900"), [0x41, 0]);
        assert_eq!(data(SumOrder::Little, 0x03, "06030d001600"), [0x0d, 0]);
        assert_eq!(data(SumOrder::Big, 0x17, "05178900a5"), [0x89]);
        assert_eq!(data(SumOrder::Big, 0x16, "06160100001d"), [1, 0]);
    }

    #[test]
    fn what_is_no_answer_is_told_why() {
        let told = |bytes: &[u8]| answer(SumOrder::Big, 0x17, bytes);
        assert_eq!(told(&[0x05, 0x17, 0x89, 0x00, 0xa4]), Err(FrameError::Sum { expected: 0xa5, got: 0xa4 }));
        assert_eq!(
            told(&[0x05, 0x17, 0x89, 0xa5, 0x00]),
            Err(FrameError::Sum { expected: 0xa5, got: 0xa500 })
        );
        assert_eq!(told(&[0x05, 0x16, 0x89, 0x00, 0xa4]), Err(FrameError::Command(0x16)));
        assert_eq!(told(&[0xff]), Err(FrameError::Length(0xff)));
        assert_eq!(told(&[0x00]), Err(FrameError::Length(0)));
        assert_eq!(told(&[0x03]), Err(FrameError::Length(3)));
        assert_eq!(told(&[0x05, 0x17, 0x89, 0x00]), Ok(None), "cut off");
    }
}
