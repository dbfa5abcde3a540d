//! One server to ask, and how long it is left alone after each outcome. Pure.

use std::time::Duration;

use adit_config::HostPort;
use ed25519_dalek::VerifyingKey;

use super::interval::{Answer, Interval};

/// Between two questions to a Roughtime server that answers: its interval ages by seven seconds meanwhile.
const SIGNED_PAUSE: Duration = Duration::from_secs(4 * 3_600);
/// The same for SNTP. A crystal that is off by 50 ppm goes wrong by a tenth of a second.
const PLAIN_PAUSE: Duration = Duration::from_secs(2_048);
/// After failure n: 1.5^n s, half as much again as RFC 10049 §5 demands, up to a day …
const LONGEST_SIGNED_PAUSE: Duration = Duration::from_secs(86_400);
/// … and for SNTP up to half an hour.
const LONGEST_PLAIN_PAUSE: Duration = Duration::from_secs(2_048);
/// After a kiss of death that asks for fewer questions (RATE).
const SLOWED_PAUSE: Duration = Duration::from_secs(4 * 3_600);
/// After one that asks for none (DENY, RSTR).
const BANNED_PAUSE: Duration = Duration::from_secs(7 * 86_400);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Roughtime(VerifyingKey),
    Sntp,
}

#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) server: HostPort,
    pub(crate) kind: Kind,
    /// Since it answered last.
    pub(crate) failures: u32,
    /// The crystal's count when it is asked again …
    pub(crate) due: Duration,
    /// … and from when on it may be, along with others that are due.
    pub(crate) willing: Duration,
    /// What it said last, and the count then.
    said: Option<(Interval, Duration)>,
}

/// How a question went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered(Interval),
    Failed,
    Kissed([u8; 4]),
}

impl Source {
    pub(crate) fn new(server: HostPort, kind: Kind) -> Self {
        Self { server, kind, failures: 0, due: Duration::ZERO, willing: Duration::ZERO, said: None }
    }

    /// Its last answer as it is worth now, if it has not failed several times since: the votes of one round are compared with those of others, so that
    /// a single server that answers at another time than the rest is no majority.
    pub(crate) fn answer(&self, number: usize, now: Duration) -> Option<Answer> {
        const FORGOTTEN: u32 = 3;
        let (interval, at) = self.said.filter(|_| self.failures < FORGOTTEN)?;
        Some(Answer { source: number, interval: interval.aged(now.saturating_sub(at)) })
    }

    /// `dice`: a random number; up to a quarter of each pause is taken off, so that units that were switched on together part company.
    pub(crate) fn rest(&mut self, now: Duration, outcome: Outcome, dice: u8) {
        let (answered, longest) = match self.kind {
            Kind::Roughtime(_) => (SIGNED_PAUSE, LONGEST_SIGNED_PAUSE),
            Kind::Sntp => (PLAIN_PAUSE, LONGEST_PLAIN_PAUSE),
        };
        let (pause, least) = match outcome {
            Outcome::Answered(interval) => {
                (self.failures, self.said) = (0, Some((interval, now)));
                (answered, answered * 2 / 3)
            }
            Outcome::Failed => {
                self.failures = self.failures.saturating_add(1);
                // Beyond 30 the longest is reached anyway.
                let growth = 1.5f64.powi(self.failures.min(30).cast_signed());
                let pause = Duration::from_secs_f64(growth).min(longest);
                (pause, pause * 2 / 3)
            }
            Outcome::Kissed(code) => {
                self.failures = self.failures.saturating_add(1);
                let pause = if [*b"DENY", *b"RSTR"].contains(&code) { BANNED_PAUSE } else { SLOWED_PAUSE };
                (pause, pause * 3 / 4)
            }
        };
        (self.due, self.willing) = (now + pause - pause * u32::from(dice) / 1_024, now + least);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Source {
        Source::new(HostPort { host: "time.example.com".to_owned(), port: 123 }, Kind::Sntp)
    }

    const SAID: Interval = Interval { earliest: 5_000_000, latest: 6_000_000 };

    fn pause(source: &mut Source, outcome: Outcome) -> u64 {
        source.rest(Duration::from_secs(1_000), outcome, 0);
        (source.due - Duration::from_secs(1_000)).as_secs()
    }

    #[test]
    fn who_fails_is_asked_less_and_less_often_until_an_answer() {
        let mut source = source();
        let pauses: Vec<u64> = (0..40).map(|_| pause(&mut source, Outcome::Failed)).collect();
        assert_eq!(pauses[..6], [1, 2, 3, 5, 7, 11]);
        assert_eq!(pauses[39], 2_048);
        assert_eq!(pause(&mut source, Outcome::Answered(SAID)), 2_048);
        assert_eq!(pause(&mut source, Outcome::Failed), 1);
    }

    #[test]
    fn an_answer_counts_until_the_third_failure_and_less_exactly_with_time() {
        let mut source = source();
        assert_eq!(source.answer(7, Duration::from_secs(1_000)), None);
        pause(&mut source, Outcome::Answered(SAID));
        pause(&mut source, Outcome::Failed);
        pause(&mut source, Outcome::Failed);
        let found = source.answer(7, Duration::from_secs(3_000)).unwrap();
        assert_eq!((found.source, found.interval), (7, Interval { earliest: 4_000_000, latest: 7_000_000 }));
        pause(&mut source, Outcome::Failed);
        assert_eq!(source.answer(7, Duration::from_secs(3_000)), None);
    }

    #[test]
    fn a_kiss_of_death_is_respected() {
        assert_eq!(pause(&mut source(), Outcome::Kissed(*b"DENY")), 7 * 86_400);
        assert_eq!(pause(&mut source(), Outcome::Kissed(*b"RSTR")), 7 * 86_400);
        assert_eq!(pause(&mut source(), Outcome::Kissed(*b"RATE")), 4 * 3_600);
        assert_eq!(pause(&mut source(), Outcome::Kissed([0xff; 4])), 4 * 3_600);
    }

    #[test]
    fn pauses_differ_by_up_to_a_quarter() {
        let mut source = source();
        source.rest(Duration::ZERO, Outcome::Answered(SAID), 255);
        assert_eq!(source.due, Duration::from_secs(1_538));
        assert!(source.willing < source.due, "who answered with it is asked with it again");
    }
}
