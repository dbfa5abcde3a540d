//! A pool behind `openssl s_server`: whom the miner talks to, and what it says about those whom it does not.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod common;

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, SystemTime},
};

use adit_miner::pool_link::{LinkEvent, PoolLink};
use adit_pool::{Authority, Certificate, Config, Difficulty, Pool, TlsFront};
use common::{Driver, ScriptedPool, Unit, until};
use tokio::{io::AsyncWriteExt, net::TcpListener};

const NAMES: &str = "DNS:localhost,IP:127.0.0.1";
const DAY: Duration = Duration::from_secs(86_400);

fn yesterday() -> SystemTime {
    SystemTime::now() - DAY
}

fn tomorrow() -> SystemTime {
    SystemTime::now() + DAY
}

fn good(authority: &Authority) -> Certificate {
    authority.certificate(NAMES, yesterday(), tomorrow()).unwrap()
}

fn trusting(authority: &Authority) -> String {
    format!("authority = \"\"\"\n{}\"\"\"\n", authority.pem().unwrap())
}

fn pinning(certificate: &Certificate) -> String {
    format!("certificate_sha256 = \"{}\"\n", certificate.fingerprint().unwrap())
}

fn config(host: &str, port: u16, trust: &str) -> String {
    format!(
        "version = 1\n[[pool]]\nurl = \"stratum+ssl://{host}:{port}\"\nuser = \"someone\"\npassword = \"hunter2\"\n{trust}"
    )
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Mines at a strict pool until it has accepted some shares, over this kind of TLS.
async fn mines(certificate: &Certificate, host: &str, trust: &str, options: &[&str]) {
    let difficulty = Difficulty::new(1e-7).unwrap();
    let pool = Pool::start(Config { difficulty, ..Config::default() }).await.unwrap();
    let front = TlsFront::start(certificate, pool.address(), options).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let _driver = Driver::start(folder.path());
    let unit = Unit::start(folder, Some(&config(host, front.port(), trust)));
    until("accepted shares over TLS", async || pool.state().shares_accepted >= 20).await;
    let status = unit.status().await;
    assert_eq!(
        (status.state.as_str(), status.pool),
        ("hashing", format!("stratum+ssl://{host}:{}", front.port()))
    );
    assert_eq!((pool.state().shares_rejected, pool.state().bad_lines), (0, 0));
    unit.stop().await;
}

#[tokio::test]
async fn shares_are_accepted_over_tls_1_2_and_1_3() {
    let authority = Authority::new().unwrap();
    let (certificate, trust) = (good(&authority), trusting(&authority));
    mines(&certificate, "localhost", &trust, &["-tls1_2"]).await;
    mines(&certificate, "localhost", &trust, &["-tls1_3"]).await;
    mines(&certificate, "127.0.0.1", &trust, &[]).await;
}

#[tokio::test]
async fn a_pinned_certificate_is_good_whatever_its_names_and_dates_and_whoever_signed_it() {
    let authority = Authority::new().unwrap();
    let old = authority.certificate("DNS:elsewhere", yesterday() - DAY, yesterday()).unwrap();
    mines(&old, "127.0.0.1", &pinning(&old), &["-tls1_2"]).await;
    mines(&authority.itself(), "127.0.0.1", &pinning(&authority.itself()), &["-tls1_3"]).await;
}

/// Why a new connection is lost, and whether by the clock.
async fn lost(host: &str, port: u16, trust: &str) -> (String, bool) {
    let config = adit_config::Config::parse(&config(host, port, trust), "adit.toml").unwrap();
    let mut link = PoolLink::new(&config.pools[0], tokio::time::Instant::now());
    link.open();
    loop {
        match link.next().await {
            LinkEvent::Connecting => {}
            LinkEvent::Lost { reason, by_clock, .. } => {
                assert!(!reason.contains(['\n', '"']), "{reason}");
                return (reason, by_clock);
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The same, of a server with this certificate. Nothing of the account has reached it: the way to the pool behind it leads nowhere.
async fn refused(certificate: &Certificate, host: &str, trust: &str) -> (String, bool) {
    let front = TlsFront::start(certificate, loopback(1), &[]).unwrap();
    lost(host, front.port(), trust).await
}

#[tokio::test]
async fn each_wrong_certificate_is_refused_with_its_own_line() {
    let (authority, other) = (Authority::new().unwrap(), Authority::new().unwrap());
    let (certificate, trust) = (good(&authority), trusting(&authority));
    let hint = "adit.toml can name an authority (authority) or pin the certificate (certificate_sha256)";
    let unknown = (format!("certificate is of an authority that is not known here; {hint}"), false);
    assert_eq!(refused(&certificate, "localhost", "").await, unknown, "no public authority signed it");
    assert_eq!(refused(&good(&other), "localhost", &trust).await, unknown);
    let own = "certificate is an authority's own, not a server's; pin it (certificate_sha256)".to_owned();
    assert_eq!(refused(&authority.itself(), "localhost", &trust).await, (own.clone(), false));
    assert_eq!(refused(&authority.itself(), "localhost", "").await, (own, false));

    let elsewhere = authority.certificate("DNS:pool.example", yesterday(), tomorrow()).unwrap();
    for host in ["localhost", "127.0.0.1"] {
        let line = format!("certificate is for other names than {host}");
        assert_eq!(refused(&elsewhere, host, &trust).await, (line, false));
    }

    let wrong = format!(
        "certificate is not the one that adit.toml pins; its SHA-256 is {}",
        certificate.fingerprint().unwrap()
    );
    assert_eq!(refused(&certificate, "localhost", &pinning(&elsewhere)).await, (wrong, false));
}

#[tokio::test]
async fn a_certificate_of_another_time_is_refused_with_its_date_and_the_clocks() {
    let authority = Authority::new().unwrap();
    let trust = trusting(&authority);
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);

    // Dates are `date -u -d @SECONDS`'s.
    let expired = authority.certificate(NAMES, at(951_782_399), at(1_582_934_400)).unwrap();
    let (reason, by_clock) = refused(&expired, "localhost", &trust).await;
    let clock = reason.strip_prefix("certificate expired on 2020-02-29T00:00:00Z; this unit's clock says ");
    assert!(clock.is_some_and(|clock| clock.starts_with("20") && clock.len() == 20), "{reason}");
    assert!(by_clock);

    let early = authority.certificate(NAMES, at(4_107_542_400), at(4_107_628_800)).unwrap();
    let (reason, by_clock) = refused(&early, "localhost", &trust).await;
    let start = "certificate not valid before 2100-03-01T00:00:00Z, and this unit's clock says 20";
    let end = "; a new attempt follows as soon as a time source has set it";
    assert!(reason.starts_with(start) && reason.ends_with(end), "{reason}");
    assert!(by_clock);
}

#[tokio::test]
async fn what_does_not_speak_tls_is_refused_with_its_own_line() {
    let authority = Authority::new().unwrap();
    let trust = trusting(&authority);
    let listener = || async { TcpListener::bind("127.0.0.1:0").await.unwrap() };

    let plain = listener().await;
    let port = plain.local_addr().unwrap().port();
    let talker = tokio::spawn(async move {
        let (mut stream, _) = plain.accept().await.unwrap();
        stream
            .write_all(b"{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[1]}\n")
            .await
            .unwrap();
        std::future::pending::<()>().await;
    });
    let line = "what answers does not speak TLS: is this the pool's port for it?".to_owned();
    assert_eq!(lost("localhost", port, &trust).await, (line, false));
    talker.abort();

    let rude = listener().await;
    let port = rude.local_addr().unwrap().port();
    let hangs_up = tokio::spawn(async move {
        let (mut stream, _) = rude.accept().await.unwrap();
        let mut hello = [0; 4096];
        tokio::io::AsyncReadExt::read(&mut stream, &mut hello).await.unwrap();
    });
    let line = "closed by the pool in the TLS handshake".to_owned();
    assert_eq!(lost("127.0.0.1", port, &trust).await, (line, false));
    hangs_up.await.unwrap();

    let silent = listener().await;
    let port = silent.local_addr().unwrap().port();
    let start = std::time::Instant::now();
    assert_eq!(lost("127.0.0.1", port, &trust).await, ("no TLS handshake in 10 s".to_owned(), false));
    assert!(start.elapsed() < Duration::from_secs(12), "{:?}", start.elapsed());

    // TLS 1.1 is the newest that this one speaks.
    let old = ["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"];
    let front = TlsFront::start(&good(&authority), loopback(1), &old).unwrap();
    let line = "the pool ended TLS: ProtocolVersion".to_owned();
    assert_eq!(lost("127.0.0.1", front.port(), &trust).await, (line, false));
}

#[tokio::test]
async fn an_authority_that_is_no_certificate_is_said_and_nothing_is_sent_without_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let empty = "authority = \"\"\"\n-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n\"\"\"\n";
    let (reason, _) = lost("127.0.0.1", port, empty).await;
    assert!(reason.starts_with("pool.authority in adit.toml is no usable certificate: "), "{reason}");
    assert!(tokio::time::timeout(Duration::from_millis(100), listener.accept()).await.is_err());
}

#[tokio::test]
async fn long_lines_come_through_whole_and_endless_ones_end_the_connection() {
    let authority = Authority::new().unwrap();
    let pool = ScriptedPool::start().await;
    let front = TlsFront::start(&good(&authority), loopback(pool.port()), &[]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let _driver = Driver::start(folder.path());
    let unit = Unit::start(folder, Some(&config("localhost", front.port(), &trusting(&authority))));
    let mut conversation = pool.welcome("aabb").await;
    conversation.says(r#"{"id":null,"method":"mining.set_difficulty","params":[1e-9]}"#).await;
    // Several records of TLS, and of the miner's own chunks, in one line, and the job right behind it.
    conversation
        .says(&format!(r#"{{"id":null,"method":"unknown","params":["{}"]}}"#, "x".repeat(60_000)))
        .await;
    conversation.job("1", 7, true).await;
    assert_eq!(conversation.share().await.job, "1");
    conversation.says_bytes(&vec![b'x'; 100_000]).await;
    until("the reason", async || unit.status().await.reason == "line longer than 64 KiB").await;
    unit.stop().await;
}
