//! A pool server that strangers wrote, on a node that strangers wrote.

use std::time::{Duration, Instant};

use adit_lab::{console::Event, prepare, site::unit_config};
use adit_pool::{Datum, Node};

use crate::support::{Disk, release};

/// A share of difficulty 1 takes 2^32 hashes on average: two minutes at 33 MH/s. At a quarter of that rate this is enough for all but one run in a thousand.
const PATIENCE: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes of hashing: scripts/test --long"]
async fn datum_gateway_accepts_a_share_of_difficulty_1_and_its_node_the_block() {
    let images = release();
    let chroot = prepare::node().unwrap();
    let node = Node::start(&chroot).await.unwrap();
    // datum_gateway 0.5.1 writes heights up to 16 otherwise than the chain wants them (BIP 34 by OP_1 to OP_16): its blocks there are refused.
    node.rpc().generate(20).await.unwrap();
    let datum = Datum::start(&chroot, &node).await.unwrap();
    let height = node.rpc().block_count().await.unwrap();
    let user = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4.unit";
    let disk = Disk::fresh(images, Some(&unit_config(datum.address().port(), user)));
    let rig = disk.boot_in_a_hurry(images);
    let (rejected, _) = rig
        .unit
        .wait_event(0, PATIENCE, "an accepted share of difficulty 1", |event| match event {
            Event::Hashing { accepted: 1.., rejected, .. } => Some(*rejected),
            _ => None,
        })
        .await
        .unwrap_or_else(|error| panic!("{error:#}\n{}", datum.said()));
    assert_eq!(rejected, 0, "{}", datum.said());
    // On this chain every such share is a block.
    let deadline = Instant::now() + Duration::from_secs(30);
    while node.rpc().block_count().await.unwrap() == height {
        assert!(Instant::now() < deadline, "no block; datum_gateway: {}", datum.said());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    rig.stop().await;
    drop(datum);
    node.stop().await;
}
