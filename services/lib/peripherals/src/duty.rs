/// How hard a fan is driven, in per cent of full; never above 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duty(u8);

impl Duty {
    pub const FULL: Self = Self(100);

    /// Anything above 100 is full: the safe side.
    pub const fn percent(percent: u8) -> Self {
        if percent > 100 { Self::FULL } else { Self(percent) }
    }

    pub const fn get(self) -> u8 {
        self.0
    }

    /// The nearest of a register's steps from 0 to `full`.
    pub(crate) fn of(self, full: u8) -> u8 {
        ((u16::from(self.0) * u16::from(full) + 50) / 100) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_the_nearest_and_full_is_full() {
        assert_eq!(Duty::FULL.of(63), 63);
        assert_eq!(Duty::percent(200).of(255), 255);
        assert_eq!(Duty::percent(50).of(255), 128);
        assert_eq!(Duty::percent(0).of(255), 0);
        assert_eq!(Duty::percent(1).of(63), 1);
    }
}
