//! Whether a pool that is connected is any good: it has to give work and to take shares.

use std::time::Duration;

use adit_stratum::v1::SHARE_PATIENCE;

/// From the worker's authorization to the first job.
const FIRST_JOB: Duration = Duration::from_secs(30);
/// Between two jobs. Pools send one every minute or more often, if only for new transactions.
const NEXT_JOB: Duration = Duration::from_secs(300);
/// So many shares refused in a row, and none taken for [`REFUSING`], is no bad luck: a burst at a change of block or difficulty is over sooner.
const REFUSED: u32 = 10;
const REFUSING: Duration = Duration::from_secs(10);

/// One connection's record.
#[derive(Debug, Default)]
pub(crate) struct Conduct {
    authorized: Option<Duration>,
    last_job: Option<Duration>,
    last_answer: Option<Duration>,
    refused: u32,
    /// The first of the shares refused in a row.
    refusing_since: Duration,
    unanswered: bool,
}

impl Conduct {
    pub(crate) fn authorized(&mut self, now: Duration) {
        self.authorized = Some(now);
    }

    /// A job that can be mined.
    pub(crate) fn job(&mut self, now: Duration) {
        self.last_job = Some(now);
    }

    pub(crate) fn share_answered(&mut self, accepted: bool, now: Duration) {
        self.last_answer = Some(now);
        if accepted {
            self.refused = 0;
            return;
        }
        if self.refused == 0 {
            self.refusing_since = now;
        }
        self.refused = self.refused.saturating_add(1);
    }

    /// A share was given up, [`SHARE_PATIENCE`] after it was sent. A pool that has answered none since does not answer.
    pub(crate) fn share_unanswered(&mut self, now: Duration) {
        self.unanswered |= self.last_answer.is_none_or(|last| now.saturating_sub(last) >= SHARE_PATIENCE);
    }

    /// Why the pool is of no use; `None` as long as it may be.
    pub(crate) fn fault(&self, now: Duration) -> Option<String> {
        let silent_for = |since: Duration, limit: Duration| now.saturating_sub(since) >= limit;
        match (self.authorized, self.last_job) {
            (Some(authorized), None) if silent_for(authorized, FIRST_JOB) => {
                return Some(format!("no job in {} s", FIRST_JOB.as_secs()));
            }
            (_, Some(job)) if silent_for(job, NEXT_JOB) => {
                return Some(format!("no job for {} s", NEXT_JOB.as_secs()));
            }
            _ => {}
        }
        if self.unanswered {
            return Some("shares are not answered".to_owned());
        }
        let refuses = self.refused >= REFUSED && silent_for(self.refusing_since, REFUSING);
        refuses.then(|| format!("{} shares in a row were refused", self.refused))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn mining() -> Conduct {
        let mut conduct = Conduct::default();
        conduct.authorized(at(1));
        conduct.job(at(2));
        conduct
    }

    #[test]
    fn a_pool_without_jobs_is_of_no_use() {
        let mut conduct = Conduct::default();
        assert_eq!(conduct.fault(at(1000)), None, "the handshake has its own limits");
        conduct.authorized(at(1000));
        assert_eq!(conduct.fault(at(1029)), None);
        assert_eq!(conduct.fault(at(1030)).unwrap(), "no job in 30 s");
        conduct.job(at(1029));
        assert_eq!(conduct.fault(at(1328)), None);
        assert_eq!(conduct.fault(at(1329)).unwrap(), "no job for 300 s");
    }

    #[test]
    fn only_a_long_row_of_refused_shares_counts() {
        let mut conduct = mining();
        (0..500).for_each(|_| conduct.share_answered(false, at(10)));
        assert_eq!(conduct.fault(at(19)), None, "a burst");
        assert_eq!(conduct.fault(at(20)).unwrap(), "500 shares in a row were refused");
        conduct.share_answered(true, at(19));
        assert_eq!(conduct.fault(at(20)), None);
        (20..29).for_each(|second| conduct.share_answered(false, at(second)));
        assert_eq!(conduct.fault(at(200)), None, "nine");
        conduct.share_answered(false, at(200));
        assert!(conduct.fault(at(200)).is_some());
    }

    #[test]
    fn a_pool_that_answers_other_shares_may_forget_one() {
        let mut conduct = mining();
        conduct.share_answered(true, at(70));
        conduct.share_unanswered(at(99));
        assert_eq!(conduct.fault(at(99)), None);
        conduct.share_unanswered(at(100));
        assert_eq!(conduct.fault(at(100)).unwrap(), "shares are not answered");

        let mut conduct = mining();
        conduct.share_unanswered(at(70));
        assert!(conduct.fault(at(70)).is_some());
    }
}
