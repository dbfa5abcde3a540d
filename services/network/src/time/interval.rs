//! What one source says, and what a majority of them says. Pure.
//!
//! Everything is said of one moment that does not move: when the crystal's count (CLOCK_MONOTONIC_RAW) was zero, which is about when the unit was switched on.
//! "It is noon now" becomes "we were switched on at ten past nine", and stays true whoever sets or slews the clock meanwhile.

use std::time::Duration;

/// Microseconds since 1970, UTC.
pub type Micros = i64;

/// An interval widens by this part of the time since it was found: five times what a bad crystal is off. Clocks of units are better than 100 ppm.
const DRIFT: Micros = 2_000;

/// A count of the crystal in microseconds.
pub fn micros(count: Duration) -> Micros {
    Micros::try_from(count.as_micros()).expect("292 000 years fit")
}

/// The moment when the crystal's count was zero lies in here, ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    pub earliest: Micros,
    pub latest: Micros,
}

impl Interval {
    pub fn around(middle: Micros, doubt: Micros) -> Self {
        Self { earliest: middle.saturating_sub(doubt), latest: middle.saturating_add(doubt) }
    }

    pub fn middle(self) -> Micros {
        self.earliest.midpoint(self.latest)
    }

    pub fn contains(self, moment: Micros) -> bool {
        (self.earliest..=self.latest).contains(&moment)
    }

    /// What is left of it after so much time.
    pub fn aged(self, by: Duration) -> Self {
        let by = micros(by) / DRIFT;
        Self { earliest: self.earliest.saturating_sub(by), latest: self.latest.saturating_add(by) }
    }

    /// What both allow.
    pub fn common(self, other: Self) -> Option<Self> {
        let (earliest, latest) = (self.earliest.max(other.earliest), self.latest.min(other.latest));
        (earliest <= latest).then_some(Self { earliest, latest })
    }
}

/// One source's interval; `source` is its number among all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    pub source: usize,
    pub interval: Interval,
}

/// What more than half of those who answered agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Majority {
    pub interval: Interval,
    /// Who agrees, in the order of their answers.
    pub sources: Vec<usize>,
}

/// The narrowest part that the most intervals share, if that is more than half of them (Marzullo's rule).
pub fn majority(answers: &[Answer]) -> Option<Majority> {
    let candidate = |moment: Micros| {
        let agreeing = answers.iter().filter(|answer| answer.interval.contains(moment));
        let sources: Vec<usize> = agreeing.clone().map(|answer| answer.source).collect();
        let interval = agreeing.map(|answer| answer.interval).reduce(|all, one| Interval {
            earliest: all.earliest.max(one.earliest),
            latest: all.latest.min(one.latest),
        })?;
        Some(Majority { interval, sources })
    };
    // A part that the most intervals share begins where one of them begins.
    let found = answers.iter().filter_map(|answer| candidate(answer.interval.earliest));
    let width = |found: &Majority| found.interval.latest.saturating_sub(found.interval.earliest);
    let best = found.min_by_key(|found| (usize::MAX - found.sources.len(), width(found)))?;
    (best.sources.len() * 2 > answers.len()).then_some(best)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answers(intervals: &[(Micros, Micros)]) -> Vec<Answer> {
        let answer =
            |(source, &(earliest, latest))| Answer { source, interval: Interval { earliest, latest } };
        intervals.iter().enumerate().map(answer).collect()
    }

    #[test]
    fn a_majority_outvotes_a_liar_and_half_is_none() {
        let found = majority(&answers(&[(0, 10), (5, 12), (1000, 1001)])).unwrap();
        assert_eq!((found.interval, found.sources), (Interval { earliest: 5, latest: 10 }, vec![0, 1]));
        assert_eq!(majority(&answers(&[(0, 10), (20, 30)])), None);
        assert_eq!(majority(&answers(&[(0, 10), (5, 12), (100, 110), (105, 112)])), None);
        assert_eq!(majority(&[]), None);
        assert_eq!(majority(&answers(&[(3, 4)])).unwrap().sources, [0]);
    }

    /// RFC 5905 §11.2.1 and its source, Marzullo: 8…12, 11…13 and 14…15 leave 11…12 with two of three.
    #[test]
    fn the_textbook_example() {
        let found = majority(&answers(&[(8, 12), (11, 13), (14, 15)])).unwrap();
        assert_eq!(found.interval, Interval { earliest: 11, latest: 12 });
    }

    proptest! {
        #[test]
        fn fewer_than_half_liars_move_nothing_out_of_what_an_honest_one_said(
            truth in -1000i64..1000,
            honest in prop::collection::vec((0i64..50, 0i64..50), 3..6),
            liars in prop::collection::vec((-10_000i64..10_000, 0i64..100), 0..3),
        ) {
            let mut all: Vec<(i64, i64)> = honest.iter().map(|(a, b)| (truth - a, truth + b)).collect();
            all.extend(liars.iter().map(|(start, width)| (*start, start + width)));
            let found = majority(&answers(&all)).unwrap();
            prop_assert!(found.sources.len() * 2 > all.len());
            prop_assert!(found.sources.iter().any(|source| *source < honest.len()));
            for source in &found.sources {
                prop_assert!(all[*source].0 <= found.interval.earliest && found.interval.latest <= all[*source].1);
            }
        }
    }
}
