use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn job(id: &str, prev_hash: u8, clean: bool) -> Job {
    Job {
        id: id.into(),
        prev_hash: [prev_hash; 32],
        coinbase1: vec![1, 2, 3],
        coinbase2: vec![4, 5],
        branch: vec![[7; 32]],
        version: 0x2000_0000,
        nbits: 0x1702_3a04,
        ntime: 1_750_000_000,
        clean,
        extranonce1: vec![9, 9],
        extranonce2_size: 4,
        difficulty: 1.0,
    }
}

/// What `act` sends.
fn sent(
    source: &mut WorkSource,
    act: impl FnOnce(&mut WorkSource, &mut dyn FnMut(&ToHardware)),
) -> Vec<ToHardware> {
    let mut frames = Vec::new();
    act(source, &mut |frame| frames.push(*frame));
    frames
}

fn open(source: &mut WorkSource, chains: u8, queue: u32) -> Vec<ToHardware> {
    sent(source, |source, mut send| source.path_opened(chains, queue, &mut send))
}

fn give(source: &mut WorkSource, job: Job) -> Vec<ToHardware> {
    sent(source, |source, mut send| source.new_job(job, &mut send).unwrap())
}

fn credit(source: &mut WorkSource, chain: u8, generation: u32, sequence: u32) -> Vec<ToHardware> {
    sent(source, |source, mut send| source.credit(chain, generation, sequence, &mut send))
}

/// chain, generation and sequence of each work.
fn names(frames: &[ToHardware]) -> Vec<(u8, u32, u32)> {
    let name = |frame: &ToHardware| match frame {
        ToHardware::Work(work) => (work.chain, work.generation, work.sequence),
        ToHardware::Idle { generation } => (u8::MAX, *generation, 0),
    };
    frames.iter().map(name).collect()
}

#[test]
fn every_chain_gets_its_first_work_before_any_gets_a_second() {
    let mut source = WorkSource::default();
    assert_eq!(open(&mut source, 2, 2), [], "nothing to do without a job");
    assert_eq!(names(&give(&mut source, job("a", 1, true))), [(0, 1, 1), (1, 1, 1), (0, 1, 2), (1, 1, 2)]);
}

#[test]
fn the_order_of_job_and_path_does_not_matter() {
    let mut source = WorkSource::default();
    assert_eq!(give(&mut source, job("a", 1, true)), []);
    assert_eq!(names(&open(&mut source, 1, 1)), [(0, 1, 1)]);
}

#[test]
fn a_new_block_or_a_clean_job_starts_a_generation_and_a_fresh_job_does_not() {
    let mut source = WorkSource::default();
    open(&mut source, 1, 1);
    assert_eq!(names(&give(&mut source, job("a", 1, false))), [(0, 1, 1)]);
    assert_eq!(give(&mut source, job("b", 1, false)), [], "used from the next work on");
    let frames = credit(&mut source, 0, 1, 2);
    assert_eq!(names(&frames), [(0, 1, 2)]);
    assert_eq!(source.sent.find(0, 1, 2).unwrap().job.job.id, "b");
    assert_eq!(names(&give(&mut source, job("c", 2, false))), [(0, 2, 1)], "another previous hash");
    assert_eq!(names(&give(&mut source, job("d", 2, true))), [(0, 3, 1)], "clean");
}

#[test]
fn only_what_is_granted_is_sent() {
    let mut source = WorkSource::default();
    open(&mut source, 2, 1);
    give(&mut source, job("a", 1, true));
    assert_eq!(names(&credit(&mut source, 1, 1, 3)), [(1, 1, 2), (1, 1, 3)]);
    assert_eq!(credit(&mut source, 1, 1, 3), [], "a repeated grant changes nothing");
    assert_eq!(credit(&mut source, 1, 1, 2), [], "a late grant takes nothing back");
    assert_eq!(credit(&mut source, 0, 0, 9), [], "another generation");
    assert_eq!(credit(&mut source, 0, 2, 9), [], "a generation that never was");
    assert_eq!(credit(&mut source, 2, 1, 9), [], "a chain that is not there");
    assert_eq!(credit(&mut source, 0, 1, u32::MAX).len(), MAX_AHEAD as usize, "nonsense stays bounded");
    assert_eq!(open(&mut source, 1, u32::MAX).len(), MAX_AHEAD as usize);
}

#[test]
fn a_new_path_gets_a_new_generation_with_the_same_job() {
    let mut source = WorkSource::default();
    open(&mut source, 1, 1);
    give(&mut source, job("a", 1, true));
    let epoch = source.epoch();
    source.path_closed();
    assert_eq!(credit(&mut source, 0, 1, 5), []);
    assert_eq!(names(&open(&mut source, 1, 1)), [(0, 2, 1)]);
    assert_eq!(source.epoch(), epoch, "its shares are as good as before");
}

#[test]
fn a_lost_pool_leaves_nothing_but_old_work_until_idle() {
    let mut source = WorkSource::default();
    open(&mut source, 1, 1);
    sent(&mut source, |source, mut send| source.new_version_mask(0x1fff_e000, &mut send));
    give(&mut source, job("a", 1, true));
    let epoch = source.epoch();
    source.pool_lost();
    assert_eq!(credit(&mut source, 0, 1, 5), []);
    assert_ne!(source.epoch(), epoch);
    assert_eq!(source.version_mask(), 0);
    assert_eq!(
        sent(&mut source, |source, mut send| source.idle(&mut send)),
        [ToHardware::Idle { generation: 2 }]
    );
    assert_eq!(sent(&mut source, |source, mut send| source.idle(&mut send)), [], "once is enough");
    assert_eq!(names(&give(&mut source, job("b", 1, false))), [(0, 3, 1)]);
}

#[test]
fn another_version_mask_replaces_the_work_but_not_the_job() {
    let mut source = WorkSource::default();
    open(&mut source, 1, 1);
    let masked = Job { version: 0x3fff_ffff, ..job("a", 1, true) };
    give(&mut source, masked);
    let epoch = source.epoch();
    let frames = sent(&mut source, |source, mut send| source.new_version_mask(0x1fff_e000, &mut send));
    let [ToHardware::Work(work)] = frames[..] else { panic!("{frames:?}") };
    assert_eq!((work.generation, work.version, work.version_mask), (2, 0x2000_1fff, 0x1fff_e000));
    assert_eq!(source.epoch(), epoch);
    assert_eq!(sent(&mut source, |source, mut send| source.new_version_mask(0x1fff_e000, &mut send)), []);
}

#[test]
fn a_one_byte_extranonce_goes_on_with_the_time_and_ends_in_time() {
    let mut source = WorkSource::default();
    open(&mut source, 1, 1);
    give(&mut source, Job { extranonce2_size: 1, ..job("a", 1, true) });
    let mut headers = HashSet::new();
    let mut last = 0;
    for sequence in 2.. {
        let frames = credit(&mut source, 0, 1, sequence);
        let [ToHardware::Work(work)] = frames[..] else { break };
        assert!(headers.insert((work.merkle_root, work.ntime)), "work {sequence} came before");
        last = work.ntime;
    }
    assert_eq!(headers.len() + 1, 256 * 601);
    assert_eq!(last, 1_750_000_600);
}

#[test]
fn an_impossible_job_changes_nothing() {
    let mut source = WorkSource::default();
    open(&mut source, 1, 1);
    give(&mut source, job("a", 1, true));
    let wrong = Job { nbits: 0, ..job("b", 2, true) };
    let mut none = |_: &ToHardware| panic!("nothing is to be sent");
    assert_eq!(source.new_job(wrong, &mut none), Err(TargetError::Zero(0)));
    assert_eq!(names(&credit(&mut source, 0, 1, 2)), [(0, 1, 2)]);
}

#[derive(Debug, Clone)]
enum Act {
    Open(u8, u32),
    Close,
    Job(u8, bool, usize),
    Mask(bool),
    Lost,
    Idle,
    Credit(u8, u32, u32),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0u8..4, 0u32..4).prop_map(|(chains, queue)| Act::Open(chains, queue)),
        Just(Act::Close),
        (0u8..3, any::<bool>(), 1usize..=32).prop_map(|(block, clean, size)| Act::Job(block, clean, size)),
        any::<bool>().prop_map(Act::Mask),
        Just(Act::Lost),
        Just(Act::Idle),
        (0u8..5, 0u32..12, 0u32..12)
            .prop_map(|(chain, generation, sequence)| Act::Credit(chain, generation, sequence)),
    ]
}

proptest! {
    /// The driver's side of the contract, checked over any course of events.
    #[test]
    fn the_rules_of_the_work_path_hold(acts in proptest::collection::vec(act(), 0..60)) {
        let mut source = WorkSource::default();
        let (mut chains, mut queue, mut generation) = (0u8, 0u32, 0u32);
        let mut last = Vec::new();
        let mut granted = Vec::new();
        let mut headers = HashSet::new();
        for act in acts {
            let mut frames = Vec::new();
            let mut send = |frame: &ToHardware| frames.push(*frame);
            match act {
                Act::Open(count, unasked) => {
                    (chains, queue) = (count, unasked);
                    (last, granted) = (vec![0; count.into()], vec![unasked; count.into()]);
                    source.path_opened(count, unasked, &mut send);
                }
                Act::Close => {
                    chains = 0;
                    source.path_closed();
                }
                Act::Job(block, clean, size) => {
                    let job = Job { extranonce2_size: size, ..job("a", block, clean) };
                    source.new_job(job, &mut send).unwrap();
                }
                Act::Mask(on) => source.new_version_mask(u32::from(on) * 0x1fff_e000, &mut send),
                Act::Lost => source.pool_lost(),
                Act::Idle => source.idle(&mut send),
                Act::Credit(chain, of, sequence) => {
                    if chain < chains && of == generation && generation > 0 {
                        let known = &mut granted[usize::from(chain)];
                        *known = (*known).max(sequence);
                    }
                    source.credit(chain, of, sequence, &mut send);
                }
            }
            for frame in frames {
                match frame {
                    ToHardware::Idle { generation: newer } => {
                        prop_assert_eq!(newer, generation + 1);
                        generation = newer;
                        last.fill(0);
                        granted.fill(0);
                    }
                    ToHardware::Work(work) => {
                        prop_assert!(work.chain < chains, "a chain that is not there");
                        if work.generation != generation {
                            prop_assert_eq!(work.generation, generation + 1);
                            generation = work.generation;
                            last.fill(0);
                            granted.fill(queue);
                        }
                        let chain = usize::from(work.chain);
                        last[chain] += 1;
                        prop_assert_eq!(work.sequence, last[chain], "sequences count from 1");
                        prop_assert!(work.sequence <= granted[chain], "never more than granted");
                        prop_assert_eq!(work.version & work.version_mask, 0);
                        prop_assert!(headers.insert((work.generation, work.merkle_root, work.ntime)), "no header space twice");
                        let nonce = Nonce {
                            chain: work.chain, generation, sequence: work.sequence,
                            nonce: 0, version: 0, chip: 0, core: 0, small_core: 0, received_us: 0,
                        };
                        prop_assert_eq!(source.find(&nonce).unwrap().header.merkle_root, work.merkle_root);
                    }
                }
            }
        }
    }
}
