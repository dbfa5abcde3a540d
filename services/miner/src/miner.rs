//! One thread that joins pool, policy and work path.

use std::{
    future::{Future, pending},
    os::unix::net::UnixListener,
    path::PathBuf,
    time::Duration,
};

use adit_bus::{door, miner::OBJECT};
use adit_config::PoolUrl;
use adit_stratum::v1::Event;
use adit_work::frame::{FromHardware, ToHardware};
use anyhow::Context;
use sd_notify::NotifyState;
use tokio::{
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, interval_at},
};
use tracing::{error, info, warn};

use crate::{
    claim::Claim,
    once::Once,
    policy::Policy,
    pool_link::{LinkEvent, PoolLink},
    report::{self, TARGET},
    share_check::Verdict,
    status_door::{Shared, StatusDoor},
    tickets::TicketReader,
    work_path::{PathEvent, WorkPath},
};

const TICK: Duration = Duration::from_secs(1);
const HASHING_LINE: Duration = Duration::from_secs(5);

/// What the miner finds around it.
#[derive(Debug)]
pub struct Surroundings {
    /// The configuration file; `None` when nobody has said where it is.
    pub config: Option<PathBuf>,
    /// Folder of the doors' sockets.
    pub doors: PathBuf,
    /// The socket of the door `miner.status`, bound by adit-init.
    pub status: Option<UnixListener>,
}

/// Mines until `shutdown` is ready.
///
/// Errors: only what a restart may mend (the status door's socket). Pools, drivers and configurations that are missing or wrong are waited out.
pub async fn run(surroundings: Surroundings, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
    let status = Shared::default();
    let mut door = serve_status(surroundings.status, &status)?;
    report::notify(NotifyState::Ready);

    let mut miner = Miner::new(Claim::read(surroundings.config.as_deref()), status);
    let claimed = miner.url.is_some();
    let mut path = WorkPath::new(&surroundings.doors);
    let mut tickets = claimed.then(|| TicketReader::start(&surroundings.doors));
    let watchdog = sd_notify::watchdog_enabled();
    let mut tick =
        interval(watchdog.map_or(TICK, |watchdog| TICK.min(watchdog / 2)).max(Duration::from_millis(10)));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut lines = interval_at(Instant::now() + HASHING_LINE, HASHING_LINE);

    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            event = pool_event(&mut miner.pool) => miner.pool_event(event, &mut path),
            event = path.next(), if claimed => {
                if matches!(event, PathEvent::Frame(FromHardware::Hello { .. })) && let Some(tickets) = &tickets {
                    tickets.hurry();
                }
                miner.path_event(event, &mut path);
            }
            bits = ticket_event(&mut tickets) => miner.policy.tickets(&bits),
            _ = tick.tick() => {
                miner.tick(&mut path);
                if watchdog.is_some() {
                    report::notify(NotifyState::Watchdog);
                }
            }
            _ = lines.tick(), if claimed => report::hashing(&miner.status.get()),
            ended = door_end(&mut door) => return Err(ended),
        }
        miner.update_status();
    }
    report::notify(NotifyState::Stopping);
    info!(target: TARGET, "stopping");
    Ok(())
}

type DoorTask = JoinHandle<std::io::Result<()>>;

fn serve_status(listener: Option<UnixListener>, status: &Shared) -> anyhow::Result<Option<DoorTask>> {
    let Some(listener) = listener else {
        warn!(target: TARGET, "no socket for the door miner.status was passed: the status is not served");
        return Ok(None);
    };
    listener.set_nonblocking(true).context("socket of the door miner.status")?;
    let listener = tokio::net::UnixListener::from_std(listener).context("socket of the door miner.status")?;
    let status = status.clone();
    Ok(Some(tokio::spawn(door::serve(listener, OBJECT, move || StatusDoor(status.clone())))))
}

async fn pool_event(pool: &mut Option<PoolLink>) -> LinkEvent {
    match pool {
        Some(pool) => pool.next().await,
        None => pending().await,
    }
}

async fn ticket_event(tickets: &mut Option<TicketReader>) -> Vec<(u8, u8)> {
    match tickets {
        Some(tickets) => tickets.next().await,
        None => pending().await,
    }
}

async fn door_end(door: &mut Option<DoorTask>) -> anyhow::Error {
    match door {
        Some(door) => match door.await {
            Ok(Ok(())) => anyhow::anyhow!("the door miner.status ended"),
            Ok(Err(error)) => anyhow::Error::new(error).context("the door miner.status"),
            Err(error) => anyhow::Error::new(error).context("the door miner.status"),
        },
        None => pending().await,
    }
}

struct Miner {
    policy: Policy,
    pool: Option<PoolLink>,
    /// The pool's address; `None`: unclaimed.
    url: Option<PoolUrl>,
    status: Shared,
    /// As last published.
    state: (&'static str, String),
    /// Why there is no pool; empty when it has taken us.
    pool_trouble: String,
    /// Why there is no work path.
    path_trouble: String,
    once: Once,
    start: Instant,
}

impl Miner {
    fn new(claim: Claim, status: Shared) -> Self {
        let mut miner = Self {
            policy: Policy::default(),
            pool: None,
            url: None,
            status,
            state: ("", String::new()),
            pool_trouble: "connecting".to_owned(),
            path_trouble: "no answer from adit-hardware yet".to_owned(),
            once: Once::default(),
            start: Instant::now(),
        };
        match claim {
            Claim::Claimed(config) => {
                // A configuration has one pool at least; the others wait for failover.
                let pool = &config.pools[0];
                if config.pools.len() > 1 {
                    info!(target: TARGET, pools = config.pools.len(), "only the first pool is used");
                }
                miner.status.change(|status| status.pool = pool.url.to_string());
                miner.pool = Some(PoolLink::new(pool));
                miner.url = Some(pool.url.clone());
            }
            Claim::Unclaimed { reason, mistakes } => {
                for mistake in mistakes {
                    error!(target: TARGET, "{mistake}");
                }
                warn!(target: TARGET, reason, "unclaimed");
                miner.pool_trouble = reason;
            }
        }
        miner.update_status();
        miner
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn pool_event(&mut self, event: LinkEvent, path: &mut WorkPath) {
        let Some(url) = &self.url else { return };
        let now = self.start.elapsed();
        let mut send = |frame: &ToHardware| path.send(frame);
        match event {
            LinkEvent::Pool(Event::Job(job)) => {
                if let Err(error) = self.policy.job(job, now, &mut send) {
                    self.trouble("impossible-job", &format!("mining.notify: {error}"));
                }
            }
            LinkEvent::Connecting => report::pool(url, "connecting"),
            LinkEvent::Connected => report::pool(url, "connected"),
            LinkEvent::Lost(reason) => {
                report::pool_lost(url, &reason);
                self.policy.pool_lost(now);
                self.pool_trouble = reason;
            }
            LinkEvent::Pool(Event::Authorized) => {
                report::pool(url, "authorized");
                self.pool_trouble.clear();
            }
            LinkEvent::Pool(Event::Difficulty(difficulty)) => self.policy.difficulty(difficulty),
            LinkEvent::Pool(Event::VersionMask(mask)) => self.policy.version_mask(mask, &mut send),
            LinkEvent::Pool(Event::ShareAccepted { after, .. }) => {
                self.policy.share_answered(true);
                tracing::debug!(target: TARGET, ms = after.as_millis() as u64, "share accepted");
            }
            LinkEvent::Pool(Event::ShareRejected { refusal, .. }) => {
                self.policy.share_answered(false);
                let kind = match refusal.code {
                    Some(21) => "rejected-stale",
                    Some(22) => "rejected-duplicate",
                    Some(23) => "rejected-low-difficulty",
                    _ => "rejected",
                };
                self.trouble(kind, &format!("share rejected: {refusal}"));
            }
            LinkEvent::Pool(Event::ShareUnanswered { .. }) => {
                self.trouble("unanswered", "share not answered in time");
            }
            LinkEvent::Pool(Event::Message(text)) => {
                self.trouble("message", &format!("the pool says {text:?}"))
            }
            LinkEvent::Pool(Event::Ignored(oddity)) => self.trouble(oddity.kind(), &oddity.to_string()),
            // The link acts on it.
            LinkEvent::Pool(Event::Reconnect { .. }) => {}
        }
    }

    fn path_event(&mut self, event: PathEvent, path: &mut WorkPath) {
        let now = self.start.elapsed();
        match event {
            PathEvent::Frame(frame) => {
                let pool = &mut self.pool;
                let mut lost = 0u32;
                let verdict = self.policy.frame(frame, now, &mut |frame| path.send(frame), &mut |share| {
                    let taken = pool.as_mut().is_some_and(|pool| pool.submit(share));
                    lost += u32::from(!taken);
                });
                if lost > 0 {
                    self.trouble("lost-share", "share lost: too many are unanswered, or the pool is gone");
                }
                match verdict {
                    Some(Verdict::BelowTicket) => {
                        self.trouble("below-ticket", "nonce whose hash lacks the ticket's zero bits")
                    }
                    Some(Verdict::ForbiddenVersion) => {
                        self.trouble("version", "nonce with version bits that its work forbids")
                    }
                    Some(Verdict::Duplicate) => self.trouble("duplicate", "nonce that was reported before"),
                    Some(Verdict::UnknownWork) => {
                        self.trouble("unknown-work", "nonce of a work that is not remembered")
                    }
                    Some(Verdict::Verified | Verdict::Share { .. }) | None => {}
                }
            }
            PathEvent::Open => {
                info!(target: TARGET, state = %"open", "work path");
                self.path_trouble = "adit-hardware has not said Hello".to_owned();
            }
            PathEvent::Corrupt(error) => self.trouble("corrupt-frame", &format!("work path: {error}")),
            PathEvent::Lost(reason) => {
                if self.path_trouble != reason {
                    warn!(target: TARGET, state = %"lost", reason, "work path");
                }
                self.policy.path_lost();
                self.path_trouble = reason;
            }
        }
    }

    fn tick(&mut self, path: &mut WorkPath) {
        let now = self.now();
        self.policy.tick(now, &mut |frame| path.send(frame));
    }

    /// Trouble from outside: counted where it belongs, said once a kind.
    fn trouble(&mut self, kind: &str, text: &str) {
        if self.once.is_new(kind) {
            warn!(target: TARGET, kind, "{text}; more of this kind are only counted");
        }
    }

    /// `unclaimed`, `connecting`, `waiting` or `hashing`, and why.
    fn judge_state(&self) -> (&'static str, &str) {
        let source = self.policy.source();
        match () {
            () if self.url.is_none() => ("unclaimed", &self.pool_trouble),
            () if !self.pool_trouble.is_empty() => ("connecting", &self.pool_trouble),
            () if source.chains() == 0 => ("waiting", &self.path_trouble),
            () if !source.has_job() => ("waiting", "no job from the pool yet"),
            () => ("hashing", ""),
        }
    }

    fn update_status(&mut self) {
        let now = self.now();
        let (state, reason) = self.judge_state();
        let changed = (state, reason) != (self.state.0, self.state.1.as_str());
        let reason = changed.then(|| reason.to_owned());
        let policy = &mut self.policy;
        self.status.change(|status| {
            policy.report(now, status);
            if let Some(reason) = &reason {
                state.clone_into(&mut status.state);
                reason.clone_into(&mut status.reason);
            }
        });
        if let Some(reason) = reason {
            let text = if reason.is_empty() {
                state.to_owned()
            } else {
                format!("{state}: {}", reason.replace('\n', " "))
            };
            report::notify(NotifyState::Status(&text));
            self.state = (state, reason);
        }
    }
}
