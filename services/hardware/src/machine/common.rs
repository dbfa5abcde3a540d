use std::cell::{Cell, RefCell};

use tokio::sync::{Notify, watch};

use crate::{board::SafeState, cooling::Cooling, notify, power::Fault};

/// How a board's last try to make it safe has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tried {
    NotYet,
    Reached,
    NotReached,
    Absent,
}

/// What boards and what they share have to tell each other.
#[derive(Debug)]
pub(super) struct Common {
    /// What is shared is well and on: boards may have power.
    supply: watch::Sender<bool>,
    tried: RefCell<Vec<Tried>>,
    ready: Cell<bool>,
    became_ready: Notify,
    alarm: RefCell<Option<Fault>>,
    rung: Notify,
    /// Fans that boards share work for all of them.
    pub(super) cooling: Cooling,
}

impl Common {
    pub(super) fn new(boards: usize, cooling: Cooling) -> Self {
        Self {
            supply: watch::Sender::new(false),
            tried: RefCell::new(vec![Tried::NotYet; boards]),
            ready: Cell::new(false),
            became_ready: Notify::new(),
            alarm: RefCell::default(),
            rung: Notify::new(),
            cooling,
        }
    }

    /// A board was made safe, or was not. All boards but absent ones once, and one that is safe: that is READY=1.
    pub(super) fn tried(&self, board: usize, state: &SafeState) {
        let mut tried = self.tried.borrow_mut();
        tried[board] = match state {
            state if state.absent => Tried::Absent,
            state if state.reached() => Tried::Reached,
            _ => Tried::NotReached,
        };
        let all = !tried.contains(&Tried::NotYet);
        let well = tried.contains(&Tried::Reached) || tried.iter().all(|tried| *tried == Tried::Absent);
        if all && well && !self.ready.replace(true) {
            notify::ready();
            self.became_ready.notify_waiters();
        }
    }

    pub(super) async fn ready(&self) {
        while !self.ready.get() {
            self.became_ready.notified().await;
        }
    }

    /// Boards may have power, or must go off it.
    pub(super) fn supply(&self, on: bool) {
        self.supply.send_replace(on);
    }

    pub(super) async fn supply_is(&self, on: bool) {
        let mut supply = self.supply.subscribe();
        // The sender lives as long as `self`.
        let _ = supply.wait_for(|now| *now == on).await;
    }

    /// A board without a switch of its own must go off power: then all do.
    pub(super) fn raise(&self, fault: Fault) {
        self.alarm.borrow_mut().get_or_insert(fault);
        self.rung.notify_one();
    }

    pub(super) async fn raised(&self) -> Fault {
        loop {
            if let Some(fault) = self.alarm.take() {
                return fault;
            }
            self.rung.notified().await;
        }
    }

    pub(super) fn forget(&self) {
        self.alarm.take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;

    #[test]
    fn ready_when_every_board_was_tried_and_one_is_safe_or_none_is_there() {
        let reached = SafeState { rail_off: true, reset_held: true, fan_full: true, ..Default::default() };
        let silent = SafeState::default();
        let absent = SafeState { absent: true, ..Default::default() };
        let table = [
            (vec![&reached], true),
            (vec![&silent], false),
            (vec![&absent], true),
            (vec![&silent, &absent], false),
            (vec![&silent, &reached], true),
            (vec![&absent, &absent], true),
        ];
        for (states, wanted) in table {
            let profile = include_str!("../../../../overlay/etc/adit/machines/bench-bitaxe.toml");
            let cooling = Cooling::new(&Profile::parse(profile).unwrap());
            let common = Common::new(states.len(), cooling);
            for (board, state) in states.iter().enumerate() {
                assert!(!common.ready.get(), "not before the last");
                common.tried(board, state);
            }
            assert_eq!(common.ready.get(), wanted, "{states:?}");
        }
    }
}
