//! The last steps: nobody runs any more, file systems are written out, the machine goes down.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use adit_sys::{clock, reap};
use rustix::process::{WaitOptions, wait};
use rustix::system::RebootCommand;

use crate::console::Console;
use crate::paths::Paths;
use crate::supervisor::Ending;

/// Longest time for unmounting and syncing: a dead disk must not keep the unit from going down.
const DISK_LIMIT: Duration = Duration::from_secs(10);

/// Longest time for the orphans' end after SIGKILL.
const ORPHAN_LIMIT: Duration = Duration::from_secs(1);

const CONSOLE_LIMIT: Duration = Duration::from_millis(500);

/// Called when the supervisor has stopped every service and made it safe.
pub fn go_down(paths: &Paths, console: &Console, ending: Ending) -> ! {
    end_orphans();
    let (done, wait_for_disks) = mpsc::channel();
    let disks = paths.clone();
    thread::spawn(move || {
        if disks.is_machine() {
            crate::mounts::take_down(&disks);
        }
        rustix::fs::sync();
        // Nobody listens any more when it took too long.
        let _ = done.send(());
    });
    if wait_for_disks.recv_timeout(DISK_LIMIT).is_err() {
        tracing::error!(target: "adit_init", "disks are not written out after {} ms", DISK_LIMIT.as_millis());
    }
    tracing::info!(target: "adit_init", "down ending={ending} ms={}", clock::boottime().as_millis());
    console.drain(CONSOLE_LIMIT);
    let command = match ending {
        Ending::Reboot => RebootCommand::Restart,
        Ending::PowerOff => RebootCommand::PowerOff,
    };
    loop {
        if let Err(error) = rustix::system::reboot(command) {
            tracing::error!(target: "adit_init", "{ending}: {error}");
        }
        console.drain(CONSOLE_LIMIT);
        thread::sleep(DISK_LIMIT);
    }
}

fn end_orphans() {
    if let Err(error) = reap::kill_everyone() {
        tracing::warn!(target: "adit_init", "orphans: {error}");
    }
    let end = clock::boottime() + ORPHAN_LIMIT;
    // Ends with an error when there is no child left.
    while let Ok(ended) = wait(WaitOptions::NOHANG) {
        if ended.is_none() {
            if clock::boottime() > end {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}
