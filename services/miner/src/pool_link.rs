//! The connection to a pool: connecting, waiting, reading, writing. Decides nothing about mining.

use std::{future::Future, io, net::SocketAddr, pin::Pin, time::Duration};

use adit_config::{Pool, PoolUrl};
use adit_stratum::v1::{Client, Event, Settings, Share};
use adit_work::header::BIP320_MASK;
use rustix::net::sockopt;
use tokio::{
    io::Interest,
    net::{TcpStream, lookup_host},
    time::{Instant, sleep_until, timeout},
};

use crate::backoff::Backoff;

/// Name lookup and all addresses of a host together.
const CONNECT: Duration = Duration::from_secs(10);
/// Addresses of a host that are tried.
const MAX_ADDRESSES: usize = 8;
/// A pool that says nothing for so long is gone: jobs come every minute or less.
const SILENCE: Duration = Duration::from_secs(300);
/// After a connection that worked for so long the next attempt comes soon.
const WORKED: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Bytes taken from the socket at a time.
const CHUNK: usize = 16 * 1024;

/// What happened on the link.
#[derive(Debug)]
pub enum LinkEvent {
    Connecting,
    Connected,
    Pool(Event),
    /// The link is down, with everything that the pool said; it comes up again by itself.
    Lost(String),
}

type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

enum State {
    Waiting { until: Instant },
    Connecting(Connecting),
    Open(Box<Open>),
}

struct Open {
    stream: TcpStream,
    client: Client,
    last_line: Instant,
    next_tick: Instant,
    authorized: Option<Instant>,
    chunk: [u8; CHUNK],
}

/// A link to one pool, kept up for as long as it is asked for the next event.
pub struct PoolLink {
    url: PoolUrl,
    settings: Settings,
    /// Zero of the time that the client is told.
    start: Instant,
    /// Port for the next connection, when the pool asked for another one.
    port: Option<u16>,
    backoff: Backoff,
    state: State,
}

impl PoolLink {
    pub fn new(pool: &Pool) -> Self {
        let settings = Settings {
            agent: concat!("adit/", env!("CARGO_PKG_VERSION")).to_owned(),
            user: pool.user.expose().to_owned(),
            password: pool.password.expose().to_owned(),
            host: pool.url.host().to_owned(),
            version_mask: BIP320_MASK,
            suggest_difficulty: None,
        };
        let now = Instant::now();
        Self {
            url: pool.url.clone(),
            settings,
            start: now,
            port: None,
            backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            state: State::Waiting { until: now },
        }
    }

    /// Waits for the next event. May be dropped and called again at any point.
    pub async fn next(&mut self) -> LinkEvent {
        match &mut self.state {
            State::Waiting { until } => {
                sleep_until(*until).await;
                let port = self.port.take().unwrap_or(self.url.port());
                self.state = State::Connecting(Box::pin(connect(self.url.host().to_owned(), port)));
                LinkEvent::Connecting
            }
            State::Connecting(attempt) => match attempt.await {
                Ok(stream) => {
                    let open = Open::new(stream, self.settings.clone(), self.start);
                    self.state = State::Open(Box::new(open));
                    LinkEvent::Connected
                }
                Err(error) => self.lost(error.to_string(), Duration::ZERO),
            },
            State::Open(open) => match open.next(self.start).await {
                Ok(Event::Reconnect { port, wait }) => {
                    self.port = port;
                    self.lost("the pool asks to connect again".to_owned(), wait)
                }
                Ok(event) => LinkEvent::Pool(event),
                Err(reason) => self.lost(reason, Duration::ZERO),
            },
        }
    }

    /// Hands a share in at once, without waiting. False: it is lost, because the link is down or the pool has stopped answering.
    pub fn submit(&mut self, share: &Share<'_>) -> bool {
        let State::Open(open) = &mut self.state else { return false };
        let submitted = open.client.submit(share, self.start.elapsed()).is_some();
        // An error here comes again, and is told, at the next event.
        let _ = open.flush();
        submitted
    }

    fn lost(&mut self, reason: String, wait: Duration) -> LinkEvent {
        if let State::Open(open) = &self.state
            && open.authorized.is_some_and(|authorized| authorized.elapsed() >= WORKED)
        {
            self.backoff.reset();
        }
        let pause = self.backoff.pause(fastrand::u32(..)).max(wait);
        self.state = State::Waiting { until: Instant::now() + pause };
        LinkEvent::Lost(reason)
    }
}

impl Open {
    fn new(stream: TcpStream, settings: Settings, start: Instant) -> Self {
        let now = Instant::now();
        let client = Client::new(settings, now - start);
        Self { stream, client, last_line: now, next_tick: now, authorized: None, chunk: [0; CHUNK] }
    }

    /// The pool's next event; `Err` says why the connection is over.
    async fn next(&mut self, start: Instant) -> Result<Event, String> {
        loop {
            let event = self.client.next_event(start.elapsed()).map_err(|error| error.to_string())?;
            self.flush().map_err(|error| error.to_string())?;
            if let Some(event) = event {
                if event == Event::Authorized {
                    self.authorized = Some(Instant::now());
                }
                return Ok(event);
            }
            if self.last_line.elapsed() >= SILENCE {
                return Err(format!("no line for {} s", SILENCE.as_secs()));
            }
            let more_to_say = !self.client.outgoing().is_empty();
            let interest =
                if more_to_say { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
            tokio::select! {
                ready = self.stream.ready(interest) => {
                    if ready.map_err(|error| error.to_string())?.is_readable() {
                        self.read()?;
                    }
                }
                () = sleep_until(self.next_tick) => {
                    self.next_tick = Instant::now() + Duration::from_secs(1);
                    self.client.tick(start.elapsed()).map_err(|error| error.to_string())?;
                }
            }
        }
    }

    fn read(&mut self) -> Result<(), String> {
        match self.stream.try_read(&mut self.chunk) {
            Ok(0) => Err("closed by the pool".to_owned()),
            Ok(count) => {
                let received = &self.chunk[..count];
                if received.contains(&b'\n') {
                    self.last_line = Instant::now();
                }
                self.client.receive(received);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.client.outgoing().is_empty() {
            match self.stream.try_write(self.client.outgoing()) {
                Ok(count) => self.client.sent(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

async fn connect(host: String, port: u16) -> io::Result<TcpStream> {
    let late =
        || io::Error::new(io::ErrorKind::TimedOut, format!("no connection in {} s", CONNECT.as_secs()));
    timeout(CONNECT, connect_any(&host, port)).await.unwrap_or_else(|_| Err(late()))
}

async fn connect_any(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> = lookup_host((host, port)).await?.take(MAX_ADDRESSES).collect();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    // An address that does not answer leaves time for the others.
    let share = CONNECT / addresses.len().clamp(1, 3) as u32;
    for address in addresses {
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                prepare(&stream)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = io::Error::new(io::ErrorKind::TimedOut, "no answer"),
        }
    }
    Err(last)
}

/// Shares go out at once, and a peer that vanished is noticed within two minutes even when nothing is said.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(60))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(15))?;
    sockopt::set_tcp_keepcnt(stream, 4)?;
    Ok(())
}
