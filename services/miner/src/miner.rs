//! One thread that joins pool, policy and work path.

use std::{
    future::{Future, pending},
    os::unix::net::UnixListener,
    path::PathBuf,
    time::Duration,
};

use adit_bus::{door, miner::OBJECT};
use adit_stratum::v1::{Event, Job};
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
    pool_link::LinkEvent,
    pools::Pools,
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
    let claimed = miner.pools.is_some();
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
            (pool, event) = pool_event(&mut miner.pools) => miner.pool_event(pool, event, &mut path),
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

async fn pool_event(pools: &mut Option<Pools>) -> (usize, LinkEvent) {
    match pools {
        Some(pools) => pools.next().await,
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
    /// `None`: unclaimed.
    pools: Option<Pools>,
    status: Shared,
    /// As last published.
    state: (&'static str, String),
    /// Why there is no pool, as heard last; empty when one has taken us.
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
            pools: None,
            status,
            state: ("", String::new()),
            pool_trouble: "connecting".to_owned(),
            path_trouble: "no answer from adit-hardware yet".to_owned(),
            once: Once::default(),
            start: Instant::now(),
        };
        match claim {
            Claim::Claimed(config) => {
                // A configuration has one pool at least.
                miner.status.change(|status| status.pool = config.pools[0].url.to_string());
                miner.pools = Some(Pools::new(&config.pools));
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

    fn pool_event(&mut self, pool: usize, event: LinkEvent, path: &mut WorkPath) {
        let Some(pools) = &self.pools else { return };
        let (url, active) = (pools.url(pool), pools.active() == Some(pool));
        let now = self.start.elapsed();
        match event {
            LinkEvent::Pool(Event::Job(job)) => self.job(pool, job, path),
            LinkEvent::Connecting => report::pool(url, "connecting"),
            LinkEvent::Connected => report::pool(url, "connected"),
            LinkEvent::Lost { reason, .. } => {
                report::pool_lost(url, &reason);
                self.pool_trouble = if pools.count() == 1 { reason } else { format!("{url}: {reason}") };
                if pools.active().is_none() {
                    self.policy.pool_lost(now);
                }
            }
            LinkEvent::Pool(Event::Authorized) => {
                report::pool(url, "authorized");
                self.pool_trouble.clear();
            }
            LinkEvent::Pool(Event::Difficulty(difficulty)) if active => self.policy.difficulty(difficulty),
            LinkEvent::Pool(Event::VersionMask(mask)) if active => {
                self.policy.version_mask(mask, &mut |frame| path.send(frame));
            }
            // A pool that is tried or probed: its terms are asked for with its first job.
            LinkEvent::Pool(Event::Difficulty(_) | Event::VersionMask(_)) => {}
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
                self.trouble_at(pool, kind, &format!("share rejected: {refusal}"));
            }
            LinkEvent::Block(Ok(after)) => {
                self.policy.block_answered(true);
                tracing::debug!(target: TARGET, ms = after.as_millis() as u64, "block accepted");
            }
            LinkEvent::Block(Err(reason)) => {
                self.policy.block_answered(false);
                self.trouble_at(pool, "rejected-block", &format!("block rejected: {reason}"));
            }
            LinkEvent::Pool(Event::ShareUnanswered { .. }) => {
                self.trouble_at(pool, "unanswered", "share not answered in time");
            }
            LinkEvent::Pool(Event::Message(text)) => {
                self.trouble_at(pool, "message", &format!("the pool says {text:?}"));
            }
            LinkEvent::Pool(Event::Ignored(oddity)) => {
                self.trouble_at(pool, oddity.kind(), &oddity.to_string());
            }
            // The link acts on it.
            LinkEvent::Pool(Event::Reconnect { .. }) => {}
        }
    }

    /// A job of the pool that is mined at, or the first one of a pool that is to be.
    fn job(&mut self, pool: usize, job: Job, path: &mut WorkPath) {
        let now = self.now();
        let Some(pools) = &mut self.pools else { return };
        let moves = pools.active() != Some(pool);
        let mut send = |frame: &ToHardware| path.send(frame);
        let used = if moves {
            let Some(terms) = pools.terms(pool) else { return };
            self.policy.adopt(job, terms, now, &mut send)
        } else {
            self.policy.job(job, now, &mut send)
        };
        match used {
            Ok(()) => pools.job_used(pool),
            Err(error) => return self.trouble_at(pool, "impossible-job", &format!("mining.notify: {error}")),
        }
        if moves {
            report::pool(pools.url(pool), "active");
            let url = pools.url(pool).to_string();
            self.status.change(|status| status.pool = url);
            self.pool_trouble.clear();
        }
    }

    fn path_event(&mut self, event: PathEvent, path: &mut WorkPath) {
        let now = self.start.elapsed();
        match event {
            PathEvent::Frame(frame) => {
                let pools = &mut self.pools;
                let mut lost = 0u32;
                let verdict = self.policy.frame(frame, now, &mut |frame| path.send(frame), &mut |share| {
                    let taken = pools.as_mut().is_some_and(|pools| pools.submit(share));
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

    fn trouble_at(&mut self, pool: usize, kind: &str, text: &str) {
        if let Some(pools) = &self.pools
            && self.once.is_new(&format!("{pool} {kind}"))
        {
            let url = pools.url(pool);
            warn!(target: TARGET, kind, %url, "{text}; more of this kind are only counted");
        }
    }

    /// `unclaimed`, `connecting`, `waiting` or `hashing`, and why.
    fn judge_state(&self) -> (&'static str, &str) {
        let source = self.policy.source();
        match () {
            () if self.pools.is_none() => ("unclaimed", &self.pool_trouble),
            () if !source.has_job() && !self.pool_trouble.is_empty() => ("connecting", &self.pool_trouble),
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
