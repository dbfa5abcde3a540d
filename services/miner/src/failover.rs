//! Which pool to mine at, and which to try: pure, without IO and clock.
//!
//! The list is in order of preference. Without a pool that gives work, pools are tried from the best on, the next one beside it as soon as the last has not
//! given a job in [`STAGGER`]. While one gives work, the better ones are probed: connected to, on a connection of their own, up to the first job. Whichever
//! better pool gives a job takes over. What makes a probe rare is a history of failing: a pool that comes and goes is left alone for longer each time.

use std::time::Duration;

use crate::backoff::pause;

/// A pool that has given no job in this time gets company: the next one is tried too.
pub const STAGGER: Duration = Duration::from_secs(5);

/// Pauses before the next attempt while no pool gives work, doubled with each failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// After this time of giving work the next failure counts as the first.
const WORKED: Duration = Duration::from_secs(30);

/// Pauses before the next probe while a worse pool gives work: a move costs the shares under way, so that a pool has to be worth it.
const FIRST_PROBE: Duration = Duration::from_secs(15);
const LONGEST_PROBE: Duration = Duration::from_secs(5 * 60);
/// After this time of giving work a pool does not flap.
const PROVEN: Duration = Duration::from_secs(10 * 60);

/// All pools, by their place in the list.
#[derive(Debug)]
pub struct Failover {
    pools: Vec<Pool>,
}

#[derive(Debug)]
struct Pool {
    phase: Phase,
    /// Failures since it last gave work for [`WORKED`].
    failures: u32,
    /// Failures since it last gave work for [`PROVEN`].
    flaps: u32,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Not connected. Neither of both pauses is shorter than `wait`; `random` shortens them.
    Resting {
        since: Duration,
        wait: Duration,
        random: u32,
    },
    Trying {
        since: Duration,
    },
    /// The one whose jobs are mined.
    Active {
        since: Duration,
    },
}

impl Failover {
    pub fn new(pools: usize) -> Self {
        let fresh = || Pool {
            phase: Phase::Resting { since: Duration::ZERO, wait: Duration::ZERO, random: 0 },
            failures: 0,
            flaps: 0,
        };
        Self { pools: (0..pools).map(|_| fresh()).collect() }
    }

    /// The pool whose jobs are mined.
    pub fn active(&self) -> Option<usize> {
        self.pools.iter().position(|pool| matches!(pool.phase, Phase::Active { .. }))
    }

    /// When [`Failover::start`] will next have something to do, if nothing happens before. `None`: never.
    pub fn next_start(&self) -> Option<Duration> {
        Some(self.next()?.0)
    }

    /// The pool to connect to now, which then counts as being tried.
    pub fn start(&mut self, now: Duration) -> Option<usize> {
        let (due, pool) = self.next()?;
        (due <= now).then(|| {
            self.pools[pool].phase = Phase::Trying { since: now };
            pool
        })
    }

    /// A pool that was being tried gave its first job: it is mined at from now on. The connections to all worse pools are to be closed.
    pub fn gave_job(&mut self, pool: usize, now: Duration) {
        for worse in &mut self.pools[pool + 1..] {
            worse.dismiss(now);
        }
        self.pools[pool].phase = Phase::Active { since: now };
    }

    /// A connection, or the attempt to get one, failed. `wait`: how long the pool wants to be left alone; `random` shortens other pauses by up to half.
    pub fn lost(&mut self, pool: usize, now: Duration, wait: Duration, random: u32) {
        let pool = &mut self.pools[pool];
        pool.forgive(now);
        pool.failures = pool.failures.saturating_add(1);
        pool.flaps = pool.flaps.saturating_add(1);
        pool.phase = Phase::Resting { since: now, wait, random };
    }

    /// What a pool failed on has changed: if it rests it is due now, and its failures are forgotten.
    pub fn forgive(&mut self, pool: usize, now: Duration) {
        let pool = &mut self.pools[pool];
        if matches!(pool.phase, Phase::Resting { .. }) {
            *pool = Pool {
                phase: Phase::Resting { since: now, wait: Duration::ZERO, random: 0 },
                failures: 0,
                flaps: 0,
            };
        }
    }

    /// The next pool to be tried, and when; the better one of two that are due.
    fn next(&self) -> Option<(Duration, usize)> {
        let active = self.active();
        let eligible = &self.pools[..active.unwrap_or(self.pools.len())];
        let company = eligible.iter().filter_map(Pool::trying_since).map(|since| since + STAGGER).max();
        let due = |(place, pool): (usize, &Pool)| {
            let due = pool.due(active.is_some())?;
            Some((due.max(company.unwrap_or_default()), place))
        };
        eligible.iter().enumerate().filter_map(due).min()
    }
}

impl Pool {
    fn trying_since(&self) -> Option<Duration> {
        match self.phase {
            Phase::Trying { since } => Some(since),
            Phase::Resting { .. } | Phase::Active { .. } => None,
        }
    }

    /// When it may be tried again, if it is resting.
    fn due(&self, as_probe: bool) -> Option<Duration> {
        let Phase::Resting { since, wait, random } = self.phase else { return None };
        let pause = if as_probe {
            pause(self.flaps, FIRST_PROBE, LONGEST_PROBE, random)
        } else {
            pause(self.failures, FIRST_PAUSE, LONGEST_PAUSE, random)
        };
        Some(since + pause.max(wait))
    }

    /// Its connection is closed without a fault of its own.
    fn dismiss(&mut self, now: Duration) {
        if !matches!(self.phase, Phase::Resting { .. }) {
            self.forgive(now);
            self.phase = Phase::Resting { since: now, wait: Duration::ZERO, random: 0 };
        }
    }

    /// Forgets the failures that good work makes up for.
    fn forgive(&mut self, now: Duration) {
        let Phase::Active { since } = self.phase else { return };
        let worked = now.saturating_sub(since);
        if worked >= WORKED {
            self.failures = 0;
        }
        if worked >= PROVEN {
            self.flaps = 0;
        }
    }
}

#[cfg(test)]
#[path = "failover_tests.rs"]
mod tests;
