//! The way down: dependants first, everything with a limit, safe before the end.

use super::state::{Next, State};
use super::{Effect, Ending, HANGS, Phase, Supervisor};

impl Supervisor {
    pub(super) fn go_down(&mut self, ending: Ending) {
        // Each step may free the next one: a stopped dependant lets go of what it needs.
        while self.take_step_down() {}
        if self.entries.iter().all(|entry| matches!(entry.state, State::Stopped)) {
            self.phase = Phase::Finished;
            self.effects.push(Effect::Finish(ending));
        }
    }

    fn take_step_down(&mut self) -> bool {
        for index in 0..self.entries.len() {
            if self.dependants_run(index) {
                continue;
            }
            match &self.entries[index].state {
                State::Waiting | State::BackingOff { .. } | State::Finished => {
                    self.stopped(index);
                    return true;
                }
                State::Starting { .. } | State::Ready { .. } => self.stop(index, None),
                State::Stopping(stopping) if stopping.is_stuck() => {
                    self.main_ended(index, HANGS.to_owned(), Next::Stop);
                    return true;
                }
                State::Launching | State::Stopping(_) | State::Securing(_) | State::Stopped => {}
            }
        }
        false
    }

    fn dependants_run(&self, index: usize) -> bool {
        let mut dependants = self.entries.iter().filter(|entry| entry.needs.contains(&index));
        dependants.any(|entry| !matches!(entry.state, State::Stopped))
    }
}
