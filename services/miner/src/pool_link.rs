//! The connection to a pool: connecting, reading, writing, judging whether it is of use. Decides nothing about mining, nor when to connect.

use std::{future::Future, io, net::SocketAddr, pin::Pin, time::Duration};

use adit_config::{Pool, PoolUrl};
use adit_stratum::v1::{Client, Event, Settings, Share};
use adit_work::header::BIP320_MASK;
use rustix::net::sockopt;
use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, sleep_until, timeout},
};

use crate::{
    conduct::Conduct,
    tls::{Refusal, Tls},
    wire::{ReadError, Wire},
};

/// Name lookup and all addresses of a host together.
const CONNECT: Duration = Duration::from_secs(10);
/// Addresses of a host that are tried.
const MAX_ADDRESSES: usize = 8;
/// Clients and connections look at their time-outs so often.
const TICK: Duration = Duration::from_secs(1);
/// Bytes sent, or a sign of life asked for, and not acknowledged for so long: the peer has vanished.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
/// Bytes taken from the socket at a time.
const CHUNK: usize = 16 * 1024;

/// What happened on a link.
#[derive(Debug)]
pub enum LinkEvent {
    Connecting,
    Connected,
    Pool(Event),
    /// A block was taken by a node, this long after it was found; or refused by all of them, with the first reason.
    Block(Result<Duration, String>),
    /// The link is down, with everything that the pool said. `wait`: how long the pool asks to be left alone. `by_clock`: the dates of its certificate and this
    /// unit's clock do not go together.
    Lost {
        reason: String,
        wait: Duration,
        by_clock: bool,
    },
}

/// What holds on a connection for the jobs to come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    pub difficulty: f64,
    pub version_mask: u32,
}

type Connecting = Pin<Box<dyn Future<Output = Result<Wire, Refusal>> + Send>>;

enum State {
    Down,
    Starting,
    Connecting(Connecting),
    Open(Box<Open>),
}

struct Open {
    wire: Wire,
    client: Client,
    conduct: Conduct,
    next_tick: Instant,
    chunk: [u8; CHUNK],
}

/// The way to one pool: one connection at a time, or none.
pub struct PoolLink {
    url: PoolUrl,
    /// `None`: plain TCP. `Err`: why no TLS is possible; nothing is sent without it then.
    tls: Option<Result<Tls, String>>,
    settings: Settings,
    /// Zero of the time that the client is told.
    start: Instant,
    /// Port for the next connection, when the pool asked for another one.
    port: Option<u16>,
    state: State,
}

impl PoolLink {
    /// Down.
    pub fn new(pool: &Pool, start: Instant) -> Self {
        let settings = Settings {
            agent: concat!("adit/", env!("CARGO_PKG_VERSION")).to_owned(),
            user: pool.user.expose().to_owned(),
            password: pool.password.expose().to_owned(),
            host: pool.url.host().to_owned(),
            version_mask: BIP320_MASK,
            suggest_difficulty: None,
        };
        let tls = pool.trust.as_ref().map(|trust| Tls::new(pool.url.host(), trust));
        Self { url: pool.url.clone(), tls, settings, start, port: None, state: State::Down }
    }

    pub fn url(&self) -> &PoolUrl {
        &self.url
    }

    /// Begins a new connection.
    pub fn open(&mut self) {
        self.state = State::Starting;
    }

    /// Drops the connection, with everything that the pool said.
    pub fn close(&mut self) {
        self.state = State::Down;
    }

    pub fn is_down(&self) -> bool {
        matches!(self.state, State::Down)
    }

    /// Waits for the next event; for ever while the link is down. May be dropped and called again at any point.
    pub async fn next(&mut self) -> LinkEvent {
        match &mut self.state {
            State::Down => std::future::pending().await,
            State::Starting => {
                let port = self.port.take().unwrap_or(self.url.port());
                let wire = wire(self.url.host().to_owned(), port, self.tls.clone());
                self.state = State::Connecting(Box::pin(wire));
                LinkEvent::Connecting
            }
            State::Connecting(attempt) => match attempt.await {
                Ok(wire) => {
                    let open = Open::new(wire, self.settings.clone(), self.start);
                    self.state = State::Open(Box::new(open));
                    LinkEvent::Connected
                }
                Err(refusal) => self.lost(refusal, Duration::ZERO),
            },
            State::Open(open) => match open.next(self.start).await {
                Ok(Event::Reconnect { port, wait }) => {
                    self.port = port;
                    self.lost("the pool asks to connect again".to_owned().into(), wait)
                }
                Ok(event) => LinkEvent::Pool(event),
                Err(reason) => self.lost(reason.into(), Duration::ZERO),
            },
        }
    }

    /// The job that came last is being mined. A pool whose jobs are all impossible is as good as one that sends none.
    pub fn job_used(&mut self) {
        let now = self.start.elapsed();
        if let State::Open(open) = &mut self.state {
            open.conduct.job(now);
        }
    }

    /// `None` while there is no connection.
    pub fn terms(&self) -> Option<Terms> {
        let State::Open(open) = &self.state else { return None };
        Some(Terms { difficulty: open.client.difficulty(), version_mask: open.client.version_mask() })
    }

    /// Hands a share in at once, without waiting. False: it is lost, because the link is down or the pool has stopped answering.
    pub fn submit(&mut self, share: &Share<'_>) -> bool {
        let State::Open(open) = &mut self.state else { return false };
        let submitted = open.client.submit(share, self.start.elapsed()).is_some();
        // An error here comes again, and is told, at the next event.
        let _ = open.flush();
        submitted
    }

    fn lost(&mut self, refusal: Refusal, wait: Duration) -> LinkEvent {
        self.state = State::Down;
        LinkEvent::Lost { reason: refusal.reason, wait, by_clock: refusal.by_clock }
    }
}

impl Open {
    fn new(wire: Wire, settings: Settings, start: Instant) -> Self {
        let now = Instant::now();
        let client = Client::new(settings, now - start);
        Self { wire, client, conduct: Conduct::default(), next_tick: now + TICK, chunk: [0; CHUNK] }
    }

    /// The pool's next event; `Err` says why the connection is over.
    async fn next(&mut self, start: Instant) -> Result<Event, String> {
        loop {
            // First of all: a pool that never stops talking does not get around the time-outs.
            if Instant::now() >= self.next_tick {
                self.tick(start.elapsed())?;
            }
            let event = self.client.next_event(start.elapsed()).map_err(|error| error.to_string())?;
            self.flush().map_err(|error| error.to_string())?;
            if let Some(event) = event {
                self.note(&event, start.elapsed());
                return Ok(event);
            }
            let more_to_say = !self.client.outgoing().is_empty();
            tokio::select! {
                ready = self.wire.ready(more_to_say) => {
                    if ready.map_err(|error| error.to_string())?.is_readable() {
                        self.read()?;
                    }
                }
                () = sleep_until(self.next_tick) => {}
            }
        }
    }

    fn tick(&mut self, now: Duration) -> Result<(), String> {
        self.next_tick = Instant::now() + TICK;
        self.client.tick(now).map_err(|error| error.to_string())?;
        self.conduct.fault(now).map_or(Ok(()), Err)
    }

    fn note(&mut self, event: &Event, now: Duration) {
        match event {
            Event::Authorized => self.conduct.authorized(now),
            Event::ShareAccepted { .. } => self.conduct.share_answered(true, now),
            Event::ShareRejected { .. } => self.conduct.share_answered(false, now),
            Event::ShareUnanswered { .. } => self.conduct.share_unanswered(now),
            _ => {}
        }
    }

    fn read(&mut self) -> Result<(), String> {
        match self.wire.try_read(&mut self.chunk) {
            Ok(0) => Err("closed by the pool".to_owned()),
            Ok(count) => {
                self.client.receive(&self.chunk[..count]);
                Ok(())
            }
            Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(ReadError::Io(error)) => Err(error.to_string()),
            Err(ReadError::Tls(refusal)) => Err(refusal.reason),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.flush_all() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            other => other,
        }
    }

    fn flush_all(&mut self) -> io::Result<()> {
        while !self.client.outgoing().is_empty() {
            let count = self.wire.try_write(self.client.outgoing())?;
            self.client.sent(count);
        }
        self.wire.push()
    }
}

/// A new connection, over TLS if that is wanted.
async fn wire(host: String, port: u16, tls: Option<Result<Tls, String>>) -> Result<Wire, Refusal> {
    let tls = tls.transpose()?;
    let tcp = connect(host, port).await.map_err(|error| error.to_string())?;
    match tls {
        None => Ok(Wire::plain(tcp)),
        Some(tls) => Wire::secure(tcp, tls).await,
    }
}

/// A connection to the first address of a host that answers, ready for small messages; `TimedOut` after 10 s.
pub(crate) async fn connect(host: String, port: u16) -> io::Result<TcpStream> {
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

/// Shares go out at once, and a peer that vanished is noticed within a minute even when nothing is said.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(30))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(10))?;
    sockopt::set_tcp_keepcnt(stream, 3)?;
    sockopt::set_tcp_user_timeout(stream, UNACKNOWLEDGED.as_millis() as u32)?;
    Ok(())
}
