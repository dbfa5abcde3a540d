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

impl Signed {
    /// As it is worth now.
    fn window(&self, now: Duration) -> Interval {
        self.interval.aged(now.saturating_sub(self.at))
    }
}

impl Judge {
    /// `now`: the crystal's count; answers as they are worth then. `Ok(None)`: nobody has said anything.
    pub fn hear(
        &mut self,
        now: Duration,
        signed: &[Answer],
        plain: &[Answer],
    ) -> Result<Option<Finding>, Unclear> {
        let fresh = if signed.is_empty() {
            None
        } else {
            let found = majority(signed).ok_or(Unclear::Signed(signed.len()))?;
            Some((self.remember(now, &found)?, found.sources))
        };
        // What signed sources allow, how many vouch for it, and who of them has spoken now.
        let (window, votes, mut sources) = match (fresh, self.signed) {
            (Some((window, sources)), _) => (window, sources.len(), sources),
            (None, Some(known)) => (known.window(now), known.votes, Vec::new()),
            (None, None) if plain.is_empty() => return Ok(None),
            (None, None) => {
                let Majority { interval, sources } = majority(plain).ok_or(Unclear::Plain(plain.len()))?;
                let (trust, votes) = (Trust::Unauthenticated, sources.len());
                return Ok(Some(Finding { interval, trust, votes, sources, outside: 0, sure: None }));
            }
        };
        let inside = plain.iter().filter_map(|answer| {
            let interval = answer.interval.common(window)?;
            Some(Answer { interval, ..*answer })
        });
        let inside: Vec<Answer> = inside.collect();
        let finding = |interval, sources| {
            let (trust, outside) = (Trust::Authenticated, plain.len() - inside.len());
            let sure = (votes >= WITNESSES).then_some(window.earliest);
            Ok(Some(Finding { interval, trust, votes, sources, outside, sure }))
        };
        match majority(&inside) {
            Some(found) => {
                sources.extend(found.sources);
                finding(found.interval, sources)
            }
            None if !sources.is_empty() => finding(window, sources),
            None if plain.is_empty() => Ok(None),
            None if inside.is_empty() => Err(Unclear::Outside(plain.len())),
            None => Err(Unclear::Plain(plain.len())),
        }
    }

    /// What is allowed by `found` and by what was signed before it.
    ///
    /// One key that has been stolen must not undo what several operators have signed, and neither lead away from it step by step: what one alone has signed
    /// counts inside of that for as long as it is heard, and does not take its place.
    fn remember(&mut self, now: Duration, found: &Majority) -> Result<Interval, Unclear> {
        let votes = found.sources.len();
        if let Some(known) = self.signed {
            match known.window(now).common(found.interval) {
                None if known.votes > votes => return Err(Unclear::Lonely),
                Some(common) if known.votes.min(WITNESSES) > votes => return Ok(common),
                _ => {}
            }
        }
        self.signed = Some(Signed { interval: found.interval, votes, at: now });
        Ok(found.interval)
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

    #[test]
    fn one_signed_source_does_not_lead_away_from_what_several_said_step_by_step() {
        let mut judge = Judge::default();
        judge.hear(seconds(0), &answers(0, &[0, 0], S), &[]).unwrap();
        // It agrees, if only just; then it goes on from there.
        let found = judge.hear(seconds(2), &answers(0, &[2 * S], S), &[]).unwrap().unwrap();
        let common = Interval { earliest: S, latest: S + 1_000 };
        assert_eq!((found.interval, found.votes, found.sure), (common, 1, None));
        assert_eq!(judge.hear(seconds(3), &answers(0, &[4 * S], S), &[]), Err(Unclear::Lonely));
        assert_eq!(judge.hear(seconds(4), &answers(0, &[3_600 * S], S), &[]), Err(Unclear::Lonely));
        // Several take the place of several.
        let found = judge.hear(seconds(5), &answers(0, &[2 * S, 2 * S], S), &[]).unwrap().unwrap();
        assert_eq!((found.interval, found.sure), (Interval::around(2 * S, S), Some(S)));
    }
}
