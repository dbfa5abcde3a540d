//! What chips do with commands.
#![allow(clippy::unwrap_used)]

use adit_simulator::{
    BM1362, BM1366, BM1368, BM1370, BM1387, BM1397, Body, Chain, Command, Effect, Job, Model, Target,
};

fn chain(model: &'static Model, chips: usize) -> Chain {
    let mut chain = Chain::new(model, chips);
    chain.set_powered(true);
    chain
}

fn answers(chain: &mut Chain, command: Command) -> Vec<String> {
    chain
        .execute(command, usize::MAX)
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Answer(response) => Some(hex::encode_upper(response.as_bytes())),
            _ => None,
        })
        .collect()
}

fn read_all(chain: &mut Chain, register: u8) -> Vec<String> {
    answers(chain, Command::Read { target: Target::All, register })
}

fn write_all(chain: &mut Chain, register: u8, value: u32) -> Vec<Effect> {
    chain.execute(Command::Write { target: Target::All, register, value }, usize::MAX)
}

fn address_all(chain: &mut Chain, commands: u32) {
    chain.execute(Command::ChainInactive, usize::MAX);
    for i in 0..commands {
        chain.execute(Command::SetAddress((i * 2) as u8), usize::MAX);
    }
}

#[test]
fn a_fresh_chip_answers_nine_bytes_and_eleven_once_it_rolls_versions() {
    let mut chain = chain(&BM1370, 1);
    assert_eq!(read_all(&mut chain, 0x18), ["AA550000C100001802"]);
    write_all(&mut chain, 0xA4, 0x0000_FFFF);
    assert_eq!(read_all(&mut chain, 0x00)[0].len(), 18, "bit 31 is what counts");
    write_all(&mut chain, 0xA4, 0x9000_FFFF);
    assert_eq!(read_all(&mut chain, 0x00), ["AA55137000000000000010"]);
}

#[test]
fn models_are_found_by_name_and_an_unknown_one_is_answered_with_those_there_are() {
    assert_eq!(Model::by_name("bm1362").unwrap().id, 0x1362);
    assert_eq!(Model::by_name("BM1368").unwrap().id, 0x1368);
    let refused = Model::by_name("bm1398").unwrap_err().to_string();
    assert_eq!(refused, "no chip `bm1398`: there are bm1362, bm1366, bm1368, bm1370, bm1387, bm1397");
}

#[test]
fn chips_say_who_they_are_as_captured() {
    for (model, chips, id) in
        [(&BM1366, 110, "AA55136600000000000005"), (&BM1368, 108, "AA5513680000000000000F")]
    {
        let mut chain = chain(model, chips);
        write_all(&mut chain, 0xA4, 0x9000_FFFF);
        let found = read_all(&mut chain, 0x00);
        assert_eq!(found.len(), chips);
        assert!(found.iter().all(|answer| answer == id), "{found:?}");
    }
}

#[test]
fn every_unaddressed_chip_answers_with_address_zero() {
    let mut chain = chain(&BM1362, 126);
    let found = read_all(&mut chain, 0x00);
    assert_eq!(found.len(), 126);
    assert!(found.iter().all(|answer| answer == "AA551362030000000D"), "{found:?}");
}

#[test]
fn addressed_chips_answer_in_chain_order_with_their_addresses() {
    let mut chain = chain(&BM1362, 126);
    write_all(&mut chain, 0xA4, 0x9000_FFFF);
    address_all(&mut chain, 128); // two more than there are chips, as factory firmware does
    assert_eq!(chain.addressed(), 126);
    let found = read_all(&mut chain, 0x00);
    assert_eq!(found.len(), 126);
    for (address, captured) in [
        (0xCA, "AA55136203CACA00000008"),
        (0xCC, "AA55136203CCCC00000012"),
        (0xF4, "AA55136203F4F400000002"),
        (0xF6, "AA55136203F6F600000017"),
        (0xF8, "AA55136203F8F800000013"),
        (0xFA, "AA55136203FAFA00000006"),
    ] {
        assert_eq!(found[address / 2], captured);
    }
}

#[test]
fn chips_that_wait_for_an_address_are_silent() {
    let mut chain = chain(&BM1370, 65);
    address_all(&mut chain, 3);
    assert_eq!(read_all(&mut chain, 0x00).len(), 3);
    let one = answers(&mut chain, Command::Read { target: Target::Chip(4), register: 0x00 });
    assert_eq!(one.len(), 1);
    assert_eq!(&one[0][4..14], "1370000404");
    assert!(answers(&mut chain, Command::Read { target: Target::Chip(6), register: 0x00 }).is_empty());
}

#[test]
fn an_address_is_not_taken_before_the_chain_was_made_inactive() {
    let mut chain = chain(&BM1370, 1);
    chain.execute(Command::SetAddress(8), usize::MAX);
    assert_eq!(&read_all(&mut chain, 0x00)[0][4..14], "1370000000");
    assert_eq!(chain.addressed(), 0);
}

#[test]
fn a_write_to_one_chip_leaves_the_others_alone() {
    let mut chain = chain(&BM1370, 3);
    address_all(&mut chain, 3);
    chain.execute(Command::Write { target: Target::Chip(2), register: 0x14, value: 0xFF }, usize::MAX);
    let found = read_all(&mut chain, 0x14);
    assert_eq!(
        found.iter().map(|answer| &answer[4..12]).collect::<Vec<_>>(),
        ["00000000", "000000FF", "00000000"]
    );
}

#[test]
fn a_register_that_is_not_there_gets_no_answer() {
    let mut chain = chain(&BM1370, 1);
    assert!(read_all(&mut chain, 0x07).is_empty());
    assert!(matches!(write_all(&mut chain, 0x07, 1)[..], [Effect::Refused(_)]));
}

#[test]
fn without_power_chips_are_silent_and_afterwards_they_have_forgotten() {
    let mut chain = chain(&BM1370, 1);
    write_all(&mut chain, 0xA4, 0x9000_FFFF);
    write_all(&mut chain, 0x28, 0x1130_0200);
    assert_eq!(chain.baud(), 1_041_666);
    chain.set_powered(false);
    assert!(read_all(&mut chain, 0x00).is_empty());
    assert!(write_all(&mut chain, 0xA4, 0x9000_FFFF).is_empty());
    chain.set_powered(true);
    assert_eq!(read_all(&mut chain, 0x00)[0].len(), 18, "nine bytes again");
    assert_eq!(chain.baud(), 115_740);
}

#[test]
fn captured_baud_words_give_their_rates() {
    let mut chain = chain(&BM1370, 1);
    for (word, rate) in [
        (0x0130_1A00, 115_740),
        (0x1130_0200, 1_041_666),
        (0x1130_0000, 3_125_000),
        (0x0130_0000, 3_125_000),
        (0x1130_0100, 1_562_500),
    ] {
        assert_eq!(write_all(&mut chain, 0x28, word), [Effect::Baud(rate)]);
    }
}

#[test]
fn the_pll_reads_back_locked_and_a_bad_word_unlocks_it() {
    let mut chain = chain(&BM1370, 1);
    assert_eq!(write_all(&mut chain, 0x08, 0x50D2_0240), [Effect::Pll(Some(525.0))]);
    assert_eq!(&read_all(&mut chain, 0x08)[0][4..12], "D0D20240");
    let effects = write_all(&mut chain, 0x08, 0x40D2_0240);
    assert!(matches!(effects[..], [Effect::Refused(_), Effect::Pll(None)]), "{effects:?}");
    assert_eq!(&read_all(&mut chain, 0x08)[0][4..12], "40D20240");
}

#[test]
fn chips_beyond_a_break_neither_hear_nor_answer() {
    let mut chain = chain(&BM1370, 5);
    let effects = chain.execute(Command::Read { target: Target::All, register: 0 }, 3);
    assert_eq!(effects.len(), 3);
}

#[test]
fn bm1387_and_bm1397_say_who_they_are_as_captured() {
    let mut s9 = chain(&BM1387, 63);
    assert!(read_all(&mut s9, 0x00).iter().all(|answer| answer == "13879000000007"));
    s9.execute(Command::ChainInactive, usize::MAX);
    for place in 0..64 {
        s9.execute(Command::SetAddress(4 * place), usize::MAX);
    }
    let found = read_all(&mut s9, 0x00);
    assert_eq!(found.len(), 63);
    for (place, captured) in [
        (0, "13879000000007"),
        (1, "13879004000010"),
        (2, "1387900800000C"),
        (58, "138790E8000016"),
        (61, "138790F400001C"),
    ] {
        assert_eq!(found[place], captured);
    }
    assert_eq!(read_all(&mut chain(&BM1397, 1), 0x00), ["AA5513971800000006"]);
}

fn dummy(bits: u8, states: usize) -> Command {
    let body = Body::Midstates { merkle_tail: [0xFF; 4], states: vec![[0; 8]; states] };
    let midstates = states as u8;
    Command::Job(Box::new(Job { id: 0, midstates, start_nonce: 0, bits: [bits; 4], time: [0xFF; 4], body }))
}

#[test]
fn each_job_wakes_one_more_gated_core_of_a_bm1387() {
    let mut chain = chain(&BM1387, 2);
    let hashing = |chain: &Chain| chain.work(2, 32).map_or(0.0, |work| work.hashes_per_second() / 650e6);
    write_all(&mut chain, 0x0C, 0x0068_0221);
    chain.execute(dummy(0xFF, 1), usize::MAX);
    assert_eq!(hashing(&chain), 0.0, "not gated, so nothing tells the cores apart");
    write_all(&mut chain, 0x1C, 0x0020_8180);
    chain.execute(dummy(0x00, 1), usize::MAX);
    assert_eq!(hashing(&chain), 0.0, "these jobs wake nobody");
    for woken in 1..=114 {
        chain.execute(dummy(0xFF, 1), usize::MAX);
        assert_eq!(hashing(&chain), f64::from(2 * woken));
    }
    chain.execute(dummy(0xFF, 1), usize::MAX);
    assert_eq!(hashing(&chain), 228.0);
}

#[test]
fn more_midstates_than_chips_are_set_up_for_are_refused() {
    let refused = |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Refused(_)));
    let mut s9 = chain(&BM1387, 1);
    assert!(refused(&s9.execute(dummy(0xFF, 4), usize::MAX)));
    write_all(&mut s9, 0x1C, 0x0020_8180);
    assert!(!refused(&s9.execute(dummy(0xFF, 4), usize::MAX)));
    assert!(refused(&s9.execute(dummy(0xFF, 3), usize::MAX)), "1, 2 or 4");
    let mut max = chain(&BM1397, 1);
    assert!(refused(&max.execute(dummy(0xFF, 4), usize::MAX)));
    write_all(&mut max, 0x3C, 0x8000_8074);
    assert!(!refused(&max.execute(dummy(0xFF, 4), usize::MAX)));
}

#[test]
fn a_bm1397_divides_its_clock_by_eight_until_its_divider_is_set() {
    let mut chain = chain(&BM1397, 1);
    write_all(&mut chain, 0x08, 0x4044_0221);
    assert_eq!(chain.mhz(), Some(425.0 / 8.0));
    write_all(&mut chain, 0x70, 0x0F0F_0F00);
    assert_eq!(chain.mhz(), Some(425.0));
    assert_eq!(chain.baud(), 115_740);
    assert_eq!(write_all(&mut chain, 0x18, 0x0000_6031), [Effect::Baud(3_125_000)]);
    assert_eq!(write_all(&mut chain, 0x18, 0x0000_6131), [Effect::Baud(1_562_500)]);
    assert_eq!(write_all(&mut chain, 0x18, 0x0001_6731), [Effect::Baud(0)], "PLL3 does not run");
    write_all(&mut chain, 0x68, 0xC070_0111);
    assert_eq!(chain.baud(), 6_250_000);
}

#[test]
fn a_bm1368_tells_its_temperature_once_its_thermometer_was_started() {
    let mut chain = chain(&BM1368, 1);
    chain.advance(0.1, 51.394);
    let start = [0x0002_0000, 0x0102_0000, 0x1002_0000];
    for word in start {
        assert_eq!(&read_all(&mut chain, 0xB4)[0][4..12], "00000000");
        write_all(&mut chain, 0xB0, word);
    }
    assert_eq!(&read_all(&mut chain, 0xB4)[0][4..12], "80000800");
    let mut other = self::chain(&BM1370, 1);
    for word in start {
        write_all(&mut other, 0xB0, word);
    }
    assert_eq!(&read_all(&mut other, 0xB4)[0][4..12], "00000000", "its thermometer is dead");
}

#[test]
fn errors_are_counted_by_the_chip_that_made_them() {
    let mut chain = chain(&BM1397, 3);
    chain.found_one_wrong(1);
    chain.found_one_wrong(9);
    let errors = read_all(&mut chain, 0x4C);
    assert_eq!(
        errors.iter().map(|answer| &answer[4..12]).collect::<Vec<_>>(),
        ["00000000", "00000001", "00000000"]
    );
}
