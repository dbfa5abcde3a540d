//! PLL words, sweep lengths and the whole start-up against captured values.
#![allow(clippy::unwrap_used)]

use adit_asic::{
    BM1370, Chip, KiloHertz, Pll, PllEncoding, PllLimits,
    init::{Action, Ramp, Setup, actions},
    register::{hash_counting, version_epoch_ms},
};

fn word(mhz: f64, limits: &PllLimits) -> String {
    let pll = Pll::nearest(KiloHertz((mhz * 1000.0).round() as u32), limits).unwrap();
    format!("{:08X}", pll.register(limits.encoding))
}

fn limits(feedback: std::ops::RangeInclusive<u16>, encoding: PllEncoding) -> PllLimits {
    PllLimits { feedback, vco_mhz: 0..=3200, encoding }
}

#[test]
fn solved_words_are_those_of_the_known_firmware() {
    let bm1370 = [
        (400.0, "40A00240"),
        (450.0, "40B40240"),
        (500.0, "40A00230"),
        (525.0, "40A80230"),
        (550.0, "40B00230"),
        (600.0, "50C00230"),
        (625.0, "50C80230"),
        (650.0, "50D00230"),
    ];
    for (mhz, golden) in bm1370 {
        assert_eq!(word(mhz, &BM1370.pll), golden, "BM1370 at {mhz}");
    }
    let bm1366 = [
        (200.0, "40A00241"),
        (400.0, "40A00240"),
        (450.0, "40900230"),
        (485.0, "50C20240"),
        (490.0, "50C40240"),
        (500.0, "40A00230"),
        (525.0, "40A80230"),
        (575.0, "40B80230"),
        (600.0, "40900220"),
        (650.0, "409C0220"),
    ];
    for (mhz, golden) in bm1366 {
        assert_eq!(word(mhz, &limits(144..=235, PllEncoding::Bm1362)), golden, "BM1366 at {mhz}");
    }
    let bm1397 = [
        (400.0, "40400221"),
        (425.0, "40440221"),
        (450.0, "40480221"),
        (500.0, "40500221"),
        (525.0, "40540221"),
        (600.0, "40600221"),
        (650.0, "40680221"),
    ];
    for (mhz, golden) in bm1397 {
        assert_eq!(word(mhz, &limits(60..=200, PllEncoding::Bm1397)), golden, "BM1397 at {mhz}");
    }
}

#[test]
fn the_published_unit_vector_is_solved() {
    let pll = Pll::nearest(KiloHertz(450_000), &limits(60..=200, PllEncoding::Bm1397)).unwrap();
    assert_eq!(pll, Pll { feedback: 72, reference: 2, post1: 2, post2: 1 });
}

/// Other firmware chose other dividers; frequency and encoding must still be the same.
#[test]
fn captured_settings_mean_the_frequencies_that_they_were_captured_at() {
    let captured = [
        (PllEncoding::Bm1362, [210, 2, 7, 6], 62.5, 0x50d2_0265),
        (PllEncoding::Bm1362, [210, 2, 5, 1], 525.0, 0x50d2_0240),
        (PllEncoding::Bm1362, [192, 2, 4, 1], 600.0, 0x50c0_0230),
        (PllEncoding::Bm1362, [162, 2, 6, 6], 56.25, 0x40a2_0255),
        (PllEncoding::Bm1362, [168, 2, 4, 1], 525.0, 0x40a8_0230),
        (PllEncoding::Bm1362, [218, 1, 5, 2], 545.0, 0x50da_0141),
        (PllEncoding::Bm1397, [168, 2, 4, 1], 525.0, 0x40a8_0241),
        (PllEncoding::Bm1397, [162, 2, 3, 1], 675.0, 0x40a2_0231),
        (PllEncoding::Bm1387, [32, 2, 4, 1], 100.0, 0x0020_0241),
        (PllEncoding::Bm1387, [120, 2, 4, 1], 375.0, 0x0078_0241),
        (PllEncoding::Bm1387, [69, 2, 2, 1], 431.25, 0x0045_0221),
        (PllEncoding::Bm1387, [112, 2, 3, 1], 466.667, 0x0070_0231),
        (PllEncoding::Bm1387, [80, 2, 2, 1], 500.0, 0x0050_0221),
        (PllEncoding::Bm1387, [95, 2, 2, 1], 593.75, 0x005f_0221),
        (PllEncoding::Bm1387, [104, 2, 2, 1], 650.0, 0x0068_0221),
        (PllEncoding::Bm1387, [115, 2, 2, 1], 718.75, 0x0073_0221),
        (PllEncoding::Bm1387, [80, 2, 1, 1], 1000.0, 0x0050_0211),
        (PllEncoding::Bm1387, [94, 2, 1, 1], 1175.0, 0x005e_0211),
    ];
    for (encoding, [feedback, reference, post1, post2], mhz, golden) in captured {
        let pll = Pll { feedback, reference: reference as u8, post1: post1 as u8, post2: post2 as u8 };
        assert_eq!(pll.register(encoding), golden, "{mhz}");
        assert_eq!(pll.frequency().mhz(), mhz);
    }
}

#[test]
fn every_step_of_the_usual_ramp_is_hit_exactly_and_within_limits() {
    for khz in (56_250..=1_000_000).step_by(6_250) {
        let pll = Pll::nearest(KiloHertz(khz), &BM1370.pll).unwrap();
        let vco = 25.0 * f64::from(pll.feedback) / f64::from(pll.reference);
        assert!((2000.0..=3200.0).contains(&vco) && (160..=239).contains(&pll.feedback), "{khz}");
        let error = (pll.frequency().mhz() * 1000.0 - f64::from(khz)).abs() / f64::from(khz);
        assert!(error <= 0.01, "{khz}: {error}");
    }
}

#[test]
fn a_frequency_out_of_reach_is_refused() {
    for mhz in [1_u32, 20, 3_300, 4_000_000] {
        assert!(Pll::nearest(KiloHertz(mhz * 1000), &BM1370.pll).is_err(), "{mhz}");
    }
}

#[test]
fn sweeps_that_leave_nothing_out_are_as_long_as_computed_by_others() {
    let pll = |feedback, post1| Pll { feedback, reference: 2, post1, post2: 1 };
    assert_eq!(hash_counting(1 << 25, pll(210, 5)), 0xc_30c3);
    assert_eq!(hash_counting(1 << 25, pll(192, 4)), 0xa_aaaa);
    assert_eq!(hash_counting(1 << 18, pll(168, 4)), 0x1861);
}

#[test]
fn version_epochs_are_those_of_the_factory_settings() {
    let epochs =
        [(0x15a4, 16, 907), (0x1eb5, 16, 1287), (0x115a, 8, 1455), (0x1381, 8, 1636), (0x151c, 8, 1770)];
    for (hcn, sub_cores, ms) in epochs {
        assert_eq!(version_epoch_ms(hcn, sub_cores), ms);
    }
    assert_eq!(BM1370.version_epoch_ms(), 1287);
}

/// The start-up of a Bitaxe Gamma as captured, frame by frame (ramp from 62.5 MHz; our dividers for the ramp, the same frequencies).
#[test]
fn the_start_of_a_single_bm1370_is_the_captured_one() {
    let setup = Setup {
        chips: 1,
        ticket_bits: 8,
        version_mask: 0x1fff_e000,
        baud_divider: Some(2),
        ramp: Ramp {
            start: KiloHertz(512_500),
            step: KiloHertz(6_250),
            step_ms: 100,
            target: KiloHertz(525_000),
        },
    };
    let transcript: Vec<String> = actions(&BM1370, &setup)
        .unwrap()
        .iter()
        .map(|action| match action {
            Action::Send(frame) => format!("{frame:?}"),
            Action::CountChips(frame) => format!("{frame:?} count"),
            Action::RampBegins => "ramp".into(),
            Action::Wait { ms } => format!("wait {ms}"),
            Action::HostBaud(rate) => format!("host {rate}"),
        })
        .collect();
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

#[test]
fn chips_are_found_by_name() {
    assert_eq!(Chip::by_name("BM1370").unwrap().id, 0x1370);
    assert!(Chip::by_name("BM9999").is_none());
    assert!(Chip::names().any(|name| name == "BM1370"));
}
