//! The supervisor's effects as lines on the console: `docs/console.md` is the contract for text and keys.

use std::fmt::Write as _;
use std::time::Duration;

use adit_sys::clock;
use rustix::process::Pid;

use crate::good_boot::GoodBootError;
use crate::supervisor::{Ending, ServiceId, Shown, Supervisor, Task};

/// `timeline event=… ms=…`: milliseconds since the kernel's entry.
pub fn timeline(event: &str) {
    tracing::info!(target: "adit_init", "timeline event={event} ms={}", now_ms());
}

pub fn state(
    supervisor: &Supervisor,
    service: ServiceId,
    state: Shown,
    pid: Option<Pid>,
    retry: Option<Duration>,
    reason: Option<&str>,
) {
    let name = &supervisor.service(service).name;
    let mut line = format!("service name={name} state={state}");
    let mut add =
        |text: std::fmt::Arguments<'_>| line.write_fmt(text).expect("writing to a String cannot fail");
    if let Some(pid) = pid {
        add(format_args!(" pid={}", pid.as_raw_nonzero()));
    }
    add(format_args!(" ms={}", now_ms()));
    if let Some(retry) = retry {
        add(format_args!(" retry_ms={}", retry.as_millis()));
    }
    if let Some(reason) = reason {
        add(format_args!(" reason={}", quoted(reason)));
    }
    match state {
        Shown::Failed | Shown::Backoff => tracing::warn!(target: "adit_init", "{line}"),
        _ => tracing::info!(target: "adit_init", "{line}"),
    }
}

pub fn safe_state(reason: &str, took: Duration, result: Result<(), &str>) {
    let (reason, ms) = (quoted(reason), took.as_millis());
    match result {
        Ok(()) => tracing::info!(target: "adit_init", "safe state reason={reason} ms={ms}"),
        Err(error) => {
            tracing::error!(target: "adit_init", "safe state reason={reason} ms={ms} error={}", quoted(error))
        }
    }
}

pub fn going_down(ending: Ending, reason: &str) {
    tracing::info!(target: "adit_init", "shutdown ending={ending} reason={}", quoted(reason));
}

pub fn stuck(supervisor: &Supervisor, service: ServiceId, task: Task, pid: Pid) {
    let name = &supervisor.service(service).name;
    let pid = pid.as_raw_nonzero();
    let what = match task {
        Task::Main => "service",
        Task::SafeState => "safe state",
    };
    tracing::error!(target: "adit_init", "{what} does not end after SIGKILL: it hangs in the kernel name={name} pid={pid}");
}

/// Whether the running slot has been given its tries back.
pub fn good_boot(outcome: Result<bool, GoodBootError>) {
    match outcome {
        Ok(false) => {}
        Ok(true) => tracing::info!(target: "adit_init", "boot state: this slot has its tries back"),
        Err(error) => tracing::warn!(target: "adit_init", "boot state: tries stay as they are: {error}"),
    }
}

/// A value as `docs/console.md` has it: in double quotes, with nothing inside that a reader would have to undo.
pub fn quoted(value: &str) -> String {
    let plain = |c: char| match c {
        '"' => '\'',
        c if c.is_control() => ' ',
        c => c,
    };
    format!("\"{}\"", value.chars().map(plain).collect::<String>())
}

fn now_ms() -> u128 {
    clock::boottime().as_millis()
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_value_ends_at_the_next_double_quote_and_the_line_at_its_end() {
        assert_eq!(quoted("no \"card\"\n\tin C:\\ °C"), "\"no 'card'  in C:\\ °C\"");
    }
}
