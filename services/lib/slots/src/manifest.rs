//! The slot manifest: what a release consists of, and for which boards. `docs/slot-manifest.md` is the frozen format.
//!
//! It carries no signature: it is a target of signed update metadata, and on the build machine it lies beside what it describes.

use serde::{Deserialize, Serialize};

use crate::verity::{self, BLOCK_BYTES, DIGEST_BYTES, Digest, SALT_BYTES, Salt};

/// The format's version.
pub const VERSION: u32 = 1;
/// Bytes of the longest manifest read.
pub const MAX_BYTES: usize = 8192;
/// Bytes of the largest FIT: boot partitions are smaller on every board.
pub const MAX_BOOT_BYTES: u64 = 64 << 20;

const MAX_BOARD: usize = 32;
const MAX_RELEASE: usize = 64;
/// Last second of the year 9999: a build time beyond it is a mistake.
const MAX_BUILT: u64 = 253_402_300_799;

/// Everything that has to be known to write a slot and to check it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub version: u32,
    /// Folder name under `image/boards`; the slot runs on no other board.
    pub board: String,
    pub release: Release,
    /// Partition layout that the slot expects; a unit with another layout cannot take it.
    pub layout: u32,
    pub boot: Boot,
    pub root: Root,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    pub version: String,
    /// Seconds since 1970: also the earliest time that a unit running this release believes.
    pub built: u64,
}

/// The FIT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boot {
    pub bytes: u64,
    #[serde(with = "hex_text")]
    pub sha256: Digest,
}

/// The root file system with its hash tree behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// Bytes of the file system, without the tree.
    pub bytes: u64,
    pub data_blocks: u64,
    /// Block of the partition at which the tree begins.
    pub hash_start_block: u64,
    pub algorithm: Algorithm,
    #[serde(with = "hex_text")]
    pub salt: Salt,
    #[serde(with = "hex_text")]
    pub root_hash: Digest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    Sha256,
}

/// Why a text is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("{0} bytes: a manifest has at most {MAX_BYTES}")]
    TooLong(usize),
    #[error("not a slot manifest")]
    Json(#[source] serde_json::Error),
    #[error("format version {0}, this program reads {VERSION}")]
    Version(u32),
    #[error("{field} is {value:?}, expected {expected}")]
    Field { field: &'static str, value: String, expected: String },
}

fn field(field: &'static str, value: &impl ToString, expected: &impl ToString) -> ManifestError {
    ManifestError::Field { field, value: value.to_string(), expected: expected.to_string() }
}

impl Root {
    /// Describes `tree` when it lies directly behind its data.
    pub fn describe(tree: &verity::Tree, salt: Salt) -> Self {
        Root {
            bytes: tree.data_blocks() * BLOCK_BYTES as u64,
            data_blocks: tree.data_blocks(),
            hash_start_block: tree.data_blocks(),
            algorithm: Algorithm::Sha256,
            salt,
            root_hash: *tree.root_hash(),
        }
    }

    /// Bytes of file system and tree together: what is written to the root partition.
    pub fn partition_bytes(&self) -> u64 {
        (self.hash_start_block + verity::tree_blocks(self.data_blocks)) * BLOCK_BYTES as u64
    }
}

impl Manifest {
    /// Reads and checks a manifest. Errors: anything unknown, missing, twice, out of bounds or contradictory.
    pub fn parse(text: &[u8]) -> Result<Self, ManifestError> {
        if text.len() > MAX_BYTES {
            return Err(ManifestError::TooLong(text.len()));
        }
        let manifest: Manifest = serde_json::from_slice(text).map_err(ManifestError::Json)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The manifest as text: always the same for the same content.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a manifest has no map with odd keys");
        text.push('\n');
        text
    }

    /// Checks what the types do not.
    pub fn check(&self) -> Result<(), ManifestError> {
        if self.version != VERSION {
            return Err(ManifestError::Version(self.version));
        }
        if !is_board_name(&self.board) {
            let expected = format!(
                "1 to {MAX_BOARD} lower-case letters, digits and dashes, a letter or digit at each end"
            );
            return Err(field("board", &self.board, &expected));
        }
        let release = &self.release;
        if !is_release_version(&release.version) {
            let expected =
                format!("1 to {MAX_RELEASE} letters, digits, dots, dashes and plus signs, a digit first");
            return Err(field("release.version", &release.version, &expected));
        }
        if release.built > MAX_BUILT {
            return Err(field("release.built", &release.built, &format!("at most {MAX_BUILT}")));
        }
        if self.layout == 0 {
            return Err(field("layout", &self.layout, &"1 or more"));
        }
        if !(1..=MAX_BOOT_BYTES).contains(&self.boot.bytes) {
            return Err(field("boot.bytes", &self.boot.bytes, &format!("1 to {MAX_BOOT_BYTES}")));
        }
        let root = &self.root;
        if !(1..=verity::MAX_DATA_BLOCKS).contains(&root.data_blocks) {
            return Err(field(
                "root.data_blocks",
                &root.data_blocks,
                &format!("1 to {}", verity::MAX_DATA_BLOCKS),
            ));
        }
        let bytes = root.data_blocks * BLOCK_BYTES as u64;
        if root.bytes != bytes {
            return Err(field(
                "root.bytes",
                &root.bytes,
                &format!("{bytes}: data_blocks times {BLOCK_BYTES}"),
            ));
        }
        if root.hash_start_block != root.data_blocks {
            let expected = format!("{}: the tree lies directly behind the data", root.data_blocks);
            return Err(field("root.hash_start_block", &root.hash_start_block, &expected));
        }
        Ok(())
    }
}

/// Names of boards, also used in paths: `[a-z0-9]([a-z0-9-]*[a-z0-9])?`.
fn is_board_name(name: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(|b| *b != b'-');
    let bytes = name.as_bytes();
    bytes.len() <= MAX_BOARD
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// Release versions, as Semantic Versioning spells them; order is not judged here.
fn is_release_version(version: &str) -> bool {
    let bytes = version.as_bytes();
    bytes.len() <= MAX_RELEASE
        && bytes.first().is_some_and(u8::is_ascii_digit)
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'+'))
}

/// 32 bytes as 64 lower-case hexadecimal digits.
mod hex_text {
    use super::{DIGEST_BYTES, SALT_BYTES};
    use serde::de::{Deserialize as _, Deserializer, Error as _};
    use serde::ser::Serializer;

    const BYTES: usize = DIGEST_BYTES;
    const _: () = assert!(SALT_BYTES == BYTES);

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; BYTES], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; BYTES], D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; BYTES];
        let lower = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match hex::decode_to_slice(&text, &mut bytes) {
            Ok(()) if lower => Ok(bytes),
            _ => Err(D::Error::custom(format!("expected {} lower-case hexadecimal digits", 2 * BYTES))),
        }
    }
}
