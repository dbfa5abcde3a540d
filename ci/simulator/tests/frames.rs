//! Frames that were captured on real lines, or recomputed from published ones, are the judges of checksums and formats.
#![allow(clippy::unwrap_used)]

use adit_simulator::{Body, Broken, Command, Dialect, Job, Parser, Response, Target, crc5, crc16};

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex.replace([' ', '\n'], "")).unwrap()
}

/// Everything that the parser makes of a stream.
fn parse(stream: &[u8]) -> Vec<Result<Command, Broken>> {
    let mut parser = Parser::default();
    let mut found = Vec::new();
    for &byte in stream {
        parser.push(byte, 0, 0);
        while let Some(received) = parser.next() {
            found.push(received.command);
        }
    }
    found
}

fn parse_one(hex: &str) -> Result<Command, Broken> {
    let mut found = parse(&bytes(hex));
    assert_eq!(found.len(), 1, "{hex}: {found:?}");
    found.remove(0)
}

/// Register commands of BM1370 and BM1362 bring-ups, from captures; all CRCs recomputed.
const COMMANDS: [&str; 66] = [
    "55 AA 40 05 00 00 1C",
    "55 AA 40 05 02 00 01",
    "55 AA 40 05 04 00 03",
    "55 AA 40 05 FA 00 00",
    "55 AA 40 05 FE 00 1F",
    "55 AA 52 05 00 00 0A",
    "55 AA 53 05 00 00 03",
    "55 AA 51 09 00 A4 90 00 FF FF 1C",
    "55 AA 51 09 00 A8 00 07 00 00 03",
    "55 AA 51 09 00 A8 00 00 00 00 01",
    "55 AA 51 09 00 18 F0 00 C1 00 04",
    "55 AA 51 09 00 18 FF 0F C1 00 00",
    "55 AA 51 09 00 18 B0 00 C1 00 14",
    "55 AA 51 09 00 3C 80 00 8B 00 12",
    "55 AA 51 09 00 3C 80 00 80 0C 11",
    "55 AA 51 09 00 3C 80 00 80 18 1F",
    "55 AA 51 09 00 3C 80 00 85 40 0C",
    "55 AA 51 09 00 3C 80 00 80 20 19",
    "55 AA 51 09 00 3C 80 00 80 08 05",
    "55 AA 51 09 00 3C 80 00 8D EE 1B",
    "55 AA 51 09 00 14 00 00 00 FF 08",
    "55 AA 51 09 00 58 00 01 11 11 0D",
    "55 AA 51 09 00 58 02 11 11 11 06",
    "55 AA 51 09 00 54 00 00 00 02 18",
    "55 AA 51 09 00 54 00 00 00 03 1D",
    "55 AA 51 09 00 B9 00 00 44 80 0D",
    "55 AA 51 09 00 28 11 30 02 00 03",
    "55 AA 51 09 00 28 11 30 00 00 1E",
    "55 AA 51 09 00 28 01 30 00 00 1A",
    "55 AA 51 09 00 10 00 00 1E B5 0F",
    "55 AA 51 09 00 10 00 00 15 A4 0A",
    "55 AA 51 09 00 10 00 00 13 81 08",
    "55 AA 51 09 00 10 00 00 15 1C 02",
    "55 AA 51 09 00 10 00 00 11 5A 04",
    "55 AA 41 09 00 A8 00 07 01 F0 15",
    "55 AA 41 09 00 A8 00 00 00 02 03",
    "55 AA 41 09 00 18 F0 00 C1 00 0C",
    "55 AA 41 09 00 18 B0 00 C1 00 1C",
    "55 AA 41 09 00 3C 80 00 8B 00 1A",
    "55 AA 41 09 00 3C 80 00 80 0C 19",
    "55 AA 41 09 00 3C 80 00 80 18 17",
    "55 AA 41 09 00 3C 80 00 82 AA 05",
    "55 AA 41 09 00 3C 80 00 85 40 04",
    "55 AA 41 09 00 3C 80 00 80 08 0D",
    "55 AA 41 09 00 3C 80 00 80 20 11",
    "55 AA 41 09 00 2C 00 7C 00 03 03",
    "55 AA 41 09 D6 2C 00 17 00 03 1F",
    "55 AA 41 09 01 00 13 70 00 01 0A",
    "55 AA 51 09 00 08 50 D2 02 40 05",
    "55 AA 51 09 00 08 40 A8 02 30 03",
    "55 AA 51 09 00 08 50 C0 02 30 05",
    "55 AA 51 09 00 08 50 DA 01 41 1F",
    "55 AA 51 09 00 80 00 00 00 00 1C",
    "55 AA 51 09 00 84 00 00 00 00 11",
    "55 AA 51 09 00 20 00 00 00 01 02",
    "55 AA 51 09 00 3C 80 00 80 74 10",
    "55 AA 51 09 00 14 00 00 00 00 1C",
    "55 AA 51 09 00 68 C0 70 01 11 00",
    "55 AA 51 09 00 28 06 00 00 0F 18",
    "55 AA 51 09 00 18 00 00 7A 31 15",
    "55 AA 51 09 00 18 00 00 60 31 00",
    "55 AA 51 09 00 18 00 00 61 31 1C",
    "55 AA 51 09 00 70 0F 0F 0F 00 19",
    "55 AA 51 09 00 08 40 A0 02 25 16",
    "55 AA 42 05 24 1C 11",
    "55 AA 41 09 00 00 13 93 00 AB 08",
];

/// Answers of BM1370, BM1362 and relatives; the CRC over everything after the preamble comes to zero.
const RESPONSES: [&str; 20] = [
    "AA 55 13 97 18 00 00 00 06",
    "AA 55 13 62 03 00 00 00 0D",
    "AA 55 00 00 C1 00 00 18 02",
    "AA 55 13 62 03 CA CA 00 00 00 08",
    "AA 55 13 62 03 CC CC 00 00 00 12",
    "AA 55 13 62 03 F4 F4 00 00 00 02",
    "AA 55 13 62 03 F6 F6 00 00 00 17",
    "AA 55 13 62 03 F8 F8 00 00 00 13",
    "AA 55 13 62 03 FA FA 00 00 00 06",
    "AA 55 13 66 00 00 00 00 00 00 05",
    "AA 55 13 68 00 00 00 00 00 00 0F",
    "AA 55 13 70 00 00 00 00 00 00 10",
    "AA 55 18 00 A6 40 02 99 22 F9 91",
    "AA 55 07 35 CD CF 02 5E 00 2E 96",
    "AA 55 46 03 32 E7 00 C3 2C 83 99",
    "AA 55 7B 8D 81 60 02 55 00 85 81",
    "AA 55 32 2A 84 5A 02 52 01 B2 8C",
    "AA 55 50 03 41 D6 00 81 18 01 9B",
    "AA 55 4C 03 52 75 0C D2 05 A2 9C",
    "AA 55 6D B8 8E E1 01 04 03 54 94",
];

const REAL_JOB: &str = "55 AA 21 56 68 01 00000000 043A0217 D7685468
    5519A7CB 044F8872 6355919E 61A98BCF 71A0C287 95EA54DB 8C36414B 06DDF5F0
    00000000 00000000 96520100 1D3996BC A3F4670D FCD4F201 C162B96D FD55646B 00000020 721C";

#[test]
fn every_captured_command_is_taken_and_no_flipped_bit_is() {
    for frame in COMMANDS {
        let whole = bytes(frame);
        assert!(parse_one(frame).is_ok(), "{frame}");
        for bit in 16..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 0x80 >> (bit % 8);
            let taken = parse(&flipped).into_iter().filter(Result::is_ok).count();
            assert_eq!(taken, 0, "{frame} with bit {bit} flipped");
        }
    }
}

#[test]
fn every_captured_answer_can_be_made_again() {
    for frame in RESPONSES {
        let whole = bytes(frame);
        assert_eq!(crc5(&whole[2..]), 0, "{frame}");
        let word = u32::from_be_bytes(whole[2..6].try_into().unwrap());
        let wide = whole.len() == 11;
        let extra = if wide { u16::from_be_bytes([whole[8], whole[9]]) } else { 0 };
        let made = match whole[whole.len() - 1] >> 5 {
            0 => Response::register(word, whole[6], whole[7], wide),
            _ => Response::nonce(word, whole[6], whole[7], extra, wide),
        };
        assert_eq!(made.as_bytes(), whole, "{frame}");
    }
}

#[test]
fn the_well_known_answers_to_the_genesis_block_can_be_made() {
    assert_eq!(Response::nonce(0x1DAC_2B7C, 0, 0, 0, false).as_bytes(), bytes("AA551DAC2B7C000087"));
    assert_eq!(Response::nonce(0x1DAC_2B7C, 0, 0, 0, true).as_bytes(), bytes("AA551DAC2B7C0000000090"));
}

#[test]
fn commands_mean_what_their_bytes_say() {
    use Command::*;
    assert_eq!(parse_one("55 AA 40 05 02 00 01"), Ok(SetAddress(2)));
    assert_eq!(parse_one("55 AA 53 05 00 00 03"), Ok(ChainInactive));
    assert_eq!(parse_one("55 AA 52 05 00 00 0A"), Ok(Read { target: Target::All, register: 0 }));
    assert_eq!(parse_one("55 AA 42 05 24 1C 11"), Ok(Read { target: Target::Chip(0x24), register: 0x1C }));
    assert_eq!(
        parse_one("55 AA 41 09 D6 2C 00 17 00 03 1F"),
        Ok(Write { target: Target::Chip(0xD6), register: 0x2C, value: 0x0017_0003 })
    );
    assert_eq!(
        parse_one("55 AA 51 09 00 A4 90 00 FF FF 1C"),
        Ok(Write { target: Target::All, register: 0xA4, value: 0x9000_FFFF })
    );
}

#[test]
fn a_real_job_becomes_the_header_that_was_accepted() {
    let Ok(Command::Job(job)) = parse_one(REAL_JOB) else { panic!("a job") };
    assert_eq!((job.id, job.midstates, job.start_nonce), (0x68, 1, 0));
    let rolled = 0x05A2 << 13;
    assert_eq!(
        hex::encode(job.header(rolled).unwrap()),
        "0040b420fd55646bc162b96dfcd4f201a3f4670d1d3996bc96520100000000000000000006ddf5f08c36414b95ea54db\
         71a0c28761a98bcf6355919e044f88725519a7cbd7685468043a0217"
    );
}

#[test]
fn both_length_bytes_of_full_header_jobs_are_taken() {
    let body =
        "00 01 00000000 FFFF001D 29AB5F49 4B1E5E4A 3A9FB8AA 888A5132 7FC81BC3 67768F61 7AC72C3E 7A7B12B2
        3BA3EDFD 0000000000000000000000000000000000000000000000000000000000000000 01000000";
    let long = parse_one(&format!("55AA2156 {body} C95D"));
    let short = parse_one(&format!("55AA2136 {body} ED19"));
    assert!(
        matches!(&long, Ok(Command::Job(job)) if matches!(job.body, Body::Header { version: 1, .. })),
        "{long:?}"
    );
    assert_eq!(long, short);
    assert_eq!(parse_one(&format!("55AA2136 {body} C95D")), Err(Broken::Checksum));
}

#[test]
fn published_job_checksums_hold() {
    assert_eq!(crc16(&[&bytes("21 36 00 01")[..], &[0; 48]].concat()), 0x9899);
    assert_eq!(crc16(&[&bytes("21 36 01 01")[..], &[0; 48]].concat()), 0x8AEF);
    assert_eq!(crc16(&[&bytes("21 36 00 01 00000000")[..], &[0xFF; 12], &[0; 32]].concat()), 0x5FD3);
}

#[test]
fn a_good_frame_behind_noise_or_a_broken_one_is_found() {
    let good = "55 AA 52 05 00 00 0A";
    assert_eq!(
        parse(&bytes(&format!("00 FF 55 13 {good}"))),
        [Err(Broken::Noise), Ok(Command::Read { target: Target::All, register: 0 })]
    );
    assert!(parse(&bytes(&format!("55 {good}"))).last().unwrap().is_ok());
    for (broken, why) in [
        ("55 AA 52 05 00 00 0B", Broken::Checksum),
        ("55 AA 52 07 00 00 0A", Broken::WrongLength),
        ("55 AA 62 05 00 00 0A", Broken::UnknownHeader),
        ("55 AA 40 05 00 01 19", Broken::ReservedByte),
    ] {
        let found = parse(&bytes(&format!("{broken} {good} {good}")));
        assert_eq!(found.iter().filter(|one| one.is_ok()).count(), 2, "{broken}: {found:?}");
        assert_eq!(found[0], Err(why), "{broken}");
    }
}

#[test]
fn a_register_command_cut_into_a_job_is_found_once_the_job_is_refused() {
    let mut job = bytes(REAL_JOB);
    job.truncate(60);
    let mut stream = job;
    stream.extend(bytes("55 AA 52 05 00 00 0A").repeat(5));
    let found = parse(&stream);
    assert_eq!(found.iter().filter(|one| one.is_ok()).count(), 5, "{found:?}");
    assert_eq!(found[0], Err(Broken::Checksum));
}

#[test]
fn times_are_those_of_the_first_and_last_byte() {
    let mut parser = Parser::default();
    for (index, byte) in bytes("FF 55 AA 53 05 00 00 03").into_iter().enumerate() {
        parser.push(byte, index as u64 * 10, index as u64 * 10 + 10);
    }
    assert_eq!(parser.next().unwrap().command, Err(Broken::Noise));
    let frame = parser.next().unwrap();
    assert_eq!((frame.begin_ns, frame.end_ns), (10, 80));
    assert_eq!(parser.next(), None);
}

#[test]
fn job_headers_carry_the_version_bits_that_were_rolled() {
    let job = Job {
        id: 0,
        midstates: 1,
        start_nonce: 0,
        bits: [0; 4],
        time: [0; 4],
        body: Body::Header { merkle_root: [0; 32], previous_hash: [0; 32], version: 0x2000_0000 },
    };
    assert_eq!(job.header(0x22F9 << 13).unwrap()[..4], 0x245F_2000u32.to_le_bytes());
}

/// Everything that a BM1387 makes of a frame.
fn parse_bare(hex: &str) -> Vec<Result<Command, Broken>> {
    let mut parser = Parser::new(Dialect::Bm1387);
    let mut found = Vec::new();
    for byte in bytes(hex) {
        parser.push(byte, 0, 0);
        while let Some(received) = parser.next() {
            found.push(received.command);
        }
    }
    found
}

#[test]
fn commands_of_the_open_s9_are_taken_without_preamble() {
    use Command::*;
    let all = |register, value| Write { target: Target::All, register, value };
    for (frame, command) in [
        ("54 05 00 00 19", Read { target: Target::All, register: 0 }),
        ("55 05 00 00 10", ChainInactive),
        ("41 05 04 00 0A", SetAddress(4)),
        ("41 05 FC 00 0B", SetAddress(0xFC)),
        ("48 09 04 0C 00 68 02 21 19", Write { target: Target::Chip(4), register: 0x0C, value: 0x0068_0221 }),
        ("58 09 00 0C 00 68 02 21 0A", all(0x0C, 0x0068_0221)),
        ("58 09 00 1C 40 20 81 80 09", all(0x1C, 0x4020_8180)),
        ("58 09 00 18 00 00 00 FC 06", all(0x18, 0xFC)),
    ] {
        assert_eq!(parse_bare(frame), [Ok(command.clone())], "{frame}");
        let behind_noise = parse_bare(&format!("00 AA FF {frame}"));
        assert_eq!(behind_noise, [Err(Broken::Noise), Ok(command)], "{frame}");
    }
    assert_eq!(parse_bare("54 05 00 00 18")[0], Err(Broken::Checksum));
    assert_eq!(parse_bare("54 06 00 00 19")[0], Err(Broken::WrongLength));
}

/// The open S9 FPGA's test bench, two midstates.
#[test]
fn a_midstate_job_has_its_words_from_the_last_to_the_first() {
    let frame = "2156 0002 00000000 03fd2517 527d0b5d 744047de
        41e79803634a932bd79ae784fe7179a61ff0ccd207d0c195c34829b38a307647
        beb7e7f600de500f01e28acf7a97e115a389322127b159fedc0c20817294fef6 c118";
    let [Ok(Command::Job(job))] = &parse_bare(frame)[..] else { panic!("a job") };
    assert_eq!((job.id, job.midstates), (0, 2));
    let Body::Midstates { merkle_tail, states } = &job.body else { panic!("midstates") };
    assert_eq!((merkle_tail, states.len()), (&[0x74, 0x40, 0x47, 0xde], 2));
    assert_eq!((states[0][7], states[0][0], states[1][7]), (0x41e7_9803, 0x8a30_7647, 0xbeb7_e7f6));
}
