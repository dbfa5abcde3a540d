//! What a run came to: its last line of output, one JSON object.

use serde::Serialize;

use crate::console::Event;

/// Times are the unit's own (milliseconds, CLOCK_BOOTTIME); shares and blocks are what pool and node counted. `null`: not reached.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcome {
    pub board: String,
    pub slot: Option<String>,
    /// What an installation writes into a slot: signed boot image, root file system and its hash tree.
    pub image_bytes: u64,
    /// Of that, root file system and hash tree.
    pub root_bytes: u64,
    /// Kernel entry → adit-init's first instruction.
    pub kernel_to_init_ms: Option<u64>,
    /// … → every essential service ready.
    pub init_to_ready_ms: Option<u64>,
    /// … → first job frame on a chain's wire.
    pub init_to_first_work_ms: Option<u64>,
    pub shares_accepted: u64,
    pub shares_rejected: u64,
    pub blocks_accepted: u64,
}

impl Outcome {
    /// Takes what an event says about the boot. A new boot starts the times afresh.
    pub fn hear(&mut self, event: &Event) {
        match event {
            Event::Slot { slot, .. } => {
                self.slot = Some(slot.to_string());
                (self.kernel_to_init_ms, self.init_to_ready_ms, self.init_to_first_work_ms) =
                    (None, None, None);
            }
            Event::Timeline { event, ms } => {
                let since_init = self.kernel_to_init_ms.map(|init| ms.saturating_sub(init));
                match event.as_str() {
                    "init" => self.kernel_to_init_ms = Some(*ms),
                    "ready" => self.init_to_ready_ms = self.init_to_ready_ms.or(since_init),
                    "first-work" => self.init_to_first_work_ms = self.init_to_first_work_ms.or(since_init),
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

/// What a run waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    Ready,
    Shares(u64),
    Blocks(u64),
}

impl Goal {
    pub fn reached(self, outcome: &Outcome) -> bool {
        match self {
            Self::Ready => outcome.init_to_ready_ms.is_some(),
            Self::Shares(count) => outcome.shares_accepted >= count,
            Self::Blocks(count) => outcome.blocks_accepted >= count,
        }
    }
}

impl std::str::FromStr for Goal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is not a goal; write ready, shares=N or blocks=N, N at least 1");
        let count = |text: &str| text.parse().ok().filter(|count| *count > 0).ok_or_else(wrong);
        match text.split_once('=') {
            None if text == "ready" => Ok(Self::Ready),
            Some(("shares", text)) => Ok(Self::Shares(count(text)?)),
            Some(("blocks", text)) => Ok(Self::Blocks(count(text)?)),
            _ => Err(wrong()),
        }
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ready => write!(f, "ready"),
            Self::Shares(count) => write!(f, "shares={count}"),
            Self::Blocks(count) => write!(f, "blocks={count}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_read_and_a_wrong_one_says_what_is_right() {
        assert_eq!("blocks=1".parse(), Ok(Goal::Blocks(1)));
        assert_eq!("ready".parse(), Ok(Goal::Ready));
        let said = "bloks=1".parse::<Goal>().unwrap_err();
        assert!(said.contains("blocks=N"), "{said}");
    }

    #[test]
    fn a_reboot_starts_the_times_afresh_and_the_first_ready_counts() {
        let mut outcome = Outcome::default();
        let timeline = |event: &str, ms| Event::Timeline { event: event.into(), ms };
        for event in [timeline("init", 400), timeline("ready", 700), timeline("ready", 900)] {
            outcome.hear(&event);
        }
        assert_eq!(outcome.init_to_ready_ms, Some(300));
        outcome.hear(&Event::Slot { slot: 'b', left_a: 0, left_b: 2, sequence: 4 });
        assert_eq!((outcome.slot.as_deref(), outcome.init_to_ready_ms), (Some("b"), None));
    }
}
