//! The frozen format of the slot manifest: one golden text, and what is refused.

use adit_slots::manifest::{Algorithm, Boot, MAX_BYTES, Manifest, Release, Root};
use proptest::prelude::*;

const GOLDEN: &str = include_str!("golden/manifest.json");

fn described() -> Manifest {
    Manifest {
        version: 1,
        board: "qemu-aarch64".into(),
        release: Release { version: "0.1.0".into(), built: 1_767_225_600 },
        layout: 1,
        boot: Boot { bytes: 3_400_000, sha256: [0x0f; 32] },
        root: Root {
            bytes: 1_228_800,
            data_blocks: 300,
            hash_start_block: 300,
            algorithm: Algorithm::Sha256,
            salt: [0xad; 32],
            root_hash: [0x17; 32],
        },
    }
}

#[test]
fn the_frozen_text_is_read_and_written_unchanged() {
    assert_eq!(Manifest::parse(GOLDEN.as_bytes()).unwrap(), described());
    assert_eq!(described().to_json(), GOLDEN);
}

#[test]
fn the_partition_holds_the_data_and_its_tree() {
    // 300 data blocks: three leaf blocks and one above them.
    assert_eq!(described().root.partition_bytes(), (300 + 4) * 4096);
}

#[test]
fn anything_else_is_refused() {
    let digits = "17".repeat(32);
    for (from, to, complaint) in [
        ("\"version\": 1,", "\"version\": 2,", "format version 2"),
        ("\"version\": 1,", "", "missing field `version`"),
        ("\"version\": 1,", "\"version\": 1, \"version\": 1,", "duplicate field"),
        ("\"layout\": 1,", "\"layout\": 1, \"signed\": true,", "unknown field `signed`"),
        ("\"built\"", "\"by\": \"me\", \"built\"", "unknown field `by`"),
        ("\"layout\": 1,", "\"layout\": 0,", "layout is \"0\""),
        ("\"layout\": 1,", "\"layout\": -1,", "invalid value"),
        ("qemu-aarch64", "../etc", "board is"),
        ("qemu-aarch64", "", "board is"),
        ("qemu-aarch64", "-x", "board is"),
        ("qemu-aarch64", "Qemu", "board is"),
        ("0.1.0", "v0.1.0", "release.version is"),
        ("0.1.0", "0.1 0", "release.version is"),
        ("0.1.0", "", "release.version is"),
        ("1767225600", "253402300800", "release.built is"),
        ("3400000", "0", "boot.bytes is"),
        ("3400000", "67108865", "boot.bytes is"),
        ("\"bytes\": 1228800", "\"bytes\": 1228801", "root.bytes is"),
        ("\"data_blocks\": 300", "\"data_blocks\": 0", "root.data_blocks is"),
        ("\"data_blocks\": 300", "\"data_blocks\": 1048577", "root.data_blocks is"),
        ("\"hash_start_block\": 300", "\"hash_start_block\": 301", "root.hash_start_block is"),
        ("\"sha256\",", "\"sha1\",", "unknown variant `sha1`"),
        (&digits, &digits[2..], "64 lower-case"),
        (&digits, &"1A".repeat(32), "64 lower-case"),
        (&digits, &"zz".repeat(32), "64 lower-case"),
        ("\n}\n", "\n}\n{}", "trailing characters"),
    ] {
        let text = GOLDEN.replacen(from, to, 1);
        assert_ne!(text, GOLDEN, "{from} is not in the golden text");
        let error = Manifest::parse(text.as_bytes()).unwrap_err();
        let chain = match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        assert!(chain.contains(complaint), "{from} -> {to}: {chain}");
    }
    let long = format!("{GOLDEN}{}", " ".repeat(MAX_BYTES));
    assert!(Manifest::parse(long.as_bytes()).unwrap_err().to_string().contains("at most"));
}

proptest! {
    #[test]
    fn one_changed_byte_never_panics_and_never_passes_unnoticed(at in 0..GOLDEN.len(), byte in any::<u8>()) {
        let mut text = GOLDEN.as_bytes().to_vec();
        text[at] = byte;
        if let Ok(manifest) = Manifest::parse(&text) {
            let unchanged = manifest == described();
            let blank = GOLDEN.as_bytes()[at].is_ascii_whitespace();
            prop_assert!(!unchanged || blank || GOLDEN.as_bytes()[at] == byte);
            prop_assert!(manifest.check().is_ok());
        }
    }
}
