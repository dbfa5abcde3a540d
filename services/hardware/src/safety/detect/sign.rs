//! Parts that give signs instead of figures: answers, signs of life, a state, an identity.

use super::super::{
    Hazard, Identity, PsuState, Time,
    limits::Reads,
    watch::{Detector, Evidence, Finding},
    zone::Around,
};

/// A board's controller: answers when it is asked, or not.
#[derive(Debug)]
pub(in super::super) struct Answer {
    pub reads: Reads,
    pub settle: Time,
}

impl Detector for Answer {
    type Value = ();

    fn look(
        &mut self,
        now: Time,
        value: Option<()>,
        around: &Around,
    ) -> impl IntoIterator<Item = (Hazard, Finding)> {
        let finding = Finding::heard(now, value.is_some());
        [(Hazard::ControllerSilent, around.rest(now, self.reads, self.settle).unwrap_or(finding))]
    }
}

/// Whoever must show itself again and again. Its silence counts from the last sign; before the first one there is none.
#[derive(Debug)]
pub(in super::super) struct Life {
    pub hazard: Hazard,
    pub last: Option<Time>,
}

impl Detector for Life {
    type Value = ();

    fn look(
        &mut self,
        now: Time,
        value: Option<()>,
        _: &Around,
    ) -> impl IntoIterator<Item = (Hazard, Finding)> {
        if value.is_some() {
            self.last = self.last.max(Some(now));
        }
        let finding = self.last.map_or(Finding::Unknown, |last| Finding::heard(last, value.is_some()));
        [(self.hazard, finding)]
    }
}

/// What a PSU says of itself. Off counts as a fault only while it should be on.
#[derive(Debug)]
pub(in super::super) struct Report {
    /// From switching it on to its word.
    pub settle: Time,
}

impl Detector for Report {
    type Value = PsuState;

    fn look(
        &mut self,
        now: Time,
        value: Option<PsuState>,
        around: &Around,
    ) -> impl IntoIterator<Item = (Hazard, Finding)> {
        let finding = match value {
            // Its silence is another hazard.
            None => Finding::Unknown,
            Some(PsuState::Fault) => Finding::Bad(now, Evidence::Said("reports a fault")),
            Some(PsuState::Off) if around.power.is_on() => around
                .rest(now, Reads::WithBoard, self.settle)
                .unwrap_or(Finding::Bad(now, Evidence::Said("is off and should be on"))),
            Some(PsuState::On | PsuState::Off) => Finding::Well,
        };
        [(Hazard::PsuFault, finding)]
    }
}

/// The EEPROM's verdict; stands until another comes.
#[derive(Debug, Default)]
pub(in super::super) struct Identify(Option<Identity>);

impl Detector for Identify {
    type Value = Identity;

    fn look(
        &mut self,
        now: Time,
        value: Option<Identity>,
        _: &Around,
    ) -> impl IntoIterator<Item = (Hazard, Finding)> {
        self.0 = value.or(self.0.take());
        let finding = match &self.0 {
            None => Finding::Unknown,
            Some(Identity::Matches) => Finding::Well,
            Some(Identity::Differs { profile, eeprom }) => {
                let (profile, eeprom) = (profile.clone(), eeprom.clone());
                Finding::Bad(now, Evidence::Names { profile, eeprom })
            }
            Some(Identity::Unreadable) => Finding::Bad(now, Evidence::Said("EEPROM cannot be read")),
        };
        [(Hazard::WrongBoard, finding)]
    }
}
