//! Packets of the USB network redirection protocol 0.7. We are its "usb-host", which has the device; QEMU is its "usb-guest".
//!
//! Every integer is little-endian, every structure packed. With the capabilities that both sides must have here, ids have 64 bits, `ep_info` has
//! packet sizes, and bulk packets have 32 bits of length. Source: `usb-redirection-protocol.md` of the usbredir project.

/// Longest packet that is taken; QEMU's longest is a control block's 64 KiB and a header.
const LONGEST: usize = 1 << 20;

const HELLO: u32 = 0;
const DEVICE_CONNECT: u32 = 1;
const DEVICE_DISCONNECT: u32 = 2;
const RESET: u32 = 3;
const INTERFACE_INFO: u32 = 4;
const EP_INFO: u32 = 5;
const SET_CONFIGURATION: u32 = 6;
const GET_CONFIGURATION: u32 = 7;
const CONFIGURATION_STATUS: u32 = 8;
const SET_ALT_SETTING: u32 = 9;
const GET_ALT_SETTING: u32 = 10;
const ALT_SETTING_STATUS: u32 = 11;
const START_INTERRUPT_RECEIVING: u32 = 15;
const STOP_INTERRUPT_RECEIVING: u32 = 16;
const INTERRUPT_RECEIVING_STATUS: u32 = 17;
const CANCEL_DATA_PACKET: u32 = 21;
const FILTER_REJECT: u32 = 22;
const DEVICE_DISCONNECT_ACK: u32 = 24;
const CONTROL_PACKET: u32 = 100;
const BULK_PACKET: u32 = 101;

/// Bits of the capabilities: device version in `device_connect`, acknowledged disconnection, packet sizes, long ids, long bulk packets.
const CAPABILITIES: u32 = 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6;
const VERSION_BYTES: usize = 64;

pub(super) const FULL_SPEED: u8 = 1;
/// Slots of the tables in `interface_info` and `ep_info`.
pub(super) const SLOTS: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Success = 0,
    Cancelled = 1,
    Invalid = 2,
    Stall = 4,
}

/// The eight bytes of a control transfer's setup stage, and the data of its host-to-device stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Control {
    pub(super) request_type: u8,
    pub(super) request: u8,
    pub(super) value: u16,
    pub(super) index: u16,
    pub(super) length: u16,
    pub(super) data: Vec<u8>,
}

/// What QEMU asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Reset,
    SetConfiguration(u8),
    GetConfiguration,
    SetAlternate {
        interface: u8,
        alternate: u8,
    },
    GetAlternate {
        interface: u8,
    },
    StartInterrupts {
        endpoint: u8,
    },
    StopInterrupts {
        endpoint: u8,
    },
    /// The data packet of the same id is not wanted any more.
    Cancel,
    Rejected,
    Disconnected,
    Control(Control),
    /// `length`: of the data towards the device, or how much the guest has room for.
    Bulk {
        endpoint: u8,
        stream: u32,
        length: u32,
        data: Vec<u8>,
    },
    /// Isochronous transfers, streams and what we did not offer.
    Other(u32),
}

/// QEMU says what the protocol does not allow, or it is older than what we need.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("a packet of {0} bytes")]
    TooLong(usize),
    #[error("packet {kind} has {bytes} bytes")]
    Length { kind: u32, bytes: usize },
    #[error("packet {0} came before hello")]
    NoHello(u32),
    #[error("capabilities {0:#x} of QEMU lack some of {CAPABILITIES:#x}")]
    Capabilities(u32),
}

/// Cuts the stream into packets.
#[derive(Default)]
pub(super) struct Decoder {
    bytes: Vec<u8>,
    greeted: bool,
}

impl Decoder {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// QEMU's hello has come: it may be talked to.
    pub(super) fn greeted(&self) -> bool {
        self.greeted
    }

    /// The next whole packet with its id. Call until `None`.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Request)>, Malformed> {
        loop {
            // The id has 32 bits until both have said that they know longer ones.
            let header_bytes = if self.greeted { 16 } else { 12 };
            let Some(header) = self.bytes.get(..header_bytes) else { return Ok(None) };
            let (kind, length) = (le32(header, 0), le32(header, 4) as usize);
            let id = header[8..].iter().rev().fold(0, |id, byte| id << 8 | u64::from(*byte));
            if length > LONGEST {
                return Err(Malformed::TooLong(length));
            }
            if self.bytes.len() < header_bytes + length {
                return Ok(None);
            }
            let body: Vec<u8> = self.bytes.drain(..header_bytes + length).skip(header_bytes).collect();
            if self.greeted {
                let request = parse(kind, &body);
                return Ok(Some((id, request.ok_or(Malformed::Length { kind, bytes: body.len() })?)));
            }
            self.greet(kind, &body)?;
        }
    }

    fn greet(&mut self, kind: u32, body: &[u8]) -> Result<(), Malformed> {
        if kind != HELLO {
            return Err(Malformed::NoHello(kind));
        }
        if body.len() < VERSION_BYTES {
            return Err(Malformed::Length { kind, bytes: body.len() });
        }
        let theirs = if body.len() < VERSION_BYTES + 4 { 0 } else { le32(body, VERSION_BYTES) };
        if theirs & CAPABILITIES != CAPABILITIES {
            return Err(Malformed::Capabilities(theirs));
        }
        self.greeted = true;
        Ok(())
    }
}

/// `None`: the body does not have the length of its kind.
fn parse(kind: u32, body: &[u8]) -> Option<Request> {
    let request = match (kind, body) {
        (RESET, []) => Request::Reset,
        (SET_CONFIGURATION, [value]) => Request::SetConfiguration(*value),
        (GET_CONFIGURATION, []) => Request::GetConfiguration,
        (SET_ALT_SETTING, [interface, alternate]) => {
            Request::SetAlternate { interface: *interface, alternate: *alternate }
        }
        (GET_ALT_SETTING, [interface]) => Request::GetAlternate { interface: *interface },
        (START_INTERRUPT_RECEIVING, [endpoint]) => Request::StartInterrupts { endpoint: *endpoint },
        (STOP_INTERRUPT_RECEIVING, [endpoint]) => Request::StopInterrupts { endpoint: *endpoint },
        (CANCEL_DATA_PACKET, []) => Request::Cancel,
        (FILTER_REJECT, []) => Request::Rejected,
        (DEVICE_DISCONNECT_ACK, []) => Request::Disconnected,
        (CONTROL_PACKET, [endpoint, request, request_type, _status, rest @ ..]) => {
            let (fixed, data) = rest.split_first_chunk::<6>()?;
            let length = le16(fixed, 4);
            let expected = if endpoint & 0x80 == 0 { usize::from(length) } else { 0 };
            if data.len() != expected || endpoint & 0x7F != 0 || (endpoint ^ request_type) & 0x80 != 0 {
                return None;
            }
            Request::Control(Control {
                request_type: *request_type,
                request: *request,
                value: le16(fixed, 0),
                index: le16(fixed, 2),
                length,
                data: data.to_vec(),
            })
        }
        (BULK_PACKET, [endpoint, _status, rest @ ..]) => {
            let (fixed, data) = rest.split_first_chunk::<8>()?;
            let length = u32::from(le16(fixed, 6)) << 16 | u32::from(le16(fixed, 0));
            let expected = if endpoint & 0x80 == 0 { length as usize } else { 0 };
            if data.len() != expected {
                return None;
            }
            Request::Bulk { endpoint: *endpoint, stream: le32(fixed, 2), length, data: data.to_vec() }
        }
        (
            RESET
            | SET_CONFIGURATION
            | GET_CONFIGURATION
            | SET_ALT_SETTING
            | GET_ALT_SETTING
            | START_INTERRUPT_RECEIVING
            | STOP_INTERRUPT_RECEIVING
            | CANCEL_DATA_PACKET
            | FILTER_REJECT
            | DEVICE_DISCONNECT_ACK
            | CONTROL_PACKET
            | BULK_PACKET,
            _,
        ) => return None,
        (other, _) => Request::Other(other),
    };
    Some(request)
}

fn le16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from(le16(bytes, at + 2)) << 16 | u32::from(le16(bytes, at))
}

/// Packets to QEMU, one behind the other.
#[derive(Default)]
pub(super) struct Encoder {
    pub(super) bytes: Vec<u8>,
}

/// What `device_connect` tells before any descriptor is read.
pub(super) struct Connect {
    pub(super) class: [u8; 3],
    pub(super) vendor: u16,
    pub(super) product: u16,
    pub(super) version: u16,
}

/// Of interface `n` at place `n`: class, subclass, protocol.
pub(super) type Interfaces = Vec<[u8; 3]>;

/// Of the endpoint that has this slot: type as in its descriptor (255: none), interval, interface, packet size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) kind: u8,
    pub(super) interval: u8,
    pub(super) interface: u8,
    pub(super) packet: u16,
}

/// Slot of an endpoint's address: 0 to 15 towards the device, 16 to 31 from it.
pub(super) fn slot(endpoint: u8) -> usize {
    usize::from(endpoint & 0x80) >> 3 | usize::from(endpoint & 0x0F)
}

impl Encoder {
    fn packet(&mut self, kind: u32, id: u64, parts: &[&[u8]]) {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend((length as u32).to_le_bytes());
        self.bytes.extend(id.to_le_bytes());
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
    }

    /// First of all; its own id has 32 bits.
    pub(super) fn hello(&mut self) {
        let mut version = [0; VERSION_BYTES];
        let name = b"adit guest bus";
        version[..name.len()].copy_from_slice(name);
        self.bytes.extend(HELLO.to_le_bytes());
        self.bytes.extend((VERSION_BYTES as u32 + 4).to_le_bytes());
        self.bytes.extend(0_u32.to_le_bytes());
        self.bytes.extend(version);
        self.bytes.extend(CAPABILITIES.to_le_bytes());
    }

    /// What the device has; before `connect` and before the answer to a new configuration.
    pub(super) fn tables(&mut self, interfaces: &Interfaces, endpoints: &[Endpoint; SLOTS]) {
        let column = |of: &dyn Fn(usize) -> u8| -> [u8; SLOTS] { std::array::from_fn(of) };
        let numbers = column(&|slot| if slot < interfaces.len() { slot as u8 } else { 0 });
        let class = |part: usize| column(&|slot| interfaces.get(slot).map_or(0, |class| class[part]));
        let count = (interfaces.len() as u32).to_le_bytes();
        self.packet(INTERFACE_INFO, 0, &[&count, &numbers, &class(0), &class(1), &class(2)]);
        let packets: Vec<u8> = endpoints.iter().flat_map(|endpoint| endpoint.packet.to_le_bytes()).collect();
        let parts: [&[u8]; 4] = [
            &column(&|slot| endpoints[slot].kind),
            &column(&|slot| endpoints[slot].interval),
            &column(&|slot| endpoints[slot].interface),
            &packets,
        ];
        self.packet(EP_INFO, 0, &parts);
    }

    pub(super) fn connect(&mut self, device: &Connect) {
        let [class, subclass, protocol] = device.class;
        let ids = [device.vendor, device.product, device.version].map(u16::to_le_bytes);
        self.packet(DEVICE_CONNECT, 0, &[&[FULL_SPEED, class, subclass, protocol], ids.as_flattened()]);
    }

    pub(super) fn disconnect(&mut self) {
        self.packet(DEVICE_DISCONNECT, 0, &[]);
    }

    pub(super) fn configuration(&mut self, id: u64, status: Status, configuration: u8) {
        self.packet(CONFIGURATION_STATUS, id, &[&[status as u8, configuration]]);
    }

    pub(super) fn alternate(&mut self, id: u64, status: Status, interface: u8, alternate: u8) {
        self.packet(ALT_SETTING_STATUS, id, &[&[status as u8, interface, alternate]]);
    }

    pub(super) fn interrupts(&mut self, id: u64, status: Status, endpoint: u8) {
        self.packet(INTERRUPT_RECEIVING_STATUS, id, &[&[status as u8, endpoint]]);
    }

    /// `result`: the bytes of a device-to-host stage; none when the stage goes the other way.
    pub(super) fn control(&mut self, id: u64, control: &Control, result: Result<&[u8], Status>) {
        let to_host = control.request_type & 0x80;
        let (status, data) = match result {
            Ok(data) => (Status::Success, data),
            Err(status) => (status, &[][..]),
        };
        let length = match status {
            Status::Success if to_host == 0 => control.length,
            _ => data.len() as u16,
        };
        let words = [control.value, control.index, length].map(u16::to_le_bytes);
        let bytes = [to_host, control.request, control.request_type, status as u8];
        self.packet(CONTROL_PACKET, id, &[&bytes, words.as_flattened(), data]);
    }

    /// `length`: of what was taken, towards the device; of `data`, from it.
    pub(super) fn bulk(&mut self, id: u64, header: Bulk, status: Status, length: u32, data: &[u8]) {
        let (low, high) = (length as u16, (length >> 16) as u16);
        let parts: [&[u8]; 5] = [
            &[header.endpoint, status as u8],
            &low.to_le_bytes(),
            &header.stream.to_le_bytes(),
            &high.to_le_bytes(),
            data,
        ];
        self.packet(BULK_PACKET, id, &parts);
    }
}

/// What an answer to a bulk packet repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bulk {
    pub(super) endpoint: u8,
    pub(super) stream: u32,
}

#[cfg(test)]
mod tests;
