//! A connection to a pool, with or without TLS: bytes in and out without waiting, and one place to wait.
//!
//! TLS runs over the same socket calls as plain TCP does (rustls without a layer of tasks), so that a share leaves in the call that hands it in.

use std::{
    io::{self, Read, Write},
    time::Duration,
};

use rustls::ClientConnection;
use tokio::{
    io::{Interest, Ready},
    net::TcpStream,
    time::timeout,
};

use crate::tls::{Refusal, Tls};

/// From the first byte of the handshake to the last.
const HANDSHAKE: Duration = Duration::from_secs(10);

pub(crate) struct Wire {
    tcp: TcpStream,
    tls: Option<Box<Session>>,
}

struct Session {
    tls: Tls,
    connection: ClientConnection,
    /// Bytes that are decrypted and not taken yet.
    unread: usize,
}

/// The socket as rustls wants it.
struct Socket<'t>(&'t TcpStream);

impl Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Wire {
    pub(crate) fn plain(tcp: TcpStream) -> Self {
        Self { tcp, tls: None }
    }

    /// Shakes hands over a new connection. Errors: also after 10 s.
    pub(crate) async fn secure(tcp: TcpStream, tls: Tls) -> Result<Self, Refusal> {
        let connection = tls.begin()?;
        let mut session = Box::new(Session { tls, connection, unread: 0 });
        match timeout(HANDSHAKE, session.shake_hands(&tcp)).await {
            Ok(result) => result?,
            Err(_) => return Err(format!("no TLS handshake in {} s", HANDSHAKE.as_secs()).into()),
        }
        Ok(Self { tcp, tls: Some(session) })
    }

    /// Waits until there is something to read or, if wanted, room to write; for both while bytes of TLS wait to be sent.
    pub(crate) async fn ready(&self, writable: bool) -> io::Result<Ready> {
        if self.tls.as_ref().is_some_and(|session| session.unread > 0) {
            return Ok(Ready::READABLE);
        }
        let more_to_say =
            writable || self.tls.as_ref().is_some_and(|session| session.connection.wants_write());
        self.tcp.ready(interest(more_to_say)).await
    }

    /// What came, up to the buffer's size; `WouldBlock`: nothing. `Ok(0)`: the peer has hung up.
    pub(crate) fn try_read(&mut self, buffer: &mut [u8]) -> Result<usize, ReadError> {
        match &mut self.tls {
            None => Ok(self.tcp.try_read(buffer)?),
            Some(session) => session.try_read(&self.tcp, buffer),
        }
    }

    /// Takes as much as there is room for; `WouldBlock`: none.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.tcp.try_write(bytes),
            Some(session) => session.try_write(&self.tcp, bytes),
        }
    }

    /// Sends what an earlier [`Wire::try_write`] took and the socket did not; `WouldBlock` when some is left.
    pub(crate) fn push(&mut self) -> io::Result<()> {
        match &mut self.tls {
            None => Ok(()),
            Some(session) => session.push(&self.tcp),
        }
    }
}

/// Why nothing can be read any more, or nothing yet.
#[derive(Debug)]
pub(crate) enum ReadError {
    Io(io::Error),
    Tls(Refusal),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn interest(writable: bool) -> Interest {
    if writable { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE }
}

impl Session {
    async fn shake_hands(&mut self, tcp: &TcpStream) -> Result<(), Refusal> {
        let broken = |error: io::Error| format!("{error} in the TLS handshake");
        loop {
            match self.push(tcp) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(broken(error).into()),
                _ => {}
            }
            if !self.connection.is_handshaking() && !self.connection.wants_write() {
                return Ok(());
            }
            let ready = tcp.ready(interest(self.connection.wants_write())).await.map_err(broken)?;
            if !ready.is_readable() {
                continue;
            }
            match self.receive(tcp) {
                Ok(0) => return Err("closed by the pool in the TLS handshake".to_owned().into()),
                Ok(_) => {}
                Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(ReadError::Io(error)) => return Err(broken(error).into()),
                Err(ReadError::Tls(refusal)) => return Err(refusal),
            }
        }
    }

    /// Takes bytes off the socket and decrypts them. `Ok(0)`: the socket has ended.
    fn receive(&mut self, tcp: &TcpStream) -> Result<usize, ReadError> {
        let count = self.connection.read_tls(&mut Socket(tcp))?;
        match self.connection.process_new_packets() {
            Ok(state) => self.unread = state.plaintext_bytes_to_read(),
            Err(error) => {
                // The peer is told why, if it still listens.
                let _ = self.push(tcp);
                return Err(ReadError::Tls(self.tls.refusal(&error)));
            }
        }
        Ok(count)
    }

    fn try_read(&mut self, tcp: &TcpStream, buffer: &mut [u8]) -> Result<usize, ReadError> {
        if self.unread == 0 {
            self.receive(tcp)?;
        }
        match self.connection.reader().read(buffer) {
            Ok(count) => {
                self.unread = self.unread.saturating_sub(count);
                Ok(count)
            }
            // Stratum's lines have ends of their own: a peer that does not say goodbye has hung up no less.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    fn try_write(&mut self, tcp: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        // Nothing is encrypted that cannot leave soon: what waits stays within rustls' own limit.
        self.push(tcp)?;
        let count = self.connection.writer().write(bytes)?;
        if count == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        match self.push(tcp) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(count),
        }
    }

    fn push(&mut self, tcp: &TcpStream) -> io::Result<()> {
        while self.connection.wants_write() {
            if self.connection.write_tls(&mut Socket(tcp))? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }
}
