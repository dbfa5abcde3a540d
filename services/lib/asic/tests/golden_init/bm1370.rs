//! BM1370, whose boards have a start-up of their own.

use adit_asic::{
    BM1370, KiloHertz,
    init::{Ramp, Setup},
};

use super::{expect, expect_addresses, expect_each_chip, setup, transcript};

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
