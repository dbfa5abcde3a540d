//! What the pool does wrong on request, each fault as a miner sees it, asked for over the control port.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use adit_pool::Config;
use common::{EASY, Miner, Running, difficulty};
use serde_json::{Value, json};
use tempfile::TempDir;

struct Controlled {
    running: Running,
    control: BufReader<UnixStream>,
    path: PathBuf,
    _folder: TempDir,
}

impl Controlled {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("control");
        let config =
            Config { difficulty: difficulty(EASY), control: Some(path.clone()), ..Config::default() };
        let running = Running::start(config);
        let control = BufReader::new(UnixStream::connect(&path).unwrap());
        Self { running, control, path, _folder: folder }
    }

    fn ask_text(&mut self, request: &str) -> Value {
        self.control.get_mut().write_all(format!("{request}\n").as_bytes()).unwrap();
        let mut reply = String::new();
        self.control.read_line(&mut reply).unwrap();
        serde_json::from_str(&reply).unwrap()
    }

    fn ask(&mut self, request: &Value) {
        assert_eq!(self.ask_text(&request.to_string()), json!({"ok": true}), "{request}");
    }

    fn fault(&mut self, name: &str) {
        self.ask(&json!({"op": "fault", "name": name}));
    }

    fn switch(&mut self, name: &str, on: bool) {
        self.ask(&json!({"op": "fault", "name": name, "on": on}));
    }

    fn miner(&self) -> Miner {
        self.running.miner()
    }
}

fn mine_and_submit(miner: &mut Miner) -> u64 {
    let job = miner.jobs.last().unwrap().clone();
    let share = miner.mine(&job);
    miner.submit(&share)
}

#[test]
fn the_state_has_every_key_that_the_contract_names() {
    let mut pool = Controlled::start();
    let mut miner = pool.miner();
    assert_eq!(mine_and_submit(&mut miner), 0);
    let reply = pool.ask_text(r#"{"op":"state"}"#);
    let state = &reply["state"];
    assert_eq!(state["shares_accepted"], 1);
    for key in [
        "connections",
        "shares_rejected",
        "rejected",
        "blocks_accepted",
        "blocks_refused",
        "last_block",
        "height",
        "bad_lines",
        "user_agents",
    ] {
        assert!(state.get(key).is_some(), "{key} in {state}");
    }
    for key in ["stale", "duplicate", "low-difficulty", "unauthorized", "malformed", "version", "time"] {
        assert_eq!(state["rejected"][key], 0, "{key}");
    }
}

#[test]
fn wrong_requests_are_answered_with_what_would_be_right() {
    let mut pool = Controlled::start();
    for (request, wanted) in [
        ("nonsense", "expected"),
        (r#"{"op":"dance"}"#, "new-block"),
        (r#"{"op":"difficulty","value":0}"#, "outside"),
        (r#"{"op":"fault","name":"dorp"}"#, "no-configure"),
    ] {
        let reply = pool.ask_text(request);
        assert_eq!(reply["ok"], false, "{request}");
        assert!(reply["error"].as_str().unwrap().contains(wanted), "{reply}");
    }
    let reply = pool.ask_text(&"x".repeat(5000));
    assert!(reply["error"].as_str().unwrap().contains("4096"));
}

#[test]
fn new_block_new_job_and_difficulty_reach_the_miner() {
    let mut pool = Controlled::start();
    let mut miner = pool.miner();
    pool.ask(&json!({"op": "new-job"}));
    assert!(!miner.next_job().clean);
    pool.ask(&json!({"op": "new-block"}));
    assert!(miner.next_job().clean);
    pool.ask(&json!({"op": "difficulty", "value": 2e-6}));
    miner.next_job();
    assert_eq!(miner.difficulty, 2e-6);
}

#[test]
fn drop_closes_and_refuse_keeps_closed() {
    let mut pool = Controlled::start();
    let mut miner = pool.miner();
    pool.switch("refuse", true);
    pool.fault("drop");
    assert!(miner.closed());
    assert!(Miner::connect(pool.running.pool.address()).closed());
    pool.switch("refuse", false);
    pool.miner();
}

#[test]
fn silent_reads_and_says_nothing() {
    let mut pool = Controlled::start();
    let mut miner = pool.miner();
    pool.switch("silent", true);
    miner.send("{\"id\":99,\"method\":\"mining.subscribe\",\"params\":[]}\n");
    pool.ask(&json!({"op": "new-block"}));
    assert!(miner.quiet_for(Duration::from_millis(300)));
    pool.switch("silent", false);
    pool.ask(&json!({"op": "new-block"}));
    miner.next_job();
    assert_eq!(mine_and_submit(&mut miner), 0);
}

#[test]
fn garbage_is_not_json() {
    let mut pool = Controlled::start();
    let mut miner = pool.miner();
    pool.ask(&json!({"op": "fault", "name": "garbage", "count": 3}));
    for _ in 0..3 {
        assert!(serde_json::from_str::<Value>(&miner.line().unwrap()).is_err());
    }
    assert_eq!(mine_and_submit(&mut miner), 0);
}

#[test]
fn a_long_line_has_as_many_bytes_as_asked_for() {
    let mut pool = Controlled::start();
    let mut miner = pool.miner();
    pool.ask(&json!({"op": "fault", "name": "long-line", "value": 100_000}));
    pool.ask(&json!({"op": "new-block"}));
    let line = miner.line().unwrap();
    assert_eq!(line.find('{'), Some(100_000), "the next message is on the same line");
}

#[test]
fn reject_refuses_so_many_good_shares_and_then_no_more() {
    let mut pool = Controlled::start();
    let mut miner = pool.miner();
    pool.ask(&json!({"op": "fault", "name": "reject", "count": 2}));
    let codes: Vec<u64> = (0..3).map(|_| mine_and_submit(&mut miner)).collect();
    assert_eq!(codes, [20, 20, 0]);
    assert_eq!(pool.running.pool.state().rejected.on_purpose, 2);
}

#[test]
fn no_configure_answers_with_an_error_and_the_rest_works() {
    let mut pool = Controlled::start();
    pool.switch("no-configure", true);
    let mut miner = Miner::connect(pool.running.pool.address());
    let answer = miner.request("mining.configure", json!([["version-rolling"], {}]));
    assert_eq!(answer["error"][0], 20);
    miner.subscribe_and_authorize("tests.two");
    assert_eq!(mine_and_submit(&mut miner), 0);
}

#[test]
fn stop_jobs_holds_jobs_back_until_it_is_switched_off() {
    let mut pool = Controlled::start();
    let mut miner = pool.miner();
    pool.switch("stop-jobs", true);
    pool.ask(&json!({"op": "new-block"}));
    assert!(miner.quiet_for(Duration::from_millis(300)));
    pool.switch("stop-jobs", false);
    let old = miner.jobs[0].clone();
    let new = miner.next_job();
    assert_ne!(new.previous, old.previous);
    assert!(new.clean, "the clean job that was held back is not forgotten");
    let share = miner.mine(&new);
    assert_eq!(miner.submit(&share), 0);
}

#[test]
fn bad_jobs_are_all_different_and_no_share_of_theirs_counts() {
    let mut pool = Controlled::start();
    let mut miner = pool.miner();
    pool.ask(&json!({"op": "fault", "name": "bad-job", "count": 12}));
    let mut seen = Vec::new();
    for _ in 0..12 {
        let message: Value = serde_json::from_str(&miner.line().unwrap()).unwrap();
        assert_eq!(message["method"], "mining.notify");
        let mut params = message["params"].clone();
        if params[0].is_string() {
            params[0] = Value::Null;
        }
        assert!(!seen.contains(&params), "{params}");
        seen.push(params);
    }
    let job = miner.jobs[0].clone();
    let mut share = miner.mine(&job);
    assert_eq!(miner.submit(&share), 0);
    share[1] = json!("bad2");
    assert_eq!(miner.submit(&share), 21);
}

#[test]
fn set_extranonce_reaches_only_who_asked_for_it() {
    let mut pool = Controlled::start();
    let mut asked = pool.miner();
    assert_eq!(asked.request("mining.extranonce.subscribe", json!([]))["result"], true);
    let mut other = pool.miner();
    let old_job = asked.jobs[0].clone();
    let old_share = asked.mine(&old_job);
    pool.fault("set-extranonce");
    let message = asked.other();
    assert_eq!(message["method"], "mining.set_extranonce");
    let job = asked.next_job();
    assert!(job.clean);
    assert_eq!(asked.submit(&old_share), 21);
    asked.extranonce1 = hex::decode(message["params"][0].as_str().unwrap()).unwrap();
    let share = asked.mine(&job);
    assert_eq!(asked.submit(&share), 0);
    other.next_job();
    assert!(other.others.is_empty());
    assert_eq!(mine_and_submit(&mut other), 0);

    pool.ask(&json!({"op": "fault", "name": "set-extranonce", "value": 8}));
    assert!(other.closed());
    let message = asked.other();
    assert_eq!(message["params"][1], 8);
    asked.extranonce1 = hex::decode(message["params"][0].as_str().unwrap()).unwrap();
    asked.extranonce2_size = 8;
    asked.next_job();
    assert_eq!(mine_and_submit(&mut asked), 0);
}

#[test]
fn another_version_mask_holds_from_the_next_job_on() {
    let mut pool = Controlled::start();
    let mut miner = pool.miner();
    pool.ask(&json!({"op": "fault", "name": "version-mask", "value": "00006000"}));
    let message = miner.other();
    assert_eq!(message, json!({"id": null, "method": "mining.set_version_mask", "params": ["00006000"]}));
    let old = miner.jobs[0].clone();
    let new = miner.next_job();
    let wide = miner.mine(&old);
    assert_eq!(miner.submit(&wide), 0);
    let mut outside = miner.mine(&new);
    outside[5] = json!("00008000");
    assert_eq!(miner.submit(&outside), 20);
    miner.mask = 0x6000;
    let inside = miner.mine(&new);
    assert_eq!(miner.submit(&inside), 0);
}

#[test]
fn reconnect_and_ping_are_sent_and_the_pong_is_counted() {
    let mut pool = Controlled::start();
    let mut miner = pool.miner();
    pool.fault("reconnect");
    assert_eq!(miner.other()["params"], json!([]));
    pool.ask(&json!({"op": "fault", "name": "reconnect", "value": ["127.0.0.1", 3333, 1]}));
    let message = miner.other();
    assert_eq!(
        (&message["method"], &message["params"]),
        (&json!("client.reconnect"), &json!(["127.0.0.1", 3333, 1]))
    );
    pool.fault("ping");
    let ping = miner.other();
    assert_eq!(ping["method"], "mining.ping");
    miner.send(&format!("{}\n", json!({"id": ping["id"], "result": "pong", "error": null})));
    pool.running.wait("a pong", |state| state.pongs == 1);
}

#[test]
fn shutdown_answers_then_ends_and_removes_the_socket() {
    let mut pool = Controlled::start();
    let mut miner = pool.miner();
    pool.ask(&json!({"op": "shutdown"}));
    pool.running.runtime.block_on(pool.running.pool.stopped());
    assert!(miner.closed());
    let Controlled { running: Running { pool: handle, runtime }, path, .. } = pool;
    runtime.block_on(handle.shutdown());
    assert!(!path.exists());
}

#[test]
fn a_left_over_socket_is_replaced_and_one_in_use_is_not() {
    let first = Controlled::start();
    let config = || Config { control: Some(first.path.clone()), ..Config::default() };
    let error = first.running.runtime.block_on(adit_pool::Pool::start(config())).err().unwrap();
    assert!(error.to_string().contains("in use"), "{error}");

    let folder = TempDir::new().unwrap();
    let path = folder.path().join("left-over");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    Running::start(Config { control: Some(path), ..Config::default() });
}
