//! SHA-256d and merkle trees, in header byte order throughout.

use sha2::{Digest, Sha256};

/// A double SHA-256 in header ("internal") byte order; people read it reversed.
pub(crate) type Hash = [u8; 32];

#[must_use]
pub(crate) fn sha256d(bytes: &[u8]) -> Hash {
    Sha256::digest(Sha256::digest(bytes)).into()
}

fn pair(left: &Hash, right: &Hash) -> Hash {
    let mut both = [0; 64];
    both[..32].copy_from_slice(left);
    both[32..].copy_from_slice(right);
    sha256d(&both)
}

/// The merkle branch of the coinbase: what has to be hashed to its right, level by level. `others` are the ids of all other transactions.
#[must_use]
pub(crate) fn coinbase_branch(others: &[Hash]) -> Vec<Hash> {
    // Each level without its first node, which depends on the coinbase.
    let mut level = others.to_vec();
    let mut branch = Vec::new();
    while let Some((&first, rest)) = level.split_first() {
        branch.push(first);
        // An odd node at the end is paired with itself.
        level = rest
            .chunks(2)
            .map(|nodes| pair(&nodes[0], nodes.last().expect("chunks are not empty")))
            .collect();
    }
    branch
}

/// The merkle root of a block from its coinbase id and that branch.
#[must_use]
pub(crate) fn merkle_root(coinbase: Hash, branch: &[Hash]) -> Hash {
    branch.iter().fold(coinbase, |node, right| pair(&node, right))
}

/// As people and the node's RPC write a hash: most significant byte first.
#[must_use]
pub(crate) fn display(hash: &Hash) -> String {
    hex::encode(hash.iter().rev().copied().collect::<Vec<_>>())
}

/// The reverse of [`display`].
#[must_use]
pub(crate) fn parse_display(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash).ok()?;
    hash.reverse();
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(text: &str) -> Hash {
        parse_display(text).unwrap()
    }

    /// Block 100000 of the main network: four transactions.
    #[test]
    fn the_branch_of_a_real_block_gives_its_merkle_root() {
        let others = [
            "fff2525b8931402dd09222c50775608f75787bd2b87e56995a7bdd30f79702c4",
            "6359f0868171b1d194cbee1af2f16ea598ae8fad666d9b012c8ed2b79a236ec4",
            "e9a66845e05d5abc0ad04ec80f774a7e585c6e8db975962d069a522137b80c1d",
        ]
        .map(hash);
        let coinbase = hash("8c14f0db3df150123e6f3dbbf30f8b955a8249b62ac1d1ff16284aefa3d06d87");
        let branch = coinbase_branch(&others);
        assert_eq!(branch.len(), 2);
        assert_eq!(
            display(&merkle_root(coinbase, &branch)),
            "f3e94742aca4b5ef85488dc37c06c3282295ffec960994b2c0d5ac2a25a95766"
        );
    }

    #[test]
    fn a_branch_agrees_with_the_whole_tree_for_every_count() {
        for count in 0..20u8 {
            let all: Vec<Hash> = (0..=count).map(|i| sha256d(&[i])).collect();
            let mut level = all.clone();
            while level.len() > 1 {
                if level.len() % 2 == 1 {
                    level.push(*level.last().unwrap());
                }
                level = level.chunks(2).map(|two| sha256d(&two.concat())).collect();
            }
            assert_eq!(
                merkle_root(all[0], &coinbase_branch(&all[1..])),
                level[0],
                "{count} other transactions"
            );
        }
    }
}
