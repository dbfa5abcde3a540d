//! adit-pool: the test pool as a program of its own. Contract: `docs/test-pool.md`.

use std::net::SocketAddr;
use std::path::PathBuf;

use adit_pool::{Config, Difficulty, Node, Pool, Rpc};
use anyhow::Context;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// A small strict Stratum V1 pool for tests.
///
/// Hands out work from a Bitcoin node's template, checks every share in full and gives blocks to the node. Without a node the
/// templates are made up and no block can be found. Not for strangers: no accounts, no payout, no encryption.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where miners connect; port 0 takes a free one, which the first log line names
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3333")]
    listen: SocketAddr,

    /// Unix socket for orders and questions, one JSON object a line (docs/test-pool.md)
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,

    /// A node that is running already, such as http://127.0.0.1:18443
    #[arg(long, value_name = "URL", requires = "cookie")]
    node: Option<String>,

    /// That node's cookie file (in its data folder: regtest/.cookie)
    #[arg(long, value_name = "FILE", requires = "node")]
    cookie: Option<PathBuf>,

    /// Start a private regtest node in this chroot, made by ci/node/prepare; it ends with the pool
    #[arg(long, value_name = "CHROOT", conflicts_with = "node")]
    start_node: Option<PathBuf>,

    /// Share difficulty, may be a fraction; 1 costs 2^32 hashes on average
    #[arg(long, value_name = "D", default_value = "0.0005")]
    difficulty: Difficulty,

    /// Hand a share to the node only from this difficulty on: regtest's own target is met by every second hash
    #[arg(long, value_name = "D", default_value = "0.01")]
    block_difficulty: Difficulty,

    /// Bytes that a miner may count in: 4 or 8
    #[arg(long, value_name = "BYTES", default_value_t = 4)]
    extranonce2_size: usize,

    /// Say more: every share and job
    #[arg(short, long)]
    verbose: bool,
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let arguments = Arguments::parse();
    let level = if arguments.verbose { tracing::Level::DEBUG } else { tracing::Level::INFO };
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .without_time()
        .with_ansi(false)
        .with_max_level(level)
        .init();
    match run(arguments).await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("adit-pool: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("signal handler")?;
    let node = match &arguments.start_node {
        Some(chroot) => Some(Node::start(chroot).await?),
        None => None,
    };
    let existing = arguments.node.zip(arguments.cookie).map(|(url, cookie)| Rpc::new(url, cookie));
    let pool = Pool::start(Config {
        listen: arguments.listen,
        control: arguments.control,
        node: node.as_ref().map(|node| node.rpc().clone()).or(existing),
        difficulty: arguments.difficulty,
        block_difficulty: arguments.block_difficulty,
        extranonce2_size: arguments.extranonce2_size,
        ..Config::default()
    })
    .await?;
    tokio::select! {
        () = pool.stopped() => {}
        result = tokio::signal::ctrl_c() => result.context("signal handler")?,
        _ = terminate.recv() => {}
    }
    pool.shutdown().await;
    if let Some(node) = node {
        node.stop().await;
    }
    Ok(())
}
