//! Against a real Bitcoin node. Runs when `ADIT_NODE_CHROOT` names a chroot made by `ci/node/prepare`:
//! `ADIT_NODE_CHROOT=… cargo test -p adit-pool --test node -- --ignored`.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use adit_pool::{Config, Error, Node, NodeState, Rpc};
use common::{EASY, Running, difficulty};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

fn chroot() -> PathBuf {
    PathBuf::from(std::env::var_os("ADIT_NODE_CHROOT").expect("ADIT_NODE_CHROOT names the chroot"))
}

struct WithNode {
    node: Node,
    runtime: Runtime,
}

impl WithNode {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let node = runtime.block_on(Node::start(&chroot())).unwrap();
        Self { node, runtime }
    }

    fn call(&self, method: &'static str, params: Value) -> Value {
        self.runtime.block_on(self.node.rpc().call(method, params)).unwrap()
    }

    fn pool(&self, block_difficulty: f64) -> Running {
        let running = Running::start(Config {
            node: Some(self.node.rpc().clone()),
            difficulty: difficulty(EASY),
            block_difficulty: difficulty(block_difficulty),
            ..Config::default()
        });
        running.wait("the first job", |state| state.jobs > 0);
        running
    }
}

#[test]
#[ignore = "needs ADIT_NODE_CHROOT"]
fn a_share_becomes_a_block_that_the_node_accepts_with_the_transactions_of_its_mempool() {
    let with = WithNode::start();
    let ids = with.runtime.block_on(with.node.rpc().fill_mempool(5)).unwrap();
    assert_eq!(ids.len(), 5);
    let height = with.call("getblockcount", json!([])).as_u64().unwrap();
    let running = with.pool(EASY);
    assert_eq!(running.pool.state().transactions, 5);

    let mut miner = running.miner();
    let job = miner.jobs[0].clone();
    assert_eq!(job.branches.len(), 3);
    let share = miner.mine(&job);
    assert_eq!(miner.submit(&share), 0);
    let state = running.wait("a block", |state| state.blocks_accepted == 1);
    assert_eq!(with.call("getblockcount", json!([])), height + 1);
    assert_eq!((state.blocks_refused, state.node), (0, NodeState::Connected));

    let hash = with.call("getbestblockhash", json!([]));
    assert_eq!(Some(hash.as_str().unwrap()), state.last_block.as_deref());
    let block = with.call("getblock", json!([hash]));
    let in_block = block["tx"].as_array().unwrap();
    assert_eq!(in_block.len(), 6);
    assert!(ids.iter().all(|id| in_block.contains(&json!(id))), "{ids:?} in {in_block:?}");
    assert_eq!(with.call("getrawmempool", json!([])), json!([]));

    // The block brings a clean job on top of it, and that makes the next block.
    let next = miner.next_job();
    assert!(next.clean);
    let mut displayed = next.previous.clone();
    displayed.reverse();
    assert_eq!(hex::encode(displayed), hash.as_str().unwrap());
    let stale = miner.mine(&job);
    assert_eq!(miner.submit(&stale), 21);
    let share = miner.mine(&next);
    assert_eq!(miner.submit(&share), 0);
    running.wait("a second block", |state| state.blocks_accepted == 2);
    assert_eq!(with.call("getblockcount", json!([])), height + 2);
    with.runtime.block_on(with.node.stop());
}

#[test]
#[ignore = "needs ADIT_NODE_CHROOT"]
fn only_shares_of_the_block_difficulty_are_handed_over() {
    let with = WithNode::start();
    let running = with.pool(EASY * 20.0);
    let mut miner = running.miner();
    let job = miner.jobs[0].clone();
    for _ in 0..3 {
        let share = miner.mine_for(&job, EASY * 1.001, EASY * 19.9);
        assert_eq!(miner.submit(&share), 0);
    }
    let share = miner.mine_for(&job, EASY * 20.1, f64::INFINITY);
    assert_eq!(miner.submit(&share), 0);
    let state = running.wait("a block", |state| state.blocks_accepted == 1);
    assert_eq!((state.shares_accepted, state.blocks_refused, state.blocks_late), (4, 0, 0));
    assert_eq!(with.call("getblockcount", json!([])), 2);
}

#[test]
#[ignore = "needs ADIT_NODE_CHROOT"]
fn two_good_shares_at_once_make_one_block() {
    let with = WithNode::start();
    let running = with.pool(EASY);
    let mut miner = running.miner();
    let job = miner.jobs[0].clone();
    let (first, second) = (miner.mine(&job), miner.mine(&job));
    let line = |id: u32, params: &Value| {
        format!("{}\n", json!({"id": id, "method": "mining.submit", "params": params}))
    };
    miner.send(&(line(100, &first) + &line(101, &second)));
    let state = running.wait("two verdicts", |state| {
        state.shares_accepted + state.shares_rejected == 2 && state.blocks_accepted == 1
    });
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(state.blocks_refused, 0);
    assert_eq!(with.call("getblockcount", json!([])), 2);
}

#[test]
#[ignore = "needs ADIT_NODE_CHROOT"]
fn a_block_from_elsewhere_brings_a_clean_job() {
    let with = WithNode::start();
    let running = with.pool(1.0);
    let mut miner = running.miner();
    let old = miner.jobs[0].clone();
    running.runtime.block_on(running.pool.new_block()).unwrap();
    let new = miner.next_job();
    assert!(new.clean && new.previous != old.previous);
    // And without being told, within a poll or two.
    with.runtime.block_on(with.node.rpc().generate(1)).unwrap();
    assert!(miner.next_job().clean);
}

#[test]
#[ignore = "needs ADIT_NODE_CHROOT"]
fn a_dead_node_is_noticed_and_miners_stay() {
    let with = WithNode::start();
    let running = with.pool(EASY);
    let mut miner = running.miner();
    let job = miner.jobs[0].clone();
    let pid = with.node.pid();
    with.runtime.block_on(with.node.stop());
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    running.wait("the loss", |state| state.node == NodeState::Lost);
    let share = miner.mine(&job);
    assert_eq!(miner.submit(&share), 0);
    let state = running.wait("a block that nobody takes", |state| state.blocks_refused == 1);
    assert_eq!((state.connections, state.blocks_accepted), (1, 0));
}

#[test]
#[ignore = "needs ADIT_NODE_CHROOT"]
fn a_dropped_node_is_gone_with_its_folder() {
    let with = WithNode::start();
    let pid = with.node.pid();
    let folder = with.node.cookie().parent().unwrap().parent().unwrap().to_owned();
    assert!(folder.exists());
    drop(with);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert!(!folder.exists());
}

/// The process that `kill -9` ends has no chance to tidy up.
#[test]
#[ignore = "needs ADIT_NODE_CHROOT"]
fn a_node_does_not_outlive_a_killed_owner_and_the_next_start_removes_its_folder() {
    let mut owner = Command::new(env!("CARGO_BIN_EXE_adit-pool"))
        .args(["--listen", "127.0.0.1:0", "--start-node"])
        .arg(chroot())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(owner.stderr.take().unwrap()).lines().map(Result::unwrap);
    let started = log.find(|line| line.contains("bitcoind started")).unwrap();
    let pid = started.split_once("pid=").unwrap().1.split(' ').next().unwrap();
    log.find(|line| line.contains("listening")).unwrap();
    let process = PathBuf::from(format!("/proc/{pid}"));
    assert!(process.exists());
    owner.kill().unwrap();
    owner.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while process.exists() {
        assert!(Instant::now() < deadline, "bitcoind {pid} lives on");
        std::thread::sleep(Duration::from_millis(20));
    }
    let left = || {
        let prefix = format!("adit-node-{}-", owner.id());
        let mut entries =
            std::fs::read_dir(chroot().join("tmp")).unwrap().map(|entry| entry.unwrap().file_name());
        entries.any(|name| name.to_str().unwrap().starts_with(&prefix))
    };
    // Another test may have started a node, and so tidied up, meanwhile.
    drop(WithNode::start());
    assert!(!left());
}

#[test]
fn a_folder_without_a_node_is_refused_with_the_way_to_make_one() {
    let folder = tempfile::TempDir::new().unwrap();
    let error = Runtime::new().unwrap().block_on(Node::start(folder.path())).unwrap_err();
    assert!(matches!(error, Error::NoChroot(_)));
    assert!(error.to_string().contains("ci/node/prepare"), "{error}");
}

#[test]
fn a_pool_starts_before_its_node_does() {
    let folder = tempfile::TempDir::new().unwrap();
    let rpc = Rpc::new("http://127.0.0.1:9", folder.path().join("cookie"));
    let running = Running::start(Config { node: Some(rpc), ..Config::default() });
    running.wait("the loss", |state| state.node == NodeState::Lost);
    let mut miner = common::Miner::connect(running.pool.address());
    assert_eq!(miner.request("mining.subscribe", json!([]))["result"][2], 4);
    assert!(miner.quiet_for(Duration::from_millis(200)), "no template, no job");
}
