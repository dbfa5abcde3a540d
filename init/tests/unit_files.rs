//! Unit files: what ships is right, and what is wrong is answered with file, line and what would be right.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use adit_init::service::Readiness;
use adit_init::unit_file::{Source, load};
use proptest::prelude::*;

fn parse(text: &str) -> Result<adit_init::service::Service, String> {
    let source = Source { path: PathBuf::from("/etc/adit/services/hardware.toml"), text: text.to_owned() };
    source.parse().map_err(|error| error.to_string())
}

fn load_all(files: &[(&str, &str)]) -> (usize, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let (services, errors) = load(folder.path());
    let prefix = format!("{}/", folder.path().display());
    (services.len(), errors.iter().map(|error| error.to_string().replace(&prefix, "")).collect())
}

#[test]
fn the_units_that_ship_are_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../overlay/etc/adit/services");
    let (services, errors) = load(&folder);
    assert!(errors.is_empty(), "{errors:?}");
    let hardware = services.iter().find(|service| service.name == "hardware").unwrap();
    assert_eq!(hardware.exec, ["/sbin/adit-hardware"]);
    assert_eq!(hardware.doors, ["hardware.status", "hardware.control"]);
    assert_eq!(hardware.safe_state.as_ref().unwrap().exec, ["/sbin/adit-hardware", "--safe-state"]);
    assert_eq!(hardware.ready, Readiness::Notify);
    // Two lines for each of eight boards, the supply's, lights.
    assert!(hardware.fd_store_max >= 24, "{}", hardware.fd_store_max);
    let miner = services.iter().find(|service| service.name == "miner").unwrap();
    assert_eq!(miner.doors, ["miner.status"]);
    // Nobody looks at a unit's page to make it mine.
    let gateway = services.iter().find(|service| service.name == "gateway").unwrap();
    assert!(hardware.essential && miner.essential && !gateway.essential);
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let service = parse("exec = [\"/sbin/x\", \"--flag\"]").unwrap();
    assert_eq!(service.name, "hardware");
    assert_eq!(service.ready, Readiness::Started);
    assert!(!service.essential && service.safe_state.is_none() && service.doors.is_empty());
    assert_eq!(service.fd_store_max, 0);
    assert_eq!(service.start_timeout, Duration::from_secs(10));
    assert_eq!(service.stop_timeout, Duration::from_secs(5));
    assert_eq!(service.backoff.first, Duration::from_millis(100));
    assert_eq!(service.backoff.longest, Duration::from_secs(30));
    assert_eq!(service.backoff.reset_after, Duration::from_secs(60));
}

#[test]
fn mistakes_are_answered_with_line_and_remedy() {
    for (text, expected) in [
        (
            "exec = [\"/sbin/x\"]\n\nwalls = \"all\"\n",
            "hardware.toml:3: unknown field walls, expected one of exec, needs, doors",
        ),
        (
            "exec = [\"/sbin/x\"]\n[backoff]\nfirst = 3\n",
            "hardware.toml:3: unknown field first, expected one of first_ms, longest_ms",
        ),
        (
            "exec = [\"/sbin/x\"]\nready = \"soon\"\n",
            "hardware.toml:2: unknown variant soon, expected notify or started",
        ),
        ("exec = [\"/sbin/x\"\ndoors = []\n", "hardware.toml:2:"),
        ("needs = []\n", "missing field exec"),
        ("exec = []\n", "hardware.toml:1: exec: needs a program"),
        ("exec = [\"adit-hardware\"]\n", "hardware.toml:1: exec: \"adit-hardware\" is not an absolute path"),
        ("exec = [\"/sbin/x\"]\ndoors = [\"a/b\"]\n", "hardware.toml:2: doors: \"a/b\" is not a name"),
        ("exec = [\"/sbin/x\"]\ndoors = [\"a\", \"a\"]\n", "hardware.toml:2: doors: \"a\" stands twice"),
        (
            "exec = [\"/sbin/x\"]\nstart_timeout_ms = 0\n",
            "hardware.toml:2: start_timeout_ms: must be more than nothing",
        ),
        (
            "exec = [\"/sbin/x\"]\nstop_timeout_ms = 86400001\n",
            "hardware.toml:2: stop_timeout_ms: must be more than nothing and at most a day",
        ),
        (
            "exec = [\"/sbin/x\"]\nsafe_state_timeout_ms = 5\n",
            "hardware.toml:2: safe_state_timeout_ms: there is no safe_state",
        ),
        (
            "exec = [\"/sbin/x\"]\nfd_store_max = 33\n",
            "hardware.toml:2: fd_store_max: 33 descriptors, at most 32 can be kept",
        ),
        ("exec = [\"/sbin/x\"]\nsafe_state = []\n", "hardware.toml:2: safe_state: needs a program"),
        (
            "exec = [\"/sbin/x\"]\n[backoff]\nfirst_ms = 20\nlongest_ms = 10\n",
            "hardware.toml:4: longest_ms: 10 ms is shorter than first_ms, 20 ms",
        ),
        (
            "exec = [\"/sbin/x\"]\n[backoff]\nfactor = 0.5\n",
            "hardware.toml:3: factor: 0.5 is not between 1 and 10",
        ),
        (
            "exec = [\"/sbin/x\"]\n[backoff]\njitter = nan\n",
            "hardware.toml:3: jitter: NaN is not between 0 and 1",
        ),
        (
            "exec = [\"/sbin/x\"]\noneshot = true\nready = \"notify\"\n",
            "hardware.toml:3: ready: a oneshot is ready when it has ended",
        ),
    ] {
        let refused = parse(text).unwrap_err().replace('`', "");
        assert!(refused.contains(expected), "{text}\n  said     {refused}\n  expected {expected}");
    }
}

#[test]
fn needs_that_nobody_meets_circles_and_shared_doors_are_refused() {
    let exec = "exec = [\"/sbin/x\"]\n";
    let needs = |names: &str| format!("{exec}needs = [{names}]\n");
    let (_, errors) = load_all(&[("a.toml", &needs("\"c\"")), ("b.toml", exec)]);
    assert_eq!(errors, ["a.toml:2: needs: there is no \"c\"; services are: a, b"]);
    let (_, errors) =
        load_all(&[("a.toml", &needs("\"b\"")), ("b.toml", &needs("\"c\"")), ("c.toml", &needs("\"a\""))]);
    assert_eq!(errors, ["a.toml:2: needs: goes round in a circle: a needs b needs c needs a"]);
    let (_, errors) = load_all(&[("a.toml", &needs("\"a\""))]);
    assert_eq!(errors, ["a.toml:2: needs: goes round in a circle: a needs a"]);
    let door = format!("{exec}doors = [\"x.status\"]\n");
    let (_, errors) = load_all(&[("a.toml", &door), ("b.toml", &door)]);
    assert_eq!(errors, ["b.toml:2: doors: \"x.status\" is a's already"]);
}

#[test]
fn a_broken_file_does_not_hide_the_others_safe_states() {
    let right = "exec = [\"/sbin/x\"]\nsafe_state = [\"/sbin/x\"]\n";
    let (services, errors) = load_all(&[("a.toml", right), ("b.toml", "nonsense"), ("notes.txt", "x")]);
    assert_eq!((services, errors.len()), (1, 1), "{errors:?}");
}

#[test]
fn a_folder_that_is_missing_empty_or_absurd_is_an_error() {
    assert_eq!(load_all(&[]).1.len(), 1);
    assert_eq!(load(Path::new("/nonexistent")).1.len(), 1);
    let long = format!("exec = [\"/sbin/x\"]\n#{}", "x".repeat(20_000));
    let (_, errors) = load_all(&[("a.toml", &long)]);
    assert_eq!(errors, ["a.toml: longer than 16384 bytes"]);
    let names: Vec<String> = (0..33).map(|n| format!("a{n}.toml")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "exec = [\"/x\"]")).collect();
    let (services, errors) = load_all(&files);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].ends_with(": more than 32 unit files"), "{errors:?}");
    assert_eq!(services, 32, "their safe states are wanted");
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "(exec|doors|backoff|ready|needs|=|\\[|\\]|\"|/sbin/x|[ -~\n]){0,40}") {
        let _ = parse(&text);
    }
}
