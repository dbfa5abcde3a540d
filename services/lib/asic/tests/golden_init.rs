//! Whole start-ups, frame by frame, against what has been captured or published (`docs/asic.md` names the sources).
#![allow(clippy::unwrap_used)]

use adit_asic::{
    BM1362, BM1366, BM1368, BM1370, BM1387, BM1397, Chip, KiloHertz, crc5,
    init::{Action, Ramp, Setup, actions},
    register,
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

/// Antminer S19j Pro, 126 chips: mujina's reading of the capture (ramp: our dividers, the captured frequencies).
#[test]
fn the_start_of_126_bm1362_is_the_captured_one() {
    let mut lines = transcript(&BM1362, &setup(126)).into_iter();
    expect(
        &mut lines,
        &[
            "55AA510900A49000FFFF1C",
            "55AA520500000A count",
            "55AA510900A49000FFFF1C",
            "55AA510900A49000FFFF1C",
            "55AA510900A80000000001",
            "55AA51090018B000C10014",
            "55AA5305000003",
        ],
    );
    expect_addresses(&mut lines);
    expect(
        &mut lines,
        &[
            "55AA5109003C800085400C",
            "55AA5109003C8000800805",
            "55AA51090014000000FF08",
            "55AA51090054000000031D",
            "55AA51090058000111110D",
            "55AA51090028113000001E",
            "wait 60",
            "host 3125000",
            "ramp",
        ],
    );
    assert!(lines.next().unwrap().starts_with("55AA51090008"));
    expect(&mut lines, &["wait 100", "55AA5109000840A8023003", "wait 100"]);
    expect_each_chip(
        &mut lines,
        126,
        [
            "55AA410900A80000000203",
            "55AA41090018B000C1001C",
            "55AA4109003C8000854004",
            "55AA4109003C800080080D",
            "55AA4109003C800082AA05",
        ],
    );
    expect(&mut lines, &["55AA510900100000138108", "55AA510900A49000FFFF1C"]);
    assert_eq!(lines.next(), None);
}

/// ESP-Miner's start of a single BM1366 (Bitaxe Ultra), whose words are those of an S19 XP; its start-up sets the line rate last.
#[test]
fn the_start_of_a_single_bm1366_is_the_published_one() {
    let mut lines = transcript(&BM1366, &Setup { baud: Some(1_041_666), ..setup(1) }).into_iter();
    let roll = "55AA510900A49000FFFF1C";
    expect(
        &mut lines,
        &[
            roll,
            roll,
            roll,
            "55AA520500000A count",
            "55AA510900A80007000003",
            "55AA51090018FF0FC10000",
            "55AA5305000003",
            "55AA400500001C",
            "55AA5109003C800085400C",
            "55AA5109003C8000802019",
            "55AA51090014000000FF08",
            "55AA51090054000000031D",
            "55AA510900580211111106",
            "55AA4109002C007C000303",
            "55AA410900A8000701F015",
            "55AA41090018F000C1000C",
            "55AA4109003C8000854004",
            "55AA4109003C8000802011",
            "55AA4109003C800082AA05",
            "ramp",
        ],
    );
    assert!(lines.next().unwrap().starts_with("55AA51090008"));
    expect(&mut lines, &["wait 100", "55AA5109000840A8023003", "wait 100", "55AA510900100000115A04", roll]);
    expect(&mut lines, &["55AA510900281130020003", "wait 60", "host 1041666"]);
    assert_eq!(lines.next(), None);
}

/// Address and value of each write of the relay.
fn relays(chip: &Chip, chips: u16, domains: u16) -> Vec<(u8, u32)> {
    let setup = Setup { domains, ..setup(chips) };
    let frames = transcript(chip, &setup).into_iter().map(|line| hex::decode(line).unwrap_or_default());
    let relays = frames.filter(|frame| frame.len() == 11 && frame[2] == 0x41 && frame[5] == 0x2c);
    relays.map(|frame| (frame[4], u32::from_be_bytes(frame[6..10].try_into().unwrap()))).collect()
}

/// An S19 XP, 11 domains of ten: its first word is what ESP-Miner took over from there.
#[test]
fn both_ends_of_every_domain_relay_and_their_gap_falls_with_the_distance() {
    let relays = relays(&BM1366, 110, 11);
    assert_eq!(relays[..4], [(0, 0x007c_0003), (18, 0x007c_0003), (20, 0x0072_0003), (38, 0x0072_0003)]);
    assert_eq!(relays[20..], [(200, 0x0018_0003), (218, 0x0018_0003)]);
}

/// S21 Pro, 13 domains of five: the captured words.
#[test]
fn relay_words_are_those_of_the_captured_board() {
    let words: Vec<u32> = (0..13).map(|domain| register::uart_relay(65 - 5 * domain)).collect();
    assert_eq!((words[0], words[12]), (0x004f_0003, 0x0013_0003));
    assert!(words.windows(2).all(|pair| pair[0] - pair[1] == 5 << 16));
}

#[test]
fn boards_of_up_to_nine_domains_have_no_relay() {
    assert_eq!(relays(&BM1366, 72, 9), [(0, 0x007c_0003)]);
    assert_eq!(relays(&BM1368, 108, 9), []);
    assert_eq!(relays(&BM1368, 108, 12).len(), 24);
    assert_eq!(relays(&BM1362, 126, 42), [], "captured without");
}

/// ESP-Miner's start of BM1368, with the addresses of a chain of 108.
#[test]
fn the_start_of_108_bm1368_is_the_published_one() {
    let mut lines = transcript(&BM1368, &Setup { baud: Some(1_041_666), ..setup(108) }).into_iter();
    let roll = "55AA510900A49000FFFF1C";
    expect(
        &mut lines,
        &[
            roll,
            roll,
            roll,
            roll,
            "55AA520500000A count",
            "55AA5305000003",
            "55AA510900A80007000003",
            "55AA51090018FF0FC10000",
            "55AA5109003C80008B0012",
            "55AA5109003C800080181F",
            "55AA51090014000000FF08",
            "55AA51090054000000031D",
            "55AA510900580211111106",
        ],
    );
    expect_addresses(&mut lines);
    expect_each_chip(
        &mut lines,
        108,
        [
            "55AA410900A8000701F015",
            "55AA41090018F000C1000C",
            "55AA4109003C80008B001A",
            "55AA4109003C8000801817",
            "55AA4109003C800082AA05",
        ],
    );
    expect(&mut lines, &["55AA51090014000000FF08", "ramp"]);
    assert!(lines.next().unwrap().starts_with("55AA51090008"));
    expect(&mut lines, &["wait 100", "55AA5109000840A8023003", "wait 100", "55AA51090010000015A40A", roll]);
    expect(&mut lines, &["55AA510900281130020003", "wait 60", "host 1041666"]);
    // mujina's account of the die's thermometer.
    for value in ["00020000", "01020000", "10020000"] {
        assert!(lines.next().unwrap().starts_with(&format!("55AA510900B0{value}")));
        assert_eq!(lines.next().unwrap(), "wait 10");
    }
    assert_eq!(lines.next(), None);
}

#[test]
fn the_supply_gets_its_pause_after_each_chip() {
    let with = transcript(&BM1368, &Setup { chip_gap_ms: 500, ..setup(108) });
    let last_of_each = with.iter().zip(&with[1..]).filter(|(frame, _)| frame.contains("3C800082AA"));
    assert!(last_of_each.clone().all(|(_, next)| next == "wait 500"));
    assert_eq!(last_of_each.count(), 108);
}

/// The start-up of a Bitaxe Gamma as captured, frame by frame (ramp from 62.5 MHz; our dividers for the ramp, the same frequencies).
#[test]
fn the_start_of_a_single_bm1370_is_the_captured_one() {
    let ramp = Ramp { start: KiloHertz(512_500), ..setup(1).ramp };
    let transcript = transcript(&BM1370, &Setup { ramp, baud: Some(1_041_666), ..setup(1) });
    let golden = [
        "55AA510900A49000FFFF1C",
        "55AA510900A49000FFFF1C",
        "55AA510900A49000FFFF1C",
        "55AA520500000A count",
        "55AA510900A49000FFFF1C",
        "55AA510900A80007000003",
        "55AA51090018F000C10004",
        "55AA5305000003",
        "55AA400500001C",
        "55AA5109003C80008B0012",
        "55AA5109003C8000800C11",
        "55AA51090014000000FF08",
        "55AA51090058000111110D",
        "55AA410900A8000701F015",
        "55AA41090018F000C1000C",
        "55AA4109003C80008B001A",
        "55AA4109003C8000800C19",
        "55AA4109003C800082AA05",
        "55AA510900B9000044800D",
        "55AA510900540000000218",
        "55AA510900B9000044800D",
        "55AA5109003C80008DEE1B",
        "ramp",
    ];
    assert_eq!(transcript[..golden.len()], golden);
    let ramp = &transcript[golden.len()..golden.len() + 6];
    assert_eq!(ramp[4], "55AA5109000840A8023003", "525 MHz");
    assert!(ramp[1] == "wait 100" && ramp[0].starts_with("55AA51090008"));
    let end = [
        "55AA5109001000001EB50F",
        "55AA510900281130020003",
        "wait 60",
        "host 1041666",
        "55AA510900A49000FFFF1C",
    ];
    assert_eq!(transcript[golden.len() + 6..], end);
}

/// S21 Pro, 65 chips in 13 domains of five: mujina's reading of the capture (ramp: our dividers).
#[test]
fn the_start_of_65_bm1370_is_the_captured_one() {
    let ramp = Ramp { start: KiloHertz(593_750), target: KiloHertz(600_000), ..setup(65).ramp };
    let setup = Setup { domains: 13, ramp, ..setup(65) };
    let mut lines = transcript(&BM1370, &setup).into_iter();
    let roll = "55AA510900A49000FFFF1C";
    let head = [
        roll,
        roll,
        roll,
        "55AA520500000A count",
        "55AA510900A80007000003",
        "55AA51090018F000C10004",
        "55AA5305000003",
    ];
    expect(&mut lines, &head);
    expect_addresses(&mut lines);
    expect(
        &mut lines,
        &[
            "55AA5109003C80008B0012",
            "55AA5109003C8000800C11",
            "55AA51090014000000FF08",
            "55AA51090058000111110D",
        ],
    );
    let domains = (0..65).step_by(5);
    let drivers: Vec<_> = domains.clone().map(|first| (first + 4, 0x0001_f111)).collect();
    assert_eq!(places(&mut lines, "58", 13), drivers);
    assert!(lines.next().unwrap().starts_with("55AA510900685AA55AA5"));
    let relays: Vec<_> = domains
        .zip((0x13..=0x4f).rev().step_by(5))
        .flat_map(|(first, gap)| [first, first + 4].map(|place| (place, gap << 16 | 3)))
        .collect();
    assert_eq!(places(&mut lines, "2C", 26), relays);
    let baud = lines.next().unwrap();
    assert_eq!(baud, "55AA51090028013000001A");
    expect(&mut lines, &["wait 60", "host 3125000"]);
    expect_each_chip(
        &mut lines,
        65,
        [
            "55AA410900A8000701F015",
            "55AA41090018F000C1000C",
            "55AA4109003C80008B001A",
            "55AA4109003C8000800C19",
            "55AA4109003C800082AA05",
        ],
    );
    expect(
        &mut lines,
        &[
            "55AA510900B9000044800D",
            "55AA510900540000000218",
            "55AA510900B9000044800D",
            "55AA5109003C80008DEE1B",
            "ramp",
        ],
    );
    assert!(lines.next().unwrap().starts_with("55AA51090008"));
    expect(&mut lines, &["wait 100", "55AA5109000850C0023005", "wait 100"]);
    let job = lines.next().unwrap();
    assert!(job.len() == 2 * 88 && job.starts_with("55AA21566801"), "{job}");
    let offsets = places(&mut lines, "0C", 65);
    assert_eq!(
        (offsets[0], offsets[1], offsets[64]),
        ((0, 0x8000_0000), (1, 0x8000_03f1), (64, 0x8000_fc10))
    );
    expect(&mut lines, &["55AA5109001000001EB50F", roll]);
    assert_eq!(lines.next(), None);
}

/// Writes of one register to single chips, as places (addresses are two apart) and values.
fn places(lines: &mut impl Iterator<Item = String>, register: &str, count: usize) -> Vec<(u8, u32)> {
    let read = |frame: String| {
        assert!(frame.starts_with("55AA4109") && frame[10..12] == *register, "{frame}");
        let number = |range| u32::from_str_radix(&frame[range], 16).unwrap();
        (number(8..10) as u8 / 2, number(12..20))
    };
    lines.take(count).map(read).collect()
}

/// ESP-Miner's start of a Bitaxe Max; before each change of the clock its divider twice, then the clock twice.
#[test]
fn the_start_of_a_single_bm1397_is_the_published_one() {
    let ramp = Ramp { start: KiloHertz(418_750), target: KiloHertz(425_000), ..setup(1).ramp };
    let mut lines = transcript(&BM1397, &Setup { ramp, ..setup(1) }).into_iter();
    expect(
        &mut lines,
        &[
            "55AA520500000A count",
            "wait 20",
            "55AA5305000003",
            "55AA400500001C",
            "55AA51090080000000001C",
            "55AA510900840000000011",
            "55AA510900200000000102",
            "55AA5109003C8000807410",
            "55AA51090014000000FF08",
            "55AA51090068C070011100",
            "55AA510900280600000F18",
            "55AA5109001800007A3115",
            "ramp",
        ],
    );
    let divider = "55AA510900700F0F0F0019";
    expect(&mut lines, &[divider, "wait 10", divider, "wait 10"]);
    assert!(lines.next().unwrap().starts_with("55AA51090008404"));
    assert_eq!(lines.by_ref().take(4).last().unwrap(), "wait 100");
    expect(&mut lines, &[divider, "wait 10", divider, "wait 10"]);
    let clock = lines.next().unwrap();
    assert!(clock.starts_with("55AA5109000840440221"), "425 MHz: {clock}");
    expect(&mut lines, &["wait 10", &clock, "wait 10", "wait 100"]);
    expect(&mut lines, &["55AA510900180000603100", "wait 60", "host 3125000"]);
    assert_eq!(lines.next(), None);
    // The numeric example of skot/BM1397: PLL3 at 2.8 GHz, / 7, / 64.
    let fast = transcript(&BM1397, &Setup { baud: Some(6_250_000), ..setup(48) });
    assert!(fast[fast.len() - 3].starts_with("55AA5109001800016731"), "{:?}", fast.last());
    assert_eq!(fast[fast.len() - 1], "host 6250000");
}

/// The open firmware's start of an S9's 63 chips, at 650 MHz; its ramp is ours.
#[test]
fn the_start_of_63_bm1387_is_the_open_one() {
    let ramp = Ramp { start: KiloHertz(643_750), target: KiloHertz(650_000), ..setup(63).ramp };
    let setup = Setup { ramp, ticket_bits: 6, baud: Some(1_562_500), ..setup(63) };
    let mut lines = transcript(&BM1387, &setup).into_iter();
    let inactive = "5505000010";
    expect(
        &mut lines,
        &["5405000019 count", inactive, "wait 100", inactive, "wait 100", inactive, "wait 100"],
    );
    let addresses: Vec<String> = lines.by_ref().take(64).collect();
    for (place, captured) in [
        (0, "4105000015"),
        (1, "410504000A"),
        (2, "410508000E"),
        (3, "41050C0011"),
        (61, "4105F40010"),
        (62, "4105F80014"),
        (63, "4105FC000B"),
    ] {
        assert_eq!(addresses[place], captured);
    }
    assert_eq!(lines.next().unwrap(), "ramp");
    assert!(lines.next().unwrap().starts_with("5809000C00"));
    expect(&mut lines, &["wait 100", "5809000C006802210A", "wait 100"]);
    let baud = lines.next().unwrap();
    assert!(baud.starts_with("5809001C00208180"), "{baud}");
    expect(&mut lines, &["wait 60", "host 1562500", "58090018000000FC06"]);
    let zeros = "00".repeat(32);
    let first = format!("2136000100000000{}{zeros}5FD3", "FF".repeat(12));
    expect(&mut lines, &[&first, "wait 10"]);
    let jobs: Vec<String> = lines.collect();
    assert_eq!(jobs.len(), 2 * 113);
    assert!(jobs.iter().step_by(2).all(|job| job.len() == 2 * 56 - 4 && job.starts_with("2136")));
}

#[test]
fn bm1387_cores_are_gated_even_when_the_line_rate_stays() {
    let lines = transcript(&BM1387, &Setup { baud: None, ..setup(1) });
    assert!(lines.iter().any(|line| line.starts_with("5809001C00209A80")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("host")));
}
