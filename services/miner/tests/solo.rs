//! Without a pool, at nodes whose every word the test says: what they say is checked, and what is wrong is told without credentials.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod common;
#[path = "common/nodes.rs"]
mod nodes;

use std::{
    collections::HashSet,
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use adit_pool::RPC_ACCOUNT;
use adit_work::header::sha256d;
use common::{Driver, Unit, until};
use nodes::{ADDRESS, Program, config, http, scripted_node, table};
use serde_json::{Value, json};

const REGTEST: &str = r#"{"result":{"chain":"regtest"},"error":null,"id":0}"#;
const CAPTURED: &str = include_str!("../../lib/stratum/tests/captured/template.json");

/// A node that is good but for its answers to `method`.
async fn wrong_at(method: &'static str, answer: Vec<u8>) -> u16 {
    scripted_node(move |asked| match asked {
        _ if asked == method => Some(answer.clone()),
        "getblockchaininfo" => Some(http("200 OK", REGTEST)),
        "getblocktemplate" => Some(http("200 OK", CAPTURED)),
        _ => Some(http("200 OK", r#"{"result":"high-hash","error":null}"#)),
    })
    .await
}

/// Waits until a unit at such a node says, as its reason for not hashing, these words.
async fn says(words: &str, method: &'static str, answer: Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let port = wrong_at(method, answer).await;
    let unit = Unit::start(folder, Some(&config(&[port])));
    until(words, async || {
        let status = unit.status().await;
        assert!(status.state != "hashing" && !status.reason.contains("of-the-lab"), "{status:?}");
        status.reason.contains(words)
    })
    .await;
    unit.stop().await;
}

#[tokio::test]
async fn whatever_a_node_answers_is_survived_and_told() {
    let ok = |body: &str| http("200 OK", body);
    let template = |key: &str, value: Value| {
        let mut answer: Value = serde_json::from_str(CAPTURED).unwrap();
        answer["result"][key] = value;
        http("200 OK", &answer.to_string())
    };
    let endless = [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &vec![b' '; 17 << 20]].concat();
    for (method, answer, words) in [
        ("getblockchaininfo", http("401 Unauthorized", ""), "the node refuses user or password (HTTP 401)"),
        ("getblockchaininfo", http("403 Forbidden", ""), "rpcallowip"),
        (
            "getblockchaininfo",
            http("503 Service Unavailable", "Work queue depth exceeded"),
            "HTTP status 503",
        ),
        ("getblockchaininfo", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), "invalid HTTP"),
        ("getblockchaininfo", b"".to_vec(), "connection closed"),
        ("getblockchaininfo", ok("<html>"), "none of a Bitcoin node"),
        (
            "getblockchaininfo",
            ok(r#"{"result":{"chain":"main"},"error":null}"#),
            "on chain main, the address bcrt1q",
        ),
        (
            "getblockchaininfo",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".to_vec(),
            "more than 16777216 bytes",
        ),
        ("getblocktemplate", endless, "more than 16777216 bytes"),
        ("getblocktemplate", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_vec(), "end of file"),
        (
            "getblocktemplate",
            http(
                "500 Internal Server Error",
                r#"{"result":null,"error":{"code":-10,"message":"in initial sync, of-the-lab"},"id":0}"#,
            ),
            "getblocktemplate: code -10: in initial sync, …",
        ),
        ("getblocktemplate", template("bits", json!("1d00ffff")), "target is not what bits 1d00ffff say"),
        ("getblocktemplate", template("transactions", json!([])), "the witness commitment is not"),
    ] {
        says(words, method, answer).await;
    }
}

#[tokio::test]
async fn what_a_node_with_another_chain_says_is_one_line_and_the_next_is_tried() {
    let main =
        wrong_at("getblockchaininfo", http("200 OK", r#"{"result":{"chain":"main"},"error":null}"#)).await;
    let good = wrong_at("", Vec::new()).await;
    let folder = tempfile::tempdir().unwrap();
    let driver = Driver::start(folder.path());
    let unit = Unit::start(folder, Some(&config(&[main, good])));
    until("work of the second node", async || !driver.works().is_empty()).await;
    assert_eq!(unit.status().await.pool, format!("http://127.0.0.1:{good}"));
    let work = driver.works()[0];
    assert_eq!((work.nbits, work.version_mask), (0x207f_ffff, 0x1fff_e000));

    // A refused block is counted, and mining goes on.
    until("refused blocks", async || unit.status().await.shares_rejected >= 2).await;
    let status = unit.status().await;
    assert_eq!((status.state.as_str(), status.shares_accepted, status.blocks_accepted), ("hashing", 0, 0));
    unit.stop().await;
}

#[tokio::test]
async fn a_node_that_cannot_judge_a_block_yet_is_asked_again() {
    let asked = Arc::new(AtomicU64::new(0));
    let port = scripted_node(move |method| {
        Some(match method {
            "getblockchaininfo" => http("200 OK", REGTEST),
            "getblocktemplate" => http("200 OK", CAPTURED),
            _ => match asked.fetch_add(1, Ordering::Relaxed) {
                0 => http(
                    "500 Internal Server Error",
                    r#"{"result":null,"error":{"code":-28,"message":"Verifying blocks…"},"id":0}"#,
                ),
                1 => http("200 OK", r#"{"result":"prev-blk-not-found","error":null,"id":0}"#),
                _ => http("200 OK", r#"{"result":null,"error":null,"id":0}"#),
            },
        })
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let _driver = Driver::start(folder.path());
    let unit = Unit::start(folder, Some(&config(&[port])));
    until("a block that is taken", async || unit.status().await.shares_accepted > 0).await;
    let status = unit.status().await;
    assert_eq!((status.shares_rejected, status.blocks_accepted), (0, status.shares_accepted));
    unit.stop().await;
}

/// The program itself, at a node that repeats what it was told.
#[tokio::test]
async fn a_reason_to_refuse_a_block_is_shown_without_the_account() {
    let asked = Arc::new(AtomicU64::new(0));
    let count = asked.clone();
    let reason = format!(r#"{{"result":"bad {} \"{}\"","error":null,"id":0}}"#, RPC_ACCOUNT.0, RPC_ACCOUNT.1);
    let port = scripted_node(move |method| {
        Some(match method {
            "getblockchaininfo" => http("200 OK", REGTEST),
            "getblocktemplate" => http("200 OK", CAPTURED),
            _ => {
                count.fetch_add(1, Ordering::Relaxed);
                http("200 OK", &reason)
            }
        })
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let _driver = Driver::start(folder.path());
    let miner = Program::start(folder.path(), &config(&[port]), Stdio::piped());
    // The second one had waited for the verdict on the first.
    until("two blocks", async || asked.load(Ordering::Relaxed) >= 2).await;
    let console = miner.end();
    let line = format!("INFO adit_miner: block url=http://127.0.0.1:{port} height=132 hash=");
    let said = console.lines().find(|said| said.contains(&line)).unwrap_or_else(|| panic!("{console}"));
    assert!(said.ends_with("answer=\"bad lab '…'\""), "{said}");
    assert!(!console.contains(RPC_ACCOUNT.1), "{console}");
}

/// Two units with one account at one node must not search the same headers.
#[tokio::test]
async fn no_two_units_have_the_same_work() {
    let port = wrong_at("submitblock", http("200 OK", r#"{"result":null,"error":null}"#)).await;
    let mut roots = HashSet::new();
    for _ in 0..2 {
        let folder = tempfile::tempdir().unwrap();
        let driver = Driver::start(folder.path());
        let unit = Unit::start(folder, Some(&config(&[port])));
        until("work", async || driver.works().len() >= 5).await;
        unit.stop().await;
        assert!(driver.works().iter().take(5).all(|work| roots.insert(work.merkle_root)));
    }
}

#[tokio::test]
async fn a_password_with_a_colon_and_letters_beyond_ascii_goes_as_it_is() {
    // Base64 of "lab:a:ß", computed with coreutils' base64.
    let seen = Arc::new(Mutex::new(String::new()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = seen.clone();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 4096];
        let length = tokio::io::AsyncReadExt::read(&mut stream, &mut head).await.unwrap();
        *heard.lock().unwrap() = String::from_utf8_lossy(&head[..length]).into_owned();
    });
    let folder = tempfile::tempdir().unwrap();
    let unit = Unit::start(folder, Some(&format!("version = 1\n{}", table(port, "a:ß", ADDRESS))));
    until("a request", async || !seen.lock().unwrap().is_empty()).await;
    let head = seen.lock().unwrap().clone();
    assert!(head.contains(": Basic bGFiOmE6w58=\r\n"), "{head}");
    unit.stop().await;
}

/// As large as a template can be: transactions of a weight of almost 4,000,000, so many small ones that what stands around them is long too.
fn full_template() -> String {
    let digits = |byte: u8, count: usize| format!("{byte:02x}").repeat(count);
    let mut ids = Vec::new();
    let mut transaction = |number: u32, bytes: usize, weight: usize| {
        let mut id = [0x5a; 32];
        id[..4].copy_from_slice(&number.to_le_bytes());
        ids.push(id);
        id.reverse();
        let id = hex::encode(id);
        format!(
            r#"{{"data":"{}","txid":"{id}","hash":"{id}","depends":[1,2,3,4,5,6,7,8],"fee":123456,"sigops":4,"weight":{weight}}}"#,
            digits(0x11, bytes)
        )
    };
    // 3 MB of hardly anything but witness, and as many of the smallest as there is room for.
    let large = (0..330).map(|number| transaction(number, 9_600, 9_700)).collect::<Vec<_>>();
    let small = (330..3_200).map(|number| transaction(number, 62, 245)).collect::<Vec<_>>();
    let transactions = [large, small].concat().join(",");
    let mut level = [vec![[0; 32]], ids].concat();
    while level.len() > 1 {
        let pair = |pair: &[[u8; 32]]| sha256d(&[&pair[0], pair.last().unwrap()]);
        level = level.chunks(2).map(pair).collect();
    }
    let mut answer: Value = serde_json::from_str(CAPTURED).unwrap();
    let commitment = sha256d(&[&level[0], &[0; 32]]);
    answer["result"]["default_witness_commitment"] =
        format!("6a24aa21a9ed{}", hex::encode(commitment)).into();
    answer["result"]["transactions"] = json!("HERE");
    answer.to_string().replace("\"HERE\"", &format!("[{transactions}]"))
}

/// The program itself. Its node has another block whenever it is asked, so that templates come as fast as they can be read, and each nonce is a block.
#[tokio::test]
async fn full_blocks_fit_into_the_memory_of_a_small_board() {
    let template = full_template();
    assert!(template.len() > 7_000_000, "{}", template.len());
    let captured: Value = serde_json::from_str(CAPTURED).unwrap();
    let (before, behind) =
        template.rsplit_once(captured["result"]["previousblockhash"].as_str().unwrap()).unwrap();
    let (before, behind) = (before.to_owned(), behind.to_owned());
    let asked = Arc::new(AtomicU64::new(0));
    let port = scripted_node(move |method| {
        Some(match method {
            "getblockchaininfo" => http("200 OK", REGTEST),
            "getblocktemplate" => {
                let block = asked.fetch_add(1, Ordering::Relaxed);
                http("200 OK", &format!("{before}{block:064x}{behind}"))
            }
            _ => http("200 OK", r#"{"result":"high-hash","error":null}"#),
        })
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let driver = Driver::start(folder.path());
    let miner = Program::start(folder.path(), &config(&[port]), Stdio::null());
    until("work on many blocks", async || {
        let blocks: HashSet<_> = driver.works().iter().map(|work| work.prev_hash).collect();
        blocks.len() >= 12
    })
    .await;
    let peak = miner.status("VmHWM:");
    println!("peak: {peak}");
    let kilobytes: u64 = peak.strip_suffix(" kB").unwrap().parse().unwrap();
    assert!(kilobytes < 96_000, "{peak}");
}
