//! Against adit-pool, which shares no code with the miner and checks every share in full.

mod common;

use std::time::Duration;

use adit_pool::{Config, Difficulty, Fault, Pool};
use common::{Driver, Unit, until};

#[tokio::test]
async fn a_strict_pool_accepts_every_share_through_changes_and_faults() {
    let config = Config {
        difficulty: Difficulty::new(1e-7).unwrap(),
        job_interval: Duration::from_secs(1),
        ..Config::default()
    };
    let pool = Pool::start(config).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let _driver = Driver::start(folder.path());
    let unit = Unit::configured(folder, pool.address().port());
    let accepted = async |more: u64| {
        let goal = pool.state().shares_accepted + more;
        until("accepted shares", async || pool.state().shares_accepted >= goal).await;
    };

    accepted(10).await;
    pool.new_block().await.unwrap();
    accepted(5).await;
    pool.set_difficulty(Difficulty::new(2e-7).unwrap());
    accepted(5).await;
    pool.fault(Fault::VersionMask(0x0000_e000));
    accepted(5).await;
    pool.fault(Fault::SetExtranonce { extranonce2_size: Some(8) });
    accepted(5).await;
    pool.fault(Fault::Garbage { count: 20 });
    pool.fault(Fault::BadJob { count: 3 });
    pool.fault(Fault::Ping);
    accepted(5).await;
    pool.fault(Fault::LongLine { bytes: 100_000 });
    accepted(5).await;
    pool.fault(Fault::NoConfigure(true));
    pool.fault(Fault::DropConnections);
    accepted(5).await;
    pool.fault(Fault::Reject { count: 2 });
    until("rejected shares", async || unit.status().await.shares_rejected == 2).await;
    accepted(5).await;

    let state = pool.state();
    assert_eq!((state.shares_rejected, state.rejected.on_purpose), (2, 2), "{:?}", state.rejected);
    assert_eq!(state.bad_lines, 0);
    assert!(state.pongs >= 1);
    assert!(state.user_agents.iter().all(|agent| agent.starts_with("adit/")), "{:?}", state.user_agents);
    assert_eq!(unit.status().await.nonces_invalid, 0);
    unit.stop().await;
    pool.shutdown().await;
}
