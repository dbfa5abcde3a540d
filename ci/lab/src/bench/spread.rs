//! How samples are spread.

use serde::Serialize;

/// Of an odd or even number of samples, sorted: the sample at that part of the way, without interpolation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Spread {
    pub(super) count: usize,
    pub(super) min: u64,
    pub(super) p10: u64,
    pub(super) p50: u64,
    pub(super) p99: u64,
    pub(super) max: u64,
}

impl Spread {
    /// `None` without samples.
    pub(super) fn of(samples: impl IntoIterator<Item = u64>) -> Option<Self> {
        let mut samples: Vec<u64> = samples.into_iter().collect();
        samples.sort_unstable();
        let last = samples.len().checked_sub(1)?;
        let at = |percent: usize| samples[last * percent / 100];
        Some(Self { count: samples.len(), min: at(0), p10: at(10), p50: at(50), p99: at(99), max: at(100) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples_and_need_no_order() {
        let spread = Spread::of((1..=101).rev()).unwrap();
        assert_eq!(spread, Spread { count: 101, min: 1, p10: 11, p50: 51, p99: 100, max: 101 });
        assert_eq!(Spread::of([7]).unwrap(), Spread { count: 1, min: 7, p10: 7, p50: 7, p99: 7, max: 7 });
        assert_eq!(Spread::of([]), None);
    }
}
