//! The clock on a real segment, against Debian's NTP server and a real Roughtime server. Nobody in a user namespace may set the clock of the machine, so
//! that the unit either finds it right or complains that it could not set it.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod segment;

use segment::{ROUGHTIME_KEY, Segment};

const RANGE: &str = "--dhcp-range=10.7.0.50,10.7.0.60,255.255.255.0,2m";
/// A Roughtime server that does not answer, so that nobody outside is asked.
const SILENT: &str = "roughtime = [\"10.7.0.9:2002 GX9rI+FshTLGq8g4+s1ep4m+DHaykgM0A5v6iz02jWE=\"]";

#[test]
fn the_time_server_that_dhcp_names_is_asked_and_its_time_is_unauthenticated() {
    let mut segment = Segment::new();
    segment.chrony();
    segment.dnsmasq(&[RANGE, "--dhcp-option=option:ntp-server,10.7.0.1"]);
    segment.start(SILENT);
    segment.wait_for_line("trust=unauthenticated sources=10.7.0.1");
    assert!(segment.log().contains("clock right now="), "{}", segment.log());
}

#[test]
fn a_named_time_server_takes_the_place_of_the_offered_one() {
    let mut segment = Segment::new();
    segment.chrony();
    segment.dnsmasq(&[RANGE, "--dhcp-option=option:ntp-server,10.7.0.8"]);
    segment.start(&format!("{SILENT}\nntp = [\"10.7.0.1:123\"]"));
    segment.wait_for_line("trust=unauthenticated sources=10.7.0.1");
    assert!(!segment.log().contains("10.7.0.8"), "{}", segment.log());
}

#[test]
fn without_a_time_server_the_network_works_and_the_silence_is_logged() {
    let mut segment = Segment::new();
    segment.dnsmasq(&[RANGE]);
    let service = segment.start(&format!("{SILENT}\nntp = [\"10.7.0.1\"]"));
    segment.wait_for_line("address 10.7.0.");
    segment.wait_for_line("10.7.0.1: time source: Connection refused");
    assert!(segment.is_running(service));
}

#[test]
fn a_signed_time_is_authenticated_and_plain_sources_refine_it() {
    let mut segment = Segment::new();
    if !segment.roughtime(0) {
        return println!("skipped: no roughenough_server (cargo install roughenough-server)");
    }
    segment.chrony();
    segment.dnsmasq(&[RANGE]);
    segment.start(&format!("roughtime = [\"10.7.0.1:2002 {ROUGHTIME_KEY}\"]\nntp = [\"10.7.0.1\"]"));
    segment.wait_for_line("trust=authenticated sources=10.7.0.1,10.7.0.1");
    assert!(segment.log().contains("clock right now="), "{}", segment.log());
}

#[test]
fn a_signed_time_is_believed_against_a_plain_one() {
    let mut segment = Segment::new();
    if !segment.roughtime(-7_200) {
        return println!("skipped: no roughenough_server (cargo install roughenough-server)");
    }
    segment.chrony();
    segment.dnsmasq(&[RANGE]);
    segment.start(&format!("roughtime = [\"10.7.0.1:2002 {ROUGHTIME_KEY}\"]\nntp = [\"10.7.0.1\"]"));
    segment.wait_for_line("unauthenticated time sources contradict the authenticated ones");
    segment.wait_for_line("by_s=-7");
    assert!(
        segment.log().contains("trust=authenticated sources=10.7.0.1: Operation not permitted"),
        "{}",
        segment.log()
    );
}

#[test]
fn a_roughtime_server_with_another_key_is_not_believed() {
    let mut segment = Segment::new();
    if !segment.roughtime(0) {
        return println!("skipped: no roughenough_server (cargo install roughenough-server)");
    }
    segment.chrony();
    segment.dnsmasq(&[RANGE]);
    let other = "S3AzfZJ5CjSdkJ21ZJGbxqdYP/SoE8fXKY0+aicsehI=";
    segment.start(&format!("roughtime = [\"10.7.0.1:2002 {other}\"]\nntp = [\"10.7.0.1\"]"));
    segment.wait_for_line("trust=unauthenticated sources=10.7.0.1");
    assert!(!segment.log().contains("trust=authenticated"), "{}", segment.log());
}
