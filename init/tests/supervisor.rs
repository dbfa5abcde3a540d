//! Properties of the supervisor over any course of events, judged by a world of processes that it does not know of.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use adit_init::notify::Message;
use adit_init::service::{Backoff, Readiness, SafeState, Service};
use adit_init::supervisor::{Effect, Ending, Event, Exit, ServiceId, Shown, Supervisor, Task};
use proptest::prelude::*;
use rustix::process::Pid;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(3);
const JITTER: f64 = 0.2;

/// hardware (safe state) ← miner ← page; clock is a one-shot with a safe state; log stands alone.
fn services() -> Vec<Service> {
    let service = |name: &str, needs: &[&str], ready, safe: bool| Service {
        name: name.to_owned(),
        exec: vec![format!("/sbin/{name}")],
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        doors: vec![],
        ready,
        essential: name != "log",
        start_timeout: Duration::from_secs(2),
        stop_timeout: Duration::from_secs(1),
        backoff: Backoff {
            first: FIRST,
            longest: LONGEST,
            factor: 2.0,
            jitter: JITTER,
            reset_after: Duration::from_secs(5),
        },
        safe_state: safe
            .then(|| SafeState { exec: vec!["/sbin/safe".to_owned()], timeout: Duration::from_secs(1) }),
        fd_store_max: 2,
    };
    vec![
        service("clock", &[], Readiness::Finished, true),
        service("hardware", &[], Readiness::Notify, true),
        service("log", &[], Readiness::Started, false),
        service("miner", &["hardware"], Readiness::Notify, false),
        service("page", &["miner", "log"], Readiness::Notify, false),
    ]
}

/// What a course does next. Numbers pick a process or a service.
#[derive(Debug, Clone)]
enum Step {
    Wait(u16),
    WaitForDeadline,
    End(u8, Exit),
    Say(u8, &'static str),
    Orphan,
    /// From here on, so many spawns do not work.
    NoMemory(u8),
    /// From here on, SIGTERM, or even SIGKILL, does not help for so many times.
    Stubborn(u8, u8),
    ShutDown(Ending),
}

fn step() -> impl Strategy<Value = Step> {
    let exit = prop_oneof![
        3 => Just(Exit::Code(0)),
        2 => (1..=255).prop_map(Exit::Code),
        2 => (1..=31).prop_map(Exit::Signal)
    ];
    prop_oneof![
        5 => (0..3000_u16).prop_map(Step::Wait),
        5 => Just(Step::WaitForDeadline),
        8 => (any::<u8>(), exit).prop_map(|(which, exit)| Step::End(which, exit)),
        8 => (any::<u8>(), prop_oneof![
            4 => Just("READY=1"),
            1 => Just("STOPPING=1"),
            1 => Just("STATUS=x"),
            1 => Just("X_ADIT_MILESTONE=first-work")
        ]).prop_map(|(which, text)| Step::Say(which, text)),
        1 => Just(Step::Orphan),
        1 => (0..3_u8).prop_map(Step::NoMemory),
        1 => (0..3_u8, 0..2_u8).prop_map(|(term, kill)| Step::Stubborn(term, kill)),
        1 => prop_oneof![Just(Ending::Reboot), Just(Ending::PowerOff)].prop_map(Step::ShutDown),
    ]
}

/// Processes as the kernel sees them, and everything that must hold about them.
struct World {
    supervisor: Supervisor,
    services: Vec<Service>,
    now: Duration,
    next_pid: i32,
    alive: BTreeMap<i32, (usize, Task)>,
    /// Told by [`Effect::Stuck`] that it does not end: what happens beside it afterwards is not its fault.
    stuck: Vec<i32>,
    /// Killed or asked to end, and going to obey.
    ending: Vec<(i32, Exit)>,
    no_memory: u8,
    stubborn_term: u8,
    stubborn_kill: u8,
    /// A main process of the service has ended and no safe state was started since.
    unsafe_since: Vec<Option<Duration>>,
    /// The last effect batch's end of a main process wants a safe state as its very next spawn.
    failures: Vec<u32>,
    shutting_down: bool,
    finished: bool,
    essential_ready: u32,
    first_work: u32,
    /// What the service left has been closed: it is not to come back.
    released: Vec<bool>,
}

impl World {
    fn new(seed: u64) -> Self {
        let services = services();
        let count = services.len();
        World {
            supervisor: Supervisor::new(services.clone(), seed),
            services,
            now: Duration::from_millis(400),
            next_pid: 10,
            alive: BTreeMap::new(),
            stuck: Vec::new(),
            ending: Vec::new(),
            no_memory: 0,
            stubborn_term: 0,
            stubborn_kill: 0,
            // Nothing is known about the hardware at power-on.
            unsafe_since: vec![Some(Duration::ZERO); count],
            failures: vec![0; count],
            shutting_down: false,
            finished: false,
            essential_ready: 0,
            first_work: 0,
            released: vec![false; count],
        }
    }

    fn run(&self, service: usize, task: Task) -> bool {
        self.alive.iter().any(|(pid, who)| *who == (service, task) && !self.stuck.contains(pid))
    }

    fn feed(&mut self, event: Event) {
        assert!(!self.finished || self.supervisor.handle(self.now, event.clone()).is_empty());
        if self.finished {
            return;
        }
        let effects = self.supervisor.handle(self.now, event);
        let mut answers = Vec::new();
        for effect in effects {
            assert!(!self.finished, "{effect:?} after the end");
            match effect {
                Effect::Spawn { service: ServiceId(service), task } => {
                    self.check_spawn(service, task);
                    answers.push(self.spawn(service, task));
                }
                Effect::Terminate { pid } => self.signal(pid, Exit::Signal(15)),
                Effect::Kill { pid } => self.signal(pid, Exit::Signal(9)),
                Effect::State { service: ServiceId(service), state, retry, .. } => {
                    if state == Shown::Backoff {
                        assert!(!self.shutting_down, "no new start is planned on the way down");
                        assert!(retry.unwrap() <= LONGEST);
                        self.failures[service] += 1;
                    }
                }
                Effect::Safe { .. } => {}
                Effect::Release { service: ServiceId(service) } => {
                    let about = &self.services[service];
                    assert!(about.safe_state.is_none(), "{} has lines that must hold", about.name);
                    assert!(!self.run(service, Task::Main), "{} is there", about.name);
                    self.released[service] = true;
                }
                Effect::Stuck { service: ServiceId(service), task, pid } => {
                    self.stuck.push(pid.as_raw_nonzero().get());
                    if task == Task::Main {
                        self.unsafe_since[service] = Some(self.now);
                    }
                }
                Effect::GoDown { ending, .. } => {
                    assert!(!self.shutting_down, "it was told already");
                    assert_eq!(ending, Ending::Reboot);
                    self.shutting_down = true;
                }
                Effect::EssentialReady => self.essential_ready += 1,
                Effect::FirstWork => self.first_work += 1,
                Effect::Finish(_) => {
                    assert!(self.shutting_down);
                    self.finished = true;
                    let left: Vec<_> = self.alive.keys().filter(|pid| !self.stuck.contains(pid)).collect();
                    assert!(left.is_empty(), "still running at the end: {left:?}");
                    for (service, released) in self.services.iter().zip(&self.released) {
                        assert_eq!(*released, service.safe_state.is_none(), "{}'s descriptors", service.name);
                    }
                    for (service, since) in self.services.iter().zip(&self.unsafe_since) {
                        assert!(service.safe_state.is_none() || since.is_none(), "{} not safe", service.name);
                    }
                }
            }
        }
        self.check_hazard();
        for answer in answers {
            self.feed(answer);
        }
        assert!(self.essential_ready <= 1 && self.first_work <= 1);
    }

    fn check_spawn(&mut self, service: usize, task: Task) {
        assert!(!self.run(service, Task::Main), "{} would run twice", self.services[service].name);
        assert!(!self.run(service, Task::SafeState), "{}'s safe state runs", self.services[service].name);
        if task == Task::Main {
            assert!(!self.shutting_down, "a start on the way down");
            assert!(!self.released[service], "started without what it left");
            let has_safe_state = self.services[service].safe_state.is_some();
            assert!(
                !has_safe_state || self.unsafe_since[service].is_none(),
                "started before it was made safe"
            );
            for need in &self.services[service].needs {
                let need = self.services.iter().position(|service| service.name == *need).unwrap();
                assert!(self.run(need, Task::Main), "started without its need");
            }
        }
    }

    /// The moment a main process is gone, its safe state is on its way: no effect batch may leave it for later.
    fn check_hazard(&self) {
        for (index, service) in self.services.iter().enumerate() {
            if service.safe_state.is_some()
                && let Some(since) = self.unsafe_since[index]
            {
                assert_eq!(since, Duration::ZERO, "{} ended and no safe state was started", service.name);
            }
        }
    }

    fn spawn(&mut self, service: usize, task: Task) -> Event {
        if task == Task::SafeState {
            self.unsafe_since[service] = None;
        }
        let id = ServiceId(service);
        if self.no_memory > 0 {
            self.no_memory -= 1;
            return Event::NotSpawned { service: id, task, error: "fork: no memory".to_owned() };
        }
        let pid = self.next_pid;
        self.next_pid += 1;
        self.alive.insert(pid, (service, task));
        Event::Spawned { service: id, task, pid: Pid::from_raw(pid).unwrap() }
    }

    fn signal(&mut self, pid: Pid, exit: Exit) {
        let pid = pid.as_raw_nonzero().get();
        let (service, task) = self.alive[&pid];
        if exit == Exit::Signal(15) && task == Task::Main && self.shutting_down {
            for (other, dependant) in self.services.iter().enumerate() {
                if dependant.needs.contains(&self.services[service].name) {
                    assert!(!self.run(other, Task::Main), "{} stopped under {}", service, dependant.name);
                }
            }
        }
        let stubborn =
            if exit == Exit::Signal(9) { &mut self.stubborn_kill } else { &mut self.stubborn_term };
        if *stubborn > 0 {
            *stubborn -= 1;
        } else {
            self.ending.push((pid, exit));
        }
    }

    fn end(&mut self, pid: i32, exit: Exit) {
        let Some((service, task)) = self.alive.remove(&pid) else { return };
        let was_stuck = self.stuck.contains(&pid);
        if task == Task::Main && !(was_stuck && (self.shutting_down || self.finished)) {
            self.unsafe_since[service] = Some(self.now);
        }
        self.feed(Event::Ended { pid: Pid::from_raw(pid).unwrap(), exit });
    }

    fn pick(&self, which: u8) -> Option<i32> {
        self.alive.keys().nth(usize::from(which) % self.alive.len().max(1)).copied()
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Wait(ms) => {
                self.now += Duration::from_millis(u64::from(*ms));
                self.feed(Event::Time);
            }
            Step::WaitForDeadline => {
                if let Some(deadline) = self.supervisor.deadline() {
                    self.now = self.now.max(deadline);
                }
                self.feed(Event::Time);
            }
            Step::End(which, exit) => {
                if let Some(pid) = self.pick(*which) {
                    self.end(pid, *exit);
                }
            }
            Step::Say(which, text) => {
                if let Some(pid) = self.pick(*which)
                    && let Some((service, Task::Main)) =
                        self.supervisor.sender(&[Pid::from_raw(pid).unwrap()])
                {
                    self.feed(Event::Told { service, message: Message::parse(text.as_bytes()) });
                }
            }
            Step::Orphan => {
                self.feed(Event::Ended { pid: Pid::from_raw(9999).unwrap(), exit: Exit::Code(0) })
            }
            Step::NoMemory(count) => self.no_memory = *count,
            Step::Stubborn(term, kill) => (self.stubborn_term, self.stubborn_kill) = (*term, *kill),
            Step::ShutDown(ending) => {
                self.shutting_down = true;
                self.feed(Event::ShutDown(*ending));
            }
        }
        while let Some((pid, exit)) = self.ending.pop() {
            self.end(pid, exit);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_happens_nothing_runs_twice_nothing_stays_unsafe_and_the_unit_comes_down(
        seed in any::<u64>(),
        start_after in 0..4_usize,
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let mut world = World::new(seed);
        world.feed(Event::Secure);
        for (index, service) in world.services.iter().enumerate() {
            prop_assert!(service.safe_state.is_none() || world.unsafe_since[index].is_none(), "safe first");
        }
        for (number, step) in steps.iter().enumerate() {
            if number == start_after {
                world.feed(Event::Start);
            }
            world.take(step);
        }
        world.take(&Step::ShutDown(Ending::Reboot));
        // However stubborn the processes are: every wait has a limit.
        let ordered = world.now;
        for _ in 0..100 {
            world.take(&Step::WaitForDeadline);
        }
        prop_assert!(world.finished);
        prop_assert!(world.now - ordered < Duration::from_secs(60), "took {:?}", world.now - ordered);
    }

    #[test]
    fn a_service_that_always_dies_is_started_again_ever_more_slowly_but_never_slower_than_the_limit(seed in any::<u64>()) {
        let mut world = World::new(seed);
        world.take(&Step::Wait(0));
        world.feed(Event::Secure);
        for pid in world.alive.keys().copied().collect::<Vec<_>>() {
            world.end(pid, Exit::Code(0));
        }
        world.feed(Event::Start);
        for failure in 0..12_i32 {
            let (pid, _) = world.alive.iter().find(|(_, who)| **who == (2, Task::Main)).unwrap();
            let (pid, died) = (*pid, world.now);
            world.end(pid, Exit::Code(1));
            while !world.run(2, Task::Main) {
                world.take(&Step::WaitForDeadline);
            }
            let delay = world.now - died;
            let full = FIRST.mul_f64(2_f64.powi(failure)).min(LONGEST);
            prop_assert!(delay <= full && delay >= full.mul_f64(1.0 - JITTER), "{failure}: {delay:?} of {full:?}");
        }
    }
}

#[test]
fn a_stable_run_forgets_earlier_failures() {
    let mut world = World::new(1);
    world.feed(Event::Secure);
    world.feed(Event::Start);
    let log = |world: &World| *world.alive.iter().find(|(_, who)| **who == (2, Task::Main)).unwrap().0;
    for _ in 0..8 {
        let pid = log(&world);
        world.end(pid, Exit::Signal(11));
        while !world.run(2, Task::Main) {
            world.take(&Step::WaitForDeadline);
        }
    }
    world.now += Duration::from_secs(5);
    let (pid, died) = (log(&world), world.now);
    world.end(pid, Exit::Signal(11));
    while !world.run(2, Task::Main) {
        world.take(&Step::WaitForDeadline);
    }
    assert!(world.now - died <= FIRST);
}
