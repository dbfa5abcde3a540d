//! The door `network.status`.

use std::{io, os::unix::net::UnixListener};

use adit_bus::{
    door,
    network::{NetworkStatus, OBJECT},
};
use tokio::sync::watch;

/// `org.adit.Network1.Status`.
struct StatusDoor {
    status: watch::Receiver<NetworkStatus>,
    local_name: watch::Receiver<Option<String>>,
}

#[zbus::interface(name = "org.adit.Network1.Status")]
impl StatusDoor {
    fn read(&self) -> NetworkStatus {
        let mut status = self.status.borrow().clone();
        status.local_name = self.local_name.borrow().clone().unwrap_or_default();
        status
    }
}

/// Serves the newest status until the socket fails; for good when there is none.
pub(crate) async fn serve(
    listener: Option<UnixListener>,
    status: watch::Receiver<NetworkStatus>,
    local_name: watch::Receiver<Option<String>>,
) -> io::Result<()> {
    let Some(listener) = listener else {
        tracing::warn!(target: "adit_network", "no socket for the door network.status was passed: the status is not served");
        return std::future::pending().await;
    };
    listener.set_nonblocking(true)?;
    let listener = tokio::net::UnixListener::from_std(listener)?;
    door::serve(listener, OBJECT, || StatusDoor { status: status.clone(), local_name: local_name.clone() })
        .await
}
