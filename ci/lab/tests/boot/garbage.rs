//! Nonsense from both sides at once: from the chips' wire and from the pool.

use std::{collections::BTreeMap, time::Duration};

use adit_lab::qemu::Said;
use adit_pool::Fault as PoolFault;
use adit_simulator::Fault as ChipFault;

use crate::support::{BOOT, accepted_more, mining_unit, release};

/// What a unit says once of each kind of nonsense, and counts from then on.
const ONCE: [&str; 2] = ["further ones are only counted", "more of this kind are only counted"];

fn complaint(said: &Said) -> Option<String> {
    ONCE.iter().any(|once| said.line.contains(once)).then(|| said.line.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn corrupt_answers_and_lines_that_are_no_json_are_said_once_a_kind_and_survived() {
    let (_disk, backend, rig) = mining_unit(release()).await;
    let (before, cursor) = accepted_more(&rig, 0, 0).await;

    backend.pool.fault(PoolFault::Garbage { count: 20 });
    backend.pool.fault(PoolFault::BadJob { count: 24 });
    let says = async |text: &str| {
        let found = |said: &Said| said.line.contains(text).then_some(());
        rig.unit.wait_from(cursor, BOOT, text, found).await.unwrap();
    };
    for text in ["line is not JSON", "mining.notify: "] {
        says(text).await;
    }
    // One after the other: an answer with an inverted bit would take the wrong nonce in it along unseen.
    rig.simulator.fault(ChipFault::GarbageBytes(300));
    rig.simulator.fault(ChipFault::FlipResponseBits(6));
    says("corrupt or impossible reply").await;
    rig.simulator.fault(ChipFault::FlipResponseBits(0));
    rig.simulator.fault(ChipFault::WrongNonces(6));
    says("lacks the ticket's zero bits").await;
    // A line without an end costs the connection, and nothing more.
    backend.pool.fault(PoolFault::LongLine { bytes: 1 << 20 });
    says("line longer than 64 KiB").await;
    let (_, cursor) = accepted_more(&rig, cursor, before).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = backend.pool.state().shares_accepted;
    accepted_more(&rig, cursor, after).await;

    let mut kinds = BTreeMap::<String, usize>::new();
    for line in rig.unit.said_since(0).0.iter().filter_map(complaint) {
        *kinds.entry(line).or_default() += 1;
    }
    assert!(kinds.values().all(|&times| times == 1), "{kinds:#?}");
    assert_eq!(backend.pool.state().shares_rejected, 0, "{:?}", backend.pool.state());
    rig.stop().await;
    backend.stop().await;
}
