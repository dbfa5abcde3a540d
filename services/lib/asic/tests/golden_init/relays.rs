//! Serial lines at the borders of domains.

use adit_asic::{BM1362, BM1366, BM1368, Chip, init::Setup, register};

use super::{setup, transcript};

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
    let words: Vec<u32> =
        (0..13).map(|domain| register::uart_relay(65 - 5 * domain, register::RELAY_GAP)).collect();
    assert_eq!((words[0], words[12]), (0x004f_0003, 0x0013_0003));
    assert!(words.windows(2).all(|pair| pair[0] - pair[1] == 5 << 16));
}

/// S19 Pro, 114 BM1398 two addresses apart: the words of twelve borders in its stock firmware's log, at the chips that they went to.
#[test]
fn relay_words_of_an_s19_pro_differ_in_one_constant() {
    let logged = [
        (0xd6, 0x0017_0003),
        (0xc4, 0x0020_0003),
        (0xb2, 0x0029_0003),
        (0xa0, 0x0032_0003),
        (0x8e, 0x003b_0003),
        (0x7c, 0x0044_0003),
        (0x6a, 0x004d_0003),
        (0x58, 0x0056_0003),
        (0x46, 0x005f_0003),
        (0x34, 0x0068_0003),
        (0x22, 0x0071_0003),
        (0x10, 0x007a_0003),
    ];
    for (address, word) in logged {
        let to_the_end = 114 - address / 2;
        assert_eq!(register::uart_relay(to_the_end, register::RELAY_GAP_BM1398), word, "{address:#x}");
    }
}

#[test]
fn boards_of_up_to_nine_domains_have_no_relay() {
    assert_eq!(relays(&BM1366, 72, 9), [(0, 0x007c_0003)]);
    assert_eq!(relays(&BM1368, 108, 9), []);
    assert_eq!(relays(&BM1368, 108, 12).len(), 24);
    assert_eq!(relays(&BM1362, 126, 42), [], "captured without");
}
