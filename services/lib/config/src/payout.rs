//! Payout addresses: the text that a wallet shows, and the output script behind it.
//!
//! Sources: BIP 13, 16 (base58check), BIP 141, 173, 350 (bech32, bech32m), BIP 341.

use std::fmt;

use adit_work::header::sha256d;

/// Names of chains, as a node's `getblockchaininfo` gives them, on which an address of a kind can be paid.
type Chains = &'static [&'static str];
const MAIN: Chains = &["main"];
const TEST: Chains = &["test", "testnet4", "signet"];
const REGTEST: Chains = &["regtest"];
/// Base58 addresses of all test chains look alike.
const ANY_TEST: Chains = &["test", "testnet4", "signet", "regtest"];

const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const BECH32: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
/// What the checksum of a witness program's address comes to: of version 0, and of all later ones.
const BECH32_SUM: u32 = 1;
const BECH32M_SUM: u32 = 0x2bc8_30a3;
/// Longest address in bech32, characters.
const MAX_BECH32: usize = 90;
/// Version byte, hash, checksum.
const BASE58_BYTES: usize = 25;

const OP_DUP: u8 = 0x76;
const OP_HASH160: u8 = 0xa9;
const OP_EQUAL: u8 = 0x87;
const OP_EQUALVERIFY: u8 = 0x88;
const OP_CHECKSIG: u8 = 0xac;
const OP_1: u8 = 0x51;

/// An address that a block's reward can go to: P2PKH, P2SH, P2WPKH, P2WSH or P2TR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutAddress {
    text: String,
    script: Vec<u8>,
    chains: Chains,
}

impl PayoutAddress {
    /// The output script that pays to it, 22 to 34 bytes.
    pub fn script(&self) -> &[u8] {
        &self.script
    }

    /// Whether it belongs to a chain, named as `getblockchaininfo` names it.
    pub fn is_for(&self, chain: &str) -> bool {
        self.chains.contains(&chain)
    }

    /// The chains that it belongs to, for people.
    pub fn chains(&self) -> String {
        self.chains.join(", ")
    }

    /// `Err`: what is wrong and what would be right.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let shown: String = text.chars().take(MAX_BECH32).collect();
        let refuse = |problem: &str| format!("{shown:?} {problem}; copy the address from your wallet again");
        if !(14..=MAX_BECH32).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        {
            return Err(refuse("is not a Bitcoin address"));
        }
        let (script, chains) = match split_prefix(text) {
            Some((chains, prefix, data)) => (witness_script(text, prefix, data).map_err(refuse)?, chains),
            None => base58_script(text).map_err(refuse)?,
        };
        Ok(Self { text: text.to_owned(), script, chains })
    }
}

impl fmt::Display for PayoutAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Chains, prefix and the rest, when the text starts as a bech32 address does.
fn split_prefix(text: &str) -> Option<(Chains, &'static str, &str)> {
    [("bc", MAIN), ("tb", TEST), ("bcrt", REGTEST)].into_iter().find_map(|(prefix, chains)| {
        let (start, rest) = text.split_at_checked(prefix.len())?;
        let data = rest.strip_prefix('1').filter(|_| start.eq_ignore_ascii_case(prefix))?;
        Some((chains, prefix, data))
    })
}

fn witness_script(text: &str, prefix: &str, data: &str) -> Result<Vec<u8>, &'static str> {
    const NO_ADDRESS: &str = "is not a Bitcoin address";
    if text.bytes().any(|c| c.is_ascii_lowercase()) && text.bytes().any(|c| c.is_ascii_uppercase()) {
        return Err("mixes capital and small letters");
    }
    let value = |c: u8| BECH32.iter().position(|known| *known == c.to_ascii_lowercase());
    let values: Option<Vec<u8>> = data.bytes().map(|c| value(c).map(|value| value as u8)).collect();
    let values = values.ok_or("has a character that no such address has")?;
    let sum = checksum(prefix, &values);
    let [version, program @ .., _, _, _, _, _, _] = values.as_slice() else { return Err(NO_ADDRESS) };
    if sum != if *version == 0 { BECH32_SUM } else { BECH32M_SUM } {
        return Err("has a wrong checksum");
    }
    let program = regroup(program).ok_or(NO_ADDRESS)?;
    let opcode = match (version, program.len()) {
        (0, 20 | 32) => 0,
        (1, 32) => OP_1,
        // What has no rules yet anyone may spend.
        _ => return Err("is of a kind that is not known"),
    };
    Ok([&[opcode, program.len() as u8], program.as_slice()].concat())
}

/// The remainder that stands for prefix, data and checksum. Source: BIP 173.
fn checksum(prefix: &str, values: &[u8]) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let high = prefix.bytes().map(|c| c >> 5);
    let low = prefix.bytes().map(|c| c & 31);
    let all = high.chain([0]).chain(low).chain(values.iter().copied());
    all.fold(1, |sum, value| {
        let shifted = ((sum & 0x01ff_ffff) << 5) ^ u32::from(value);
        let taps = GENERATOR.iter().enumerate().filter(|(bit, _)| sum >> (25 + bit) & 1 == 1);
        taps.fold(shifted, |sum, (_, tap)| sum ^ tap)
    })
}

/// Groups of five bits to bytes; what is left over is fewer than five bits, all of them zero.
fn regroup(values: &[u8]) -> Option<Vec<u8>> {
    let (mut bits, mut held) = (0u32, 0u32);
    let mut bytes = Vec::with_capacity(values.len() * 5 / 8);
    for value in values {
        bits = (bits << 5) | u32::from(*value);
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    (held < 5 && bits == 0).then_some(bytes)
}

fn base58_script(text: &str) -> Result<(Vec<u8>, Chains), &'static str> {
    let bytes = base58(text).ok_or("is not a Bitcoin address")?;
    let (payload, sum) = bytes.split_at(BASE58_BYTES - 4);
    if sha256d(&[payload])[..4] != *sum {
        return Err("has a wrong checksum");
    }
    let (version, hash) = (payload[0], &payload[1..]);
    let key_hash = || [&[OP_DUP, OP_HASH160, 20], hash, &[OP_EQUALVERIFY, OP_CHECKSIG]].concat();
    let script_hash = || [&[OP_HASH160, 20], hash, &[OP_EQUAL]].concat();
    match version {
        0x00 => Ok((key_hash(), MAIN)),
        0x05 => Ok((script_hash(), MAIN)),
        0x6f => Ok((key_hash(), ANY_TEST)),
        0xc4 => Ok((script_hash(), ANY_TEST)),
        _ => Err("is of another coin"),
    }
}

/// The number behind base58 digits, most significant byte first. Each leading `1` stands for a zero byte.
fn base58(text: &str) -> Option<[u8; BASE58_BYTES]> {
    let mut bytes = [0; BASE58_BYTES];
    for c in text.bytes() {
        let mut carry = BASE58.iter().position(|known| *known == c)?;
        for byte in bytes.iter_mut().rev() {
            carry += usize::from(*byte) * 58;
            *byte = carry as u8;
            carry >>= 8;
        }
        if carry != 0 {
            return None;
        }
    }
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    (zeros == text.bytes().take_while(|c| *c == b'1').count()).then_some(bytes)
}
