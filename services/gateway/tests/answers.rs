//! What a client gets, as `docs/api.md` says.

mod support;

use std::time::{Duration, Instant};

use adit_bus::{
    hardware::{BoardStatus, ChainStatus, FaultStatus, HardwareStatus, SensorStatus},
    miner::{MinerStatus, STATUS_DOOR},
    network::NetworkStatus,
};
use serde_json::{Value, json};
use support::{Service, Site, bind, hashing};

#[tokio::test]
async fn the_status_of_a_hashing_unit_is_what_its_services_say() {
    let (site, _hardware, _miner) = Site::hashing();
    let answer = site.get("/api/v1/status").await;
    assert_eq!(answer.field("content-type"), Some("application/json"));
    assert_eq!(answer.field("cache-control"), Some("no-store"));
    let mut status = site.status().await;
    assert!(status["unit"]["uptime_seconds"].take().is_u64());
    assert_eq!(
        status,
        json!({
            "api_version": 1,
            "state": "hashing",
            "reason": "",
            "problems": [],
            "unit": {
                "version": "0.1.0+g1234", "board": "qemu-aarch64", "slot": "a", "uptime_seconds": null,
            },
            "miner": {
                "state": "hashing",
                "reason": "",
                "pool_url": "stratum+tcp://pool.example:3333",
                "pool_difficulty": 1000.0,
                "hash_rate_hashes_per_second": 1_070_000_500_000.0,
                "shares_accepted": 12,
                "shares_rejected": 1,
                "shares_stale": 2,
                "nonces_invalid": 3,
                "best_share_difficulty": 52_000.25,
                "blocks_accepted": 4,
            },
            "hardware": {
                "machine": "qemu-bitaxe",
                "simulated": true,
                "untested": false,
                "stage": "hashing",
                "fault": "",
                "rail_volts": 1.15,
                "fans": [{"fan": 0, "speed_rpm": 4200}],
                "boards": [{
                    "board": 0,
                    "name": "bitaxe",
                    "state": "hashing",
                    "reason": "",
                    "volts": 1.15,
                    "watts": 17.5,
                }],
                "sensors": [{"name": "board", "board": 0, "state": "good", "celsius": 44.5}],
                "faults": [],
                "chains": [{
                    "chain": 0,
                    "chip": "BM1370",
                    "chips_found": 1,
                    "chips_expected": 1,
                    "clock_megahertz": 525.0,
                    "chip_celsius": 61.25,
                    "target_megahertz": 550.0,
                    "throttle_megahertz": null,
                    "die_celsius": 68.5,
                    "works_sent": 4711,
                    "nonces": 99,
                    "crc_errors": 2,
                    "skipped_bytes": 0,
                    "impossible_responses": 0,
                    "chip_hashes": 300_647_710_720.0,
                    "chip_hashes_wrong": 8_589_934_592.0,
                }],
            },
            "network": {
                "link": "eth0",
                "mac": "52:54:00:12:34:56",
                "carrier": true,
                "source": "dhcp",
                "addresses": ["10.0.2.15/24", "fec0::5054:ff:fe12:3456/64"],
                "gateways": ["10.0.2.2"],
                "dns": ["10.0.2.3"],
                "host_name": "rack1-unit7",
                "local_name": "rack1-unit7.local",
            },
        })
    );
    site.stop().await;
}

#[tokio::test]
async fn every_chip_of_every_chain_is_told_and_no_more_than_a_machine_can_have() {
    let site = Site::start();
    let (mut hardware, miner) = hashing();
    hardware.chains[0].chips_expected = 2;
    let none =
        ChainStatus { chip_hashes: 0, chip_errors: 0, die_celsius: f64::NAN, ..hardware.chains[0].clone() };
    hardware.chains.extend((1..12).map(|chain| ChainStatus { chain, chips_expected: 1000, ..none.clone() }));
    let _services =
        (Service::hardware(site.doors.path(), hardware), Service::miner(site.doors.path(), miner));
    let answer = site.get("/api/v1/chips").await;
    assert_eq!((answer.code, answer.field("content-type")), (200, Some("application/json")));
    let chips: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((&chips["api_version"], &chips["problems"]), (&json!(1), &json!([])));
    assert_eq!(
        chips["chains"][0],
        json!({"chain": 0, "chip": "BM1370", "chips": [
            {"place": 0, "address": 0, "found": true, "nonces": 99, "hashes_wrong": 8_589_934_592.0, "die_celsius": 68.5},
            {"place": 1, "address": 2, "found": false, "nonces": 99, "hashes_wrong": 8_589_934_592.0, "die_celsius": 68.5},
        ]})
    );
    let chains = chips["chains"].as_array().unwrap();
    assert_eq!((chains.len(), chains[7]["chips"].as_array().unwrap().len()), (8, 128));
    assert_eq!(
        [&chains[1]["chips"][0]["hashes_wrong"], &chains[1]["chips"][0]["die_celsius"]],
        [&Value::Null; 2]
    );
    let metrics = site.get("/metrics").await.body;
    assert!(metrics.contains("adit_chip_nonces_total{chain=\"7\",chip=\"127\"} 99\n"), "{metrics}");
    assert_eq!(metrics.matches("\nadit_chip_nonces_total").count(), 2 + 7 * 128);
    assert_eq!(metrics.matches("\nadit_chip_errors_total").count(), 2, "the others do not count");

    let site = Site::start();
    let chips: Value = serde_json::from_str(&site.get("/api/v1/chips").await.body).unwrap();
    assert_eq!(chips["chains"], Value::Null);
    assert!(chips["problems"][0].as_str().unwrap().starts_with("adit-hardware does not answer: "), "{chips}");
    assert!(!site.get("/metrics").await.body.contains("adit_chip_"));
}

type Change = fn(&mut HardwareStatus, &mut MinerStatus);

#[tokio::test]
async fn a_unit_is_called_hashing_only_on_evidence() {
    let table: [(Change, &str); 5] = [
        (|_, miner| miner.mhs = 0.0, "no valid nonce"),
        (|hardware, _| hardware.stage = "ramp".into(), "stage ramp"),
        (
            |hardware, _| {
                hardware.stage = "fault".into();
                hardware.fault = "fan 0 stands still".into();
            },
            "fault: fan 0 stands still",
        ),
        (
            |_, miner| {
                miner.state = "connecting".into();
                miner.reason = "connection refused".into();
            },
            "connecting: connection refused",
        ),
        (|_, miner| miner.state = "unclaimed".into(), "unclaimed"),
    ];
    for (change, reason) in table {
        let site = Site::start();
        let (mut hardware, mut miner) = hashing();
        change(&mut hardware, &mut miner);
        let _services =
            (Service::hardware(site.doors.path(), hardware), Service::miner(site.doors.path(), miner));
        let status = site.status().await;
        assert_eq!(status["state"], "not_hashing", "{status}");
        assert!(status["reason"].as_str().unwrap().contains(reason), "{reason}: {status}");
    }
}

#[tokio::test]
async fn a_unit_without_a_port_says_so_and_long_lists_are_cut() {
    let site = Site::start();
    let status = NetworkStatus {
        source: "dhcp".into(),
        addresses: vec!["2001:db8::1/64".into(); 1000],
        host_name: "adit".into(),
        ..Default::default()
    };
    let _network = Service::network(site.doors.path(), status);
    let network = site.status().await["network"].take();
    assert_eq!([&network["link"], &network["mac"], &network["local_name"]], [&Value::Null; 3], "{network}");
    assert_eq!((network["carrier"].as_bool(), network["host_name"].as_str()), (Some(false), Some("adit")));
    assert_eq!(network["addresses"].as_array().unwrap().len(), 16);
}

#[tokio::test]
async fn what_was_not_measured_is_null_and_has_no_metric() {
    let site = Site::start();
    let (mut hardware, miner) = hashing();
    hardware.rail_volts = f64::NAN;
    (hardware.boards[0].volts, hardware.boards[0].watts) = (f64::NAN, f64::NAN);
    hardware.sensors[0].celsius = f64::NAN;
    hardware.chains[0].chip_celsius = f64::NAN;
    hardware.chains[0].die_celsius = f64::NAN;
    (hardware.chains[0].chip_hashes, hardware.chains[0].chip_errors) = (0, 0);
    // Counts its hashes, and has found none wrong.
    hardware.chains.push(ChainStatus { chain: 1, chip_hashes: 1, ..hardware.chains[0].clone() });
    // Counts only the wrong ones, as a BM1397 does.
    hardware.chains.push(ChainStatus { chain: 2, chip_errors: 1, ..hardware.chains[0].clone() });
    let _services =
        (Service::hardware(site.doors.path(), hardware), Service::miner(site.doors.path(), miner));
    let status = site.status().await;
    assert_eq!(status["hardware"]["rail_volts"], Value::Null);
    let chains = &status["hardware"]["chains"];
    for key in ["chip_celsius", "die_celsius", "chip_hashes", "chip_hashes_wrong"] {
        assert_eq!(chains[0][key], Value::Null, "{key}");
    }
    let counts = |chain: usize| [&chains[chain]["chip_hashes"], &chains[chain]["chip_hashes_wrong"]];
    assert_eq!(counts(1), [&json!(4_294_967_296.0), &json!(0.0)]);
    assert_eq!(counts(2), [&Value::Null, &json!(4_294_967_296.0)]);
    let metrics = site.get("/metrics").await.body;
    assert!(!metrics.contains("adit_rail_volts") && !metrics.contains("celsius"), "{metrics}");
    assert!(metrics.contains("adit_chain_clock_hertz{chain=\"0\"} 525000000\n"), "{metrics}");
    assert!(!metrics.contains("adit_chain_chip_hashes_total{chain=\"0\"}"), "{metrics}");
    assert!(metrics.contains("adit_chain_chip_hashes_wrong_total{chain=\"1\"} 0\n"), "{metrics}");
}

#[tokio::test]
async fn boards_and_faults_are_told_apart() {
    let site = Site::start();
    let (mut hardware, miner) = hashing();
    let reason = "right: fan at 0 rpm, must turn at 2000";
    hardware.boards.push(BoardStatus {
        board: 1,
        name: "right".into(),
        state: "fault".into(),
        reason: reason.into(),
        watts: f64::NAN,
        ..Default::default()
    });
    hardware.sensors.push(SensorStatus { board: Some(1), ..hardware.sensors[0].clone() });
    hardware.sensors.push(SensorStatus { board: None, ..hardware.sensors[0].clone() });
    hardware.faults = vec![FaultStatus {
        cause: "fan stopped".into(),
        part: "fan".into(),
        board: Some(1),
        text: reason.into(),
        since_ms: 4_711_000,
        needs_clearing: true,
        ..Default::default()
    }];
    let _services =
        (Service::hardware(site.doors.path(), hardware), Service::miner(site.doors.path(), miner));
    let status = site.status().await;
    assert_eq!(status["state"], "hashing", "the other board does: {status}");
    assert_eq!(
        status["hardware"]["faults"],
        json!([{
            "cause": "fan stopped", "part": "fan", "board": 1, "text": reason, "since_seconds": 4711, "needs_clearing": true,
        }])
    );
    assert_eq!(status["hardware"]["boards"][1]["state"], "fault");
    let metrics = site.get("/metrics").await.body;
    for line in [
        "adit_board_hashing{board=\"0\"} 1\n",
        "adit_board_hashing{board=\"1\"} 0\n",
        "adit_board_power_watts{board=\"0\"} 17.5\n",
        "adit_sensor_temperature_celsius{board=\"1\",sensor=\"board\"} 44.5\n",
        "adit_sensor_temperature_celsius{board=\"\",sensor=\"board\"} 44.5\n",
        "adit_faults 1\n",
        "adit_chain_target_clock_hertz{chain=\"0\"} 550000000\n",
    ] {
        assert!(metrics.contains(line), "{line}{metrics}");
    }
    assert!(!metrics.contains("adit_board_power_watts{board=\"1\"}"), "{metrics}");
}

#[tokio::test]
async fn services_that_are_not_there_or_hang_are_said_and_the_gateway_stays_up() {
    let site = Site::start();
    // Nobody listens at the one door; at the other somebody does and never answers.
    let _hung = bind(site.doors.path(), STATUS_DOOR);
    let start = Instant::now();
    let status = site.status().await;
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert_eq!(
        (&status["state"], &status["miner"], &status["hardware"]),
        (&json!("unknown"), &Value::Null, &Value::Null)
    );
    let problems = status["problems"].to_string();
    assert!(problems.contains("adit-miner does not answer: no answer within 2 s"), "{problems}");
    assert!(problems.contains("adit-hardware does not answer"), "{problems}");
    assert!(problems.contains("adit-network does not answer"), "{problems}");
    assert_eq!(status["network"], Value::Null);
    assert_eq!(site.get("/").await.code, 200);
    let metrics = site.get("/metrics").await.body;
    assert!(metrics.contains("adit_service_answers{service=\"adit-miner\"} 0\n"), "{metrics}");
    assert!(metrics.contains("adit_hashing 0\n"), "{metrics}");
}

#[tokio::test]
async fn a_service_that_hangs_is_waited_for_once_for_each_kind_of_answer() {
    let site = Site::start();
    let _hung = bind(site.doors.path(), adit_bus::hardware::STATUS_DOOR);
    let start = Instant::now();
    let (status, chips) = (|| site.get("/api/v1/status"), || site.get("/api/v1/chips"));
    let answers = tokio::join!(status(), chips(), status(), chips(), status(), chips(), status(), chips());
    for answer in <[_; 8]>::from(answers) {
        assert!(
            answer.body.contains("adit-hardware does not answer: no answer within 2 s"),
            "{}",
            answer.body
        );
    }
    // One after the other they would take sixteen seconds.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_service_that_came_back_is_read_again() {
    let (site, _hardware, miner) = Site::hashing();
    assert_eq!(site.status().await["state"], "hashing");
    drop(miner);
    let _miner = Service::miner(site.doors.path(), hashing().1);
    // Readings are kept for a second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(site.status().await["state"], "hashing");
}

#[tokio::test]
async fn the_page_loads_nothing_but_its_own_files() {
    let (site, _hardware, _miner) = Site::hashing();
    let page = site.get("/").await;
    assert_eq!((page.code, page.field("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.field("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    let tags = page.body.split('<').filter_map(|tag| Some(tag.split_once('>')?.0));
    for tag in tags {
        assert!(!tag.starts_with("style") && !tag.contains(" style=") && !tag.contains(" on"), "<{tag}>");
    }
    let mut linked = 0;
    for part in page.body.split(['"', ' ']).filter(|part| part.starts_with('/') && part.len() > 1) {
        let part = part.trim_end_matches('>');
        if !part.contains('<') {
            assert_eq!(site.get(part).await.code, 200, "{part}");
            linked += 1;
        }
    }
    assert!(linked >= 5, "{linked}");
    for file in ["/", "/page.css", "/page.js"] {
        let body = site.get(file).await.body;
        assert!(
            !body.contains("http://") && !body.contains("https://") && !body.contains("innerHTML"),
            "{file}"
        );
    }
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let (site, _hardware, _miner) = Site::hashing();
    for (method, path) in
        [("GET", "/"), ("GET", "/api/v1/status"), ("GET", "/metrics"), ("GET", "/x"), ("POST", "/")]
    {
        let answer = site.request(method, path, "").await;
        for (field, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.field(field), Some(value), "{method} {path}");
        }
        assert!(answer.field("content-security-policy").is_some(), "{method} {path}");
        assert!(answer.field("access-control-allow-origin").is_none(), "{method} {path}");
    }
}

#[tokio::test]
async fn a_head_request_gets_the_same_head_without_a_body() {
    let (site, _hardware, _miner) = Site::hashing();
    for path in ["/", "/metrics", "/page.js"] {
        let (get, head) = (site.get(path).await, site.request("HEAD", path, "").await);
        assert_eq!((head.code, head.body.as_str()), (200, ""), "{path}");
        assert_eq!(get.field("content-type"), head.field("content-type"), "{path}");
        assert_eq!(head.field("content-length"), Some(get.body.len().to_string().as_str()), "{path}");
    }
}

#[tokio::test]
async fn refusals_are_lines_of_json() {
    let (site, _hardware, _miner) = Site::hashing();
    for (method, path, fields, code, error) in [
        ("GET", "/index.php", "", 404, "not_found"),
        ("GET", "/api/v1/status/", "", 404, "not_found"),
        ("GET", "/../../etc/passwd", "", 404, "not_found"),
        ("POST", "/api/v1/status", "content-length: 0\r\n", 405, "method_not_allowed"),
        ("DELETE", "/metrics", "", 405, "method_not_allowed"),
        ("OPTIONS", "/", "", 405, "method_not_allowed"),
        ("POST", "/", "content-length: 1000000000\r\n", 413, "content_too_large"),
        ("POST", "/x", "transfer-encoding: chunked\r\n", 413, "content_too_large"),
    ] {
        let answer = site.request(method, path, fields).await;
        assert_eq!(answer.code, code, "{method} {path}: {answer:?}");
        assert_eq!(answer.field("content-type"), Some("application/json"));
        assert!(answer.body.ends_with("}\n") && answer.body.lines().count() == 1, "{answer:?}");
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(body["error"], error);
        assert!(!body["message"].as_str().unwrap().is_empty());
        if code == 405 {
            assert_eq!(answer.field("allow"), Some("GET,HEAD"), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn text_from_a_pool_stays_text() {
    let site = Site::start();
    let (hardware, mut miner) = hashing();
    miner.state = "connecting".into();
    miner.reason = format!("</script>\"\\\n\u{7}{}", "é".repeat(5000));
    miner.pool = "a\"b\\c\nd".into();
    let _services =
        (Service::hardware(site.doors.path(), hardware), Service::miner(site.doors.path(), miner));
    let status = site.status().await;
    let reason = status["miner"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("</script>\"\\\n") && reason.chars().count() == 301, "{reason}");
    let metrics = site.get("/metrics").await.body;
    assert!(metrics.contains(r#"adit_pool_info{url="a\"b\\c\nd"} 1"#), "{metrics}");
}
