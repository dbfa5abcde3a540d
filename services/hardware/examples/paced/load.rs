//! A miner without a pool: works out, nonces counted.

use std::time::Duration;

use adit_work::frame::FromHardware;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::bench::{Miner, work};

#[derive(Debug, Default)]
pub(crate) struct Load {
    pub(crate) jobs: u64,
    pub(crate) nonces: u64,
    generation: u32,
}

impl Load {
    /// For so long: each `every` the first work of a new generation, which goes out at once, and every nonce that comes.
    pub(crate) async fn run(&mut self, miner: &mut Miner, length: Duration, every: Duration) {
        let end = Instant::now() + length;
        let mut due = interval(every);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = due.tick() => {
                    self.generation += 1;
                    self.jobs += 1;
                    miner.send(work(self.generation, 1));
                }
                frame = miner.receive() => self.nonces += u64::from(matches!(frame, FromHardware::Nonce(_))),
                () = sleep_until(end) => return,
            }
        }
    }

    /// Takes nonces until none has come for so long.
    pub(crate) async fn drain(&mut self, miner: &mut Miner, silence: Duration) {
        while let Ok(frame) = tokio::time::timeout(silence, miner.receive()).await {
            self.nonces += u64::from(matches!(frame, FromHardware::Nonce(_)));
        }
    }
}
