//! Blocks on their way to the nodes: each goes to all nodes of the configuration, whatever becomes of the link that its work came from.

use std::{
    collections::VecDeque,
    future::pending,
    sync::Arc,
    time::{Duration, Instant},
};

use adit_stratum::node::{Block, CallError, Submitted, calls};
use bytes::Bytes;
use tokio::{
    sync::mpsc,
    task::AbortHandle,
    time::{Instant as Later, sleep},
};

use super::Access;
use crate::report;

/// For one attempt to hand a block over. A node checks all of it before it answers.
const PATIENCE: Duration = Duration::from_secs(60);
/// A node that cannot be asked, or cannot judge the block yet, is tried for so long, at these intervals: nothing else that the unit does is worth as much.
const TRYING: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_secs(1);
/// Where any hash is a block (regtest) the next is found before the node has said that it took this one: on the same parent they are not wanted then.
const SIBLING: Duration = Duration::from_secs(10);
/// Blocks that are under way: each is in memory as digits, eight megabytes of them.
const MAX_UNDER_WAY: usize = 4;
/// Blocks that wait, for one of them on its parent to be refused. More would be as good as these.
const MAX_WAITING: usize = 2;

/// Taken by one node at least, so long after it was found; or by none, with the first reason.
type Verdict = Result<Duration, String>;

/// What one node said about one block.
struct Answer {
    id: u64,
    node: usize,
    /// The console's word for how it took the block, or why it did not.
    said: Result<&'static str, String>,
}

struct UnderWay {
    id: u64,
    /// Whose work it was, by place in the configuration.
    pool: usize,
    height: u32,
    hash: String,
    prev_hash: [u8; 32],
    since: Instant,
    /// Nodes that have not said anything yet.
    open: usize,
    /// One for each node.
    tasks: Vec<AbortHandle>,
    accepted: bool,
    /// The first reason to refuse it.
    refusal: Option<String>,
}

/// All blocks that were found and not yet answered.
pub(crate) struct Blocks {
    nodes: Vec<Arc<Access>>,
    under_way: Vec<UnderWay>,
    /// On the parent of one that is under way: it may be refused.
    waiting: VecDeque<(usize, Block)>,
    /// Parent of the last block that was taken.
    taken: Option<([u8; 32], Instant)>,
    count: u64,
    answers: mpsc::UnboundedReceiver<Answer>,
    answer: mpsc::UnboundedSender<Answer>,
}

impl Blocks {
    pub(crate) fn new(nodes: Vec<Arc<Access>>) -> Self {
        // At most one answer for each node and block under way.
        let (answer, answers) = mpsc::unbounded_channel();
        let (under_way, waiting) = (Vec::new(), VecDeque::new());
        Self { nodes, under_way, waiting, taken: None, count: 0, answers, answer }
    }

    /// Hands a block to all nodes, without waiting. False: it is lost, too many are under way.
    pub(crate) fn submit(&mut self, pool: usize, block: Block) -> bool {
        if self.taken.is_some_and(|(parent, at)| parent == block.prev_hash && at.elapsed() < SIBLING) {
            return true;
        }
        if self.under_way.iter().any(|other| other.prev_hash == block.prev_hash) {
            if self.waiting.len() < MAX_WAITING {
                self.waiting.push_back((pool, block));
            }
            return true;
        }
        let room = self.under_way.len() < MAX_UNDER_WAY || self.give_up_one();
        if room {
            self.hand_out(pool, &block);
        }
        room
    }

    /// Makes room: a block that one node has taken need not wait for a node that cannot be asked.
    fn give_up_one(&mut self) -> bool {
        let Some(place) = self.under_way.iter().position(|block| block.accepted) else { return false };
        self.under_way.remove(place).tasks.iter().for_each(AbortHandle::abort);
        true
    }

    fn hand_out(&mut self, pool: usize, block: &Block) {
        self.count += 1;
        let id = self.count;
        let body = Bytes::from(calls::submit(&block.bytes));
        let hand_over_to = |(node, access): (usize, &Arc<Access>)| {
            let (access, body, answer) = (access.clone(), body.clone(), self.answer.clone());
            let task = tokio::spawn(async move {
                let said = hand_over(&access, &body).await;
                // Nobody listens any more when the miner ends.
                let _ = answer.send(Answer { id, node, said });
            });
            task.abort_handle()
        };
        let tasks = self.nodes.iter().enumerate().map(hand_over_to).collect();
        self.under_way.push(UnderWay {
            id,
            pool,
            height: block.height,
            hash: block.hash.to_string(),
            prev_hash: block.prev_hash,
            since: Instant::now(),
            open: self.nodes.len(),
            tasks,
            accepted: false,
            refusal: None,
        });
    }

    /// The next verdict on a block. May be dropped and called again at any point.
    pub(crate) async fn next(&mut self) -> (usize, Verdict) {
        loop {
            let Some(answer) = self.answers.recv().await else { return pending().await };
            if let Some(verdict) = self.hear(answer) {
                return verdict;
            }
        }
    }

    fn hear(&mut self, Answer { id, node, said }: Answer) -> Option<(usize, Verdict)> {
        let place = self.under_way.iter().position(|block| block.id == id)?;
        let block = &mut self.under_way[place];
        let was_accepted = block.accepted;
        let text = match said {
            Ok(word) => {
                block.accepted = true;
                word.to_owned()
            }
            Err(reason) => {
                block.refusal.get_or_insert_with(|| reason.clone());
                reason
            }
        };
        report::block(self.nodes[node].url(), block.height, &block.hash, &text);
        block.open -= 1;
        let (pool, parent, done) = (block.pool, block.prev_hash, block.open == 0);
        let verdict = if block.accepted && !was_accepted {
            self.taken = Some((parent, Instant::now()));
            self.waiting.retain(|(_, other)| other.prev_hash != parent);
            Some(Ok(block.since.elapsed()))
        } else if done && !block.accepted {
            Some(Err(block.refusal.take().unwrap_or_default()))
        } else {
            None
        };
        if done {
            self.under_way.remove(place);
            self.hand_out_waiting();
        }
        verdict.map(|verdict| (pool, verdict))
    }

    /// Those that no block under way stands in front of any more.
    fn hand_out_waiting(&mut self) {
        for _ in 0..self.waiting.len() {
            if let Some((pool, block)) = self.waiting.pop_front() {
                self.submit(pool, block);
            }
        }
    }
}

/// Tries until the node has judged the block.
async fn hand_over(access: &Access, body: &Bytes) -> Result<&'static str, String> {
    let end = Later::now() + TRYING;
    loop {
        let answer = access.call(body.clone(), PATIENCE).await;
        let no_verdict = match answer.map(|answer| calls::read_submitted(&answer)) {
            Ok(Ok(Submitted::Accepted)) => return Ok("accepted"),
            Ok(Ok(Submitted::Known)) => return Ok("duplicate"),
            Ok(Ok(Submitted::Refused(reason))) => return Err(access.presentable(&reason)),
            Ok(Err(error @ CallError::Refused { .. })) => return Err(access.presentable(&error)),
            Ok(Ok(Submitted::NotYet(reason))) => access.presentable(&reason),
            Ok(Err(error)) => access.presentable(&error),
            Err(reason) => reason,
        };
        if Later::now() >= end {
            return Err(no_verdict);
        }
        sleep(PAUSE).await;
    }
}
