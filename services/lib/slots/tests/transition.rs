//! The transitions: one story told step by step, every refusal, and what no sequence of them may ever lead to.

use adit_slots::boot_state::MAX_SEQUENCE;
use adit_slots::{AfterBoot, BootState, Loaded, Refused, Slot, Tries};
use proptest::prelude::*;

use Slot::{A, B};

fn boot(state: BootState, expected: Slot) -> BootState {
    let (next, slot) = state.count_down().expect("a slot is bootable");
    assert_eq!(slot, expected);
    next
}

#[test]
fn an_update_that_mines_becomes_the_preferred_slot() {
    let state = boot(BootState::default(), A).restore_tries(A).unwrap();
    let state = state.begin_install(A, B).unwrap();
    assert_eq!((state.preferred, state.left), (A, Tries { a: 3, b: 0 }));
    let state = state.try_slot(A, B).unwrap();
    assert_eq!((state.preferred, state.left.b, state.trial), (B, 3, Some(B)));
    let state = boot(state, B);
    assert_eq!(state.settle_after_boot(B), Ok((state, AfterBoot::OnTrial)));
    assert_eq!(state.restore_tries(B), Err(Refused::OnTrial(B)));
    let state = state.confirm(B).unwrap();
    assert_eq!((state.preferred, state.left, state.trial), (B, Tries { a: 3, b: 3 }, None));
    assert_eq!(boot(state, B).settle_after_boot(B).unwrap().1, AfterBoot::Preferred);
}

#[test]
fn a_trial_slot_that_never_comes_up_falls_back_after_three_boots_and_is_recorded() {
    let mut state = BootState::default().begin_install(A, B).unwrap().try_slot(A, B).unwrap();
    for _ in 0..3 {
        state = boot(state, B);
    }
    state = boot(state, A);
    assert_eq!(state.begin_install(A, B), Err(Refused::Unsettled(B)));
    let (state, outcome) = state.settle_after_boot(A).unwrap();
    assert_eq!(outcome, AfterBoot::TrialFellBack(B));
    assert_eq!((state.preferred, state.left.b, state.trial), (A, 0, None));
    assert!(state.begin_install(A, B).is_ok());
}

#[test]
fn a_rejected_trial_slot_is_not_booted_again() {
    let state = BootState::default().begin_install(A, B).unwrap().try_slot(A, B).unwrap();
    let state = boot(state, B).reject(B).unwrap();
    assert_eq!((state.preferred, state.left, state.trial), (A, Tries { a: 3, b: 0 }, None));
    assert_eq!(boot(state, A).settle_after_boot(A).unwrap().1, AfterBoot::Preferred);
}

#[test]
fn a_good_slot_that_stops_booting_hands_over_and_is_named() {
    let mut state = BootState::default();
    for _ in 0..3 {
        state = boot(state, A);
    }
    state = boot(state, B);
    assert_eq!(state.settle_after_boot(B), Ok((state, AfterBoot::Exhausted(A))));
    let state = state.restore_tries(B).unwrap();
    assert_eq!((state.preferred, state.left), (A, Tries { a: 0, b: 3 }));
}

#[test]
fn a_passed_over_trial_slot_leaves_the_running_one_a_try() {
    let state = BootState { sequence: 9, preferred: B, left: Tries { a: 0, b: 2 }, trial: Some(B) };
    let (state, _) = state.settle_after_boot(A).unwrap();
    assert_eq!((state.preferred, state.left), (A, Tries { a: 1, b: 0 }));
}

#[test]
fn full_tries_need_no_write() {
    let state = BootState::default();
    assert_eq!(state.restore_tries(A), Ok(state));
}

#[test]
fn wrong_states_are_refused() {
    let fresh = BootState::default();
    assert_eq!(fresh.begin_install(A, A), Err(Refused::Running(A)));
    assert_eq!(fresh.try_slot(B, B), Err(Refused::Running(B)));
    assert_eq!(fresh.confirm(A), Err(Refused::NotOnTrial(A)));
    assert_eq!(fresh.reject(A), Err(Refused::NotOnTrial(A)));
    let on_trial = fresh.try_slot(A, B).unwrap();
    assert_eq!(on_trial.begin_install(B, A), Err(Refused::OnTrial(B)));
    assert_eq!(on_trial.try_slot(B, A), Err(Refused::OnTrial(B)));
    assert_eq!(on_trial.confirm(A), Err(Refused::NotOnTrial(A)));
    let spent = BootState { left: Tries { a: 0, b: 3 }, ..fresh };
    assert_eq!(spent.begin_install(A, B), Err(Refused::NoWayBack(A)));
    assert_eq!(spent.try_slot(A, B), Err(Refused::NoWayBack(A)));
    let alone = BootState { preferred: B, left: Tries { a: 0, b: 2 }, trial: Some(B), ..fresh };
    assert_eq!(alone.reject(B), Err(Refused::NoWayBack(A)));
    let last = BootState { sequence: MAX_SEQUENCE, ..fresh };
    assert_eq!(last.begin_install(A, B), Err(Refused::SequenceExhausted));
    assert_eq!(last.count_down(), None);
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Boot,
    Settle,
    Restore,
    BeginInstall(Slot),
    Try(Slot),
    Confirm,
    Reject,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let slot = || prop_oneof![Just(A), Just(B)];
    let step = prop_oneof![
        4 => Just(Step::Boot),
        2 => Just(Step::Settle),
        2 => Just(Step::Restore),
        1 => slot().prop_map(Step::BeginInstall),
        2 => slot().prop_map(Step::Try),
        1 => Just(Step::Confirm),
        1 => Just(Step::Reject),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    #[test]
    fn no_sequence_of_steps_leaves_a_unit_without_a_bootable_slot_but_through_used_up_tries(steps in steps()) {
        let mut copies = [BootState::default().encode(), BootState::default().encode()];
        let mut state = BootState::default();
        let mut running = A;
        for step in steps {
            let before = state;
            let after = match step {
                Step::Boot => match state.count_down() {
                    Some((next, slot)) => {
                        running = slot;
                        next
                    }
                    None => {
                        prop_assert_eq!(state.left, Tries { a: 0, b: 0 });
                        break;
                    }
                },
                Step::Settle => state.settle_after_boot(running).map_or(state, |(next, _)| next),
                Step::Restore => state.restore_tries(running).unwrap_or(state),
                Step::BeginInstall(target) => state.begin_install(running, target).unwrap_or(state),
                Step::Try(target) => state.try_slot(running, target).unwrap_or(state),
                Step::Confirm => state.confirm(running).unwrap_or(state),
                Step::Reject => state.reject(running).unwrap_or(state),
            };
            if !matches!(step, Step::Boot) {
                prop_assert!(before.next_boot().is_none() || after.next_boot().is_some(), "{:?}: {:?}", step, after);
            }
            if after != before {
                prop_assert_eq!(after.sequence, before.sequence + 1);
                let half = Loaded::from_copies(&copies[0], &copies[1]).next_write();
                copies[half as usize] = after.encode();
                state = Loaded::from_copies(&copies[0], &copies[1]).state;
                prop_assert_eq!(state, after);
            }
        }
    }

    #[test]
    fn a_trial_never_costs_the_other_slot_a_try(boots in 1..4_usize) {
        let mut state = BootState::default().begin_install(A, B).unwrap().try_slot(A, B).unwrap();
        for _ in 0..boots {
            state = boot(state, B);
        }
        prop_assert_eq!(state.left, Tries { a: 3, b: 3 - boots as u8 });
    }
}
