//! The whole miner in this process: real sockets, doors and hashes, a scripted pool, a fake driver.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod common;

use std::time::Duration;

use adit_work::{Header, frame::Nonce, merkle};
use common::{Driver, PATIENCE, ScriptedPool, Share, TICKET_BITS, Unit, until};
use tokio::time::{sleep, timeout};

const EASY: &str = r#"{"id":null,"method":"mining.set_difficulty","params":[1e-9]}"#;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// The share's hash from the job that [`common::Conversation::job`] announces, put together anew.
fn zeros(share: &Share, extranonce1: &str, block: u8) -> u32 {
    let bytes = |digits: &str| hex::decode(digits).unwrap();
    let word = |digits: &str| u32::from_str_radix(digits, 16).unwrap();
    let coinbase: [&[u8]; 4] = [&[1, 0], &bytes(extranonce1), &bytes(&share.extranonce2), &[2, 3]];
    let header = Header {
        version: 0x2000_0000 | share.version_bits.as_deref().map_or(0, word),
        prev_hash: [block; 32],
        merkle_root: merkle::root(&coinbase, &[]),
        ntime: word(&share.ntime),
        nbits: 0x207f_ffff,
        nonce: word(&share.nonce),
    };
    header.hash().leading_zero_bits()
}

#[tokio::test]
async fn shares_go_from_the_driver_to_the_pool_and_the_status_tells() {
    let (folder, pool) = (folder(), ScriptedPool::start().await);
    let driver = Driver::start(folder.path());
    let unit = Unit::configured(folder, pool.port());
    let mut conversation = pool.welcome("aabbccdd").await;
    conversation.says(EASY).await;
    conversation.job("1", 7, true).await;
    for _ in 0..20 {
        let share = conversation.share().await;
        assert_eq!((share.job.as_str(), share.version_bits.as_deref()), ("1", Some("00004000")));
        assert!(zeros(&share, "aabbccdd", 7) >= TICKET_BITS.into());
        conversation.accepts(&share).await;
    }
    until("20 shares are counted", async || unit.status().await.shares_accepted >= 20).await;
    let status = unit.status().await;
    assert_eq!((status.state.as_str(), status.reason.as_str()), ("hashing", ""));
    assert_eq!(status.pool, format!("stratum+tcp://127.0.0.1:{}", pool.port()));
    assert_eq!((status.difficulty, status.generation, status.nonces_invalid), (1e-9, 1, 0));
    assert!(status.mhs > 0.0 && status.best_difficulty > 0.0);

    let extranonces: std::collections::HashSet<_> =
        driver.works().iter().map(|work| work.merkle_root).collect();
    assert_eq!(extranonces.len(), driver.works().len(), "no two works are alike");
    unit.stop().await;
    while conversation.line().await.is_some() {}
}

#[tokio::test]
async fn a_new_block_reaches_the_driver_and_old_shares_stay_home() {
    let (folder, pool) = (folder(), ScriptedPool::start().await);
    let driver = Driver::start(folder.path());
    let unit = Unit::configured(folder, pool.port());
    let mut conversation = pool.welcome("00").await;
    conversation.says(EASY).await;
    conversation.job("1", 1, true).await;
    conversation.share().await;
    let old = driver.works()[0];
    conversation.job("2", 2, true).await;
    while conversation.share().await.job != "2" {}
    let before = unit.status().await.shares_stale;
    // A nonce of the first job that has not been seen: one further on.
    let first = common::search(&old);
    let late = (first.nonce + 1..)
        .map(|nonce| Nonce { nonce, ..first })
        .find(|nonce| {
            let header = Header {
                version: nonce.version,
                prev_hash: old.prev_hash,
                merkle_root: old.merkle_root,
                ntime: old.ntime,
                nbits: old.nbits,
                nonce: nonce.nonce,
            };
            header.hash().leading_zero_bits() >= TICKET_BITS.into()
        })
        .unwrap();
    driver.say(adit_work::frame::FromHardware::Nonce(late).encode().as_bytes());
    until("a stale share", async || unit.status().await.shares_stale > before).await;
    for _ in 0..5 {
        assert_eq!(conversation.share().await.job, "2");
    }
    assert_eq!(driver.works().iter().map(|work| work.generation).max(), Some(2));
    unit.stop().await;
}

#[tokio::test]
async fn nonsense_from_driver_and_pool_is_survived_and_counted() {
    let (folder, pool) = (folder(), ScriptedPool::start().await);
    let driver = Driver::start(folder.path());
    let unit = Unit::configured(folder, pool.port());
    let mut conversation = pool.welcome("00").await;
    conversation.says(EASY).await;
    conversation.job("1", 1, true).await;
    conversation.share().await;
    until("the ticket is known", async || unit.status().await.mhs > 0.0).await;

    let work = driver.works()[0];
    let good = common::search(&work);
    let wrong = Nonce { nonce: good.nonce ^ 0x8000_0000, ..good };
    for packet in [
        adit_work::frame::FromHardware::Nonce(wrong).encode().as_bytes(),
        adit_work::frame::FromHardware::Nonce(Nonce { sequence: 99_999, ..good }).encode().as_bytes(),
        adit_work::frame::FromHardware::Nonce(good).encode().as_bytes(),
        b"\x83\x01",
        b"rubbish",
        &[0; 200],
    ] {
        driver.say(packet);
    }
    for line in ["no json", "{}", "[]", r#"{"id":null,"method":"mining.notify","params":[1,2]}"#, "\u{1}"] {
        conversation.says(line).await;
    }
    conversation.says_bytes(b"\xff\xfe\xfd\n").await;
    until("an invalid nonce", async || unit.status().await.nonces_invalid == 1).await;
    for _ in 0..5 {
        assert_eq!(conversation.share().await.job, "1");
    }
    assert_eq!(driver.told.lock().unwrap().acquired, 1, "the path stayed open");
    unit.stop().await;
}

#[tokio::test]
async fn an_endless_line_ends_the_connection_and_mining_goes_on_over_the_next() {
    let (folder, pool) = (folder(), ScriptedPool::start().await);
    let _driver = Driver::start(folder.path());
    let unit = Unit::configured(folder, pool.port());
    let mut conversation = pool.welcome("00").await;
    conversation.says_bytes(&vec![b'x'; 100_000]).await;
    while conversation.line().await.is_some() {}
    until("the reason", async || unit.status().await.reason == "line longer than 64 KiB").await;

    let mut conversation = pool.welcome("01").await;
    conversation.says(EASY).await;
    conversation.job("1", 1, true).await;
    assert!(zeros(&conversation.share().await, "01", 1) >= TICKET_BITS.into());
    unit.stop().await;
}

#[tokio::test]
async fn nothing_of_a_lost_connection_gets_into_the_next() {
    let (folder, pool) = (folder(), ScriptedPool::start().await);
    let driver = Driver::start(folder.path());
    let unit = Unit::configured(folder, pool.port());
    let mut conversation = pool.welcome("aaaa").await;
    conversation.says(EASY).await;
    conversation.job("old", 1, true).await;
    conversation.share().await;
    drop(conversation);

    // This time the pool refuses version rolling and asks for a difficulty that is never met.
    let mut conversation = pool.accept().await;
    for method in ["mining.configure", "mining.subscribe", "mining.authorize"] {
        conversation.hears(method).await;
    }
    conversation.says(r#"{"id":1,"result":null,"error":[20,"Not supported",null]}"#).await;
    conversation.says(r#"{"id":2,"result":[[],"bbbb",4],"error":null}"#).await;
    conversation.says(r#"{"id":3,"result":true,"error":null}"#).await;
    conversation.hears("mining.extranonce.subscribe").await;
    let count = driver.works().len();
    conversation.job("new", 1, false).await;
    until("work", async || driver.works().len() > count + 5).await;
    let work = *driver.works().last().unwrap();
    assert_eq!((work.version_mask, work.version), (0, 0x2000_0000));
    conversation.says(EASY).await;
    conversation.job("easy", 1, true).await;
    let share = conversation.share().await;
    assert_eq!((share.job.as_str(), share.version_bits.as_deref()), ("easy", None));
    assert!(zeros(&share, "bbbb", 1) >= TICKET_BITS.into());
    unit.stop().await;
}

#[tokio::test]
async fn extranonce_and_version_mask_may_change_at_any_time() {
    let (folder, pool) = (folder(), ScriptedPool::start().await);
    let driver = Driver::start(folder.path());
    let unit = Unit::configured(folder, pool.port());
    let mut conversation = pool.welcome("aaaa").await;
    conversation.says(EASY).await;
    conversation.job("1", 1, true).await;
    conversation.share().await;

    conversation.says(r#"{"id":null,"method":"mining.set_extranonce","params":["cccccc",6]}"#).await;
    conversation.job("2", 1, true).await;
    let share = loop {
        let share = conversation.share().await;
        if share.job == "2" {
            break share;
        }
        assert_eq!(share.extranonce2.len(), 8);
    };
    assert_eq!(share.extranonce2.len(), 12);
    assert!(zeros(&share, "cccccc", 1) >= TICKET_BITS.into());

    conversation.says(r#"{"id":null,"method":"mining.set_version_mask","params":["00ff0000"]}"#).await;
    until("work with the new mask", async || driver.works().last().unwrap().version_mask == 0x00ff_0000)
        .await;
    loop {
        let share = conversation.share().await;
        assert_eq!(share.job, "2");
        if share.version_bits.as_deref() == Some("00000000") {
            assert!(zeros(&share, "cccccc", 1) >= TICKET_BITS.into());
            break;
        }
    }
    unit.stop().await;
}

#[tokio::test]
async fn a_restarted_driver_gets_the_present_job_again() {
    let (folder, pool) = (folder(), ScriptedPool::start().await);
    let doors = folder.path().to_owned();
    let driver = Driver::start(&doors);
    let unit = Unit::configured(folder, pool.port());
    let mut conversation = pool.welcome("00").await;
    conversation.says(EASY).await;
    conversation.job("1", 1, true).await;
    conversation.share().await;
    driver.kill();
    until("waiting", async || unit.status().await.state == "waiting").await;

    let driver = Driver::start(&doors);
    until("work", async || !driver.works().is_empty()).await;
    let first = driver.works()[0];
    assert_eq!((first.generation, first.sequence), (2, 1));
    assert_eq!(conversation.share().await.job, "1");
    until("hashing", async || unit.status().await.state == "hashing").await;
    unit.stop().await;
}

#[tokio::test]
async fn a_refused_share_is_counted_and_mining_goes_on() {
    let (folder, pool) = (folder(), ScriptedPool::start().await);
    let _driver = Driver::start(folder.path());
    let unit = Unit::configured(folder, pool.port());
    let mut conversation = pool.welcome("00").await;
    conversation.says(EASY).await;
    conversation.job("1", 1, true).await;
    let share = conversation.share().await;
    conversation
        .says(&format!(r#"{{"id":"{}","result":null,"error":[23,"Low difficulty",null]}}"#, share.id))
        .await;
    let share = conversation.share().await;
    conversation.accepts(&share).await;
    until("both are counted", async || {
        let status = unit.status().await;
        (status.shares_rejected, status.shares_accepted) == (1, 1)
    })
    .await;
    unit.stop().await;
}

#[tokio::test]
async fn a_pool_may_send_its_miner_to_another_port_but_not_to_another_host() {
    let (folder, pool, other) = (folder(), ScriptedPool::start().await, ScriptedPool::start().await);
    let unit = Unit::configured(folder, pool.port());
    let mut conversation = pool.welcome("00").await;
    conversation
        .says(r#"{"id":null,"method":"client.reconnect","params":["evil.example.org",3333,0]}"#)
        .await;
    conversation.says(r#"{"id":9,"method":"mining.ping","params":[]}"#).await;
    assert_eq!(conversation.line().await.unwrap()["result"], "pong", "it stays");
    let there =
        format!(r#"{{"id":null,"method":"client.reconnect","params":["127.0.0.1",{},0]}}"#, other.port());
    conversation.says(&there).await;
    other.welcome("01").await;
    // Once: the configured address holds for every further connection.
    pool.welcome("02").await;
    unit.stop().await;
}

#[tokio::test]
async fn a_refused_worker_is_a_reason_to_read_and_not_a_flood() {
    let (folder, pool) = (folder(), ScriptedPool::start().await);
    let unit = Unit::configured(folder, pool.port());
    let mut conversation = pool.accept().await;
    conversation.says(r#"{"id":2,"result":[[],"00",4],"error":null}"#).await;
    conversation.says(r#"{"id":3,"result":null,"error":[24,"Unauthorized worker",null]}"#).await;
    let reason = "pool refused the worker: code 24 \"Unauthorized worker\"";
    until("the reason", async || unit.status().await.reason == reason).await;
    assert_eq!(unit.status().await.state, "connecting");
    let again = tokio::time::Instant::now();
    pool.accept().await;
    assert!(again.elapsed() >= Duration::from_millis(300));
    unit.stop().await;
}

#[tokio::test]
async fn without_a_pool_for_long_the_chips_idle() {
    let (folder, pool) = (folder(), ScriptedPool::start().await);
    let driver = Driver::start(folder.path());
    let unit = Unit::configured(folder, pool.port());
    let mut conversation = pool.welcome("00").await;
    conversation.says(EASY).await;
    conversation.job("1", 1, true).await;
    conversation.share().await;
    drop((conversation, pool));
    sleep(Duration::from_secs(2)).await;
    assert!(driver.told.lock().unwrap().idle.is_empty(), "not at once");
    until("idle", async || driver.told.lock().unwrap().idle == [2]).await;
    let signs = driver.told.lock().unwrap().signs;
    assert!(signs >= 3, "{signs} signs of life in more than ten seconds");
    unit.stop().await;
}

#[tokio::test]
async fn without_or_with_a_broken_configuration_the_unit_answers_and_hashes_nothing() {
    for (config, reason) in [
        (None, "there is no adit.toml"),
        (Some("version = 1\n[[pool]]\nurl = \"host\"\n"), "adit.toml has 2 mistakes"),
        (Some("version = 1\n"), "adit.toml has 1 mistake"),
    ] {
        let folder = folder();
        let driver = Driver::start(folder.path());
        let unit = Unit::start(folder, config);
        let status = unit.status().await;
        assert_eq!(
            (status.state.as_str(), status.reason.as_str(), status.pool.as_str()),
            ("unclaimed", reason, "")
        );
        sleep(Duration::from_millis(200)).await;
        assert_eq!(driver.told.lock().unwrap().acquired, 0);
        timeout(PATIENCE, unit.stop()).await.unwrap();
    }
}
