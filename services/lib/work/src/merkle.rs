//! From a coinbase to the merkle root.

use crate::header::sha256d;

/// Root over the coinbase, whose pieces are given in order (coinbase 1, extranonce 1, extranonce 2, coinbase 2), and the branch that a
/// pool sends: what stands to the right of the coinbase on each level, lowest first. Hashes are header bytes.
pub fn root(coinbase: &[&[u8]], branch: &[[u8; 32]]) -> [u8; 32] {
    branch.iter().fold(sha256d(coinbase), |left, right| sha256d(&[&left, right]))
}
