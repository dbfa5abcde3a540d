//! The one state machine: every hazard of every part has a [`Watch`], which turns what its detector finds, and time, into a latched [`Stage`].
//!
//! bad long enough → latched at the rule's stage; longer → a stricter stage, never a laxer one; well long enough, or cleared by a person while well → free.

use std::fmt;

use super::{
    Time,
    hazard::{Clears, Hazard, Rule, Rules, Stage},
    limits::Reads,
    zone::Around,
};

/// What was seen when a hazard struck.
#[derive(Debug, Clone, PartialEq)]
pub enum Evidence {
    /// `unit` as a person reads it.
    Measured { value: f64, limit: f64, unit: &'static str },
    /// No reading, no answer, no sign of life.
    Nothing,
    /// Two names that should be one.
    Names { profile: String, eeprom: String },
    /// What a part said of itself.
    Said(&'static str),
}

impl fmt::Display for Evidence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Measured { value, limit, unit } => {
                let digits = match *unit {
                    "rpm" | "fans" => 0,
                    "V" => 3,
                    _ => 1,
                };
                write!(formatter, "{value:.digits$} {unit}, limit {limit:.digits$}")
            }
            Self::Nothing => formatter.write_str("no reading"),
            Self::Names { profile, eeprom } => {
                write!(formatter, "profile says {profile:?}, EEPROM {eeprom:?}")
            }
            Self::Said(what) => formatter.write_str(what),
        }
    }
}

/// What one look tells about one hazard.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Finding {
    /// Since when it may count; the look's own time unless the part knows better.
    Bad(Time, Evidence),
    /// Not bad, but not far enough from it to be called well.
    Between,
    Well,
    /// Nothing can be told; what was known stays.
    Unknown,
    /// The part cannot be asked now, so nothing is proven; `Resting(true)`: what it said before counts as over.
    Resting(bool),
}

impl Finding {
    /// Of a part that must say something: silence is bad.
    pub(super) fn heard(now: Time, is_heard: bool) -> Self {
        if is_heard { Self::Well } else { Self::Bad(now, Evidence::Nothing) }
    }
}

/// What is latched.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Latch {
    pub since: Time,
    pub at: Time,
    pub stage: Stage,
    pub evidence: Evidence,
}

/// Looks in a row that must be well before a part counts as proven.
const PROOF: u8 = 2;

#[derive(Debug)]
pub(super) struct Watch {
    pub hazard: Hazard,
    bad_since: Option<Time>,
    well_since: Option<Time>,
    wells: u8,
    pub latch: Option<Latch>,
}

impl Watch {
    fn new(hazard: Hazard) -> Self {
        Self { hazard, bad_since: None, well_since: None, wells: 0, latch: None }
    }

    fn look(&mut self, now: Time, finding: Finding, rule: &Rule) {
        match finding {
            Finding::Bad(since, evidence) => self.bad(now, since, evidence, rule),
            Finding::Between => {
                (self.bad_since, self.well_since) = (None, None);
                self.unproven_gain();
            }
            Finding::Well => {
                self.wells = (self.wells + 1).min(PROOF);
                self.well(now, rule);
            }
            Finding::Unknown => {
                self.well_since = None;
                self.unproven_gain();
            }
            Finding::Resting(over) => {
                (self.bad_since, self.wells) = (None, 0);
                if over {
                    self.well(now, rule);
                } else {
                    self.well_since = None;
                }
            }
        }
    }

    fn bad(&mut self, now: Time, since: Time, evidence: Evidence, rule: &Rule) {
        self.well_since = None;
        self.unproven_gain();
        let since = *self.bad_since.get_or_insert(since);
        let Some(stage) = rule.due(now.saturating_sub(since)) else { return };
        let latch = self.latch.get_or_insert(Latch { since, at: now, stage, evidence });
        latch.stage = latch.stage.max(stage);
    }

    fn well(&mut self, now: Time, rule: &Rule) {
        self.bad_since = None;
        let lasted = now.saturating_sub(*self.well_since.get_or_insert(now));
        self.latch.take_if(|latch| rule.ends(latch.stage) == Clears::Itself && lasted >= rule.well);
    }

    /// What is proven stays so; what is not starts to be proven anew.
    fn unproven_gain(&mut self) {
        if !self.proven() {
            self.wells = 0;
        }
    }

    fn proven(&self) -> bool {
        self.wells >= PROOF
    }

    /// A person says that it is over, which it is if it is well now.
    pub(super) fn clear(&mut self) {
        let well = self.well_since.is_some();
        self.latch.take_if(|_| well);
    }
}

/// Judges one part by its readings: values in, one finding a hazard out. Knows nothing of stages.
pub(super) trait Detector {
    type Value;

    /// `None`: a reading that could not be had, or that did not come.
    fn look(
        &mut self,
        now: Time,
        value: Option<Self::Value>,
        around: &Around,
    ) -> impl IntoIterator<Item = (Hazard, Finding)>;
}

/// A part with its name, its detector and a watch for each of its hazards.
#[derive(Debug)]
pub(super) struct Watched<D> {
    name: String,
    detector: D,
    /// A reading that is older than this is missing.
    stale: Time,
    seen: Time,
    /// Needs no proof before power.
    trusted: bool,
    /// Can be read only while the PSU's output is on.
    needs_psu: bool,
    watches: Vec<Watch>,
}

impl<D: Detector> Watched<D> {
    pub(super) fn new(name: impl Into<String>, now: Time, stale: Time, detector: D) -> Self {
        Self {
            name: name.into(),
            detector,
            stale,
            seen: now,
            trusted: false,
            needs_psu: false,
            watches: Vec::new(),
        }
    }

    pub(super) fn trusted_if(self, trusted: bool) -> Self {
        Self { trusted, ..self }
    }

    /// When it can be read: what only power shows cannot be proven before.
    pub(super) fn read(self, reads: Reads) -> Self {
        Self { trusted: reads == Reads::WithBoard, needs_psu: reads == Reads::WithPsu, ..self }
    }

    pub(super) fn detector(&self) -> &D {
        &self.detector
    }

    pub(super) fn detector_mut(&mut self) -> &mut D {
        &mut self.detector
    }

    pub(super) fn see(&mut self, now: Time, value: Option<D::Value>, around: &Around, rules: &Rules) {
        self.seen = now;
        self.look(now, value, around, rules);
    }

    fn look(&mut self, now: Time, value: Option<D::Value>, around: &Around, rules: &Rules) {
        for (hazard, finding) in self.detector.look(now, value, around) {
            let index = self.watches.iter().position(|watch| watch.hazard == hazard).unwrap_or_else(|| {
                self.watches.push(Watch::new(hazard));
                self.watches.len() - 1
            });
            self.watches[index].look(now, finding, &rules[hazard]);
        }
    }
}

/// A [`Watched`] part, whatever it measures.
pub(super) trait Part {
    fn name(&self) -> &str;
    fn watches(&self) -> &[Watch];
    fn watches_mut(&mut self) -> &mut [Watch];
    fn is_proven(&self) -> bool;
    fn needs_psu(&self) -> bool;
    /// Time has passed: a reading that did not come is one that could not be had.
    fn tick(&mut self, now: Time, around: &Around, rules: &Rules);

    /// Takes over what `stays` latched at the part that was here before.
    fn inherit(&mut self, old: &dyn Part, stays: &dyn Fn(Hazard, &Latch) -> bool);

    fn latched(&self, hazard: Hazard) -> bool {
        self.watches().iter().any(|watch| watch.hazard == hazard && watch.latch.is_some())
    }
}

impl<D: Detector> Part for Watched<D> {
    fn name(&self) -> &str {
        &self.name
    }

    fn watches(&self) -> &[Watch] {
        &self.watches
    }

    fn watches_mut(&mut self) -> &mut [Watch] {
        &mut self.watches
    }

    fn inherit(&mut self, old: &dyn Part, stays: &dyn Fn(Hazard, &Latch) -> bool) {
        let latched = old.watches().iter().filter_map(|watch| Some((watch.hazard, watch.latch.clone()?)));
        let kept = latched.filter(|(hazard, latch)| stays(*hazard, latch));
        self.watches.extend(kept.map(|(hazard, latch)| Watch { latch: Some(latch), ..Watch::new(hazard) }));
    }

    fn is_proven(&self) -> bool {
        self.trusted || (!self.watches.is_empty() && self.watches.iter().all(Watch::proven))
    }

    fn needs_psu(&self) -> bool {
        self.needs_psu
    }

    fn tick(&mut self, now: Time, around: &Around, rules: &Rules) {
        if now.saturating_sub(self.seen) >= self.stale {
            self.look(now, None, around, rules);
        }
    }
}
