//! Who is still there: all chips are asked who they are, again and again, also while they hash.

use tokio::time::{Duration, Instant};

/// Between two calls while all answer.
const EVERY: Duration = Duration::from_secs(10);
/// A chip that lets so many calls in a row pass is lost, after a quarter of a minute. Noise may cost it an answer, and not so many; nor does a computer that has no time for its line.
const CALLS: u8 = 8;

/// A chip that does not answer any more, and how many still do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) place: usize,
    pub(super) left: u16,
}

#[derive(Debug)]
pub(super) struct RollCall {
    /// By place: calls in a row that it let pass, and whether it has answered since the last one.
    chips: Vec<(u8, bool)>,
    /// When the present call was made; `None`: it is over.
    called: Option<Instant>,
    due: Instant,
}

impl RollCall {
    /// All have just been found.
    pub(super) fn new(chips: u16, now: Instant) -> Self {
        Self { chips: vec![(0, true); chips.into()], called: None, due: now + EVERY }
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        now >= self.due
    }

    pub(super) fn call(&mut self, now: Instant) {
        self.chips.iter_mut().for_each(|(_, answered)| *answered = false);
        (self.called, self.due) = (Some(now), now + EVERY);
    }

    pub(super) fn answers(&mut self, place: usize) {
        if let Some(chip) = self.chips.get_mut(place) {
            *chip = (0, true);
        }
    }

    /// Ends the call; whoever is missing is called again at the next occasion. `heard`: when the line last had something to say. A line that says nothing at all is not the matter of single chips.
    pub(super) fn end(&mut self, now: Instant, heard: Instant) -> Option<Lost> {
        let called = self.called.take()?;
        if heard < called {
            return None;
        }
        let missing = self.chips.iter_mut().filter(|(_, answered)| !answered);
        missing.for_each(|(calls, _)| *calls = calls.saturating_add(1));
        let left = self.chips.iter().filter(|(_, answered)| *answered).count() as u16;
        if usize::from(left) < self.chips.len() {
            self.due = now;
        }
        let place = self.chips.iter().position(|(calls, _)| *calls >= CALLS)?;
        Some(Lost { place, left })
    }

    /// It answered the last call.
    pub(super) fn is_there(&self, place: usize) -> bool {
        self.chips.get(place).is_some_and(|(calls, _)| *calls == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A call, as soon as it is due, that these chips answer, and what comes of it two seconds later.
    fn call(roll: &mut RollCall, now: &mut Instant, answer: impl IntoIterator<Item = usize>) -> Option<Lost> {
        while !roll.is_due(*now) {
            *now += SECOND;
        }
        roll.call(*now);
        answer.into_iter().for_each(|place| roll.answers(place));
        let heard = *now;
        *now += SECOND * 2;
        roll.end(*now, heard)
    }

    #[test]
    fn all_are_called_every_ten_seconds_and_again_at_once_when_one_is_missing() {
        let mut now = Instant::now();
        let mut roll = RollCall::new(3, now);
        assert!(!roll.is_due(now + SECOND * 9) && roll.is_due(now + SECOND * 10));
        now += SECOND * 10;
        assert_eq!(call(&mut roll, &mut now, 0..3), None);
        assert!(!roll.is_due(now) && !roll.is_due(now + SECOND * 7) && roll.is_due(now + SECOND * 8));
        now += SECOND * 8;
        assert_eq!(call(&mut roll, &mut now, [0, 2]), None);
        assert!(roll.is_due(now));
        assert_eq!([0, 1, 2].map(|place| roll.is_there(place)), [true, false, true]);
    }

    #[test]
    fn a_chip_that_misses_eight_calls_in_a_row_is_lost_and_one_that_misses_seven_is_not() {
        let mut now = Instant::now();
        let mut roll = RollCall::new(5, now);
        for _ in 0..10 {
            for _ in 0..7 {
                assert_eq!(call(&mut roll, &mut now, [0, 1, 2, 4]), None);
            }
            assert_eq!(call(&mut roll, &mut now, 0..5), None);
        }
        for _ in 0..7 {
            assert_eq!(call(&mut roll, &mut now, 0..2), None);
        }
        assert_eq!(call(&mut roll, &mut now, 0..2), Some(Lost { place: 2, left: 2 }));
    }

    #[test]
    fn chips_that_miss_calls_in_turn_are_on_a_bad_line_and_not_lost() {
        let mut now = Instant::now();
        let mut roll = RollCall::new(4, now);
        for turn in 0..50 {
            assert_eq!(call(&mut roll, &mut now, (0..4).filter(|place| *place != turn % 4)), None);
        }
    }

    #[test]
    fn a_line_that_says_nothing_at_all_costs_no_single_chip() {
        let mut now = Instant::now() + EVERY;
        let mut roll = RollCall::new(2, Instant::now());
        let heard = now - SECOND;
        for _ in 0..10 {
            roll.call(now);
            now += EVERY;
            assert_eq!(roll.end(now, heard), None);
        }
        roll.call(now);
        now += SECOND;
        assert_eq!(roll.end(now, now), None, "a nonce, but nobody answers: the first miss");
        assert!(!roll.is_there(0));
    }
}
