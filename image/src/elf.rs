//! A look at the head of an executable: a program for another processor, or one that needs a loader, must not get into an image.

use std::fs;
use std::path::Path;

use crate::error::{At as _, Error, Result};

const PT_INTERP: u32 = 3;

/// Checks that `path` is a static ELF executable for `target` (a Rust target triple).
pub(crate) fn check_static(path: &Path, target: &str) -> Result<()> {
    let bytes = fs::read(path).at("reading", path)?;
    let Some((machine, interpreted)) = head(&bytes) else {
        return Err(Error::file(path, "is not a little-endian ELF executable"));
    };
    // e_machine: 40 ARM, 62 x86-64, 183 AArch64.
    let wanted = match target.split('-').next().unwrap_or_default() {
        "aarch64" => 183,
        "x86_64" => 62,
        arm if arm.starts_with("arm") => 40,
        other => return Err(Error::input(target, format!("no ELF machine is known for {other}"))),
    };
    if machine != wanted {
        return Err(Error::file(path, format!("is for ELF machine {machine}, {target} is {wanted}")));
    }
    if interpreted {
        return Err(Error::file(path, "needs a dynamic loader, the image has none: link it statically"));
    }
    Ok(())
}

/// Machine number, and whether the file asks for an interpreter. Source: System V ABI, "Object Files".
fn head(bytes: &[u8]) -> Option<(u16, bool)> {
    let half = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let long = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    if !bytes.starts_with(b"\x7fELF") || *bytes.get(5)? != 1 {
        return None;
    }
    let (table, size_at) = match bytes.get(4)? {
        1 => (u64::from(word(28)?), 42),
        2 => (long(32)?, 54),
        _ => return None,
    };
    let (entry_bytes, entries) = (u64::from(half(size_at)?), u64::from(half(size_at + 2)?));
    for index in 0..entries {
        let at = usize::try_from(table.checked_add(index * entry_bytes)?).ok()?;
        if word(at)? == PT_INTERP {
            return Some((half(18)?, true));
        }
    }
    Some((half(18)?, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_test_is_for_this_machine_and_needs_a_loader() {
        let own = std::env::current_exe().unwrap();
        let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
        let error = check_static(&own, &target).unwrap_err().to_string();
        assert!(error.contains("dynamic loader"), "{error}");
        let error = check_static(&own, "armv7-unknown-linux-musleabihf").unwrap_err().to_string();
        assert!(error.contains("is for ELF machine"), "{error}");
    }

    #[test]
    fn a_text_and_a_cut_off_header_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        for bytes in [&b"#!/bin/sh\n"[..], b"\x7fELF\x02\x01", &[0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0]] {
            fs::write(&path, bytes).unwrap();
            assert!(check_static(&path, "aarch64-unknown-linux-musl").is_err());
        }
    }
}
