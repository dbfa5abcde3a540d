use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn fails(failover: &mut Failover, pool: usize, now: Duration) {
    failover.lost(pool, now, Duration::ZERO, 0);
}

/// Tried at once and gives work.
fn works(failover: &mut Failover, pool: usize, now: Duration) {
    assert_eq!(failover.start(now), Some(pool));
    failover.gave_job(pool, now);
}

#[test]
fn the_first_that_works_is_taken_and_nothing_worse_is_tried() {
    let mut failover = Failover::new(3);
    works(&mut failover, 0, at(0));
    assert_eq!((failover.active(), failover.next_start()), (Some(0), None));
}

#[test]
fn a_pool_that_fails_is_followed_by_the_next_at_once() {
    let mut failover = Failover::new(3);
    for pool in 0..3 {
        assert_eq!(failover.start(at(0)), Some(pool));
        fails(&mut failover, pool, at(0));
    }
    assert_eq!(failover.next_start(), Some(at(1)), "then from the best on again");
    assert_eq!(failover.start(at(1)), Some(0));
}

#[test]
fn a_pool_whose_reason_to_fail_is_gone_is_due_at_once_with_a_clean_record() {
    let mut failover = Failover::new(2);
    works(&mut failover, 0, at(0));
    fails(&mut failover, 0, at(1));
    works(&mut failover, 1, at(1));
    for second in [100, 200, 900] {
        assert_eq!(failover.start(at(second)), Some(0));
        fails(&mut failover, 0, at(second));
    }
    assert!(failover.next_start().unwrap() > at(1000), "a rare probe");
    failover.forgive(0, at(910));
    assert_eq!(failover.active(), Some(1), "mining goes on elsewhere meanwhile");
    assert_eq!(failover.start(at(910)), Some(0));
    failover.forgive(0, at(911));
    assert_eq!(failover.start(at(911)), None, "it is being tried already");
    failover.gave_job(0, at(911));
    failover.forgive(0, at(912));
    assert_eq!(failover.active(), Some(0), "nor is one disturbed that works");
}

#[test]
fn a_pool_that_hangs_gets_company_and_may_still_win() {
    let mut failover = Failover::new(3);
    assert_eq!(failover.start(at(0)), Some(0));
    assert_eq!((failover.start(at(4)), failover.next_start()), (None, Some(STAGGER)));
    works(&mut failover, 1, at(5));
    assert_eq!(failover.next_start(), None, "the better one is being tried already");
    failover.gave_job(0, at(9));
    assert_eq!(failover.active(), Some(0));
}

#[test]
fn after_a_loss_the_next_takes_over_and_the_better_one_is_probed() {
    let mut failover = Failover::new(2);
    works(&mut failover, 0, at(0));
    fails(&mut failover, 0, at(100));
    works(&mut failover, 1, at(100));
    assert_eq!(failover.next_start(), Some(at(115)));
    assert_eq!(failover.start(at(115)), Some(0));
    assert_eq!(failover.active(), Some(1), "a probe changes nothing");
    fails(&mut failover, 0, at(116));
    assert_eq!((failover.active(), failover.next_start()), (Some(1), Some(at(146))));
    assert_eq!(failover.start(at(146)), Some(0));
    failover.gave_job(0, at(147));
    assert_eq!((failover.active(), failover.next_start()), (Some(0), None));
}

/// How often the unit moves back to a pool that works for so long, then fails, for an hour.
fn moves_in_an_hour(working: u64) -> usize {
    let mut failover = Failover::new(2);
    let mut moves = 0;
    let mut now = at(0);
    while now < at(3600) {
        match failover.start(now).unwrap() {
            0 => {
                failover.gave_job(0, now);
                moves += 1;
                now += at(working);
                fails(&mut failover, 0, now);
            }
            pool => failover.gave_job(pool, now),
        }
        if failover.active() == Some(1) {
            now = failover.next_start().unwrap();
        }
    }
    moves
}

#[test]
fn a_pool_that_flaps_is_left_alone_for_longer_each_time() {
    assert!(moves_in_an_hour(1) <= 16, "{}", moves_in_an_hour(1));
    assert!(moves_in_an_hour(60) <= 14, "{}", moves_in_an_hour(60));
    assert_eq!(moves_in_an_hour(600), 6, "ten minutes of work make up for a failure");
}

#[test]
fn a_flapping_pool_is_tried_soon_all_the_same_when_there_is_no_other() {
    let mut failover = Failover::new(2);
    works(&mut failover, 0, at(0));
    for round in 1..10 {
        let now = at(round * 1000);
        fails(&mut failover, 0, now);
        works(&mut failover, 1, now);
        let probe = failover.next_start().unwrap();
        assert_eq!(failover.start(probe), Some(0));
        failover.gave_job(0, probe);
    }
    fails(&mut failover, 0, at(10_000));
    assert_eq!(failover.start(at(10_000)), Some(1));
    fails(&mut failover, 1, at(10_000));
    assert_eq!(failover.next_start(), Some(at(10_001)));
}

#[test]
fn a_pool_that_wants_to_be_left_alone_is() {
    let mut failover = Failover::new(1);
    works(&mut failover, 0, at(0));
    failover.lost(0, at(100), at(40), 0);
    assert_eq!(failover.next_start(), Some(at(140)));
}

proptest! {
    /// Over any course: one active pool at most, none better than it rests for ever, and without one something is always being tried or about to be.
    #[test]
    fn there_is_always_a_way_on(
        count in 1usize..=8,
        acts in proptest::collection::vec((0u64..40, 0usize..8, any::<bool>(), any::<u32>()), 0..80),
    ) {
        let mut failover = Failover::new(count);
        let mut open = BTreeSet::new();
        let mut now = at(0);
        for (later, which, good, random) in acts {
            now += at(later);
            while let Some(pool) = failover.start(now) {
                prop_assert!(open.insert(pool), "started once");
                prop_assert!(failover.active().is_none_or(|active| pool < active));
            }
            if let Some(pool) = open.iter().copied().nth(which % open.len().max(1)) {
                if good && failover.active() != Some(pool) {
                    failover.gave_job(pool, now);
                    open.retain(|other| *other <= pool);
                    prop_assert_eq!(failover.active(), Some(pool));
                } else {
                    failover.lost(pool, now, Duration::ZERO, random);
                    open.remove(&pool);
                }
            }
            match failover.active() {
                Some(active) => prop_assert!(open.contains(&active)),
                None => prop_assert!(!open.is_empty() || failover.next_start().is_some()),
            }
            if let Some(next) = failover.next_start() {
                prop_assert!(next <= now + LONGEST_PROBE);
            }
            let idle_better = (0..failover.active().unwrap_or(count)).any(|pool| !open.contains(&pool));
            prop_assert_eq!(idle_better, failover.next_start().is_some());
        }
    }
}
