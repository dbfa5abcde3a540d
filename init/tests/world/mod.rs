//! A world for the real adit-init: PID 1 of a process and mount namespace of its own, with a root folder of its own. The kernel is
//! the judge: `reboot(2)` in such a namespace ends its PID 1 with SIGHUP (restart) or SIGINT (power-off).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Much longer than anything takes here: a busy machine must not make a test fail.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    folder: tempfile::TempDir,
    unshare: Child,
    init: Pid,
}

/// What is in the world before PID 1 starts.
pub(crate) struct Plan {
    folder: tempfile::TempDir,
}

impl Plan {
    /// None only where a person has said that the tests that need root may be left out: green must not mean that nothing ran.
    pub(crate) fn new(test: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            let may_skip = std::env::var_os("ADIT_SKIP_ROOT_TESTS").is_some_and(|value| value == "1");
            assert!(
                may_skip,
                "{test} needs root, to make a process namespace; ADIT_SKIP_ROOT_TESTS=1 leaves it out"
            );
            eprintln!("SKIPPED {test}");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        for path in ["etc/adit/services", "dev", "proc", "run", "bin"] {
            fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        fs::write(folder.path().join("dev/console"), "").unwrap();
        fs::write(folder.path().join("etc/adit/sysctl.conf"), "kernel.absent = 1\n").unwrap();
        let command_line = "adit.slot=a adit.board=qemu-aarch64 adit.machine=bench dm-mod.create=\"root,,,ro,0 8 verity 1\"\n";
        fs::write(folder.path().join("proc/cmdline"), command_line).unwrap();
        Some(Plan { folder })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A shell script as a program of the world; `$W` in it is the world's folder. Returns its path.
    pub(crate) fn program(&self, name: &str, script: &str) -> String {
        self.file_program(name, &format!("#!/bin/sh\nW={}\n{script}\n", self.path().display()))
    }

    pub(crate) fn python(&self, name: &str, script: &str) -> String {
        self.file_program(name, &format!("#!/usr/bin/python3\n{script}\n"))
    }

    fn file_program(&self, name: &str, text: &str) -> String {
        let path = self.path().join("bin").join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn unit(&self, name: &str, text: &str) -> &Self {
        fs::write(self.path().join(format!("etc/adit/services/{name}.toml")), text).unwrap();
        self
    }

    /// A service whose program is a shell script.
    pub(crate) fn service(&self, name: &str, script: &str, keys: &str) -> &Self {
        let program = self.program(name, script);
        self.unit(name, &format!("exec = [\"{program}\"]\n{keys}\n"))
    }

    pub(crate) fn start(self) -> World {
        let mut unshare = Command::new("unshare")
            .args(["--pid", "--fork", "--kill-child", "--mount", "--mount-proc"])
            .arg(env!("CARGO_BIN_EXE_adit-init"))
            .arg("--root")
            .arg(self.folder.path())
            .env("SECRET", "must not reach a service")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let children = format!("/proc/{0}/task/{0}/children", unshare.id());
        let init = wait_until("PID 1 runs", || {
            assert_eq!(unshare.try_wait().unwrap(), None, "unshare ended");
            Pid::from_raw(fs::read_to_string(&children).ok()?.split(' ').next()?.parse().ok()?)
        });
        World { folder: self.folder, unshare, init }
    }
}

impl World {
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    pub(crate) fn console(&self) -> String {
        fs::read_to_string(self.folder.path().join("dev/console")).unwrap()
    }

    /// What programs have written into a file of the world; empty: nothing yet.
    pub(crate) fn file(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// Waits for the `count`th console line that holds `text`, and returns it.
    pub(crate) fn line(&self, count: usize, text: &str) -> String {
        let mut last = String::new();
        let found = try_until(|| {
            last = self.console();
            last.lines().filter(|line| line.contains(text)).nth(count - 1).map(str::to_owned)
        });
        found.unwrap_or_else(|| panic!("line {count} with {text:?} did not come; console:\n{last}"))
    }

    /// The process that a service's line with this state names, as the host numbers it.
    pub(crate) fn process(&self, count: usize, name: &str, state: &str) -> Pid {
        let line = self.line(count, &format!("service name={name} state={state} "));
        let inside = number(&line, "pid");
        self.host_pid(inside).unwrap_or_else(|| panic!("process {inside} is gone: {line}"))
    }

    fn host_pid(&self, inside: u64) -> Option<Pid> {
        self.processes().into_iter().find(|process| process.inside == Some(inside)).map(|process| process.pid)
    }

    /// Every process of the namespace but PID 1.
    pub(crate) fn processes(&self) -> Vec<Process> {
        let namespace = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let own = namespace(self.init.as_raw_nonzero().get());
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        numbers
            .filter(|pid| own.is_some() && namespace(*pid) == own)
            .filter_map(Process::read)
            .filter(|process| process.pid != self.init)
            .collect()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.init, signal).unwrap();
    }

    /// Waits for the end of the world and returns the signal that ended PID 1.
    pub(crate) fn end(&mut self) -> Option<i32> {
        wait_until("the namespace ends", || self.unshare.try_wait().unwrap()).signal()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // PID 1 is killed with it, and everything below PID 1.
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}

pub(crate) struct Process {
    pub(crate) pid: Pid,
    pub(crate) inside: Option<u64>,
    pub(crate) is_zombie: bool,
    pub(crate) command: String,
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        Some(Process {
            pid: Pid::from_raw(pid)?,
            inside: field("NSpid:").and_then(|numbers| numbers.split_whitespace().last()?.parse().ok()),
            is_zombie: field("State:").is_some_and(|state| state.starts_with('Z')),
            command: String::from_utf8_lossy(&command).replace('\0', " "),
        })
    }
}

/// The value of `key=` in a console line.
pub(crate) fn number(line: &str, key: &str) -> u64 {
    let value = line.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no number {key}= in {line:?}"))
}

pub(crate) fn wait_until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    try_until(look).unwrap_or_else(|| panic!("in vain: {what}"))
}

fn try_until<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() > end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
