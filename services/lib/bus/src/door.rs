//! Serving and reaching a door.

use std::{io, path::PathBuf, time::Duration};

use tokio::{
    net::{UnixListener, UnixStream},
    time::{sleep, timeout},
};
use zbus::{
    Connection, Guid,
    connection::{self, AuthMechanism},
    object_server::Interface,
};

/// Where adit-init binds the doors' sockets.
pub const DIRECTORY: &str = "/run/adit/doors";

/// Longest time that a peer may take from connecting to its first call, and that we wait for a door.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Longest time that a client waits for an answer; the server sets no limit.
const CALL: Duration = Duration::from_secs(10);

/// After a connection that could not be taken.
const PAUSE: Duration = Duration::from_millis(100);

/// Connections that one door serves at a time; a further one waits in the socket's queue.
const MAX_CLIENTS: usize = 16;

/// Where the doors' sockets are: `$ADIT_DOORS`, which benches set to run services beside each other, or [`DIRECTORY`].
pub fn directory() -> PathBuf {
    std::env::var_os("ADIT_DOORS").map_or_else(|| DIRECTORY.into(), PathBuf::from)
}

/// Connects to the door at `socket`. Errors after five seconds: a door whose service hangs must not hang its clients.
pub async fn connect(socket: &std::path::Path) -> zbus::Result<Connection> {
    let handshake = async {
        let stream = UnixStream::connect(socket).await.and_then(UnixStream::into_std);
        let stream = stream.map_err(|source| zbus::Error::InputOutput(source.into()))?;
        connection::Builder::unix_stream(stream).p2p().method_timeout(CALL).build().await
    };
    timeout(HANDSHAKE, handshake).await.unwrap_or_else(|_| {
        let late = io::Error::new(io::ErrorKind::TimedOut, format!("no answer at {}", socket.display()));
        Err(zbus::Error::InputOutput(late.into()))
    })
}

/// Answers at `object` with one `interface()` a client, without end. A client that breaks off or misbehaves ends only its own connection.
pub async fn serve<I, F>(listener: UnixListener, object: &'static str, interface: F) -> io::Result<()>
where
    I: Interface,
    F: Fn() -> I,
{
    let clients = std::sync::Arc::new(tokio::sync::Semaphore::new(MAX_CLIENTS));
    let guid = Guid::generate();
    loop {
        let place = clients.clone().acquire_owned().await.map_err(io::Error::other)?;
        let stream = match listener.accept().await.and_then(|(stream, _)| stream.into_std()) {
            Ok(stream) => stream,
            // A client that is gone again, or no descriptors left for a moment: neither ends a door.
            Err(error) => {
                tracing::debug!(object, %error, "nobody came through the door");
                sleep(PAUSE).await;
                continue;
            }
        };
        let (guid, interface) = (guid.clone(), interface());
        tokio::spawn(async move {
            let client = connection::Builder::unix_stream(stream)
                .server(guid)
                .p2p()
                .auth_mechanism(AuthMechanism::External)
                .serve_at(object, interface);
            match timeout(HANDSHAKE, client.build()).await {
                Ok(Ok(connection)) => connection.closed().await,
                Ok(Err(error)) => tracing::debug!(object, %error, "a client did not come through the door"),
                Err(_) => tracing::debug!(object, "a client was too slow at the door"),
            }
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::{ChainStatus, HardwareStatus, HardwareStatusDoorProxy, OBJECT};

    struct Machine;

    #[zbus::interface(name = "org.adit.Hardware1.Status")]
    impl Machine {
        fn read(&self) -> HardwareStatus {
            HardwareStatus {
                machine: "bench".into(),
                chains: vec![ChainStatus { chip: "BM1370".into(), ..Default::default() }],
                ..Default::default()
            }
        }
    }

    #[tokio::test]
    async fn a_client_reads_a_status_and_a_silent_stranger_holds_nobody_up() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("hardware.status");
        let listener = UnixListener::bind(&socket).unwrap();
        tokio::spawn(serve(listener, OBJECT, || Machine));
        let _silent = UnixStream::connect(&socket).await.unwrap();

        let connection = connect(&socket).await.unwrap();
        let door = HardwareStatusDoorProxy::new(&connection).await.unwrap();
        let status = door.read().await.unwrap();
        assert_eq!(status.machine, "bench");
        assert_eq!(status.chains[0].chip, "BM1370");
    }

    #[tokio::test]
    async fn a_door_without_a_server_is_an_error_in_time() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("nobody");
        let _listener = UnixListener::bind(&socket).unwrap();
        tokio::time::pause();
        let error = connect(&socket).await.unwrap_err();
        assert!(error.to_string().contains("no answer"), "{error}");
    }
}
