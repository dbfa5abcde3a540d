//! Packets that no DHCP server would send, against the client on a real segment: survived, never used.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod segment;

use segment::Segment;

/// Waits for a DISCOVER and answers it with frames that are wrong in one way each, all of them about 10.7.0.66; prints how many. With the word `blind` it waits for
/// nothing and sends them all with numbers of its own.
const JUNK: &str = r#"
import os, socket, struct, sys
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
link.bind(("server0", 0))
link.settimeout(25)
MAGIC, MASK, LEASE = b"\x63\x82\x53\x63", b"\x01\x04\xff\xff\xff\0", b"\x33\x04\0\0\x0e\x10"
SERVER, ADDRESS = b"\x36\x04\x0a\x07\0\x01", socket.inet_aton("10.7.0.66")

def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff

def frame(payload, to, udp_length=None, ip_length=None, offset=0, ihl=5, protocol=17):
    udp = struct.pack("!4H", 67, 68, 8 + len(payload) if udp_length is None else udp_length, 0) + payload
    length = 20 + len(udp) if ip_length is None else ip_length
    ip = struct.pack("!BBHHHBBH4s4s", 0x40 | ihl, 0, length, 0, offset, 64, protocol, 0, socket.inet_aton("10.7.0.1"), b"\xff" * 4)
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    return to + b"\2\0\0\0\0\x99" + b"\x08\0" + ip + udp

def dhcp(xid, mac, options, magic=MAGIC):
    return (b"\2\1\6\0" + xid + b"\0" * 4 + b"\0" * 4 + ADDRESS + b"\0" * 8
            + mac + b"\0" * 10 + b"\0" * 192 + magic + options)

def kind(number):
    return bytes([53, 1, number])

def junk(xid, mac):
    good = SERVER + LEASE + MASK
    other = bytes(byte ^ 0x5a for byte in xid)
    for answer in (2, 5, 6):
        yield dhcp(other, mac, kind(answer) + good + b"\xff")
        yield dhcp(xid, mac, kind(answer) + good + b"\xff", magic=b"\0" * 4)
    yield dhcp(xid, mac, good + b"\xff")
    for number in (0, 1, 3, 99, 255):
        yield dhcp(xid, mac, kind(number) + good + b"\xff")
    yield dhcp(xid, mac, b"\x35\0" + good + b"\xff")
    yield dhcp(xid, mac, kind(5) + SERVER + b"\x33\x01\x05\xff")
    yield dhcp(xid, mac, kind(5) + b"\x36\0" + LEASE + b"\x01\x03\xff\xff\xff\xff")
    yield dhcp(xid, mac, kind(2) + b"\x06\xff\x0a\x07")
    yield dhcp(xid, mac, b"\x79\x06\xc8" + os.urandom(5))
    yield dhcp(xid, mac, b"\0" * 1100)
    yield dhcp(xid, mac, b"\xff" * 1100)
    yield dhcp(xid, mac, b"\x0c\x20" + b"\0\xff" * 16 + b"\x0f\xc8" + b"\xc0\0" * 100)
    yield dhcp(xid, mac, (b"\x06\xfc" + b"\x0a\x07\0\x01" * 63) * 33)
    yield dhcp(xid, mac, os.urandom(1100))
    for length in (0, 1, 43, 100, 236, 239):
        yield dhcp(xid, mac, kind(5) + good + b"\xff")[:length]
    for length in (300, 1200, 8900):
        yield os.urandom(length)

def frames(xid, mac):
    for payload in junk(xid, mac):
        yield frame(payload, mac)
        yield frame(payload, b"\xff" * 6)
    ack = dhcp(xid, mac, kind(5) + SERVER + LEASE + MASK + b"\xff")
    yield frame(ack, mac, protocol=6)
    yield frame(ack, mac, offset=0x00b9)
    yield frame(ack, mac, udp_length=4)
    yield frame(ack, mac, ip_length=24)
    yield frame(ack, mac)[:30]

if sys.argv[1] == "blind":
    mac, xid = bytes.fromhex(sys.argv[2].replace(":", "")), os.urandom(4)
else:
    while True:
        packet = link.recv(9000)
        if len(packet) > 282 and packet[12:14] == b"\x08\0" and packet[23] == 17 and packet[36:38] == b"\0\x43":
            xid, mac = packet[46:50], packet[70:76]
            break
print(sum(link.send(one) > 0 for one in frames(xid, mac)))
"#;

#[test]
fn malformed_answers_are_survived_and_never_used() {
    let mut segment = Segment::new();
    // Frames larger than Ethernet's come through.
    segment.server(&["ip", "link", "set", "server0", "mtu", "9000"]);
    segment.unit(&["ip", "link", "set", "unit0", "mtu", "9000"]);
    let service = segment.start("");
    let sent = segment.python(JUNK, &["discover"]);
    assert!(sent.trim().parse::<u32>().unwrap() > 60, "{sent}");
    assert!(!segment.addresses().contains("inet "));
    segment.dnsmasq(&["--dhcp-range=10.7.0.50,10.7.0.50,255.255.255.0,2m"]);
    segment.wait_for_line("address 10.7.0.50/24");
    // With a lease in hand.
    let before = segment.usage(service);
    let links = segment.unit(&["ip", "-o", "link", "show", "unit0"]);
    let mac = links.split("link/ether ").nth(1).unwrap().split(' ').next().unwrap();
    for _ in 0..20 {
        segment.python(JUNK, &["blind", mac]);
    }
    assert!(segment.usage(service).kib < before.kib + 1024);
    assert!(segment.is_running(service));
    assert!(segment.addresses().contains("inet 10.7.0.50/24"), "{}", segment.addresses());
    assert!(!segment.log().contains("10.7.0.66"), "{}", segment.log());
}
