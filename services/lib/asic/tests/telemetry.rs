//! What the chips' own counters and thermometers mean. Sources: ESP-Miner (counters), mujina (thermometer).
#![allow(clippy::unwrap_used)]

use adit_asic::{BM1362, BM1366, BM1368, BM1370, BM1387, BM1397, Quantity};

#[test]
fn counters_are_those_that_the_known_firmware_polls() {
    for chip in [&BM1366, &BM1368, &BM1370] {
        let quantity = |register| chip.telemetry.quantity(register);
        assert_eq!(quantity(0x4c), Some(Quantity::Errors));
        assert_eq!(quantity(0x8c), Some(Quantity::Hashes));
        assert_eq!(
            [0x88, 0x89, 0x8a, 0x8b].map(quantity),
            [0, 1, 2, 3].map(|domain| Some(Quantity::DomainHashes(domain)))
        );
        assert_eq!(quantity(0x00), None);
    }
    assert_eq!(BM1397.telemetry.quantity(0x4c), Some(Quantity::Errors));
    assert!(BM1362.telemetry.registers.is_empty() && BM1387.telemetry.registers.is_empty());
}

#[test]
fn only_a_bm1368_has_a_thermometer_that_works() {
    assert_eq!(BM1368.telemetry.quantity(0xb4), Some(Quantity::Temperature));
    assert_eq!(BM1370.telemetry.quantity(0xb4), None);
    let celsius = |value| Quantity::Temperature.celsius(value);
    assert_eq!(celsius(0x0000_0800), None, "no reading yet");
    assert!((celsius(0x8000_0800).unwrap() - 51.394).abs() < 0.001);
    assert!((celsius(0xffff_0000).unwrap() + 299.5144).abs() < 1e-9, "bits 30..16 are not part of it");
    assert_eq!(Quantity::Errors.celsius(0x8000_0800), None);
}
