//! One unit in QEMU: starts it, listens to its console, ends it.

use std::{
    collections::{HashMap, VecDeque},
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    sync::Notify,
};

use crate::console::{self, Event};

/// A console line longer than this is cut.
const LONGEST_LINE: usize = 4096;
/// Lines kept of one unit: a boot says a few hundred.
const KEPT: usize = 20_000;

/// A line that the unit said, and what it meant.
#[derive(Debug, Clone)]
pub struct Said {
    pub at: Instant,
    pub line: String,
    pub event: Option<Event>,
}

/// Of each thread, since it began.
#[derive(Debug, Default)]
pub struct Waits(HashMap<PathBuf, Duration>);

impl Waits {
    /// Of all of them since `earlier`: what goes through several threads one after the other was held up for so long at most.
    pub fn since(&self, earlier: &Self) -> Duration {
        let of = |(task, waited): (&PathBuf, &Duration)| {
            waited.saturating_sub(earlier.0.get(task).copied().unwrap_or_default())
        };
        self.0.iter().map(of).sum()
    }
}

/// A running unit. Dropping it ends QEMU.
pub struct Unit {
    child: Child,
    console: Arc<Console>,
    complaints: PathBuf,
    started: Instant,
}

#[derive(Default)]
struct Console {
    heard: Mutex<Heard>,
    news: Notify,
    closed: std::sync::atomic::AtomicBool,
}

impl Unit {
    /// Starts `program` with `arguments`; its standard output is the unit's console, which is also written to `console.log` in `folder`.
    /// What the program itself complains of goes to `emulator.log`.
    pub fn start(program: &str, arguments: &[String], folder: &Path) -> Result<Self> {
        let create = |name: &str| {
            let path = folder.join(name);
            File::create(&path).with_context(|| path.display().to_string())
        };
        let (log, complaints) = (create("console.log")?, create("emulator.log")?);
        // setpriv: the emulator must not outlive us, however we end.
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", program])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(complaints)
            .kill_on_drop(true)
            // Its own process group: Ctrl-C reaches us alone, and we end it in order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("{program} does not start; is qemu-system-arm installed?"))?;
        let output = child.stdout.take().expect("standard output was piped");
        let console = Arc::new(Console::default());
        tokio::spawn(listen(output, log, console.clone()));
        Ok(Self { child, console, complaints: folder.join("emulator.log"), started: Instant::now() })
    }

    pub fn started(&self) -> Instant {
        self.started
    }

    /// Everything said from `cursor` on that is still kept; the second value is the next cursor.
    pub fn said_since(&self, cursor: usize) -> (Vec<Said>, usize) {
        let heard = self.console.lock();
        let known = cursor.saturating_sub(heard.forgotten);
        (heard.said.iter().skip(known).cloned().collect(), heard.count())
    }

    /// Where the console stands now: only what comes later counts for [`Unit::wait_from`].
    pub fn now(&self) -> usize {
        self.console.lock().count()
    }

    /// How long each thread that the unit waits for has waited for a processor of this computer: the emulator's, and this process's, for the simulated machine answers
    /// in it; but not those that search nonces.
    pub fn waits(&self) -> Waits {
        let waited = |task: PathBuf| {
            let name = std::fs::read_to_string(task.join("comm")).ok()?;
            if name.starts_with("hasher") {
                return None;
            }
            // proc_pid_schedstat: nanoseconds on a processor, nanoseconds waiting for one, turns.
            let text = std::fs::read_to_string(task.join("schedstat")).ok()?;
            let ns = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
            Some((task, Duration::from_nanos(ns)))
        };
        let processes = self.child.id().into_iter().chain([std::process::id()]);
        let tasks = processes.filter_map(|pid| std::fs::read_dir(format!("/proc/{pid}/task")).ok());
        Waits(tasks.flatten().flatten().filter_map(|task| waited(task.path())).collect())
    }

    pub fn running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The first event from `cursor` on that `wanted` maps to something, with the cursor behind it.
    pub async fn wait_from<T>(
        &self,
        cursor: usize,
        limit: Duration,
        what: &str,
        mut wanted: impl FnMut(&Said) -> Option<T>,
    ) -> Result<(T, usize)> {
        let deadline = Instant::now() + limit;
        let mut next = cursor;
        loop {
            let news = self.console.news.notified();
            let (said, after) = self.said_since(next);
            let first = after - said.len();
            for (offset, one) in said.iter().enumerate() {
                if let Some(found) = wanted(one) {
                    return Ok((found, first + offset + 1));
                }
            }
            next = after;
            if self.console.closed.load(std::sync::atomic::Ordering::Acquire) {
                bail!("QEMU ended before {what}: {}", self.last_words());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || tokio::time::timeout(left, news).await.is_err() {
                bail!("no {what} within {} s; the console's last lines:\n{}", limit.as_secs(), self.tail(15));
            }
        }
    }

    /// [`Unit::wait_from`] for an event.
    pub async fn wait_event<T>(
        &self,
        cursor: usize,
        limit: Duration,
        what: &str,
        mut wanted: impl FnMut(&Event) -> Option<T>,
    ) -> Result<(T, usize)> {
        self.wait_from(cursor, limit, what, |said| said.event.as_ref().and_then(&mut wanted)).await
    }

    /// The last `count` lines, for a message about what went wrong.
    pub fn tail(&self, count: usize) -> String {
        let heard = self.console.lock();
        let lines: Vec<&str> = heard.said.iter().rev().take(count).map(|said| said.line.as_str()).collect();
        lines.into_iter().rev().map(|line| format!("  | {line}\n")).collect()
    }

    /// Why the emulator may have ended: its own complaints, then the console's last lines.
    pub fn last_words(&self) -> String {
        let complaints = std::fs::read_to_string(&self.complaints).unwrap_or_default();
        format!("{}\n{}", complaints.trim_end(), self.tail(15))
    }

    pub async fn stop(mut self) {
        // QEMU ends at SIGTERM and closes its disk; SIGKILL if it does not.
        if let Some(pid) = self.child.id().and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed())) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        if tokio::time::timeout(Duration::from_secs(3), self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

/// The last lines, and how many came before them.
#[derive(Default)]
struct Heard {
    said: VecDeque<Said>,
    forgotten: usize,
}

impl Heard {
    fn count(&self) -> usize {
        self.forgotten + self.said.len()
    }
}

impl Console {
    fn lock(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn hear(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(line).trim_end().to_string();
        let event = console::parse(&line);
        let mut heard = self.lock();
        if heard.said.len() == KEPT {
            heard.said.pop_front();
            heard.forgotten += 1;
        }
        heard.said.push_back(Said { at: Instant::now(), line, event });
        drop(heard);
        self.news.notify_waiters();
    }
}

async fn listen(mut output: impl AsyncRead + Unpin, mut log: File, console: Arc<Console>) {
    let mut buffer = [0; 4096];
    let mut line = Vec::new();
    while let Ok(count @ 1..) = output.read(&mut buffer).await {
        let _ = log.write_all(&buffer[..count]);
        for &byte in &buffer[..count] {
            if byte == b'\n' {
                console.hear(&line);
                line.clear();
            } else if line.len() < LONGEST_LINE {
                line.push(byte);
            }
        }
    }
    console.closed.store(true, std::sync::atomic::Ordering::Release);
    console.news.notify_waiters();
}
