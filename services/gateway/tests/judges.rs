//! Whether others read the metrics as they are meant: Prometheus' own linter, an OpenMetrics parser that is not ours, and a Prometheus that scrapes.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod support;

use std::{
    io::Write,
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

use support::{PATIENCE, Site};
use tokio::time::{Instant, sleep};

/// Gives `text` to a program of Debian package `package`; its whole output, and whether it was content.
fn judge(program: &str, package: &str, arguments: &[&str], text: &str) -> (bool, String) {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} (Debian package {package}): {error}"));
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test]
async fn promtool_has_nothing_to_say_about_the_prometheus_text() {
    let (site, _hardware, _miner) = Site::hashing();
    let answer = site.request("GET", "/metrics", "accept: text/plain\r\n").await;
    assert_eq!(answer.field("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let (content, said) = judge("promtool", "prometheus", &["check", "metrics"], &answer.body);
    assert!(content && said.is_empty(), "{said}\n{}", answer.body);
    // The judge can be displeased.
    let worse = answer.body.replace("adit_rail_volts", "adit_rail_millivolts");
    assert!(!judge("promtool", "prometheus", &["check", "metrics"], &worse).0);
}

const PARSE: &str = "
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
for family in parse(sys.stdin.read()):
    for sample in family.samples:
        print(family.name, family.type, family.unit or '-', sample.name, sorted(sample.labels.items()), float(sample.value))
";

#[tokio::test]
async fn an_openmetrics_parser_reads_every_family_with_its_type_and_unit() {
    let (site, _hardware, _miner) = Site::hashing();
    let answer = site.get("/metrics").await;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(answer.field("content-type"), Some(kind));
    assert!(answer.body.ends_with("\n# EOF\n"), "{}", answer.body);
    let (content, read) =
        judge("/usr/bin/python3", "python3-prometheus-client", &["-c", PARSE], &answer.body);
    assert!(content, "{read}\n{}", answer.body);
    for line in [
        "adit_hashing gauge - adit_hashing [] 1.0",
        "adit_hash_rate_hashes_per_second gauge hashes_per_second adit_hash_rate_hashes_per_second [] 1070000500000.0",
        "adit_shares counter - adit_shares_total [('result', 'accepted')] 12.0",
        "adit_chain_temperature_celsius gauge celsius adit_chain_temperature_celsius [('chain', '0')] 61.25",
        "adit_chain_die_temperature_celsius gauge celsius adit_chain_die_temperature_celsius [('chain', '0')] 68.5",
        "adit_chain_chip_hashes counter - adit_chain_chip_hashes_total [('chain', '0')] 300647710720.0",
        "adit_chain_chip_hashes_wrong counter - adit_chain_chip_hashes_wrong_total [('chain', '0')] 8589934592.0",
        "adit_chip_nonces counter - adit_chip_nonces_total [('chain', '0'), ('chip', '0')] 99.0",
        "adit_chip_errors counter - adit_chip_errors_total [('chain', '0'), ('chip', '0')] 8589934592.0",
        "adit_chip_die_temperature_celsius gauge celsius adit_chip_die_temperature_celsius [('chain', '0'), ('chip', '0')] 68.5",
        "adit_blocks_accepted counter - adit_blocks_accepted_total [] 4.0",
        "adit_chain_clock_hertz gauge hertz adit_chain_clock_hertz [('chain', '0')] 525000000.0",
        "adit_rail_volts gauge volts adit_rail_volts [] 1.15",
        "adit_fan_speed_rpm gauge rpm adit_fan_speed_rpm [('fan', '0')] 4200.0",
        "adit_pool info - adit_pool_info [('url', 'stratum+tcp://pool.example:3333')] 1.0",
        "adit_miner_state stateset - adit_miner_state [('adit_miner_state', 'hashing')] 1.0",
        "adit_miner_state stateset - adit_miner_state [('adit_miner_state', 'waiting')] 0.0",
    ] {
        assert!(read.lines().any(|read| read == line), "{line}\n{read}");
    }
    let cut = answer.body.replace("# EOF\n", "");
    assert!(!judge("/usr/bin/python3", "python3-prometheus-client", &["-c", PARSE], &cut).0);
}

/// Ended with the test.
struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_prometheus_scrapes_the_unit() {
    let (site, _hardware, _miner) = Site::hashing();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("prometheus.yml");
    let text = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
         scrape_configs: [{{job_name: adit, static_configs: [{{targets: ['{}']}}]}}]\n",
        site.address
    );
    std::fs::write(&config, text).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = Command::new("prometheus")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(folder.path().join("log")).unwrap())
        .spawn()
        .unwrap_or_else(|error| panic!("prometheus (Debian package prometheus): {error}"));
    let _prometheus = Prometheus(child);

    let deadline = Instant::now() + PATIENCE * 3;
    let mut said = String::new();
    while !said.contains("\"12\"") {
        let log = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        assert!(Instant::now() < deadline, "{said}\n{}", log());
        sleep(Duration::from_millis(500)).await;
        let query = "/api/v1/query?query=adit_shares_total%7Bresult%3D%22accepted%22%7D";
        said = ask(port, query).await;
    }
    assert!(ask(port, "/api/v1/query?query=up").await.contains("\"1\""));
}

async fn ask(port: u16, path: &str) -> String {
    let Ok(mut stream) = tokio::net::TcpStream::connect(("127.0.0.1", port)).await else {
        return String::new();
    };
    let request = format!("GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n");
    _ = tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await;
    support::Answer::read(&mut stream).await.body
}
