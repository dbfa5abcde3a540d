//! Golden transcripts: every effect of a course of events, in order, as text that a person can review.
//!
//! A line with `>` is an event, the lines after it are its effects. `UPDATE_TRANSCRIPTS=1 cargo test -p adit-init` rewrites
//! the files; read the difference before it is committed.

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use adit_init::notify::Message;
use adit_init::service::{Backoff, Readiness, SafeState, Service};
use adit_init::supervisor::{Effect, Ending, Event, Exit, ServiceId, Supervisor, Task};
use rustix::process::Pid;

struct Course {
    supervisor: Supervisor,
    text: String,
    next_pid: i32,
    /// (process, service, task), dead ones too.
    processes: Vec<(i32, ServiceId, Task)>,
    /// Programs that cannot be started.
    missing: Vec<(ServiceId, Task)>,
}

fn service(name: &str, needs: &[&str], safe: bool) -> Service {
    Service {
        name: name.to_owned(),
        exec: vec![format!("/sbin/adit-{name}")],
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        doors: vec![format!("{name}.status")],
        ready: Readiness::Notify,
        essential: true,
        start_timeout: Duration::from_secs(10),
        stop_timeout: Duration::from_secs(5),
        backoff: Backoff {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(30),
            factor: 2.0,
            jitter: 0.0,
            reset_after: Duration::from_secs(60),
        },
        safe_state: safe.then(|| SafeState {
            exec: vec![format!("/sbin/adit-{name}"), "--safe-state".to_owned()],
            timeout: Duration::from_secs(5),
        }),
        fd_store_max: 0,
    }
}

impl Course {
    fn new(services: Vec<Service>) -> Self {
        Course {
            supervisor: Supervisor::new(services, 1),
            text: String::new(),
            next_pid: 50,
            processes: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// Hardware with a safe state, and a miner.
    fn unit() -> Self {
        Course::new(vec![service("hardware", &[], true), service("miner", &[], false)])
    }

    fn name(&self, id: ServiceId) -> &str {
        &self.supervisor.service(id).name
    }

    fn id(&self, name: &str) -> ServiceId {
        self.supervisor.services().find(|(_, service)| service.name == name).unwrap().0
    }

    fn describe_process(&self, pid: Pid) -> String {
        let number = pid.as_raw_nonzero().get();
        let (_, id, task) = self.processes.iter().find(|(known, ..)| *known == number).unwrap();
        let task = if *task == Task::Main { "" } else { " safe state" };
        format!("{}{task} ({number})", self.name(*id))
    }

    fn at(&mut self, ms: u64, what: &str, event: Event) -> &mut Self {
        writeln!(self.text, "{ms:>6} > {}", what.replace('\n', ", ")).unwrap();
        self.feed(ms, event);
        self
    }

    fn feed(&mut self, ms: u64, event: Event) {
        for effect in self.supervisor.handle(Duration::from_millis(ms), event) {
            let line = match &effect {
                Effect::Spawn { service, task: Task::Main } => format!("start {}", self.name(*service)),
                Effect::Spawn { service, task: Task::SafeState } => {
                    format!("start {}'s safe state", self.name(*service))
                }
                Effect::Terminate { pid } => format!("SIGTERM {}", self.describe_process(*pid)),
                Effect::Kill { pid } => format!("SIGKILL {}", self.describe_process(*pid)),
                Effect::State { service, state, pid, retry, reason } => {
                    let mut line = format!("{} is {state}", self.name(*service));
                    if let Some(pid) = pid {
                        write!(line, " ({})", pid.as_raw_nonzero()).unwrap();
                    }
                    if let Some(retry) = retry {
                        write!(line, ", next try in {} ms", retry.as_millis()).unwrap();
                    }
                    if let Some(reason) = reason {
                        write!(line, ": {reason}").unwrap();
                    }
                    line
                }
                Effect::Safe { reason, took, result: Ok(()) } => {
                    format!("safe after {} ms: {reason}", took.as_millis())
                }
                Effect::Safe { reason, took, result: Err(error) } => {
                    format!("NOT SAFE after {} ms: {reason}: {error}", took.as_millis())
                }
                Effect::Release { service } => format!("lets go of {}'s descriptors", self.name(*service)),
                Effect::Stuck { pid, .. } => format!("stuck: {}", self.describe_process(*pid)),
                Effect::GoDown { ending, reason } => format!("goes down ({ending}): {reason}"),
                Effect::EssentialReady => "the unit is ready".to_owned(),
                Effect::FirstWork => "first work".to_owned(),
                Effect::Finish(ending) => format!("{ending}"),
            };
            writeln!(self.text, "         {line}").unwrap();
            if let Effect::Spawn { service, task } = effect {
                if self.missing.contains(&(service, task)) {
                    let error = "no such file".to_owned();
                    self.feed(ms, Event::NotSpawned { service, task, error });
                    continue;
                }
                let pid = self.next_pid;
                self.next_pid += 1;
                self.processes.push((pid, service, task));
                self.feed(ms, Event::Spawned { service, task, pid: Pid::from_raw(pid).unwrap() });
            }
        }
    }

    fn latest(&self, name: &str, task: Task) -> Pid {
        let id = self.id(name);
        let found = self.processes.iter().rev().find(|(_, service, kind)| *service == id && *kind == task);
        Pid::from_raw(found.unwrap().0).unwrap()
    }

    fn ended(&mut self, ms: u64, name: &str, exit: Exit) -> &mut Self {
        let pid = self.latest(name, Task::Main);
        self.at(ms, &format!("{name} ends: {exit}"), Event::Ended { pid, exit })
    }

    fn safe_state_ended(&mut self, ms: u64, name: &str, exit: Exit) -> &mut Self {
        let pid = self.latest(name, Task::SafeState);
        self.at(ms, &format!("{name}'s safe state ends: {exit}"), Event::Ended { pid, exit })
    }

    fn says(&mut self, ms: u64, name: &str, text: &str) -> &mut Self {
        let message = Message::parse(text.as_bytes());
        let service = self.id(name);
        self.at(ms, &format!("{name} says {text}"), Event::Told { service, message })
    }

    fn time(&mut self, ms: u64) -> &mut Self {
        self.at(ms, "time passes", Event::Time)
    }

    /// A unit that has come up, its course so far left out.
    fn up() -> Self {
        let mut course = Course::unit();
        course
            .at(400, "secure", Event::Secure)
            .safe_state_ended(450, "hardware", Exit::Code(0))
            .at(460, "start", Event::Start)
            .says(600, "hardware", "READY=1")
            .says(610, "miner", "READY=1");
        course.text.clear();
        course
    }

    fn matches(&self, name: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
        if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
            std::fs::write(&path, &self.text).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap();
        assert!(golden == self.text, "{name} is not what happens now:\n{}", self.text);
    }
}

#[test]
fn normal_boot() {
    let mut course = Course::unit();
    course
        .at(412, "secure", Event::Secure)
        .at(430, "start", Event::Start)
        .safe_state_ended(450, "hardware", Exit::Code(0))
        .says(560, "miner", "READY=1\nSTATUS=connecting")
        .says(733, "hardware", "READY=1")
        .says(1020, "hardware", "X_ADIT_MILESTONE=first-work")
        .says(1030, "hardware", "X_ADIT_MILESTONE=first-work")
        .matches("normal-boot.txt");
}

#[test]
fn hardware_crash() {
    Course::up()
        .says(4000, "hardware", "STATUS=chain 0: 525 MHz")
        .ended(5000, "hardware", Exit::Signal(9))
        .safe_state_ended(5038, "hardware", Exit::Code(0))
        .time(5099)
        .time(5100)
        .says(5200, "hardware", "READY=1")
        .ended(5300, "hardware", Exit::Code(0))
        .safe_state_ended(5800, "hardware", Exit::Code(0))
        .time(5801)
        .matches("hardware-crash.txt");
}

#[test]
fn safe_state_fails() {
    Course::up()
        .ended(5000, "hardware", Exit::Code(101))
        .safe_state_ended(5010, "hardware", Exit::Signal(11))
        .time(10_010)
        .safe_state_ended(10_012, "hardware", Exit::Signal(9))
        .time(10_013)
        .matches("safe-state-fails.txt");
}

#[test]
fn never_ready() {
    Course::up()
        .ended(5000, "miner", Exit::Signal(6))
        .time(5100)
        .time(15_099)
        .time(15_100)
        .time(20_100)
        .ended(20_101, "miner", Exit::Signal(9))
        .time(20_301)
        .matches("never-ready.txt");
}

#[test]
fn shutdown() {
    let mut course = Course::new(vec![
        service("hardware", &[], true),
        service("miner", &["hardware"], false),
        service("page", &["miner"], false),
    ]);
    course
        .at(400, "secure", Event::Secure)
        .safe_state_ended(450, "hardware", Exit::Code(0))
        .at(460, "start", Event::Start)
        .says(600, "hardware", "READY=1")
        .says(700, "miner", "READY=1")
        .says(800, "page", "READY=1")
        .at(9000, "reboot is ordered", Event::ShutDown(Ending::Reboot))
        .ended(9010, "page", Exit::Code(0))
        .at(9015, "power-off is ordered too", Event::ShutDown(Ending::PowerOff))
        .time(14_010)
        .ended(14_011, "miner", Exit::Signal(9))
        .ended(14_100, "hardware", Exit::Code(0))
        .safe_state_ended(14_150, "hardware", Exit::Code(0))
        .time(20_000)
        .matches("shutdown.txt");
}

#[test]
fn shutdown_with_a_driver_that_hangs_in_the_kernel() {
    Course::up()
        .at(9000, "power-off is ordered", Event::ShutDown(Ending::PowerOff))
        .ended(9100, "miner", Exit::Code(0))
        .time(14_000)
        .time(16_000)
        .time(21_000)
        .time(23_000)
        .matches("shutdown-stuck.txt");
}

#[test]
fn a_driver_that_hangs_in_the_kernel() {
    Course::up()
        .says(9000, "hardware", "STOPPING=1")
        .time(14_000)
        .time(16_000)
        .safe_state_ended(16_600, "hardware", Exit::Code(0))
        .ended(16_700, "miner", Exit::Code(0))
        .matches("hardware-stuck.txt");
}

#[test]
fn shutdown_during_boot() {
    let mut course = Course::unit();
    course.missing.push((course.id("miner"), Task::Main));
    course
        .at(412, "secure", Event::Secure)
        .at(430, "start", Event::Start)
        .at(435, "reboot is ordered", Event::ShutDown(Ending::Reboot))
        .safe_state_ended(450, "hardware", Exit::Code(0))
        .matches("shutdown-during-boot.txt");
}
