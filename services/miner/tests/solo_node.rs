//! Without a pool, at a real node. Runs when `ADIT_NODE_CHROOT` names a chroot made by `ci/node/prepare`:
//! `ADIT_NODE_CHROOT=… cargo test -p adit-miner --test solo_node -- --ignored`.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod common;
#[path = "common/nodes.rs"]
mod nodes;

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use adit_pool::RPC_ACCOUNT;
use common::{Driver, Unit, until};
use nodes::{ADDRESS, MAIN_ADDRESS, Program, Way, call, config, height, port, real_node, table};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ADIT_NODE_CHROOT"]
async fn a_node_takes_every_block_of_a_unit_and_pays_its_address() {
    let node = real_node().await;
    node.rpc().generate(120).await.unwrap();
    let ids = node.rpc().fill_mempool(7).await.unwrap();
    let before = height(&node).await;
    let folder = tempfile::tempdir().unwrap();
    let driver = Driver::start(folder.path());
    let unit = Unit::start(folder, Some(&config(&[port(&node)])));
    until("blocks", async || height(&node).await >= before + 20).await;
    driver.told.lock().unwrap().quiet = true;
    let status = unit.status().await;
    assert_eq!(status.pool, node.url());
    assert_eq!((status.state.as_str(), status.shares_rejected, status.nonces_invalid), ("hashing", 0, 0));
    assert!(status.blocks_accepted >= 19 && status.blocks_accepted == status.shares_accepted, "{status:?}");

    let first = call(&node, "getblockhash", json!([before + 1])).await;
    let first = call(&node, "getblock", json!([first, 2])).await;
    let transactions = first["tx"].as_array().unwrap();
    assert_eq!(transactions.len(), ids.len() + 1);
    assert_eq!(transactions[0]["vout"][0]["scriptPubKey"]["address"], ADDRESS);
    // Rolled version bits: those of the test's chips.
    assert_eq!(first["version"], 0x2000_4000);
    unit.stop().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ADIT_NODE_CHROOT"]
async fn a_block_from_elsewhere_replaces_the_work_at_once() {
    let node = real_node().await;
    let folder = tempfile::tempdir().unwrap();
    let driver = Driver::start(folder.path());
    driver.told.lock().unwrap().quiet = true;
    let unit = Unit::start(folder, Some(&config(&[port(&node)])));
    let newest = || driver.works().last().map(|work| work.prev_hash);
    until("work", async || newest().is_some()).await;
    let mut slowest = Duration::ZERO;
    for _ in 0..10 {
        let tip = node.rpc().generate(1).await.unwrap().remove(0);
        let told = Instant::now();
        let mut tip = hex::decode(tip).unwrap();
        tip.reverse();
        until("work on the new block", async || newest().is_some_and(|prev_hash| prev_hash[..] == tip)).await;
        slowest = slowest.max(told.elapsed());
    }
    println!("from the node's own knowledge of a block to work on it: at most {} ms", slowest.as_millis());
    // Far below the 30 s after which a template is asked for anyway: the long poll brought them.
    assert!(slowest < Duration::from_secs(10), "{slowest:?}");
    assert_eq!(unit.status().await.generation, 11, "one for the first block, one for each new one");
    unit.stop().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ADIT_NODE_CHROOT"]
async fn a_lost_node_is_replaced_and_a_restarted_one_gets_its_unit_back() {
    let (best, second) = (real_node().await, real_node().await);
    // Both on one chain; from here on the second hears of blocks from the unit only.
    let first = call(&best, "getblock", json!([call(&best, "getblockhash", json!([1])).await, 0])).await;
    call(&second, "invalidateblock", json!([call(&second, "getblockhash", json!([1])).await])).await;
    call(&second, "submitblock", json!([first])).await;
    call(&second, "reconsiderblock", json!([call(&best, "getblockhash", json!([1])).await])).await;
    assert_eq!(height(&second).await, 1);
    let way = Way::to(Some(port(&best))).await;
    let folder = tempfile::tempdir().unwrap();
    let driver = Driver::start(folder.path());
    let unit = Unit::start(folder, Some(&config(&[way.port, port(&second)])));
    until("blocks at the best", async || height(&best).await > 5).await;
    until("the same blocks at the second", async || height(&second).await > 5).await;

    way.lead(None);
    best.stop().await;
    let (lost, before) = (Instant::now(), height(&second).await);
    until("blocks at the second", async || height(&second).await > before + 5).await;
    assert!(lost.elapsed() < Duration::from_secs(10), "{:?}", lost.elapsed());
    assert!(driver.told.lock().unwrap().idle.is_empty(), "the chips never idled");

    // Another process, the beginning of another chain, the same place and account.
    let restarted = real_node().await;
    way.lead(Some(port(&restarted)));
    until("blocks at the restarted one", async || height(&restarted).await > 5).await;
    until("the status", async || unit.status().await.pool == format!("http://127.0.0.1:{}", way.port)).await;
    unit.stop().await;
    second.stop().await;
    restarted.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ADIT_NODE_CHROOT"]
async fn a_wrong_password_and_a_wrong_chain_are_told_and_nothing_is_hashed() {
    let node = real_node().await;
    for (password, address, reason) in [
        ("wrong", ADDRESS, "the node refuses user or password (HTTP 401)".to_owned()),
        (
            RPC_ACCOUNT.1,
            MAIN_ADDRESS,
            format!("the node is on chain regtest, the address {MAIN_ADDRESS} is for main"),
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let driver = Driver::start(folder.path());
        let text = format!("version = 1\n{}", table(port(&node), password, address));
        let unit = Unit::start(folder, Some(&text));
        until("the reason", async || unit.status().await.reason == reason).await;
        assert_eq!(unit.status().await.state, "connecting");
        assert!(driver.works().is_empty());
        unit.stop().await;
    }
    node.stop().await;
}

/// The program itself, with two ways to one node: whichever hears of a block second has it already.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ADIT_NODE_CHROOT"]
async fn a_block_goes_to_all_nodes_and_the_console_says_what_each_made_of_it() {
    let node = real_node().await;
    let away = Way::to(None).await;
    let way = Way::to(Some(port(&node))).await;
    let folder = tempfile::tempdir().unwrap();
    let driver = Driver::start(folder.path());
    let ports = [port(&node), way.port, away.port];
    let miner = Program::start(folder.path(), &config(&ports), Stdio::piped());
    // More than may be under way while the third node says nothing.
    until("blocks", async || height(&node).await >= 60).await;
    driver.told.lock().unwrap().quiet = true;
    let console = miner.end();
    let said = |port: u16, answer: &str| {
        let line = format!("INFO adit_miner: block url=http://127.0.0.1:{port} height=");
        console.lines().filter(|said| said.contains(&line) && said.contains(answer)).count()
    };
    let own = port(&node);
    for (port, other) in [(own, way.port), (way.port, own)] {
        assert!(
            said(port, "answer=\"accepted\"") + said(port, "answer=\"duplicate\"") >= 50,
            "{other}: {console}"
        );
    }
    assert!(said(own, "accepted") + said(way.port, "accepted") >= 55, "{console}");
    assert!(console.contains(&format!("INFO adit_miner: pool url=http://127.0.0.1:{own} state=active")));
    assert!(!console.contains(RPC_ACCOUNT.1), "{console}");
    // There is no adit-init that passes a socket for the status.
    let warnings: Vec<_> = console.lines().filter(|line| !line.starts_with(" INFO")).collect();
    assert!(matches!(warnings.as_slice(), [one] if one.contains("miner.status")), "{warnings:?}");
    node.stop().await;
}
