//! The supervisor's decisions: events and the time in, effects out. No process, no clock, no file is touched here.
//!
//! It answers for three things. Nothing that can heat up stays powered when the service that watches it has ended, for whatever
//! reason: its safe state is the first effect of that end, and it is brought about before a restart, before a reboot, and
//! first thing at boot. No service runs twice. And the unit always comes to an end when it is told to: every wait has a limit.
//!
//! Room is left for what comes later (liveness by watchdog, escalation to dependants, reboot, other slot and safe mode, orders from
//! the Init1 door): each is an [`Event`] or a deadline of [`state::State`], and an effect.

mod interface;
mod shutdown;
mod state;

use std::time::Duration;

use rustix::process::Pid;

use crate::notify::Message;
use crate::service::{Readiness, Service};
pub use interface::{Effect, Ending, Event, Exit, ServiceId, Shown, Task};
use state::{Next, Securing, State, Stopping};

/// How long a process may take to end after SIGKILL. Longer means that it hangs in the kernel.
const KILL_GRACE: Duration = Duration::from_secs(2);

/// What is said of a process that SIGKILL does not end.
const HANGS: &str = "hangs in the kernel";

/// A safe state that did not work is tried once more: a bus may have been left in the middle of a transfer.
const SAFE_STATE_ATTEMPTS: u8 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Securing,
    Running,
    ShuttingDown(Ending),
    Finished,
}

struct Entry {
    service: Service,
    needs: Vec<usize>,
    state: State,
    /// Ends since the service was last ready for long enough.
    failures: u32,
    /// What it last said about itself: belongs into the reason when it fails.
    status: Option<String>,
}

pub struct Supervisor {
    entries: Vec<Entry>,
    phase: Phase,
    random: u64,
    essential_ready: bool,
    first_work: bool,
    now: Duration,
    effects: Vec<Effect>,
}

impl Supervisor {
    /// Services as [`crate::unit_file`] has checked them: every need is there, and none goes round in a circle. `seed` feeds the
    /// jitter of delays only.
    pub fn new(services: Vec<Service>, seed: u64) -> Self {
        let index = |name: &str| services.iter().position(|service| service.name == *name);
        let needs: Vec<Vec<usize>> = services
            .iter()
            .map(|service| service.needs.iter().filter_map(|need| index(need)).collect())
            .collect();
        let entries = services.into_iter().zip(needs).map(|(service, needs)| Entry {
            service,
            needs,
            state: State::Waiting,
            failures: 0,
            status: None,
        });
        Supervisor {
            entries: entries.collect(),
            phase: Phase::Securing,
            random: seed | 1,
            essential_ready: false,
            first_work: false,
            now: Duration::ZERO,
            effects: Vec::new(),
        }
    }

    pub fn service(&self, id: ServiceId) -> &Service {
        &self.entries[id.0].service
    }

    pub fn services(&self) -> impl Iterator<Item = (ServiceId, &Service)> {
        self.entries.iter().enumerate().map(|(index, entry)| (ServiceId(index), &entry.service))
    }

    /// The service one of whose processes has one of these numbers (the sender of a message, the leader of its session), and which of its programs that is.
    pub fn sender(&self, pids: &[Pid]) -> Option<(ServiceId, Task)> {
        let is = |pid: Option<Pid>| pid.is_some_and(|pid| pids.contains(&pid));
        self.entries.iter().enumerate().find_map(|(index, entry)| {
            let [main, safe_state] = entry.state.pids();
            let task = if is(main) { Task::Main } else { is(safe_state).then_some(Task::SafeState)? };
            Some((ServiceId(index), task))
        })
    }

    /// Whether the process is one that an effect started and whose end is waited for.
    pub fn is_ours(&self, pid: Pid) -> bool {
        self.entries.iter().any(|entry| entry.state.pids().contains(&Some(pid)))
    }

    /// When [`Event::Time`] is wanted at the latest.
    pub fn deadline(&self) -> Option<Duration> {
        self.entries.iter().filter_map(|entry| entry.state.deadline()).min()
    }

    /// What has to be done now. `now` is time since boot and never goes back.
    pub fn handle(&mut self, now: Duration, event: Event) -> Vec<Effect> {
        self.now = self.now.max(now);
        if self.phase != Phase::Finished {
            self.take(event);
            self.pass_time();
            self.go_on();
        }
        std::mem::take(&mut self.effects)
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Secure => {
                for index in 0..self.entries.len() {
                    if self.entries[index].service.safe_state.is_some() {
                        self.secure(index, "boot".to_owned(), Next::Wait);
                    }
                }
            }
            Event::Start if self.phase == Phase::Securing => self.phase = Phase::Running,
            Event::Start | Event::Time => {}
            Event::Spawned { service, task: Task::Main, pid } => self.main_spawned(service.0, pid),
            Event::Spawned { service, task: Task::SafeState, pid } => self.safe_state_spawned(service.0, pid),
            Event::NotSpawned { service, task: Task::Main, error } => {
                if matches!(self.entries[service.0].state, State::Launching) {
                    // Nothing ran, so the safe state of the last end still holds.
                    let next = self.after_failure(service.0, None, error);
                    self.settle(service.0, next);
                }
            }
            Event::NotSpawned { service, task: Task::SafeState, error } => {
                self.safe_state_ended(service.0, Err(error));
            }
            Event::Ended { pid, exit } => self.ended(pid, exit),
            Event::Told { service, message } => self.told(service.0, message),
            Event::ShutDown(ending) => {
                if !matches!(self.phase, Phase::ShuttingDown(_)) {
                    self.phase = Phase::ShuttingDown(ending);
                }
            }
        }
    }

    fn main_spawned(&mut self, index: usize, pid: Pid) {
        let entry = &mut self.entries[index];
        entry.status = None;
        entry.state = State::Starting { pid, until: self.now + entry.service.start_timeout };
        self.show(index, Shown::Starting, Some(pid), None);
        if self.entries[index].service.ready == Readiness::Started {
            self.become_ready(index, pid);
        }
    }

    fn become_ready(&mut self, index: usize, pid: Pid) {
        self.entries[index].state = State::Ready { pid, since: self.now };
        self.show(index, Shown::Ready, Some(pid), None);
    }

    fn safe_state_spawned(&mut self, index: usize, pid: Pid) {
        let entry = &mut self.entries[index];
        if let (State::Securing(securing), Some(safe_state)) = (&mut entry.state, &entry.service.safe_state) {
            securing.pid = Some(pid);
            securing.act_at = Some(self.now + safe_state.timeout);
        }
    }

    fn told(&mut self, index: usize, message: Message) {
        if message.first_work && !self.first_work {
            self.first_work = true;
            self.effects.push(Effect::FirstWork);
        }
        let entry = &mut self.entries[index];
        if message.status.is_some() {
            entry.status = message.status;
        }
        if message.ready
            && entry.service.ready == Readiness::Notify
            && let State::Starting { pid, .. } = entry.state
        {
            self.become_ready(index, pid);
        }
        if message.stopping
            && let Some((pid, ready_since)) = self.entries[index].state.up()
        {
            let act_at = self.now + self.entries[index].service.stop_timeout;
            self.entries[index].state = State::Stopping(Stopping::new(pid, act_at, ready_since, None));
            self.show(index, Shown::Stopping, Some(pid), Some("says so itself".to_owned()));
        }
    }

    fn ended(&mut self, pid: Pid, exit: Exit) {
        let Some(index) = self.entries.iter().position(|entry| entry.state.pids().contains(&Some(pid)))
        else {
            return;
        };
        let entry = &mut self.entries[index];
        match std::mem::replace(&mut entry.state, State::Waiting) {
            State::Starting { .. } if entry.service.ready == Readiness::Finished && exit == Exit::Code(0) => {
                self.main_ended(index, "finished".to_owned(), Next::Finish);
            }
            State::Starting { .. } => {
                let next = self.after_failure(index, None, exit.to_string());
                self.main_ended(index, exit.to_string(), next);
            }
            State::Ready { since, .. } => {
                let next = self.after_failure(index, Some(since), exit.to_string());
                self.main_ended(index, exit.to_string(), next);
            }
            State::Stopping(stopping) => {
                let reason = stopping.reason.unwrap_or_else(|| exit.to_string());
                let next = self.after_failure(index, stopping.ready_since, reason.clone());
                self.main_ended(index, reason, next);
            }
            State::Securing(securing) => {
                let result = match exit {
                    Exit::Code(0) if !securing.killed => Ok(()),
                    _ if securing.killed => Err("took too long".to_owned()),
                    _ => Err(exit.to_string()),
                };
                entry.state = State::Securing(securing);
                self.safe_state_ended(index, result);
            }
            state => entry.state = state,
        }
    }

    /// The main process is gone. What it drove is made safe before anything else.
    fn main_ended(&mut self, index: usize, reason: String, next: Next) {
        let entry = &self.entries[index];
        if entry.service.safe_state.is_none() {
            return self.settle(index, next);
        }
        let failed = matches!(next, Next::BackOff { .. });
        self.secure(index, format!("{} ended: {reason}", entry.service.name), next);
        if failed {
            self.show(index, Shown::Failed, None, Some(reason));
        }
    }

    /// What follows an end that was not wanted, or was wanted because the unit goes down.
    fn after_failure(&mut self, index: usize, ready_since: Option<Duration>, reason: String) -> Next {
        if matches!(self.phase, Phase::ShuttingDown(_)) {
            return Next::Stop;
        }
        let random = self.next_random();
        let entry = &mut self.entries[index];
        let backoff = entry.service.backoff;
        if ready_since.is_some_and(|since| self.now.saturating_sub(since) >= backoff.reset_after) {
            entry.failures = 0;
        }
        let delay = backoff.delay(entry.failures, random);
        entry.failures = entry.failures.saturating_add(1);
        let reason = match &entry.status {
            Some(status) => format!("{reason} (status: {status})"),
            None => reason,
        };
        Next::BackOff { until: self.now + delay, reason }
    }

    fn secure(&mut self, index: usize, reason: String, next: Next) {
        self.entries[index].state = State::Securing(Securing::new(self.now, reason, next));
        self.effects.push(Effect::Spawn { service: ServiceId(index), task: Task::SafeState });
    }

    fn safe_state_ended(&mut self, index: usize, result: Result<(), String>) {
        let State::Securing(securing) = &mut self.entries[index].state else { return };
        if result.is_err() && securing.attempt < SAFE_STATE_ATTEMPTS {
            securing.again();
            self.effects.push(Effect::Spawn { service: ServiceId(index), task: Task::SafeState });
            return;
        }
        self.leave_safe_state(index, result);
    }

    fn leave_safe_state(&mut self, index: usize, result: Result<(), String>) {
        let entry = &mut self.entries[index];
        if let State::Securing(securing) = std::mem::replace(&mut entry.state, State::Waiting) {
            let took = self.now.saturating_sub(securing.began);
            self.effects.push(Effect::Safe { reason: securing.reason, took, result });
            self.settle(index, securing.next);
        }
    }

    fn settle(&mut self, index: usize, next: Next) {
        let shutting_down = matches!(self.phase, Phase::ShuttingDown(_));
        match next {
            Next::Wait => self.entries[index].state = State::Waiting,
            Next::Finish => {
                self.entries[index].state = State::Finished;
                self.show(index, Shown::Ready, None, None);
                self.release(index);
            }
            Next::BackOff { until, reason } if !shutting_down => {
                self.entries[index].state = State::BackingOff { until };
                let retry = Some(until.saturating_sub(self.now));
                let (service, state) = (ServiceId(index), Shown::Backoff);
                self.effects.push(Effect::State { service, state, pid: None, retry, reason: Some(reason) });
            }
            Next::BackOff { .. } | Next::Stop => self.stopped(index),
        }
    }

    /// For good.
    fn stopped(&mut self, index: usize) {
        self.entries[index].state = State::Stopped;
        self.show(index, Shown::Stopped, None, None);
        self.release(index);
    }

    fn release(&mut self, index: usize) {
        let service = &self.entries[index].service;
        if service.fd_store_max > 0 && service.safe_state.is_none() {
            self.effects.push(Effect::Release { service: ServiceId(index) });
        }
    }

    /// Carries out what was put off until now.
    fn pass_time(&mut self) {
        for index in 0..self.entries.len() {
            let shutting_down = matches!(self.phase, Phase::ShuttingDown(_));
            let entry = &mut self.entries[index];
            if entry.state.deadline().is_none_or(|deadline| deadline > self.now) {
                continue;
            }
            match &mut entry.state {
                // On the way down it is stopped in its turn, after its dependants.
                State::Starting { until, .. } if shutting_down => *until = Duration::MAX,
                State::Starting { .. } => {
                    let limit = entry.service.start_timeout.as_millis();
                    self.stop(index, Some(format!("not ready after {limit} ms")));
                }
                State::BackingOff { .. } => entry.state = State::Waiting,
                State::Stopping(stopping) if !stopping.killed => {
                    stopping.killed = true;
                    stopping.act_at = Some(self.now + KILL_GRACE);
                    self.effects.push(Effect::Kill { pid: stopping.pid });
                }
                State::Stopping(stopping) => {
                    stopping.act_at = None;
                    let (service, task) = (ServiceId(index), Task::Main);
                    self.effects.push(Effect::Stuck { service, task, pid: stopping.pid });
                    self.give_up_on_driver(index);
                }
                State::Securing(securing) => {
                    let Some(pid) = securing.pid else { continue };
                    if securing.killed {
                        let (service, task) = (ServiceId(index), Task::SafeState);
                        self.effects.push(Effect::Stuck { service, task, pid });
                        self.leave_safe_state(index, Err(HANGS.to_owned()));
                    } else {
                        securing.killed = true;
                        securing.act_at = Some(self.now + KILL_GRACE);
                        self.effects.push(Effect::Kill { pid });
                    }
                }
                State::Waiting
                | State::Launching
                | State::Ready { .. }
                | State::Finished
                | State::Stopped => {}
            }
        }
    }

    /// A process that SIGKILL does not end watches nothing any more. What it drove is made safe beside it, and only a reboot gets
    /// rid of it: while it is there it cannot be started again.
    fn give_up_on_driver(&mut self, index: usize) {
        if self.entries[index].service.safe_state.is_none() {
            return;
        }
        self.main_ended(index, HANGS.to_owned(), Next::Stop);
        if !matches!(self.phase, Phase::ShuttingDown(_)) {
            let ending = Ending::Reboot;
            self.phase = Phase::ShuttingDown(ending);
            let reason = format!("{} {HANGS}", self.entries[index].service.name);
            self.effects.push(Effect::GoDown { ending, reason });
        }
    }

    /// Starts or stops whatever can be.
    fn go_on(&mut self) {
        match self.phase {
            Phase::Securing | Phase::Finished => {}
            Phase::Running => {
                self.start_what_can();
                self.notice_readiness();
            }
            Phase::ShuttingDown(ending) => self.go_down(ending),
        }
    }

    fn start_what_can(&mut self) {
        for index in 0..self.entries.len() {
            let entry = &self.entries[index];
            let needs_met = entry.needs.iter().all(|need| self.entries[*need].state.is_ready());
            if matches!(entry.state, State::Waiting) && needs_met {
                self.entries[index].state = State::Launching;
                self.effects.push(Effect::Spawn { service: ServiceId(index), task: Task::Main });
            }
        }
    }

    fn notice_readiness(&mut self) {
        let ready = |entry: &Entry| !entry.service.essential || entry.state.is_ready();
        if !self.essential_ready && self.entries.iter().all(ready) {
            self.essential_ready = true;
            self.effects.push(Effect::EssentialReady);
        }
    }

    /// Asks a running main process to end.
    fn stop(&mut self, index: usize, reason: Option<String>) {
        if let Some((pid, ready_since)) = self.entries[index].state.up() {
            let act_at = self.now + self.entries[index].service.stop_timeout;
            self.effects.push(Effect::Terminate { pid });
            self.show(index, Shown::Stopping, Some(pid), reason.clone());
            self.entries[index].state = State::Stopping(Stopping::new(pid, act_at, ready_since, reason));
        }
    }

    fn show(&mut self, index: usize, state: Shown, pid: Option<Pid>, reason: Option<String>) {
        self.effects.push(Effect::State { service: ServiceId(index), state, pid, retry: None, reason });
    }

    /// Between 0 and 1 (xorshift; good enough to keep restarts from falling into step).
    fn next_random(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1_u64 << 53) as f64
    }
}
