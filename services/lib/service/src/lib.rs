//! How the process of a service begins and ends: the same for all that adit-init starts.
//!
//! In: the sockets that adit-init passes on, SIGTERM. Out: log lines on standard error, a runtime of one thread, an orderly end; descriptors that are to outlive the process ([`fd_store`]).
//! What it must never do: hold anything that only one service needs. PID 1 begins in its own way, without a runtime.

pub mod fd_store;

use std::{
    future::Future,
    os::unix::net::UnixListener,
    pin::Pin,
    task::{Context, Poll},
};

use anyhow::Context as _;
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
};
use tracing_subscriber::filter::LevelFilter;

/// Threads for what cannot be awaited. Names are looked up there, sixteen servers' at most, each perhaps a second time before the first look-up is over; and a
/// thread that hangs keeps its place.
const BLOCKING_THREADS: usize = 64;

/// Sends log lines to standard error, as `docs/console.md` has them: without a time, which the unit may not know, and without colours.
pub fn log_to_stderr() {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(LevelFilter::INFO)
        .without_time()
        .with_ansi(false)
        .with_target(true)
        .init();
}

/// The socket of a service's one door; none when it was not passed. The others are closed.
pub fn only_door(name: &str) -> anyhow::Result<Option<UnixListener>> {
    let sockets = adit_sys::activation::sockets().context("sockets of adit-init")?;
    let door = sockets.into_iter().find(|(passed, _)| passed == name);
    Ok(door.map(|(_, socket)| UnixListener::from(socket)))
}

/// A runtime of one thread, with clock and network.
pub fn runtime() -> anyhow::Result<Runtime> {
    let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(BLOCKING_THREADS).build();
    runtime.context("tokio")
}

/// Runs `service` to its end, which [`Stop`] asks for. A thread that still looks up a name or writes to a disk then is not waited for.
pub fn run<F, T>(service: impl FnOnce(Stop) -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let runtime = runtime()?;
    let result = runtime.block_on(async { service(Stop::new()?).await });
    runtime.shutdown_background();
    result
}

/// Ready when the service is to end: at SIGTERM, or SIGINT from a person who has started it by hand.
#[derive(Debug)]
pub struct Stop([Signal; 2]);

impl Stop {
    fn new() -> anyhow::Result<Self> {
        Ok(Self([
            signal(SignalKind::terminate()).context("SIGTERM")?,
            signal(SignalKind::interrupt()).context("SIGINT")?,
        ]))
    }
}

impl Future for Stop {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        for signal in &mut self.0 {
            if let Poll::Ready(Some(())) = signal.poll_recv(context) {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc,
        time::{Duration, Instant},
    };

    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    #[test]
    fn a_signal_ends_the_service_and_a_thread_that_hangs_is_not_waited_for() {
        const HANGS: Duration = Duration::from_secs(30);
        for signal in [Signal::TERM, Signal::INT] {
            let (_holds, hang) = mpsc::channel::<()>();
            let start = Instant::now();
            let ended = run(async |stop: Stop| {
                tokio::task::spawn_blocking(move || hang.recv_timeout(HANGS));
                kill_process(getpid(), signal)?;
                stop.await;
                Ok("in order")
            });
            assert_eq!(ended.expect("signals can be had"), "in order");
            assert!(start.elapsed() < HANGS / 2, "{:?}", start.elapsed());
        }
    }
}
