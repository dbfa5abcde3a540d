//! Work out, nonces in.

use std::{convert::Infallible, time::Duration};

use adit_asic::{
    Job, Response,
    command::{self, Target},
    register,
};
use adit_work::frame::Work;
use tokio::time::{Instant, sleep_until};

use super::{ALL_VERSION_BITS, Chain, ChainFault, Oddity, jobs::Jobs};
use crate::{notify, work_path::Epoch};

/// A chain that said nothing for so long is asked …
const ASK_AFTER: Duration = Duration::from_secs(3);
/// … and given up when nothing came for so long.
const GIVE_UP_AFTER: Duration = Duration::from_secs(9);

/// What the chain is doing.
struct Hashing {
    jobs: Jobs,
    /// Of the last work that was sent.
    epoch: Option<Epoch>,
    /// When the next work of the same epoch may go out.
    due: Instant,
    version_mask: u32,
    heard: Instant,
    asked: Instant,
}

impl Chain<'_> {
    pub(super) async fn hash(&mut self) -> Result<Infallible, ChainFault> {
        let now = Instant::now();
        let mut hashing = Hashing {
            jobs: Jobs::new(self.chip),
            epoch: None,
            due: now,
            version_mask: ALL_VERSION_BITS,
            heard: now,
            asked: now,
        };
        loop {
            let now = Instant::now();
            if now >= hashing.heard.max(hashing.asked) + ASK_AFTER {
                self.ask(&mut hashing, now).await?;
                self.path.announce();
            }
            let waiting = self.path.next(self.index);
            if let Some((epoch, work)) = waiting
                && (now >= hashing.due || hashing.epoch != Some(epoch))
            {
                self.send(&mut hashing, epoch, &work).await?;
                continue;
            }
            let asking = hashing.heard.max(hashing.asked) + ASK_AFTER;
            let wake = if waiting.is_some() { asking.min(hashing.due) } else { asking };
            let (path, index) = (self.path, self.index);
            tokio::select! {
                biased;
                () = path.changed(index) => {}
                read = self.receive(|chain, response, us| chain.hear(&mut hashing, response, us)) => read?,
                () = sleep_until(wake) => {}
            }
        }
    }

    /// Puts a work on the wire, then asks the miner for another one.
    async fn send(&mut self, hashing: &mut Hashing, epoch: Epoch, work: &Work) -> Result<(), ChainFault> {
        let mask = work.version_mask & ALL_VERSION_BITS;
        if mask != hashing.version_mask {
            let roll = register::version_rolling(mask);
            let frame = command::write(Target::All, register::MIDSTATE_CONFIG, roll);
            self.port.write(frame.as_bytes()).await?;
            hashing.version_mask = mask;
        }
        let job = Job {
            id: hashing.jobs.add(epoch, work),
            version: work.version,
            prev_hash: &work.prev_hash,
            merkle_root: &work.merkle_root,
            ntime: work.ntime,
            nbits: work.nbits,
        };
        self.port.write(self.chip.job_frame(&job).as_bytes()).await?;
        notify::first_work();
        hashing.epoch = Some(epoch);
        hashing.due = Instant::now() + Duration::from_millis(self.profile.work_interval_ms.into());
        self.path.written(self.index, epoch, work);
        self.status.chain(self.index, |chain| chain.works_sent += 1);
        Ok(())
    }

    fn hear(&mut self, hashing: &mut Hashing, response: Response, received_us: u64) {
        hashing.heard = Instant::now();
        match response {
            Response::Nonce { nonce, excess, job, version_bits } => {
                let report = self.chip.nonce_report(nonce, excess, job, version_bits);
                match hashing.jobs.resolve(self.index, self.profile.chips, &report, received_us) {
                    Ok((path, nonce)) => {
                        self.path.nonce(path, nonce);
                        self.status.chain(self.index, |chain| chain.nonces += 1);
                    }
                    Err((kind, what)) => self.impossible(kind, what),
                }
            }
            // The answer to `ask`.
            Response::Register { value, register: register::CHIP_ID, .. }
                if value >> 16 == u32::from(self.chip.id) => {}
            Response::Register { .. } => self.impossible(Oddity::Register, "an answer to no question"),
        }
    }

    /// Asks the chips who they are when they have been quiet, which without work they rightly are.
    async fn ask(&mut self, hashing: &mut Hashing, now: Instant) -> Result<(), ChainFault> {
        if now >= hashing.heard + GIVE_UP_AFTER {
            return Err(ChainFault::Silent { seconds: GIVE_UP_AFTER.as_secs() });
        }
        hashing.asked = now;
        let question = command::read(Target::All, register::CHIP_ID);
        Ok(self.port.write(question.as_bytes()).await?)
    }
}
