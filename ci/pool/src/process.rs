//! A program in the chroot that `ci/node/prepare` makes: it ends with its handle, and its folder with it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;

/// How often the process is looked after.
const WATCH: Duration = Duration::from_millis(25);
const FOLDER: &str = "adit-node-";

/// The process and the thread that started it. It is one thread from start to end because the kernel kills the node when the thread
/// that started it ends (`setpriv --pdeathsig`): a thread of tokio's pool may end at any time.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    kill: Arc<AtomicBool>,
    ended: watch::Receiver<Option<String>>,
    watcher: Option<JoinHandle<()>>,
    output: PathBuf,
    /// Deleted after the process has ended, and not before somebody could ask what it said last.
    _folder: TempDir,
}

impl Process {
    /// Starts `program` with `arguments` (paths as seen inside) in `chroot`. Its `folder`, which lies in the chroot's `/tmp`, goes with the handle.
    pub(crate) async fn spawn(
        chroot: PathBuf,
        folder: TempDir,
        program: &'static str,
        arguments: Vec<String>,
    ) -> io::Result<Self> {
        let output = folder.path().join("output");
        let kill = Arc::new(AtomicBool::new(false));
        let (report, ended) = watch::channel(None);
        let (born, birth) = tokio::sync::oneshot::channel();
        let watcher = {
            let (output, kill) = (output.clone(), Arc::clone(&kill));
            thread::Builder::new().name(program.to_owned()).spawn(move || {
                let spawned =
                    command(&chroot, program, &arguments, &output).and_then(|mut command| command.spawn());
                let mut child = match spawned {
                    Ok(child) => child,
                    Err(error) => return drop(born.send(Err(error))),
                };
                // When the caller has gone meanwhile the handle is dropped, which asks for the end.
                let _ = born.send(Ok(child.id()));
                let status = watch_child(&mut child, &kill);
                report.send_replace(Some(
                    status.map_or_else(|error| error.to_string(), |status| status.to_string()),
                ));
            })?
        };
        let pid = birth.await.map_err(|_| io::Error::other("the watching thread ended"))??;
        Ok(Self { pid, kill, ended, watcher: Some(watcher), output, _folder: folder })
    }

    /// How it ended, when it did.
    pub(crate) fn ended(&self) -> Option<String> {
        self.ended.borrow().clone()
    }

    /// Whether it ends by itself in `time`.
    pub(crate) async fn ends_within(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.ended.wait_for(Option::is_some)).await.is_ok()
    }

    /// The last line that the process said.
    pub(crate) fn said(&self) -> String {
        let tail = self.tail();
        tail.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing").trim().to_owned()
    }

    /// The end of what the process said, 4 KiB at most.
    pub(crate) fn tail(&self) -> String {
        tail(&self.output).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill.store(true, Ordering::Relaxed);
        if let Some(watcher) = self.watcher.take() {
            // It ends within a few WATCH periods; a panic in there has been printed.
            let _ = watcher.join();
        }
    }
}

fn watch_child(child: &mut Child, kill: &AtomicBool) -> io::Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if kill.load(Ordering::Relaxed) {
            child.kill()?;
            return child.wait();
        }
        thread::sleep(WATCH);
    }
}

/// The chroot's own setpriv is the last to run before the program: entering a user namespace would clear the signal.
fn command(chroot: &Path, program: &str, arguments: &[String], output: &Path) -> io::Result<Command> {
    // A program's user is the owner of its own /proc entry.
    let root = std::fs::metadata("/proc/self")?.uid() == 0;
    let mut command = if root { Command::new("chroot") } else { Command::new("unshare") };
    if !root {
        command.args(["--map-root-user", "chroot"]);
    }
    let output = File::create(output)?;
    command
        .arg(chroot)
        .args(["/usr/bin/setpriv", "--pdeathsig", "KILL", "--"])
        .arg(format!("/usr/bin/{program}"))
        .args(arguments)
        // sbin: chroot lives there, and not every user has it in the path.
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    Ok(command)
}

/// A folder in the chroot's `/tmp` whose name tells whose it is, and where programs inside see it.
pub(crate) fn folder(chroot: &Path) -> io::Result<(TempDir, PathBuf)> {
    let folder = tempfile::Builder::new()
        .prefix(&format!("{FOLDER}{}-", std::process::id()))
        .tempdir_in(chroot.join("tmp"))?;
    let inside = inside(chroot, folder.path())?;
    Ok((folder, inside))
}

/// How a program in `chroot` sees `path`.
pub(crate) fn inside(chroot: &Path, path: &Path) -> io::Result<PathBuf> {
    Ok(Path::new("/").join(path.strip_prefix(chroot).map_err(io::Error::other)?))
}

pub(crate) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(4096)))?;
    let mut tail = Vec::new();
    file.take(4096).read_to_end(&mut tail)?;
    Ok(String::from_utf8_lossy(&tail).into_owned())
}

/// Folders of programs whose owner was killed: the process that is part of the name does not exist any more.
pub(crate) fn remove_leftovers(tmp: &Path) {
    let Ok(entries) = std::fs::read_dir(tmp) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(FOLDER)?.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // Another caller may be removing it too.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
