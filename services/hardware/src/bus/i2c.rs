//! An I²C adapter of the control board through i2c-dev. The kernel's call blocks, so a thread of its own makes it: one owner, a short queue, every wait bounded.

use std::{
    cell::RefCell,
    io,
    path::PathBuf,
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    time::Duration,
};

use embedded_hal_async::i2c::Operation;
use i2cdev::{
    core::{I2CMessage, I2CTransfer},
    linux::{LinuxI2CBus, LinuxI2CMessage},
};
use tokio::{sync::oneshot, time::timeout};

use super::BusError;
use crate::notify;

/// Boards with their parts ask in turn; more than this would mean that somebody does not wait for the answer.
const QUEUE: usize = 16;
/// The kernel gives an adapter a second; a few may stand before.
const PATIENCE: Duration = Duration::from_millis(3000);
/// Longest message that a driver has a use for: an EEPROM's page of answers.
const MAX_LEN: usize = 256;

#[derive(Debug)]
pub(super) struct LinuxI2c {
    path: PathBuf,
    owner: RefCell<Option<SyncSender<Job>>>,
}

/// One transaction: messages with repeated starts between them.
struct Job {
    address: u8,
    messages: Vec<Message>,
    done: oneshot::Sender<io::Result<Vec<Message>>>,
}

enum Message {
    Write(Vec<u8>),
    Read(Vec<u8>),
}

impl LinuxI2c {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, owner: RefCell::default() }
    }

    /// Opens the adapter and starts its owner.
    pub(super) fn open(&self) -> Result<(), BusError> {
        let mut owner = self.owner.borrow_mut();
        if owner.is_none() {
            let bus = LinuxI2CBus::new(&self.path).map_err(|error| self.gone(error.into()))?;
            let (sender, jobs) = sync_channel(QUEUE);
            let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let thread = std::thread::Builder::new().name(name);
            thread.spawn(move || serve(bus, &jobs)).map_err(|error| self.gone(error))?;
            *owner = Some(sender);
        }
        Ok(())
    }

    pub(super) async fn transaction(
        &self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), BusError> {
        self.open()?;
        let (done, answer) = oneshot::channel();
        let job = Job { address, messages: messages(operations)?, done };
        let sent = self.owner.borrow().as_ref().map(|owner| owner.try_send(job));
        match sent {
            Some(Ok(())) => {}
            Some(Err(TrySendError::Full(_))) => return Err(BusError::Busy { path: self.path.clone() }),
            Some(Err(TrySendError::Disconnected(_))) | None => {
                self.owner.replace(None);
                return Err(self.gone(io::ErrorKind::BrokenPipe.into()));
            }
        }
        let answered = timeout(PATIENCE, answer).await;
        notify::progress();
        let slow = |_| BusError::Slow { path: self.path.clone(), ms: PATIENCE.as_millis() as u64 };
        match answered.map_err(slow)? {
            Ok(Ok(messages)) => give_back(operations, messages),
            Ok(Err(error)) if is_gone(&error) => {
                // An adapter that is unplugged and plugged in again has a new node.
                self.owner.replace(None);
                return Err(self.gone(error));
            }
            Ok(Err(error)) => return Err(BusError::Device { error }),
            Err(_owner_ended) => {
                self.owner.replace(None);
                return Err(self.gone(io::ErrorKind::BrokenPipe.into()));
            }
        }
        Ok(())
    }

    fn gone(&self, error: io::Error) -> BusError {
        BusError::Gone { path: self.path.clone(), error }
    }
}

/// The adapter itself, not a device on it.
fn is_gone(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::NODEV | Errno::BADF | Errno::SHUTDOWN))
}

/// Operations in a row of one kind are one message, as embedded-hal has it.
fn messages(operations: &[Operation<'_>]) -> Result<Vec<Message>, BusError> {
    let mut messages: Vec<Message> = Vec::new();
    for operation in operations {
        match (operation, messages.last_mut()) {
            (Operation::Write(bytes), Some(Message::Write(held))) => held.extend_from_slice(bytes),
            (Operation::Write(bytes), _) => messages.push(Message::Write(bytes.to_vec())),
            (Operation::Read(bytes), Some(Message::Read(held))) => held.resize(held.len() + bytes.len(), 0),
            (Operation::Read(bytes), _) => messages.push(Message::Read(vec![0; bytes.len()])),
        }
    }
    let length = |message: &Message| match message {
        Message::Write(bytes) | Message::Read(bytes) => bytes.len(),
    };
    if messages.iter().any(|message| length(message) > MAX_LEN) {
        return Err(BusError::Device { error: io::ErrorKind::InvalidInput.into() });
    }
    Ok(messages)
}

fn give_back(operations: &mut [Operation<'_>], messages: Vec<Message>) {
    let read = messages.into_iter().filter_map(|message| match message {
        Message::Read(bytes) => Some(bytes),
        Message::Write(_) => None,
    });
    let read: Vec<u8> = read.flatten().collect();
    let mut rest = read.as_slice();
    for operation in operations {
        if let Operation::Read(bytes) = operation
            && let Some((these, others)) = rest.split_at_checked(bytes.len())
        {
            bytes.copy_from_slice(these);
            rest = others;
        }
    }
}

fn serve(mut bus: LinuxI2CBus, jobs: &Receiver<Job>) {
    while let Ok(Job { address, mut messages, done }) = jobs.recv() {
        // Nobody waits for it any more: a write that comes late could undo a newer one.
        if done.is_closed() {
            continue;
        }
        let mut transfer: Vec<LinuxI2CMessage<'_>> = messages
            .iter_mut()
            .map(|message| match message {
                Message::Write(bytes) => LinuxI2CMessage::write(bytes),
                Message::Read(bytes) => LinuxI2CMessage::read(bytes),
            })
            .map(|message| message.with_address(address.into()))
            .collect();
        let wanted = transfer.len() as u32;
        let result = match bus.transfer(&mut transfer) {
            // Adapters may say so by the number of messages that were done (QEMU's virtio adapter does), and not by an error.
            Ok(count) if count != wanted => Err(rustix::io::Errno::NXIO.into()),
            result => result.map(drop).map_err(io::Error::from),
        };
        drop(transfer);
        // A caller that gave up does not want to know.
        let _ = done.send(result.map(|()| messages));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_in_a_row_are_one_message_and_answers_find_their_way_back() {
        let (mut one, mut two) = ([0; 2], [0; 1]);
        let mut operations = [
            Operation::Write(&[1]),
            Operation::Write(&[2, 3]),
            Operation::Read(&mut one),
            Operation::Read(&mut two),
        ];
        let mut messages = messages(&operations).unwrap();
        assert_eq!(messages.len(), 2);
        let [Message::Write(written), Message::Read(read)] = &mut messages[..] else { panic!() };
        assert_eq!((written.as_slice(), read.len()), (&[1, 2, 3][..], 3));
        read.copy_from_slice(&[7, 8, 9]);
        give_back(&mut operations, messages);
        assert_eq!((one, two), ([7, 8], [9]));
    }

    #[tokio::test]
    async fn an_adapter_that_is_not_there_is_named_and_counts_as_absent() {
        let bus = LinuxI2c::new("/dev/i2c-99".into());
        let error = bus.transaction(0x48, &mut [Operation::Write(&[0])]).await.unwrap_err();
        assert_eq!(error.to_string(), "/dev/i2c-99: No such file or directory (os error 2)");
        assert!(error.is_silence() && error.is_absence());
    }
}
