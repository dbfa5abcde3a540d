//! Commands and checksums against frames that logic analysers and other people's firmware have seen (`docs/asic.md` names the sources).
#![allow(clippy::unwrap_used)]

use adit_asic::{
    BM1370, BM1397, Chip, Frame,
    command::{
        Generation::{self, New, Old},
        Target,
    },
    crc5, crc16, register,
};

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text.replace(' ', "")).unwrap()
}

fn assert_frame(frame: Frame, golden: &str) {
    assert_eq!(hex::encode_upper(frame.as_bytes()), golden.replace(' ', ""));
}

/// Frames of the new generation, whole.
const CAPTURED: &[&str] = &[
    "55AA400500001C",
    "55AA4005020001",
    "55AA4005040003",
    "55AA4005FA0000",
    "55AA4005FE001F",
    "55AA520500000A",
    "55AA5305000003",
    "55AA510900A49000FFFF1C",
    "55AA510900A80007000003",
    "55AA510900A80000000001",
    "55AA51090018F000C10004",
    "55AA51090018FF0FC10000",
    "55AA51090018B000C10014",
    "55AA5109003C80008B0012",
    "55AA5109003C8000800C11",
    "55AA5109003C800080181F",
    "55AA5109003C800085400C",
    "55AA5109003C8000802019",
    "55AA5109003C8000800805",
    "55AA5109003C80008DEE1B",
    "55AA51090014000000FF08",
    "55AA51090058000111110D",
    "55AA510900580211111106",
    "55AA510900540000000218",
    "55AA51090054000000031D",
    "55AA510900B9000044800D",
    "55AA510900281130020003",
    "55AA51090028113000001E",
    "55AA51090028013000001A",
    "55AA5109001000001EB50F",
    "55AA51090010000015A40A",
    "55AA510900100000138108",
    "55AA510900100000151C02",
    "55AA510900100000115A04",
    "55AA410900A8000701F015",
    "55AA410900A80000000203",
    "55AA41090018F000C1000C",
    "55AA41090018B000C1001C",
    "55AA4109003C80008B001A",
    "55AA4109003C8000800C19",
    "55AA4109003C8000801817",
    "55AA4109003C800082AA05",
    "55AA4109003C8000854004",
    "55AA4109003C800080080D",
    "55AA4109003C8000802011",
    "55AA4109002C007C000303",
    "55AA4109D62C001700031F",
    "55AA410901001370 00010A",
    "55AA5109000850D2024005",
    "55AA5109000840A8023003",
    "55AA5109000850C0023005",
    "55AA5109000850DA01411F",
    "55AA510900084068022101",
];

/// Of the same generation, published without their preamble.
const BM1397_AND_BM1391: &[&str] = &[
    "51 09 00 80 00 00 00 00 1C",
    "51 09 00 84 00 00 00 00 11",
    "51 09 00 20 00 00 00 01 02",
    "51 09 00 3C 80 00 80 74 10",
    "51 09 00 14 00 00 00 00 1C",
    "51 09 00 68 C0 70 01 11 00",
    "51 09 00 28 06 00 00 0F 18",
    "51 09 00 18 00 00 7A 31 15",
    "51 09 00 18 00 00 60 31 00",
    "51 09 00 18 00 00 61 31 1C",
    "51 09 00 70 0F 0F 0F 00 19",
    "51 09 00 08 40 A0 02 25 16",
    "40 05 03 00 1D",
    "42 05 24 1C 11",
    "41 09 00 00 13 93 00 AB 08",
    "41 09 00 08 40 B8 02 11 06",
    "51 09 00 14 00 00 00 FC 07",
    "51 09 00 3C 00 AA 84 AA 00",
    "51 09 00 3C 80 00 80 04 1C",
    "51 09 00 60 80 10 3F 77 17",
];

/// Without preamble on the wire, too.
const BM1387: &[&str] = &[
    "54 05 00 00 19",
    "55 05 00 00 10",
    "41 05 00 00 15",
    "41 05 04 00 0A",
    "41 05 08 00 0E",
    "41 05 0C 00 11",
    "41 05 F4 00 10",
    "41 05 F8 00 14",
    "41 05 FC 00 0B",
    "48 09 00 0C 00 68 02 21 02",
    "48 09 04 0C 00 68 02 21 19",
    "58 09 00 0C 00 68 02 21 0A",
    "58 09 00 1C 40 20 9A 80 00",
    "58 09 00 1C 40 20 81 80 09",
    "58 09 00 18 00 00 00 FC 06",
    "58 09 00 18 00 00 00 FF 09",
];

#[test]
fn crc5_of_every_captured_command_is_its_last_byte() {
    let bare = BM1397_AND_BM1391.iter().chain(BM1387).map(|frame| bytes(frame));
    for frame in CAPTURED.iter().map(|frame| bytes(&frame[4..])).chain(bare) {
        let (crc, body) = frame.split_last().unwrap();
        assert_eq!(crc5(body), *crc, "{frame:02X?}");
    }
}

/// Builds what a captured frame says, from its bytes.
fn rebuilt(generation: Generation, body: &[u8]) -> Frame {
    let [set_address, write, read, chain_inactive] = match generation {
        New => [0x40, 0x41, 0x42, 0x53],
        Old => [0x41, 0x48, 0x44, 0x55],
    };
    let header = body[0];
    if header == set_address {
        return generation.set_address(body[2]);
    }
    if header == chain_inactive {
        return generation.chain_inactive();
    }
    let target = if header & 0x10 == 0 { Target::Chip(body[2]) } else { Target::All };
    if header & !0x10 == read {
        return generation.read(target, body[3]);
    }
    assert_eq!(header & !0x10, write, "{body:02x?}");
    generation.write(target, body[3], u32::from_be_bytes(body[4..8].try_into().unwrap()))
}

#[test]
fn every_captured_command_is_built_byte_for_byte() {
    for golden in CAPTURED {
        assert_frame(rebuilt(New, &bytes(&golden[4..])), golden);
    }
    for golden in BM1397_AND_BM1391 {
        assert_frame(rebuilt(New, &bytes(golden)), &format!("55AA{golden}"));
    }
    for golden in BM1387 {
        assert_frame(rebuilt(Old, &bytes(golden)), golden);
    }
}

/// Bodies of BM1387 jobs from the open FPGA's test bench.
#[test]
fn crc16_is_that_of_the_job_vectors() {
    let body = |id: u8, fill: u8| {
        let mut body = vec![0; 54 - 2];
        body[0] = 0x21;
        body[1] = 0x36;
        body[2] = id;
        body[3] = 1;
        body[8..20].fill(fill);
        body
    };
    assert_eq!(crc16(&body(0, 0xff)), 0x5fd3);
    assert_eq!(crc16(&body(1, 0)), 0x8aef);
    assert_eq!(crc16(&body(0, 0)), 0x9899);
}

#[test]
fn computed_registers_are_the_captured_ones() {
    let all = |register, value| New.write(Target::All, register, value);
    assert_frame(all(register::TICKET_MASK, register::ticket_mask(8)), "55AA51090014000000FF08");
    assert_frame(all(0xa4, register::version_rolling(0x1fff_e000)), "55AA510900A49000FFFF1C");
    let baud = |chip: &Chip, divider| {
        chip.generation.write(Target::All, chip.uart.register, chip.uart.value(divider))
    };
    assert_frame(baud(&BM1370, 2), "55AA510900281130020003");
    assert_frame(baud(&BM1370, 0), "55AA51090028113000001E");
    assert_frame(baud(&BM1397, 26), "55AA51090018 00007A31 15");
    assert_frame(baud(&BM1397, 0), "55AA51090018 00006031 00");
    assert_frame(baud(&BM1397, 1), "55AA51090018 00006131 1C");
    // The test bench's word, but for bit 30: "do not set the rate".
    assert_eq!(adit_asic::BM1387.uart.value(1), 0x4020_8180 & !(1 << 30));
    let tickets = |bits| Old.write(Target::All, adit_asic::BM1387.ticket_mask, register::ticket_mask(bits));
    assert_frame(tickets(6), "58 09 00 18 00 00 00 FC 06");
    assert_frame(tickets(8), "58 09 00 18 00 00 00 FF 09");
}

#[test]
fn words_for_the_cores_are_the_captured_ones() {
    let all =
        [(0x0b, 0x00), (0x00, 0x0c), (0x00, 0x18), (0x05, 0x40), (0x02, 0xaa), (0x0d, 0xee), (0x00, 0x74)];
    let words = all.map(|(core_register, value)| register::core_write(None, core_register, value));
    assert_eq!(
        words,
        [0x8000_8b00, 0x8000_800c, 0x8000_8018, 0x8000_8540, 0x8000_82aa, 0x8000_8dee, 0x8000_8074]
    );
    // BM1391: one core. The capture has bit 10, which is the register's.
    assert_eq!(register::core_write(Some(0xaa), 0x04, 0xaa), 0x00aa_84aa);
}

#[test]
fn ticket_masks_are_bit_reversed_byte_by_byte() {
    let masks = [(6, 0xfc), (8, 0xff), (9, 0x80ff), (10, 0xc0ff), (11, 0xe0ff), (16, 0xffff), (0, 0)];
    for (bits, mask) in masks {
        assert_eq!(register::ticket_mask(bits), mask, "2^{bits}");
    }
    assert_eq!(register::ticket_mask(32), u32::MAX);
}

#[test]
fn dividers_give_the_line_rates_of_the_captures() {
    assert_eq!([26, 2, 1, 0].map(register::baud), [115_740, 1_041_666, 1_562_500, 3_125_000]);
}

#[test]
fn nonce_offsets_are_those_of_the_s21_pro() {
    let chips = std::num::NonZeroU16::new(65).unwrap();
    let offset = |chip| register::nonce_offset(chip, chips);
    assert_eq!([offset(0), offset(1), offset(64)], [0x8000_0000, 0x8000_03f1, 0x8000_fc10]);
}

/// The genesis header as a job with one midstate (BM1397 and older layouts): the same checksum.
#[test]
fn crc16_of_a_midstate_job_is_its_last_two_bytes() {
    let frame = bytes(
        "2136 00 01 00000000 FFFF001D 29AB5F49 4B1E5E4A \
         4719F91B 96B18736 4F0103C8 C3C8D8E9 1E59CAA8 90CCAC7D 6358BFF0 BC909A33",
    );
    assert_eq!(crc16(&frame), 0xa3b2);
}
