//! The way to one node: what there is to mine, fresh. The counterpart of `pool_link`.

use std::{
    collections::VecDeque,
    future::{Future, pending},
    hash::{BuildHasher, Hasher, RandomState},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use adit_config::{PayoutAddress, PoolUrl, Solo};
use adit_stratum::{
    node::{Block, Payout, Template, calls},
    v1::{Event, Share},
};
use adit_work::header::BIP320_MASK;
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep_until},
};

use super::Access;
use crate::pool_link::{LinkEvent, Terms};

/// Every call but the long poll. A node that checks a new block lets others wait.
const PATIENCE: Duration = Duration::from_secs(20);
/// The long poll lasts until there is a new block; a node that says nothing for so long is asked again.
const LONG_POLL: Duration = Duration::from_secs(10 * 60);
/// A template is replaced after this time even without a new block: new transactions pay more, and the time goes on. Shows, too, that the node lives.
const REFRESH: Duration = Duration::from_secs(30);
/// Between two long polls that brought no new block, or nothing at all.
const POLL_PAUSE: Duration = Duration::from_secs(5);
/// Templates that shares may still come for; chips have long had newer work than that of the last but three. Each holds a block's transactions.
const KEPT: usize = 4;

type Asking<T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send>>;

enum State {
    Down,
    Starting,
    /// Is it a node, does it take the account, is it on the address's chain?
    Checking(Asking<()>),
    Open(Box<Open>),
}

struct Open {
    /// Newest last. Those on an older block fall out in their turn: until the miner has heard of the new one, shares for them count.
    templates: VecDeque<(String, Template)>,
    /// What is to be told before anything else.
    events: VecDeque<LinkEvent>,
    refreshing: Option<Asking<Template>>,
    next_refresh: Instant,
    polling: Option<Asking<Template>>,
    next_poll: Instant,
}

/// A node of the configuration, asked for templates or not.
pub(crate) struct NodeLink {
    access: Arc<Access>,
    address: PayoutAddress,
    payout: Arc<Payout>,
    /// Templates so far, which names the jobs.
    count: u64,
    state: State,
}

/// Why there is no block to hand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockError {
    /// The job's template is not kept any more.
    UnknownJob,
    /// The hash is above the block's target.
    NoBlock,
}

impl NodeLink {
    /// Down.
    pub(crate) fn new(access: Arc<Access>, solo: &Solo) -> Self {
        let payout = Payout {
            script: solo.address.script().to_vec(),
            tag: solo.tag.clone(),
            // From the kernel. fastrand starts from the time since boot, which many units of one kind have in common.
            extranonce1: RandomState::new().build_hasher().finish().to_le_bytes(),
        };
        let (address, payout) = (solo.address.clone(), Arc::new(payout));
        Self { access, address, payout, count: 0, state: State::Down }
    }

    pub(crate) fn url(&self) -> &PoolUrl {
        self.access.url()
    }

    pub(crate) fn open(&mut self) {
        self.state = State::Starting;
    }

    pub(crate) fn close(&mut self) {
        self.state = State::Down;
    }

    pub(crate) fn is_down(&self) -> bool {
        matches!(self.state, State::Down)
    }

    /// `None` without a template.
    pub(crate) fn terms(&self) -> Option<Terms> {
        let State::Open(open) = &self.state else { return None };
        let (_, newest) = open.templates.back()?;
        Some(Terms { difficulty: newest.difficulty(), version_mask: BIP320_MASK })
    }

    /// The block that a share is.
    pub(crate) fn block(&self, share: &Share<'_>) -> Result<Block, BlockError> {
        let State::Open(open) = &self.state else { return Err(BlockError::UnknownJob) };
        let named = open.templates.iter().find(|(id, _)| id == share.job_id);
        let (_, template) = named.ok_or(BlockError::UnknownJob)?;
        template.block(share).ok_or(BlockError::NoBlock)
    }

    /// Waits for the next event; for ever while the link is down. May be dropped and called again at any point.
    pub(crate) async fn next(&mut self) -> LinkEvent {
        let happened = match &mut self.state {
            State::Down => pending().await,
            State::Starting => {
                self.state = State::Checking(Box::pin(check(self.access.clone(), self.address.clone())));
                Ok(LinkEvent::Connecting)
            }
            State::Checking(check) => check.await.map(|()| {
                self.state = State::Open(Box::new(Open::new()));
                LinkEvent::Connected
            }),
            State::Open(open) => open.next(&self.access, &self.payout, &mut self.count).await,
        };
        happened.unwrap_or_else(|reason| {
            self.state = State::Down;
            LinkEvent::Lost { reason, wait: Duration::ZERO, by_clock: false }
        })
    }
}

impl Open {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            templates: VecDeque::new(),
            events: [LinkEvent::Pool(Event::Authorized)].into(),
            refreshing: None,
            next_refresh: now,
            polling: None,
            next_poll: now,
        }
    }

    async fn next(
        &mut self,
        access: &Arc<Access>,
        payout: &Arc<Payout>,
        count: &mut u64,
    ) -> Result<LinkEvent, String> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            let newest = self.templates.back().map(|(_, template)| template);
            let may_refresh = self.refreshing.is_none();
            let may_poll = self.polling.is_none() && newest.is_some();
            tokio::select! {
                template = answer(&mut self.polling) => {
                    self.polling = None;
                    match template {
                        Ok(template) => {
                            let other_block = self.is_of_other_block(&template);
                            self.next_poll = Instant::now();
                            if other_block {
                                // It was asked before there was this block.
                                self.refreshing = None;
                            } else {
                                self.next_poll += POLL_PAUSE;
                            }
                            self.take(template, count);
                        }
                        // Perhaps something between us does not like to wait. The node is gone only when it does not answer a short call either.
                        Err(reason) => {
                            tracing::debug!(target: crate::report::TARGET, url = %access.url(), reason, "long poll");
                            self.next_poll = Instant::now() + POLL_PAUSE;
                            self.next_refresh = Instant::now();
                        }
                    }
                }
                template = answer(&mut self.refreshing) => {
                    self.refreshing = None;
                    self.take(template?, count);
                }
                () = sleep_until(self.next_refresh), if may_refresh => {
                    self.refreshing = Some(Box::pin(ask(access.clone(), payout.clone(), None, PATIENCE)));
                }
                () = sleep_until(self.next_poll), if may_poll => {
                    let id = newest.map(|newest| newest.long_poll_id.clone());
                    self.polling = Some(Box::pin(ask(access.clone(), payout.clone(), id, LONG_POLL)));
                }
            }
        }
    }

    fn is_of_other_block(&self, template: &Template) -> bool {
        self.templates.back().is_none_or(|(_, newest)| newest.prev_hash != template.prev_hash)
    }

    fn take(&mut self, template: Template, count: &mut u64) {
        if self.templates.len() >= KEPT {
            self.templates.pop_front();
        }
        let difficulty = template.difficulty();
        *count += 1;
        let id = count.to_string();
        self.events.push_back(LinkEvent::Pool(Event::Difficulty(difficulty)));
        self.events.push_back(LinkEvent::Pool(Event::Job(template.job(id.clone()))));
        self.templates.push_back((id, template));
        self.next_refresh = Instant::now() + REFRESH;
    }
}

async fn answer<T>(asking: &mut Option<Asking<T>>) -> Result<T, String> {
    match asking {
        Some(asking) => asking.await,
        None => pending().await,
    }
}

async fn check(access: Arc<Access>, address: PayoutAddress) -> Result<(), String> {
    let answer = access.call(calls::chain_info().into(), PATIENCE).await?;
    let chain = calls::read_chain(&answer).map_err(|error| access.presentable(&error))?;
    if address.is_for(&chain) {
        return Ok(());
    }
    let chain = access.presentable(&chain);
    Err(format!("the node is on chain {chain}, the address {address} is for {}", address.chains()))
}

/// A template is a few megabytes of digits: they are read beside the thread that mines.
async fn ask(
    access: Arc<Access>,
    payout: Arc<Payout>,
    long_poll_id: Option<String>,
    patience: Duration,
) -> Result<Template, String> {
    let answer = access.call(calls::template(long_poll_id.as_deref()).into(), patience).await?;
    let read = spawn_blocking(move || Template::read(&answer, &payout));
    let template = read.await.map_err(|error| error.to_string())?;
    template.map_err(|error| access.presentable(&format_args!("getblocktemplate: {error}")))
}
