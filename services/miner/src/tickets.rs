//! What the driver says about its chains' tickets, read from its status door.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use adit_bus::{
    door,
    hardware::{HardwareStatusDoorProxy, STATUS_DOOR},
};
use tokio::{
    sync::{Notify, mpsc},
    time::{sleep, timeout},
};

/// A chain that enumerates again may get another ticket.
const INTERVAL: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_secs(1);

/// Leading zero bits of the ticket, with the chain's number before them.
pub(crate) type Tickets = Vec<(u8, u8)>;

/// Reads the tickets in the background; a driver that does not answer holds nobody up.
pub(crate) struct TicketReader {
    tickets: mpsc::Receiver<Tickets>,
    wanted: Arc<Notify>,
}

impl TicketReader {
    /// `doors`: the folder of the doors' sockets.
    pub(crate) fn start(doors: &Path) -> Self {
        let (sender, tickets) = mpsc::channel(1);
        let wanted = Arc::new(Notify::new());
        tokio::spawn(read_on(doors.join(STATUS_DOOR), sender, wanted.clone()));
        Self { tickets, wanted }
    }

    /// Reads now rather than in a few seconds.
    pub(crate) fn hurry(&self) {
        self.wanted.notify_one();
    }

    /// The next reading. May be dropped and called again at any point.
    pub(crate) async fn next(&mut self) -> Tickets {
        match self.tickets.recv().await {
            Some(tickets) => tickets,
            // The reader ends only with its receiver.
            None => std::future::pending().await,
        }
    }
}

/// Ends when nobody listens any more.
async fn read_on(door: PathBuf, tickets: mpsc::Sender<Tickets>, wanted: Arc<Notify>) {
    loop {
        if let Err(error) = read_until_error(&door, &tickets, &wanted).await {
            tracing::debug!(%error, "hardware status");
        }
        if tickets.is_closed() {
            return;
        }
        sleep(RETRY).await;
    }
}

async fn read_until_error(door: &Path, tickets: &mpsc::Sender<Tickets>, wanted: &Notify) -> zbus::Result<()> {
    let connection = door::connect(door).await?;
    let proxy = HardwareStatusDoorProxy::new(&connection).await?;
    loop {
        let status = proxy.read().await?;
        let bits = status.chains.iter().map(|chain| (chain.chain, chain.ticket_bits)).collect();
        if tickets.send(bits).await.is_err() {
            return Ok(());
        }
        let _ = timeout(INTERVAL, wanted.notified()).await;
    }
}
