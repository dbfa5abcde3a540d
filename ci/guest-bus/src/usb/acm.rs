//! The device itself: answers to requests, and the bytes of its serial ports. Without sockets and time.

use std::collections::VecDeque;

use super::{
    Identity, descriptors,
    redir::{Bulk, Control, Encoder, Request, Status},
};

/// Transfers of one port and direction that may wait; Linux's cdc_acm keeps 16.
const MOST_WAITING: usize = 256;
/// Bytes on their way from the guest to the firmware before the guest has to wait.
const MOST_BYTES: usize = 64 * 1024;

/// What the guest set a serial port to (CDC PSTN, 6.3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineCoding {
    pub baud: u32,
    /// 0: one, 1: one and a half, 2: two.
    pub stop_bits: u8,
    /// 0: none, 1: odd, 2: even, 3: mark, 4: space.
    pub parity: u8,
    pub data_bits: u8,
    /// A program in the guest has the port open.
    pub ready: bool,
}

impl Default for LineCoding {
    fn default() -> Self {
        Self { baud: 115_200, stop_bits: 0, parity: 0, data_bits: 8, ready: false }
    }
}

impl LineCoding {
    fn bytes(self) -> [u8; 7] {
        let [a, b, c, d] = self.baud.to_le_bytes();
        [a, b, c, d, self.stop_bits, self.parity, self.data_bits]
    }
}

/// A transfer that the guest waits for.
struct Waiting {
    id: u64,
    header: Bulk,
    /// From the device: room in the guest.
    length: u32,
    /// Towards the device: what it takes.
    data: Vec<u8>,
}

#[derive(Default)]
struct Port {
    line: LineCoding,
    /// Bytes for the guest that it has not asked for yet.
    to_guest: VecDeque<u8>,
    reads: VecDeque<Waiting>,
    /// Bytes for the firmware that it has not taken yet.
    from_guest: VecDeque<u8>,
    writes: VecDeque<Waiting>,
}

pub(super) struct Acm {
    identity: Identity,
    configuration: u8,
    ports: Vec<Port>,
}

impl Acm {
    pub(super) fn new(identity: Identity, ports: usize) -> Self {
        Self { identity, configuration: 0, ports: (0..ports).map(|_| Port::default()).collect() }
    }

    /// Says what the device is and that it is there.
    pub(super) fn appear(&self, out: &mut Encoder) {
        self.tables(out);
        out.connect(&descriptors::connect(&self.identity));
    }

    pub(super) fn line(&self, port: usize) -> Option<LineCoding> {
        Some(self.ports.get(port)?.line)
    }

    /// What the firmware shall get; taken bytes are dropped by [`Acm::firmware_took`].
    pub(super) fn for_firmware(&self, port: usize) -> &[u8] {
        self.ports[port].from_guest.as_slices().0
    }

    pub(super) fn firmware_took(&mut self, port: usize, count: usize, out: &mut Encoder) {
        let port = &mut self.ports[port];
        port.from_guest.drain(..count);
        port.accept_writes(out);
    }

    /// Whether the guest waits for bytes of this port: only then are some taken from the firmware.
    pub(super) fn wants_bytes(&self, port: usize) -> bool {
        !self.ports[port].reads.is_empty()
    }

    pub(super) fn firmware_says(&mut self, port: usize, bytes: &[u8], out: &mut Encoder) {
        let port = &mut self.ports[port];
        port.to_guest.extend(bytes);
        port.serve_reads(out);
    }

    pub(super) fn request(&mut self, id: u64, request: Request, out: &mut Encoder) {
        match request {
            Request::Reset => self.reset(),
            Request::SetConfiguration(value) => {
                let known = value <= 1;
                if known {
                    self.reset();
                    self.configuration = value;
                }
                self.tables(out);
                let status = if known { Status::Success } else { Status::Stall };
                out.configuration(id, status, self.configuration);
            }
            Request::GetConfiguration => out.configuration(id, Status::Success, self.configuration),
            Request::SetAlternate { interface, alternate } => {
                let known = alternate == 0 && usize::from(interface) < 2 * self.ports.len();
                self.tables(out);
                out.alternate(id, if known { Status::Success } else { Status::Stall }, interface, 0);
            }
            Request::GetAlternate { interface } => out.alternate(id, Status::Success, interface, 0),
            Request::StartInterrupts { endpoint } | Request::StopInterrupts { endpoint } => {
                let known = (0..self.ports.len()).any(|port| descriptors::notifications(port) == endpoint);
                out.interrupts(id, if known { Status::Success } else { Status::Invalid }, endpoint);
            }
            Request::Cancel => self.cancel(id, out),
            Request::Control(control) => {
                let result = self.control(&control);
                let answer = result.as_deref().map_err(|status| *status);
                out.control(id, &control, answer);
            }
            Request::Bulk { endpoint, stream, length, data } => {
                self.bulk(Waiting { id, header: Bulk { endpoint, stream }, length, data }, out);
            }
            Request::Rejected | Request::Disconnected | Request::Other(_) => {}
        }
    }

    fn tables(&self, out: &mut Encoder) {
        let ports = self.ports.len();
        out.tables(&descriptors::interfaces(ports), &descriptors::endpoints(ports));
    }

    /// The guest knows that its transfers are gone.
    fn reset(&mut self) {
        self.configuration = 0;
        self.ports.iter_mut().for_each(|port| *port = Port::default());
    }

    fn control(&mut self, control: &Control) -> Result<Vec<u8>, Status> {
        let most = usize::from(control.length);
        match (control.request_type, control.request) {
            // GET_STATUS: of the device that it has power of its own; of interfaces and endpoints nothing.
            (0x80, 0) => Ok(vec![1, 0]),
            (0x81 | 0x82, 0) => Ok(vec![0, 0]),
            // CLEAR_FEATURE and SET_FEATURE of an endpoint: it never halts, so there is nothing to do.
            (0x02, 1 | 3) => Ok(vec![]),
            (0x80, 6) => {
                let found = descriptors::get(&self.identity, self.ports.len(), control.value);
                found.ok_or(Status::Stall)
            }
            (0x21 | 0xA1, request) => {
                let interface = usize::from(control.index);
                let port = self.ports.get_mut(interface / 2).filter(|_| interface.is_multiple_of(2));
                port.ok_or(Status::Stall)?.class_request(request, control)
            }
            _ => Err(Status::Stall),
        }
        .map(|mut bytes| {
            bytes.truncate(most);
            bytes
        })
    }

    fn bulk(&mut self, transfer: Waiting, out: &mut Encoder) {
        let endpoint = transfer.header.endpoint;
        let port_of =
            |address: fn(usize) -> u8| (0..self.ports.len()).find(|port| address(*port) == endpoint);
        let found = (port_of(descriptors::data_in), port_of(descriptors::data_out));
        match found {
            (Some(port), _) if self.ports[port].reads.len() < MOST_WAITING => {
                let port = &mut self.ports[port];
                port.reads.push_back(transfer);
                port.serve_reads(out);
            }
            (_, Some(port)) if self.ports[port].writes.len() < MOST_WAITING => {
                let port = &mut self.ports[port];
                port.writes.push_back(transfer);
                port.accept_writes(out);
            }
            _ => out.bulk(transfer.id, transfer.header, Status::Stall, 0, &[]),
        }
    }

    fn cancel(&mut self, id: u64, out: &mut Encoder) {
        for port in &mut self.ports {
            for queue in [&mut port.reads, &mut port.writes] {
                if let Some(place) = queue.iter().position(|waiting| waiting.id == id)
                    && let Some(waiting) = queue.remove(place)
                {
                    out.bulk(id, waiting.header, Status::Cancelled, 0, &[]);
                    return;
                }
            }
        }
        // Answered already: the answer and this crossed each other.
    }
}

impl Port {
    fn class_request(&mut self, request: u8, control: &Control) -> Result<Vec<u8>, Status> {
        match (control.request_type, request) {
            // SET_LINE_CODING
            (0x21, 0x20) => {
                let coding: [u8; 7] = control.data.as_slice().try_into().map_err(|_| Status::Stall)?;
                let [a, b, c, d, stop_bits, parity, data_bits] = coding;
                let baud = u32::from_le_bytes([a, b, c, d]);
                self.line = LineCoding { baud, stop_bits, parity, data_bits, ready: self.line.ready };
                Ok(vec![])
            }
            // GET_LINE_CODING
            (0xA1, 0x21) => Ok(self.line.bytes().to_vec()),
            // SET_CONTROL_LINE_STATE: bit 0 is "data terminal ready".
            (0x21, 0x22) => {
                self.line.ready = control.value & 1 != 0;
                Ok(vec![])
            }
            // SEND_BREAK
            (0x21, 0x23) => Ok(vec![]),
            _ => Err(Status::Stall),
        }
    }

    fn serve_reads(&mut self, out: &mut Encoder) {
        while !self.to_guest.is_empty()
            && let Some(read) = self.reads.pop_front()
        {
            let count = self.to_guest.len().min(read.length as usize);
            let data: Vec<u8> = self.to_guest.drain(..count).collect();
            out.bulk(read.id, read.header, Status::Success, data.len() as u32, &data);
        }
    }

    fn accept_writes(&mut self, out: &mut Encoder) {
        while self.from_guest.len() < MOST_BYTES
            && let Some(write) = self.writes.pop_front()
        {
            self.from_guest.extend(&write.data);
            out.bulk(write.id, write.header, Status::Success, write.length, &[]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn device() -> Acm {
        Acm::new(Identity::bitaxe_raw("7"), 2)
    }

    fn ask(device: &mut Acm, id: u64, request: Request) -> Vec<u8> {
        let mut out = Encoder::default();
        device.request(id, request, &mut out);
        out.bytes
    }

    fn control(request_type: u8, request: u8, index: u16, length: u16, data: &[u8]) -> Request {
        Request::Control(Control { request_type, request, value: 0, index, length, data: data.to_vec() })
    }

    fn bulk(endpoint: u8, length: u32, data: &[u8]) -> Request {
        Request::Bulk { endpoint, stream: 0, length, data: data.to_vec() }
    }

    /// Header and body of a bulk packet with this id, endpoint and status.
    fn answer(id: u8, endpoint: u8, status: Status, length: u8, data: &[u8]) -> Vec<u8> {
        let header = [101, 0, 0, 0, 10 + data.len() as u8, 0, 0, 0, id, 0, 0, 0, 0, 0, 0, 0];
        [&header[..], &[endpoint, status as u8, length, 0, 0, 0, 0, 0, 0, 0], data].concat()
    }

    #[test]
    fn each_port_has_a_line_coding_of_its_own() {
        let mut device = device();
        ask(&mut device, 1, control(0x21, 0x20, 2, 7, &[0x40, 0x42, 0x0F, 0, 0, 0, 8]));
        ask(
            &mut device,
            2,
            Request::Control(Control {
                request_type: 0x21,
                request: 0x22,
                value: 3,
                index: 2,
                length: 0,
                data: vec![],
            }),
        );
        assert_eq!(device.line(0), Some(LineCoding::default()));
        assert_eq!(
            device.line(1),
            Some(LineCoding { baud: 1_000_000, ready: true, ..LineCoding::default() })
        );
        let said = ask(&mut device, 3, control(0xA1, 0x21, 2, 7, &[]));
        assert_eq!(said[said.len() - 7..], [0x40, 0x42, 0x0F, 0, 0, 0, 8]);
        let stalled = ask(&mut device, 4, control(0xA1, 0x21, 3, 7, &[]));
        assert_eq!(stalled[16 + 3], Status::Stall as u8, "interface 3 carries data");
    }

    #[test]
    fn reads_wait_for_bytes_and_get_no_more_than_they_have_room_for() {
        let (mut device, mut out) = (device(), Encoder::default());
        assert!(!device.wants_bytes(0));
        for id in [1, 2] {
            assert_eq!(ask(&mut device, id, bulk(0x82, 4, &[])), []);
        }
        assert!(device.wants_bytes(0) && !device.wants_bytes(1));
        device.firmware_says(0, &[1, 2, 3, 4, 5, 6], &mut out);
        let both = [
            answer(1, 0x82, Status::Success, 4, &[1, 2, 3, 4]),
            answer(2, 0x82, Status::Success, 2, &[5, 6]),
        ];
        assert_eq!(out.bytes, both.concat());
        assert!(!device.wants_bytes(0));
    }

    #[test]
    fn a_cancelled_read_is_answered_once_and_takes_no_bytes() {
        let mut device = device();
        ask(&mut device, 1, bulk(0x84, 4, &[]));
        assert_eq!(ask(&mut device, 1, Request::Cancel), answer(1, 0x84, Status::Cancelled, 0, &[]));
        assert_eq!(ask(&mut device, 1, Request::Cancel), []);
        let mut out = Encoder::default();
        device.firmware_says(1, &[7], &mut out);
        assert_eq!(out.bytes, []);
        assert_eq!(ask(&mut device, 2, bulk(0x84, 4, &[])), answer(2, 0x84, Status::Success, 1, &[7]));
    }

    #[test]
    fn writes_wait_while_the_firmware_takes_nothing() {
        let (mut device, mut out) = (device(), Encoder::default());
        let much = vec![9; MOST_BYTES];
        let length = MOST_BYTES as u32;
        assert!(!ask(&mut device, 1, bulk(0x02, length, &much)).is_empty());
        assert_eq!(ask(&mut device, 2, bulk(0x02, 1, &[8])), []);
        device.firmware_took(1, 10, &mut out);
        assert_eq!(out.bytes, answer(2, 0x02, Status::Success, 1, &[]));
    }

    #[test]
    fn an_endpoint_that_is_not_there_and_a_crowd_at_one_that_is_are_refused() {
        let mut device = device();
        assert_eq!(ask(&mut device, 1, bulk(0x86, 1, &[])), answer(1, 0x86, Status::Stall, 0, &[]));
        (0..MOST_WAITING).for_each(|_| drop(ask(&mut device, 1, bulk(0x82, 1, &[]))));
        assert_eq!(ask(&mut device, 2, bulk(0x82, 1, &[])), answer(2, 0x82, Status::Stall, 0, &[]));
    }

    fn any_request() -> impl Strategy<Value = Request> {
        let data = || prop::collection::vec(any::<u8>(), 0..80);
        prop_oneof![
            (any::<u8>(), any::<u8>(), any::<u16>(), 0..6_u16, any::<u16>(), data()).prop_map(
                |(request_type, request, value, index, length, data)| {
                    Request::Control(Control { request_type, request, value, index, length, data })
                }
            ),
            (prop_oneof![Just(0x82), Just(0x01), any::<u8>()], any::<u32>(), data())
                .prop_map(|(endpoint, length, data)| bulk(endpoint, length, &data)),
            any::<u8>().prop_map(Request::SetConfiguration),
            any::<u8>().prop_map(|endpoint| Request::StartInterrupts { endpoint }),
            (any::<u8>(), any::<u8>())
                .prop_map(|(interface, alternate)| Request::SetAlternate { interface, alternate }),
            Just(Request::Reset),
            Just(Request::Cancel),
        ]
    }

    proptest! {
        #[test]
        fn any_requests_are_survived(requests in prop::collection::vec((0..4_u64, any_request()), 0..60)) {
            let (mut device, mut out) = (device(), Encoder::default());
            for (id, request) in requests {
                device.request(id, request, &mut out);
                device.firmware_says(0, &[1], &mut out);
                let count = device.for_firmware(0).len();
                device.firmware_took(0, count, &mut out);
            }
        }
    }
}
