//! Logging a kind of trouble once, however often it comes.

use std::collections::HashSet;

/// Kinds that are told apart; a stranger who invents more gets no more lines out of us.
const MAX_KINDS: usize = 64;

/// Kinds of trouble seen so far.
#[derive(Debug, Default)]
pub(crate) struct Once {
    seen: HashSet<String>,
}

impl Once {
    /// Whether `kind` is new, and so worth a line.
    pub(crate) fn is_new(&mut self, kind: &str) -> bool {
        self.seen.len() < MAX_KINDS && !self.seen.contains(kind) && self.seen.insert(kind.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_new_once_and_kinds_are_bounded() {
        let mut once = Once::default();
        assert!(once.is_new("a") && !once.is_new("a"));
        assert_eq!((0..1000).filter(|i| once.is_new(&i.to_string())).count(), MAX_KINDS - 1);
    }
}
