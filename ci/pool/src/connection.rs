//! One miner's connection: bytes and time around a [`Session`].

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, info, warn};

use crate::difficulty::Difficulty;
use crate::fault;
use crate::lines::{Line, LineReader};
use crate::pool::{Shared, unix_now};
use crate::session::{Event, Session};
use crate::work::{Extranonce1, Work};

const MAX_LINE: usize = 16 << 10;
/// A miner that does not read for so long is closed.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// A miner that says nothing for so long is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(600);

/// What the pool tells a connection, in order.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    Job(Arc<Work>),
    Difficulty(Difficulty),
    VersionMask(u32),
    Extranonce { extranonce1: Extranonce1, extranonce2_size: usize },
    Ping,
    Reconnect(Vec<Value>),
    Garbage(u32),
    LongLine(usize),
    BadJob(u32),
}

pub(crate) async fn serve(
    stream: TcpStream,
    id: u64,
    mut session: Session,
    mut orders: mpsc::Receiver<Order>,
    shared: Arc<Shared>,
) {
    let peer = stream.peer_addr().map_or_else(|_| "?".to_owned(), |peer| peer.to_string());
    // Without it the kernel would hold back a job for the acknowledgement of the line before.
    let _ = stream.set_nodelay(true);
    let (read, mut write) = stream.into_split();
    let mut lines = LineReader::new(read, MAX_LINE);
    let mut complained = false;
    let mut heard = Instant::now();
    debug!(connection = id, peer, "connected");
    let reason = loop {
        let sent = tokio::select! {
            line = lines.next() => match line {
                Ok(Line::Whole(line)) => {
                    heard = Instant::now();
                    if shared.faults.silent.load(Ordering::Relaxed) {
                        continue;
                    }
                    let out = session.handle(&line, unix_now(), &shared.faults);
                    for event in out.events {
                        digest(event, id, &shared, &mut complained);
                    }
                    let sent = send(&mut write, &out.lines).await;
                    if out.close {
                        break "too many bad lines";
                    }
                    sent
                }
                Ok(Line::TooLong) => {
                    shared.with_state(|state| state.bad_lines += 1);
                    break "line longer than 16 KiB";
                }
                Ok(Line::End) => break "closed by the miner",
                Err(_) => break "connection reset",
            },
            order = orders.recv() => match order {
                None => break "closed by the pool",
                Some(order) => match obey(&mut session, order, &shared) {
                    Ok(bytes) => write_all(&mut write, &bytes).await,
                    Err(reason) => break reason,
                },
            },
            () = sleep_until(heard + IDLE_TIMEOUT) => break "silent for ten minutes",
        };
        if !sent {
            break "does not take what is sent";
        }
    };
    info!(connection = id, peer, reason, "miner gone");
    shared.forget(id);
}

/// The bytes that an order makes. Errors: why the connection has to be closed.
fn obey(session: &mut Session, order: Order, shared: &Shared) -> Result<Vec<u8>, &'static str> {
    let stopped = shared.faults.stop_jobs.load(Ordering::Relaxed);
    let line = match order {
        Order::Job(work) => session.announce(work, stopped),
        Order::Difficulty(difficulty) => session.set_difficulty(difficulty),
        Order::VersionMask(mask) => session.set_mask(mask),
        Order::Extranonce { extranonce1, extranonce2_size } => session
            .set_extranonce(extranonce1, extranonce2_size)
            .map_err(|()| "cannot follow a new size of extranonce2")?,
        Order::Ping => Some(session.ping()),
        Order::Reconnect(params) => Some(json!({"id": null, "method": "client.reconnect", "params": params})),
        Order::Garbage(count) => return Ok(b"}garbage \xff{\"id\":\n".repeat(count as usize)),
        Order::LongLine(bytes) => return Ok(vec![b'x'; bytes]),
        Order::BadJob(count) => {
            let jobs = (0..count)
                .map(|i| json!({"id": null, "method": "mining.notify", "params": fault::bad_job(i)}));
            return Ok(to_bytes(&jobs.collect::<Vec<_>>()));
        }
    };
    if shared.faults.silent.load(Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    Ok(to_bytes(line.as_slice()))
}

fn to_bytes(lines: &[Value]) -> Vec<u8> {
    lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect()
}

async fn send(write: &mut OwnedWriteHalf, lines: &[Value]) -> bool {
    write_all(write, &to_bytes(lines)).await
}

async fn write_all(write: &mut OwnedWriteHalf, bytes: &[u8]) -> bool {
    matches!(timeout(WRITE_TIMEOUT, write.write_all(bytes)).await, Ok(Ok(())))
}

fn digest(event: Event, id: u64, shared: &Shared, complained: &mut bool) {
    match event {
        Event::Agent(agent) => {
            info!(connection = id, agent, "subscribed");
            shared.with_state(|state| state.note_agent(agent));
        }
        Event::Authorized(worker) => {
            info!(connection = id, worker, "authorized");
            shared.with_state(|state| state.note_worker(&worker));
        }
        Event::Accepted { worker, reached } => {
            debug!(connection = id, worker, reached, "share accepted");
            shared.with_state(|state| {
                state.note_worker(&worker);
                state.shares_accepted += 1;
                state.best_share = state.best_share.max(reached);
            });
        }
        Event::Rejected { worker, reject } => {
            info!(connection = id, worker, code = reject.code(), reason = %reject, "share refused");
            shared.with_state(|state| {
                state.note_worker(&worker);
                state.count_reject(&reject);
            });
        }
        Event::Candidate(candidate) => shared.offer(*candidate),
        Event::Pong => shared.with_state(|state| state.pongs += 1),
        Event::BadLine(what) => {
            if !std::mem::replace(complained, true) {
                warn!(connection = id, what, "bad line; further ones of this connection are only counted");
            }
            shared.with_state(|state| state.bad_lines += 1);
        }
    }
}
