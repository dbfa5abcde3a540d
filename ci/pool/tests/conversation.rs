//! Whole conversations over loopback, with made-up templates.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::time::Duration;

use adit_pool::{Config, Fault};
use common::{EASY, Miner, Running, difficulty};
use serde_json::json;

#[test]
fn a_miner_that_follows_the_protocol_gets_its_shares_accepted() {
    let running = Running::synthetic();
    let mut miner = running.miner();
    assert_eq!(miner.mask, 0x1fff_e000);
    assert_eq!(miner.extranonce2_size, 4);
    assert_eq!(miner.difficulty, EASY);
    let job = miner.jobs[0].clone();
    assert_eq!(job.branches.len(), 2);
    for _ in 0..5 {
        let share = miner.mine(&job);
        assert_eq!(miner.submit(&share), 0);
    }
    let state = running.pool.state();
    assert_eq!((state.shares_accepted, state.shares_rejected, state.bad_lines), (5, 0, 0));
    assert_eq!(state.user_agents, ["tiny-miner/1"]);
    assert_eq!(state.workers, ["tests.one"]);
    assert_eq!(state.connections, 1);
    assert!(state.best_share >= EASY);
    assert_eq!(state.blocks_accepted, 0);
}

#[test]
fn without_configure_no_version_bits_are_wanted_and_none_allowed() {
    let running =
        Running::start(Config { difficulty: difficulty(EASY), extranonce2_size: 8, ..Config::default() });
    let mut miner = Miner::connect(running.pool.address());
    miner.subscribe_and_authorize("plain");
    assert_eq!(miner.extranonce2_size, 8);
    let job = miner.jobs[0].clone();
    let share = miner.mine(&job);
    assert_eq!(share.as_array().unwrap().len(), 5);
    assert_eq!(miner.submit(&share), 0);
    let mut rolled = miner.mine(&job);
    rolled.as_array_mut().unwrap().push("00002000".into());
    assert_eq!(miner.submit(&rolled), 20);
    assert_eq!(running.pool.state().rejected.version, 1);
}

#[test]
fn a_share_in_a_name_that_is_not_known_is_refused_and_the_name_kept() {
    let running = Running::synthetic();
    let mut miner = running.miner();
    let job = miner.jobs[0].clone();
    let mut share = miner.mine(&job);
    share[0] = json!("somebody.else");
    assert_eq!(miner.submit(&share), 24);
    assert_eq!(running.pool.state().workers, ["tests.one", "somebody.else"]);
}

#[test]
fn every_reason_to_refuse_has_its_code_and_its_counter() {
    let running = Running::synthetic();
    let mut miner = running.miner();
    let job = miner.jobs[0].clone();
    let good = miner.mine(&job);
    assert_eq!(miner.submit(&good), 0);
    let with = |place: usize, value: &str| {
        let mut changed = good.clone();
        changed[place] = json!(value);
        changed
    };
    let low = miner.mine_for(&job, EASY / 1000.0, EASY * 0.999);
    let far = format!("{:08x}", job.time + 7300);
    let early = format!("{:08x}", job.time - 1);
    for (params, code) in [
        (good.clone(), 22),
        (low, 23),
        (with(0, "somebody.else"), 24),
        (with(1, "nojob"), 21),
        (with(2, "00"), 20),
        (with(3, &far), 20),
        (with(3, &early), 20),
        (with(4, "xyz"), 20),
        (with(5, "20000000"), 20),
        (json!(["tests.one"]), 20),
    ] {
        assert_eq!(miner.submit(&params), code, "{params}");
    }
    running.runtime.block_on(running.pool.new_block()).unwrap();
    let next = miner.next_job();
    assert!(next.clean);
    assert_ne!(next.previous, job.previous);
    let stale = miner.mine(&job);
    assert_eq!(miner.submit(&stale), 21);

    let mut stranger = Miner::connect(running.pool.address());
    assert_eq!(stranger.submit(&good), 25);

    let state = running.pool.state();
    let rejected = &state.rejected;
    assert_eq!(state.shares_accepted, 1);
    assert_eq!(state.shares_rejected, 12);
    assert_eq!((rejected.stale, rejected.duplicate, rejected.low_difficulty), (2, 1, 1));
    assert_eq!((rejected.unauthorized, rejected.malformed, rejected.version, rejected.time), (2, 3, 1, 2));
}

#[test]
fn two_connections_never_work_on_the_same_headers() {
    let running = Running::synthetic();
    let mut one = running.miner();
    let mut two = running.miner();
    assert_ne!(one.extranonce1, two.extranonce1);
    let job = one.jobs[0].clone();
    let share = one.mine(&job);
    assert_eq!(one.submit(&share), 0);
    // What one found is worth nothing for the other, whose extranonce1 differs.
    assert_eq!(two.submit(&share), 23);
}

#[test]
fn a_new_difficulty_holds_from_the_next_job_on() {
    let running = Running::synthetic();
    let mut miner = running.miner();
    let old = miner.jobs[0].clone();
    running.pool.set_difficulty(difficulty(2e-5));
    let new = miner.next_job();
    assert_eq!(miner.difficulty, 2e-5);
    assert!(!new.clean);
    assert_ne!(new.id, old.id);
    let easy = miner.mine_for(&old, EASY * 1.001, EASY * 10.0);
    assert_eq!(miner.submit(&easy), 0, "the old job keeps the old difficulty");
    let easy = miner.mine_for(&new, EASY * 1.001, EASY * 10.0);
    assert_eq!(miner.submit(&easy), 23);
    let hard = miner.mine(&new);
    assert_eq!(miner.submit(&hard), 0);
}

#[test]
fn lines_that_are_no_requests_are_counted_and_survived() {
    let running = Running::synthetic();
    let mut miner = running.miner();
    miner.send("hello\n[1,2\n{\"method\":\"mining.suggest_difficulty\",\"params\":[1]}\n{\"id\":9,\"method\":\"mining.submit\"}\n");
    let state = running.wait("four bad lines", |state| state.bad_lines == 4);
    assert_eq!(state.shares_rejected, 0);
    let job = miner.jobs[0].clone();
    let share = miner.mine(&job);
    assert_eq!(miner.submit(&share), 0);
    assert_eq!(miner.request("mining.whatever", json!([]))["error"][0], 20);

    miner.send(&"x".repeat(17 << 10));
    assert!(miner.closed(), "a line beyond 16 KiB ends the connection");
    running.wait("gone", |state| state.connections == 0 && state.bad_lines == 5);
}

#[test]
fn the_sixty_fifth_connection_is_closed_and_a_free_place_is_given_again() {
    let running = Running::synthetic();
    let mut miners: Vec<Miner> = (0..64).map(|_| Miner::connect(running.pool.address())).collect();
    running.wait("64 connections", |state| state.connections == 64);
    assert!(Miner::connect(running.pool.address()).closed());
    miners.pop();
    running.wait("63 connections", |state| state.connections == 63);
    running.miner();
}

#[test]
fn a_miner_that_does_not_read_does_not_hold_up_the_others() {
    let running = Running::synthetic();
    let lazy = running.miner();
    let mut busy = running.miner();
    // More than the buffers of a loopback connection hold.
    running.pool.fault(Fault::LongLine { bytes: 16 << 20 });
    let mut rest = 16 << 20;
    while rest > 0 {
        let mut buffer = vec![0; 65_536.min(rest)];
        rest -= std::io::Read::read(&mut busy.stream, &mut buffer).unwrap();
    }
    running.runtime.block_on(running.pool.new_block()).unwrap();
    assert!(busy.next_job().clean);
    running.wait("the lazy one is closed", |state| state.connections == 1);
    drop(lazy);
}

#[test]
fn the_end_of_the_pool_closes_its_connections_and_its_socket() {
    let Running { pool, runtime } = Running::synthetic();
    let address = pool.address();
    let mut miner = Miner::connect(address);
    runtime.block_on(pool.shutdown());
    assert!(miner.closed());
    assert!(std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err());
}
