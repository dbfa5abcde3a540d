//! All pools and nodes of the configuration, each on connections of its own: carries out what [`Failover`] decides.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
};

use adit_config::{Pool, PoolUrl};
use adit_stratum::v1::Share;
use tokio::time::{Instant, sleep_until};

use crate::{
    clock_watch::{ClockMark, LOOK},
    failover::Failover,
    pool_link::{LinkEvent, PoolLink, Terms},
    solo::{Access, BlockError, Blocks, NodeLink},
};

/// The pools, by their place in the configuration.
pub struct Pools {
    links: Vec<Link>,
    failover: Failover,
    /// Pools whose certificates did not fit the clock as it stood then; looked after until somebody sets it.
    untimely: Vec<(usize, ClockMark)>,
    next_look: Instant,
    blocks: Blocks,
    start: Instant,
}

/// Where jobs come from.
enum Link {
    Pool(Box<PoolLink>),
    Node(Box<NodeLink>),
}

impl Link {
    fn url(&self) -> &PoolUrl {
        match self {
            Self::Pool(link) => link.url(),
            Self::Node(link) => link.url(),
        }
    }

    fn open(&mut self) {
        match self {
            Self::Pool(link) => link.open(),
            Self::Node(link) => link.open(),
        }
    }

    fn close(&mut self) {
        match self {
            Self::Pool(link) => link.close(),
            Self::Node(link) => link.close(),
        }
    }

    fn is_down(&self) -> bool {
        match self {
            Self::Pool(link) => link.is_down(),
            Self::Node(link) => link.is_down(),
        }
    }

    fn terms(&self) -> Option<Terms> {
        match self {
            Self::Pool(link) => link.terms(),
            Self::Node(link) => link.terms(),
        }
    }

    async fn next(&mut self) -> LinkEvent {
        match self {
            Self::Pool(link) => link.next().await,
            Self::Node(link) => link.next().await,
        }
    }
}

impl Pools {
    pub fn new(pools: &[Pool]) -> Self {
        let start = Instant::now();
        let mut nodes = Vec::new();
        let link = |pool: &Pool| match &pool.solo {
            None => Link::Pool(Box::new(PoolLink::new(pool, start))),
            Some(solo) => {
                let access = Arc::new(Access::new(pool));
                nodes.push(access.clone());
                Link::Node(Box::new(NodeLink::new(access, solo)))
            }
        };
        let links = pools.iter().map(link).collect();
        Self {
            links,
            failover: Failover::new(pools.len()),
            untimely: Vec::new(),
            next_look: start,
            blocks: Blocks::new(nodes),
            start,
        }
    }

    pub fn url(&self, pool: usize) -> &PoolUrl {
        self.links[pool].url()
    }

    pub fn count(&self) -> usize {
        self.links.len()
    }

    /// The pool whose jobs are mined.
    pub fn active(&self) -> Option<usize> {
        self.failover.active()
    }

    /// Waits for the next event of any pool. May be dropped and called again at any point.
    pub async fn next(&mut self) -> (usize, LinkEvent) {
        loop {
            while let Some(pool) = self.failover.start(self.start.elapsed()) {
                self.links[pool].open();
            }
            let next_start = self.failover.next_start().map(|at| self.start + at);
            let next_look = (!self.untimely.is_empty()).then_some(self.next_look);
            let (pool, event) = tokio::select! {
                event = first_event(&mut self.links) => event,
                (pool, verdict) = self.blocks.next() => return (pool, LinkEvent::Block(verdict)),
                () = at(next_start) => continue,
                () = at(next_look) => {
                    self.look_at_the_clock();
                    continue;
                }
            };
            if let LinkEvent::Lost { wait, by_clock, .. } = &event {
                self.failover.lost(pool, self.start.elapsed(), *wait, fastrand::u32(..));
                self.untimely.retain(|(untimely, _)| *untimely != pool);
                if *by_clock {
                    self.untimely.push((pool, ClockMark::now()));
                }
            }
            return (pool, event);
        }
    }

    /// A pool whose certificate did not fit the clock is tried at once when somebody has set it.
    fn look_at_the_clock(&mut self) {
        self.next_look = Instant::now() + LOOK;
        let (failover, now) = (&mut self.failover, self.start.elapsed());
        self.untimely.retain(|(pool, mark)| {
            let is_set = mark.is_off();
            if is_set {
                failover.forgive(*pool, now);
            }
            !is_set
        });
    }

    /// What holds on the connection to a pool; `None` while there is none.
    pub fn terms(&self, pool: usize) -> Option<Terms> {
        self.links[pool].terms()
    }

    /// A job of this pool is being mined. The first one makes it the active pool, and closes the connections to all worse ones.
    pub fn job_used(&mut self, pool: usize) {
        if let Link::Pool(link) = &mut self.links[pool] {
            link.job_used();
        }
        if self.active() != Some(pool) {
            self.failover.gave_job(pool, self.start.elapsed());
            self.links[pool + 1..].iter_mut().for_each(Link::close);
        }
    }

    /// Hands a share in to the active pool, or a block to all nodes, at once. False: it is lost.
    pub fn submit(&mut self, share: &Share<'_>) -> bool {
        let Some(pool) = self.active() else { return false };
        match &mut self.links[pool] {
            Link::Pool(link) => link.submit(share),
            Link::Node(link) => match link.block(share) {
                Ok(block) => self.blocks.submit(pool, block),
                Err(BlockError::NoBlock) => true,
                Err(BlockError::UnknownJob) => false,
            },
        }
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

type NextEvent<'l> = Pin<Box<dyn Future<Output = (usize, LinkEvent)> + Send + 'l>>;

/// Any of them is asked first, so that one that never stops talking is not in the way of the others.
async fn first_event(links: &mut [Link]) -> (usize, LinkEvent) {
    let up = links.iter_mut().enumerate().filter(|(_, link)| !link.is_down());
    let mut waiting: Vec<NextEvent<'_>> =
        up.map(|(pool, link)| Box::pin(async move { (pool, link.next().await) }) as NextEvent<'_>).collect();
    fastrand::shuffle(&mut waiting);
    poll_fn(|context| {
        let ready = waiting.iter_mut().find_map(|event| match event.as_mut().poll(context) {
            Poll::Ready(event) => Some(event),
            Poll::Pending => None,
        });
        ready.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}
