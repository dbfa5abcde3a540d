use std::sync::Arc;

use adit_stratum::v1::Job;
use adit_work::Target;

use super::*;
use crate::work_source::ActiveJob;

/// The captured share's work (public-pool, 2025-06-19; published in mujina's BM13xx test data). Its hash has 46 leading zero bits.
fn captured(difficulty: f64) -> (SentWork, Nonce) {
    let array = |digits| hex::decode(digits).unwrap().try_into().unwrap();
    let header = Header {
        version: 0x2000_0000,
        prev_hash: array("fd55646bc162b96dfcd4f201a3f4670d1d3996bc965201000000000000000000"),
        merkle_root: array("06ddf5f08c36414b95ea54db71a0c28761a98bcf6355919e044f88725519a7cb"),
        ntime: 0x6854_68d7,
        nbits: 0x1702_3a04,
        nonce: 0,
    };
    let job = Job {
        id: "875b4b7".into(),
        prev_hash: header.prev_hash,
        coinbase1: vec![],
        coinbase2: vec![],
        branch: vec![],
        version: header.version,
        nbits: header.nbits,
        ntime: header.ntime,
        clean: false,
        extranonce1: vec![],
        extranonce2_size: 4,
        difficulty,
    };
    let share_target = Target::from_difficulty(difficulty).unwrap();
    let work = SentWork {
        chain: 0,
        generation: 1,
        sequence: 1,
        header,
        version_mask: 0x1fff_e000,
        extranonce2: [0; 32],
        job: Arc::new(ActiveJob { job, share_target, epoch: 0 }),
    };
    let nonce = Nonce {
        chain: 0,
        generation: 1,
        sequence: 1,
        nonce: 0x7552_034c,
        version: 0x20b4_4000,
        chip: 0,
        core: 38,
        small_core: 2,
        received_us: 0,
    };
    (work, nonce)
}

#[test]
fn the_captured_nonce_is_a_share_at_its_pools_difficulty() {
    let (work, nonce) = captured(8192.0);
    let verdict = ShareCheck::default().judge(&nonce, Some(&work), Some(40));
    assert_eq!(verdict, Verdict::Share { difficulty: 29_588.013_979_792_577 });
}

#[test]
fn below_the_pools_difficulty_it_is_work_done() {
    let (work, nonce) = captured(29_589.0);
    assert_eq!(ShareCheck::default().judge(&nonce, Some(&work), Some(46)), Verdict::Verified);
}

#[test]
fn a_hash_without_the_tickets_zeros_is_never_a_share() {
    let (work, nonce) = captured(1e-12);
    let unrolled = Nonce { version: 0x2000_0000, ..nonce };
    assert_eq!(ShareCheck::default().judge(&unrolled, Some(&work), Some(2)), Verdict::BelowTicket);
    assert_eq!(ShareCheck::default().judge(&nonce, Some(&work), Some(47)), Verdict::BelowTicket);
}

#[test]
fn bits_outside_the_mask_are_not_rolled() {
    let (work, nonce) = captured(8192.0);
    let other = Nonce { version: nonce.version | 1, ..nonce };
    assert_eq!(ShareCheck::default().judge(&other, Some(&work), Some(40)), Verdict::ForbiddenVersion);
    let fixed = SentWork { version_mask: 0, ..work };
    assert_eq!(ShareCheck::default().judge(&nonce, Some(&fixed), Some(40)), Verdict::ForbiddenVersion);
}

#[test]
fn a_nonce_that_comes_twice_counts_once() {
    let (work, nonce) = captured(8192.0);
    let mut check = ShareCheck::default();
    assert!(matches!(check.judge(&nonce, Some(&work), Some(40)), Verdict::Share { .. }));
    assert_eq!(check.judge(&nonce, Some(&work), Some(40)), Verdict::Duplicate);
}

#[test]
fn the_newest_nonces_are_remembered_in_the_memory_that_there_was_at_first() {
    let mut check = ShareCheck::default();
    let memory = check.seen.capacity();
    let (work, nonce) = captured(f64::MAX);
    let mut judge = |number| check.judge(&Nonce { nonce: number, ..nonce }, Some(&work), None);
    let last = REMEMBERED as u32 + 499;
    assert!((0..=last).all(|number| judge(number) == Verdict::Verified));
    assert!((500..=last).all(|number| judge(number) == Verdict::Duplicate));
    assert_eq!(judge(499), Verdict::Verified, "forgotten");
    assert_eq!((check.seen.len(), check.seen.capacity()), (REMEMBERED, memory));
}

#[test]
fn a_nonce_of_no_known_work_is_not_hashed() {
    let (_, nonce) = captured(1.0);
    assert_eq!(ShareCheck::default().judge(&nonce, None, None), Verdict::UnknownWork);
}
