//! From power-on to a block that a Bitcoin node accepts.

use std::time::{Duration, Instant};

use adit_lab::{
    console::Event,
    prepare,
    site::{Backend, Effort, SOLO_ADDRESS},
};
use adit_pool::{Fault, Node};

use crate::support::{BOOT, Disk, release};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_found_by_the_unit_is_accepted_by_the_node_through_a_pool_and_without_one() {
    let images = release();
    let chroot = prepare::node().unwrap();
    let backend = Backend::start(Some(&chroot), Effort::default(), None).await.unwrap();
    let node = backend.node.as_ref().unwrap();
    let height = node.rpc().block_count().await.unwrap();
    // The pool first, the node itself second.
    let solo = backend.solo_config().unwrap();
    let (_, second) = solo.split_once("[[pool]]").unwrap();
    let config = format!("{}\n[[pool]]{second}", backend.unit_config());
    let disk = Disk::fresh(images, Some(&config));
    let rig = disk.boot(images);
    let (said, cursor) = rig
        .unit
        .wait_event(0, BOOT * 2, "an accepted share in the unit's own count", |event| match event {
            Event::Hashing { mhs, accepted: 1.., rejected, .. } => Some((*mhs, *rejected)),
            _ => None,
        })
        .await
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(180);
    while backend.pool.state().blocks_accepted == 0 {
        assert!(Instant::now() < deadline, "no block: {:?}\n{}", backend.pool.state(), rig.unit.tail(20));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let state = backend.pool.state();
    assert!(node.rpc().block_count().await.unwrap() > height);
    let best = node.rpc().call("getbestblockhash", serde_json::json!([])).await.unwrap();
    assert_eq!(best.as_str(), state.last_block.as_deref());
    // A share that is on its way when a block comes is stale: nobody's fault.
    let wrong = state.shares_rejected - state.rejected.stale;
    assert_eq!((said.1, wrong, state.blocks_refused), (0, 0, 0), "{state:?}");
    assert!(said.0 > 0.5, "the unit's own hash rate is {} MH/s", said.0);

    backend.pool.fault(Fault::Refuse(true));
    backend.pool.fault(Fault::DropConnections);
    let deadline = Instant::now() + Duration::from_secs(180);
    while !best_block_pays(node, SOLO_ADDRESS).await {
        assert!(Instant::now() < deadline, "no block without the pool\n{}", rig.unit.tail(20));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    rig.unit
        .wait_event(cursor, BOOT, "the unit's own word of it", |event| match event {
            Event::Block(at) if at["answer"] == "accepted" => Some(()),
            _ => None,
        })
        .await
        .unwrap();
    rig.stop().await;
    backend.stop().await;
}

async fn best_block_pays(node: &Node, address: &str) -> bool {
    let best = node.rpc().call("getbestblockhash", serde_json::json!([])).await.unwrap();
    let block = node.rpc().call("getblock", serde_json::json!([best, 2])).await.unwrap();
    block["tx"][0]["vout"][0]["scriptPubKey"]["address"] == address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_configuration_is_refused_with_its_line_and_nothing_is_hashed() {
    let images = release();
    // adit-image refuses such a file; here it reaches the card behind its back.
    let config = "version = 1\n\n[[pool]]\nurl = \"stratum+tcp://pool.example.com\"\nuser = \"u\"\n";
    let disk = Disk::fresh(images, Some(config));
    let rig = disk.boot(images);
    let (complaint, cursor) = rig
        .unit
        .wait_event(0, BOOT, "a complaint about adit.toml", |event| match event {
            Event::Complaint(line) if line.contains("adit.toml:4") => Some(line.clone()),
            _ => None,
        })
        .await
        .unwrap();
    assert!(complaint.contains("write stratum+tcp://"), "{complaint}");
    rig.unit
        .wait_event(0, BOOT, "ready", |event| match event {
            Event::Timeline { event, .. } if event == "ready" => Some(()),
            _ => None,
        })
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (said, _) = rig.unit.said_since(cursor);
    assert_eq!(rig.simulator.state().chain.jobs, 0, "{said:?}");
    rig.stop().await;
}
