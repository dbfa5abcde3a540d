//! What a person with a phone, and Prometheus, see of a unit that mines.

use std::{
    io::Write,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{BOOT, ask, mining_unit, release};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mining_unit_shows_itself_to_browsers_programs_and_prometheus() {
    let (_disk, backend, rig) = mining_unit(release()).await;
    let deadline = Instant::now() + BOOT;
    let status = loop {
        let status = ask(rig.page, "/api/v1/status", "application/json").await.unwrap();
        let status: Value = serde_json::from_str(&status).unwrap();
        // The name is announced once nobody on the cable has claimed it, which takes longer than the first share may.
        let has_share = status["miner"]["shares_accepted"].as_u64() > Some(0);
        if status["state"] == "hashing" && has_share && !status["network"]["local_name"].is_null() {
            break status;
        }
        assert!(Instant::now() < deadline, "{status:#}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    assert_eq!(status["unit"]["slot"], "a", "{status:#}");
    assert_eq!(status["unit"]["board"], "qemu-aarch64", "{status:#}");
    assert_eq!(status["hardware"]["simulated"], true, "{status:#}");
    assert_eq!(status["hardware"]["chains"][0]["chips_found"], 1, "{status:#}");
    let network = &status["network"];
    assert_eq!(network["source"], "dhcp", "{status:#}");
    assert_eq!(network["local_name"], "lab.local", "{status:#}");
    assert!(network["addresses"].to_string().contains("\"10.0.2.15/24\""), "{status:#}");
    assert_eq!(status["problems"].as_array().map(Vec::len), Some(0), "{status:#}");

    let page = ask(rig.page, "/", "text/html").await.unwrap();
    assert!(page.contains("/page.js"), "{page}");

    let metrics = ask(rig.page, "/metrics", "text/plain").await.unwrap();
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("promtool (Debian package prometheus): {error}"));
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let verdict = promtool.wait_with_output().unwrap();
    assert!(verdict.status.success(), "{verdict:?}\n{metrics}");
    assert!(metrics.lines().any(|line| line == "adit_hashing 1"), "{metrics}");
    rig.stop().await;
    backend.stop().await;
}
