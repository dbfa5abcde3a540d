//! A template that a node gave (Bitcoin Knots 29.5, regtest, six witness transactions in its mempool), and the block that the same node took: `submitblock` answered null,
//! and `getbestblockhash` was the hash below.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use adit_stratum::{
    node::{
        CallError, Payout, Submitted, Template, TemplateError,
        calls::{read_chain, read_submitted},
    },
    v1::Share,
};
use adit_work::Target;
use proptest::prelude::*;
use serde_json::{Value, json};

const TEMPLATE: &[u8] = include_bytes!("captured/template.json");
const BLOCK: &str = include_str!("captured/block.hex");
const HASH: &str = "6bfba0c7c11ef878c5d44b858e1f668c3d11592d60c7dfdb43a58c0e3d5b03de";

fn payout() -> Payout {
    Payout {
        script: hex::decode("0014751e76e8199196d454941c45d1b3a323f1433bd6").unwrap(),
        tag: "/adit/".to_owned(),
        extranonce1: *b"captured",
    }
}

fn share(nonce: u32, ntime: u32) -> Share<'static> {
    Share {
        job_id: "1",
        extranonce2: &[1, 2, 3, 4, 5, 6, 7, 8],
        ntime,
        nonce,
        version: 0x2000_6000,
        version_mask: 0x1fff_e000,
    }
}

#[test]
fn a_captured_template_becomes_the_block_that_its_node_took() {
    let template = Template::read(TEMPLATE, &payout()).unwrap();
    assert_eq!((template.height, template.transaction_count), (132, 6));
    assert_eq!(template.value, 50 * 100_000_000 + 6 * 1000);
    let block = template.block(&share(2, template.time)).unwrap();
    assert_eq!(hex::encode(&block.bytes), BLOCK.trim_end());
    assert_eq!(block.hash.to_string(), HASH);
    assert_eq!(block.prev_hash, template.prev_hash);
    // The nonces before it miss the target.
    assert!((0..2).all(|nonce| template.block(&share(nonce, template.time)).is_none()));
}

#[test]
fn a_job_says_what_the_template_says() {
    let template = Template::read(TEMPLATE, &payout()).unwrap();
    let job = template.job("17".to_owned());
    assert_eq!((job.id.as_str(), job.branch.len(), job.extranonce2_size), ("17", 3, 8));
    assert_eq!((job.version, job.nbits, job.ntime), (0x2000_0000, 0x207f_ffff, template.time));
    assert_eq!(job.extranonce1, b"captured");
    // Regtest's target is 7fffff · 2^232: difficulty 0xffff · 2^208 over that.
    let exact = f64::from(0xffff) / f64::from(0x7f_ffff) / 2f64.powi(24);
    assert!(job.difficulty < exact && job.difficulty > exact * (1.0 - 1e-15), "{}", job.difficulty);
}

/// The captured answer with one thing changed.
fn changed(change: impl FnOnce(&mut Value)) -> TemplateError {
    let mut answer: Value = serde_json::from_slice(TEMPLATE).unwrap();
    change(&mut answer["result"]);
    Template::read(answer.to_string().as_bytes(), &payout()).unwrap_err()
}

#[test]
fn a_template_that_is_wrong_in_one_place_is_refused_with_the_reason() {
    let set = |key: &'static str, value: Value| changed(move |template| template[key] = value).to_string();
    for (error, words) in [
        (set("height", json!(0)), "height is 0"),
        (set("height", json!(0x8000_0000u32)), "height is 2147483648"),
        (set("height", json!(-1)), "invalid value"),
        (set("coinbasevalue", json!(2_100_000_000_000_001u64)), "coinbasevalue is 2100000000000001"),
        (set("mintime", json!(u32::MAX)), "before mintime"),
        (set("bits", json!("207ffff")), "bits is 207ffff,"),
        (set("bits", json!("00000000")), "nbits 00000000 is zero"),
        (set("bits", json!("1d00ffff")), "target is not what bits 1d00ffff say"),
        (set("previousblockhash", json!("00")), "a hash is not 32 bytes"),
        (set("longpollid", json!("")), "longpollid is 0 bytes long"),
        (set("longpollid", json!("x".repeat(257))), "longpollid is 257 bytes long"),
        (set("rules", json!(["csv", "!segwit", "!newer"])), "rule !newer is not known"),
        (set("rules", json!(vec!["csv"; 65])), "invalid length 65"),
        (set("vbrequired", json!(0x0000_2000)), "version bits 00002000 must be set"),
        (set("signet_challenge", json!("5121")), "need a signature of its operators"),
        (set("weightlimit", json!(2000)), "heavier than 2000"),
        (set("default_witness_commitment", json!("6a24aa21a9ed00")), "not that of the transactions"),
        (set("default_witness_commitment", Value::Null), "invalid type: null"),
        (set("transactions", json!({})), "a list of transactions"),
        (set("transactions", json!([])), "not that of the transactions"),
        (set("version", json!("1")), "invalid type: string"),
    ] {
        assert!(error.contains(words), "{error:?} does not say {words:?}");
    }
    let swapped = changed(|template| template["transactions"].as_array_mut().unwrap().swap(0, 1));
    assert_eq!(swapped, TemplateError::Commitment);
    for (key, value, words) in [
        ("data", json!("zz".repeat(96)), "not hexadecimal"),
        ("data", json!("00".repeat(59)), "weight 381 of a transaction of 59 bytes"),
        ("weight", json!(1), "weight 1 of a transaction of 99 bytes"),
        ("weight", json!(5000), "weight 5000"),
        ("txid", json!("00".repeat(31)), "a hash is not 32 bytes"),
        ("hash", json!(7), "invalid type"),
    ] {
        let error = changed(|template| template["transactions"][3][key] = value.clone()).to_string();
        assert!(error.contains(words), "{error:?} does not say {words:?}");
    }
}

#[test]
fn more_transactions_than_a_block_holds_are_not_kept() {
    let error = changed(|template| {
        let one = json!({
            "data": "00".repeat(40_000), "weight": 160_000, "txid": "11".repeat(32), "hash": "22".repeat(32)
        });
        template["transactions"] = json!(vec![one; 26]);
    });
    assert!(error.to_string().contains("weigh more than 4000000"), "{error}");
}

#[test]
fn a_node_that_refuses_is_quoted_up_to_a_length() {
    let error = |answer: &str| Template::read(answer.as_bytes(), &payout()).unwrap_err().to_string();
    assert_eq!(
        error(
            r#"{"result":null,"error":{"code":-10,"message":"Bitcoin \"Core\"\nis in initial sync"},"id":0}"#
        ),
        "code -10: Bitcoin \"Core\"\nis in initial sync"
    );
    assert_eq!(error(r#"{"result":null,"error":null,"id":0}"#), "there is no result");
    assert!(error("<html>").contains("none of a Bitcoin node"));
    let long = format!(r#"{{"result":null,"error":{{"code":1,"message":"{}"}}}}"#, "x".repeat(100_000));
    assert!(error(&long).len() < 4200);
}

#[test]
fn the_other_answers_are_read() {
    let submitted =
        |result: &str| read_submitted(format!(r#"{{"result":{result},"error":null}}"#).as_bytes());
    assert_eq!(submitted("null"), Ok(Submitted::Accepted));
    assert_eq!(submitted("\"duplicate\""), Ok(Submitted::Known));
    assert_eq!(submitted("\"high-hash\""), Ok(Submitted::Refused("high-hash".to_owned())));
    assert_eq!(submitted("\"prev-blk-not-found\""), Ok(Submitted::NotYet("prev-blk-not-found".to_owned())));
    let starting =
        r#"{"result":null,"error":{"code":-28,"message":"Loading block index…"},"id":0}"#.as_bytes();
    assert_eq!(read_submitted(starting), Ok(Submitted::NotYet("code -28: Loading block index…".to_owned())));
    assert!(matches!(submitted("7"), Err(CallError::Answer(_))));
    // What something in front of a node may say, in JSON as well.
    for other in ["{}", r#"{"message":"no such route","status":404}"#, r#"{"error":null,"id":0}"#] {
        assert!(matches!(read_submitted(other.as_bytes()), Err(CallError::Answer(_))), "{other}");
    }
    let refused = br#"{"result":null,"error":{"code":-22,"message":"Block decode failed"},"id":0}"#;
    assert_eq!(
        read_submitted(refused),
        Err(CallError::Refused { code: -22, message: "Block decode failed".to_owned() })
    );
    assert_eq!(read_chain(br#"{"result":{"chain":"main","blocks":1},"error":null}"#), Ok("main".to_owned()));
    assert!(read_chain(br#"{"result":{},"error":null}"#).is_err());
}

proptest! {
    /// What is handed to the chips as a share's difficulty is a rounded number; the block's target is not.
    #[test]
    fn no_block_is_lost_to_rounding(mantissa in 0x8000u32..0x80_0000, exponent in 5u32..=0x20) {
        let nbits = exponent << 24 | mantissa;
        let target = Target::from_nbits(nbits).unwrap();
        let mut answer: Value = serde_json::from_slice(TEMPLATE).unwrap();
        answer["result"]["bits"] = format!("{nbits:08x}").into();
        answer["result"]["target"] = target.to_string().into();
        let template = Template::read(answer.to_string().as_bytes(), &payout()).unwrap();
        let difficulty = template.job("1".to_owned()).difficulty;
        let shares = Target::from_difficulty(difficulty).unwrap();
        prop_assert!(shares >= target, "{shares} {target}");
        prop_assert!(Target::from_difficulty(difficulty * (1.0 + 1e-15)).unwrap() <= target);
    }

    #[test]
    fn any_damage_to_a_template_is_survived(place in 0..TEMPLATE.len(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut answer = TEMPLATE.to_vec();
        answer[place] = byte;
        if cut {
            answer.truncate(place);
        }
        if let Ok(template) = Template::read(&answer, &payout()) {
            template.job("1".to_owned());
            let _ = template.block(&share(2, template.time));
        }
    }
}
