//! Work out, nonces in.

use std::{convert::Infallible, rc::Rc, time::Duration};

use adit_asic::{
    Frame, Job, KiloHertz, ROLLED_BITS, Response, WorkLayout, command::Target, init::Step, register,
};
use adit_work::frame::Work;
use tokio::time::{Instant, sleep_until};

use super::{
    Chain, ChainFault, Oddity,
    clock::Tuning,
    jobs::{Jobs, Versions},
    roll_call::{Lost, RollCall},
    rolling::Rolling,
    telemetry::Telemetry,
};
use crate::{bus::Question, notify, work_path::Epoch};

/// Between two questions to all chips. Their answers fill a slow line for a tenth of a second.
const QUESTIONS: Duration = Duration::from_secs(2);
/// A chain that said nothing for so long is asked who is there …
const ASK_AFTER: Duration = Duration::from_secs(3);
/// … and given up when nothing came for so long, and none of so many questions was answered.
const GIVE_UP_AFTER: Duration = Duration::from_secs(9);
const UNANSWERED: u32 = 2;

/// What the chain is doing.
struct Hashing {
    jobs: Jobs,
    /// Of the last work that was sent.
    epoch: Option<Epoch>,
    /// When the next work of the same epoch may go out.
    due: Instant,
    version_mask: u32,
    /// Where the host rolls versions: the work whose turn it is.
    rolling: Option<Rolling>,
    job_interval: Duration,
    tuning: Tuning,
    telemetry: Telemetry,
    roll: RollCall,
    heard: Instant,
    /// When the next question to all chips is due, and how many there were since something was heard.
    question: Instant,
    asked: u32,
}

impl Hashing {
    /// It is time for a work of `epoch`.
    fn wants_work(&self, now: Instant, epoch: Epoch) -> bool {
        now >= self.next_work() || self.epoch != Some(epoch)
    }

    /// When the next work of the same epoch may go out: as soon as the chips are through with the last version of the present one, if that is sooner.
    fn next_work(&self) -> Instant {
        let used_up = self.rolling.as_ref().filter(|rolling| rolling.exhausted()).map(|rolling| rolling.due);
        used_up.map_or(self.due, |used_up| used_up.min(self.due))
    }

    /// When the next job of the same work is due; never for a work of another epoch than the present one.
    fn next_job(&self, present: Epoch) -> Option<Instant> {
        let rolling = self.rolling.as_ref()?;
        (rolling.epoch == present && !rolling.exhausted()).then_some(rolling.due)
    }
}

impl Chain<'_> {
    /// `clock`: what the chips run at.
    pub(super) async fn hash(&mut self, clock: KiloHertz) -> Result<Infallible, ChainFault> {
        let now = Instant::now();
        let mut hashing = Hashing {
            jobs: Jobs::new(self.chip),
            epoch: None,
            due: now,
            version_mask: ROLLED_BITS,
            rolling: None,
            job_interval: self.job_interval(clock),
            tuning: Tuning::new(clock, now),
            telemetry: Telemetry::new(self.chip, self.profile.chips),
            roll: RollCall::new(self.profile.chips, now),
            heard: now,
            question: now + QUESTIONS,
            asked: 0,
        };
        let _open = self.mailbox.open();
        loop {
            let now = Instant::now();
            while let Some(Question { chip, register, value }) = self.mailbox.take() {
                let target = Target::Chip(chip);
                let frame = match value {
                    Some(value) => self.chip.generation.write(target, register, value),
                    None => self.chip.generation.read(target, register),
                };
                self.port.write(frame.as_bytes()).await?;
            }
            if now >= hashing.question
                && let Some(question) = self.question(&mut hashing, now)?
            {
                self.port.write(question.as_bytes()).await?;
            }
            // Credits that the miner did not take earlier.
            self.path.announce();
            let clock = self.orders.clock(self.index);
            if let Some(new) = self.tune(&mut hashing.tuning, clock).await? {
                hashing.job_interval = self.job_interval(new);
            }
            let waiting = self.path.next(self.index);
            if let Some((epoch, work)) = waiting
                && hashing.wants_work(now, epoch)
            {
                self.send(&mut hashing, epoch, &work).await?;
                continue;
            }
            let is_due = |due| now >= due;
            if hashing.next_job(self.path.epoch()).is_some_and(is_due) {
                // Not `continue`: however many jobs are late, what the line has is read between them.
                self.send_midstates(&mut hashing).await?;
            }
            let next_job = hashing.next_job(self.path.epoch());
            let next_work = waiting.map(|_| hashing.next_work());
            let wake = [next_work, next_job, hashing.tuning.next(clock)]
                .into_iter()
                .flatten()
                .fold(hashing.question, Instant::min);
            let (path, orders, index) = (self.path, self.orders, self.index);
            let mailbox = Rc::clone(&self.mailbox);
            tokio::select! {
                biased;
                () = path.changed(index) => {}
                () = mailbox.asked() => {}
                read = self.receive(|chain, response, us| chain.hear(&mut hashing, response, us)) => read?,
                () = orders.changed(index) => {}
                () = sleep_until(wake) => {}
            }
        }
    }

    /// Puts a work on the wire, then asks the miner for another one.
    async fn send(&mut self, hashing: &mut Hashing, epoch: Epoch, work: &Work) -> Result<(), ChainFault> {
        hashing.epoch = Some(epoch);
        match self.chip.work {
            WorkLayout::Headers { .. } => self.send_header(hashing, epoch, work).await?,
            WorkLayout::Midstates => {
                hashing.rolling = Some(Rolling::new(epoch, work, Instant::now()));
                self.send_midstates(hashing).await?;
            }
        }
        notify::first_work();
        hashing.due = Instant::now() + Duration::from_millis(self.profile.work_interval_ms.into());
        self.path.written(self.index, epoch, work);
        self.status.chain(self.index, |chain| chain.works_sent += 1);
        Ok(())
    }

    /// The whole header, of which the chip rolls the version.
    async fn send_header(
        &mut self,
        hashing: &mut Hashing,
        epoch: Epoch,
        work: &Work,
    ) -> Result<(), ChainFault> {
        let mask = work.version_mask & ROLLED_BITS;
        if mask != hashing.version_mask {
            let roll = register::version_rolling(mask);
            let frame = self.chip.generation.write(Target::All, register::MIDSTATE_CONFIG, roll);
            self.port.write(frame.as_bytes()).await?;
            hashing.version_mask = mask;
        }
        let versions = Versions::Rolled { version: work.version, mask: work.version_mask };
        let job = Job {
            id: hashing.jobs.add(epoch, work.sequence, versions),
            version: work.version,
            prev_hash: &work.prev_hash,
            merkle_root: &work.merkle_root,
            ntime: work.ntime,
            nbits: work.nbits,
        };
        Ok(self.port.write(self.chip.job_frame(&job).as_bytes()).await?)
    }

    /// The next versions of the work that is being rolled.
    async fn send_midstates(&mut self, hashing: &mut Hashing) -> Result<(), ChainFault> {
        let Some(rolling) = &mut hashing.rolling else { return Ok(()) };
        let Some(midstates) = rolling.next(Instant::now(), hashing.job_interval) else { return Ok(()) };
        let versions = Versions::Midstates(midstates.versions);
        let id = hashing.jobs.add(rolling.epoch, rolling.work.sequence, versions);
        let frame = rolling.job(id, &midstates).encode(self.chip.generation);
        Ok(self.port.write(frame.as_bytes()).await?)
    }

    fn hear(&mut self, hashing: &mut Hashing, response: Response, received_us: u64) {
        (hashing.heard, hashing.asked) = (Instant::now(), 0);
        match response {
            Response::Nonce { nonce, excess, job, version_bits } => {
                let report = self.chip.nonce_report(nonce, excess, job, version_bits);
                if hashing.jobs.is_unused(report.job) && self.starts_with_dummies() {
                    return;
                }
                match hashing.jobs.resolve(self.index, self.profile.chips, &report, received_us) {
                    Ok((path, nonce)) => {
                        self.path.nonce(path, nonce);
                        self.status.chips(self.index, |chain, chips| {
                            chain.nonces += 1;
                            if let Some(chip) = chips.get_mut(usize::from(nonce.chip)) {
                                chip.nonces += 1;
                            }
                        });
                    }
                    Err((kind, what)) => self.impossible(kind, what),
                }
            }
            Response::Register { value, chip, register: register::CHIP_ID }
                if value >> 16 == u32::from(self.chip.id) =>
            {
                match self.place_of(chip) {
                    Some(place) => hashing.roll.answers(place),
                    None => self.impossible(Oddity::Chip, "an answer from an address that no chip has"),
                }
            }
            Response::Register { value, .. } if self.mailbox.hear(value) => {}
            Response::Register { value, chip, register } => {
                let telemetry = &mut hashing.telemetry;
                let mut known = false;
                self.status.chips(self.index, |chain, chips| {
                    known = telemetry.hear(hashing.heard, register, chip, value, chain, chips);
                });
                if !known {
                    self.impossible(Oddity::Register, "an answer to no question");
                }
            }
        }
    }

    /// The start-up has jobs in it, in which chips find nonces, too.
    fn starts_with_dummies(&self) -> bool {
        let dummy = |step: &Step| matches!(step, Step::OpenCores { .. } | Step::DummyJob);
        self.chip.start_up(self.profile.domains).iter().any(dummy)
    }

    /// What all chips are to be asked now: who they are, when that is due or the line was quiet, which without work it rightly is; else one of their registers. Ends what was asked before.
    fn question(&mut self, hashing: &mut Hashing, now: Instant) -> Result<Option<Frame>, ChainFault> {
        hashing.question = now + QUESTIONS;
        if now >= hashing.heard + GIVE_UP_AFTER && hashing.asked >= UNANSWERED {
            return Err(ChainFault::Silent { seconds: GIVE_UP_AFTER.as_secs() });
        }
        let lost = hashing.roll.end(now, hashing.heard);
        self.status.chips(self.index, |chain, chips| {
            for (place, chip) in chips.iter_mut().enumerate() {
                chip.found = hashing.roll.is_there(place);
            }
            chain.chips_found = chips.iter().filter(|chip| chip.found).count() as u16;
            hashing.telemetry.forget(now, chain, chips);
        });
        if let Some(Lost { place, left }) = lost {
            return Err(ChainFault::Lost {
                place: place as u16,
                address: self.chip.address(place as u16, self.profile.chips),
                left,
                expected: self.profile.chips,
                chip: self.chip.name,
            });
        }
        let quiet = now >= hashing.heard + ASK_AFTER;
        let question = if quiet || hashing.roll.is_due(now) {
            hashing.roll.call(now);
            Some(self.chip.generation.read(Target::All, register::CHIP_ID))
        } else {
            hashing.telemetry.ask()
        };
        hashing.asked += u32::from(question.is_some());
        Ok(question)
    }
}
