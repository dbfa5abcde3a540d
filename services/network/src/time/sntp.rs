//! SNTP packets (RFC 5905 §7.3, client mode of RFC 4330): the one that is sent, and what must be true of an answer before its time is looked at. Pure.

use std::time::Duration;

use super::interval::{Interval, Micros, micros};

/// A packet without extensions, bytes.
pub const LENGTH: usize = 48;
/// Seconds from 1900, where NTP begins, to 1970.
const NTP_TO_UNIX_S: i64 = 2_208_988_800;
/// Seconds of one NTP era: its 32-bit counter wraps, the next time in 2036.
const ERA_S: i64 = 1 << 32;
/// Most that a server may be away from its own reference: root delay / 2 + root dispersion. Source: RFC 5905 MAXDIST, 1.5 s.
const MOST_ROOT_DISTANCE: Duration = Duration::from_millis(1_500);
/// A slower answer says too little.
const MOST_DELAY: Duration = Duration::from_secs(2);
/// No source is believed more exactly: neighbours that differ by less agree, and nobody on a unit needs better.
const LEAST_DOUBT: Micros = 50_000;

/// Why an answer does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error("{0} bytes where 48 or more belong")]
    Short(usize),
    #[error("mode {0} where 4 (server) belongs")]
    Mode(u8),
    #[error("version {0} where 3 or 4 belongs")]
    Version(u8),
    #[error("it answers another question")]
    Origin,
    /// The server wants to be left alone (RFC 5905 §7.4).
    #[error("kiss of death {:?}", String::from_utf8_lossy(.0))]
    Kiss([u8; 4]),
    #[error("the server is not synchronised")]
    Unsynchronised,
    #[error("stratum {0}")]
    Stratum(u8),
    #[error("the server is more than {} ms away from its reference", MOST_ROOT_DISTANCE.as_millis())]
    RootDistance,
    #[error("a time of zero")]
    NoTime,
    #[error("it was answered before it was asked")]
    Order,
    #[error("more than {} ms on the way", MOST_DELAY.as_millis())]
    Delay,
}

/// A question. `nonce` is random and stands where our time would: the server returns it, and learns nothing of our clock
/// (draft-ietf-ntp-data-minimization).
pub fn question(nonce: u64) -> [u8; LENGTH] {
    let mut packet = [0; LENGTH];
    packet[0] = 4 << 3 | 3; // version 4, mode client
    packet[40..].copy_from_slice(&nonce.to_be_bytes());
    packet
}

/// When the crystal's count was zero, by this answer. `sent` and `received` are its counts. `near`: a time, seconds since 1970, that the answer's is at
/// most 68 years away from; it decides the era.
pub fn answer(
    packet: &[u8],
    nonce: u64,
    sent: Duration,
    received: Duration,
    near: i64,
) -> Result<Interval, Rejected> {
    let Some(packet) = packet.first_chunk::<LENGTH>() else { return Err(Rejected::Short(packet.len())) };
    let word = |at: usize| u32::from_be_bytes(packet[at..at + 4].try_into().expect("four bytes"));
    let long = |at: usize| u64::from_be_bytes(packet[at..at + 8].try_into().expect("eight bytes"));
    let (leap, version, mode, stratum) = (packet[0] >> 6, packet[0] >> 3 & 7, packet[0] & 7, packet[1]);
    if mode != 4 {
        return Err(Rejected::Mode(mode));
    }
    if !(3..=4).contains(&version) {
        return Err(Rejected::Version(version));
    }
    // First of all that is believed: whoever cannot see our question cannot send a kiss of death either.
    if long(24) != nonce {
        return Err(Rejected::Origin);
    }
    match stratum {
        0 => return Err(Rejected::Kiss(packet[12..16].try_into().expect("four bytes"))),
        1..=15 => {}
        _ => return Err(Rejected::Stratum(stratum)),
    }
    if leap == 3 {
        return Err(Rejected::Unsynchronised);
    }
    let root = short_format(word(4)) / 2 + short_format(word(8));
    if root > MOST_ROOT_DISTANCE {
        return Err(Rejected::RootDistance);
    }
    if long(32) == 0 || long(40) == 0 {
        return Err(Rejected::NoTime);
    }
    let (arrived, left) = (unix(long(32), near), unix(long(40), near));
    let at_server = u64::try_from(left - arrived).map_err(|_| Rejected::Order)?;
    let away = received.checked_sub(sent).ok_or(Rejected::Order)?;
    let delay = away.checked_sub(Duration::from_micros(at_server)).ok_or(Rejected::Order)?;
    if delay > MOST_DELAY {
        return Err(Rejected::Delay);
    }
    // ((t2 − t1) + (t3 − t4)) / 2, RFC 5905 §8, with the crystal's counts for t1 and t4.
    let middle = (arrived - micros(sent)).midpoint(left - micros(received));
    Ok(Interval::around(middle, (micros(delay) / 2 + micros(root)).max(LEAST_DOUBT)))
}

/// 16.16 seconds.
fn short_format(value: u32) -> Duration {
    Duration::from_micros((u64::from(value) * 1_000_000) >> 16)
}

/// 32.32 seconds since 1900 of some era, in the era that brings it nearest to `near`.
fn unix(timestamp: u64, near: i64) -> Micros {
    let seconds = i64::from((timestamp >> 32) as u32) - NTP_TO_UNIX_S;
    let eras = (near - seconds + ERA_S / 2).div_euclid(ERA_S);
    let fraction = ((timestamp & 0xffff_ffff) * 1_000_000) >> 32;
    (seconds + eras * ERA_S) * 1_000_000 + i64::try_from(fraction).expect("below a million")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NONCE: u64 = 0x0123_4567_89ab_cdef;
    const SENT: Duration = Duration::from_secs(100);
    const RECEIVED: Duration = Duration::from_millis(100_040);
    /// 2026-01-01.
    const NEAR: i64 = 1_767_225_600;

    /// Stratum 2, root delay 10 ms, root dispersion 5 ms, received and sent 2026-02-01 00:00:00.5 by its clock.
    fn good() -> [u8; LENGTH] {
        let mut packet = [0; LENGTH];
        (packet[0], packet[1], packet[6], packet[10]) = (4 << 3 | 4, 2, 2, 1);
        packet[24..32].copy_from_slice(&NONCE.to_be_bytes());
        let time = (1_769_904_000u64 + 2_208_988_800) << 32 | 1 << 31;
        packet[32..40].copy_from_slice(&time.to_be_bytes());
        packet[40..48].copy_from_slice(&time.to_be_bytes());
        packet
    }

    fn check(packet: &[u8]) -> Result<Interval, Rejected> {
        answer(packet, NONCE, SENT, RECEIVED, NEAR)
    }

    fn with(change: impl Fn(&mut [u8; LENGTH])) -> Result<Interval, Rejected> {
        let mut packet = good();
        change(&mut packet);
        check(&packet)
    }

    #[test]
    fn a_good_answer_tells_when_the_count_was_zero() {
        let found = check(&good()).unwrap();
        assert_eq!(found.middle(), (1_769_904_000_500_000) - 100_020_000);
        assert_eq!(found, Interval::around(found.middle(), LEAST_DOUBT));
    }

    #[test]
    fn every_reason_to_doubt_an_answer_is_seen() {
        assert_eq!(check(&good()[..47]), Err(Rejected::Short(47)));
        assert_eq!(check(&[]), Err(Rejected::Short(0)));
        assert_eq!(with(|packet| packet[0] = 4 << 3 | 3), Err(Rejected::Mode(3)));
        assert_eq!(with(|packet| packet[0] = 2 << 3 | 4), Err(Rejected::Version(2)));
        assert_eq!(with(|packet| packet[31] ^= 1), Err(Rejected::Origin));
        assert_eq!(with(|packet| packet[0] |= 3 << 6), Err(Rejected::Unsynchronised));
        assert_eq!(with(|packet| packet[1] = 16), Err(Rejected::Stratum(16)));
        assert_eq!(with(|packet| packet[9] = 2), Err(Rejected::RootDistance));
        assert_eq!(with(|packet| packet[5] = 4), Err(Rejected::RootDistance));
        assert_eq!(with(|packet| packet[32..40].fill(0)), Err(Rejected::NoTime));
        assert_eq!(with(|packet| packet[40..48].fill(0)), Err(Rejected::NoTime));
        // It says that it held the question for longer than we waited for the answer; or less than no time.
        assert_eq!(with(|packet| packet[43] += 1), Err(Rejected::Order));
        assert_eq!(with(|packet| packet[35] += 1), Err(Rejected::Order));
        let late = Duration::from_secs(103);
        assert_eq!(answer(&good(), NONCE, SENT, late, NEAR), Err(Rejected::Delay));
    }

    #[test]
    fn a_kiss_of_death_counts_only_from_someone_who_saw_the_question() {
        let kiss = |packet: &mut [u8; LENGTH]| {
            (packet[0], packet[1]) = (3 << 6 | 4 << 3 | 4, 0);
            packet[12..16].copy_from_slice(b"RATE");
        };
        assert_eq!(with(kiss), Err(Rejected::Kiss(*b"RATE")));
        let forged = with(|packet| {
            kiss(packet);
            packet[24] ^= 1;
        });
        assert_eq!(forged, Err(Rejected::Origin));
    }

    /// RFC 5905 fig. 4: era 1 begins on 2036-02-07 at 06:28:16.
    #[test]
    fn the_era_changes_in_2036() {
        let era_1 = 2_085_978_496;
        assert_eq!(unix(1 << 32, era_1 - 86_400), (era_1 + 1) * 1_000_000);
        assert_eq!(unix(0xffff_ffff << 32, era_1 + 86_400), (era_1 - 1) * 1_000_000);
        assert_eq!(unix(2_208_988_800 << 32, 0), 0);
    }

    #[test]
    fn a_question_says_nothing_of_our_clock() {
        let packet = question(NONCE);
        assert_eq!(packet[0], 0x23);
        assert!(packet[1..40].iter().all(|byte| *byte == 0));
    }

    proptest! {
        #[test]
        fn no_answer_stops_the_unit(packet in prop::collection::vec(any::<u8>(), 0..64), near: u32) {
            let _ = answer(&packet, NONCE, SENT, RECEIVED, near.into());
        }

        #[test]
        fn no_time_in_an_answer_stops_the_unit(arrived in 1u64.., left in 1u64.., root: u64, near: u32) {
            let mut packet = good();
            packet[4..12].copy_from_slice(&root.to_be_bytes());
            packet[32..40].copy_from_slice(&arrived.to_be_bytes());
            packet[40..48].copy_from_slice(&left.to_be_bytes());
            if let Ok(found) = answer(&packet, NONCE, SENT, RECEIVED, near.into()) {
                prop_assert!(found.latest - found.earliest <= 5_200_000);
                prop_assert!((found.middle() / 1_000_000 - i64::from(near)).abs() <= ERA_S / 2 + 200);
            }
        }
    }
}
