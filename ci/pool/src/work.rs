//! A job as the pool sees it: template, coinbase and merkle branch; what is announced, and how header and block come back together.

use serde_json::{Value, json};

use crate::difficulty::Target;
use crate::hash::{self, Hash};
use crate::template::{Template, Transaction};

/// Version bits that a miner may roll (BIP320: bits 13 to 28).
pub const VERSION_MASK: u32 = 0x1fff_e000;

/// Pays to a witness script that is a single OP_TRUE: what tests mine they can spend without a wallet.
/// OP_0, then SHA-256 of the byte 0x51.
pub const ANYONE_CAN_SPEND: [u8; 34] = [
    0x00, 0x20, 0x4a, 0xe8, 0x15, 0x72, 0xf0, 0x6e, 0x1b, 0x88, 0xfd, 0x5c, 0xed, 0x7a, 0x1a, 0x00, 0x09,
    0x45, 0x43, 0x2e, 0x83, 0xe1, 0x55, 0x1e, 0x6f, 0x72, 0x1e, 0xe9, 0xc0, 0x0b, 0x8c, 0xc3, 0x32, 0x60,
];

const TAG: &[u8] = b"/adit-pool/";
const EXTRANONCE1: usize = 4;

/// The part of the coinbase that the pool chooses for a connection.
pub(crate) type Extranonce1 = [u8; EXTRANONCE1];

/// One job, the same for every connection but for the extranonces.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub id: String,
    pub previous: Hash,
    /// With the rollable bits clear: then "replace" (BIP310) and "exclusive or" (what many miners send) mean the same.
    pub version: u32,
    pub bits: u32,
    pub time: u32,
    pub height: u32,
    /// Everything before this job is void.
    pub clean: bool,
    pub branch: Vec<Hash>,
    /// The coinbase up to the extranonces, and what follows them.
    pub coinbase1: Vec<u8>,
    pub coinbase2: Vec<u8>,
    /// Bytes that the miner chooses.
    pub extranonce2_size: usize,
    /// The coinbase commits to witnesses, so it needs one of its own in the block.
    segwit: bool,
    transactions: Vec<Transaction>,
}

/// What a miner filled in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Solution {
    pub extranonce2: Vec<u8>,
    /// The whole version of the header.
    pub version: u32,
    pub time: u32,
    pub nonce: u32,
}

impl Work {
    /// `serial` is unique per job and stands in the coinbase too, so that no two jobs have common headers.
    #[must_use]
    pub(crate) fn new(
        template: Template,
        serial: u32,
        payout: &[u8],
        extranonce2_size: usize,
        clean: bool,
    ) -> Self {
        let ids: Vec<Hash> = template.transactions.iter().map(|transaction| transaction.id).collect();
        let segwit = !template.witness_commitment.is_empty();
        let extranonces = EXTRANONCE1 + extranonce2_size;

        let mut script = height_push(template.height);
        script.push(TAG.len() as u8);
        script.extend(TAG);
        script.push(4);
        script.extend(serial.to_be_bytes());
        // The extranonces are pushed as one item, so that the script stays well-formed.
        script.push(extranonces as u8);

        // Version 2, one input that spends nothing.
        let mut coinbase1 = vec![2, 0, 0, 0, 1];
        coinbase1.extend([0; 32]);
        coinbase1.extend([0xff; 4]);
        coinbase1.push((script.len() + extranonces) as u8);
        coinbase1.extend(script);

        // Sequence, outputs, lock time.
        let mut coinbase2 = vec![0xff; 4];
        coinbase2.push(if segwit { 2 } else { 1 });
        push_output(&mut coinbase2, template.reward, payout);
        if segwit {
            push_output(&mut coinbase2, 0, &template.witness_commitment);
        }
        coinbase2.extend([0; 4]);

        Self {
            id: format!("{serial:x}"),
            previous: template.previous,
            version: template.version & !VERSION_MASK,
            bits: template.bits,
            time: template.time,
            height: template.height,
            clean,
            branch: hash::coinbase_branch(&ids),
            coinbase1,
            coinbase2,
            extranonce2_size,
            segwit,
            transactions: template.transactions,
        }
    }

    /// The parameters of `mining.notify`.
    #[must_use]
    pub(crate) fn notify(&self, clean: bool) -> Value {
        json!([
            self.id,
            hex::encode(swap_words(self.previous)),
            hex::encode(&self.coinbase1),
            hex::encode(&self.coinbase2),
            self.branch.iter().map(hex::encode).collect::<Vec<_>>(),
            format!("{:08x}", self.version),
            format!("{:08x}", self.bits),
            format!("{:08x}", self.time),
            clean,
        ])
    }

    /// The coinbase as it is hashed for its id: without witness.
    fn coinbase(&self, extranonce1: Extranonce1, extranonce2: &[u8]) -> Vec<u8> {
        [self.coinbase1.as_slice(), &extranonce1, extranonce2, &self.coinbase2].concat()
    }

    /// The 80 bytes whose hash counts.
    #[must_use]
    pub(crate) fn header(&self, extranonce1: Extranonce1, solution: &Solution) -> [u8; 80] {
        let coinbase = self.coinbase(extranonce1, &solution.extranonce2);
        let root = hash::merkle_root(hash::sha256d(&coinbase), &self.branch);
        assemble_header(solution.version, &self.previous, &root, solution.time, self.bits, solution.nonce)
    }

    /// How many transactions the block would have, without the coinbase.
    #[must_use]
    pub(crate) fn transactions(&self) -> usize {
        self.transactions.len()
    }

    /// Whether a hash is good enough for the network.
    #[must_use]
    pub(crate) fn is_block(&self, hash: &Hash) -> bool {
        Target::from_compact(self.bits).is_some_and(|target| target.is_met_by(hash))
    }

    /// The whole block as `submitblock` wants it. Source: BIP141, BIP144.
    #[must_use]
    pub(crate) fn block(&self, header: &[u8; 80], extranonce1: Extranonce1, extranonce2: &[u8]) -> Vec<u8> {
        let coinbase = self.coinbase(extranonce1, extranonce2);
        let mut block = header.to_vec();
        push_count(&mut block, self.transactions.len() as u64 + 1);
        if self.segwit {
            // Marker and flag after the version; the witness, one item of 32 zero bytes, before the lock time.
            let (body, lock_time) = coinbase[4..].split_at(coinbase.len() - 8);
            block.extend(&coinbase[..4]);
            block.extend([0, 1]);
            block.extend(body);
            block.extend([1, 32]);
            block.extend([0; 32]);
            block.extend(lock_time);
        } else {
            block.extend(&coinbase);
        }
        for transaction in &self.transactions {
            block.extend(&transaction.bytes);
        }
        block
    }
}

/// A block header; every number little-endian, hashes as they are.
#[must_use]
pub(crate) fn assemble_header(
    version: u32,
    previous: &Hash,
    root: &Hash,
    time: u32,
    bits: u32,
    nonce: u32,
) -> [u8; 80] {
    let mut header = [0; 80];
    header[..4].copy_from_slice(&version.to_le_bytes());
    header[4..36].copy_from_slice(previous);
    header[36..68].copy_from_slice(root);
    header[68..72].copy_from_slice(&time.to_le_bytes());
    header[72..76].copy_from_slice(&bits.to_le_bytes());
    header[76..].copy_from_slice(&nonce.to_le_bytes());
    header
}

/// Stratum sends the previous hash as eight words, each with its bytes reversed.
#[must_use]
pub(crate) fn swap_words(mut hash: Hash) -> Hash {
    hash.chunks_exact_mut(4).for_each(<[u8]>::reverse);
    hash
}

/// The height as a coinbase must begin (BIP34): the shortest push of a script number; 1 to 16 are opcodes.
fn height_push(height: u32) -> Vec<u8> {
    match height {
        0 => vec![0],
        1..=16 => vec![0x50 + height as u8],
        _ => {
            let mut number = height.to_le_bytes().to_vec();
            while number.last() == Some(&0) {
                number.pop();
            }
            // The top bit is the sign.
            if number.last().is_some_and(|byte| byte & 0x80 != 0) {
                number.push(0);
            }
            number.insert(0, number.len() as u8);
            number
        }
    }
}

fn push_output(bytes: &mut Vec<u8>, value: u64, script: &[u8]) {
    bytes.extend(value.to_le_bytes());
    push_count(bytes, script.len() as u64);
    bytes.extend(script);
}

/// Bitcoin's variable-length count.
pub(crate) fn push_count(bytes: &mut Vec<u8>, count: u64) {
    match count {
        0..=0xfc => bytes.push(count as u8),
        0xfd..=0xffff => {
            bytes.push(0xfd);
            bytes.extend((count as u16).to_le_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            bytes.push(0xfe);
            bytes.extend((count as u32).to_le_bytes());
        }
        _ => {
            bytes.push(0xff);
            bytes.extend(count.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::synthetic;

    #[test]
    fn heights_are_pushed_as_bip34_wants() {
        // Pushes of blocks 227836 (BIP34's first) and of the edges of the encoding.
        assert_eq!(height_push(227_836), [3, 0xfc, 0x79, 0x03]);
        assert_eq!(height_push(1), [0x51]);
        assert_eq!(height_push(16), [0x60]);
        assert_eq!(height_push(17), [1, 17]);
        assert_eq!(height_push(127), [1, 127]);
        assert_eq!(height_push(128), [2, 128, 0]);
        assert_eq!(height_push(32_768), [3, 0, 128, 0]);
    }

    #[test]
    fn the_coinbase_script_stays_within_a_hundred_bytes_and_counts_itself() {
        for size in [4, 8] {
            let work = Work::new(synthetic(u32::MAX - 900_000, 1), u32::MAX, &ANYONE_CAN_SPEND, size, true);
            let coinbase = work.coinbase([0; 4], &vec![0; size]);
            let length = usize::from(coinbase[41]);
            assert!(length <= 100);
            assert_eq!(coinbase[42 + length..46 + length], [0xff; 4], "the sequence follows the script");
        }
    }

    #[test]
    fn rollable_bits_of_the_template_are_cleared() {
        let template = Template { version: 0x3000_0004, ..synthetic(1, 1) };
        assert_eq!(Work::new(template, 1, &ANYONE_CAN_SPEND, 4, true).version, 0x2000_0004);
    }

    #[test]
    fn the_payout_script_is_the_hash_of_op_true() {
        use sha2::{Digest, Sha256};
        assert_eq!(ANYONE_CAN_SPEND[2..], Sha256::digest([0x51])[..]);
    }
}
