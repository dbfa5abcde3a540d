//! The table of `docs/safety.md`, as people read it.

use std::time::Duration;

const PAGE: &str = include_str!("../../../../../docs/safety.md");

/// What a board, or all, come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Throttle,
    ChainOff,
    AllOff,
}

/// When `hazard` leads to `stage`, by the page: from the first bad reading on.
pub(super) fn due(hazard: &str, stage: Stage) -> Duration {
    let row = PAGE.lines().find(|line| line.starts_with(&format!("| {hazard} |")));
    let row = row.unwrap_or_else(|| panic!("docs/safety.md has no row {hazard:?}"));
    let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
    let cell = cells[match stage {
        Stage::Throttle => 2,
        Stage::ChainOff => 3,
        Stage::AllOff => 4,
    }];
    let seconds = cell.strip_suffix(" s").and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or_else(|| panic!("{hazard}: {stage:?} is {cell:?} on the page")))
}

#[test]
fn times_are_read_from_the_page() {
    assert_eq!(due("chip warm", Stage::Throttle), Duration::from_secs(2));
    assert_eq!(due("control loop silent", Stage::AllOff), Duration::from_secs(60));
}
