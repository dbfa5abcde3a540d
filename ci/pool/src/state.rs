//! What the pool counts.

use serde::Serialize;

use crate::share::Reject;

/// How many different user agents, and names of workers, are kept.
const MAX_NAMES: usize = 16;

/// The truth as the control port and [`crate::Handle::state`] tell it. Counters are since the start.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct State {
    pub connections: usize,
    pub shares_accepted: u64,
    pub shares_rejected: u64,
    pub rejected: Rejected,
    /// The best difficulty that an accepted share reached.
    pub best_share: f64,
    /// Blocks that the node took.
    pub blocks_accepted: u64,
    /// Blocks that the node refused, or that could not be handed over.
    pub blocks_refused: u64,
    /// Shares good enough for a block, found on top of a block that had got a successor just before: not handed over.
    pub blocks_late: u64,
    /// Hash of the newest block of ours that the node took.
    pub last_block: Option<String>,
    /// Height of the block that is being looked for.
    pub height: u32,
    /// Transactions in the newest job, without the coinbase.
    pub transactions: usize,
    /// Jobs made.
    pub jobs: u64,
    /// Lines that were too long, not JSON, or no request.
    pub bad_lines: u64,
    /// Answers to `mining.ping`.
    pub pongs: u64,
    pub difficulty: f64,
    pub node: NodeState,
    pub user_agents: Vec<String>,
    /// Every name that was authorized or stood in a share, taken or not.
    pub workers: Vec<String>,
}

/// Refused shares by reason.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rejected {
    pub stale: u64,
    pub duplicate: u64,
    pub low_difficulty: u64,
    /// Worker not authorized, or nothing subscribed.
    pub unauthorized: u64,
    pub malformed: u64,
    pub version: u64,
    pub time: u64,
    /// By the fault `reject`.
    pub on_purpose: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeState {
    /// Templates are made up.
    #[default]
    Synthetic,
    Connected,
    Lost,
}

impl State {
    pub(crate) fn count_reject(&mut self, reject: &Reject) {
        self.shares_rejected += 1;
        let counter = match reject {
            Reject::Stale => &mut self.rejected.stale,
            Reject::Duplicate => &mut self.rejected.duplicate,
            Reject::LowDifficulty { .. } => &mut self.rejected.low_difficulty,
            Reject::Unauthorized | Reject::NotSubscribed => &mut self.rejected.unauthorized,
            Reject::Malformed(_) => &mut self.rejected.malformed,
            Reject::Version(_) => &mut self.rejected.version,
            Reject::Time(_) => &mut self.rejected.time,
            Reject::OnPurpose => &mut self.rejected.on_purpose,
        };
        *counter += 1;
    }

    pub(crate) fn note_agent(&mut self, agent: String) {
        note(&mut self.user_agents, agent);
    }

    pub(crate) fn note_worker(&mut self, worker: &str) {
        note(&mut self.workers, worker.to_owned());
    }
}

fn note(names: &mut Vec<String>, name: String) {
    if names.len() < MAX_NAMES && !names.contains(&name) {
        names.push(name);
    }
}
