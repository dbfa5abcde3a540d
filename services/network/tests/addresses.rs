//! The service on a real segment, against Debian's DHCP server; the kernel, asked by `ip`, is the judge.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod segment;

use segment::Segment;

const RANGE: &str = "--dhcp-range=10.7.0.50,10.7.0.60,255.255.255.0,2m";
const ROUTER: &str = "--dhcp-option=option:router,10.7.0.1";
const DNS: &str = "--dhcp-option=option:dns-server,10.7.0.1,10.7.0.2";

#[test]
fn a_lease_brings_address_route_name_servers_and_readiness() {
    let mut segment = Segment::new();
    segment.dnsmasq(&[RANGE, ROUTER, DNS]);
    let notify = segment.notify_socket();
    segment.start("");
    let mut said = [0; 64];
    let length = notify.recv(&mut said).unwrap();
    assert_eq!(said[..length].trim_ascii_end(), b"READY=1");
    let addresses = segment.addresses();
    assert!(addresses.contains("inet 10.7.0.5") || addresses.contains("inet 10.7.0.60/24"), "{addresses}");
    // The kernel itself drops the address when the lease ends.
    assert!(addresses.contains("valid_lft 1"), "{addresses}");
    let routes = segment.routes();
    assert!(routes.contains("default via 10.7.0.1 dev unit0"), "{routes}");
    assert!(segment.resolver().contains("nameserver 10.7.0.1\nnameserver 10.7.0.2\n"));
    assert_eq!(segment.unit(&["hostname"]).trim(), "rack1-unit7");
    assert_eq!(segment.server(&["cat", "/run/leases"]).split(' ').nth(3), Some("rack1-unit7"));
    let accept = segment.unit(&["sh", "-c", "cat /proc/sys/net/ipv6/conf/unit0/accept_ra"]);
    assert_eq!(accept.trim(), "1");
}

#[test]
fn a_lost_link_keeps_its_address_and_the_returned_one_asks_again() {
    let mut segment = Segment::new();
    let first = segment.dnsmasq(&[RANGE, ROUTER]);
    segment.start("");
    segment.wait_for_line("address 10.7.0.");
    segment.server(&["ip", "link", "set", "server0", "down"]);
    segment.wait_for_line("link down");
    assert!(segment.addresses().contains("inet 10.7.0."));
    // Meanwhile somebody has renumbered the network.
    segment.end(first);
    segment.server(&["ip", "address", "add", "10.8.0.1/24", "dev", "server0"]);
    segment.server(&["ip", "address", "del", "10.7.0.1/24", "dev", "server0"]);
    segment.dnsmasq(&["--dhcp-range=10.8.0.50,10.8.0.60,255.255.255.0,2m"]);
    segment.server(&["ip", "link", "set", "server0", "up"]);
    segment.wait_for_line("address 10.8.0.");
    segment.wait("only the new address", || {
        let addresses = segment.addresses();
        addresses.contains("inet 10.8.0.") && !addresses.contains("inet 10.7.0.")
    });
    assert!(!segment.routes().contains("10.7.0.1"), "{}", segment.routes());
}

#[test]
fn a_lease_is_renewed_before_it_ends() {
    let mut segment = Segment::new();
    segment.dnsmasq(&[RANGE, "--dhcp-option=option:T1,3s", "--dhcp-option=option:T2,60s"]);
    segment.start("");
    segment.wait("renewal", || segment.log().matches("INFO adit_network: address 10.7.0.").count() >= 2);
}

#[test]
fn a_static_address_needs_no_server() {
    let mut segment = Segment::new();
    segment
        .start("address = \"10.7.0.77/24\"\ngateway = \"10.7.0.1\"\ndns = [\"10.7.0.1\", \"2001:db8::53\"]");
    segment.wait_for_line("address 10.7.0.77/24");
    let addresses = segment.addresses();
    assert!(
        addresses.contains("inet 10.7.0.77/24") && addresses.contains("valid_lft forever"),
        "{addresses}"
    );
    assert!(segment.routes().contains("default via 10.7.0.1 dev unit0"));
    assert!(segment.resolver().contains("nameserver 10.7.0.1\nnameserver 2001:db8::53\n"));
    // Nobody listens there, and the unit says so: packets go both ways.
    let knock = ["bash", "-c", "(echo > /dev/tcp/10.7.0.77/9) 2>&1 || true"];
    segment.wait("an answer", || segment.server(&knock).contains("refused"));
}

#[test]
fn a_restart_changes_nothing_that_works() {
    let mut segment = Segment::new();
    segment.dnsmasq(&[RANGE, ROUTER]);
    let service = segment.start("");
    segment.wait_for_line("address 10.7.0.");
    let (addresses, routes) = (segment.addresses(), segment.routes());
    let address = |text: &str| text.split_once("inet ").map(|(_, rest)| rest[..12].to_owned());
    segment.end(service);
    assert_eq!(address(&segment.addresses()), address(&addresses));
    segment.start("");
    segment.wait("a second start", || segment.log().matches(": address 10.7.0.").count() >= 2);
    assert_eq!(segment.addresses().matches("inet ").count(), 1);
    assert_eq!(address(&segment.addresses()), address(&addresses));
    assert_eq!(segment.routes(), routes);
}

#[test]
fn without_a_server_it_is_ready_all_the_same_and_the_server_may_come_later() {
    let mut segment = Segment::new();
    let notify = segment.notify_socket();
    segment.start("");
    let mut said = [0; 64];
    let length = notify.recv(&mut said).unwrap();
    assert_eq!(said[..length].trim_ascii_end(), b"READY=1");
    assert!(segment.log().contains("no network yet"));
    segment.dnsmasq(&[RANGE]);
    segment.wait_for_line("address 10.7.0.");
}

/// Prints how far the first two DISCOVERs are from each other, by the kernel's times: this program may be late.
const TIME_DISCOVERS: &str = r#"
import socket, struct
SO_TIMESTAMPNS = 35
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
link.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
link.bind(("server0", 0))
print("listening", flush=True)
times = []
while len(times) < 2:
    packet, [(_, _, time)], *_ = link.recvmsg(9000, 64)
    if len(packet) > 282 and packet[12:14] == b"\x08\0" and packet[23] == 17 and packet[36:38] == b"\0\x43":
        seconds, nanoseconds = struct.unpack("ll", time)
        times.append(seconds + nanoseconds / 1e9)
pause = times[1] - times[0]
print("in good time" if pause > 2.5 else "hurried", pause, flush=True)
"#;

/// Router advertisements of strangers make such changes.
#[test]
fn what_changes_on_the_unit_neither_hurries_nor_hinders_dhcp() {
    let mut segment = Segment::new();
    let watch = segment.start_python(TIME_DISCOVERS);
    segment.wait_for_output(watch, "listening");
    segment.restless();
    segment.start("");
    // The second comes after three to five seconds (RFC 2131 §4.1), or later where the computer has no time for the unit.
    segment.wait_for_output(watch, "in good time");
    segment.dnsmasq(&[RANGE]);
    segment.wait_for_line("address 10.7.0.");
}

#[test]
fn a_lying_server_gives_no_address_and_the_service_survives() {
    let mut segment = Segment::new();
    let liar = segment.dnsmasq(&[
        RANGE,
        "--dhcp-option-force=1,255.0.255.0",
        "--dhcp-option-force=121,ff:ff:ff",
        "--dhcp-option-force=15,00:0a:1b:ff",
        "--dhcp-option-force=119,c0:00:c0:00",
    ]);
    let service = segment.start("");
    segment.wait_for_line("DHCP: 255.0.255.0 is not a network mask");
    assert!(!segment.addresses().contains("inet "));
    segment.end(liar);
    segment.dnsmasq(&[
        RANGE,
        "--dhcp-option-force=3,224.0.0.1",
        "--dhcp-option-force=6,0.0.0.0,255.255.255.255,10.7.0.1,127.0.0.1",
    ]);
    segment.wait_for_line("address 10.7.0.");
    assert!(!segment.routes().contains("default"), "{}", segment.routes());
    assert_eq!(segment.resolver().matches("nameserver").count(), 1, "{}", segment.resolver());
    assert!(segment.is_running(service));
}
