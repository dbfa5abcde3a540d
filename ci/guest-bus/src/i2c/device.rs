//! The requests of virtio-i2c (VIRTIO 1.3, 5.14): each is one message; what belongs together is chained by a flag.

use std::sync::Arc;

use super::{I2cBus, Message, Nak};
use crate::virtio::{Chain, Device, Used, readable, writable, write, write_last};

/// Messages without data are allowed; Linux's driver insists.
const ZERO_LENGTH_REQUEST: u64 = 1 << 0;
/// Address (le16, shifted by one), padding (le16), flags (le32).
const HEADER_BYTES: usize = 8;
/// The next message belongs to the same transfer.
const FAIL_NEXT: u32 = 1 << 0;
const READ: u32 = 1 << 1;
const OK: u8 = 0;
const ERROR: u8 = 1;
/// What Linux's i2c-dev lets programs ask for at most.
const LONGEST_MESSAGE: usize = 8192;
/// i2c-dev allows 42.
const MOST_MESSAGES: usize = 64;

pub(super) struct I2c {
    bus: Arc<dyn I2cBus>,
}

/// A message as the driver asked for it, and where its answer goes.
struct Request {
    chain: Chain,
    /// `None`: what was asked for makes no sense.
    message: Option<Asked>,
}

struct Asked {
    address: u8,
    data: Data,
}

enum Data {
    Write(Vec<u8>),
    Read(Vec<u8>),
}

impl I2c {
    pub(super) fn new(bus: Arc<dyn I2cBus>) -> Self {
        Self { bus }
    }

    /// One transfer. A message that fails fails all of it.
    fn transfer(&self, mut requests: Vec<Request>, used: &mut Vec<Used>) {
        let result = transfer(&*self.bus, &mut requests);
        for Request { chain, message } in &requests {
            let written = match (result, message) {
                (Ok(()), Some(Asked { data: Data::Read(bytes), .. })) => {
                    write(chain, &[bytes, &[OK][..]].concat())
                }
                (Ok(()), _) => write(chain, &[OK]),
                (Err(Nak), _) => write_last(chain, ERROR),
            };
            used.push(Used { queue: 0, head: chain.head_index(), written });
        }
    }
}

/// Messages in a row to one address are one transfer.
fn transfer(bus: &dyn I2cBus, requests: &mut [Request]) -> Result<(), Nak> {
    let mut asked = Vec::new();
    for request in requests {
        asked.push(request.message.as_mut().ok_or(Nak)?);
    }
    for part in asked.chunk_by_mut(|one, next| one.address == next.address) {
        let address = part[0].address;
        let mut messages: Vec<Message<'_>> = part
            .iter_mut()
            .map(|asked| match &mut asked.data {
                Data::Write(bytes) => Message::Write(bytes),
                Data::Read(bytes) => Message::Read(bytes),
            })
            .collect();
        bus.transfer(address, &mut messages)?;
    }
    Ok(())
}

/// The flags and the message, as far as it makes sense.
fn parse(chain: &Chain) -> (u32, Option<Asked>) {
    let Some(request) = readable(chain, HEADER_BYTES + LONGEST_MESSAGE) else { return (0, None) };
    let Some((header, written)) = request.split_first_chunk::<HEADER_BYTES>() else { return (0, None) };
    let [low, high, _, _, flags @ ..] = *header;
    let (address, flags) = (u16::from_le_bytes([low, high]), u32::from_le_bytes(flags));
    // The last byte of the room is for the status.
    let room = writable(chain).and_then(|room| room.checked_sub(1));
    let message = match (u8::try_from(address >> 1), room) {
        (Ok(address @ ..0x80), Some(room @ 1..=LONGEST_MESSAGE))
            if flags & READ != 0 && written.is_empty() =>
        {
            Some(Asked { address, data: Data::Read(vec![0; room]) })
        }
        (Ok(address @ ..0x80), Some(0)) if flags & READ == 0 || written.is_empty() => {
            Some(Asked { address, data: Data::Write(written.to_vec()) })
        }
        _ => None,
    };
    (flags, message)
}

impl Device for I2c {
    const NAME: &'static str = "guest-i2c";
    const QUEUES: usize = 1;
    const FEATURES: u64 = ZERO_LENGTH_REQUEST;

    /// What is there at once: Linux posts the messages of a transfer before it rings. When not all of them fit into the queue it waits for those that
    /// did, so nothing may be kept for later.
    fn take(&mut self, _queue: usize, chains: Vec<Chain>, used: &mut Vec<Used>) {
        let mut begun = Vec::new();
        for chain in chains {
            let (flags, message) = parse(&chain);
            begun.push(Request { chain, message });
            if flags & FAIL_NEXT == 0 || begun.len() == MOST_MESSAGES {
                self.transfer(std::mem::take(&mut begun), used);
            }
        }
        if !begun.is_empty() {
            self.transfer(begun, used);
        }
    }

    fn stopped(&mut self, _queue: usize) {}
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use proptest::prelude::*;

    use super::*;
    use crate::virtio::driver::{Driver, MEMORY_BYTES, Part, WRITE};

    /// Says what it was asked; reads give 1, 2, 3 …; nobody is at 0x7F.
    #[derive(Default)]
    struct Record(Mutex<Vec<String>>);

    impl I2cBus for Record {
        fn transfer(&self, address: u8, messages: &mut [Message<'_>]) -> Result<(), Nak> {
            let mut said = format!("{address:02x}");
            for message in messages {
                match message {
                    Message::Write(bytes) => said.push_str(&format!(" w{bytes:x?}")),
                    Message::Read(bytes) => {
                        said.push_str(&format!(" r{}", bytes.len()));
                        bytes.iter_mut().zip(1..).for_each(|(byte, number)| *byte = number);
                    }
                }
            }
            self.0.lock().expect("not poisoned").push(said);
            if address == 0x7F { Err(Nak) } else { Ok(()) }
        }
    }

    fn header(address: u16, flags: u32) -> Vec<u8> {
        [&(address << 1).to_le_bytes()[..], &[0, 0], &flags.to_le_bytes()].concat()
    }

    fn device() -> (Arc<Record>, I2c) {
        let bus = Arc::new(Record::default());
        (bus.clone(), I2c::new(bus))
    }

    fn run(driver: &mut Driver, device: &mut I2c) -> Vec<Used> {
        let mut used = Vec::new();
        device.take(0, driver.chains(), &mut used);
        used
    }

    fn said(bus: &Record) -> Vec<String> {
        std::mem::take(&mut *bus.0.lock().expect("not poisoned"))
    }

    #[test]
    fn messages_chained_by_the_flag_are_one_transfer() {
        let (mut driver, (bus, mut device)) = (Driver::new(), device());
        let write = driver.post(&[Part::Out(&header(0x48, FAIL_NEXT)), Part::Out(&[0]), Part::In(1)]);
        let read = driver.post(&[Part::Out(&header(0x48, READ)), Part::In(2), Part::In(1)]);
        let used = run(&mut driver, &mut device);
        assert_eq!(
            used,
            [Used { queue: 0, head: write, written: 1 }, Used { queue: 0, head: read, written: 3 }]
        );
        assert_eq!(said(&bus), ["48 w[0] r2"]);
        assert_eq!((driver.written(write), driver.written(read)), (vec![OK], vec![1, 2, OK]));
    }

    #[test]
    fn a_probe_is_a_write_of_nothing_and_a_refusal_fails_the_whole_transfer() {
        let (mut driver, (bus, mut device)) = (Driver::new(), device());
        let probe = driver.post(&[Part::Out(&header(0x20, 0)), Part::In(1)]);
        let write = driver.post(&[Part::Out(&header(0x7F, FAIL_NEXT)), Part::Out(&[5, 6]), Part::In(1)]);
        let read = driver.post(&[Part::Out(&header(0x7F, READ)), Part::In(4), Part::In(1)]);
        assert_eq!(run(&mut driver, &mut device).len(), 3);
        assert_eq!(said(&bus), ["20 w[]", "7f w[5, 6] r4"]);
        assert_eq!(driver.written(probe), [OK]);
        assert_eq!(driver.written(write), [ERROR]);
        assert_eq!(driver.written(read), [0, 0, 0, 0, ERROR]);
    }

    #[test]
    fn what_makes_no_sense_fails_without_reaching_the_bus() {
        let (mut driver, (bus, mut device)) = (Driver::new(), device());
        let long = vec![0; LONGEST_MESSAGE + 1];
        let heads = [
            driver.post(&[Part::Out(&[1, 2, 3]), Part::In(1)]),
            driver.post(&[Part::In(1)]),
            driver.post(&[Part::Out(&header(0x80, 0)), Part::In(1)]),
            driver.post(&[Part::Out(&header(0x48, 0)), Part::Out(&long), Part::In(1)]),
            driver.post(&[Part::Out(&header(0x48, READ)), Part::In(LONGEST_MESSAGE + 1), Part::In(1)]),
            driver.post(&[Part::Out(&header(0x48, READ)), Part::Out(&[1]), Part::In(2), Part::In(1)]),
            driver.post(&[Part::Out(&header(0x48, READ)), Part::In(1)]),
        ];
        // Data of a write that also has room to read: reads are asked for by the flag.
        let mixed = driver.post(&[Part::Out(&header(0x48, 0)), Part::Out(&[1]), Part::In(2), Part::In(1)]);
        let outside = driver.post(&[
            Part::Out(&header(0x48, READ)),
            Part::Any(MEMORY_BYTES as u64, 16, WRITE),
            Part::In(1),
        ]);
        assert_eq!(run(&mut driver, &mut device).len(), heads.len() + 2);
        for head in heads.into_iter().chain([mixed]) {
            let status = driver.written(head).last().copied();
            // A read of nothing is a probe, which Linux never asks for.
            let expected = if head == heads[6] { OK } else { ERROR };
            assert_eq!(status, Some(expected), "{head}");
        }
        assert_eq!(driver.written(outside), [0], "there is no way to say it");
        assert_eq!(said(&bus), ["48 w[]"]);
    }

    #[test]
    fn a_transfer_too_long_for_the_queue_is_done_in_portions() {
        let (mut driver, (bus, mut device)) = (Driver::new(), device());
        let begun = driver.post(&[Part::Out(&header(0x48, FAIL_NEXT)), Part::Out(&[9]), Part::In(1)]);
        assert_eq!(run(&mut driver, &mut device).len(), 1);
        assert_eq!(said(&bus), ["48 w[9]"]);
        assert_eq!(driver.written(begun), [OK]);
        let parts = [Part::Out(&header(0x10, FAIL_NEXT)), Part::In(1)];
        (0..=MOST_MESSAGES).for_each(|_| {
            driver.post(&parts);
        });
        assert_eq!(run(&mut driver, &mut device).len(), MOST_MESSAGES + 1);
        assert_eq!(said(&bus).len(), 2);
    }

    proptest! {
        #[test]
        fn any_descriptors_come_back(chains in prop::collection::vec(
            prop::collection::vec((0..MEMORY_BYTES as u64 + 64, prop_oneof![0..64_u32, any::<u32>()], 0..4_u16), 1..5),
            1..20,
        )) {
            let (mut driver, (_, mut device)) = (Driver::new(), device());
            for chain in &chains {
                let parts: Vec<Part<'_>> =
                    chain.iter().map(|(address, length, flags)| Part::Any(*address, *length, *flags)).collect();
                driver.post(&parts);
            }
            prop_assert_eq!(run(&mut driver, &mut device).len(), chains.len());
        }
    }
}
