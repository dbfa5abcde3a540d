//! What is done to the clock about a finding: nothing, a slow correction, a jump, or a refusal. Pure.

use super::{
    interval::Micros,
    judge::{Finding, Trust, WITNESSES},
};

/// Errors up to this are corrected slowly (500 ppm: 17 minutes for half a second), so that nobody sees time stand still or run back.
pub const LARGEST_SLEW: Micros = 500_000;
/// Once the clock has been set, more than this in one step needs [`WITNESSES`]. No crystal is off by a minute between two rounds.
const LARGEST_LONE_STEP: Micros = 60_000_000;

/// Between these, microseconds since 1970, the time certainly is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub floor: Micros,
    pub ceiling: Micros,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// The clock is as right as can be told.
    Leave,
    /// Correct slowly by so many microseconds.
    Slew(i32),
    /// Jump, so that the crystal's count was zero at this moment.
    Step(Micros),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("earlier than possible")]
    BeforeFloor,
    #[error("too far ahead")]
    BeyondCeiling,
    #[error("a single source for such a step")]
    Lone,
}

/// `clock` is when the crystal's count was zero by the unit's clock, `count` what it is now. `set_by`: the best source by which the clock has been
/// set in this run, if it has.
pub fn decide(
    finding: &Finding,
    clock: Micros,
    count: Micros,
    bounds: Bounds,
    set_by: Option<Trust>,
) -> Result<Act, Refused> {
    let now = finding.interval;
    if now.latest.saturating_add(count) < bounds.floor {
        return Err(Refused::BeforeFloor);
    }
    let zero = now.middle().max(bounds.floor - count);
    if zero.saturating_add(count) > bounds.ceiling {
        return Err(Refused::BeyondCeiling);
    }
    if now.contains(clock) {
        return Ok(Act::Leave);
    }
    let by = zero.saturating_sub(clock);
    if by.saturating_abs() <= LARGEST_SLEW {
        return Ok(Act::Slew(i32::try_from(by).expect("half a second at most")));
    }
    // A better kind of source than any before is a new beginning.
    let is_first = set_by.is_none_or(|before| before < finding.trust);
    if !is_first && by.saturating_abs() > LARGEST_LONE_STEP && finding.votes < WITNESSES {
        return Err(Refused::Lone);
    }
    Ok(Act::Step(zero))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::interval::Interval;

    const S: Micros = 1_000_000;
    const BOUNDS: Bounds = Bounds { floor: 1_000_000 * S, ceiling: 2_000_000 * S };

    fn finding(middle: Micros, trust: Trust, votes: usize) -> Finding {
        Finding {
            interval: Interval::around(middle, 50_000),
            trust,
            votes,
            sources: Vec::new(),
            outside: 0,
            sure: None,
        }
    }

    fn plain(middle: Micros, votes: usize) -> Finding {
        finding(middle, Trust::Unauthenticated, votes)
    }

    #[test]
    fn small_errors_are_slewed_and_large_ones_stepped() {
        let at = 1_500_000 * S;
        let decide = |clock| decide(&plain(at, 1), clock, 10 * S, BOUNDS, Some(Trust::Unauthenticated));
        assert_eq!(decide(at + 50_000), Ok(Act::Leave));
        assert_eq!(decide(at + 60_000), Ok(Act::Slew(-60_000)));
        assert_eq!(decide(at - 500_000), Ok(Act::Slew(500_000)));
        assert_eq!(decide(at - 500_001), Ok(Act::Step(at)));
        assert_eq!(decide(at + 59 * S), Ok(Act::Step(at)));
    }

    #[test]
    fn a_large_step_after_the_first_needs_two_witnesses_or_a_better_source() {
        let (at, clock) = (1_500_000 * S, 1_500_000 * S + 61 * S);
        let decide = |finding: Finding, set_by| decide(&finding, clock, 10 * S, BOUNDS, set_by);
        assert_eq!(decide(plain(at, 1), None), Ok(Act::Step(at)));
        assert_eq!(decide(plain(at, 1), Some(Trust::Unauthenticated)), Err(Refused::Lone));
        assert_eq!(decide(plain(at, 2), Some(Trust::Unauthenticated)), Ok(Act::Step(at)));
        let signed = finding(at, Trust::Authenticated, 1);
        assert_eq!(decide(signed.clone(), Some(Trust::Unauthenticated)), Ok(Act::Step(at)));
        assert_eq!(decide(signed, Some(Trust::Authenticated)), Err(Refused::Lone));
    }

    #[test]
    fn time_before_the_floor_and_far_years_are_refused_whoever_says_them() {
        for trust in [Trust::Unauthenticated, Trust::Authenticated] {
            let decide = |middle| decide(&finding(middle, trust, 9), 1_500_000 * S, 10 * S, BOUNDS, None);
            assert_eq!(decide(999_000 * S), Err(Refused::BeforeFloor));
            assert_eq!(decide(2_000_000 * S), Err(Refused::BeyondCeiling));
            assert_eq!(decide(2_000_000 * S - 10 * S), Ok(Act::Step(2_000_000 * S - 10 * S)));
            // Just built, and the servers are a moment behind the builder.
            assert_eq!(decide(999_990 * S - 20_000), Ok(Act::Step(999_990 * S)));
        }
    }

    proptest! {
        #[test]
        fn no_step_leaves_the_bounds(
            earliest: i64, width in 0..i64::MAX, clock in 0..3_000_000 * S, since in 0..900_000 * S, votes in 0usize..9,
        ) {
            let interval = Interval { earliest, latest: earliest.saturating_add(width) };
            let finding = Finding { interval, trust: Trust::Unauthenticated, votes, sources: Vec::new(), outside: 0, sure: None };
            if let Ok(Act::Step(zero)) = decide(&finding, clock, since, BOUNDS, None) {
                prop_assert!((BOUNDS.floor..=BOUNDS.ceiling).contains(&(zero + since)));
            }
        }
    }
}
