//! BM1362, BM1366 and BM1368.

use adit_asic::{BM1362, BM1366, BM1368, init::Setup};

use super::{expect, expect_addresses, expect_each_chip, setup, transcript};

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
