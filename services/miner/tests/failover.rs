//! Two pools that share no code with the miner and check every share in full: whatever one of them does, the unit earns, and nothing of the one gets to the other.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod common;

use std::time::{Duration, Instant};

use adit_miner::pool_link::{LinkEvent, PoolLink};
use adit_pool::{Config, Difficulty, Fault, Handle, Pool, State};
use adit_stratum::v1::Event;
use common::{Driver, ScriptedPool, Unit, until};
use tokio::time::sleep;

const BEST: &str = "someone.best";
const SECOND: &str = "other.second";

/// Two pools that differ in all that belongs to a connection, and a unit that prefers the first.
struct House {
    best: Handle,
    second: Handle,
    driver: Driver,
    unit: Unit,
}

impl House {
    /// `fault`: what is wrong with the better pool from the start.
    async fn start(fault: Option<Fault>) -> Self {
        let pool = |difficulty, extranonce2_size| {
            Pool::start(Config {
                difficulty: Difficulty::new(difficulty).unwrap(),
                extranonce2_size,
                job_interval: Duration::from_secs(1),
                ..Config::default()
            })
        };
        let (best, second) = (pool(4e-7, 4).await.unwrap(), pool(1e-7, 8).await.unwrap());
        // The masks differ too: none at the second pool.
        second.fault(Fault::NoConfigure(true));
        if let Some(fault) = fault {
            best.fault(fault);
        }
        let folder = tempfile::tempdir().unwrap();
        let driver = Driver::start(folder.path());
        let pools = [(best.address().port(), BEST), (second.address().port(), SECOND)];
        let unit = Unit::with_pools(folder, &pools);
        Self { best, second, driver, unit }
    }

    async fn mines_at(&self, pool: &Handle) {
        let goal = pool.state().shares_accepted + 10;
        until("accepted shares", async || pool.state().shares_accepted >= goal).await;
        let status = self.unit.status().await;
        assert_eq!(status.state, "hashing");
        assert_eq!(status.pool, format!("stratum+tcp://{}", pool.address()));
        assert_eq!(status.difficulty, pool.state().difficulty);
    }

    /// No pool saw the other's account, or anything that was not for it. `refused`: on purpose, by the better one.
    async fn end(self, refused: u64) {
        let clean = |state: &State, user: &str, refused| {
            assert!(state.workers.iter().all(|worker| worker == user), "{:?}", state.workers);
            assert_eq!(
                (state.shares_rejected, state.rejected.on_purpose),
                (refused, refused),
                "{:?}",
                state.rejected
            );
            assert_eq!(state.bad_lines, 0);
        };
        self.unit.stop().await;
        clean(&self.best.state(), BEST, refused);
        clean(&self.second.state(), SECOND, 0);
    }
}

#[tokio::test]
async fn a_lost_pool_is_replaced_within_seconds_and_gets_its_miner_back() {
    let house = House::start(None).await;
    house.mines_at(&house.best).await;
    assert_eq!(house.second.state().connections, 0, "while the better one works the other hears nothing");

    house.best.fault(Fault::Refuse(true));
    house.best.fault(Fault::DropConnections);
    let lost = Instant::now();
    house.mines_at(&house.second).await;
    assert!(lost.elapsed() < Duration::from_secs(5), "{:?}", lost.elapsed());
    assert!(house.driver.told.lock().unwrap().idle.is_empty(), "the chips never idled");
    assert_eq!(house.driver.works().last().unwrap().version_mask, 0, "the mask was the lost pool's");

    house.best.fault(Fault::Refuse(false));
    house.mines_at(&house.best).await;
    assert_eq!(house.driver.works().last().unwrap().version_mask, 0x1fff_e000);
    until("the worse one is left", async || house.second.state().connections == 0).await;
    house.end(0).await;
}

#[tokio::test]
async fn a_pool_that_says_nothing_is_passed_over() {
    let house = House::start(Some(Fault::Silent(true))).await;
    let start = Instant::now();
    house.mines_at(&house.second).await;
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    house.end(0).await;
}

#[tokio::test]
async fn a_pool_that_stops_answering_is_left() {
    let house = House::start(None).await;
    house.mines_at(&house.best).await;
    house.best.fault(Fault::Silent(true));
    let silent = Instant::now();
    house.mines_at(&house.second).await;
    assert!(silent.elapsed() < Duration::from_secs(38), "{:?}", silent.elapsed());
    house.end(0).await;
}

#[tokio::test]
async fn a_pool_without_jobs_is_passed_over_until_its_first_job() {
    let house = House::start(Some(Fault::StopJobs(true))).await;
    house.mines_at(&house.second).await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(house.best.state().connections, 1, "being probed on a connection of its own");
    house.mines_at(&house.second).await;
    house.best.fault(Fault::StopJobs(false));
    house.mines_at(&house.best).await;
    house.end(0).await;
}

#[tokio::test]
async fn a_pool_that_refuses_every_share_is_left() {
    let house = House::start(None).await;
    house.mines_at(&house.best).await;
    (0..100).for_each(|_| house.best.fault(Fault::Reject { count: 1000 }));
    house.mines_at(&house.second).await;
    let refused = house.best.state().shares_rejected;
    assert!(refused >= 10, "{refused}");
    assert_eq!(house.best.state().connections, 0);
    house.end(refused).await;
}

#[tokio::test]
async fn jobs_that_cannot_be_mined_do_not_win_a_miner() {
    let best = ScriptedPool::start().await;
    let second = Pool::start(Config { difficulty: Difficulty::new(1e-7).unwrap(), ..Config::default() })
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let _driver = Driver::start(folder.path());
    let unit = Unit::with_pools(folder, &[(best.port(), BEST), (second.address().port(), SECOND)]);
    let mut conversation = best.welcome("aa").await;
    until("shares at the second pool", async || second.state().shares_accepted > 5).await;
    let zeros = "00".repeat(32);
    for _ in 0..5 {
        let line = format!(
            r#"{{"id":null,"method":"mining.notify","params":["1","{zeros}","00","00",[],"20000000","00000000","685468d7",true]}}"#
        );
        conversation.says(&line).await;
        let goal = second.state().shares_accepted + 5;
        until("shares at the second pool", async || second.state().shares_accepted >= goal).await;
    }
    assert_eq!(second.state().connections, 1);
    conversation.job("2", 1, true).await;
    until("the second pool is left", async || second.state().connections == 0).await;
    assert_eq!(second.state().shares_rejected, 0);
    unit.stop().await;
}

#[tokio::test]
async fn a_pool_that_never_stops_talking_does_not_get_around_the_time_outs() {
    let pool = ScriptedPool::start().await;
    let config = format!(
        "version = 1\n[[pool]]\nurl = \"stratum+tcp://127.0.0.1:{}\"\nuser = \"{BEST}\"\n",
        pool.port()
    );
    let config = adit_config::Config::parse(&config, "adit.toml").unwrap();
    let talking = tokio::spawn(async move {
        let mut conversation = pool.welcome("aa").await;
        let lines = "{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[1]}\n".repeat(200);
        loop {
            conversation.says_bytes(lines.as_bytes()).await;
        }
    });
    let mut link = PoolLink::new(&config.pools[0], tokio::time::Instant::now());
    link.open();
    while !matches!(link.next().await, LinkEvent::Pool(Event::Difficulty(_))) {}
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(31)).await;
    match link.next().await {
        LinkEvent::Lost { reason, .. } => assert_eq!(reason, "no job in 30 s"),
        other => panic!("{other:?}"),
    }
    talking.abort();
}
