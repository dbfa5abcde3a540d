//! The control port: one JSON object a line, one reply a line (`docs/simulator.md`).

use crate::endpoint::{self, OpenError};
use crate::events::Events;
use crate::fault::{Arguments, Fault};
use crate::shared::Shared;
use crate::state::{ChipState, State};
use serde::{Deserialize, Serialize};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const LONGEST_REQUEST: usize = 4096;
const MOST_CLIENTS: usize = 8;
/// How long a thread waits before it looks whether it shall end.
const PATIENCE: Duration = Duration::from_millis(100);
/// A client must take its reply within this.
const WRITE_PATIENCE: Duration = Duration::from_secs(2);
/// A client that says nothing for this long is let go, for others may want its place.
const IDLE_CLIENT: Duration = Duration::from_secs(600);

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case", deny_unknown_fields)]
enum Request {
    // Braces, because serde lets unknown fields pass in a variant without them.
    State {},
    Events {
        after: u64,
    },
    Fault {
        name: String,
        on: Option<bool>,
        count: Option<u32>,
        value: Option<f64>,
        board: Option<usize>,
        chip: Option<u32>,
        fan: Option<usize>,
        sensor: Option<usize>,
    },
    Chips {
        board: usize,
    },
    Shutdown {},
}

#[derive(Serialize)]
#[serde(untagged)]
enum Reply {
    State {
        ok: bool,
        state: Box<State>,
    },
    Events {
        ok: bool,
        #[serde(flatten)]
        events: Events,
    },
    Chips {
        ok: bool,
        chips: Vec<ChipState>,
    },
    Done {
        ok: bool,
    },
    Refused {
        ok: bool,
        error: String,
    },
}

impl Reply {
    const DONE: Self = Self::Done { ok: true };

    fn refused(error: &impl ToString) -> Self {
        Self::Refused { ok: false, error: error.to_string() }
    }
}

/// The socket of the control port; removed when dropped.
pub(crate) struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Control {
    pub(crate) fn bind(path: &Path) -> Result<Self, OpenError> {
        Ok(Self { listener: endpoint::bind(path)?, path: path.into() })
    }

    /// Serves clients until the simulation ends.
    pub(crate) fn serve(&self, shared: &Arc<Shared>) {
        let clients = Arc::new(AtomicUsize::new(0));
        while !shared.stopped() {
            let Ok((client, _)) = self.listener.accept() else {
                thread::sleep(PATIENCE / 2);
                continue;
            };
            if clients.fetch_add(1, Ordering::Relaxed) >= MOST_CLIENTS {
                clients.fetch_sub(1, Ordering::Relaxed);
                refuse(client);
                continue;
            }
            let (shared, clients) = (shared.clone(), clients.clone());
            thread::spawn(move || {
                converse(&shared, client).ok(); // an error is a client that has left
                clients.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // Somebody may have removed it already.
        std::fs::remove_file(&self.path).ok();
    }
}

fn refuse(mut client: UnixStream) {
    let reply = Reply::refused(&format!("more than {MOST_CLIENTS} clients at once"));
    client.set_write_timeout(Some(PATIENCE)).and_then(|()| send(&mut client, &reply)).ok();
}

fn converse(shared: &Shared, mut client: UnixStream) -> std::io::Result<()> {
    client.set_nonblocking(false)?;
    client.set_read_timeout(Some(PATIENCE))?;
    client.set_write_timeout(Some(WRITE_PATIENCE))?;
    let mut pending = Vec::new();
    let mut chunk = [0; 1024];
    let mut heard = Instant::now();
    while !shared.stopped() && heard.elapsed() < IDLE_CLIENT {
        let count = match client.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        heard = Instant::now();
        pending.extend_from_slice(&chunk[..count]);
        while let Some(end) = pending.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            if line.len() > LONGEST_REQUEST {
                return send(&mut client, &too_long());
            }
            let (reply, shut_down) = answer(shared, &line);
            send(&mut client, &reply)?;
            if shut_down {
                shared.stop();
                return Ok(());
            }
        }
        if pending.len() > LONGEST_REQUEST {
            return send(&mut client, &too_long());
        }
    }
    Ok(())
}

fn too_long() -> Reply {
    Reply::refused(&format!("a request has at most {LONGEST_REQUEST} bytes"))
}

fn answer(shared: &Shared, line: &[u8]) -> (Reply, bool) {
    let request = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(error) => return (Reply::refused(&error), false),
    };
    let reply = match request {
        Request::State {} => Reply::State { ok: true, state: Box::new(shared.change(|world| world.state())) },
        Request::Events { after } => {
            Reply::Events { ok: true, events: shared.read(|world| world.events(after)) }
        }
        Request::Chips { board } => match shared.change(|world| world.chips(board)) {
            Some(chips) => Reply::Chips { ok: true, chips },
            None => Reply::refused(&format!("no board {board}")),
        },
        Request::Fault { name, on, count, value, board, chip, fan, sensor } => {
            let arguments = Arguments { on, count, value, chip, fan, sensor };
            let fault = Fault::parse(&name, arguments);
            let board = board.unwrap_or(0);
            match fault.and_then(|fault| shared.change(|world| world.fault(board, fault))) {
                Ok(()) => Reply::DONE,
                Err(error) => Reply::refused(&error),
            }
        }
        Request::Shutdown {} => return (Reply::DONE, true),
    };
    (reply, false)
}

fn send(client: &mut UnixStream, reply: &Reply) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    client.write_all(&line)
}
