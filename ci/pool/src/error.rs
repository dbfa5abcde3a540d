//! What can go wrong around the pool.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::template::BadTemplate;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen for miners on {address}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot open the control port {}", path.display())]
    Control { path: PathBuf, source: io::Error },
    #[error("the control port {} is in use by another pool", path.display())]
    ControlInUse { path: PathBuf },
    #[error("extranonce2 is 4 or 8 bytes long, not {0}")]
    ExtranonceSize(usize),
    #[error("node's cookie {}", path.display())]
    Cookie { path: PathBuf, source: io::Error },
    #[error("node at {url} does not answer {method}")]
    Unreachable { url: String, method: &'static str, source: reqwest::Error },
    #[error("node answers {method} with {code}: {message}")]
    Rpc { method: &'static str, code: i64, message: String },
    #[error("node's answer to {method}: {what}")]
    Reply { method: &'static str, what: String },
    #[error(transparent)]
    Template(#[from] BadTemplate),
    #[error("{} is no chroot with a Bitcoin node: usr/bin/bitcoind is missing (ci/node/prepare makes one)", .0.display())]
    NoChroot(PathBuf),
    #[error("cannot start {program}")]
    Start { program: &'static str, source: io::Error },
    #[error("{program} ended with {status}: {said}")]
    Ended { program: &'static str, status: String, said: String },
    #[error("{program} was not ready after {seconds} s: {said}")]
    NotReady { program: &'static str, seconds: u64, said: String },
    #[error("{wanted} coins are wanted, the chain has {found}")]
    Coins { wanted: usize, found: usize },
    #[error("the pool has ended")]
    PoolEnded,
}

/// An error with its causes in one line.
pub(crate) fn chain(error: &Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
