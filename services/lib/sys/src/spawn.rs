//! A child process that inherits nothing but what it is given.
//!
//! It gets a session and process group of its own, default signal dispositions, an empty signal mask, `/` as working directory,
//! the standard streams, environment and sockets of its [`Launch`], and SIGKILL when its parent dies. Sockets, and other descriptors
//! that are to be there, arrive as 3, 4, … with `LISTEN_FDS`, `LISTEN_FDNAMES` and `LISTEN_PID`, as [`crate::activation`] reads them.

use std::convert::Infallible;
use std::ffi::{CString, c_char, c_int};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use rustix::process::{Pid, Signal};

use crate::activation::{FIRST, MAX_SOCKETS};
use crate::signals;

/// What to start, and all that it gets.
pub struct Launch<'a> {
    pub program: &'a Path,
    /// Without the program's own name, which is added.
    pub arguments: &'a [String],
    pub environment: &'a [(String, String)],
    /// Name and listening socket, or any other descriptor, in the order of their numbers.
    pub sockets: &'a [(&'a str, BorrowedFd<'a>)],
    pub stdin: BorrowedFd<'a>,
    pub stdout: BorrowedFd<'a>,
    pub stderr: BorrowedFd<'a>,
}

/// Exit code of a child that could not become the program; the reason is on its standard error.
pub const NOT_STARTED: i32 = 127;

/// Digits of the largest 32-bit number.
const PID_DIGITS: usize = 10;
const LISTEN_PID: &[u8] = b"LISTEN_PID=";

/// Starts the child and returns at once, without waiting for its exec.
///
/// Errors: a program that is not there or not executable, a zero byte in a string, more than 64 sockets, and what `fork`
/// says. What goes wrong in the child itself ends it with [`NOT_STARTED`].
pub fn spawn(launch: &Launch<'_>) -> io::Result<Pid> {
    rustix::fs::access(launch.program, rustix::fs::Access::EXEC_OK)?;
    let mut prepared = Prepared::new(launch)?;
    // SAFETY: the child calls only what is allowed after fork in a process with threads: system calls on memory that was
    // prepared before, no allocation, no locks.
    let pid = unsafe { libc::fork() };
    match pid {
        0 => prepared.become_program(),
        _ if pid < 0 => Err(io::Error::last_os_error()),
        _ => Ok(Pid::from_raw(pid).expect("fork returns a process number to the parent")),
    }
}

/// Everything that the child needs, allocated before the fork.
struct Prepared {
    program: CString,
    arguments: Pointers,
    environment: Pointers,
    /// Index of LISTEN_PID in the environment; its digits are filled in by the child.
    listen_pid: Option<usize>,
    /// Standard streams, then sockets: where they are now.
    sources: Vec<RawFd>,
}

/// Strings and the null-terminated list of pointers to them that exec takes.
struct Pointers {
    strings: Vec<Vec<u8>>,
    list: Vec<*const c_char>,
}

impl Pointers {
    fn new(strings: Vec<CString>) -> Self {
        let strings: Vec<Vec<u8>> = strings.into_iter().map(CString::into_bytes_with_nul).collect();
        let list = strings.iter().map(|text| text.as_ptr().cast()).chain([ptr::null()]).collect();
        Pointers { strings, list }
    }
}

impl Prepared {
    fn new(launch: &Launch<'_>) -> io::Result<Self> {
        if launch.sockets.len() > MAX_SOCKETS {
            let text = format!("{} sockets, at most {MAX_SOCKETS} can be passed", launch.sockets.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let program = CString::new(launch.program.as_os_str().as_bytes())?;
        let mut arguments = vec![program.clone()];
        for argument in launch.arguments {
            arguments.push(CString::new(argument.as_str())?);
        }
        let mut environment = Vec::new();
        for (key, value) in launch.environment {
            environment.push(CString::new(format!("{key}={value}"))?);
        }
        let mut listen_pid = None;
        if !launch.sockets.is_empty() {
            let names: Vec<&str> = launch.sockets.iter().map(|(name, _)| *name).collect();
            environment.push(CString::new(format!("LISTEN_FDS={}", names.len()))?);
            environment.push(CString::new(format!("LISTEN_FDNAMES={}", names.join(":")))?);
            listen_pid = Some(environment.len());
            environment.push(CString::new([LISTEN_PID, &[b'0'; PID_DIGITS]].concat())?);
        }
        let streams = [launch.stdin, launch.stdout, launch.stderr];
        let sockets = launch.sockets.iter().map(|(_, socket)| *socket);
        Ok(Prepared {
            program,
            arguments: Pointers::new(arguments),
            environment: Pointers::new(environment),
            listen_pid,
            sources: streams.into_iter().chain(sockets).map(|fd| fd.as_raw_fd()).collect(),
        })
    }

    /// The child's way from fork to exec.
    fn become_program(&mut self) -> ! {
        let (step, errno) = match self.try_become_program() {
            Ok(never) => match never {},
            Err(failed) => failed,
        };
        say(b"adit-init: start of ");
        say(self.program.to_bytes());
        say(b" ended at ");
        say(step);
        say(b", errno ");
        say(decimal(errno.unsigned_abs(), &mut [0; PID_DIGITS]));
        say(b"\n");
        // SAFETY: ends this process without running anything of the parent's.
        unsafe { libc::_exit(NOT_STARTED) }
    }

    fn try_become_program(&mut self) -> Result<Infallible, Failed> {
        for signal in 1..=LAST_SIGNAL {
            let default = [0_u64; 8];
            // SAFETY: the kernel reads a sigaction from memory that is larger than one; all zero is the default action. The
            // call is made directly because C libraries keep two signals for themselves and would not reset those.
            unsafe {
                libc::syscall(libc::SYS_rt_sigaction, signal, &default, NO_OLD_ACTION, SIGNAL_SET_BYTES)
            };
        }
        rustix::process::setsid().map_err(at(b"setsid"))?;
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(at(b"prctl"))?;
        rustix::process::chdir(c"/").map_err(at(b"chdir"))?;
        self.place_descriptors()?;
        if let Some(index) = self.listen_pid {
            let mut space = [0; PID_DIGITS];
            let digits = decimal(std::process::id(), &mut space);
            let place = &mut self.environment.strings[index][LISTEN_PID.len()..];
            place.fill(0);
            place[..digits.len()].copy_from_slice(digits);
        }
        let mask = signals::empty_mask();
        // SAFETY: reads an initialised set; the old mask is not asked for.
        unsafe { libc::sigprocmask(libc::SIG_SETMASK, &mask, ptr::null_mut()) };
        let (program, list) = (self.program.as_ptr(), self.arguments.list.as_ptr());
        // SAFETY: a string and two null-terminated lists of strings, all alive and unchanged since the lists were made (the
        // digits of LISTEN_PID were written in place).
        unsafe { libc::execve(program, list, self.environment.list.as_ptr()) };
        Err((b"exec", last_errno()))
    }

    /// Moves every source out of the way first: a source may sit where another one has to go.
    fn place_descriptors(&mut self) -> Result<(), Failed> {
        let count = RawFd::try_from(self.sources.len()).expect("at most three streams and 64 sockets");
        for source in &mut self.sources {
            // SAFETY: borrowed from the caller of `spawn`, so open, in this copy of its process.
            let open = unsafe { BorrowedFd::borrow_raw(*source) };
            *source = rustix::io::fcntl_dupfd_cloexec(open, count).map_err(at(b"dup"))?.into_raw_fd();
        }
        for (target, source) in (0..).zip(&self.sources) {
            // SAFETY: numbers only; this process is about to be replaced and nothing else in it uses its descriptors.
            if unsafe { libc::dup2(*source, target) } < 0 {
                return Err((b"dup2", last_errno()));
            }
        }
        // A second line of defence: what this program and its libraries open is closed on exec anyway.
        // SAFETY: numbers only, as above. A kernel without the call says so and is not needed.
        unsafe { libc::syscall(libc::SYS_close_range, count, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
        Ok(())
    }
}

/// The step between fork and exec that did not work, and its error number.
type Failed = (&'static [u8], i32);

fn at(step: &'static [u8]) -> impl Fn(rustix::io::Errno) -> Failed {
    move |error| (step, error.raw_os_error())
}

fn last_errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

const LAST_SIGNAL: c_int = 64;
const SIGNAL_SET_BYTES: usize = 8;
const NO_OLD_ACTION: usize = 0;

const _: () = assert!(FIRST == 3, "sockets follow the three standard streams");

/// The digits of `number`, without zeros in front: some readers take those for octal.
fn decimal(mut number: u32, space: &mut [u8; PID_DIGITS]) -> &[u8] {
    let mut first = PID_DIGITS;
    loop {
        first -= 1;
        space[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &space[first..];
        }
    }
}

fn say(text: &[u8]) {
    // Nothing can be done about an error here.
    let _ = rustix::io::write(rustix::stdio::stderr(), text);
}
