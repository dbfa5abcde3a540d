//! Whole start-ups, frame by frame, against what has been captured or published (`docs/asic.md` names the sources).
#![allow(clippy::unwrap_used)]

mod bm1370;
mod headers;
mod midstates;
mod relays;

use adit_asic::{
    Chip, KiloHertz, crc5,
    init::{Action, Ramp, Setup, actions},
};

fn setup(chips: u16) -> Setup {
    Setup {
        chips,
        domains: 1,
        ticket_bits: 8,
        version_mask: 0x1fff_e000,
        baud: Some(3_125_000),
        chip_gap_ms: 0,
        ramp: Ramp {
            start: KiloHertz(518_750),
            step: KiloHertz(6_250),
            step_ms: 100,
            target: KiloHertz(525_000),
        },
    }
}

fn transcript(chip: &Chip, setup: &Setup) -> Vec<String> {
    let shown = |action: &Action| match action {
        Action::Send(frame) => format!("{frame:?}"),
        Action::CountChips(frame) => format!("{frame:?} count"),
        Action::RampBegins => "ramp".into(),
        Action::Wait { ms } => format!("wait {ms}"),
        Action::HostBaud(rate) => format!("host {rate}"),
    };
    actions(chip, setup).unwrap().iter().map(shown).collect()
}

/// Takes the next lines and compares them.
fn expect(lines: &mut impl Iterator<Item = String>, golden: &[&str]) {
    let found: Vec<String> = lines.take(golden.len()).collect();
    assert_eq!(found, golden);
}

/// All 128 addresses of distance two, in order; some of them as captured.
fn expect_addresses(lines: &mut impl Iterator<Item = String>) {
    let found: Vec<String> = lines.take(128).collect();
    for (place, captured) in [
        (0, "55AA400500001C"),
        (1, "55AA4005020001"),
        (2, "55AA4005040003"),
        (125, "55AA4005FA0000"),
        (127, "55AA4005FE001F"),
    ] {
        assert_eq!(found[place], captured);
    }
    for (place, frame) in found.iter().enumerate() {
        assert!(frame.starts_with(&format!("55AA4005{:02X}00", 2 * place)), "{frame}");
    }
}

/// The same writes for every chip in order: those for the first chip as captured, the others differ in address and checksum only.
fn expect_each_chip(lines: &mut impl Iterator<Item = String>, chips: usize, first: [&str; 5]) {
    for place in 0..chips {
        for captured in first {
            let mut frame = hex::decode(captured).unwrap();
            frame[4] = 2 * place as u8;
            frame[10] = crc5(&frame[2..10]);
            assert_eq!(lines.next().unwrap(), hex::encode_upper(frame), "chip {place}");
        }
    }
}
