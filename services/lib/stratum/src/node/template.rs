//! What a node would put into the next block, checked.

use std::borrow::Cow;

use adit_work::{
    BlockHash, Target,
    header::{BIP320_MASK, sha256d},
    target::{self, TargetError},
};
use serde::Deserialize;

use super::{
    block::Block,
    calls::{self, CallError},
    coinbase::{self, EXTRANONCE1_SIZE, EXTRANONCE2_SIZE, Payout, WITNESS},
    transactions::{Hash, MAX_WEIGHT, Transactions},
};
use crate::{
    text,
    v1::{Job, Share},
};

/// Longest long poll id, bytes. Nodes make them of a block's hash and a number.
pub const MAX_LONG_POLL_ID: usize = 256;
/// All coins that there will ever be, in satoshis.
const MAX_VALUE: u64 = 2_100_000_000_000_000;
/// Rules that we follow. Those of a witness block, and on a signet the one that a block needs no signature.
const KNOWN_RULES: [&str; 2] = ["segwit", "signet"];
const MAX_RULES: usize = 64;
/// Script that anyone can satisfy, in hexadecimal digits: the challenge of a signet whose blocks need no signature.
const OP_TRUE: &str = "51";
/// OP_RETURN, 36 bytes, the commitment's mark. Source: BIP 141.
const COMMITMENT: [u8; 6] = [0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];

/// Work from a node, complete in itself.
#[derive(Debug, PartialEq, Eq)]
pub struct Template {
    pub height: u32,
    /// As in the header.
    pub prev_hash: [u8; 32],
    pub version: u32,
    pub nbits: u32,
    /// What `nbits` says.
    pub target: Target,
    /// The node's idea of now, never below what the chain allows; seconds since 1970.
    pub time: u32,
    /// What the coinbase pays out, satoshis.
    pub value: u64,
    /// To be told when there is another template: see [`calls::template`].
    pub long_poll_id: String,
    pub transaction_count: usize,
    pub(super) coinbase1: Vec<u8>,
    pub(super) extranonce1: [u8; EXTRANONCE1_SIZE],
    pub(super) coinbase2: Vec<u8>,
    pub(super) branch: Vec<[u8; 32]>,
    pub(super) transactions: Vec<u8>,
}

/// Why there is nothing to mine.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TemplateError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("there is no result")]
    Nothing,
    #[error("{name} is {value}, which cannot be")]
    Field { name: &'static str, value: String },
    #[error("bits: {0}")]
    Bits(#[from] TargetError),
    #[error("target is not what bits {nbits:08x} say")]
    Target { nbits: u32 },
    #[error("curtime {now} is before mintime {least}")]
    Time { now: u32, least: u32 },
    #[error("rule {0} is not known here")]
    Rule(String),
    #[error("blocks of this signet need a signature of its operators")]
    Signet,
    #[error("version bits {0:08x} must be set, which are rolled")]
    VersionBits(u32),
    #[error("the witness commitment is not that of the transactions")]
    Commitment,
    #[error("a block of weight {weight} is heavier than {limit}")]
    Weight { weight: u64, limit: u64 },
}

/// The part of the answer that is used.
#[derive(Deserialize)]
struct Answer<'a> {
    height: u32,
    /// Signed in the answer; nodes think of it as bits.
    version: i32,
    #[serde(borrow)]
    bits: Cow<'a, str>,
    #[serde(borrow)]
    target: Cow<'a, str>,
    previousblockhash: Hash,
    curtime: u32,
    mintime: u32,
    coinbasevalue: u64,
    weightlimit: u64,
    #[serde(borrow)]
    default_witness_commitment: Cow<'a, str>,
    #[serde(borrow)]
    longpollid: Cow<'a, str>,
    #[serde(default)]
    rules: Rules,
    #[serde(default)]
    vbrequired: u32,
    #[serde(borrow)]
    signet_challenge: Option<Cow<'a, str>>,
    transactions: Transactions,
}

impl Template {
    /// From the answer to [`calls::template`].
    pub fn read(answer: &[u8], payout: &Payout) -> Result<Self, TemplateError> {
        let answer: Answer<'_> = calls::result(answer)?.ok_or(TemplateError::Nothing)?;
        let target = check_target(&answer)?;
        check_rules(&answer)?;
        let field = |name, value: &dyn std::fmt::Display| {
            Err(TemplateError::Field { name, value: value.to_string() })
        };
        if answer.height == 0 || answer.height > i32::MAX as u32 {
            return field("height", &answer.height);
        }
        if answer.curtime < answer.mintime {
            return Err(TemplateError::Time { now: answer.curtime, least: answer.mintime });
        }
        if answer.coinbasevalue > MAX_VALUE {
            return field("coinbasevalue", &answer.coinbasevalue);
        }
        if !(1..=MAX_LONG_POLL_ID).contains(&answer.longpollid.len()) {
            return field("longpollid", &format_args!("{} bytes long", answer.longpollid.len()));
        }
        let Transactions { bytes, weight, ids, witness_ids } = answer.transactions;
        let commitment = commitment(&witness_ids);
        if !hex::decode(&*answer.default_witness_commitment).is_ok_and(|theirs| theirs == commitment) {
            return Err(TemplateError::Commitment);
        }
        let (coinbase1, coinbase2) =
            coinbase::pieces(payout, answer.height, answer.coinbasevalue, &commitment);
        let coinbase = coinbase1.len() + EXTRANONCE1_SIZE + EXTRANONCE2_SIZE + coinbase2.len();
        // Header and count (at most three bytes) weigh four times their length, so does the coinbase but for marker, flag and witness.
        let own = 4 * (80 + 3 + coinbase) + 2 + WITNESS.len();
        let (weight, limit) = (weight + own as u64, answer.weightlimit.min(MAX_WEIGHT));
        if weight > limit {
            return Err(TemplateError::Weight { weight, limit });
        }
        Ok(Self {
            height: answer.height,
            prev_hash: answer.previousblockhash.0,
            version: answer.version as u32,
            nbits: target.0,
            target: target.1,
            time: answer.curtime,
            value: answer.coinbasevalue,
            long_poll_id: answer.longpollid.into_owned(),
            transaction_count: ids.len(),
            coinbase1,
            extranonce1: payout.extranonce1,
            coinbase2,
            branch: branch(ids),
            transactions: bytes,
        })
    }

    /// The job to mine. Every hash that meets the block's target is a share; the very first above it may be one too.
    pub fn job(&self, id: String) -> Job {
        Job {
            id,
            prev_hash: self.prev_hash,
            coinbase1: self.coinbase1.clone(),
            coinbase2: self.coinbase2.clone(),
            branch: self.branch.clone(),
            version: self.version,
            nbits: self.nbits,
            ntime: self.time,
            clean: false,
            extranonce1: self.extranonce1.to_vec(),
            extranonce2_size: EXTRANONCE2_SIZE,
            difficulty: self.difficulty(),
        }
    }

    /// Of the block, rounded down: a share's target is computed from it, and no block must be lost to rounding.
    pub fn difficulty(&self) -> f64 {
        target::difficulty(&BlockHash(self.target.to_bytes())).next_down().next_down()
    }

    /// The block that a share makes; `None` when it is none. The share is of a job of this template.
    pub fn block(&self, share: &Share<'_>) -> Option<Block> {
        Block::new(self, share)
    }
}

/// Compact form and target.
fn check_target(answer: &Answer<'_>) -> Result<(u32, Target), TemplateError> {
    let mut nbits = [0; 4];
    hex::decode_to_slice(&*answer.bits, &mut nbits)
        .map_err(|_| TemplateError::Field { name: "bits", value: text::raw(&answer.bits) })?;
    let nbits = u32::from_be_bytes(nbits);
    let target = Target::from_nbits(nbits)?;
    if answer.target.eq_ignore_ascii_case(&target.to_string()) {
        Ok((nbits, target))
    } else {
        Err(TemplateError::Target { nbits })
    }
}

fn check_rules(answer: &Answer<'_>) -> Result<(), TemplateError> {
    // A rule with an exclamation mark must be known: blocks made without knowing it would be refused. Source: BIP 9.
    let unknown = |rule: &&String| rule.strip_prefix('!').is_some_and(|rule| !KNOWN_RULES.contains(&rule));
    if let Some(rule) = answer.rules.0.iter().find(unknown) {
        return Err(TemplateError::Rule(text::raw(rule)));
    }
    if answer.signet_challenge.as_ref().is_some_and(|challenge| challenge != OP_TRUE) {
        return Err(TemplateError::Signet);
    }
    match answer.vbrequired & BIP320_MASK {
        0 => Ok(()),
        bits => Err(TemplateError::VersionBits(bits)),
    }
}

/// What stands to the right of the coinbase on each level of the tree over it and `ids`, lowest first.
fn branch(ids: Vec<[u8; 32]>) -> Vec<[u8; 32]> {
    let mut branch = Vec::new();
    // A level without its leftmost hash, which is the coinbase's.
    let mut level = ids;
    while let Some((sibling, rest)) = level.split_first() {
        branch.push(*sibling);
        level = rest.chunks(2).map(|pair| sha256d(&[&pair[0], pair.last().unwrap_or(&pair[0])])).collect();
    }
    branch
}

/// The output script that commits to all witnesses, the coinbase's own hash being zero and its witness 32 zero bytes. Source: BIP 141.
fn commitment(witness_ids: &[[u8; 32]]) -> Vec<u8> {
    let root = branch(witness_ids.to_vec()).iter().fold([0; 32], |left, right| sha256d(&[&left, right]));
    [COMMITMENT.as_slice(), &sha256d(&[&root, &[0; 32]])].concat()
}

/// A list of texts that has an end.
#[derive(Default)]
struct Rules(Vec<String>);

impl<'de> Deserialize<'de> for Rules {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> serde::de::Visitor<'de> for List {
            type Value = Rules;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "a list of at most {MAX_RULES} rules")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Rules, A::Error> {
                let mut rules = Vec::new();
                while let Some(rule) = list.next_element()? {
                    if rules.len() == MAX_RULES {
                        return Err(serde::de::Error::invalid_length(MAX_RULES + 1, &self));
                    }
                    rules.push(rule);
                }
                Ok(Rules(rules))
            }
        }
        deserializer.deserialize_seq(List)
    }
}
