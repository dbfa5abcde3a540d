use crate::{
    board::Board,
    profile::{Commissioning, Profile, keys_overlap},
};

/// Why something may not have power, whatever it says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Refusal {
    pub(crate) reasons: Vec<String>,
    /// Its lines are not touched either: nobody knows yet what they do.
    pub(crate) hands_off: bool,
}

impl Refusal {
    pub(crate) fn is_none(&self) -> bool {
        self.reasons.is_empty()
    }

    pub(crate) fn text(&self) -> String {
        format!("cannot be powered: {}", self.reasons.join("; "))
    }

    /// Of the machine as a whole.
    pub(crate) fn of_machine(profile: &Profile) -> Self {
        let of_board = |key: &str| key.split('.').next() == Some("board");
        let harmless = |key: &str| matches!(key.split('.').next(), Some("led" | "button"));
        let open = profile.unconfirmed.iter().filter(|key| !of_board(key) && !harmless(key));
        Self::new(open.cloned().collect(), None)
    }

    /// Of one board.
    pub(crate) fn of_board(profile: &Profile, index: usize, board: &Board) -> Self {
        let own = format!("board.{index}");
        let open = profile.unconfirmed.iter().filter(|key| keys_overlap(key, &own));
        Self::new(open.cloned().collect(), board.undriven())
    }

    fn new(unconfirmed: Vec<String>, undriven: Option<String>) -> Self {
        let hands_off = !unconfirmed.is_empty();
        let path = Commissioning::PATH;
        let disputed =
            unconfirmed.into_iter().map(|key| format!("{key} is disputed, and not confirmed in {path}"));
        let undriven = undriven.into_iter().map(|part| format!("{part} is not driven yet"));
        Self { reasons: disputed.chain(undriven).collect(), hands_off }
    }
}
