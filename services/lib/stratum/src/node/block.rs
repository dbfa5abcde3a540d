//! From a template and a share to the bytes that a node takes.

use adit_work::{BlockHash, Header, merkle};

use super::{coinbase::WITNESS, template::Template};
use crate::v1::Share;

/// A block to hand in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    pub hash: BlockHash,
    pub height: u32,
    pub prev_hash: [u8; 32],
    /// Header, count, coinbase, transactions.
    pub bytes: Vec<u8>,
}

impl Block {
    /// `None` when the hash is above the template's target: a share only.
    pub(super) fn new(template: &Template, share: &Share<'_>) -> Option<Self> {
        let Template { coinbase1, extranonce1, coinbase2, .. } = template;
        let pieces: [&[u8]; 4] = [coinbase1, extranonce1, share.extranonce2, coinbase2];
        let header = Header {
            version: share.version,
            prev_hash: template.prev_hash,
            merkle_root: merkle::root(&pieces, &template.branch),
            ntime: share.ntime,
            nbits: template.nbits,
            nonce: share.nonce,
        };
        let hash = header.hash();
        if !template.target.is_met_by(&hash) {
            return None;
        }
        let mut bytes = Vec::with_capacity(Header::LEN + 1024 + template.transactions.len());
        bytes.extend_from_slice(&header.to_bytes());
        push_count(&mut bytes, template.transaction_count as u64 + 1);
        push_with_witness(&mut bytes, &pieces.concat());
        bytes.extend_from_slice(&template.transactions);
        Some(Self { hash, height: template.height, prev_hash: template.prev_hash, bytes })
    }
}

/// Version, marker, flag, inputs and outputs, witness, lock time. Source: BIP 144.
fn push_with_witness(bytes: &mut Vec<u8>, coinbase: &[u8]) {
    let (version, rest) = coinbase.split_at(4);
    let (inputs_and_outputs, lock_time) = rest.split_at(rest.len() - 4);
    for part in [version, &[0, 1], inputs_and_outputs, &WITNESS, lock_time] {
        bytes.extend_from_slice(part);
    }
}

/// A count as blocks have it ("compact size").
fn push_count(bytes: &mut Vec<u8>, count: u64) {
    match count {
        0..0xfd => bytes.push(count as u8),
        0xfd..0x1_0000 => {
            bytes.push(0xfd);
            bytes.extend_from_slice(&(count as u16).to_le_bytes());
        }
        _ => {
            bytes.push(0xfe);
            bytes.extend_from_slice(&(count as u32).to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn counts_are_as_short_as_they_can_be() {
        for (count, expected) in
            [(1, "01"), (252, "fc"), (253, "fdfd00"), (65_535, "fdffff"), (65_536, "fe00000100")]
        {
            let mut bytes = Vec::new();
            super::push_count(&mut bytes, count);
            assert_eq!(hex::encode(bytes), expected);
        }
    }
}
