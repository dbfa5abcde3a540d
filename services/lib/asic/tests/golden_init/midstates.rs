//! BM1397 and BM1387.

use adit_asic::{
    BM1387, BM1397, KiloHertz,
    init::{Ramp, Setup},
};

use super::{expect, setup, transcript};

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
