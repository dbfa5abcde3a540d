//! dm-verity hash trees: version 1, SHA-256, 4096-byte data and hash blocks, no superblock.
//!
//! A digest is SHA-256(salt ‖ block). A hash block holds 128 digests, the last one of a level is filled up with zeros. On disk the
//! top level comes first and the leaves last; the root hash is the digest of the single top block, or, for an image of
//! one data block, of that block. Source: kernel `Documentation/admin-guide/device-mapper/verity.rst`; `veritysetup` is the
//! judge in the tests.

use sha2::{Digest as _, Sha256};

/// Bytes of a data block and of a hash block.
pub const BLOCK_BYTES: usize = 4096;
/// Bytes of a digest.
pub const DIGEST_BYTES: usize = 32;
/// Digests in a hash block.
pub const FAN_OUT: u64 = (BLOCK_BYTES / DIGEST_BYTES) as u64;
/// Bytes of the salt.
pub const SALT_BYTES: usize = 32;
/// Data blocks of the largest image handled: 4 GiB.
pub const MAX_DATA_BLOCKS: u64 = 1 << 20;

pub type Digest = [u8; DIGEST_BYTES];
pub type Salt = [u8; SALT_BYTES];

/// What is wrong with an image or a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerityError {
    #[error("{0} bytes are not a whole number of {BLOCK_BYTES}-byte blocks")]
    PartialBlock(u64),
    #[error("{0} data blocks: an image has between 1 and {MAX_DATA_BLOCKS}")]
    DataBlocks(u64),
    #[error("{found} bytes of hash tree, {expected} belong to {data_blocks} data blocks")]
    TreeLength { found: u64, expected: u64, data_blocks: u64 },
    #[error("hash block {0} does not match the root hash")]
    HashBlock(u64),
    #[error("data block {0} does not match the hash tree")]
    DataBlock(u64),
    #[error("there is no data block {index}: the image has {data_blocks}")]
    NoSuchBlock { index: u64, data_blocks: u64 },
}

/// Hash blocks of each level, the leaves first; empty for a single data block.
fn level_blocks(data_blocks: u64) -> Vec<u64> {
    let mut levels = Vec::new();
    let mut below = data_blocks;
    while below > 1 {
        below = below.div_ceil(FAN_OUT);
        levels.push(below);
    }
    levels
}

/// Hash blocks of the whole tree over `data_blocks`.
pub fn tree_blocks(data_blocks: u64) -> u64 {
    level_blocks(data_blocks).iter().sum()
}

fn digest(salt: &Salt, block: &[u8]) -> Digest {
    Sha256::new().chain_update(salt).chain_update(block).finalize().into()
}

/// One level under construction: its finished bytes are whole blocks but for the last.
type Level = Vec<u8>;

/// Builds the tree while the image streams by, in pieces of any size; holds one 128th of the image.
#[derive(Debug, Clone)]
pub struct TreeBuilder {
    salt: Salt,
    /// The beginning of a data block whose end has not come yet.
    partial: Vec<u8>,
    leaves: Level,
    data_blocks: u64,
}

impl TreeBuilder {
    pub fn new(salt: Salt) -> Self {
        TreeBuilder { salt, partial: Vec::with_capacity(BLOCK_BYTES), leaves: Level::new(), data_blocks: 0 }
    }

    /// Takes the next bytes of the image.
    pub fn push(&mut self, mut bytes: &[u8]) {
        if !self.partial.is_empty() {
            let taken = bytes.len().min(BLOCK_BYTES - self.partial.len());
            self.partial.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if self.partial.len() < BLOCK_BYTES {
                return;
            }
            let block = std::mem::take(&mut self.partial);
            self.add_leaf(&block);
        }
        let mut blocks = bytes.chunks_exact(BLOCK_BYTES);
        for block in &mut blocks {
            self.add_leaf(block);
        }
        self.partial.extend_from_slice(blocks.remainder());
    }

    fn add_leaf(&mut self, block: &[u8]) {
        self.leaves.extend_from_slice(&digest(&self.salt, block));
        self.data_blocks += 1;
    }

    /// The finished tree. Errors: the image was empty, too large, or ended inside a block.
    pub fn finish(self) -> Result<Tree, VerityError> {
        let bytes = self.data_blocks * BLOCK_BYTES as u64 + self.partial.len() as u64;
        if !self.partial.is_empty() {
            return Err(VerityError::PartialBlock(bytes));
        }
        check_data_blocks(self.data_blocks)?;
        let mut levels = vec![self.leaves];
        while levels[levels.len() - 1].len() > DIGEST_BYTES {
            let below = levels.last_mut().expect("starts with the leaves");
            below.resize(below.len().next_multiple_of(BLOCK_BYTES), 0);
            let above = below.chunks_exact(BLOCK_BYTES).flat_map(|block| digest(&self.salt, block)).collect();
            levels.push(above);
        }
        let root = levels.pop().expect("the loop ends with a single digest");
        Ok(Tree {
            salt: self.salt,
            root_hash: root.try_into().expect("the loop ends with a single digest"),
            data_blocks: self.data_blocks,
            bytes: levels.into_iter().rev().flatten().collect(),
        })
    }
}

fn check_data_blocks(data_blocks: u64) -> Result<(), VerityError> {
    if (1..=MAX_DATA_BLOCKS).contains(&data_blocks) {
        Ok(())
    } else {
        Err(VerityError::DataBlocks(data_blocks))
    }
}

/// A hash tree of which every block is known to belong to its root hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    salt: Salt,
    root_hash: Digest,
    data_blocks: u64,
    bytes: Vec<u8>,
}

impl Tree {
    /// Checks a tree from outside, top down, against a root hash that is trusted.
    pub fn verified(
        salt: Salt,
        root_hash: Digest,
        data_blocks: u64,
        bytes: Vec<u8>,
    ) -> Result<Self, VerityError> {
        check_data_blocks(data_blocks)?;
        let expected = tree_blocks(data_blocks) * BLOCK_BYTES as u64;
        let found = bytes.len() as u64;
        if found != expected {
            return Err(VerityError::TreeLength { found, expected, data_blocks });
        }
        // Level by level from the top, the digests that the next level has to have.
        let mut wanted: Vec<u8> = root_hash.to_vec();
        let mut index = 0_usize;
        for blocks in level_blocks(data_blocks).into_iter().rev() {
            let level = &bytes[index * BLOCK_BYTES..][..blocks as usize * BLOCK_BYTES];
            for (block, want) in level.chunks_exact(BLOCK_BYTES).zip(wanted.chunks_exact(DIGEST_BYTES)) {
                if digest(&salt, block) != *want {
                    return Err(VerityError::HashBlock(index as u64));
                }
                index += 1;
            }
            wanted = level.to_vec();
        }
        Ok(Tree { salt, root_hash, data_blocks, bytes })
    }

    /// Whether `block` is data block `index` of the image.
    pub fn verify_block(&self, index: u64, block: &[u8]) -> Result<(), VerityError> {
        if index >= self.data_blocks {
            return Err(VerityError::NoSuchBlock { index, data_blocks: self.data_blocks });
        }
        if block.len() == BLOCK_BYTES && digest(&self.salt, block) == *self.leaf(index) {
            Ok(())
        } else {
            Err(VerityError::DataBlock(index))
        }
    }

    /// The digest of data block `index`, which must exist.
    fn leaf(&self, index: u64) -> &[u8] {
        let Some(leaves) = level_blocks(self.data_blocks).first().copied() else { return &self.root_hash };
        let start = self.bytes.len() - leaves as usize * BLOCK_BYTES + index as usize * DIGEST_BYTES;
        &self.bytes[start..start + DIGEST_BYTES]
    }

    pub fn root_hash(&self) -> &Digest {
        &self.root_hash
    }

    pub fn data_blocks(&self) -> u64 {
        self.data_blocks
    }

    /// The tree as it lies on disk after the data.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
