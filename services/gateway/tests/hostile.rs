//! Strangers who mean no good: whatever they do, the next one is answered.

mod support;

use std::time::{Duration, Instant};

use adit_gateway::server::Limits;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use support::{Answer, Site};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
    time::{sleep, timeout},
};

/// Everything a tenth of the real thing.
fn hasty() -> Limits {
    Limits {
        head: Duration::from_millis(400),
        life: Duration::from_secs(2),
        grace: Duration::from_millis(200),
        ..Limits::default()
    }
}

#[tokio::test]
async fn clients_that_never_finish_a_request_are_shown_out() {
    let site = Site::with(hasty());
    let start = Instant::now();
    let mut slow = JoinSet::new();
    for _ in 0..16 {
        let mut stream = site.connect().await;
        slow.spawn(async move {
            // One byte now and then, for ever: a byte buys no time.
            for byte in b"GET / HTTP/1.1\r\nx-slow: and never an end to it all".iter().cycle() {
                if stream.write_all(&[*byte]).await.is_err() {
                    break;
                }
                sleep(Duration::from_millis(50)).await;
            }
        });
    }
    timeout(Duration::from_secs(3), slow.join_all()).await.expect("all are out within their time");
    assert!(start.elapsed() > Duration::from_millis(400));
    assert_eq!(site.get("/page.css").await.code, 200);
}

#[tokio::test]
async fn silent_and_idle_connections_end() {
    let site = Site::with(hasty());
    let mut silent = site.connect().await;
    let mut idle = site.connect().await;
    idle.write_all(b"GET /page.css HTTP/1.1\r\nhost: unit\r\n\r\n").await.unwrap();
    let start = Instant::now();
    assert_eq!(Answer::read(&mut silent).await.code, 0);
    assert_eq!(Answer::read(&mut idle).await.code, 200);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_connection_lives_only_so_long_however_busy() {
    let site = Site::with(hasty());
    let mut stream = site.connect().await;
    let start = Instant::now();
    let mut buffer = [0; 65536];
    while stream.write_all(b"GET /icon.svg HTTP/1.1\r\nhost: unit\r\n\r\n").await.is_ok() {
        if !matches!(stream.read(&mut buffer).await, Ok(1..)) {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(4));
        sleep(Duration::from_millis(20)).await;
    }
    assert!(start.elapsed() > Duration::from_millis(1900), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answers_is_cut_off() {
    let site = Site::with(hasty());
    let mut stream = site.connect().await;
    let request = b"GET /page.js HTTP/1.1\r\nhost: unit\r\n\r\n".repeat(1000);
    let start = Instant::now();
    // Ends with an error when the gateway has gone.
    while stream.write_all(&request).await.is_ok() {
        assert!(start.elapsed() < Duration::from_secs(4), "still taking requests");
    }
    assert_eq!(site.get("/page.css").await.code, 200);
}

#[tokio::test]
async fn one_address_gets_so_many_connections_and_no_more() {
    let (site, _hardware, _miner) = Site::hashing();
    let mut guests = Vec::new();
    for _ in 0..16 {
        guests.push(site.connect().await);
    }
    // The seventeenth is closed without an answer.
    assert_eq!(site.get("/page.css").await.code, 0);
    guests.clear();
    sleep(Duration::from_millis(200)).await;
    let metrics = site.get("/metrics").await;
    assert!(metrics.body.contains("adit_gateway_connections_total{result=\"refused\"} 1\n"), "{metrics:?}");
}

#[tokio::test]
async fn when_all_places_are_taken_the_next_client_waits_for_one() {
    let site = Site::with(Limits { connections: 4, ..hasty() });
    let mut guests = Vec::new();
    for _ in 0..4 {
        guests.push(site.connect().await);
    }
    let start = Instant::now();
    assert_eq!(site.get("/page.css").await.code, 200);
    assert!(start.elapsed() > Duration::from_millis(200), "{:?}", start.elapsed());
}

#[tokio::test]
async fn heads_without_measure_are_refused() {
    let site = Site::start();
    let long_path = format!("GET /{} HTTP/1.1\r\nhost: unit\r\n\r\n", "a".repeat(100_000));
    let long_field = format!("GET / HTTP/1.1\r\nhost: unit\r\nx: {}\r\n\r\n", "a".repeat(100_000));
    let many_fields = format!("GET / HTTP/1.1\r\nhost: unit\r\n{}\r\n", "x: y\r\n".repeat(1000));
    for request in [long_path, long_field, many_fields] {
        let answer = site.send(request.as_bytes()).await;
        assert!([0, 414, 431].contains(&answer.code), "{answer:?}");
    }
    assert_eq!(site.get("/page.css").await.code, 200);
}

#[tokio::test]
async fn two_lengths_or_a_length_and_chunks_are_never_served() {
    let site = Site::start();
    for fields in
        ["content-length: 0\r\ncontent-length: 30\r\n", "content-length: 5\r\ntransfer-encoding: chunked\r\n"]
    {
        let answer = site.request("POST", "/", fields).await;
        assert!([400, 413].contains(&answer.code), "{answer:?}");
    }
}

#[test]
fn no_bytes_bring_the_gateway_down() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let site = runtime.block_on(async { Site::with(hasty()) });
    let words = prop::sample::select(vec![
        "GET ",
        "HEAD ",
        "POST ",
        "/",
        "/metrics",
        " HTTP/1.1",
        " HTTP/9.9",
        "\r\n",
        "\n",
        "host: ",
        "content-length: ",
        "-1",
        "18446744073709551616",
        "transfer-encoding: chunked",
        "accept: ",
        "q=",
        ";",
        ",",
        "\0",
        "\u{80}",
        "%00",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "connection: upgrade\r\nupgrade: h2c\r\n",
    ]);
    let requests = prop_oneof![
        prop::collection::vec(words, 0..20).prop_map(|words| words.concat().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..200),
    ];
    let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    runner
        .run(&requests, |request| {
            runtime.block_on(async {
                let mut stream = site.connect().await;
                _ = stream.write_all(&request).await;
                _ = stream.shutdown().await;
                let mut answer = Vec::new();
                _ = stream.read_to_end(&mut answer).await;
                assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "{answer:?}");
            });
            Ok(())
        })
        .unwrap();
    runtime.block_on(async {
        assert_eq!(site.get("/page.css").await.code, 200);
        site.stop().await;
    });
}
