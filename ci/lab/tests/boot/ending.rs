//! `scripts/run` ends what it started, and nothing else.

use std::{
    collections::HashSet,
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// Every process whose parent, grandparent … is `ancestor`.
fn descendants(ancestor: u32) -> HashSet<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // The name in parentheses may hold anything; after it: state, parent.
            let parent = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect();
    let mut found = HashSet::new();
    let mut last = None;
    while last != Some(found.len()) {
        last = Some(found.len());
        found.extend(
            parents
                .iter()
                .filter(|(_, up)| *up == ancestor || found.contains(up))
                .map(|(pid, _)| *pid)
                .collect::<Vec<_>>(),
        );
    }
    found
}

fn alive(pid: u32) -> bool {
    // A zombie has no command line.
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

#[test]
fn ctrl_c_ends_everything_that_a_run_started_and_its_last_line_is_json() {
    let mut bystander = Command::new("sleep").arg("600").spawn().unwrap();
    let mut run = Command::new(env!("CARGO_BIN_EXE_adit-lab"))
        .args(["run", "--timeout", "300"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(run.stderr.take().unwrap()).lines();
    assert!(
        said.by_ref().map_while(Result::ok).any(|line| line.contains("adit-init is PID 1")),
        "the run did not boot"
    );
    let started = descendants(run.id());
    assert!(started.len() >= 2, "QEMU and bitcoind should run: {started:?}");

    kill_process(Pid::from_raw(run.id().cast_signed()).unwrap(), Signal::INT).unwrap();
    said.for_each(drop);
    let output = run.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    let text = String::from_utf8(output.stdout).unwrap();
    let outcome: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(outcome["slot"], "a");
    assert!(outcome["kernel_to_init_ms"].is_u64(), "{outcome}");

    let deadline = Instant::now() + Duration::from_secs(5);
    while let Some(left) = started.iter().find(|pid| alive(**pid)) {
        assert!(Instant::now() < deadline, "process {left} outlived the run");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(bystander.try_wait().unwrap().is_none(), "a process that the run did not start was ended");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}
