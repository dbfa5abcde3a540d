//! Every permitted change of the boot state, by name. adit-init alone carries them out, each as one write of one copy.
//!
//! The caller says which slot it runs from: the kernel command line knows, the state does not. A returned state that equals
//! the given one (same sequence) means that nothing has to be written. No transition takes the last bootable slot away.

use crate::boot_state::{BootState, FULL_TRIES, MAX_SEQUENCE};
use crate::slot::Slot;

/// Why a transition was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("slot {0} is running: only the other slot can be installed or tried")]
    Running(Slot),
    #[error("slot {0} is on trial: confirm or reject it first")]
    OnTrial(Slot),
    #[error("slot {0} is not on trial")]
    NotOnTrial(Slot),
    #[error("the end of slot {0}'s trial has not been recorded: settle after the boot first")]
    Unsettled(Slot),
    #[error("slot {0} could not be booted again: give it back its tries first")]
    NoWayBack(Slot),
    #[error("sequence number {MAX_SEQUENCE:x} is the last one")]
    SequenceExhausted,
}

/// What the way the unit came up says about the slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterBoot {
    /// The preferred slot runs.
    Preferred,
    /// The running slot is on trial and must be confirmed or rejected.
    OnTrial,
    /// This slot was on trial and did not make it; it has lost its tries.
    TrialFellBack(Slot),
    /// This slot was good once, but has used up its tries; it has none until it is rewritten.
    Exhausted(Slot),
}

impl BootState {
    /// Invalidates `target`, before its first byte is overwritten.
    pub fn begin_install(&self, running: Slot, target: Slot) -> Result<BootState, Refused> {
        self.require_other(running, target)?;
        self.require_settled(running)?;
        self.require_bootable(running)?;
        self.changed(|next| {
            next.preferred = running;
            next.left = next.left.with(target, 0);
        })
    }

    /// Puts `target`, which the caller has written and verified, on trial: preferred, with all its tries.
    pub fn try_slot(&self, running: Slot, target: Slot) -> Result<BootState, Refused> {
        self.require_other(running, target)?;
        self.require_settled(running)?;
        self.require_bootable(running)?;
        self.changed(|next| {
            next.preferred = target;
            next.left = next.left.with(target, FULL_TRIES);
            next.trial = Some(target);
        })
    }

    /// The running slot's trial ends well.
    pub fn confirm(&self, running: Slot) -> Result<BootState, Refused> {
        self.require_own_trial(running)?;
        self.changed(|next| {
            next.trial = None;
            next.left = next.left.with(running, FULL_TRIES);
        })
    }

    /// The running slot's trial ends badly: it loses its tries, the next boot takes the other slot.
    pub fn reject(&self, running: Slot) -> Result<BootState, Refused> {
        self.require_own_trial(running)?;
        self.require_bootable(running.other())?;
        self.changed(|next| next.drop_slot(running))
    }

    /// Records what this boot shows: a trial slot that is not the running one has failed.
    pub fn settle_after_boot(&self, running: Slot) -> Result<(BootState, AfterBoot), Refused> {
        match self.trial {
            Some(trial) if trial == running => Ok((*self, AfterBoot::OnTrial)),
            Some(trial) => {
                let next = self.changed(|next| {
                    next.drop_slot(trial);
                    // The loader may have passed over a trial slot that still had tries (a FIT it could not read), and
                    // given the running one its last: with the trial slot gone, one try must remain.
                    next.left = next.left.with(running, next.left.of(running).max(1));
                })?;
                Ok((next, AfterBoot::TrialFellBack(trial)))
            }
            None if self.preferred != running && self.left.of(self.preferred) == 0 => {
                Ok((*self, AfterBoot::Exhausted(self.preferred)))
            }
            None => Ok((*self, AfterBoot::Preferred)),
        }
    }

    /// Gives a confirmed slot its tries back, once the essential services are ready. A trial slot has to be confirmed instead.
    pub fn restore_tries(&self, running: Slot) -> Result<BootState, Refused> {
        self.require_settled(running)?;
        if self.left.of(running) == FULL_TRIES {
            return Ok(*self);
        }
        self.changed(|next| next.left = next.left.with(running, FULL_TRIES))
    }

    /// What the boot script does before it jumps: counts the next slot down. None: no slot has a try left, and the
    /// script goes to recovery. adit-init never calls this; models of a boot do.
    pub fn count_down(&self) -> Option<(BootState, Slot)> {
        let slot = self.next_boot()?;
        let next =
            self.changed(|next| next.left = next.left.with(slot, next.left.of(slot).saturating_sub(1)));
        next.ok().map(|next| (next, slot))
    }

    fn drop_slot(&mut self, slot: Slot) {
        self.trial = None;
        self.preferred = slot.other();
        self.left = self.left.with(slot, 0);
    }

    fn changed(&self, change: impl FnOnce(&mut BootState)) -> Result<BootState, Refused> {
        let sequence =
            self.sequence.checked_add(1).filter(|n| *n <= MAX_SEQUENCE).ok_or(Refused::SequenceExhausted)?;
        let mut next = BootState { sequence, ..*self };
        change(&mut next);
        Ok(next)
    }

    fn require_other(&self, running: Slot, target: Slot) -> Result<(), Refused> {
        if running == target { Err(Refused::Running(target)) } else { Ok(()) }
    }

    fn require_settled(&self, running: Slot) -> Result<(), Refused> {
        match self.trial {
            None => Ok(()),
            Some(trial) if trial == running => Err(Refused::OnTrial(trial)),
            Some(trial) => Err(Refused::Unsettled(trial)),
        }
    }

    fn require_own_trial(&self, running: Slot) -> Result<(), Refused> {
        if self.trial == Some(running) { Ok(()) } else { Err(Refused::NotOnTrial(running)) }
    }

    fn require_bootable(&self, slot: Slot) -> Result<(), Refused> {
        if self.left.of(slot) > 0 { Ok(()) } else { Err(Refused::NoWayBack(slot)) }
    }
}
