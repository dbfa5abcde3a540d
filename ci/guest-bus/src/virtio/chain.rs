//! What a driver put into a chain of descriptors, read and written with every address and length checked.

use std::io::{Read as _, Write as _};

use virtio_queue::DescriptorChain;
use vm_memory::{GuestMemoryAtomic, GuestMemoryLoadGuard, GuestMemoryMmap};

pub(crate) type Memory = GuestMemoryAtomic<GuestMemoryMmap>;
pub(crate) type Chain = DescriptorChain<GuestMemoryLoadGuard<GuestMemoryMmap>>;

/// All that the driver wrote for us; `None` when it is more than `most` bytes or not in its memory.
pub(crate) fn readable(chain: &Chain, most: usize) -> Option<Vec<u8>> {
    let mut reader = chain.clone().reader(chain.memory()).ok()?;
    let count = reader.available_bytes();
    if count > most {
        return None;
    }
    let mut bytes = vec![0; count];
    reader.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

/// How many bytes the driver has room for; `None` when the room is not in its memory.
pub(crate) fn writable(chain: &Chain) -> Option<usize> {
    Some(chain.clone().writer(chain.memory()).ok()?.available_bytes())
}

/// Writes as much of `bytes` as there is room for; the number written.
pub(crate) fn write(chain: &Chain, bytes: &[u8]) -> u32 {
    let Ok(mut writer) = chain.clone().writer(chain.memory()) else { return 0 };
    let fits = bytes.len().min(writer.available_bytes());
    // u32: a queue's chain is shorter than that by construction of the specification, and `bytes` are ours.
    if writer.write_all(&bytes[..fits]).is_ok() { fits as u32 } else { 0 }
}

/// Writes one byte at the very end of the driver's room, where some devices have their status.
pub(crate) fn write_last(chain: &Chain, byte: u8) -> u32 {
    let Ok(mut writer) = chain.clone().writer(chain.memory()) else { return 0 };
    let Some(before) = writer.available_bytes().checked_sub(1) else { return 0 };
    let last = writer.split_at(before);
    u32::from(last.is_ok_and(|mut last| last.write_all(&[byte]).is_ok()))
}
