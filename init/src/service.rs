//! What PID 1 knows about a service: the checked content of its unit file.

use std::time::Duration;

use serde::Deserialize;

/// One service, as `docs/units.md` describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// The unit file's name without `.toml`.
    pub name: String,
    /// Program with its absolute path, and arguments; never empty.
    pub exec: Vec<String>,
    /// Services that must be ready before this one starts and are stopped after it.
    pub needs: Vec<String>,
    /// Names of the sockets that are bound for it, in the order in which it gets them.
    pub doors: Vec<String>,
    pub ready: Readiness,
    /// The unit counts as up when every essential service is ready.
    pub essential: bool,
    /// Longest time from start to readiness, and from SIGTERM to SIGKILL.
    pub start_timeout: Duration,
    pub stop_timeout: Duration,
    pub backoff: Backoff,
    pub safe_state: Option<SafeState>,
    /// Descriptors that it may leave with PID 1; see [`crate::descriptors`].
    pub fd_store_max: usize,
}

/// When a service counts as ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Readiness {
    /// It says `READY=1`.
    Notify,
    /// It has been started.
    #[default]
    Started,
    /// It is a one-shot and has ended with exit code 0; it is not started again.
    Finished,
}

/// Delay between a service's end and its next start: `first · factor^n`, at most `longest`, shortened by a random part of up to
/// `jitter`. `n` counts the ends since the service was last ready for `reset_after`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    pub first: Duration,
    pub longest: Duration,
    /// 1 to 10.
    pub factor: f64,
    /// 0 to 1.
    pub jitter: f64,
    pub reset_after: Duration,
}

impl Backoff {
    /// The delay after end number `failures` (from 0); `random` is from 0 to 1.
    pub fn delay(&self, failures: u32, random: f64) -> Duration {
        let exponent = i32::try_from(failures.min(1_000)).expect("at most a thousand");
        let grown = self.first.as_secs_f64() * self.factor.powi(exponent);
        let bounded = grown.min(self.longest.as_secs_f64());
        Duration::from_secs_f64(bounded * (1.0 - self.jitter * random.clamp(0.0, 1.0)))
    }
}

/// The one-shot that brings what this service drives into a state that is safe without anyone's attention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SafeState {
    pub exec: Vec<String>,
    pub timeout: Duration,
}
