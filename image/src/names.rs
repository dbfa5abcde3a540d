//! Identifiers that are made from names, so that the same image has the same ones every time.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// 32 bytes that belong to this path of names.
pub(crate) fn bytes(path: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix("adit image\0");
    for name in path {
        hash.update(name);
        hash.update([0]);
    }
    hash.finalize().into()
}

/// A UUID for this path of names: version 8, "custom", of RFC 9562.
pub(crate) fn uuid(path: &[&str]) -> Uuid {
    let bytes = bytes(path);
    Uuid::new_v8(*bytes.first_chunk().expect("32 bytes have a first 16"))
}

/// The serial number of a FAT volume.
pub(crate) fn volume(path: &[&str]) -> u32 {
    let bytes = bytes(path);
    u32::from_le_bytes(*bytes.first_chunk().expect("32 bytes have a first 4"))
}
