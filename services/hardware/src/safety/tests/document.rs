//! `docs/safety.md` and the table say the same, and the tests that it names exist.

use super::super::*;

const PAGE: &str = include_str!("../../../../../docs/safety.md");
const TESTS: [&str; 6] = [
    include_str!("../../guard.rs"),
    include_str!("times.rs"),
    include_str!("latching.rs"),
    include_str!("power.rs"),
    include_str!("properties.rs"),
    include_str!("../../machine/tests.rs"),
];

/// Cells of the rows below the headline that starts with `| first |`.
fn rows(first: &str) -> Vec<Vec<&'static str>> {
    PAGE.lines()
        .skip_while(|line| !line.starts_with(&format!("| {first} |")))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

fn seconds(time: Option<Time>) -> String {
    time.map_or("–".into(), |time| format!("{} s", time.as_secs_f64()))
}

#[test]
fn the_page_and_the_table_name_the_same_hazards_and_times() {
    let written: Vec<_> = rows("hazard")
        .into_iter()
        .map(|row| [row[0], row[2], row[3], row[4], row[5]].map(String::from))
        .collect();
    let coded = TABLE.map(|rule| {
        let ends = match rule.clears {
            Clears::Itself => format!("well for {}", seconds(Some(rule.well))),
            Clears::Person => "a person".into(),
        };
        [rule.name.into(), seconds(rule.throttle), seconds(rule.chain_off), seconds(rule.all_off), ends]
    });
    assert_eq!(written, coded);
}

#[test]
fn every_hazard_has_a_test_and_says_what_is_left_when_its_watchers_are_dead() {
    let letters: Vec<_> = rows("left").into_iter().map(|row| row[0]).collect();
    for row in rows("hazard") {
        assert!(row[1].len() > 10, "{}: detection", row[0]);
        assert!(
            !row[6].is_empty() && row[6].split(", ").all(|letter| letters.contains(&letter)),
            "{}: {}",
            row[0],
            row[6]
        );
        assert!(row[8].starts_with('`'), "{}: test", row[0]);
    }
}

#[test]
fn every_test_that_the_page_names_exists() {
    let named: Vec<_> = PAGE
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|code| {
            code.len() > 20 && code.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
        })
        .collect();
    assert!(named.len() > 10, "{named:?}");
    for name in named {
        assert!(TESTS.iter().any(|file| file.contains(&format!("fn {name}("))), "{name}");
    }
}
