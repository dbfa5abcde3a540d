//! Which writes of each chip's start-up the simulated chip cannot do without. The table is that of `docs/simulator.md`.
#![allow(clippy::unwrap_used)]

use adit_asic::{
    Chip, KiloHertz, ROLLED_BITS,
    init::{Action, Ramp, Setup, actions},
};
use adit_simulator::{Chain, Cores, Dialect, Model, Parser};

/// An accepted share's job, for chips that take headers.
const HEADER: &str = "55AA21566801 00000000 043A0217 D7685468
    5519A7CB 044F8872 6355919E 61A98BCF 71A0C287 95EA54DB 8C36414B 06DDF5F0
    00000000 00000000 96520100 1D3996BC A3F4670D FCD4F201 C162B96D FD55646B 00000020 721C";
/// The genesis block as one midstate.
const MIDSTATE: &str = "55AA21360001 00000000 FFFF001D 29AB5F49 4B1E5E4A 4719F91B 96B18736 4F0103C8
    C3C8D8E9 1E59CAA8 90CCAC7D 6358BFF0 BC909A33 A3B2";

/// Frames of the start-up of a lone chip, and what each writes: a register, with the core's own register behind a colon where it goes to the cores; `jobs`; or nothing.
fn start_up(chip: &Chip) -> Vec<(String, Vec<u8>)> {
    let at = KiloHertz::from_mhz(425.0);
    let ramp = Ramp { start: at, step: at, step_ms: 1, target: at };
    let setup = Setup {
        chips: 1,
        domains: 1,
        ticket_bits: 8,
        version_mask: ROLLED_BITS,
        baud: None,
        chip_gap_ms: 0,
        ramp,
    };
    let frames = actions(chip, &setup).unwrap().into_iter().filter_map(|action| match action {
        Action::Send(frame) | Action::CountChips(frame) => Some(hex::decode(format!("{frame:?}")).unwrap()),
        _ => None,
    });
    frames.map(|frame| (writes(&frame), frame)).collect()
}

fn writes(frame: &[u8]) -> String {
    let bare = frame.strip_prefix(&[0x55, 0xaa]).unwrap_or(frame);
    match bare[..] {
        [0x21, ..] => "jobs".into(),
        [0x41 | 0x51 | 0x48 | 0x58, 9, _, 0x3c, _, _, core, ..] => format!("3C:{:02X}", core & 0x1f),
        [0x41 | 0x51 | 0x48 | 0x58, 9, _, register, ..] => format!("{register:02X}"),
        _ => String::new(),
    }
}

/// Hashes a second that are reported; 0 where the chip does nothing.
fn rate(chip: &Chip, frames: &[(String, Vec<u8>)], without: &str) -> f64 {
    let model = Model::by_name(chip.name).unwrap();
    let mut chain = Chain::new(model, 1);
    chain.set_powered(true);
    let job = if model.dialect() == Dialect::Bm1362 { HEADER } else { MIDSTATE };
    let mut job = hex::decode(job.replace([' ', '\n'], "")).unwrap();
    if model.dialect() == Dialect::Bm1387 {
        job.drain(..2);
    }
    let mut parser = Parser::new(model.dialect());
    let kept = frames.iter().filter(|(writes, _)| without.is_empty() || writes != without);
    for byte in kept.flat_map(|(_, frame)| frame).chain(&job) {
        parser.push(*byte, 0, 0);
        while let Some(received) = parser.next() {
            chain.execute(received.command.unwrap(), usize::MAX);
        }
    }
    let Some(work) = chain.work(usize::MAX, 32) else { return 0.0 };
    match work.chips[0].sweeping.cores {
        Cores::Each { hashing, reporting } if hashing & reporting == 0 => 0.0,
        _ => work.hashes_per_second(),
    }
}

/// A row: what nothing hashes without, what it hashes more slowly without, and what it hashes without just as well.
fn row(chip: &Chip) -> String {
    let frames = start_up(chip);
    let whole = rate(chip, &frames, "");
    assert!(whole > 0.0, "{} hashes", chip.name);
    let [mut needed, mut slower, mut same] = [const { Vec::<String>::new() }; 3];
    for (writes, _) in &frames {
        let known = [&needed, &slower, &same].into_iter().flatten().any(|known| known.starts_with(writes));
        if known || writes.is_empty() {
            continue;
        }
        match rate(chip, &frames, writes) / whole {
            0.0 => needed.push(writes.clone()),
            1.0 => same.push(writes.clone()),
            share => slower.push(format!("{writes} (1/{:.0})", 1.0 / share)),
        }
    }
    let list = |list: Vec<String>| if list.is_empty() { "–".into() } else { list.join(", ") };
    format!("| {} | {} | {} | {} |", chip.name, list(needed), list(slower), list(same))
}

#[test]
fn what_a_simulated_chip_cannot_start_without_is_what_is_documented() {
    let documented = include_str!("../../../docs/simulator.md");
    let rows: Vec<String> = Chip::names().map(|name| row(Chip::by_name(name).unwrap())).collect();
    assert_eq!(rows.len(), 6);
    for row in &rows {
        assert!(
            documented.lines().any(|line| line == row),
            "docs/simulator.md should have\n{}",
            rows.join("\n")
        );
    }
}
