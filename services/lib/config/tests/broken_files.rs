//! What a person sees who made a mistake: the exact lines.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use adit_config::{Config, MAX_SIZE};
use proptest::prelude::*;

const GOOD: &str = r#"version = 1
name = "Rack1-Unit7"

[[pool]]
url = "stratum+tcp://Pool.Example.com:3333"
user = "bc1qexample.unit7"
password = "hunter2"

[[pool]]
url = "stratum+tcp://[2001:db8::1]:23334"
user = "someone"
"#;

fn problems(text: &str) -> Vec<String> {
    Config::parse(text, "adit.toml").unwrap_err().lines().collect()
}

/// A file that is good but for the lines given for one pool.
fn with_pool(lines: &str) -> Vec<String> {
    problems(&format!("version = 1\n[[pool]]\n{lines}"))
}

#[test]
fn a_good_file_is_understood() {
    let config = Config::parse(GOOD, "adit.toml").unwrap();
    assert_eq!(config.name, "rack1-unit7");
    assert_eq!(config.pools.len(), 2);
    let pool = &config.pools[0];
    assert_eq!((pool.url.host(), pool.url.port()), ("pool.example.com", 3333));
    assert_eq!((pool.user.expose(), pool.password.expose()), ("bc1qexample.unit7", "hunter2"));
    let second = &config.pools[1];
    assert_eq!((second.url.host(), second.password.expose()), ("2001:db8::1", "x"));
    assert_eq!(second.url.to_string(), "stratum+tcp://[2001:db8::1]:23334");
    let slash = "version = 1\npool = [{ url = \"STRATUM+TCP://10.0.0.1:80/\", user = \"u\" }]";
    assert_eq!(Config::parse(slash, "f").unwrap().pools[0].url.to_string(), "stratum+tcp://10.0.0.1:80");
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_are_fine() {
    let text = format!("\u{feff}{}", GOOD.replace('\n', "\r\n"));
    assert_eq!(Config::parse(&text, "adit.toml"), Config::parse(GOOD, "adit.toml"));
    assert_eq!(Config::parse_bytes(text.as_bytes(), "adit.toml"), Config::parse(GOOD, "adit.toml"));
}

#[test]
fn the_example_in_the_guide_is_a_good_file() {
    let guide = include_str!("../../../../docs/configuration.md");
    let (_, after) = guide.split_once("```toml\n").unwrap();
    let (example, _) = after.split_once("```").unwrap();
    let config = Config::parse(example, "adit.toml").unwrap();
    assert_eq!(config.pools[0].url.to_string(), "stratum+tcp://pool.example.com:3333");
}

#[test]
fn credentials_do_not_show_in_debug_output() {
    let text = format!("{:?}", Config::parse(GOOD, "adit.toml").unwrap());
    assert!(!text.contains("hunter2") && !text.contains("bc1qexample"), "{text}");
}

#[test]
fn every_wrong_address_is_answered_with_the_right_form() {
    for (url, answer) in [
        ("stratum+tcp://host", r#""stratum+tcp://host" has no port; write stratum+tcp://host:3333"#),
        ("stratum+tcp://host/", r#""stratum+tcp://host/" has no port; write stratum+tcp://host:3333"#),
        ("stratum+tcp://[::1]", r#""stratum+tcp://[::1]" has no port; write stratum+tcp://[::1]:3333"#),
        ("host:3333", r#""host:3333" has no scheme; write stratum+tcp://host:3333"#),
        ("", r#""" has no scheme; write stratum+tcp://host:port"#),
        ("stratum+tcp://:3333", r#""stratum+tcp://:3333" has no host; write stratum+tcp://host:port"#),
        ("stratum+ssl://host", r#""stratum+ssl://host" has no port; write stratum+ssl://host:4333"#),
        ("stratum+tls://host:0", r#""0" is not a port from 1 to 65535; write stratum+ssl://host:4333"#),
        ("stratum+tcps://host:1", r#""stratum+tcps" is not known; write stratum+ssl://host:port"#),
        (
            "stratum2+tcp://host:1/key",
            r#""stratum2+tcp" is not supported yet; write stratum+tcp://host:port"#,
        ),
        ("https://host:1", r#""https" is not supported yet; write http://host:8332"#),
        ("gopher://host:1", r#""gopher" is not known; write stratum+tcp://host:port"#),
        ("stratum+tcp://host:0", r#""0" is not a port from 1 to 65535; write stratum+tcp://host:3333"#),
        (
            "stratum+tcp://host:65536",
            r#""65536" is not a port from 1 to 65535; write stratum+tcp://host:3333"#,
        ),
        ("stratum+tcp://host:+1", r#""+1" is not a port from 1 to 65535; write stratum+tcp://host:3333"#),
        ("stratum+tcp://host:1/x", r#""1/x" is not a port from 1 to 65535; write stratum+tcp://host:3333"#),
        (
            "stratum+tcp://ho_st:1",
            r#""ho_st" is neither a host name nor an address; write stratum+tcp://host:port"#,
        ),
        (
            "stratum+tcp://a..b:1",
            r#""a..b" is neither a host name nor an address; write stratum+tcp://host:port"#,
        ),
        (
            "stratum+tcp://[::g]:1",
            r#""[::g]" is neither a host name nor an address; write stratum+tcp://host:port"#,
        ),
        (
            "stratum+tcp://ho st:1",
            r#""stratum+tcp://ho st:1" has blanks in it; write stratum+tcp://host:port"#,
        ),
    ] {
        assert_eq!(
            with_pool(&format!("user = \"u\"\nurl = \"{url}\"\n")),
            [format!("adit.toml:4: pool.url: {answer}")],
            "{url}"
        );
    }
}

#[test]
fn credentials_in_an_address_are_refused_and_not_repeated() {
    let lines = with_pool("url = \"stratum+tcp://me:hunter2@host:3333\"\nuser = \"u\"\n");
    assert_eq!(
        lines,
        [
            "adit.toml:3: pool.url: credentials do not belong into the address; write stratum+tcp://host:port, with user and password as keys of their own"
        ]
    );
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let text = r#"version = 2
nmae = "unit"
name = "-unit"

[[pool]]
url = "stratum+tcp://host"
usr = "me"

[[pool]]
user = 17
pasword = "p"
colour = "red"
"#;
    assert_eq!(
        problems(text),
        [
            "adit.toml:1: version: 2 is not known; write version = 1",
            "adit.toml:2: nmae: unknown key; did you mean name?",
            "adit.toml:3: name: \"-unit\" is not a host name; write 1 to 63 letters, digits and inner hyphens, as \"rack1-unit7\"",
            "adit.toml:5: pool.user: missing; write user = \"address.worker\"",
            "adit.toml:6: pool.url: \"stratum+tcp://host\" has no port; write stratum+tcp://host:3333",
            "adit.toml:7: pool.usr: unknown key; did you mean user?",
            "adit.toml:9: pool.url: missing; write url = \"stratum+tcp://host:port\"",
            "adit.toml:10: pool.user: a number where a text belongs; write user = \"address.worker\"",
            "adit.toml:11: pool.pasword: unknown key; did you mean password?",
            "adit.toml:12: pool.colour: unknown key; known here are url, user, password, authority, certificate_sha256, address, tag",
        ]
    );
}

#[test]
fn other_mistakes_have_their_answers() {
    let pool = "[[pool]]\nurl = \"stratum+tcp://h:1\"\nuser = \"u\"\n";
    for (text, answer) in [
        (pool.to_owned(), "adit.toml:1: version: missing; write version = 1 in the first line"),
        (
            format!("version = \"1\"\n{pool}"),
            "adit.toml:1: version: a text where a whole number belongs; write version = 1",
        ),
        (
            format!("version = 1.0\n{pool}"),
            "adit.toml:1: version: a fraction where a whole number belongs; write version = 1",
        ),
        (
            format!("version = 1\nname = true\n{pool}"),
            "adit.toml:2: name: true or false where a text belongs; write name = \"rack1-unit7\"",
        ),
        (
            "version = 1\n".to_owned(),
            "adit.toml:1: pool: missing; write [[pool]] and below it url = \"stratum+tcp://host:port\" and user = \"address.worker\"",
        ),
        (
            "version = 1\n\npool = []\n".to_owned(),
            "adit.toml:3: pool: missing; write [[pool]] and below it url = \"stratum+tcp://host:port\" and user = \"address.worker\"",
        ),
        (
            "version = 1\n[pool]\nurl = \"stratum+tcp://h:1\"\n".to_owned(),
            "adit.toml:2: pool: a table where a list of tables belongs; write [[pool]] with two brackets",
        ),
        (
            "version = 1\npool = [1]\n".to_owned(),
            "adit.toml:2: pool: a number where a table belongs; write [[pool]]",
        ),
        (
            format!("version = 1\n{}", pool.repeat(9)),
            "adit.toml:26: pool: 9 pools are too many; at most 8 are read",
        ),
        (
            format!("version = 1\n{pool}password = \"{}\"\n", "x".repeat(257)),
            "adit.toml:5: pool.password: 257 bytes are too many; at most 256 are sent",
        ),
        (
            "version = 1\n[[pool]]\nurl = \"stratum+tcp://h:1\"\nuser = \"\"\n".to_owned(),
            "adit.toml:4: pool.user: empty; write user = \"address.worker\"",
        ),
        (
            "version = 1\n[[pool]]\nurl = \"stratum+tcp://h:1\"\nuser = \"a\\u0007\"\n".to_owned(),
            "adit.toml:4: pool.user: has control characters in it; write it in one line without tabs",
        ),
        (
            format!("version = 1\n\"a b\\n\" = 1\n{pool}"),
            "adit.toml:2: \"a b\\n\": unknown key; known here are version, name, pool, network",
        ),
    ] {
        assert_eq!(problems(&text), [answer], "{text}");
    }
}

#[test]
fn what_is_not_toml_is_named_with_its_line_and_without_its_values() {
    let lines = problems("version = 1\n[[pool]]\npassword = \"hunter2\n");
    assert!(lines[0].starts_with("adit.toml:3: not TOML: "), "{lines:?}");
    let lines = problems("version = 1\nversion = 1\n");
    assert_eq!(lines, ["adit.toml:2: not TOML: duplicate key"]);
    for text in ["[[pool]]\npassword = hunter2\n", "a = \"hunter2\\q\"\n", "[\"hunter2\"\n", "= hunter2\n"] {
        assert!(!problems(text).concat().contains("hunter2"), "{:?}", problems(text));
    }
}

#[test]
fn what_is_not_text_is_named_with_its_line() {
    let lines: Vec<_> =
        Config::parse_bytes(b"version = 1\nname = \"\xff\"\n", "adit.toml").unwrap_err().lines().collect();
    assert_eq!(lines, ["adit.toml:2: not UTF-8 text; save the file as UTF-8"]);
}

#[test]
fn a_file_beyond_the_limit_is_not_read() {
    let lines = problems(&"#".repeat(MAX_SIZE + 1));
    assert_eq!(lines, ["adit.toml:1: 65537 bytes are too many; at most 65536 are read"]);
}

proptest! {
    #[test]
    fn any_text_is_a_configuration_or_has_problems_of_one_line(text in "(version = 1\n)?[\\PC\n\\[\\]=\"]{0,200}") {
        if let Err(errors) = Config::parse(&text, "adit.toml") {
            prop_assert!(!errors.problems().is_empty());
            for line in errors.lines() {
                prop_assert!(!line.contains('\n'), "{line}");
            }
        }
    }

    #[test]
    fn any_address_is_taken_or_answered(url in "\\PC{0,40}", host in "[a-z:\\[\\].]{0,20}", port in "[0-9:/]{0,8}") {
        for url in [url, format!("stratum+tcp://{host}:{port}"), format!("stratum+tcp://{host}")] {
            let url = url.replace(['\\', '"'], "");
            let text = format!("version = 1\n[[pool]]\nuser = \"u\"\nurl = \"{url}\"\n");
            if let Ok(config) = Config::parse(&text, "adit.toml") {
                prop_assert!(config.pools[0].url.port() > 0 && !config.pools[0].url.host().is_empty());
            }
        }
    }
}
