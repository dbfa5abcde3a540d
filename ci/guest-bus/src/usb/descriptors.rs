//! The descriptors of a composite device of serial ports. Source: USB 2.0 chapter 9, USB CDC 1.2, PSTN 1.2, and the ECN on interface associations.

use super::{
    Identity,
    redir::{Connect, Endpoint, Interfaces, SLOTS, slot},
};

const DEVICE: u8 = 1;
const CONFIGURATION: u8 = 2;
const STRING: u8 = 3;

/// A device whose functions are told apart by interface associations.
const COMPOSITE: [u8; 3] = [0xEF, 2, 1];
/// Communications, abstract control model, no AT commands.
const COMMUNICATIONS: [u8; 3] = [2, 2, 0];
const DATA: [u8; 3] = [10, 0, 0];
const VERSION: u16 = 0x0010;
/// Full speed: control and bulk packets.
pub(super) const PACKET: u16 = 64;
/// The notifications that are never sent.
const NOTIFICATION: u16 = 8;
const LONGEST_INTERVAL: u8 = 255;
const INTERRUPT: u8 = 3;
const BULK: u8 = 2;
const NONE: u8 = 255;

/// Endpoint addresses of port `n`, and its interfaces: communications `2n`, data `2n + 1`.
pub(super) fn data_out(port: usize) -> u8 {
    port as u8 + 1
}

pub(super) fn data_in(port: usize) -> u8 {
    0x82 + 2 * port as u8
}

pub(super) fn notifications(port: usize) -> u8 {
    0x81 + 2 * port as u8
}

pub(super) fn connect(identity: &Identity) -> Connect {
    Connect { class: COMPOSITE, vendor: identity.vendor, product: identity.product_id, version: VERSION }
}

pub(super) fn interfaces(ports: usize) -> Interfaces {
    (0..ports).flat_map(|_| [COMMUNICATIONS, DATA]).collect()
}

pub(super) fn endpoints(ports: usize) -> [Endpoint; SLOTS] {
    let mut table = [Endpoint { kind: NONE, interval: 0, interface: 0, packet: 0 }; SLOTS];
    for control in [0x00, 0x80] {
        table[slot(control)] = Endpoint { kind: 0, interval: 0, interface: 0, packet: PACKET };
    }
    for port in 0..ports {
        let interface = 2 * port as u8;
        let bulk = Endpoint { kind: BULK, interval: 0, interface: interface + 1, packet: PACKET };
        table[slot(data_out(port))] = bulk;
        table[slot(data_in(port))] = bulk;
        table[slot(notifications(port))] =
            Endpoint { kind: INTERRUPT, interval: LONGEST_INTERVAL, interface, packet: NOTIFICATION };
    }
    table
}

/// The descriptor that `value` of a GET_DESCRIPTOR names (type and index); `None`: the device has none.
pub(super) fn get(identity: &Identity, ports: usize, value: u16) -> Option<Vec<u8>> {
    let [kind, index] = value.to_be_bytes();
    match (kind, index) {
        (DEVICE, 0) => Some(device(identity)),
        (CONFIGURATION, 0) => Some(configuration(ports)),
        // US English.
        (STRING, 0) => Some(vec![4, STRING, 0x09, 0x04]),
        (STRING, 1) => Some(string(&identity.manufacturer)),
        (STRING, 2) => Some(string(&identity.product)),
        (STRING, 3) => Some(string(&identity.serial)),
        _ => None,
    }
}

fn device(identity: &Identity) -> Vec<u8> {
    let [vendor, product, version] = [identity.vendor, identity.product_id, VERSION].map(u16::to_le_bytes);
    let [class, subclass, protocol] = COMPOSITE;
    let usb_2_0 = [0x00, 0x02];
    [
        &[18, DEVICE][..],
        &usb_2_0,
        &[class, subclass, protocol, PACKET as u8],
        &vendor,
        &product,
        &version,
        // Strings of manufacturer, product and serial number; one configuration.
        &[1, 2, 3, 1],
    ]
    .concat()
}

fn configuration(ports: usize) -> Vec<u8> {
    let body: Vec<u8> = (0..ports).flat_map(port).collect();
    let total = (9 + body.len() as u16).to_le_bytes();
    // Number 1, no string, powered by itself, 100 mA.
    let head = [9, CONFIGURATION, total[0], total[1], 2 * ports as u8, 1, 0, 0xC0, 50];
    [&head[..], &body].concat()
}

fn port(port: usize) -> Vec<u8> {
    let (control, data) = (2 * port as u8, 2 * port as u8 + 1);
    let endpoint = |address: u8, kind: u8, packet: u16, interval: u8| {
        [7, 5, address, kind, packet.to_le_bytes()[0], packet.to_le_bytes()[1], interval]
    };
    let interface = |number: u8, endpoints: u8, [class, subclass, protocol]: [u8; 3]| {
        [9, 4, number, 0, endpoints, class, subclass, protocol, 0]
    };
    let [class, subclass, protocol] = COMMUNICATIONS;
    [
        &[8, 11, control, 2, class, subclass, protocol, 0][..],
        &interface(control, 1, COMMUNICATIONS),
        // Header: CDC 1.10. Call management: none. Abstract control: line coding and control lines. Union.
        &[5, 0x24, 0x00, 0x10, 0x01],
        &[5, 0x24, 0x01, 0x00, data],
        &[4, 0x24, 0x02, 0x02],
        &[5, 0x24, 0x06, control, data],
        &endpoint(notifications(port), INTERRUPT, NOTIFICATION, LONGEST_INTERVAL),
        &interface(data, 2, DATA),
        &endpoint(data_out(port), BULK, PACKET, 0),
        &endpoint(data_in(port), BULK, PACKET, 0),
    ]
    .concat()
}

fn string(text: &str) -> Vec<u8> {
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    [&[2 + units.len() as u8, STRING][..], &units].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_counts_inside_a_configuration_agree() {
        for ports in 1..=super::super::MOST_PORTS {
            let whole = configuration(ports);
            assert_eq!(usize::from(u16::from_le_bytes([whole[2], whole[3]])), whole.len());
            let (mut interfaces, mut endpoints, mut rest) = (0, Vec::new(), &whole[..]);
            while let [length, kind, ..] = *rest {
                let (one, behind) = rest.split_at(usize::from(length));
                match kind {
                    4 => interfaces += 1,
                    5 => endpoints.push(one[2]),
                    _ => {}
                }
                rest = behind;
            }
            assert_eq!(interfaces, usize::from(whole[4]));
            let table = self::endpoints(ports);
            let listed = table.iter().filter(|endpoint| matches!(endpoint.kind, BULK | INTERRUPT)).count();
            assert_eq!(endpoints.len(), listed);
            assert!(endpoints.iter().all(|address| table[slot(*address)].packet > 0));
        }
    }

    #[test]
    fn the_device_is_a_bitaxe() {
        let identity = Identity::bitaxe_raw("A1");
        let device = get(&identity, 2, 0x0100).expect("is there");
        assert_eq!(device.len(), 18);
        assert_eq!(device[8..12], [0xDE, 0xC0, 0xFE, 0xCA]);
        assert_eq!(get(&identity, 2, 0x0303), Some(vec![6, 3, b'A', 0, b'1', 0]));
        assert_eq!(get(&identity, 2, 0x0304), None);
        assert_eq!(get(&identity, 2, 0x0600), None, "no other speed");
    }
}
