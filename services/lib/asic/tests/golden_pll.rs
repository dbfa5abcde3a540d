//! PLL words and sweep lengths against captured values.
#![allow(clippy::unwrap_used)]

use adit_asic::{
    BM1362, BM1366, BM1368, BM1370, BM1387, BM1397, Chip, KiloHertz, Pll, PllEncoding, PllLimits,
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
        assert_eq!(word(mhz, &BM1366.pll), golden, "BM1366 at {mhz}");
    }
    for (mhz, golden) in [(490.0, "50C40240"), (525.0, "40A80230")] {
        assert_eq!(word(mhz, &BM1368.pll), golden, "BM1368 at {mhz}");
    }
    assert_eq!(word(525.0, &BM1362.pll), "40A80230", "BM1362, captured");
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
        assert_eq!(word(mhz, &BM1397.pll), golden, "BM1397 at {mhz}");
    }
}

/// The open firmware's choices that ours coincide with; it knows others for the same frequency (see below).
#[test]
fn solved_words_of_bm1387_are_those_of_the_open_firmware() {
    for (mhz, golden) in [(100.0, "00200241"), (500.0, "00500221"), (593.75, "005F0221"), (650.0, "00680221")]
    {
        assert_eq!(word(mhz, &BM1387.pll), golden, "{mhz}");
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
fn every_step_of_the_usual_ramp_is_hit_within_a_percent_and_within_limits() {
    for chip in [&BM1362, &BM1366, &BM1368, &BM1370, &BM1387, &BM1397] {
        for khz in (56_250..=900_000).step_by(6_250) {
            let pll = Pll::nearest(KiloHertz(khz), &chip.pll).unwrap();
            let vco = 25 * u32::from(pll.feedback) / u32::from(pll.reference);
            assert!(chip.pll.vco_mhz.contains(&vco), "{} at {khz}: {vco}", chip.name);
            assert!(chip.pll.feedback.contains(&pll.feedback), "{} at {khz}: {pll:?}", chip.name);
            let error = (pll.frequency().mhz() * 1000.0 - f64::from(khz)).abs() / f64::from(khz);
            assert!(error <= 0.01, "{} at {khz}: {error}", chip.name);
        }
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
    let own = [&BM1362, &BM1366, &BM1368, &BM1370].map(Chip::version_epoch_ms);
    assert_eq!(own.map(Option::unwrap), [1636, 1455, 907, 1287]);
    assert_eq!(BM1397.version_epoch_ms(), None);
}

/// Stock machines run below: S19j Pro 126 chips at 525 to 545 MHz, S21 108 at 490 to 525, S21 Pro 65 at 600.
#[test]
fn a_sweep_fits_into_a_chips_share_up_to_a_frequency() {
    let fastest =
        [(&BM1362, 126), (&BM1368, 108), (&BM1370, 65)].map(|(chip, chips)| chip.fastest(chips).unwrap().0);
    assert_eq!(fastest, [639_625, 577_918, 807_505]);
    // S19 XP and S19k Pro: both below 600 MHz by their hash rates.
    assert_eq!([110, 77].map(|chips| BM1366.fastest(chips).unwrap().0), [716_710, 1_075_065]);
    // Half as many chips have twice the room.
    assert_eq!(BM1362.fastest(64).unwrap().0, 2 * 639_625);
}

#[test]
fn chips_are_found_by_name() {
    assert_eq!(Chip::by_name("BM1370").unwrap().id, 0x1370);
    assert!(Chip::by_name("BM9999").is_none());
    assert_eq!(
        Chip::names().collect::<Vec<_>>(),
        ["BM1362", "BM1366", "BM1368", "BM1370", "BM1387", "BM1397"]
    );
}

/// The open FPGA is given nine tenths of this time between two works, in ticks of 100 MHz; 290 374 is what its driver computes for an S9.
#[test]
fn four_midstates_keep_an_s9_busy_for_as_long_as_its_open_driver_says() {
    let us = BM1387.midstates_us(63, 4, KiloHertz(650_000));
    assert_eq!(us, 3226);
    let ticks = 4.0 * f64::from(1 << 19) * 0.9 / 650e6 * 100e6;
    assert_eq!(ticks as u32, 0x46e46);
    assert!((us as f64 * 0.9 * 100.0 - ticks).abs() < 100.0);
    // A lone BM1397 (Bitaxe Max): 2^22 nonces a core, less what its address range leaves over.
    assert_eq!(BM1397.midstates_us(1, 4, KiloHertz(425_000)), 39_321);
    assert_eq!(BM1397.midstates_us(48, 4, KiloHertz(650_000)), 504);
}
