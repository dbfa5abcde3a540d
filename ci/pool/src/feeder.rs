//! The one task that talks to the node: fetches templates, makes jobs of them, hands over blocks.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{debug, info, warn};

use crate::error::{Error, chain};
use crate::hash::{self, Hash};
use crate::pool::{Config, Shared, unix_now};
use crate::session::Candidate;
use crate::state::NodeState;
use crate::template::{self, Template};
use crate::work::Work;

/// How often the node is asked for news.
const POLL: Duration = Duration::from_secs(1);

/// What others want of the feeder.
pub(crate) enum Demand {
    Job,
    CleanJob,
    /// A block mined by the node itself.
    NewBlock(oneshot::Sender<Result<(), Error>>),
    /// A share that is good enough for a block.
    Block(Box<Candidate>),
}

struct Feeder {
    shared: Arc<Shared>,
    config: Config,
    /// The block that the newest job builds on.
    tip: Option<Hash>,
    serial: u32,
    /// Of the made-up chain.
    synthetic_block: u32,
    made: Instant,
}

#[derive(Clone, Copy, PartialEq)]
enum Want {
    /// A job only if something changed.
    News,
    Job,
    CleanJob,
}

pub(crate) async fn run(shared: Arc<Shared>, config: Config, mut demands: mpsc::Receiver<Demand>) {
    let mut feeder = Feeder {
        shared,
        config,
        tip: None,
        // Jobs of a pool that was started again should not look like the old ones.
        serial: unix_now() << 8,
        synthetic_block: 0,
        made: Instant::now(),
    };
    if feeder.config.node.is_some() {
        feeder.shared.with_state(|state| state.node = NodeState::Connected);
    }
    let mut poll = interval(POLL);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = poll.tick() => feeder.feed(Want::News).await,
            demand = demands.recv() => match demand {
                None => return,
                Some(Demand::Job) => feeder.feed(Want::Job).await,
                Some(Demand::CleanJob) => feeder.feed(Want::CleanJob).await,
                Some(Demand::NewBlock(reply)) => {
                    let result = feeder.mine().await;
                    feeder.feed(Want::News).await;
                    // Nobody waits for it when the client has gone.
                    let _ = reply.send(result);
                }
                Some(Demand::Block(candidate)) => feeder.submit(*candidate).await,
            },
        }
    }
}

impl Feeder {
    async fn feed(&mut self, want: Want) {
        let template = match self.template().await {
            Ok(template) => template,
            Err(error) => return self.lost(&error),
        };
        if self.config.node.is_some()
            && self.shared.with_state(|state| std::mem::replace(&mut state.node, NodeState::Connected))
                == NodeState::Lost
        {
            info!("node is back");
        }
        let new_block = self.tip != Some(template.previous);
        if want == Want::News && !new_block && self.made.elapsed() < self.config.job_interval {
            return;
        }
        self.tip = Some(template.previous);
        self.made = Instant::now();
        self.serial = self.serial.wrapping_add(1);
        let transactions = template.transactions.len();
        let clean = new_block || want == Want::CleanJob;
        let work =
            Work::new(template, self.serial, &self.config.payout, self.shared.extranonce2_size(), clean);
        debug!(job = work.id, height = work.height, transactions, clean, "job");
        self.shared.with_state(|state| (state.height, state.transactions) = (work.height, transactions));
        self.shared.publish(work);
    }

    async fn template(&self) -> Result<Template, Error> {
        match &self.config.node {
            Some(node) => node.block_template().await,
            None => Ok(template::synthetic(self.synthetic_block, unix_now())),
        }
    }

    /// Said once; jobs go on from the last template until the node is back.
    fn lost(&self, error: &Error) {
        if self.shared.with_state(|state| std::mem::replace(&mut state.node, NodeState::Lost))
            != NodeState::Lost
        {
            warn!(error = %chain(error), "node lost, trying on");
        }
    }

    async fn mine(&mut self) -> Result<(), Error> {
        match &self.config.node {
            Some(node) => node.generate(1).await.map(drop),
            None => {
                self.synthetic_block += 1;
                Ok(())
            }
        }
    }

    async fn submit(&mut self, candidate: Candidate) {
        let Some(node) = self.config.node.clone() else { return };
        if self.tip != Some(candidate.work.previous) {
            debug!(job = candidate.work.id, "block found on top of one that already has a successor");
            return self.shared.with_state(|state| state.blocks_late += 1);
        }
        let Candidate { work, extranonce1, share } = candidate;
        let hash = hash::display(&share.hash);
        let block = work.block(&share.header, extranonce1, &share.extranonce2);
        match node.submit_block(&block).await {
            Ok(None) => {
                info!(
                    hash,
                    height = work.height,
                    transactions = work.transactions(),
                    "block accepted by the node"
                );
                self.tip = Some(share.hash);
                self.shared.with_state(|state| {
                    state.blocks_accepted += 1;
                    state.last_block = Some(hash);
                });
                self.feed(Want::CleanJob).await;
            }
            Ok(Some(reason)) => {
                warn!(hash, height = work.height, reason, "block refused by the node");
                self.shared.with_state(|state| state.blocks_refused += 1);
            }
            Err(error) => {
                warn!(hash, error = %chain(&error), "block could not be handed over");
                self.shared.with_state(|state| state.blocks_refused += 1);
            }
        }
    }
}
