//! What was sent, so that a nonce can be traced back.

use std::collections::VecDeque;

use crate::work_source::SentWork;

/// Works a chain that are remembered. Chips name 16 jobs; the rest is for nonces of the generation before, still under way.
const PER_CHAIN: usize = 64;

/// The newest works over all chains, oldest first.
#[derive(Debug, Default)]
pub(crate) struct SentWorks {
    works: VecDeque<SentWork>,
    capacity: usize,
}

impl SentWorks {
    pub(crate) fn reserve_for(&mut self, chains: usize) {
        self.capacity = chains * PER_CHAIN;
        self.works.drain(..self.works.len().saturating_sub(self.capacity));
        self.works.reserve(self.capacity - self.works.len());
    }

    pub(crate) fn push(&mut self, work: SentWork) {
        if self.works.len() >= self.capacity {
            self.works.pop_front();
        }
        self.works.push_back(work);
    }

    pub(crate) fn find(&self, chain: u8, generation: u32, sequence: u32) -> Option<&SentWork> {
        let named =
            |work: &&SentWork| (work.chain, work.generation, work.sequence) == (chain, generation, sequence);
        self.works.iter().rev().find(named)
    }
}
