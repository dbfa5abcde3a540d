//! A driver's side of a queue, for tests: descriptors by hand, so that they may be wrong.

use virtio_queue::{Queue, QueueOwnedT, QueueT};
use vm_memory::{Bytes, GuestAddress, GuestAddressSpace, GuestMemoryAtomic, GuestMemoryMmap};

use super::chain::{Chain, Memory};

pub(crate) const MEMORY_BYTES: usize = 1 << 20;
const SIZE: u16 = 256;
const DESCRIPTORS: u64 = 0;
const AVAILABLE: u64 = 0x1000;
const USED: u64 = 0x2000;
const DATA: u64 = 0x4000;

pub(crate) const NEXT: u16 = 1;
pub(crate) const WRITE: u16 = 2;

pub(crate) enum Part<'a> {
    /// For the device to read.
    Out(&'a [u8]),
    /// Room for the device to write.
    In(usize),
    /// Address, length and flags, but for the one that tells of a next part.
    Any(u64, u32, u16),
}

pub(crate) struct Driver {
    memory: Memory,
    queue: Queue,
    descriptor: u16,
    posted: u16,
    data: u64,
    /// Where the device may write, by head.
    rooms: Vec<(u16, u64, usize)>,
}

impl Driver {
    pub(crate) fn new() -> Self {
        let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), MEMORY_BYTES)]).expect("a megabyte");
        let mut queue = Queue::new(SIZE).expect("a power of two");
        queue.set_desc_table_address(Some(DESCRIPTORS as u32), Some(0));
        queue.set_avail_ring_address(Some(AVAILABLE as u32), Some(0));
        queue.set_used_ring_address(Some(USED as u32), Some(0));
        queue.set_ready(true);
        let memory = GuestMemoryAtomic::new(memory);
        Self { memory, queue, descriptor: 0, posted: 0, data: DATA, rooms: Vec::new() }
    }

    /// Makes a chain available; its head.
    pub(crate) fn post(&mut self, parts: &[Part<'_>]) -> u16 {
        let (head, memory) = (self.descriptor, self.memory.memory());
        for (place, part) in parts.iter().enumerate() {
            let (address, length, flags) = match *part {
                Part::Out(bytes) => {
                    memory.write_slice(bytes, GuestAddress(self.data)).expect("fits");
                    (self.data, bytes.len() as u32, 0)
                }
                Part::In(room) => {
                    self.rooms.push((head, self.data, room));
                    (self.data, room as u32, WRITE)
                }
                Part::Any(address, length, flags) => (address, length, flags),
            };
            if !matches!(part, Part::Any(..)) {
                self.data += u64::from(length);
            }
            let last = place + 1 == parts.len();
            let flags = if last { flags & !NEXT } else { flags | NEXT };
            let bytes = [
                &address.to_le_bytes()[..],
                &length.to_le_bytes(),
                &flags.to_le_bytes(),
                &(self.descriptor + 1).to_le_bytes(),
            ]
            .concat();
            memory
                .write_slice(&bytes, GuestAddress(DESCRIPTORS + 16 * u64::from(self.descriptor)))
                .expect("fits");
            self.descriptor += 1;
        }
        let slot = AVAILABLE + 4 + 2 * u64::from(self.posted % SIZE);
        memory.write_slice(&head.to_le_bytes(), GuestAddress(slot)).expect("fits");
        self.posted += 1;
        memory.write_slice(&self.posted.to_le_bytes(), GuestAddress(AVAILABLE + 2)).expect("fits");
        head
    }

    /// What the device finds.
    pub(crate) fn chains(&mut self) -> Vec<Chain> {
        self.queue.iter(self.memory.memory()).expect("makes sense").collect()
    }

    /// What the device wrote into a chain's rooms.
    pub(crate) fn written(&self, head: u16) -> Vec<u8> {
        let memory = self.memory.memory();
        let mut all = Vec::new();
        for (_, address, room) in self.rooms.iter().filter(|(of, ..)| *of == head) {
            let mut bytes = vec![0; *room];
            memory.read_slice(&mut bytes, GuestAddress(*address)).expect("is there");
            all.extend(bytes);
        }
        all
    }
}
