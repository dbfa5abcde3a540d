//! Blocks from a real node's templates, judged by that node: it shares no code with us. Runs when `ADIT_NODE_CHROOT` names a chroot made by `ci/node/prepare`:
//! `ADIT_NODE_CHROOT=… cargo test -p adit-miner --test solo_blocks -- --ignored`.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

#[path = "common/nodes.rs"]
mod nodes;

use adit_config::Config;
use adit_pool::Node;
use adit_stratum::{
    node::{Block, Payout, Template},
    v1::Share,
};
use nodes::{call, real_node};
use serde_json::{Value, json};

/// Of the secp256k1 group's generator.
const KEY: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

/// The address that the node itself derives from a descriptor.
async fn address(node: &Node, descriptor: &str) -> String {
    let descriptor = call(node, "getdescriptorinfo", json!([descriptor])).await["descriptor"].clone();
    call(node, "deriveaddresses", json!([descriptor])).await[0].as_str().unwrap().to_owned()
}

fn payout(address: &str, tag: &str) -> Payout {
    let text = format!(
        "version = 1\n[[pool]]\nurl = \"http://h:1\"\nuser = \"u\"\npassword = \"p\"\naddress = \"{address}\"\n"
    );
    let config = Config::parse(&text, "adit.toml").unwrap();
    let script = config.pools[0].solo.as_ref().unwrap().address.script().to_vec();
    Payout { script, tag: tag.to_owned(), extranonce1: *b"unit-one" }
}

async fn template(node: &Node, payout: &Payout) -> Template {
    template_with_more(node, payout, 0).await
}

/// With so many satoshis more for the coinbase than the node allows.
async fn template_with_more(node: &Node, payout: &Payout, more: u64) -> Template {
    let mut result = call(node, "getblocktemplate", json!([{ "rules": ["segwit"] }])).await;
    result["coinbasevalue"] = (result["coinbasevalue"].as_u64().unwrap() + more).into();
    let answer = json!({ "result": result, "error": null, "id": 0 }).to_string();
    Template::read(answer.as_bytes(), payout).unwrap()
}

/// The first nonce that makes a block, with version bits rolled.
fn mine(template: &Template) -> Block {
    let job = template.job("1".to_owned());
    let share = |nonce| Share {
        job_id: "1",
        extranonce2: b"\x01\x02\x03\x04\x05\x06\x07\x08",
        ntime: job.ntime,
        nonce,
        version: job.version | 0x0000_6000,
        version_mask: 0x1fff_e000,
    };
    (0..).find_map(|nonce| template.block(&share(nonce))).unwrap()
}

async fn submit(node: &Node, block: &Block) -> Value {
    call(node, "submitblock", json!([hex::encode(&block.bytes)])).await
}

#[tokio::test]
#[ignore = "needs ADIT_NODE_CHROOT"]
async fn a_block_with_the_mempools_witness_transactions_is_accepted() {
    let node = real_node().await;
    // Enough coins that can be spent: what is missing would be mined, with what is in the mempool.
    node.rpc().generate(120).await.unwrap();
    for transactions in [1, 2, 7] {
        let ids = node.rpc().fill_mempool(transactions).await.unwrap();
        let payout = payout(&address(&node, &format!("wpkh({KEY})")).await, "/adit/");
        let template = template(&node, &payout).await;
        assert_eq!(template.transaction_count, transactions);
        let block = mine(&template);
        assert_eq!(submit(&node, &block).await, Value::Null);
        assert_eq!(call(&node, "getbestblockhash", json!([])).await, block.hash.to_string());
        assert_eq!(submit(&node, &block).await, "duplicate");

        let taken = call(&node, "getblock", json!([block.hash.to_string(), 2])).await;
        let in_block: Vec<&str> =
            taken["tx"].as_array().unwrap().iter().map(|one| one["txid"].as_str().unwrap()).collect();
        assert_eq!(in_block.len(), transactions + 1);
        assert!(ids.iter().all(|id| in_block.contains(&id.as_str())), "{ids:?} in {in_block:?}");
        assert_eq!(call(&node, "getrawmempool", json!([])).await, json!([]));
        assert_eq!(
            call(&node, "getblock", json!([block.hash.to_string(), 0])).await,
            hex::encode(&block.bytes)
        );
        let script = taken["tx"][0]["vin"][0]["coinbase"].as_str().unwrap();
        assert!(
            script.contains(&hex::encode("unit-one")) && script.ends_with(&hex::encode("/adit/")),
            "{script}"
        );
    }
    node.stop().await;
}

#[tokio::test]
#[ignore = "needs ADIT_NODE_CHROOT"]
async fn every_kind_of_address_is_paid_as_the_node_reads_it() {
    let node = real_node().await;
    for descriptor in [
        format!("pkh({KEY})"),
        format!("sh(wpkh({KEY}))"),
        format!("wpkh({KEY})"),
        format!("wsh(pk({KEY}))"),
        format!("tr({KEY})"),
    ] {
        let address = address(&node, &descriptor).await;
        let template = template(&node, &payout(&address, "")).await;
        let block = mine(&template);
        assert_eq!(submit(&node, &block).await, Value::Null, "{descriptor}");
        let taken = call(&node, "getblock", json!([block.hash.to_string(), 2])).await;
        let paid = &taken["tx"][0]["vout"][0];
        assert_eq!(paid["scriptPubKey"]["address"], address, "{descriptor}");
        assert_eq!((paid["value"].as_f64().unwrap() * 1e8).round() as u64, template.value);
    }
    node.stop().await;
}

/// Heights up to 16 have opcodes of their own, 128 needs a sign byte.
#[tokio::test]
#[ignore = "needs ADIT_NODE_CHROOT"]
async fn blocks_are_accepted_at_heights_that_are_written_differently() {
    let node = real_node().await;
    let payout = payout(&address(&node, &format!("tr({KEY})")).await, "");
    for height in (2..=18).chain([127, 128, 129, 255, 256]) {
        let now = call(&node, "getblockcount", json!([])).await.as_u64().unwrap();
        if height - 1 > now {
            node.rpc().generate((height - 1 - now) as u32).await.unwrap();
        }
        let template = template(&node, &payout).await;
        assert_eq!(u64::from(template.height), height);
        assert_eq!(submit(&node, &mine(&template)).await, Value::Null, "height {height}");
    }
    node.stop().await;
}

/// What the node refuses shows that it looks: one satoshi too many, a time that was.
#[tokio::test]
#[ignore = "needs ADIT_NODE_CHROOT"]
async fn the_node_refuses_a_block_that_is_wrong_in_one_place() {
    let node = real_node().await;
    node.rpc().fill_mempool(1).await.unwrap();
    let payout = payout(&address(&node, &format!("tr({KEY})")).await, "");
    let greedy = template_with_more(&node, &payout, 1).await;
    assert_eq!(submit(&node, &mine(&greedy)).await, "bad-cb-amount");
    let mut late = template(&node, &payout).await;
    late.time = 1;
    assert_eq!(submit(&node, &mine(&late)).await, "time-too-old");
    node.stop().await;
}
