//! What pools do beside the book, and what strangers might send.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::time::Duration;

use adit_stratum::v1::{Client, Error, Event, JobError, MAX_LINE, Oddity, Refusal, Settings, Share};
use proptest::prelude::*;

const START: Duration = Duration::from_secs(1000);
const SUBSCRIBED: &str =
    r#"{"id":2,"result":[[["mining.set_difficulty","x"],["mining.notify","y"]],"4de05269",8],"error":null}"#;
const AUTHORIZED: &str = r#"{"id":3,"result":true,"error":null}"#;

fn settings() -> Settings {
    Settings {
        agent: "adit/0.1.0".into(),
        user: "someone".into(),
        password: "hunter2".into(),
        host: "pool.example.com".into(),
        version_mask: 0x1fff_e000,
        suggest_difficulty: None,
    }
}

fn fresh() -> Client {
    let mut client = Client::new(settings(), START);
    said(&mut client);
    client
}

/// A client that is subscribed and authorized.
fn ready() -> Client {
    let mut client = fresh();
    hears(&mut client, SUBSCRIBED);
    assert_eq!(hears(&mut client, AUTHORIZED), [Event::Authorized]);
    said(&mut client);
    client
}

fn said(client: &mut Client) -> String {
    let text = String::from_utf8(client.outgoing().to_vec()).unwrap();
    client.sent(text.len());
    text
}

fn try_hear(client: &mut Client, line: &str) -> Result<Vec<Event>, Error> {
    client.receive(line.as_bytes());
    client.receive(b"\n");
    let mut events = Vec::new();
    while let Some(event) = client.next_event(START)? {
        events.push(event);
    }
    Ok(events)
}

fn hears(client: &mut Client, line: &str) -> Vec<Event> {
    try_hear(client, line).unwrap()
}

/// A good `mining.notify` with one of its nine parameters replaced.
fn notify(place: usize, value: &str) -> String {
    let mut params = [
        r#""1f""#.to_owned(),
        format!("\"{}\"", "01".repeat(32)),
        r#""aabb""#.to_owned(),
        r#""ccdd""#.to_owned(),
        format!("[\"{}\"]", "02".repeat(32)),
        r#""20000000""#.to_owned(),
        r#""17023a04""#.to_owned(),
        r#""685468d7""#.to_owned(),
        "true".to_owned(),
    ];
    value.clone_into(&mut params[place]);
    format!(r#"{{"id":null,"method":"mining.notify","params":[{}]}}"#, params.join(","))
}

fn good_notify() -> String {
    notify(8, "true")
}

fn share() -> Share<'static> {
    Share {
        job_id: "1f",
        extranonce2: &[0; 8],
        ntime: 0x6854_68d7,
        nonce: 1,
        version: 0x2000_2000,
        version_mask: 0x1fff_e000,
    }
}

#[test]
fn a_refused_or_silent_configure_blocks_nothing() {
    for answer in [
        Some(r#"{"id":1,"result":null,"error":[20,"Unknown method",null]}"#),
        Some(r#"{"id":1,"result":{"version-rolling":false},"error":null}"#),
        None,
    ] {
        let mut client = fresh();
        if let Some(answer) = answer {
            assert_eq!(hears(&mut client, answer), []);
        }
        hears(&mut client, SUBSCRIBED);
        hears(&mut client, AUTHORIZED);
        assert!(matches!(hears(&mut client, &good_notify())[..], [Event::Job(_)]));
        client.tick(START + Duration::from_secs(86_400)).unwrap();
    }
}

#[test]
fn without_agreed_rolling_the_pool_is_told_no_version_bits() {
    let mut client = ready();
    client.submit(&Share { version_mask: 0, ..share() }, START);
    let line = said(&mut client);
    assert!(
        line.ends_with("[\"someone\",\"1f\",\"0000000000000000\",\"685468d7\",\"00000001\"]}\n"),
        "{line}"
    );
}

#[test]
fn with_agreed_rolling_the_pool_is_told_even_that_nothing_was_rolled() {
    let mut client = ready();
    hears(&mut client, r#"{"id":null,"method":"mining.set_version_mask","params":["00000000"]}"#);
    client.submit(&Share { version_mask: 0, version: 0x2000_0000, ..share() }, START);
    let line = said(&mut client);
    assert!(line.ends_with(",\"00000001\",\"00000000\"]}\n"), "{line}");
}

#[test]
fn a_mask_is_never_wider_than_what_was_asked_for() {
    let mut client = fresh();
    let wide = r#"{"id":1,"result":{"version-rolling":true,"version-rolling.mask":"ffffffff"},"error":null}"#;
    assert_eq!(hears(&mut client, wide), [Event::VersionMask(0x1fff_e000)]);
    let narrower = r#"{"id":null,"method":"mining.set_version_mask","params":["00fff000"]}"#;
    assert_eq!(hears(&mut client, narrower), [Event::VersionMask(0x00ff_e000)]);
    assert_eq!(hears(&mut client, narrower), [], "nothing changed");
    let none = r#"{"id":null,"method":"mining.set_version_mask","params":["00000000"]}"#;
    assert_eq!(hears(&mut client, none), [Event::VersionMask(0)]);
}

#[test]
fn a_mask_after_a_refusal_changes_nothing() {
    let mut client = fresh();
    hears(&mut client, r#"{"id":1,"result":null,"error":"no"}"#);
    assert_eq!(
        hears(&mut client, r#"{"id":null,"method":"mining.set_version_mask","params":["1fffe000"]}"#),
        []
    );
}

#[test]
fn difficulty_and_extranonce_hold_from_the_next_job_on() {
    let mut client = ready();
    let difficulty = |events: &[Event]| match events {
        [Event::Job(job)] => (job.difficulty, hex::encode(&job.extranonce1), job.extranonce2_size),
        other => panic!("{other:?}"),
    };
    assert_eq!(difficulty(&hears(&mut client, &good_notify())), (1.0, "4de05269".into(), 8));
    let fraction = r#"{"id":null,"method":"mining.set_difficulty","params":[0.0005]}"#;
    assert_eq!(hears(&mut client, fraction), [Event::Difficulty(0.0005)]);
    assert_eq!(hears(&mut client, r#"{"method":"mining.set_extranonce","params":["deadbeef01",2]}"#), []);
    assert_eq!(difficulty(&hears(&mut client, &good_notify())), (0.0005, "deadbeef01".into(), 2));
}

#[test]
fn a_job_before_the_worker_is_taken_waits_and_only_the_newest() {
    let mut client = fresh();
    assert_eq!(hears(&mut client, &good_notify()), [Event::Ignored(Oddity::EarlyJob)]);
    hears(&mut client, SUBSCRIBED);
    assert_eq!(hears(&mut client, &good_notify()), []);
    assert_eq!(hears(&mut client, &notify(0, "\"2a\"")), []);
    match &hears(&mut client, AUTHORIZED)[..] {
        [Event::Authorized, Event::Job(job)] => assert_eq!(job.id, "2a"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn impossible_jobs_are_named_and_survived() {
    let mut client = ready();
    let branch = |count| format!("[{}]", vec![format!("\"{}\"", "02".repeat(32)); count].join(","));
    let field = |name, bytes| JobError::Field { name, bytes };
    for (place, value, error) in [
        (0, "7".to_owned(), JobError::Id),
        (0, "\"\"".to_owned(), JobError::Id),
        (0, format!("\"{}\"", "x".repeat(129)), JobError::Id),
        (1, "\"00\"".to_owned(), field("previous hash", 32)),
        (1, format!("\"{}\"", "0x".repeat(32)), field("previous hash", 32)),
        (2, "\"abc\"".to_owned(), JobError::Coinbase("coinbase 1")),
        (3, "null".to_owned(), JobError::Coinbase("coinbase 2")),
        (4, "{}".to_owned(), JobError::Branch),
        (4, "[\"00\"]".to_owned(), JobError::Branch),
        (4, branch(33), JobError::BranchLength(33)),
        (5, "\"2000000\"".to_owned(), field("version", 4)),
        (6, "17".to_owned(), field("nbits", 4)),
        (7, "\"685468d7ff\"".to_owned(), field("ntime", 4)),
        (8, "1".to_owned(), JobError::Clean),
    ] {
        assert_eq!(
            hears(&mut client, &notify(place, &value)),
            [Event::Ignored(Oddity::Job(error))],
            "{value}"
        );
    }
    let short = r#"{"method":"mining.notify","params":["1f"]}"#;
    assert_eq!(hears(&mut client, short), [Event::Ignored(Oddity::Job(JobError::Parameters(1)))]);
    assert!(matches!(hears(&mut client, &notify(4, &branch(32)))[..], [Event::Job(_)]));
}

#[test]
fn senseless_parameters_are_named_and_survived() {
    let mut client = ready();
    for (line, kind) in [
        (r#"{"method":"mining.set_difficulty","params":[0]}"#, "mining.set_difficulty"),
        (r#"{"method":"mining.set_difficulty","params":[-1]}"#, "mining.set_difficulty"),
        (r#"{"method":"mining.set_difficulty","params":["1"]}"#, "mining.set_difficulty"),
        (r#"{"method":"mining.set_difficulty","params":{"a":1}}"#, "mining.set_difficulty"),
        (r#"{"method":"mining.set_difficulty"}"#, "mining.set_difficulty"),
        (r#"{"method":"mining.set_extranonce","params":["xx",4]}"#, "mining.set_extranonce"),
        (r#"{"method":"mining.set_extranonce","params":["00",0]}"#, "mining.set_extranonce"),
        (r#"{"method":"mining.set_extranonce","params":["00",33]}"#, "mining.set_extranonce"),
        (r#"{"method":"mining.set_version_mask","params":["1fffe"]}"#, "mining.set_version_mask"),
        ("not json at all", "not-json"),
        ("[1,2,3]", "not-a-message"),
        (r#"{"id":99,"result":true,"error":null}"#, "unknown-reply"),
        (r#"{"id":null,"result":true,"error":null}"#, "unknown-reply"),
    ] {
        match &hears(&mut client, line)[..] {
            [Event::Ignored(oddity)] => assert_eq!(oddity.kind(), kind, "{line}"),
            other => panic!("{line}: {other:?}"),
        }
    }
    assert!(matches!(hears(&mut client, &good_notify())[..], [Event::Job(_)]), "mining goes on");
}

#[test]
fn unknown_methods_and_blank_lines_pass_in_silence() {
    let mut client = ready();
    for line in ["", "\r", r#"{"id":8,"method":"mining.multi_version","params":[1]}"#, r#"{"method":"x"}"#] {
        assert_eq!(hears(&mut client, line), [], "{line}");
    }
    assert_eq!(said(&mut client), "");
}

#[test]
fn the_pools_questions_are_answered_under_its_own_id() {
    let mut client = ready();
    hears(&mut client, r#"{"id":"a\"b","method":"mining.ping","params":[]}"#);
    assert_eq!(said(&mut client), "{\"id\":\"a\\\"b\",\"result\":\"pong\",\"error\":null}\n");
    hears(&mut client, r#"{"id":null,"method":"client.get_version"}"#);
    assert_eq!(said(&mut client), "{\"id\":null,\"result\":\"adit/0.1.0\",\"error\":null}\n");
    let long = format!(r#"{{"id":"{}","method":"mining.ping","params":[]}}"#, "9".repeat(200));
    assert_eq!(hears(&mut client, &long), [Event::Ignored(Oddity::LongId)]);
    assert_eq!(said(&mut client), "");
}

#[test]
fn a_pool_that_asks_and_does_not_read_is_left() {
    let mut client = ready();
    let ping = r#"{"id":1,"method":"mining.ping","params":[]}"#;
    let end = (0..10_000).find_map(|_| try_hear(&mut client, ping).err());
    assert_eq!(end, Some(Error::NotReading));
}

#[test]
fn reconnect_goes_to_the_same_host_only() {
    let mut client = ready();
    for (params, port, seconds) in [
        ("[]", None, 0),
        (r#"["pool.example.com",3334,5]"#, Some(3334), 5),
        (r#"["POOL.example.com.","3334","5"]"#, Some(3334), 5),
        (r#"["",0,86400]"#, None, 60),
    ] {
        let line = format!(r#"{{"id":null,"method":"client.reconnect","params":{params}}}"#);
        let wait = Duration::from_secs(seconds);
        assert_eq!(hears(&mut client, &line), [Event::Reconnect { port, wait }], "{params}");
    }
    for host in ["evil.example.org", "pool.example.com.evil.org", "evil.pool.example.com"] {
        let line = format!(r#"{{"id":null,"method":"client.reconnect","params":["{host}",3333,0]}}"#);
        assert_eq!(hears(&mut client, &line), [Event::Ignored(Oddity::OtherHost(host.into()))]);
    }
}

#[test]
fn messages_for_people_are_passed_on_and_cut() {
    let mut client = ready();
    let line = format!(r#"{{"method":"client.show_message","params":["{}"]}}"#, "é".repeat(1000));
    assert_eq!(hears(&mut client, &line), [Event::Message("é".repeat(256))]);
}

#[test]
fn refused_and_unanswered_shares_are_told_apart() {
    let mut client = ready();
    let first = client.submit(&share(), START).unwrap();
    let second = client.submit(&share(), START).unwrap();
    let line = format!(r#"{{"id":"{first}","result":null,"error":[23,"Low difficulty share",null]}}"#);
    let refusal = Refusal { code: Some(23), message: "Low difficulty share".into() };
    assert_eq!(hears(&mut client, &line), [Event::ShareRejected { id: first, refusal }]);
    client.tick(START + Duration::from_secs(29)).unwrap();
    assert_eq!(client.next_event(START), Ok(None));
    client.tick(START + Duration::from_secs(30)).unwrap();
    assert_eq!(client.next_event(START), Ok(Some(Event::ShareUnanswered { id: second })));
}

#[test]
fn unanswered_shares_are_bounded() {
    let mut client = ready();
    let taken = (0..1000).filter(|_| client.submit(&share(), START).is_some()).count();
    assert!((200..=256).contains(&taken), "{taken}");
}

#[test]
fn a_handshake_that_fails_says_how() {
    let late = START + Duration::from_secs(30);
    assert_eq!(fresh().tick(late), Err(Error::NoAnswer("mining.subscribe")));
    let mut client = fresh();
    hears(&mut client, SUBSCRIBED);
    assert_eq!(client.tick(late), Err(Error::NoAnswer("mining.authorize")));

    let error =
        try_hear(&mut fresh(), r#"{"id":3,"result":false,"error":[24,"Unknown worker",null]}"#).unwrap_err();
    assert_eq!(error.to_string(), "pool refused the worker: code 24 \"Unknown worker\"");
    let error = try_hear(&mut fresh(), r#"{"id":2,"result":null,"error":"full"}"#).unwrap_err();
    assert_eq!(error.to_string(), "pool refused mining.subscribe: \"full\"");
    for wrong in
        ["[[],\"zz\",4]", "[[],\"00\",0]", "[[],\"00\"]", "true", &format!("[[],\"{}\",4]", "00".repeat(65))]
    {
        let line = format!(r#"{{"id":2,"result":{wrong},"error":null}}"#);
        assert!(matches!(try_hear(&mut fresh(), &line), Err(Error::Subscription(_))), "{wrong}");
    }
}

#[test]
fn a_line_without_end_ends_the_connection() {
    let mut client = ready();
    client.receive(&vec![b' '; MAX_LINE]);
    assert_eq!(client.next_event(START), Ok(None));
    client.receive(b"  ");
    assert_eq!(client.next_event(START), Err(Error::LineTooLong));
}

#[test]
fn a_suggested_difficulty_is_a_request_with_an_id() {
    let mut client = Client::new(Settings { suggest_difficulty: Some(0.5), ..settings() }, START);
    assert!(!said(&mut client).contains("suggest"));
    hears(&mut client, SUBSCRIBED);
    assert!(said(&mut client).contains(r#"{"id":5,"method":"mining.suggest_difficulty","params":[0.5]}"#));
}

#[test]
fn names_with_quotes_stay_inside_their_string() {
    let mut client = Client::new(Settings { user: "a\",\"b\n".into(), ..settings() }, START);
    assert!(said(&mut client).contains(r#"["a\",\"b\n","hunter2"]"#));
}

#[test]
fn credentials_are_not_in_debug_output() {
    let text = format!("{:?}", settings());
    assert!(!text.contains("hunter2") && !text.contains("someone"), "{text}");
}

#[test]
fn a_host_that_spells_credentials_does_not_get_them_shown() {
    let mut client = ready();
    let line = r#"{"id":null,"method":"client.reconnect","params":["hunter2.someone.example.org",3333,0]}"#;
    let shown = Oddity::OtherHost("….….example.org".into());
    assert_eq!(hears(&mut client, line), [Event::Ignored(shown)]);
}

#[test]
fn a_pool_that_repeats_credentials_does_not_get_them_shown() {
    let settings = Settings { user: "bc1qsecret.unit7".into(), ..settings() };
    let mut client = Client::new(settings, START);
    let line =
        r#"{"id":3,"error":[24,"unknown worker bc1qsecret.unit7 (bc1qsecret), password hunter2",null]}"#;
    let error = try_hear(&mut client, line).unwrap_err();
    assert_eq!(error.to_string(), "pool refused the worker: code 24 \"unknown worker … (…), password …\"");
    let line = r#"{"method":"client.show_message","params":["hello bc1qsecret"]}"#;
    assert_eq!(hears(&mut client, line), [Event::Message("hello …".into())]);
}

/// JSON of any shape, leaning towards what a pool might say.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(|number| number.to_string()),
        "[ -~&&[^\"\\\\]]{0,80}".prop_map(|text| format!("\"{text}\"")),
        "([0-9a-f]{2}){0,40}".prop_map(|text| format!("\"{text}\"")),
    ];
    leaf.prop_recursive(3, 40, 10, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..10)
                .prop_map(|items| format!("[{}]", items.join(","))),
            proptest::collection::vec(("[a-z]{1,8}", inner), 0..4).prop_map(|items| {
                let items: Vec<_> =
                    items.into_iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", items.join(","))
            }),
        ]
    })
}

fn line() -> impl Strategy<Value = String> {
    let method = prop_oneof![
        Just("mining.notify"),
        Just("mining.set_difficulty"),
        Just("mining.set_extranonce"),
        Just("mining.set_version_mask"),
        Just("mining.ping"),
        Just("client.reconnect"),
        Just("client.show_message"),
        Just("client.get_version"),
    ];
    prop_oneof![
        json(),
        (method, json(), json()).prop_map(|(method, id, params)| format!(
            r#"{{"id":{id},"method":"{method}","params":{params}}}"#
        )),
        (0u8..8, json(), json())
            .prop_map(|(id, result, error)| format!(r#"{{"id":{id},"result":{result},"error":{error}}}"#)),
        (0usize..9, json()).prop_map(|(place, value)| notify(place, &value)),
    ]
}

proptest! {
    #[test]
    fn no_json_panics_or_breaks_a_bound(lines in proptest::collection::vec(line(), 0..30), ready_first in any::<bool>()) {
        let mut client = if ready_first { ready() } else { fresh() };
        for line in lines {
            let Ok(events) = try_hear(&mut client, &line) else { return Ok(()) };
            for event in events {
                if let Event::Job(job) = event {
                    prop_assert!(job.branch.len() <= 32 && job.difficulty > 0.0 && job.difficulty.is_finite());
                    prop_assert!((1..=32).contains(&job.extranonce2_size) && job.extranonce1.len() <= 64);
                }
            }
            said(&mut client);
        }
    }

    #[test]
    fn no_bytes_panic(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..20)) {
        let mut client = ready();
        for piece in pieces {
            client.receive(&piece);
            while let Ok(Some(_)) = client.next_event(START) {}
        }
    }
}
