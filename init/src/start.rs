//! From the kernel's hand-over to running services, in the order that matters: a console to speak on, hardware made safe, file
//! systems and switches while that goes on, doors, services.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::Path;
use std::sync::Arc;

use adit_slots::AfterBoot;
use adit_sys::signals::{Signal, take_over};
use anyhow::Context;
use rustix::fs::{Mode, OFlags};
use rustix::system::RebootCommand;

use crate::boot_state::Storage;
use crate::command_line::CommandLine;
use crate::console::Console;
use crate::doors::Doors;
use crate::emergency::Emergency;
use crate::event_loop::{Complaints, EventLoop};
use crate::kept::Kept;
use crate::notify::NotifySocket;
use crate::paths::Paths;
use crate::supervisor::{Event, Supervisor};
use crate::{mounts, power, report, setup, switches, unit_file};

/// PID 1's whole life.
pub fn run(paths: &Paths) -> ! {
    let no_devices = if paths.is_machine() { mounts::devices().err() } else { None };
    let console = match Console::open(&paths.console()) {
        Ok(console) => console,
        // Without console and standard error there is nobody to tell; the boot counter still counts.
        Err(_) => loop {
            let _ = rustix::system::reboot(RebootCommand::Restart);
        },
    };
    let writer = console.clone();
    tracing_subscriber::fmt().without_time().with_ansi(false).with_writer(move || writer.clone()).init();
    report::timeline("init");
    if let Some(error) = no_devices {
        tracing::error!(target: "adit_init", "/dev: {error}");
    }
    if paths.is_machine()
        && let Err((target, error)) = mounts::pseudo()
    {
        tracing::error!(target: "adit_init", "{target}: {error}");
    }

    let command_line = CommandLine::read(&paths.command_line()).unwrap_or_else(|error| {
        tracing::error!(target: "adit_init", "{}: {error}", paths.command_line().display());
        CommandLine::default()
    });
    say_what_boots(&command_line);
    let environment = environment(paths, &command_line);

    let (services, errors) = unit_file::load(&paths.units());
    let (kept, notify) = (Kept::default(), notify_socket(&paths.notify()));
    let heard = notify.as_ref().ok().cloned();
    let emergency =
        Emergency::new(services.iter(), kept.clone(), heard, environment.clone(), console.clone());
    emergency.clone().on_panic();
    if !errors.is_empty() {
        for error in errors {
            tracing::error!(target: "adit_init", "unit file: {error}");
        }
        emergency.reboot();
    }

    let seed = RandomState::new().build_hasher().finish();
    let supervisor = Supervisor::new(services, seed);
    let started = notify
        .and_then(|notify| event_loop(paths, &console, environment, supervisor, kept, notify))
        .and_then(|mut init| {
            // Nothing is stopped yet that could end the unit here.
            init.handle(Event::Secure);
            set_up(paths, &command_line, &mut init)?;
            init.handle(Event::Start);
            Ok(init)
        });
    match started {
        Ok(mut init) => {
            let ending = init.run();
            power::go_down(paths, &console, ending)
        }
        Err(error) => {
            tracing::error!(target: "adit_init", "{error:#}");
            emergency.reboot()
        }
    }
}

fn event_loop(
    paths: &Paths,
    console: &Console,
    environment: Vec<(String, String)>,
    supervisor: Supervisor,
    kept: Kept,
    notify: Arc<NotifySocket>,
) -> anyhow::Result<EventLoop> {
    let signals = take_over(&[Signal::CHILD, Signal::TERM, Signal::INT, Signal::USR2]).context("signals")?;
    let null =
        rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).context("/dev/null")?;
    let output = match Console::open_for_services(&paths.console()) {
        Ok(output) => output,
        Err(_) => null.try_clone().context("/dev/null")?,
    };
    Ok(EventLoop {
        supervisor,
        signals,
        console: console.clone(),
        notify,
        kept,
        doors: None,
        boot_state: None,
        good_boot: None,
        paths: paths.clone(),
        environment,
        null,
        output,
        complaints: Complaints::default(),
    })
}

/// There before the first safe state: lines that it takes hold of are to stay.
fn notify_socket(path: &Path) -> anyhow::Result<Arc<NotifySocket>> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    NotifySocket::bind(path).map(Arc::new).with_context(|| path.display().to_string())
}

/// What the services need to find. Runs while the safe states are being brought about.
fn set_up(paths: &Paths, command_line: &CommandLine, init: &mut EventLoop) -> anyhow::Result<()> {
    if paths.is_machine() {
        set_up_machine(paths);
        init.boot_state = boot_state(paths, command_line);
    }
    set_switches(paths);
    let services = init.supervisor.services().map(|(_, service)| service);
    init.doors = Some(Doors::bind(&paths.doors(), services).context("doors")?);
    Ok(())
}

fn set_up_machine(paths: &Paths) {
    // The kernel hands Ctrl-Alt-Del over as SIGINT instead of pulling the plug.
    tell("ctrl-alt-del", rustix::system::reboot(RebootCommand::CadOff).map_err(io::Error::from));
    tell("host name", setup::set_host_name());
    tell("loopback", setup::raise_loopback());
    match setup::raise_clock(&paths.release()) {
        Ok(Some(by)) => {
            tracing::info!(target: "adit_init", "clock put forward to the image's build time s={}", by.as_secs())
        }
        Ok(None) => {}
        Err(error) => {
            tracing::warn!(target: "adit_init", "clock floor: {}: {error}", paths.release().display())
        }
    }
    mounts::partitions(paths);
}

fn tell(what: &str, result: io::Result<()>) {
    if let Err(error) = result {
        tracing::warn!(target: "adit_init", "{what}: {error}");
    }
}

fn set_switches(paths: &Paths) {
    match switches::apply(&paths.switches(), &paths.at("/proc/sys")) {
        Ok(outcome) => {
            let (applied, absent) = (outcome.applied, report::quoted(&outcome.absent.join(" ")));
            tracing::info!(target: "adit_init", "switches applied={applied} absent={absent}");
            for refused in outcome.refused {
                tracing::error!(target: "adit_init", "switch refused: {refused}");
            }
        }
        Err(error) => tracing::error!(target: "adit_init", "{}: {error}", paths.switches().display()),
    }
}

/// Opens the boot state and records what this boot shows. A unit without one mines; it cannot be updated.
fn boot_state(paths: &Paths, command_line: &CommandLine) -> Option<Storage> {
    let Some(slot) = command_line.slot else {
        tracing::warn!(target: "adit_init", "boot state is left alone: the command line names no slot");
        return None;
    };
    let storage = match Storage::find(paths, slot) {
        Ok(storage) => storage,
        Err(error) => {
            tracing::warn!(target: "adit_init", "boot state: {error}");
            return None;
        }
    };
    match storage.settle_after_boot() {
        Ok((outcome, problems)) => {
            for (copy, problem) in (1..).zip(problems) {
                if let Some(problem) = problem {
                    tracing::warn!(target: "adit_init", "boot state: copy {copy} is not valid: {problem}");
                }
            }
            match outcome {
                AfterBoot::Preferred => {}
                AfterBoot::OnTrial => {
                    tracing::info!(target: "adit_init", "boot state: slot {slot} is on trial")
                }
                AfterBoot::TrialFellBack(trial) => {
                    tracing::warn!(target: "adit_init", "boot state: slot {trial} was on trial and did not make it");
                }
                AfterBoot::Exhausted(other) => {
                    tracing::warn!(target: "adit_init", "boot state: slot {other} has used up its tries");
                }
            }
            Some(storage)
        }
        Err(error) => {
            tracing::warn!(target: "adit_init", "boot state: {error}");
            None
        }
    }
}

fn say_what_boots(command_line: &CommandLine) {
    let slot = command_line.slot.map_or("unknown", |slot| slot.suffix());
    let board = command_line.board.as_deref().unwrap_or("unknown");
    let machine = command_line.machine.as_deref().unwrap_or("unknown");
    let root = command_line.root;
    tracing::info!(target: "adit_init", "boot slot={slot} board={board} machine={machine} root={root}");
    for parameter in &command_line.refused {
        tracing::warn!(
            target: "adit_init",
            "command line: {parameter:?} is not understood; known: adit.slot=a|b, adit.board=NAME, adit.machine=NAME"
        );
    }
}

/// All that a service finds in its environment, besides its sockets.
fn environment(paths: &Paths, command_line: &CommandLine) -> Vec<(String, String)> {
    let entry = |key: &str, path: &Path| (key.to_owned(), path.to_string_lossy().into_owned());
    let mut environment =
        vec![entry("NOTIFY_SOCKET", &paths.notify()), entry("ADIT_CONFIG", &paths.configuration())];
    if let Some(machine) = &command_line.machine {
        environment.push(entry("ADIT_MACHINE", &paths.machine_profile(machine)));
    }
    environment
}
