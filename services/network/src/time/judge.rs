//! What all answers together amount to: signed ones first, plain ones only inside of what the signed ones allow. Pure.

use std::time::Duration;

use super::interval::{Answer, Interval, Majority, Micros, majority};

/// Operators that must agree where one could do harm for good.
pub const WITNESSES: usize = 2;

/// Where a time comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// Plain SNTP: whoever is on the way can have made it.
    Unauthenticated,
    /// Signed, or inside of what is signed.
    Authenticated,
}

impl Trust {
    pub fn text(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::Authenticated => "authenticated",
        }
    }
}

/// What has been found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub interval: Interval,
    pub trust: Trust,
    /// How many servers vouch for it: signed ones if there are any, else plain ones.
    pub votes: usize,
    /// Who speaks for it.
    pub sources: Vec<usize>,
    /// So many plain sources contradict the signed ones.
    pub outside: usize,
    /// Several operators have signed that it is not earlier than this, whatever plain sources say.
    pub sure: Option<Micros>,
}

/// Why answers amount to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    #[error("{0} authenticated time sources do not agree")]
    Signed(usize),
    #[error("one authenticated time source contradicts what several said before")]
    Lonely,
    #[error("{0} unauthenticated time sources do not agree")]
    Plain(usize),
    #[error("{0} unauthenticated time sources contradict the authenticated ones")]
    Outside(usize),
}

/// Remembers what was signed.
#[derive(Debug, Default)]
pub struct Judge {
    signed: Option<Signed>,
}

#[derive(Debug, Clone, Copy)]
struct Signed {
    interval: Interval,
    votes: usize,
    at: Duration,
}

impl Judge {
    /// `now`: the crystal's count; answers as they are worth then. `Ok(None)`: nobody has said anything.
    pub fn hear(
        &mut self,
        now: Duration,
        signed: &[Answer],
        plain: &[Answer],
    ) -> Result<Option<Finding>, Unclear> {
        let mut sources = Vec::new();
        if !signed.is_empty() {
            let found = majority(signed).ok_or(Unclear::Signed(signed.len()))?;
            self.remember(now, &found)?;
            sources = found.sources;
        }
        let Some(known) = self.signed else {
            if plain.is_empty() {
                return Ok(None);
            }
            let found = majority(plain).ok_or(Unclear::Plain(plain.len()))?;
            let Majority { interval, sources } = found;
            let (trust, votes) = (Trust::Unauthenticated, sources.len());
            return Ok(Some(Finding { interval, trust, votes, sources, outside: 0, sure: None }));
        };
        let window = known.interval.aged(now.saturating_sub(known.at));
        let fresh = !sources.is_empty();
        let inside = plain.iter().filter_map(|answer| {
            let interval = answer.interval.common(window)?;
            Some(Answer { interval, ..*answer })
        });
        let inside: Vec<Answer> = inside.collect();
        let finding = |interval, sources| {
            let (trust, outside) = (Trust::Authenticated, plain.len() - inside.len());
            let sure = (known.votes >= WITNESSES).then_some(window.earliest);
            Ok(Some(Finding { interval, trust, votes: known.votes, sources, outside, sure }))
        };
        match majority(&inside) {
            Some(found) => {
                sources.extend(found.sources);
                finding(found.interval, sources)
            }
            None if fresh => finding(window, sources),
            None if plain.is_empty() => Ok(None),
            None if inside.is_empty() => Err(Unclear::Outside(plain.len())),
            None => Err(Unclear::Plain(plain.len())),
        }
    }

    fn remember(&mut self, now: Duration, found: &Majority) -> Result<(), Unclear> {
        let votes = found.sources.len();
        let known = self.signed.filter(|known| {
            let aged = known.interval.aged(now.saturating_sub(known.at));
            aged.common(found.interval).is_none()
        });
        // One key that has been stolen must not undo what several operators have signed.
        if known.is_some_and(|known| known.votes > votes) {
            return Err(Unclear::Lonely);
        }
        self.signed = Some(Signed { interval: found.interval, votes, at: now });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Micros = 1_000_000;

    fn answers(first: usize, middles: &[Micros], doubt: Micros) -> Vec<Answer> {
        let answer = |(number, middle): (usize, &Micros)| Answer {
            source: first + number,
            interval: Interval::around(*middle, doubt),
        };
        middles.iter().enumerate().map(answer).collect()
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_plain_majority_counts_as_long_as_nobody_has_signed_and_says_so() {
        let plain = answers(4, &[0, 9, 3_600 * S], 10);
        let found = Judge::default().hear(seconds(1), &[], &plain).unwrap().unwrap();
        assert_eq!(
            (found.trust, found.votes, found.sources.as_slice()),
            (Trust::Unauthenticated, 2, [4, 5].as_slice())
        );
        assert_eq!(
            Judge::default().hear(seconds(1), &[], &answers(0, &[0, 3_600 * S], 10)),
            Err(Unclear::Plain(2))
        );
        assert_eq!(Judge::default().hear(seconds(1), &[], &[]), Ok(None));
    }

    #[test]
    fn plain_sources_refine_what_is_signed_and_cannot_leave_it() {
        let signed = answers(0, &[0, S], 3 * S);
        // Three liars against two who tell the truth.
        let plain = answers(2, &[900 * S, 900 * S, 900 * S, S, S], 50_000);
        let mut judge = Judge::default();
        let found = judge.hear(seconds(1), &signed, &plain).unwrap().unwrap();
        assert_eq!(found.interval, Interval::around(S, 50_000));
        assert_eq!((found.trust, found.votes, found.outside), (Trust::Authenticated, 2, 3));
        assert_eq!(found.sources, [0, 1, 5, 6]);
        assert_eq!(found.sure, Some(-2 * S), "no plain source narrows what is sure");
        // Later, with the signed ones silent, what they said still holds.
        assert_eq!(judge.hear(seconds(2_000), &[], &plain[..3]), Err(Unclear::Outside(3)));
        let found = judge.hear(seconds(2_000), &[], &plain).unwrap().unwrap();
        assert_eq!((found.interval.middle(), found.trust), (S, Trust::Authenticated));
    }

    #[test]
    fn what_was_signed_widens_with_time() {
        let mut judge = Judge::default();
        judge.hear(seconds(0), &answers(0, &[0, 0], S), &[]).unwrap();
        let plain = answers(2, &[5 * S], 50_000);
        assert_eq!(judge.hear(seconds(3_600), &[], &plain), Err(Unclear::Outside(1)));
        assert!(judge.hear(seconds(10_000), &[], &plain).unwrap().is_some());
    }

    #[test]
    fn one_signed_source_does_not_undo_what_several_said_and_several_undo_one() {
        let (first, second) = (answers(0, &[0], S), answers(0, &[3_600 * S, 3_600 * S], S));
        let mut judge = Judge::default();
        assert_eq!(judge.hear(seconds(1), &first, &[]).unwrap().unwrap().sure, None);
        assert_eq!(judge.hear(seconds(2), &second, &[]).unwrap().unwrap().interval.middle(), 3_600 * S);
        assert_eq!(judge.hear(seconds(3), &first, &[]), Err(Unclear::Lonely));
        assert_eq!(judge.hear(seconds(4), &answers(0, &[0, 3_600 * S], S), &[]), Err(Unclear::Signed(2)));
    }
}
