//! The transaction that makes new coins, in two pieces with room for extranonces between.

/// Chosen once by each unit, so that two of them at one node and address do not search the same headers.
pub const EXTRANONCE1_SIZE: usize = 8;
pub const EXTRANONCE2_SIZE: usize = 8;

/// The coinbase's witness: one element of 32 zero bytes. Source: BIP 141.
pub(crate) const WITNESS: [u8; 34] = {
    let mut witness = [0; 34];
    (witness[0], witness[1]) = (1, 32);
    witness
};

/// What a unit puts into its coinbases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payout {
    /// Output script that gets the whole reward, at most 34 bytes.
    pub script: Vec<u8>,
    /// Text for everyone to read, at most 32 bytes.
    pub tag: String,
    pub extranonce1: [u8; EXTRANONCE1_SIZE],
}

/// What stands before the extranonces, and what behind.
pub(crate) fn pieces(payout: &Payout, height: u32, value: u64, commitment: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let height = push_height(height);
    let tag = if payout.tag.is_empty() { Vec::new() } else { prefixed(payout.tag.as_bytes()) };
    let extranonces = EXTRANONCE1_SIZE + EXTRANONCE2_SIZE;
    let script = height.len() + 1 + extranonces + tag.len();

    // Version 2; one input: no transaction, output 2^32 − 1; its script: height, extranonces, tag.
    let mut before = vec![2, 0, 0, 0, 1];
    before.extend_from_slice(&[0; 32]);
    before.extend_from_slice(&[0xff; 4]);
    before.push(script as u8);
    before.extend_from_slice(&height);
    before.push(extranonces as u8);

    // A final sequence; two outputs; no lock time.
    let mut behind = tag;
    behind.extend_from_slice(&[0xff; 4]);
    behind.push(2);
    behind.extend_from_slice(&value.to_le_bytes());
    behind.extend_from_slice(&prefixed(&payout.script));
    behind.extend_from_slice(&[0; 8]);
    behind.extend_from_slice(&prefixed(commitment));
    behind.extend_from_slice(&[0; 4]);
    (before, behind)
}

/// Bytes behind their length: a script's push, or a script in an output. Up to 75 bytes.
fn prefixed(bytes: &[u8]) -> Vec<u8> {
    [&[bytes.len() as u8], bytes].concat()
}

/// The height as the script's shortest push of a number. Source: BIP 34, and Bitcoin's `CScript`, which has opcodes of their own for 1 to 16.
fn push_height(height: u32) -> Vec<u8> {
    const OP_1: u8 = 0x51;
    if (1..=16).contains(&height) {
        return vec![OP_1 - 1 + height as u8];
    }
    let mut number = height.to_le_bytes().to_vec();
    while number.last() == Some(&0) {
        number.pop();
    }
    // The last byte's highest bit is the sign.
    if number.last().is_some_and(|byte| byte & 0x80 != 0) {
        number.push(0);
    }
    prefixed(&number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_are_pushed_as_blocks_have_them() {
        for (height, push) in [
            (1, "51"),
            (16, "60"),
            (17, "0111"),
            (127, "017f"),
            (128, "028000"),
            (256, "020001"),
            (32_768, "03008000"),
            // Blocks 227,836 (the first that had to) and 902,195 (docs: a captured job).
            (227_836, "03fc7903"),
            (902_195, "0333c40d"),
            (8_388_608, "0400008000"),
        ] {
            assert_eq!(hex::encode(push_height(height)), push, "{height}");
        }
    }
}
