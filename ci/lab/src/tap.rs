//! A tap on the wire between a miner and its pool: passes every line on, and notes when the ones that latency is measured by went past.
//!
//! What the miner or the pool knows of the time does not count here: a line is seen where the network would carry it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use adit_sys::clock::monotonic_us;
use anyhow::{Context, Result};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A line that went past; microseconds of CLOCK_MONOTONIC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// `mining.notify` that makes all earlier work void, just before it was given to the miner's socket.
    NewBlock { us: u64 },
    /// `mining.submit`, as soon as it was read from the miner's socket.
    Share { us: u64, nonce: String },
}

/// Dropped, it closes what it passes on.
pub struct Tap {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Tap {
    /// Listens on a free port and passes one miner after the other on to `pool`.
    pub async fn start(pool: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("tap")?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = seen.clone();
        let task = tokio::spawn(async move {
            while let Ok((miner, _)) = listener.accept().await {
                // A connection that broke is the miner's to make again.
                let _ = pass(miner, pool, &notes).await;
            }
        });
        Ok(Self { address, seen, task })
    }

    /// Where the miner connects.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What went past since the last call, in order.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Notes = Mutex<Vec<Seen>>;

async fn pass(miner: TcpStream, pool: SocketAddr, notes: &Notes) -> Result<()> {
    let pool = TcpStream::connect(pool).await?;
    for socket in [&miner, &pool] {
        socket.set_nodelay(true)?;
    }
    let (from_miner, to_miner) = miner.into_split();
    let (from_pool, to_pool) = pool.into_split();
    tokio::select! {
        ended = lines(from_pool, to_miner, notes, new_block) => ended,
        ended = lines(from_miner, to_pool, notes, share) => ended,
    }
}

/// Passes lines on until one end closes. The time is taken before a line is looked into.
async fn lines(
    from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    notes: &Notes,
    note: impl Fn(u64, &Value) -> Option<Seen>,
) -> Result<()> {
    let mut from = BufReader::new(from);
    let mut line = String::new();
    while from.read_line(&mut line).await? > 0 {
        let us = monotonic_us();
        to.write_all(line.as_bytes()).await?;
        if let Ok(value) = serde_json::from_str(&line)
            && let Some(seen) = note(us, &value)
        {
            notes.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
        }
        line.clear();
    }
    Ok(())
}

/// Parameter 8 of `mining.notify`: clean_jobs.
fn new_block(us: u64, line: &Value) -> Option<Seen> {
    let clean = line["method"] == "mining.notify" && line["params"][8] == true;
    clean.then_some(Seen::NewBlock { us })
}

/// Parameter 4 of `mining.submit`: the nonce, eight hex digits.
fn share(us: u64, line: &Value) -> Option<Seen> {
    let nonce = line["params"][4].as_str().filter(|_| line["method"] == "mining.submit")?;
    Some(Seen::Share { us, nonce: nonce.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_pass_unchanged_and_only_new_blocks_and_shares_are_noted() {
        let pool = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let tap = Tap::start(pool.local_addr().unwrap()).await.unwrap();
        let mut miner = TcpStream::connect(tap.address()).await.unwrap();
        let (mut pool, _) = pool.accept().await.unwrap();
        let said = [
            r#"{"id":null,"method":"mining.notify","params":["1","00","","",[],"20000000","1d00ffff","65000000",false]}"#,
            r#"{"id":null,"method":"mining.notify","params":["2","00","","",[],"20000000","1d00ffff","65000000",true]}"#,
            "no JSON",
        ]
        .join("\n")
            + "\n";
        pool.write_all(said.as_bytes()).await.unwrap();
        let mut heard = vec![0; said.len()];
        tokio::io::AsyncReadExt::read_exact(&mut miner, &mut heard).await.unwrap();
        assert_eq!(String::from_utf8(heard).unwrap(), said);
        let share =
            r#"{"id":4,"method":"mining.submit","params":["w","2","00","65000000","0123abcd","00002000"]}"#;
        miner.write_all(format!("{share}\n").as_bytes()).await.unwrap();
        let mut line = String::new();
        BufReader::new(&mut pool).read_line(&mut line).await.unwrap();
        assert_eq!(line.trim_end(), share);
        drop(miner);
        // The tap closes the pool's side when it is done with the miner's lines, and has noted them by then.
        assert_eq!(tokio::io::AsyncReadExt::read(&mut pool, &mut [0; 1]).await.unwrap(), 0);
        let seen = tap.take();
        assert!(
            matches!(&seen[..], [Seen::NewBlock { us: block }, Seen::Share { us, nonce }] if nonce == "0123abcd" && us >= block),
            "{seen:?}"
        );
    }
}
