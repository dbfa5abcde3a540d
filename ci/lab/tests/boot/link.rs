//! The network cable.

use std::time::Duration;

use adit_lab::{qemu::Said, site::Rig, truth};
use adit_simulator::Event as Truth;

use crate::support::{BOOT, accepted_more, mining_unit, release};

/// The cursor behind the first line from `cursor` on that has `text` in it.
async fn says(rig: &Rig, cursor: usize, text: &str) -> usize {
    let found = |said: &Said| said.line.contains(text).then_some(());
    let ((), cursor) = rig.unit.wait_from(cursor, BOOT, text, found).await.unwrap();
    cursor
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_comes_by_dhcp_and_a_pulled_cable_costs_only_the_time_without_it() {
    let (_disk, backend, rig) = mining_unit(release()).await;
    // What QEMU's own DHCP server gives.
    let cursor = says(&rig, 0, "address 10.0.2.15/24").await;
    let (before, cursor) = accepted_more(&rig, cursor, 0).await;
    let unplugged = truth::newest(&rig.simulator);
    rig.cable(false).await.unwrap();
    let cursor = says(&rig, cursor, "link down").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    rig.cable(true).await.unwrap();
    let cursor = says(&rig, cursor, "link up").await;
    let cursor = says(&rig, cursor, "address 10.0.2.15/24").await;
    accepted_more(&rig, cursor, before).await;
    let cut = truth::events(&rig.simulator, unplugged)
        .unwrap()
        .into_iter()
        .find(|record| matches!(record.event, Truth::Rail { on: false }));
    assert!(cut.is_none(), "a lost network cycled the rail");
    rig.stop().await;
    backend.stop().await;
}
