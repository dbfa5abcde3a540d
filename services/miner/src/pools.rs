//! All pools of the configuration, each on a connection of its own: carries out what [`Failover`] decides.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

use adit_config::{Pool, PoolUrl};
use adit_stratum::v1::Share;
use tokio::time::{Instant, sleep_until};

use crate::{
    failover::Failover,
    pool_link::{LinkEvent, PoolLink, Terms},
};

/// The pools, by their place in the configuration.
pub struct Pools {
    links: Vec<PoolLink>,
    failover: Failover,
    start: Instant,
}

impl Pools {
    pub fn new(pools: &[Pool]) -> Self {
        let start = Instant::now();
        Self {
            links: pools.iter().map(|pool| PoolLink::new(pool, start)).collect(),
            failover: Failover::new(pools.len()),
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
            let (pool, event) = tokio::select! {
                event = first_event(&mut self.links) => event,
                () = at(next_start) => continue,
            };
            if let LinkEvent::Lost { wait, .. } = &event {
                self.failover.lost(pool, self.start.elapsed(), *wait, fastrand::u32(..));
            }
            return (pool, event);
        }
    }

    /// What holds on the connection to a pool; `None` while there is none.
    pub fn terms(&self, pool: usize) -> Option<Terms> {
        self.links[pool].terms()
    }

    /// A job of this pool is being mined. The first one makes it the active pool, and closes the connections to all worse ones.
    pub fn job_used(&mut self, pool: usize) {
        self.links[pool].job_used();
        if self.active() != Some(pool) {
            self.failover.gave_job(pool, self.start.elapsed());
            self.links[pool + 1..].iter_mut().for_each(PoolLink::close);
        }
    }

    /// Hands a share in to the active pool, at once. False: it is lost.
    pub fn submit(&mut self, share: &Share<'_>) -> bool {
        self.active().is_some_and(|pool| self.links[pool].submit(share))
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
async fn first_event(links: &mut [PoolLink]) -> (usize, LinkEvent) {
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
