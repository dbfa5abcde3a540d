//! What the program says on its command line about a profile that cannot be.
#![allow(clippy::unwrap_used)]

use std::{path::Path, process::Command};

const SHIPPED: &str = include_str!("../../../overlay/etc/adit/machines/bench-s19j-pro.toml");

/// Exit code and what was said.
fn run(arguments: &[&str], machine: &Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_adit-hardware"))
        .args(arguments)
        .arg("--machine")
        .arg(machine)
        .env_remove("LISTEN_FDS")
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// One board of three is wrong.
const TABLE: [(&str, &str, &str); 4] = [
    (
        "port = \"/tmp/adit/chain-1\"\nchip = \"BM1362\"",
        "port = \"/tmp/adit/chain-1\"\nchip = \"BM1363\"",
        "board.1.chain.chip: \"BM1363\" is not a known chip; known: BM1362, BM1366, BM1368, BM1370, BM1387, BM1397",
    ),
    (
        "max_chip_celsius = 95.0",
        "max_chip_celsius = 150.0",
        "temperature.max_chip_celsius: 150 is not within 30 to 110",
    ),
    (
        "max_volts = 14.2",
        "max_volts = 13.0",
        "psu.volts: 13.5 is not between min_volts 12.5 and max_volts 13",
    ),
    ("line = 2, active", "line = 1, active", "board.2.reset.line: 1 of lines is used twice"),
];

#[test]
fn a_profile_that_cannot_be_is_answered_in_one_line_with_its_place_and_nothing_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.toml");
    for (right, wrong, what) in TABLE {
        assert!(SHIPPED.contains(right), "{right}");
        let text = SHIPPED.replacen(right, wrong, 1);
        std::fs::write(&file, &text).unwrap();
        let key = what.split_once(':').unwrap().0.rsplit('.').next().unwrap();
        let at = SHIPPED.find(right).unwrap() + right.len();
        let near = 1 + SHIPPED[..at].matches('\n').count();
        let (code, said) = run(&[], &file);
        let line = said.strip_prefix(&format!("ERROR adit_hardware: {}:", file.display()));
        let (line, rest) = line.unwrap_or_else(|| panic!("{said}")).split_once(": ").unwrap();
        assert_eq!((code, rest), (Some(1), format!("{what}\n").as_str()));
        let line: usize = line.parse().unwrap();
        // A value that is judged by its neighbours stands within the same table.
        assert!(
            line.abs_diff(near) <= 2 && text.lines().nth(line - 1).unwrap().contains(key),
            "{line} {near}"
        );

        let (code, said) = run(&["--safe-state"], &file);
        let place = file.display();
        let wanted =
            format!("ERROR adit_hardware: safe state: nothing was touched: {place}:{line}: {what}\n");
        assert_eq!((code, said), (Some(1), wanted));
    }
}

#[test]
fn a_profile_that_is_not_there_is_named() {
    let (code, said) = run(&["--safe-state"], Path::new("/nowhere.toml"));
    let wanted = "safe state: nothing was touched: /nowhere.toml: No such file or directory (os error 2)";
    assert_eq!((code, said), (Some(1), format!("ERROR adit_hardware: {wanted}\n")));
}
