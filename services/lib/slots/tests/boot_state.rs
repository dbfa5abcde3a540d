//! The codec of the boot state's copies, judged by U-Boot's own tools, and the choice between the two.

use std::fs;
use std::process::Command;

use adit_slots::boot_state::{BlockError, COPY_BYTES, MAX_SEQUENCE};
use adit_slots::{BootState, Half, Loaded, Slot, Tries};
use proptest::prelude::*;

/// A block with a right CRC around any data.
fn sealed(data: &[u8]) -> Vec<u8> {
    let mut block = vec![0; COPY_BYTES];
    block[4..4 + data.len()].copy_from_slice(data);
    let crc = crc32fast::hash(&block[4..]);
    block[..4].copy_from_slice(&crc.to_le_bytes());
    block
}

fn slots() -> impl Strategy<Value = Slot> {
    prop_oneof![Just(Slot::A), Just(Slot::B)]
}

fn states() -> impl Strategy<Value = BootState> {
    (1..=MAX_SEQUENCE, slots(), 0..=0xf_u8, 0..=0xf_u8, proptest::option::of(slots())).prop_map(
        |(sequence, preferred, a, b, trial)| BootState { sequence, preferred, left: Tries { a, b }, trial },
    )
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{:?}: {error}: apt-get install libubootenv-tool u-boot-tools", command.get_program())
    });
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the tools print text")
}

#[test]
fn fw_printenv_reads_what_is_encoded() {
    let folder = tempfile::tempdir().unwrap();
    let (block, config) = (folder.path().join("block"), folder.path().join("config"));
    fs::write(&config, format!("{} 0x0 {COPY_BYTES:#x}\n", block.display())).unwrap();
    let state = BootState {
        sequence: 0x1_a2bc,
        preferred: Slot::B,
        left: Tries { a: 3, b: 1 },
        trial: Some(Slot::B),
    };
    fs::write(&block, state.encode()).unwrap();
    let printed = run(Command::new("fw_printenv").arg("-c").arg(&config));
    let mut lines: Vec<_> = printed.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["BOOT_A_LEFT=3", "BOOT_B_LEFT=1", "BOOT_ORDER=B A", "BOOT_SEQ=1a2bc", "BOOT_TRIAL=B"]);
}

#[test]
fn a_block_made_by_mkenvimage_is_decoded() {
    let folder = tempfile::tempdir().unwrap();
    let (text, block) = (folder.path().join("text"), folder.path().join("block"));
    let input = "BOOT_A_LEFT=0\nBOOT_B_LEFT=2\nBOOT_ORDER=B A\nBOOT_SEQ=ff\nfdtcontroladdr=4f0000\nx=\n";
    fs::write(&text, input).unwrap();
    run(Command::new("mkenvimage").args(["-s", "0x1000", "-o"]).arg(&block).arg(&text));
    let state = BootState::decode(&fs::read(&block).unwrap()).unwrap();
    assert_eq!(
        state,
        BootState { sequence: 0xff, preferred: Slot::B, left: Tries { a: 0, b: 2 }, trial: None }
    );
}

#[test]
fn a_zero_filled_and_an_erased_copy_are_refused() {
    for byte in [0, 0xff] {
        assert!(matches!(BootState::decode(&[byte; COPY_BYTES]), Err(BlockError::Crc { .. })));
    }
}

#[test]
fn values_that_u_boot_does_not_write_are_refused_by_name() {
    let good = "BOOT_SEQ=1\0BOOT_ORDER=A B\0BOOT_A_LEFT=3\0BOOT_B_LEFT=3\0";
    assert!(BootState::decode(&sealed(good.as_bytes())).is_ok());
    for (from, to, complaint) in [
        ("SEQ=1", "SEQ=0x1", "BOOT_SEQ is \"0x1\""),
        ("SEQ=1", "SEQ=", "BOOT_SEQ is \"\""),
        ("SEQ=1", "SEQ=01", "BOOT_SEQ is \"01\""),
        ("SEQ=1", "SEQ=A", "BOOT_SEQ is \"A\""),
        ("SEQ=1", "SEQ=+1", "BOOT_SEQ is \"+1\""),
        ("SEQ=1", "SEQ=0", "BOOT_SEQ is \"0\""),
        ("SEQ=1", "SEQ=fffffff", "BOOT_SEQ has no successor"),
        ("SEQ=1", "SEQ=10000000", "BOOT_SEQ is \"10000000\""),
        ("SEQ=1", "SEQ=100000001", "BOOT_SEQ is \"100000001\""),
        ("ORDER=A B", "ORDER=", "BOOT_ORDER is \"\""),
        ("ORDER=A B", "ORDER=A A", "BOOT_ORDER is \"A A\""),
        ("ORDER=A B", "ORDER=A B A", "BOOT_ORDER is \"A B A\""),
        ("ORDER=A B", "ORDER=A", "BOOT_ORDER is \"A\""),
        ("A_LEFT=3", "A_LEFT=10", "BOOT_A_LEFT is \"10\""),
        ("B_LEFT=3", "B_LEFT=-1", "BOOT_B_LEFT is \"-1\""),
        ("BOOT_B_LEFT=3", "BOOT_B_LEFT=3\0BOOT_TRIAL=", "BOOT_TRIAL is \"\""),
        ("BOOT_B_LEFT=3", "BOOT_B_LEFT=3\0BOOT_B_LEFT=3", "BOOT_B_LEFT stands twice"),
        ("BOOT_SEQ=1\0", "", "BOOT_SEQ is missing"),
        ("BOOT_ORDER=A B\0", "", "BOOT_ORDER is missing"),
        ("BOOT_A_LEFT=3\0", "", "BOOT_A_LEFT is missing"),
        ("BOOT_B_LEFT", "nothing", "entry 3 is not key=value"),
        ("BOOT_B_LEFT", "", "entry 3 is not key=value"),
    ] {
        let mut text = good.replacen(from, to, 1);
        if to == "nothing" {
            text = good.replacen("BOOT_B_LEFT=3", "nothing", 1);
        }
        let error = BootState::decode(&sealed(text.as_bytes())).unwrap_err().to_string();
        assert!(error.starts_with(complaint), "{from:?} -> {to:?}: {error}");
    }
}

#[test]
fn a_list_without_an_end_is_refused() {
    let data = [b'x'; COPY_BYTES - 4];
    assert_eq!(BootState::decode(&sealed(&data)), Err(BlockError::Unterminated));
}

#[test]
fn the_first_of_two_equally_new_copies_is_believed() {
    let first = BootState { sequence: 7, left: Tries { a: 1, b: 1 }, ..BootState::default() };
    let second = BootState { sequence: 7, left: Tries { a: 2, b: 2 }, ..BootState::default() };
    let loaded = Loaded::from_copies(&first.encode(), &second.encode());
    assert_eq!((loaded.state, loaded.next_write()), (first, Half::Second));
}

#[test]
fn a_used_up_count_makes_both_copies_invalid() {
    let good = BootState { sequence: MAX_SEQUENCE, ..BootState::default() }.encode();
    let last = sealed(b"BOOT_SEQ=fffffff\0BOOT_ORDER=B A\0BOOT_A_LEFT=3\0BOOT_B_LEFT=3\0");
    for (first, second) in [(&good[..], &last[..]), (&last, &good)] {
        let loaded = Loaded::from_copies(first, second);
        assert_eq!((loaded.state, loaded.source), (BootState::default(), None));
    }
}

#[test]
fn without_a_valid_copy_the_default_state_is_written_to_the_first() {
    let loaded = Loaded::from_copies(&[0xff; COPY_BYTES], &[]);
    assert_eq!(loaded.state, BootState::default());
    assert_eq!((loaded.source, loaded.next_write()), (None, Half::First));
    assert!(matches!(loaded.problems, [Some(BlockError::Crc { .. }), Some(BlockError::Length(0))]));
}

#[test]
fn a_write_torn_at_any_byte_yields_the_older_state_until_it_is_complete() {
    let oldest = BootState { sequence: 40, ..BootState::default() };
    let older = BootState { sequence: 41, left: Tries { a: 2, b: 3 }, ..oldest };
    let newest = BootState { sequence: 42, left: Tries { a: 1, b: 3 }, trial: Some(Slot::B), ..oldest };
    let (before, after) = (oldest.encode(), newest.encode());
    let mut torn_blocks = 0;
    for at in 0..=COPY_BYTES {
        let mut torn = after;
        torn[at..].copy_from_slice(&before[at..]);
        let loaded = Loaded::from_copies(&older.encode(), &torn);
        if torn == after {
            assert_eq!((loaded.state, loaded.source), (newest, Some(Half::Second)), "at {at}");
        } else {
            assert_eq!((loaded.state, loaded.next_write()), (older, Half::Second), "at {at}");
            torn_blocks += 1;
        }
    }
    assert!(torn_blocks > 40, "only {torn_blocks} offsets tore the text");
}

proptest! {
    #[test]
    fn every_state_survives_encoding(state in states()) {
        prop_assert_eq!(BootState::decode(&state.encode()), Ok(state));
    }

    #[test]
    fn the_higher_sequence_is_believed_and_the_other_copy_is_written_next(a in states(), b in states()) {
        prop_assume!(a.sequence != b.sequence);
        let loaded = Loaded::from_copies(&a.encode(), &b.encode());
        let newer = if a.sequence > b.sequence { a } else { b };
        prop_assert_eq!(loaded.state, newer);
        prop_assert_eq!(loaded.next_write(), if newer == a { Half::Second } else { Half::First });
    }

    #[test]
    fn sectors_of_two_writes_mixed_in_any_way_never_make_a_third_state(
        old in states(), new in states(), other in states(), from_new in any::<[bool; 8]>()
    ) {
        let (before, mut mixed) = (old.encode(), new.encode());
        for sector in (0..8).filter(|sector| !from_new[*sector]) {
            mixed[sector * 512..][..512].copy_from_slice(&before[sector * 512..][..512]);
        }
        let state = Loaded::from_copies(&other.encode(), &mixed).state;
        prop_assert!([old, new, other].contains(&state));
    }

    #[test]
    fn any_flipped_bit_makes_a_copy_invalid(state in states(), bit in 0..COPY_BYTES * 8) {
        let mut block = state.encode();
        block[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(BootState::decode(&block).is_err());
    }

    #[test]
    fn sealed_garbage_never_panics(data in proptest::collection::vec(any::<u8>(), 0..COPY_BYTES - 4)) {
        let _ = BootState::decode(&sealed(&data));
    }

    #[test]
    fn sealed_text_that_is_accepted_means_the_same_when_written_again(
        text in "(BOOT_(SEQ|ORDER|A_LEFT|B_LEFT|TRIAL)=[AB0-9a-f ]{0,4}\u{0}|[A-Z_=]{0,8}\u{0}){0,8}"
    ) {
        if let Ok(state) = BootState::decode(&sealed(text.as_bytes())) {
            prop_assert_eq!(BootState::decode(&state.encode()), Ok(state));
        }
    }
}
