//! The work path: small fixed frames over a `SOCK_SEQPACKET` pair, one frame a packet. Contract: `docs/work-frames.md`.
//!
//! All integers are little-endian; hashes are header bytes. Every frame has one exact length, so a packet of another length is refused before anything in
//! it is read. Encoding and decoding allocate nothing.

/// Version of all frames; the second byte of each.
pub const FORMAT: u8 = 1;
/// Longest frame in either direction, bytes.
pub const MAX_LEN: usize = WORK_LEN;

const WORK: u8 = 0x01;
const IDLE: u8 = 0x02;
const HELLO: u8 = 0x81;
const CREDIT: u8 = 0x82;
const NONCE: u8 = 0x83;

const WORK_LEN: usize = 92;
const IDLE_LEN: usize = 8;
const HELLO_LEN: usize = 8;
const CREDIT_LEN: usize = 12;
const NONCE_LEN: usize = 32;

/// One header to search, for one chain.
///
/// `generation` rises with every block that makes older work worthless. A work of a newer generation starts it: the driver drops everything older at once.
/// `sequence` counts the works of a generation on a chain from 1 and names the work in [`Nonce`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    pub chain: u8,
    pub generation: u32,
    pub sequence: u32,
    /// Header version; bits of `version_mask` are clear.
    pub version: u32,
    /// Bits that the chips may roll (BIP 320: 0x1fffe000); 0 forbids rolling.
    pub version_mask: u32,
    /// Seconds, as in the header.
    pub ntime: u32,
    pub nbits: u32,
    /// Header bytes 4..36.
    pub prev_hash: [u8; 32],
    /// Header bytes 36..68.
    pub merkle_root: [u8; 32],
}

/// From the miner to the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToHardware {
    Work(Work),
    /// Drop all work of older generations and send none until a [`Work`] comes.
    Idle {
        generation: u32,
    },
}

/// From the driver to the miner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FromHardware {
    /// First frame on every new work path. Chains are 0..`chains`; in each generation `queue` works a chain may be sent without asking.
    Hello {
        chains: u8,
        queue: u32,
    },
    /// In `generation`, works up to and including `sequence` may be sent to `chain`. Absolute, so that a lost or repeated frame changes nothing.
    Credit {
        chain: u8,
        generation: u32,
        sequence: u32,
    },
    Nonce(Nonce),
}

/// A nonce that a chip reported; nothing about it has been checked by hashing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nonce {
    pub chain: u8,
    pub generation: u32,
    /// [`Work::sequence`] of the work that the chip's job id stood for when the response arrived.
    pub sequence: u32,
    /// As the header's integer: its header bytes are this, little-endian.
    pub nonce: u32,
    /// The whole header version, rolled bits merged.
    pub version: u32,
    /// Place in the chain, 0 nearest to the control board; `u16::MAX` when the nonce does not tell.
    pub chip: u16,
    pub core: u8,
    pub small_core: u8,
    /// CLOCK_MONOTONIC when the response's last byte was read, microseconds.
    pub received_us: u64,
}

/// Why a packet is not a frame.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    #[error("empty packet")]
    Empty,
    #[error("frame kind {0:#04x} is not known in this direction")]
    Kind(u8),
    #[error("frame kind {kind:#04x} is {expected} bytes long, not {got}")]
    Length { kind: u8, expected: usize, got: usize },
    #[error("frame format {0} is not {FORMAT}")]
    Format(u8),
    #[error("reserved byte is {0:#04x}, not 0")]
    Reserved(u8),
}

/// An encoded frame: a fixed buffer and how much of it is used.
#[derive(Debug, Clone, Copy)]
pub struct Packet {
    bytes: [u8; MAX_LEN],
    len: usize,
}

impl Packet {
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn start(kind: u8, chain: u8) -> Self {
        let mut packet = Self { bytes: [0; MAX_LEN], len: 0 };
        packet.put(&[kind, FORMAT, chain, 0]);
        packet
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn u32(mut self, value: u32) -> Self {
        self.put(&value.to_le_bytes());
        self
    }

    fn with(mut self, bytes: &[u8]) -> Self {
        self.put(bytes);
        self
    }
}

impl ToHardware {
    pub fn encode(&self) -> Packet {
        match self {
            Self::Work(work) => Packet::start(WORK, work.chain)
                .u32(work.generation)
                .u32(work.sequence)
                .u32(work.version)
                .u32(work.version_mask)
                .u32(work.ntime)
                .u32(work.nbits)
                .with(&work.prev_hash)
                .with(&work.merkle_root),
            Self::Idle { generation } => Packet::start(IDLE, 0).u32(*generation),
        }
    }

    pub fn decode(packet: &[u8]) -> Result<Self, FrameError> {
        let (kind, chain, body) = open(packet, |kind| match kind {
            WORK => Some(WORK_LEN),
            IDLE => Some(IDLE_LEN),
            _ => None,
        })?;
        let mut body = Reader(body);
        Ok(match kind {
            WORK => Self::Work(Work {
                chain,
                generation: body.u32(),
                sequence: body.u32(),
                version: body.u32(),
                version_mask: body.u32(),
                ntime: body.u32(),
                nbits: body.u32(),
                prev_hash: body.take(),
                merkle_root: body.take(),
            }),
            _ => Self::Idle { generation: body.u32() },
        })
    }
}

impl FromHardware {
    pub fn encode(&self) -> Packet {
        match self {
            Self::Hello { chains, queue } => Packet::start(HELLO, *chains).u32(*queue),
            Self::Credit { chain, generation, sequence } => {
                Packet::start(CREDIT, *chain).u32(*generation).u32(*sequence)
            }
            Self::Nonce(nonce) => Packet::start(NONCE, nonce.chain)
                .u32(nonce.generation)
                .u32(nonce.sequence)
                .u32(nonce.nonce)
                .u32(nonce.version)
                .with(&nonce.chip.to_le_bytes())
                .with(&[nonce.core, nonce.small_core])
                .with(&nonce.received_us.to_le_bytes()),
        }
    }

    pub fn decode(packet: &[u8]) -> Result<Self, FrameError> {
        let (kind, chain, body) = open(packet, |kind| match kind {
            HELLO => Some(HELLO_LEN),
            CREDIT => Some(CREDIT_LEN),
            NONCE => Some(NONCE_LEN),
            _ => None,
        })?;
        let mut body = Reader(body);
        Ok(match kind {
            HELLO => Self::Hello { chains: chain, queue: body.u32() },
            CREDIT => Self::Credit { chain, generation: body.u32(), sequence: body.u32() },
            _ => Self::Nonce(Nonce {
                chain,
                generation: body.u32(),
                sequence: body.u32(),
                nonce: body.u32(),
                version: body.u32(),
                chip: u16::from_le_bytes(body.take()),
                core: body.take::<1>()[0],
                small_core: body.take::<1>()[0],
                received_us: u64::from_le_bytes(body.take()),
            }),
        })
    }
}

/// Checks what all frames share; `length_of` knows the kinds of one direction.
fn open(packet: &[u8], length_of: fn(u8) -> Option<usize>) -> Result<(u8, u8, &[u8]), FrameError> {
    let kind = *packet.first().ok_or(FrameError::Empty)?;
    let expected = length_of(kind).ok_or(FrameError::Kind(kind))?;
    if packet.len() != expected {
        return Err(FrameError::Length { kind, expected, got: packet.len() });
    }
    match (packet[1], packet[3]) {
        (FORMAT, 0) => Ok((kind, packet[2], &packet[4..])),
        (FORMAT, reserved) => Err(FrameError::Reserved(reserved)),
        (format, _) => Err(FrameError::Format(format)),
    }
}

/// Reads a body whose length [`open`] has checked.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (head, tail) = self.0.split_first_chunk().expect("the frame's length was checked");
        self.0 = tail;
        *head
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The bytes that `docs/work-frames.md` shows. A change here is a change of the contract.
    #[test]
    fn the_documented_bytes_stand() {
        let work = Work {
            chain: 1,
            generation: 2,
            sequence: 3,
            version: 0x2000_0000,
            version_mask: 0x1fff_e000,
            ntime: 0x6854_68d7,
            nbits: 0x1702_3a04,
            prev_hash: [0xaa; 32],
            merkle_root: [0xbb; 32],
        };
        let shown = format!(
            "01010100 02000000 03000000 00000020 00e0ff1f d7685468 043a0217 {} {}",
            "aa".repeat(32),
            "bb".repeat(32)
        );
        assert_eq!(hex::encode(ToHardware::Work(work).encode().as_bytes()), shown.replace(' ', ""));

        let nonce = Nonce {
            chain: 0,
            generation: 2,
            sequence: 3,
            nonce: 0x7552_034c,
            version: 0x20b4_4000,
            chip: 5,
            core: 38,
            small_core: 2,
            received_us: 1_000_000,
        };
        assert_eq!(
            hex::encode(FromHardware::Nonce(nonce).encode().as_bytes()),
            "8301000002000000030000004c0352750040b4200500260240420f0000000000"
        );
        let hello = FromHardware::Hello { chains: 1, queue: 2 };
        assert_eq!(hex::encode(hello.encode().as_bytes()), "8101010002000000");
        let credit = FromHardware::Credit { chain: 0, generation: 2, sequence: 9 };
        assert_eq!(hex::encode(credit.encode().as_bytes()), "820100000200000009000000");
        let idle = ToHardware::Idle { generation: 7 };
        assert_eq!(hex::encode(idle.encode().as_bytes()), "0201000007000000");
    }

    #[test]
    fn a_wrong_length_format_kind_or_reserved_byte_is_refused() {
        let good = ToHardware::Idle { generation: 7 }.encode();
        let bytes = good.as_bytes();
        assert_eq!(ToHardware::decode(&[]), Err(FrameError::Empty));
        assert_eq!(ToHardware::decode(&bytes[..7]), Err(FrameError::Length { kind: 2, expected: 8, got: 7 }));
        let mut other = bytes.to_vec();
        other[1] = 2;
        assert_eq!(ToHardware::decode(&other), Err(FrameError::Format(2)));
        let mut other = bytes.to_vec();
        other[3] = 1;
        assert_eq!(ToHardware::decode(&other), Err(FrameError::Reserved(1)));
        assert_eq!(FromHardware::decode(bytes), Err(FrameError::Kind(2)));
    }

    proptest! {
        #[test]
        fn any_packet_is_decoded_or_refused(packet in proptest::collection::vec(any::<u8>(), 0..128)) {
            if let Ok(frame) = ToHardware::decode(&packet) {
                let encoded = frame.encode();
                prop_assert_eq!(encoded.as_bytes().len(), packet.len());
            }
            if let Ok(frame) = FromHardware::decode(&packet) {
                let encoded = frame.encode();
                prop_assert_eq!(encoded.as_bytes(), &packet[..]);
            }
        }
    }
}
