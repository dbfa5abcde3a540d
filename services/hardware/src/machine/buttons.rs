//! Buttons of the machine: a short press switches the light that tells it from its neighbours, one held for five seconds says that a person has seen to its faults.
//!
//! Whoever can press one stands before the machine, which is more than a message can say of itself. Nothing here gives power: what is still bad stays latched.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use tokio::time::sleep;
use tracing::{info, warn};

use crate::{
    bus::{Buses, Input},
    orders::{Orders, is_open},
    profile::Profile,
    status::Status,
};

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(25);
/// Contacts bounce for a few milliseconds; a level counts when it has stayed for so long.
const STEADY: Duration = Duration::from_millis(40);
/// Nobody holds a button for so long by mistake.
const HELD: Duration = Duration::from_secs(5);

/// What a person did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Press {
    /// Let go before it was held long enough.
    Short,
    /// Still held.
    Held,
}

/// One button's contact. Without a clock: `now` only ever grows.
#[derive(Debug, Default)]
struct Contact {
    /// As last seen, and since when; `None`: could not be read.
    seen: Option<(bool, Duration)>,
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nobody has seen it released yet: it may be stuck, or wired the other way.
    #[default]
    Unknown,
    Released,
    Pressed(Duration),
    /// What was held has been said.
    Said,
}

impl Contact {
    fn look(&mut self, now: Duration, pressed: Option<bool>) -> Option<Press> {
        let Some(pressed) = pressed else {
            *self = Self::default();
            return None;
        };
        let since = match self.seen {
            Some((level, since)) if level == pressed => since,
            _ => now,
        };
        self.seen = Some((pressed, since));
        if now - since < STEADY {
            return None;
        }
        let (state, press) = match (self.state, pressed) {
            (State::Pressed(_), false) => (State::Released, Some(Press::Short)),
            (_, false) => (State::Released, None),
            (State::Released, true) => (State::Pressed(since), None),
            (State::Pressed(from), true) if now - from >= HELD => (State::Said, Some(Press::Held)),
            (state, true) => (state, None),
        };
        self.state = state;
        press
    }
}

struct Button {
    name: String,
    line: Input,
    contact: Contact,
    /// Said once, until it can be read again.
    silent: bool,
}

/// Those that nobody disputes.
pub(super) struct Buttons(Vec<Button>);

impl Buttons {
    pub(super) fn new(profile: &Profile, buses: &Buses) -> Self {
        let sure = profile.button.iter().filter(|button| !is_open(profile, "button", &button.line));
        let button = |button: &crate::profile::Light| Button {
            name: button.name.clone(),
            line: buses.input(&button.line),
            contact: Contact::default(),
            silent: false,
        };
        Self(sure.map(button).collect())
    }

    pub(super) async fn watch(&mut self, orders: &Orders, status: &Status) -> Infallible {
        if self.0.is_empty() {
            return std::future::pending().await;
        }
        let began = Instant::now();
        loop {
            sleep(LOOK).await;
            for button in &mut self.0 {
                match button.look(began).await {
                    None => {}
                    // Where the profile has no light there is nothing to switch.
                    Some(Press::Short) => drop(orders.locate(!orders.is_lit())),
                    Some(Press::Held) => {
                        let waits = status.waits_for_person();
                        info!(target: "adit_hardware", button = %button.name, waits, "button held");
                        // Where nothing waits there is nothing to clear.
                        drop(orders.clear_fault(waits));
                    }
                }
            }
        }
    }
}

impl Button {
    async fn look(&mut self, began: Instant) -> Option<Press> {
        let read = self.line.is_active().await;
        if let (Err(error), false) = (&read, self.silent) {
            warn!(target: "adit_hardware", button = %self.name, %error, "a button cannot be read");
        }
        self.silent = read.is_err();
        self.contact.look(began.elapsed(), read.ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every 25 ms at levels, each for so many milliseconds.
    fn presses(levels: &[(Option<bool>, u64)]) -> Vec<(u64, Press)> {
        let (mut contact, mut now, mut presses) = (Contact::default(), 0, Vec::new());
        for (level, lasts) in levels {
            for _ in 0..lasts / 25 {
                now += 25;
                let press = contact.look(Duration::from_millis(now), *level);
                presses.extend(press.map(|press| (now, press)));
            }
        }
        presses
    }

    const UP: Option<bool> = Some(false);
    const DOWN: Option<bool> = Some(true);

    #[test]
    fn a_press_counts_when_it_is_let_go_and_once_when_it_is_held_for_five_seconds() {
        assert_eq!(presses(&[(UP, 200), (DOWN, 100), (UP, 200)]), [(375, Press::Short)]);
        assert_eq!(presses(&[(UP, 200), (DOWN, 4900), (UP, 200)]), [(5175, Press::Short)]);
        assert_eq!(presses(&[(UP, 200), (DOWN, 60_000), (UP, 200)]), [(5225, Press::Held)]);
        let twice = [(UP, 100), (DOWN, 6000), (UP, 100), (DOWN, 100), (UP, 100)];
        assert_eq!(presses(&twice), [(5125, Press::Held), (6375, Press::Short)]);
    }

    #[test]
    fn bouncing_contacts_are_one_press() {
        let bounce = [(DOWN, 25), (UP, 25), (DOWN, 25), (UP, 25)];
        let levels = [&[(UP, 200)][..], &bounce, &[(DOWN, 200)], &bounce, &[(UP, 200)]].concat();
        assert_eq!(presses(&levels).len(), 1, "{:?}", presses(&levels));
        assert_eq!(presses(&[&[(UP, 200)][..], &bounce].concat()), []);
    }

    #[test]
    fn a_button_that_is_stuck_or_wired_the_other_way_presses_nothing() {
        assert_eq!(presses(&[(DOWN, 600_000)]), []);
        assert_eq!(presses(&[(DOWN, 10_000), (UP, 200)]), [], "nobody saw it pressed");
        assert_eq!(presses(&[(UP, 200), (DOWN, 3000), (None, 100), (DOWN, 60_000), (UP, 100)]), []);
    }
}
