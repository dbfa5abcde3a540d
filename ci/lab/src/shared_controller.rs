//! One board controller for several simulated machines: each of them has one chain, a mining machine has several on one controller, rail and fan.
//!
//! Every request of the driver goes to all machines, so that their rails and resets follow each other; the answers of the first one go back.

use std::{
    fs::File,
    io::{Read, Write},
    net::Shutdown,
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt, net::UnixStream},
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{OptionalActions, tcgetattr, tcsetattr},
};

/// How long a thread sleeps before it looks whether it shall end.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Dropped, it ends and its link is gone.
pub struct SharedController {
    machines: Vec<UnixStream>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    link: PathBuf,
    /// Held open, so that the line stays up while no driver has it.
    _near: OwnedFd,
}

impl SharedController {
    /// Makes a pseudo-terminal for the driver, linked at `link`, in front of the machines' controllers, whose sockets these are.
    pub fn start(link: &Path, sockets: &[PathBuf]) -> Result<Self> {
        let far = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&far)?;
        unlockpt(&far)?;
        let name = ptsname(&far, Vec::new())?;
        let near = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        let mut settings = tcgetattr(&near)?;
        settings.make_raw();
        tcsetattr(&near, OptionalActions::Now, &settings)?;
        std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(name.as_bytes()), link)
            .with_context(|| link.display().to_string())?;

        let connect = |path: &PathBuf| UnixStream::connect(path).with_context(|| path.display().to_string());
        let machines = sockets.iter().map(connect).collect::<Result<Vec<_>>>()?;
        let mut controller =
            Self { machines, stop: Arc::default(), threads: Vec::new(), link: link.to_owned(), _near: near };
        let terminal = File::from(far);
        for (index, machine) in controller.machines.iter().enumerate() {
            let answers = machine.try_clone()?;
            let terminal = (index == 0).then(|| terminal.try_clone()).transpose()?;
            controller.threads.push(thread::spawn(move || answer(answers, terminal)));
        }
        let machines = controller.machines.iter().map(UnixStream::try_clone).collect::<Result<_, _>>()?;
        let stop = controller.stop.clone();
        controller.threads.push(thread::spawn(move || ask(terminal, machines, &stop)));
        Ok(controller)
    }
}

impl Drop for SharedController {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for machine in &self.machines {
            // It may have gone first.
            let _ = machine.shutdown(Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
        let _ = std::fs::remove_file(&self.link);
    }
}

/// The driver's requests to all machines.
fn ask(mut terminal: File, mut machines: Vec<UnixStream>, stop: &AtomicBool) {
    let mut bytes = [0; 512];
    while !stop.load(Ordering::Relaxed) {
        let mut waiting = [PollFd::new(&terminal, PollFlags::IN)];
        // An interrupted wait is a wait that saw nothing.
        if !poll(&mut waiting, Some(&PATIENCE)).is_ok_and(|count| count > 0) {
            continue;
        }
        let Ok(count @ 1..) = terminal.read(&mut bytes) else { return };
        for machine in &mut machines {
            if machine.write_all(&bytes[..count]).is_err() {
                return;
            }
        }
    }
}

/// A machine's answers to the driver, or to nobody.
fn answer(mut machine: UnixStream, mut terminal: Option<File>) {
    let mut bytes = [0; 512];
    while let Ok(count @ 1..) = machine.read(&mut bytes) {
        if let Some(terminal) = &mut terminal
            && terminal.write_all(&bytes[..count]).is_err()
        {
            return;
        }
    }
}
