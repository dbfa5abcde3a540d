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
    let words: Vec<u32> = (0..13).map(|domain| register::uart_relay(65 - 5 * domain)).collect();
    assert_eq!((words[0], words[12]), (0x004f_0003, 0x0013_0003));
    assert!(words.windows(2).all(|pair| pair[0] - pair[1] == 5 << 16));
}

#[test]
fn boards_of_up_to_nine_domains_have_no_relay() {
    assert_eq!(relays(&BM1366, 72, 9), [(0, 0x007c_0003)]);
    assert_eq!(relays(&BM1368, 108, 9), []);
    assert_eq!(relays(&BM1368, 108, 12).len(), 24);
    assert_eq!(relays(&BM1362, 126, 42), [], "captured without");
}
