//! Generations, queues and credits, without IO.

use adit_work::frame::{FromHardware, ToHardware, Work};

use super::Epoch;

/// Works a chain that the miner may send unasked in each generation; also the most that wait in this driver.
pub(crate) const QUEUE: u32 = 2;

/// What a frame came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A work waits for this chain.
    Queued(u8),
    /// All older work is gone; whatever is there now is new.
    NewGeneration,
    /// Of an older generation: dropped.
    Stale,
    /// Beyond the credit, a repetition, or for no chain: dropped.
    Unasked,
    Nothing,
}

/// One chain's part of the present generation.
#[derive(Debug, Clone, Copy, Default)]
struct Lane {
    /// Waiting works, oldest first.
    waiting: [Option<Work>; QUEUE as usize],
    /// Highest sequence taken.
    taken: u32,
    /// Works up to this one may be sent.
    credit: u32,
    /// As far as the miner has been told.
    told: u32,
}

impl Lane {
    fn fresh() -> Self {
        Self { credit: QUEUE, told: QUEUE, ..Default::default() }
    }
}

#[derive(Debug)]
pub(super) struct State {
    epoch: Epoch,
    lanes: Vec<Lane>,
}

impl State {
    pub(super) fn new(chains: u8) -> Self {
        Self { epoch: Epoch { path: 0, generation: 0 }, lanes: vec![Lane::fresh(); usize::from(chains)] }
    }

    /// A new holder begins: generation 0, no work.
    pub(super) fn begin(&mut self) -> FromHardware {
        self.epoch = Epoch { path: self.epoch.path.wrapping_add(1), generation: 0 };
        self.lanes.fill(Lane::fresh());
        FromHardware::Hello { chains: self.lanes.len() as u8, queue: QUEUE }
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(super) fn take(&mut self, frame: ToHardware) -> Verdict {
        match frame {
            ToHardware::Idle { generation } if generation > self.epoch.generation => {
                self.start(generation);
                Verdict::NewGeneration
            }
            ToHardware::Idle { .. } => Verdict::Nothing,
            ToHardware::Work(work) => self.take_work(work),
        }
    }

    fn take_work(&mut self, work: Work) -> Verdict {
        if usize::from(work.chain) >= self.lanes.len() || work.sequence == 0 {
            return Verdict::Unasked;
        }
        if work.generation < self.epoch.generation {
            return Verdict::Stale;
        }
        let starts = work.generation > self.epoch.generation;
        if starts {
            // A work beyond the credit of the generation that it would start changes nothing.
            if work.sequence > QUEUE {
                return Verdict::Unasked;
            }
            self.start(work.generation);
        }
        let lane = &mut self.lanes[usize::from(work.chain)];
        if work.sequence <= lane.taken || work.sequence > lane.credit {
            return Verdict::Unasked;
        }
        let Some(place) = lane.waiting.iter_mut().find(|place| place.is_none()) else {
            return Verdict::Unasked;
        };
        *place = Some(work);
        lane.taken = work.sequence;
        if starts { Verdict::NewGeneration } else { Verdict::Queued(work.chain) }
    }

    fn start(&mut self, generation: u32) {
        self.epoch.generation = generation;
        self.lanes.fill(Lane::fresh());
    }

    /// The oldest work that waits.
    pub(super) fn next(&self, chain: u8) -> Option<Work> {
        self.lanes.get(usize::from(chain))?.waiting[0]
    }

    /// Work `sequence` of `epoch` is on the wire. One of another epoch has left the queue long ago.
    pub(super) fn written(&mut self, chain: u8, epoch: Epoch, sequence: u32) {
        if epoch != self.epoch {
            return;
        }
        let lane = &mut self.lanes[usize::from(chain)];
        if lane.waiting[0].is_some_and(|work| work.sequence == sequence) {
            lane.waiting[0] = None;
            lane.waiting.rotate_left(1);
            lane.credit = lane.credit.max(sequence.saturating_add(QUEUE));
        }
    }

    /// A credit that the miner does not know of.
    pub(super) fn unannounced(&self) -> Option<FromHardware> {
        let chain = self.lanes.iter().position(|lane| lane.told < lane.credit)?;
        let generation = self.epoch.generation;
        Some(FromHardware::Credit { chain: chain as u8, generation, sequence: self.lanes[chain].credit })
    }

    pub(super) fn announced(&mut self, frame: &FromHardware) {
        if let FromHardware::Credit { chain, sequence, .. } = *frame {
            self.lanes[usize::from(chain)].told = sequence;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn work(chain: u8, generation: u32, sequence: u32) -> Work {
        Work {
            chain,
            generation,
            sequence,
            version: 0x2000_0000,
            version_mask: 0x1fff_e000,
            ntime: sequence,
            nbits: 0x1702_3a04,
            prev_hash: [generation as u8; 32],
            merkle_root: [sequence as u8; 32],
        }
    }

    fn take(state: &mut State, chain: u8, generation: u32, sequence: u32) -> Verdict {
        state.take(ToHardware::Work(work(chain, generation, sequence)))
    }

    fn state(chains: u8) -> State {
        let mut state = State::new(chains);
        assert_eq!(state.begin(), FromHardware::Hello { chains, queue: QUEUE });
        state
    }

    #[test]
    fn a_newer_generation_drops_all_older_work_on_all_chains() {
        let mut state = state(2);
        assert_eq!(take(&mut state, 0, 1, 1), Verdict::NewGeneration);
        assert_eq!(take(&mut state, 1, 1, 1), Verdict::Queued(1));
        assert_eq!(take(&mut state, 1, 2, 1), Verdict::NewGeneration);
        assert_eq!(state.next(0), None);
        assert_eq!(state.next(1).unwrap().generation, 2);
        assert_eq!(take(&mut state, 0, 1, 2), Verdict::Stale);
        assert_eq!(state.take(ToHardware::Idle { generation: 3 }), Verdict::NewGeneration);
        assert_eq!(state.next(1), None);
        assert_eq!(state.take(ToHardware::Idle { generation: 3 }), Verdict::Nothing);
    }

    #[test]
    fn credit_follows_what_is_on_the_wire() {
        let mut state = state(1);
        assert_eq!(take(&mut state, 0, 1, 1), Verdict::NewGeneration);
        assert_eq!(take(&mut state, 0, 1, 2), Verdict::Queued(0));
        assert_eq!(take(&mut state, 0, 1, 3), Verdict::Unasked, "beyond the credit");
        assert_eq!(take(&mut state, 0, 1, 2), Verdict::Unasked, "a repetition");
        assert_eq!(state.unannounced(), None);
        state.written(0, state.epoch(), 1);
        let credit = FromHardware::Credit { chain: 0, generation: 1, sequence: 3 };
        assert_eq!(state.unannounced(), Some(credit));
        assert_eq!(state.unannounced(), Some(credit), "until it was sent");
        state.announced(&credit);
        assert_eq!(state.unannounced(), None);
        assert_eq!(take(&mut state, 0, 1, 3), Verdict::Queued(0));
        assert_eq!(state.next(0).unwrap().sequence, 2);
    }

    #[test]
    fn a_work_written_for_another_holder_or_generation_gives_no_credit() {
        let mut state = state(1);
        take(&mut state, 0, 1, 1);
        let old = state.epoch();
        state.begin();
        take(&mut state, 0, 1, 1);
        state.written(0, old, 1);
        assert_eq!(state.unannounced(), None);
        assert_eq!(state.next(0).unwrap().sequence, 1);
    }

    #[test]
    fn works_for_no_chain_or_of_number_0_change_nothing() {
        let mut state = state(1);
        assert_eq!(take(&mut state, 1, 9, 1), Verdict::Unasked);
        assert_eq!(take(&mut state, 0, 9, 0), Verdict::Unasked);
        assert_eq!(take(&mut state, 0, 9, QUEUE + 1), Verdict::Unasked);
        assert_eq!(state.epoch().generation, 0);
    }

    proptest! {
        /// Whatever the miner sends, what waits is of the present generation, in order, and never more than the credit allows.
        #[test]
        fn queues_are_bounded_and_in_order(events in proptest::collection::vec(
            (0..3_u8, 0..4_u32, 0..8_u32, any::<bool>()), 0..200))
        {
            let mut state = state(2);
            let mut highest_wire = [0; 2];
            let mut generation = 0;
            for (chain, newer, sequence, write) in events {
                if write {
                    let lane = chain % 2;
                    if let Some(work) = state.next(lane) {
                        prop_assert_eq!(work.generation, state.epoch().generation);
                        prop_assert!(work.sequence > highest_wire[usize::from(lane)]);
                        highest_wire[usize::from(lane)] = work.sequence;
                        state.written(lane, state.epoch(), work.sequence);
                    }
                } else {
                    take(&mut state, chain, newer, sequence);
                    if state.epoch().generation != generation {
                        prop_assert!(state.epoch().generation > generation);
                        generation = state.epoch().generation;
                        highest_wire = [0; 2];
                    }
                }
                for (lane, wire) in state.lanes.iter().zip(highest_wire) {
                    prop_assert_eq!(lane.credit, wire + QUEUE);
                    let waiting: Vec<_> = lane.waiting.iter().flatten().map(|work| work.sequence).collect();
                    prop_assert!(waiting.is_sorted() && waiting.iter().all(|s| *s > wire && *s <= lane.credit));
                }
            }
        }
    }
}
