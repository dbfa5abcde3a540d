//! Where one service stands.

use std::time::Duration;

use rustix::process::Pid;

pub(super) enum State {
    /// For the start of everything, or for a need.
    Waiting,
    /// Its spawn has been asked for and not been answered.
    Launching,
    Starting {
        pid: Pid,
        until: Duration,
    },
    Ready {
        pid: Pid,
        since: Duration,
    },
    /// A one-shot that has done its work.
    Finished,
    Stopping(Stopping),
    Securing(Securing),
    BackingOff {
        until: Duration,
    },
    /// For good: the unit goes down.
    Stopped,
}

/// A main process that is to end.
pub(super) struct Stopping {
    pub pid: Pid,
    /// When patience ends; none: SIGKILL has not helped, there is nothing left to do.
    pub act_at: Option<Duration>,
    pub killed: bool,
    pub ready_since: Option<Duration>,
    /// Why, when it is not the exit that tells.
    pub reason: Option<String>,
}

impl Stopping {
    pub(super) fn new(
        pid: Pid,
        act_at: Duration,
        ready_since: Option<Duration>,
        reason: Option<String>,
    ) -> Self {
        Stopping { pid, act_at: Some(act_at), killed: false, ready_since, reason }
    }

    /// SIGKILL was sent and the process has not ended in time.
    pub(super) fn is_stuck(&self) -> bool {
        self.killed && self.act_at.is_none()
    }
}

/// A safe state that is being brought about.
pub(super) struct Securing {
    /// None until the spawn has been answered.
    pub pid: Option<Pid>,
    pub act_at: Option<Duration>,
    pub killed: bool,
    /// From 1.
    pub attempt: u8,
    pub began: Duration,
    pub reason: String,
    pub next: Next,
}

impl Securing {
    pub(super) fn new(began: Duration, reason: String, next: Next) -> Self {
        Securing { pid: None, act_at: None, killed: false, attempt: 1, began, reason, next }
    }

    pub(super) fn again(&mut self) {
        self.pid = None;
        self.act_at = None;
        self.killed = false;
        self.attempt += 1;
    }
}

/// What follows an end, after the safe state if there is one.
pub(super) enum Next {
    Wait,
    Finish,
    BackOff { until: Duration, reason: String },
    Stop,
}

impl State {
    /// The main process that runs and has not been told to end; with the time since which it is ready.
    pub(super) fn up(&self) -> Option<(Pid, Option<Duration>)> {
        match self {
            State::Starting { pid, .. } => Some((*pid, None)),
            State::Ready { pid, since } => Some((*pid, Some(*since))),
            _ => None,
        }
    }

    pub(super) fn main_pid(&self) -> Option<Pid> {
        match self {
            State::Stopping(stopping) => Some(stopping.pid),
            _ => self.up().map(|(pid, _)| pid),
        }
    }

    /// Processes whose end concerns this state: the main one, the safe state's.
    pub(super) fn pids(&self) -> [Option<Pid>; 2] {
        let safe_state = match self {
            State::Securing(securing) => securing.pid,
            _ => None,
        };
        [self.main_pid(), safe_state]
    }

    pub(super) fn is_ready(&self) -> bool {
        matches!(self, State::Ready { .. } | State::Finished)
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        match self {
            State::Starting { until, .. } | State::BackingOff { until } => Some(*until),
            State::Stopping(stopping) => stopping.act_at,
            State::Securing(securing) => securing.act_at,
            State::Waiting | State::Launching | State::Ready { .. } | State::Finished | State::Stopped => {
                None
            }
        }
    }
}
