//! The loop around the supervisor: waits for signals, messages and time, hands them in, carries the effects out. It waits for nothing
//! else: not for a child, not for a client, not for the console.

use std::collections::{BTreeSet, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use adit_sys::clock;
use adit_sys::reap;
use adit_sys::signals::{Signal, Signals};
use adit_sys::spawn::{Launch, spawn};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, getsid, kill_process, kill_process_group};

use crate::boot_state::Storage;
use crate::console::Console;
use crate::descriptors::{FdOrder, Refused};
use crate::doors::Doors;
use crate::good_boot::Check;
use crate::kept::Kept;
use crate::notify::{NotifyError, NotifySocket, Passed, Received};
use crate::paths::Paths;
use crate::report;
use crate::supervisor::{Effect, Ending, Event, Exit, ServiceId, Supervisor, Task};

/// Messages taken before children and time get their turn again: a service that floods the socket holds only itself up.
const MESSAGES_A_TURN: usize = 64;

pub struct EventLoop {
    pub supervisor: Supervisor,
    pub signals: Signals,
    pub console: Console,
    pub notify: Arc<NotifySocket>,
    pub kept: Kept,
    pub doors: Option<Doors>,
    /// Until the slot's tries are given back, which happens once.
    pub boot_state: Option<Storage>,
    pub good_boot: Option<Check>,
    pub paths: Paths,
    pub environment: Vec<(String, String)>,
    /// Standard streams of every service.
    pub null: OwnedFd,
    pub output: OwnedFd,
    pub complaints: Complaints,
}

/// What has been said once and need not be said again.
#[derive(Default)]
pub struct Complaints {
    stranger: bool,
    bad_message: bool,
    descriptors: BTreeSet<(ServiceId, Refused)>,
}

impl EventLoop {
    /// Hands an event in and carries out all that follows from it.
    pub fn handle(&mut self, event: Event) -> Option<Ending> {
        let mut events = VecDeque::from([event]);
        let mut ending = None;
        while let Some(event) = events.pop_front() {
            for effect in self.supervisor.handle(clock::boottime(), event) {
                match effect {
                    Effect::Spawn { service, task } => events.push_back(self.spawn(service, task)),
                    Effect::Terminate { pid } => signal_group(pid, Signal::TERM),
                    Effect::Kill { pid } => signal_group(pid, Signal::KILL),
                    Effect::State { service, state, pid, retry, reason } => {
                        report::state(&self.supervisor, service, state, pid, retry, reason.as_deref());
                    }
                    Effect::Safe { reason, took, result } => {
                        report::safe_state(&reason, took, result.as_ref().copied().map_err(String::as_str));
                    }
                    Effect::Release { service } => self.kept.store().forget(service),
                    Effect::Stuck { service, task, pid } => {
                        report::stuck(&self.supervisor, service, task, pid)
                    }
                    Effect::GoDown { ending, reason } => report::going_down(ending, &reason),
                    Effect::EssentialReady => {
                        report::timeline("ready");
                        self.check_for_good_boot();
                    }
                    Effect::FirstWork => report::timeline("first-work"),
                    Effect::Finish(how) => ending = Some(how),
                }
            }
        }
        ending
    }

    /// Runs until the unit is to go down and everything is stopped and safe.
    pub fn run(&mut self) -> Ending {
        loop {
            self.wait();
            let mut ending = self.handle(Event::Time);
            while let Ok(Some(signal)) = self.signals.next() {
                ending = ending.or(self.take_signal(signal));
            }
            ending = ending.or(self.reap());
            self.hear_of_good_boot();
            if self.console.is_behind() {
                self.console.flush_waiting();
            }
            if let Some(ending) = ending {
                return ending;
            }
        }
    }

    fn wait(&self) {
        let deadlines = [self.supervisor.deadline(), self.good_boot.as_ref().map(|check| check.deadline)];
        let deadline = deadlines.into_iter().flatten().min();
        let timeout = deadline.map(|deadline| deadline.saturating_sub(clock::boottime()));
        let timeout = timeout.and_then(|left| Timespec::try_from(left).ok());
        let mut wanted =
            vec![PollFd::new(&self.signals, PollFlags::IN), PollFd::new(&self.notify, PollFlags::IN)];
        wanted.extend(self.good_boot.as_ref().map(|check| PollFd::new(check, PollFlags::IN)));
        let writable = self.console.is_behind().then(|| self.console.descriptor());
        wanted.extend(writable.iter().map(|console| PollFd::new(console, PollFlags::OUT)));
        match poll(&mut wanted, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            // Out of memory, at worst: the next turn looks at everything anyway.
            Err(error) => tracing::error!(target: "adit_init", "poll: {error}"),
        }
    }

    fn take_signal(&mut self, signal: Signal) -> Option<Ending> {
        let ending = match signal {
            Signal::TERM | Signal::INT => Ending::Reboot,
            Signal::USR2 => Ending::PowerOff,
            _ => return None,
        };
        report::going_down(ending, &format!("signal {}", signal.as_raw()));
        self.handle(Event::ShutDown(ending))
    }

    /// Takes messages, and every child that has ended, orphans too, so that none stays as a zombie.
    ///
    /// What a service has said before it ended counts: messages are taken when its end is seen and its number still known.
    fn reap(&mut self) -> Option<Ending> {
        let mut ending = None;
        loop {
            let ended = reap::next_ended();
            ending = ending.or(self.take_messages());
            let pid = match ended {
                Ok(Some(pid)) => pid,
                Ok(None) => return ending,
                Err(error) => {
                    tracing::error!(target: "adit_init", "waitid: {error}");
                    return ending;
                }
            };
            if self.supervisor.is_ours(pid) {
                // What it has started and left behind may still hold the hardware.
                let _ = kill_process_group(pid, Signal::KILL);
            }
            let exit = match reap::collect(pid) {
                Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
                    (_, Some(signal)) => Exit::Signal(signal),
                    (code, None) => Exit::Code(code.unwrap_or(0)),
                },
                Ok(None) => continue,
                Err(error) => {
                    tracing::error!(target: "adit_init", "waitpid: {error}");
                    return ending;
                }
            };
            ending = ending.or(self.handle(Event::Ended { pid, exit }));
        }
    }

    fn take_messages(&mut self) -> Option<Ending> {
        let mut ending = None;
        for _ in 0..MESSAGES_A_TURN {
            match self.notify.receive() {
                Ok(None) => break,
                Ok(Some(Received { sender, message, descriptors })) => {
                    let senders: Vec<Pid> =
                        [Some(sender), getsid(Some(sender)).ok()].into_iter().flatten().collect();
                    match self.supervisor.sender(&senders) {
                        Some((service, task)) => {
                            if let Some(order) = message.descriptors.clone() {
                                self.obey(service, order, descriptors);
                            }
                            // A safe state has nothing else to say.
                            if task == Task::Main {
                                ending = ending.or(self.handle(Event::Told { service, message }));
                            }
                        }
                        None if !self.complaints.stranger => {
                            self.complaints.stranger = true;
                            let pid = sender.as_raw_nonzero();
                            tracing::warn!(target: "adit_init", "notify: message from no service's process pid={pid}");
                        }
                        None => {}
                    }
                }
                Err(error) => {
                    if !self.complaints.bad_message {
                        self.complaints.bad_message = true;
                        tracing::warn!(target: "adit_init", "notify: message refused: {error}");
                    }
                    if matches!(error, NotifyError::Socket(_)) {
                        break;
                    }
                }
            }
        }
        ending
    }

    fn obey(&mut self, service: ServiceId, order: FdOrder, descriptors: Vec<Passed>) {
        let limit = self.supervisor.service(service).fd_store_max;
        let descriptors = descriptors.into_iter().map(Arc::new).collect();
        let obeyed = self.kept.store().obey(service, limit, order, descriptors);
        if let Err(refused) = obeyed
            && self.complaints.descriptors.insert((service, refused))
        {
            let name = &self.supervisor.service(service).name;
            tracing::warn!(target: "adit_init", "notify: descriptors are not kept name={name} reason=\"{refused}\"");
        }
    }

    fn spawn(&self, id: ServiceId, task: Task) -> Event {
        let service = self.supervisor.service(id);
        let (command, doors) = match (task, &service.safe_state) {
            (Task::SafeState, Some(safe_state)) => (&safe_state.exec, Vec::new()),
            _ => (&service.exec, self.doors.as_ref().map(|doors| doors.of(service)).unwrap_or_default()),
        };
        let kept = self.kept.of(id);
        let kept = kept.iter().map(|(name, descriptor)| (name.as_str(), descriptor.as_fd()));
        let sockets: Vec<_> = doors.into_iter().chain(kept).collect();
        let (program, arguments) = command.split_first().expect("a unit file's commands are not empty");
        let started = spawn(&Launch {
            program: Path::new(program),
            arguments,
            environment: &self.environment,
            sockets: &sockets,
            stdin: self.null.as_fd(),
            stdout: self.output.as_fd(),
            stderr: self.output.as_fd(),
        });
        match started {
            Ok(pid) => Event::Spawned { service: id, task, pid },
            Err(error) => Event::NotSpawned { service: id, task, error: format!("{program}: {error}") },
        }
    }

    fn check_for_good_boot(&mut self) {
        let Some(storage) = self.boot_state.take() else { return };
        match Check::start(&self.paths, storage) {
            Ok(check) => self.good_boot = Some(check),
            Err(error) => report::good_boot(Err(error)),
        }
    }

    fn hear_of_good_boot(&mut self) {
        if let Some(outcome) = self.good_boot.as_ref().and_then(Check::outcome) {
            self.good_boot = None;
            report::good_boot(outcome);
        }
    }
}

/// A child that has not come to lead its own group yet is reached by its number alone.
fn signal_group(pid: Pid, signal: Signal) {
    if kill_process_group(pid, signal) == Err(Errno::SRCH) {
        // Gone already: its end is about to be reaped.
        let _ = kill_process(pid, signal);
    }
}
