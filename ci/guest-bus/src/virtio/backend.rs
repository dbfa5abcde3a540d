//! Between QEMU's messages about queues and a [`Device`].

use std::io;

use tracing::warn;
use vhost::vhost_user::message::{VhostUserProtocolFeatures, VhostUserVirtioFeatures};
use vhost_user_backend::{VhostUserBackendMut, VringRwLock, VringT};
use virtio_bindings::{virtio_config::VIRTIO_F_VERSION_1, virtio_ring::VIRTIO_RING_F_INDIRECT_DESC};
use virtio_queue::QueueOwnedT;
use vm_memory::GuestAddressSpace;
use vmm_sys_util::{
    epoll::EventSet,
    event::{EventConsumer, EventFlag, EventNotifier, new_event_consumer_and_notifier},
};

use super::{
    Device, Used,
    chain::{Chain, Memory},
};

/// Most descriptors of a queue; QEMU asks for less.
const QUEUE_SIZE: usize = 1024;
/// Number of the event that is not a queue. The library keeps those up to the number of queues to itself.
pub(super) const WOKEN: u16 = 64;

pub(super) struct Backend<D> {
    device: D,
    memory: Memory,
    woken: EventConsumer,
    end: (EventConsumer, EventNotifier),
    complained: bool,
}

impl<D: Device> Backend<D> {
    pub(super) fn new(device: D, memory: Memory, woken: EventConsumer) -> io::Result<Self> {
        let end = new_event_consumer_and_notifier(EventFlag::NONBLOCK | EventFlag::CLOEXEC)?;
        Ok(Self { device, memory, woken, end, complained: false })
    }

    fn queue(&mut self, queue: usize, vring: &VringRwLock) -> Vec<Used> {
        let memory = self.memory.memory();
        let chains: Result<Vec<Chain>, _> =
            vring.get_mut().get_queue_mut().iter(memory).map(Iterator::collect);
        let mut used = Vec::new();
        match chains {
            Ok(chains) => self.device.take(queue, chains, &mut used),
            Err(error) => self.complain(queue, &error),
        }
        used
    }

    /// Once: a driver that puts nonsense into its queue can do so at any rate.
    fn complain(&mut self, queue: usize, error: &dyn std::fmt::Display) {
        if !self.complained {
            warn!(device = D::NAME, queue, %error, "the driver's queue makes no sense");
        }
        self.complained = true;
    }
}

impl<D: Device> VhostUserBackendMut for Backend<D> {
    type Bitmap = ();
    type Vring = VringRwLock;

    fn num_queues(&self) -> usize {
        D::QUEUES
    }

    fn max_queue_size(&self) -> usize {
        QUEUE_SIZE
    }

    fn features(&self) -> u64 {
        let protocol = VhostUserVirtioFeatures::PROTOCOL_FEATURES.bits();
        // Indirect: QEMU's I²C queue has four places, which without that one message fills.
        1 << VIRTIO_F_VERSION_1 | 1 << VIRTIO_RING_F_INDIRECT_DESC | D::FEATURES | protocol
    }

    fn protocol_features(&self) -> VhostUserProtocolFeatures {
        let mut features = VhostUserProtocolFeatures::MQ;
        features.set(VhostUserProtocolFeatures::CONFIG, !self.device.config().is_empty());
        features
    }

    /// Not offered.
    fn set_event_idx(&mut self, _enabled: bool) {}

    fn get_config(&self, offset: u32, size: u32) -> Vec<u8> {
        let mut config = self.device.config().iter().copied().skip(offset as usize);
        // QEMU wants what it asked for; the protocol's own limit of a configuration space is 256 bytes.
        (0..size.min(256)).map(|_| config.next().unwrap_or(0)).collect()
    }

    fn update_memory(&mut self, memory: Memory) -> io::Result<()> {
        self.memory = memory;
        Ok(())
    }

    fn exit_event(&self, _thread: usize) -> Option<(EventConsumer, EventNotifier)> {
        Some((self.end.0.try_clone().ok()?, self.end.1.try_clone().ok()?))
    }

    fn stop_vring(&mut self, queue: u32) -> io::Result<()> {
        self.device.stopped(queue as usize);
        Ok(())
    }

    /// Never an error: that would end the thread, and with it the device.
    fn handle_event(
        &mut self,
        event: u16,
        _set: EventSet,
        vrings: &[VringRwLock],
        _thread: usize,
    ) -> io::Result<()> {
        let mut used = Vec::new();
        if event == WOKEN {
            let _ = self.woken.consume();
            self.device.woken(&mut used);
        } else if let Some(vring) = vrings.get(usize::from(event)) {
            used = self.queue(event.into(), vring);
        }
        for (queue, vring) in vrings.iter().enumerate() {
            let mut any = false;
            for one in used.iter().filter(|one| one.queue == queue) {
                any = true;
                if let Err(error) = vring.add_used(one.head, one.written) {
                    self.complain(queue, &error);
                }
            }
            if any {
                // Nobody to tell: QEMU has gone, and its connection ends next.
                let _ = vring.signal_used_queue();
            }
        }
        Ok(())
    }
}
