use proptest::prelude::*;

use super::*;

/// A hello with all of QEMU 10's capabilities but streams, laid out as the protocol's description has it.
fn hello(capabilities: u32) -> Vec<u8> {
    let mut bytes = [0, 0, 0, 0, 68, 0, 0, 0, 0, 0, 0, 0].to_vec();
    bytes.extend([b'q'; 64]);
    bytes.extend(capabilities.to_le_bytes());
    bytes
}

fn greeted() -> Decoder {
    let mut decoder = Decoder::default();
    decoder.push(&hello(0xFE));
    assert_eq!(decoder.next(), Ok(None));
    decoder
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digits: String = hexadecimal.split_whitespace().collect();
    (0..digits.len() / 2)
        .map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).expect("hex"))
        .collect()
}

#[test]
fn ours_is_the_first_packet_and_its_id_is_short() {
    let mut encoder = Encoder::default();
    encoder.hello();
    assert_eq!(encoder.bytes.len(), 12 + 68);
    assert_eq!(encoder.bytes[..12], [0, 0, 0, 0, 68, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(encoder.bytes[12 + 64..], [0x7A, 0, 0, 0]);
}

#[test]
fn packets_are_read_as_the_description_lays_them_out() {
    let mut decoder = greeted();
    // GET_DESCRIPTOR of the device, 18 bytes; its id is 0x0102.
    decoder.push(&bytes("64000000 0A000000 0201000000000000 80 06 80 00 0001 0000 1200"));
    // SET_LINE_CODING of interface 2.
    decoder.push(&bytes("64000000 11000000 0300000000000000 00 20 21 00 0000 0200 0700 40420F00000008"));
    // 64 bytes wanted from endpoint 82; three bytes for endpoint 01.
    decoder.push(&bytes("65000000 0A000000 0400000000000000 82 00 4000 00000000 0000"));
    decoder.push(&bytes("65000000 0D000000 0500000000000000 01 00 0300 00000000 0000 070809"));
    let control = |request_type, request, value, index, length, data: &[u8]| {
        Request::Control(Control { request_type, request, value, index, length, data: data.to_vec() })
    };
    let bulk =
        |endpoint, length, data: &[u8]| Request::Bulk { endpoint, stream: 0, length, data: data.to_vec() };
    let coding = [0x40, 0x42, 0x0F, 0, 0, 0, 8];
    for expected in [
        (0x0102, control(0x80, 6, 0x0100, 0, 18, &[])),
        (3, control(0x21, 0x20, 0, 2, 7, &coding)),
        (4, bulk(0x82, 64, &[])),
        (5, bulk(0x01, 3, &[7, 8, 9])),
    ] {
        assert_eq!(decoder.next(), Ok(Some(expected)));
    }
    assert_eq!(decoder.next(), Ok(None));
}

#[test]
fn tables_have_thirty_two_places_each() {
    let mut encoder = Encoder::default();
    let mut endpoints = [Endpoint { kind: 255, interval: 0, interface: 0, packet: 0 }; SLOTS];
    endpoints[slot(0x82)] = Endpoint { kind: 2, interval: 0, interface: 1, packet: 64 };
    encoder.tables(&vec![[2, 2, 0], [10, 0, 0]], &endpoints);
    let (interfaces, table) = encoder.bytes.split_at(16 + 4 + 4 * 32);
    assert_eq!(interfaces[..20], bytes("04000000 84000000 0000000000000000 02000000"));
    assert_eq!((interfaces[20 + 1], interfaces[52], interfaces[52 + 1]), (1, 2, 10));
    assert_eq!(table[..16], bytes("05000000 A0000000 0000000000000000"));
    assert_eq!((table[16 + 17], table[16 + 18], table[16 + 64 + 18]), (255, 2, 1));
    assert_eq!(table[16 + 96 + 36..16 + 96 + 38], [64, 0]);
    assert_eq!(table.len(), 16 + 160);
}

#[test]
fn an_older_qemu_and_lies_about_lengths_end_the_connection() {
    let refused = |packets: &[Vec<u8>]| {
        let mut decoder = Decoder::default();
        packets.iter().for_each(|packet| decoder.push(packet));
        decoder.next().expect_err("makes no sense")
    };
    assert_eq!(refused(&[hello(0x7A & !0x20)]), Malformed::Capabilities(0x5A));
    assert_eq!(refused(&[bytes("03000000 00000000 00000000")]), Malformed::NoHello(3));
    let after = |packet: &str| refused(&[hello(0x7A), bytes(packet)]);
    assert_eq!(after("65000000 00001001 0000000000000000"), Malformed::TooLong(0x0110_0000));
    assert_eq!(after("06000000 02000000 0000000000000000 0101"), Malformed::Length { kind: 6, bytes: 2 });
    let short = "65000000 0C000000 0000000000000000 01 00 0300 00000000 0000 0708";
    assert_eq!(after(short), Malformed::Length { kind: 101, bytes: 12 });
    let direction = "64000000 0A000000 0000000000000000 00 06 80 00 0001 0000 0000";
    assert_eq!(after(direction), Malformed::Length { kind: 100, bytes: 10 });
}

proptest! {
    #[test]
    fn any_bytes_are_survived(greeting: bool, stream in prop::collection::vec(prop_oneof![Just(0), any::<u8>()], 0..300)) {
        let mut decoder = if greeting { greeted() } else { Decoder::default() };
        decoder.push(&stream);
        while let Ok(Some(_)) = decoder.next() {}
    }
}
