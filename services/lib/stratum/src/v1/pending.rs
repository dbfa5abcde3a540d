//! Requests that the pool has not answered yet.

use std::time::Duration;

/// More unanswered requests than this, and new shares are not sent: the pool has stopped counting.
const MAX_PENDING: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Configure,
    Subscribe,
    Authorize,
    /// Something whose answer changes nothing.
    Courtesy,
    Share,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Pending {
    pub(crate) id: u64,
    pub(crate) asked: Asked,
    pub(crate) sent: Duration,
    /// None: waited for as long as the connection lasts.
    deadline: Option<Duration>,
}

#[derive(Debug, Default)]
pub(crate) struct Table {
    last_id: u64,
    entries: Vec<Pending>,
}

impl Table {
    /// A new request's id, from 1; `None` when too many are unanswered.
    pub(crate) fn open(&mut self, asked: Asked, now: Duration, patience: Option<Duration>) -> Option<u64> {
        if self.entries.len() >= MAX_PENDING {
            return None;
        }
        self.last_id += 1;
        let deadline = patience.map(|patience| now + patience);
        self.entries.push(Pending { id: self.last_id, asked, sent: now, deadline });
        Some(self.last_id)
    }

    pub(crate) fn close(&mut self, id: u64) -> Option<Pending> {
        let place = self.entries.iter().position(|entry| entry.id == id)?;
        Some(self.entries.swap_remove(place))
    }

    /// Takes out one request whose time is over.
    pub(crate) fn expire(&mut self, now: Duration) -> Option<Pending> {
        let late = |entry: &Pending| entry.deadline.is_some_and(|deadline| deadline <= now);
        let place = self.entries.iter().position(late)?;
        Some(self.entries.swap_remove(place))
    }
}
