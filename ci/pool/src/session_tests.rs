//! The session without IO: order of messages, what is in force when, and nonsense.

use super::*;
use crate::template::synthetic;
use crate::work::ANYONE_CAN_SPEND;
use proptest::prelude::*;

const NOW: u32 = 1_700_000_000;

fn work(serial: u32, clean: bool) -> Arc<Work> {
    Arc::new(Work::new(synthetic(0, NOW), serial, &ANYONE_CAN_SPEND, 4, clean))
}

fn ask(session: &mut Session, request: &Value) -> Output {
    session.handle(request.to_string().as_bytes(), NOW, &Standing::default())
}

fn ready() -> Session {
    let mut session = Session::new([1, 2, 3, 4], 4, Difficulty::new(1e-9).unwrap());
    session.announce(work(1, true), false);
    ask(&mut session, &json!({"id": 1, "method": "mining.subscribe", "params": ["test/1"]}));
    ask(&mut session, &json!({"id": 2, "method": "mining.authorize", "params": ["a.b", "x"]}));
    session
}

#[test]
fn the_first_job_follows_the_difficulty_once_subscribed_and_authorized_in_either_order() {
    for order in [["mining.subscribe", "mining.authorize"], ["mining.authorize", "mining.subscribe"]] {
        let mut session = Session::new([1, 2, 3, 4], 4, Difficulty::new(0.5).unwrap());
        assert!(session.announce(work(1, false), false).is_none());
        let first = ask(&mut session, &json!({"id": 1, "method": order[0], "params": ["x"]}));
        assert_eq!(first.lines.len(), 1);
        let second = ask(&mut session, &json!({"id": "two", "method": order[1], "params": ["x"]}));
        assert_eq!(second.lines.len(), 3, "{second:?}");
        assert_eq!(second.lines[0]["id"], "two");
        assert_eq!(second.lines[1]["params"], json!([0.5]));
        assert_eq!(second.lines[2]["params"][8], true, "nothing older exists for a new miner");
    }
}

#[test]
fn the_mask_is_what_both_sides_allow_and_too_few_bits_are_not_enough() {
    let mut session = ready();
    let configure = |mask: &str, least: u64| {
        json!({"id": 1, "method": "mining.configure", "params": [["version-rolling", "minimum-difficulty"],
            {"version-rolling.mask": mask, "version-rolling.min-bit-count": least}]})
    };
    let full = ask(&mut session, &configure("ffffffff", 2));
    assert_eq!(
        full.lines[0]["result"],
        json!({"version-rolling": true, "version-rolling.mask": "1fffe000", "minimum-difficulty": false})
    );
    let part = ask(&mut session, &configure("20006001", 2));
    assert_eq!(part.lines[0]["result"]["version-rolling.mask"], "00006000");
    let few = ask(&mut session, &configure("00002000", 2));
    assert!(few.lines[0]["result"]["version-rolling"].is_string());
    assert_eq!(session.mask, Some(0x6000));
    assert!(ask(&mut session, &configure("everything", 0)).lines[0]["error"].is_array());
}

#[test]
fn a_clean_job_voids_all_others_and_the_oldest_of_too_many_goes_first() {
    let mut session = ready();
    for serial in 2..=MAX_JOBS as u32 + 1 {
        session.announce(work(serial, false), false);
    }
    assert_eq!(session.jobs.len(), MAX_JOBS);
    assert_eq!(session.jobs[0].work.id, "2");
    session.announce(work(1000, true), false);
    assert_eq!(session.jobs.len(), 1);
}

#[test]
fn a_job_keeps_the_difficulty_that_was_in_force_when_it_was_sent() {
    let mut session = ready();
    session.set_difficulty(Difficulty::new(7.0).unwrap());
    assert_eq!(session.jobs[0].difficulty.value(), 1e-9);
    session.announce(work(2, false), false);
    assert_eq!(session.jobs[1].difficulty.value(), 7.0);
}

#[test]
fn only_the_awaited_answer_is_a_pong() {
    let mut session = ready();
    let wrong = ask(&mut session, &json!({"id": 1, "result": "pong", "error": null}));
    assert_eq!(wrong.events, [Event::BadLine("neither a request nor an awaited answer")]);
    let id = session.ping()["id"].clone();
    assert_eq!(ask(&mut session, &json!({"id": id, "result": "pong"})).events, [Event::Pong]);
}

#[test]
fn a_miner_that_talks_nonsense_is_closed_after_a_while() {
    let mut session = ready();
    let closed = (1..).find(|_| session.handle(b"{", NOW, &Standing::default()).close);
    assert_eq!(closed, Some(MAX_BAD_LINES + 1));
}

#[test]
fn a_change_of_size_closes_who_cannot_follow() {
    let mut session = ready();
    assert_eq!(session.set_extranonce([9; 4], 4), Ok(None));
    assert_eq!(session.extranonce1, [1, 2, 3, 4]);
    assert_eq!(session.set_extranonce([9; 4], 8), Err(()));
    ask(&mut session, &json!({"id": 3, "method": "mining.extranonce.subscribe", "params": []}));
    let line = session.set_extranonce([9; 4], 8).unwrap().unwrap();
    assert_eq!(line["params"], json!(["09090909", 8]));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[0-9a-f]{0,10}".prop_map(Value::from),
        Just(json!("a.b")),
        Just(json!("1")),
        Just(json!("version-rolling")),
    ];
    leaf.prop_recursive(2, 16, 7, |inner| prop::collection::vec(inner, 0..7).prop_map(Value::from))
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(line in prop::collection::vec(any::<u8>(), 0..200)) {
        ready().handle(&line, NOW, &Standing::default());
    }

    #[test]
    fn every_request_gets_one_answer_whatever_its_parameters(
        method in prop::sample::select(vec!["mining.configure", "mining.subscribe", "mining.authorize", "mining.submit",
            "mining.extranonce.subscribe", "mining.suggest_difficulty", "mining.other"]),
        params in prop::collection::vec(any_json(), 0..8),
    ) {
        let out = ask(&mut ready(), &json!({"id": 7, "method": method, "params": params}));
        prop_assert_eq!(out.lines.len(), 1);
        prop_assert_eq!(&out.lines[0]["id"], 7);
        prop_assert!(out.lines[0]["result"].is_null() != out.lines[0]["error"].is_null());
    }
}
