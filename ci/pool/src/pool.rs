//! The pool as a whole: what its tasks share, who may connect, and the handle for those who started it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tracing::{info, warn};

use crate::connection::{self, Order};
use crate::control::Control;
use crate::difficulty::Difficulty;
use crate::error::Error;
use crate::fault::{Fault, Standing};
use crate::feeder::{self, Demand};
use crate::rpc::Rpc;
use crate::session::{Candidate, Session};
use crate::state::State;
use crate::work::{ANYONE_CAN_SPEND, Work};

const MAX_CONNECTIONS: usize = 64;
/// Orders that may wait for a connection; one that lags further behind is closed.
const MAX_ORDERS: usize = 256;
/// Demands and candidates that may wait for the feeder. More candidates than this while one is with the node have no use.
const MAX_DEMANDS: usize = 64;

/// How the pool is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where miners connect; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Unix socket of the control port.
    pub control: Option<PathBuf>,
    /// Where templates come from; `None` makes them up.
    pub node: Option<Rpc>,
    pub difficulty: Difficulty,
    /// A share is offered to the node only when it has this difficulty (and the network's).
    pub block_difficulty: Difficulty,
    /// 4 or 8.
    pub extranonce2_size: usize,
    /// Output script that gets the reward.
    pub payout: Vec<u8>,
    /// A job with fresh time and transactions at least so often.
    pub job_interval: Duration,
}

impl Default for Config {
    /// Loopback on a free port, made-up templates, the difficulties of the command line.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            control: None,
            node: None,
            difficulty: Difficulty::new(0.0005).expect("in range"),
            block_difficulty: Difficulty::new(0.01).expect("in range"),
            extranonce2_size: 4,
            payout: ANYONE_CAN_SPEND.to_vec(),
            job_interval: Duration::from_secs(30),
        }
    }
}

/// Starts pools.
pub struct Pool;

/// A running pool. Dropping it stops the pool; [`Handle::shutdown`] also waits for that.
pub struct Handle {
    shared: Arc<Shared>,
    address: SocketAddr,
    main: Option<JoinHandle<()>>,
}

pub(crate) struct Shared {
    inner: Mutex<Inner>,
    pub(crate) faults: Standing,
    pub(crate) block_difficulty: Difficulty,
    demands: mpsc::Sender<Demand>,
    stop: watch::Sender<bool>,
}

struct Inner {
    state: State,
    connections: HashMap<u64, mpsc::Sender<Order>>,
    next_connection: u64,
    next_extranonce1: u32,
    extranonce2_size: usize,
    difficulty: Difficulty,
    current: Option<Arc<Work>>,
}

impl Pool {
    /// Binds the sockets, then serves in tasks of the current tokio runtime. A node that does not answer yet is waited for while miners may
    /// already connect. Errors: sockets that cannot be bound.
    pub async fn start(config: Config) -> Result<Handle, Error> {
        if !matches!(config.extranonce2_size, 4 | 8) {
            return Err(Error::ExtranonceSize(config.extranonce2_size));
        }
        let listen = |source| Error::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let control = config.control.clone().map(Control::bind).transpose()?;
        let (demands, wanted) = mpsc::channel(MAX_DEMANDS);
        let shared = Arc::new(Shared {
            inner: Mutex::new(Inner {
                state: State { difficulty: config.difficulty.value(), ..State::default() },
                connections: HashMap::new(),
                next_connection: 1,
                // Another pool, or this one started again, should not hand out the same ones.
                next_extranonce1: unix_now().wrapping_mul(0x9e37_79b1),
                extranonce2_size: config.extranonce2_size,
                difficulty: config.difficulty,
                current: None,
            }),
            faults: Standing::default(),
            block_difficulty: config.block_difficulty,
            demands,
            stop: watch::Sender::new(false),
        });
        info!(%address, difficulty = config.difficulty.value(), "listening");
        let main = tokio::spawn(run(Arc::clone(&shared), listener, control, config, wanted));
        Ok(Handle { shared, address, main: Some(main) })
    }
}

/// All tasks of the pool live and end with this one.
async fn run(
    shared: Arc<Shared>,
    listener: TcpListener,
    control: Option<Control>,
    config: Config,
    wanted: mpsc::Receiver<Demand>,
) {
    let mut tasks = JoinSet::new();
    tasks.spawn(feeder::run(Arc::clone(&shared), config, wanted));
    if let Some(control) = control {
        tasks.spawn(control.serve(Arc::clone(&shared)));
    }
    loop {
        tokio::select! {
            () = shared.stopped() => break,
            // A judge that panicked is not to be trusted any more.
            Some(ended) = tasks.join_next() => if ended.is_err() { break },
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => if let Some((id, session, orders)) = shared.admit() {
                    tasks.spawn(connection::serve(stream, id, session, orders, Arc::clone(&shared)));
                },
                Err(error) => {
                    warn!(%error, "accept");
                    // Out of descriptors, most likely: do not spin.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    tasks.shutdown().await;
}

impl Handle {
    /// Where miners connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    #[must_use]
    pub fn state(&self) -> State {
        self.shared.state()
    }

    /// Changes the share difficulty of every connection; a job follows, and it takes effect with that job.
    pub fn set_difficulty(&self, difficulty: Difficulty) {
        self.shared.set_difficulty(difficulty);
    }

    pub fn fault(&self, fault: Fault) {
        self.shared.fault(fault);
    }

    /// Lets the node mine a block (synthetic: another previous hash); a clean job has been sent when this returns.
    pub async fn new_block(&self) -> Result<(), Error> {
        self.shared.new_block().await
    }

    /// Makes a job from a fresh template. It is clean only when there is a new block.
    pub fn new_job(&self) {
        self.shared.demand(Demand::Job);
    }

    /// Waits until the pool is told to stop, over the control port for example.
    pub async fn stopped(&self) {
        self.shared.stopped().await;
    }

    /// Closes everything and waits until that is done.
    pub async fn shutdown(mut self) {
        self.shared.stop();
        if let Some(main) = self.main.take() {
            // A panic of the task has been printed by then.
            let _ = main.await;
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

impl Shared {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Counters and maps stay usable whatever panicked.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn with_state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.inner().state)
    }

    pub(crate) fn state(&self) -> State {
        let inner = self.inner();
        State { connections: inner.connections.len(), ..inner.state.clone() }
    }

    /// A place for a new connection, unless there are too many or all are refused.
    fn admit(&self) -> Option<(u64, Session, mpsc::Receiver<Order>)> {
        let mut inner = self.inner();
        if self.faults.refuse.load(Ordering::Relaxed) {
            return None;
        }
        if inner.connections.len() >= MAX_CONNECTIONS {
            warn!(limit = MAX_CONNECTIONS, "connection refused: too many");
            return None;
        }
        let id = inner.next_connection;
        inner.next_connection += 1;
        let extranonce1 = inner.extranonce1();
        let mut session = Session::new(extranonce1, inner.extranonce2_size, inner.difficulty);
        if let Some(work) = &inner.current {
            session.announce(Arc::clone(work), false);
        }
        let (sender, receiver) = mpsc::channel(MAX_ORDERS);
        inner.connections.insert(id, sender);
        Some((id, session, receiver))
    }

    pub(crate) fn forget(&self, id: u64) {
        self.inner().connections.remove(&id);
    }

    pub(crate) fn extranonce2_size(&self) -> usize {
        self.inner().extranonce2_size
    }

    /// A new job for everyone.
    pub(crate) fn publish(&self, work: Work) {
        let work = Arc::new(work);
        let mut inner = self.inner();
        inner.state.jobs += 1;
        inner.current = Some(Arc::clone(&work));
        inner.broadcast(&Order::Job(work));
    }

    /// Offers a share to the node when it is good enough for a block.
    pub(crate) fn offer(&self, candidate: Candidate) {
        let hash = &candidate.share.hash;
        if self.block_difficulty.target().is_met_by(hash) && candidate.work.is_block(hash) {
            self.demand(Demand::Block(Box::new(candidate)));
        }
    }

    pub(crate) fn demand(&self, demand: Demand) {
        if let Err(mpsc::error::TrySendError::Full(demand)) = self.demands.try_send(demand) {
            warn!(limit = MAX_DEMANDS, "the node is too slow");
            if matches!(demand, Demand::Block(_)) {
                self.with_state(|state| state.blocks_refused += 1);
            }
        }
    }

    pub(crate) fn set_difficulty(&self, difficulty: Difficulty) {
        let mut inner = self.inner();
        inner.difficulty = difficulty;
        inner.state.difficulty = difficulty.value();
        inner.broadcast(&Order::Difficulty(difficulty));
        drop(inner);
        self.demand(Demand::Job);
    }

    pub(crate) async fn new_block(&self) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.demands.send(Demand::NewBlock(reply)).await.map_err(|_| Error::PoolEnded)?;
        answer.await.map_err(|_| Error::PoolEnded)?
    }

    async fn stopped(&self) {
        // The sender lives as long as `self`, so an error cannot be.
        let _ = self.stop.subscribe().wait_for(|&stop| stop).await;
    }

    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    pub(crate) fn fault(&self, fault: Fault) {
        info!(?fault, "fault");
        match fault {
            Fault::Refuse(on) => self.faults.refuse.store(on, Ordering::Relaxed),
            Fault::Silent(on) => self.faults.silent.store(on, Ordering::Relaxed),
            Fault::NoConfigure(on) => self.faults.no_configure.store(on, Ordering::Relaxed),
            Fault::StopJobs(on) => {
                self.faults.stop_jobs.store(on, Ordering::Relaxed);
                if !on {
                    self.demand(Demand::Job);
                }
            }
            Fault::Reject { count } => {
                self.faults.rejects.fetch_add(count, Ordering::Relaxed);
            }
            Fault::DropConnections => {
                // Without their senders the connections end.
                self.inner().connections.clear();
            }
            Fault::Garbage { count } => self.inner().broadcast(&Order::Garbage(count)),
            Fault::LongLine { bytes } => self.inner().broadcast(&Order::LongLine(bytes)),
            Fault::BadJob { count } => self.inner().broadcast(&Order::BadJob(count)),
            Fault::Reconnect(params) => self.inner().broadcast(&Order::Reconnect(params)),
            Fault::Ping => self.inner().broadcast(&Order::Ping),
            Fault::VersionMask(mask) => {
                self.inner().broadcast(&Order::VersionMask(mask));
                self.demand(Demand::Job);
            }
            Fault::SetExtranonce { extranonce2_size } => {
                self.inner().new_extranonces(extranonce2_size);
                self.demand(Demand::CleanJob);
            }
        }
    }
}

impl Inner {
    fn extranonce1(&mut self) -> [u8; 4] {
        self.next_extranonce1 = self.next_extranonce1.wrapping_add(1);
        self.next_extranonce1.to_be_bytes()
    }

    fn new_extranonces(&mut self, size: Option<usize>) {
        let extranonce2_size = size.unwrap_or(self.extranonce2_size);
        self.extranonce2_size = extranonce2_size;
        let ids: Vec<u64> = self.connections.keys().copied().collect();
        for id in ids {
            let order = Order::Extranonce { extranonce1: self.extranonce1(), extranonce2_size };
            self.order(id, order);
        }
    }

    fn broadcast(&mut self, order: &Order) {
        let ids: Vec<u64> = self.connections.keys().copied().collect();
        for id in ids {
            self.order(id, order.clone());
        }
    }

    fn order(&mut self, id: u64, order: Order) {
        let Some(connection) = self.connections.get(&id) else { return };
        if connection.try_send(order).is_err() {
            warn!(connection = id, limit = MAX_ORDERS, "closed: takes nothing");
            self.connections.remove(&id);
        }
    }
}

/// Unix time in seconds.
pub(crate) fn unix_now() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as u32)
}
