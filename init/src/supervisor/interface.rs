//! What goes into the supervisor and what comes out of it.

use std::fmt;
use std::time::Duration;

use rustix::process::Pid;

use crate::notify::Message;

/// A service, by its place in the list that the supervisor was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceId(pub usize);

/// The two programs that a unit file names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Task {
    Main,
    SafeState,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    Signal(i32),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit code {code}"),
            Exit::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// How the unit goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Reboot,
    PowerOff,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ending::Reboot => "reboot",
            Ending::PowerOff => "power-off",
        })
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Programs can be run: bring everything into its safe state. The first event, once.
    Secure,
    /// File systems, switches and doors are in place: start the services. Once.
    Start,
    /// Answers to [`Effect::Spawn`].
    Spawned {
        service: ServiceId,
        task: Task,
        pid: Pid,
    },
    NotSpawned {
        service: ServiceId,
        task: Task,
        error: String,
    },
    /// A child of PID 1 has ended and is gone from the process table; orphans are passed over.
    Ended {
        pid: Pid,
        exit: Exit,
    },
    /// A service's process has said something on the notify socket.
    Told {
        service: ServiceId,
        message: Message,
    },
    ShutDown(Ending),
    /// Nothing but time has passed.
    Time,
}

/// A service's state as the console shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Starting,
    Ready,
    Stopping,
    Stopped,
    Failed,
    Backoff,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Shown::Starting => "starting",
            Shown::Ready => "ready",
            Shown::Stopping => "stopping",
            Shown::Stopped => "stopped",
            Shown::Failed => "failed",
            Shown::Backoff => "backoff",
        })
    }
}

/// What the shell around the supervisor has to do, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Start a program and answer with [`Event::Spawned`] or [`Event::NotSpawned`].
    Spawn {
        service: ServiceId,
        task: Task,
    },
    /// Send SIGTERM or SIGKILL to the process's whole group.
    Terminate {
        pid: Pid,
    },
    Kill {
        pid: Pid,
    },
    /// A change of state that an operator wants to see.
    State {
        service: ServiceId,
        state: Shown,
        pid: Option<Pid>,
        retry: Option<Duration>,
        reason: Option<String>,
    },
    /// A safe state has been brought about, or could not be.
    Safe {
        reason: String,
        took: Duration,
        result: Result<(), String>,
    },
    /// A service that is never started again has no more use for the descriptors that it left: close them. Not asked for where there is a safe
    /// state: lines must hold what it has set for as long as the kernel runs.
    Release {
        service: ServiceId,
    },
    /// A process that SIGKILL does not end: it hangs in the kernel.
    Stuck {
        service: ServiceId,
        task: Task,
        pid: Pid,
    },
    /// The unit goes down without having been told to.
    GoDown {
        ending: Ending,
        reason: String,
    },
    /// Every essential service is ready, for the first time.
    EssentialReady,
    /// The first work is on a wire.
    FirstWork,
    /// Everything is stopped and safe. The last effect.
    Finish(Ending),
}
