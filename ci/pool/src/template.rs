//! Block templates: what a node wants in the next block, or something made up that looks like it.

use serde::Deserialize;

use crate::hash::{self, Hash};

/// What a job is built from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template {
    pub height: u32,
    pub version: u32,
    pub previous: Hash,
    /// Compact network target.
    pub bits: u32,
    /// Unix seconds, the node's idea of now, never below the least that it would accept.
    pub time: u32,
    /// What the coinbase may pay, in satoshis.
    pub reward: u64,
    /// The output script that commits to the witnesses of all transactions.
    pub witness_commitment: Vec<u8>,
    pub transactions: Vec<Transaction>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Transaction {
    /// Without witness: what the merkle tree holds.
    pub id: Hash,
    /// As it goes into a block, witness included.
    pub bytes: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
#[error("template of the node: {field} is {value}")]
pub struct BadTemplate {
    field: &'static str,
    value: String,
}

/// The part of a `getblocktemplate` reply that is used here. Source: BIP22, BIP23, BIP145.
#[derive(Deserialize)]
pub(crate) struct NodeTemplate {
    height: u32,
    version: u32,
    previousblockhash: String,
    bits: String,
    curtime: u32,
    coinbasevalue: u64,
    #[serde(default)]
    default_witness_commitment: String,
    transactions: Vec<NodeTransaction>,
}

#[derive(Deserialize)]
struct NodeTransaction {
    txid: String,
    data: String,
}

impl TryFrom<NodeTemplate> for Template {
    type Error = BadTemplate;

    fn try_from(node: NodeTemplate) -> Result<Self, BadTemplate> {
        let bad = |field, value: &str| BadTemplate { field, value: format!("{value:.80?}") };
        let hash = |field, text: &str| hash::parse_display(text).ok_or_else(|| bad(field, text));
        let bytes = |field, text: &str| hex::decode(text).map_err(|_| bad(field, text));
        let transactions = node.transactions.iter().map(|transaction| {
            Ok(Transaction { id: hash("txid", &transaction.txid)?, bytes: bytes("data", &transaction.data)? })
        });
        Ok(Self {
            height: node.height,
            version: node.version,
            previous: hash("previousblockhash", &node.previousblockhash)?,
            bits: u32::from_str_radix(&node.bits, 16).map_err(|_| bad("bits", &node.bits))?,
            time: node.curtime,
            reward: node.coinbasevalue,
            witness_commitment: bytes("default_witness_commitment", &node.default_witness_commitment)?,
            transactions: transactions.collect::<Result<_, BadTemplate>>()?,
        })
    }
}

/// A template that no chain stands behind: the `block`-th block of a made-up chain, with three made-up transactions, so that a
/// job has two branches. Its network target is one of the main network's, far out of reach.
#[must_use]
pub(crate) fn synthetic(block: u32, now: u32) -> Template {
    let mut previous = hash::sha256d(&[b"previous".as_slice(), &block.to_le_bytes()].concat());
    previous[24..].fill(0);
    let transactions = (0..3u8).map(|i| Transaction {
        id: hash::sha256d(&[b"transaction".as_slice(), &block.to_le_bytes(), &[i]].concat()),
        bytes: Vec::new(),
    });
    Template {
        height: 900_000 + block,
        version: 0x2000_0000,
        previous,
        bits: 0x1702_3a04,
        time: now,
        reward: 312_500_000,
        witness_commitment: [[0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed].as_slice(), &hash::sha256d(&[0; 64])]
            .concat(),
        transactions: transactions.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_with_a_broken_field_is_refused_with_its_name() {
        let reply = serde_json::json!({
            "height": 102, "version": 0x3000_0000, "previousblockhash": "00".repeat(31), "bits": "207fffff", "curtime": 1,
            "coinbasevalue": 5_000_000_000u64, "transactions": []
        });
        let node: NodeTemplate = serde_json::from_value(reply).unwrap();
        let error = Template::try_from(node).unwrap_err().to_string();
        assert!(error.contains("previousblockhash"), "{error}");
    }
}
