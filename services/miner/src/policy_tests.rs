use adit_work::header;
use proptest::prelude::*;

use super::*;

/// A job of a connection, which shows in its id. Every hash is a share.
fn job(connection: u32, number: u32, clean: bool) -> Job {
    Job {
        id: format!("{connection}-{number}"),
        prev_hash: [7; 32],
        coinbase1: vec![1],
        coinbase2: vec![2],
        branch: vec![],
        version: 0x2000_0000,
        nbits: 0x1702_3a04,
        ntime: 1_750_000_000,
        clean,
        extranonce1: connection.to_le_bytes().to_vec(),
        extranonce2_size: 4,
        difficulty: 1e-12,
    }
}

#[derive(Debug, Clone)]
enum Act {
    /// Another connection takes over.
    Adopt {
        mask: u32,
    },
    /// One that wants to, with a job that cannot be mined.
    AdoptImpossible,
    Lost,
    Job {
        clean: bool,
    },
    Mask(u32),
    /// For the work sent so many works ago.
    Nonce {
        ago: usize,
    },
    Idle,
}

fn act() -> impl Strategy<Value = Act> {
    let mask = prop_oneof![Just(0), Just(0x1fff_e000), Just(0x00ff_e000)];
    prop_oneof![
        2 => mask.clone().prop_map(|mask| Act::Adopt { mask }),
        1 => Just(Act::AdoptImpossible),
        1 => Just(Act::Lost),
        2 => any::<bool>().prop_map(|clean| Act::Job { clean }),
        1 => mask.prop_map(Act::Mask),
        8 => (0usize..12).prop_map(|ago| Act::Nonce { ago }),
        1 => Just(Act::Idle),
    ]
}

proptest! {
    /// Jobs, extranonce and version bits belong to one connection: whatever the course of events, a share goes to the connection whose job it is for.
    #[test]
    fn no_share_goes_to_another_connection(acts in proptest::collection::vec(act(), 1..80)) {
        let mut policy = Policy::default();
        let (mut connection, mut connected, mut allowed) = (0, false, 0);
        let mut works = Vec::new();
        let mut number = 0;
        let mut now = Duration::from_secs(1);
        policy.frame(FromHardware::Hello { chains: 1, queue: 2 }, now, &mut |_| {}, &mut |_| {});
        for act in acts {
            now += Duration::from_secs(1);
            number += 1;
            let mut send = |frame: &ToHardware| match frame {
                ToHardware::Work(work) => works.push(*work),
                ToHardware::Idle { .. } => {}
            };
            match act {
                Act::Adopt { mask } => {
                    (connection, connected, allowed) = (connection + 1, true, mask);
                    let terms = Terms { difficulty: 1e-12, version_mask: mask };
                    policy.adopt(job(connection, number, false), terms, now, &mut send).unwrap();
                    let work = works.last().unwrap();
                    prop_assert_eq!(work.version_mask, mask, "the mask of the connection before is gone");
                }
                Act::AdoptImpossible => {
                    let impossible = Job { nbits: 0, ..job(connection + 1, number, true) };
                    let terms = Terms { difficulty: 1.0, version_mask: 0 };
                    prop_assert!(policy.adopt(impossible, terms, now, &mut send).is_err());
                }
                Act::Lost => {
                    (connected, allowed) = (false, 0);
                    policy.pool_lost(now);
                }
                // A connection that is gone says nothing more.
                Act::Job { clean } if connected => policy.job(job(connection, number, clean), now, &mut send).unwrap(),
                Act::Mask(mask) if connected => {
                    allowed = mask;
                    policy.version_mask(mask, &mut send);
                }
                Act::Job { .. } | Act::Mask(_) => {}
                Act::Idle => policy.tick(now + IDLE_AFTER, &mut send),
                Act::Nonce { ago } => {
                    let Some(work) = works.iter().rev().nth(ago) else { continue };
                    let nonce = Nonce {
                        chain: 0, generation: work.generation, sequence: work.sequence, nonce: number,
                        version: header::roll_version(work.version, work.version_mask, 0xffff),
                        chip: 0, core: 0, small_core: 0, received_us: 0,
                    };
                    let mut submitted = Vec::new();
                    let mut submit = |share: &Share<'_>| submitted.push((share.job_id.to_owned(), share.version & share.version_mask));
                    policy.frame(FromHardware::Nonce(nonce), now, &mut |_| {}, &mut submit);
                    for (id, bits) in submitted {
                        prop_assert!(connected, "{} was sent nowhere", id);
                        prop_assert_eq!(id.split('-').next().unwrap(), connection.to_string());
                        prop_assert_eq!(bits & !allowed, 0);
                    }
                }
            }
        }
    }
}

#[test]
fn a_share_of_the_present_connection_is_submitted() {
    let mut policy = Policy::default();
    let now = Duration::from_secs(1);
    let mut works = Vec::new();
    let mut send = |frame: &ToHardware| {
        if let ToHardware::Work(work) = frame {
            works.push(*work);
        }
    };
    policy.frame(FromHardware::Hello { chains: 1, queue: 1 }, now, &mut send, &mut |_| {});
    let terms = Terms { difficulty: 3.0, version_mask: 0 };
    policy.adopt(job(1, 1, false), terms, now, &mut send).unwrap();
    let mut status = MinerStatus::default();
    policy.report(now, &mut status);
    assert_eq!(status.difficulty, 3.0);
    let (generation, version) = (works[0].generation, works[0].version);
    let nonce = Nonce {
        chain: 0,
        generation,
        sequence: 1,
        nonce: 1,
        version,
        chip: 0,
        core: 0,
        small_core: 0,
        received_us: 0,
    };
    let mut submitted = 0;
    policy.frame(FromHardware::Nonce(nonce), now, &mut |_| {}, &mut |_| submitted += 1);
    assert_eq!((submitted, policy.counters().stale), (1, 0));
}

#[test]
fn a_miner_without_a_pool_says_every_two_seconds_that_it_lives() {
    let mut policy = Policy::default();
    let mut sent = Vec::new();
    let mut send = |frame: &ToHardware| sent.push(*frame);
    policy.tick(Duration::from_secs(1), &mut send);
    policy.frame(FromHardware::Hello { chains: 1, queue: 2 }, Duration::from_secs(1), &mut send, &mut |_| {});
    (2..=100).for_each(|second| policy.tick(Duration::from_secs(second), &mut send));
    assert_eq!(sent, [ToHardware::Idle { generation: 0 }; 49]);
    sent.clear();
    policy.path_lost();
    policy.tick(Duration::from_secs(200), &mut |frame| sent.push(*frame));
    assert!(sent.is_empty(), "nobody is there to hear it");
}
