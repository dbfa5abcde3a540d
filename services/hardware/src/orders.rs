//! What is asked of the machine while it runs: targets from the control door, throttling from safety, the light, clearing a fault.
//!
//! In: anything, from anybody who may call. Out: the newest order of each kind, within the profile's limits; whoever carries it out comes for it. So a flood of orders costs one order, and no
//! message can raise a limit: one that is beyond is refused with the limit's name, never bent to fit. Safety's throttle is below every target.

use std::sync::{Mutex, MutexGuard};

use adit_asic::{Chip, KiloHertz, OutOfRange};
use adit_bus::hardware::Targets;
use tokio::sync::Notify;

use crate::profile::{Light, Line, Profile, Rail, keys_overlap};

/// Why an order is not taken. The text goes to whoever gave it.
#[derive(Debug, thiserror::Error, PartialEq)]
pub(crate) enum Refusal {
    #[error("there is no chain {chain}: {machine} has {chains}, counted from 0")]
    NoChain { chain: u8, machine: String, chains: usize },
    #[error("no target is given: mhz, volts or both")]
    Nothing,
    #[error("{key} {value} is no number")]
    NoNumber { key: &'static str, value: f64 },
    #[error("{key} {value} is beyond the limit {limit} {bound} of {machine}")]
    Beyond { key: &'static str, value: f64, limit: &'static str, bound: f64, machine: String },
    #[error("mhz: {0}")]
    NotSettable(#[from] OutOfRange),
    #[error("the board of chain {chain} of {machine} has no rail that can be changed while it runs")]
    NoRail { chain: u8, machine: String },
    #[error("the profile of {machine} names no light")]
    NoLight { machine: String },
    #[error("no fault waits to be cleared")]
    NoFault,
}

/// The light that tells this machine from its neighbours: the one that is named `locate`, else the first. `None`: nobody is sure of it either.
pub(crate) fn locator(profile: &Profile) -> Option<&Light> {
    let named = profile.led.iter().find(|light| light.name == "locate");
    named.or(profile.led.first()).filter(|light| !is_open(profile, "led", &light.line))
}

/// Nobody has confirmed which line this is, and it may be another one's. `key` is its table's.
pub(crate) fn is_open(profile: &Profile, key: &str, line: &Line) -> bool {
    let bus = profile.bus.iter().position(|bus| bus.name == line.bus);
    let bus = bus.map_or_else(|| "bus".into(), |bus| format!("bus.{bus}"));
    profile.unconfirmed.iter().any(|open| keys_overlap(open, key) || keys_overlap(open, &bus))
}

/// What a profile allows, and where it starts.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) machine: String,
    pub(crate) chains: Vec<ChainLimits>,
    /// By board; `None` where the rail cannot be changed while it is on, or the chips hang on the supply of all.
    pub(crate) rails: Vec<Option<RailLimits>>,
    /// There is a light that may be switched.
    pub(crate) light: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct ChainLimits {
    pub(crate) board: u8,
    pub(crate) chip: &'static Chip,
    pub(crate) mhz: f64,
    pub(crate) min_mhz: f64,
    pub(crate) max_mhz: f64,
}

#[derive(Debug, Clone)]
pub(crate) struct RailLimits {
    pub(crate) volts: f64,
    pub(crate) min_volts: f64,
    pub(crate) max_volts: f64,
}

impl Limits {
    /// Each board has one chain.
    pub(crate) fn of(profile: &Profile) -> Self {
        let chains = profile.board.iter().zip(0..).map(|(board, index)| {
            let chain = &board.chain;
            let (min_mhz, max_mhz) = (chain.ramp.start_mhz, chain.max_mhz);
            ChainLimits { board: index, chip: chain.chip(), mhz: chain.mhz, min_mhz, max_mhz }
        });
        let rails = profile.board.iter().map(|board| {
            let Rail { volts, min_volts, max_volts, ref part, .. } = *board.rail.as_ref()?;
            part.is_settable().then_some(RailLimits { volts, min_volts, max_volts })
        });
        Self {
            machine: profile.name.clone(),
            chains: chains.collect(),
            rails: rails.collect(),
            light: locator(profile).is_some(),
        }
    }
}

/// One for the whole driver: the door's tasks write, chains and whoever owns a rail read.
#[derive(Debug)]
pub(crate) struct Orders {
    limits: Limits,
    state: Mutex<State>,
    /// One a chain, one a board: there is something to look at.
    chains: Vec<Notify>,
    boards: Vec<Notify>,
    light: Notify,
    clear: Notify,
}

#[derive(Debug)]
struct State {
    chains: Vec<Lane>,
    rails: Vec<RailState>,
    /// The light is to be on.
    light: bool,
}

/// One chain's clock.
#[derive(Debug, Clone, Copy)]
struct Lane {
    wanted: KiloHertz,
    /// Safety's.
    throttle: Option<KiloHertz>,
    /// What the chips run at; 0 without power.
    set: KiloHertz,
}

/// One board's rail.
#[derive(Debug, Clone, Copy)]
struct RailState {
    wanted: f64,
    /// What the regulator was told last.
    set: f64,
}

/// A chain's clock as it shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock {
    pub(crate) target: KiloHertz,
    /// By safety: no ramp on the way down.
    pub(crate) throttled: bool,
}

impl Lane {
    fn allowed(self) -> KiloHertz {
        self.throttle.map_or(self.wanted, |most| most.min(self.wanted))
    }
}

impl Orders {
    pub(crate) fn new(limits: Limits) -> Self {
        let lane = |chain: &ChainLimits| Lane {
            wanted: KiloHertz::from_mhz(chain.mhz),
            throttle: None,
            set: KiloHertz(0),
        };
        let rail = |rail: &Option<RailLimits>| {
            let volts = rail.as_ref().map_or(0.0, |rail| rail.volts);
            RailState { wanted: volts, set: volts }
        };
        let state = State {
            chains: limits.chains.iter().map(lane).collect(),
            rails: limits.rails.iter().map(rail).collect(),
            light: false,
        };
        Self {
            state: Mutex::new(state),
            chains: limits.chains.iter().map(|_| Notify::new()).collect(),
            boards: limits.rails.iter().map(|_| Notify::new()).collect(),
            light: Notify::new(),
            clear: Notify::new(),
            limits,
        }
    }

    /// Takes new targets for a chain, all of them or none.
    pub(crate) fn set_targets(&self, chain: u8, targets: &Targets) -> Result<(), Refusal> {
        let own = self.limits_of(chain)?;
        let Targets { mhz, volts } = *targets;
        if mhz.is_none() && volts.is_none() {
            return Err(Refusal::Nothing);
        }
        if let Some(mhz) = mhz {
            self.within("mhz", mhz, [("chain.ramp.start_mhz", own.min_mhz), ("chain.max_mhz", own.max_mhz)])?;
            own.chip.set_frequency(KiloHertz::from_mhz(mhz))?;
        }
        let board = usize::from(own.board);
        if let Some(volts) = volts {
            let none = || Refusal::NoRail { chain, machine: self.limits.machine.clone() };
            let RailLimits { min_volts, max_volts, .. } =
                *self.limits.rails[board].as_ref().ok_or_else(none)?;
            self.within("volts", volts, [("rail.min_volts", min_volts), ("rail.max_volts", max_volts)])?;
        }
        let mut state = self.state();
        if let Some(mhz) = mhz {
            state.chains[usize::from(chain)].wanted = KiloHertz::from_mhz(mhz);
        }
        if let Some(volts) = volts {
            state.rails[board].wanted = volts;
        }
        drop(state);
        self.wake(own.board);
        Ok(())
    }

    fn limits_of(&self, chain: u8) -> Result<&ChainLimits, Refusal> {
        let Limits { machine, chains, .. } = &self.limits;
        let none = || Refusal::NoChain { chain, machine: machine.clone(), chains: chains.len() };
        chains.get(usize::from(chain)).ok_or_else(none)
    }

    fn within(&self, key: &'static str, value: f64, limits: [(&'static str, f64); 2]) -> Result<(), Refusal> {
        let [(low, min), (high, max)] = limits;
        if !value.is_finite() {
            return Err(Refusal::NoNumber { key, value });
        }
        let beyond = if value < min {
            (low, min)
        } else if value > max {
            (high, max)
        } else {
            return Ok(());
        };
        let (limit, bound) = beyond;
        Err(Refusal::Beyond { key, value, limit, bound, machine: self.limits.machine.clone() })
    }

    /// Safety: the chain's clock goes down to `most` at once, and stays at or below it until the next call. Less than the profile's lowest clock means that one.
    pub(crate) fn throttle(&self, chain: u8, most: Option<KiloHertz>) {
        let Ok(own) = self.limits_of(chain) else { return };
        let lowest = KiloHertz::from_mhz(own.min_mhz);
        self.state().chains[usize::from(chain)].throttle = most.map(|most| most.max(lowest));
        self.wake(own.board);
    }

    /// The light that tells this machine from its neighbours.
    pub(crate) fn locate(&self, on: bool) -> Result<(), Refusal> {
        if !self.limits.light {
            return Err(Refusal::NoLight { machine: self.limits.machine.clone() });
        }
        self.state().light = on;
        self.light.notify_one();
        Ok(())
    }

    /// Somebody wants the light on.
    pub(crate) fn is_lit(&self) -> bool {
        self.state().light
    }

    /// Waits until somebody wants the light on or off, then says which.
    pub(crate) async fn light(&self) -> bool {
        self.light.notified().await;
        self.state().light
    }

    /// A person has seen to what took power off. `waits`: a fault needs that.
    pub(crate) fn clear_fault(&self, waits: bool) -> Result<(), Refusal> {
        if !waits {
            return Err(Refusal::NoFault);
        }
        self.clear.notify_one();
        Ok(())
    }

    /// Waits until a person has seen to the faults that need it.
    pub(crate) async fn cleared(&self) {
        self.clear.notified().await;
    }

    /// What `chain` shall run at now. A rise in voltage comes before the rise in frequency that needs it.
    pub(crate) fn clock(&self, chain: u8) -> Clock {
        let place = usize::from(chain);
        let ChainLimits { board, mhz, .. } = self.limits.chains[place];
        let state = self.state();
        let lane = state.chains[place];
        let rail = state.rails[usize::from(board)];
        let target = lane.allowed();
        let throttled = lane.throttle.is_some_and(|most| most <= lane.wanted);
        if rail.set >= rail.wanted {
            return Clock { target, throttled };
        }
        // Chips that have yet to start may do so at the profile's own pair of clock and voltage.
        let present = if lane.set.0 > 0 { lane.set } else { KiloHertz::from_mhz(mhz) };
        Clock { target: target.min(present), throttled }
    }

    /// The chips of `chain` run at `set` now; 0: they have no power.
    pub(crate) fn clock_is(&self, chain: u8, set: KiloHertz) {
        let place = usize::from(chain);
        self.state().chains[place].set = set;
        self.boards[usize::from(self.limits.chains[place].board)].notify_one();
    }

    /// The fastest that chips of `board` run at now; 0: they have no power.
    pub(crate) fn running(&self, board: u8) -> KiloHertz {
        let state = self.state();
        let on_board =
            self.limits.chains.iter().zip(&state.chains).filter(|(limits, _)| limits.board == board);
        on_board.map(|(_, lane)| lane.set).max().unwrap_or(KiloHertz(0))
    }

    /// What was asked for, and what safety allows.
    pub(crate) fn asked(&self, chain: u8) -> (KiloHertz, Option<KiloHertz>) {
        let Lane { wanted, throttle, .. } = self.state().chains[usize::from(chain)];
        (wanted, throttle)
    }

    /// The rail of `board` can be told another voltage while it is on.
    pub(crate) fn may_change(&self, board: u8) -> bool {
        self.limits.rails[usize::from(board)].is_some()
    }

    /// What the rail of `board` shall be told now. A fall in voltage comes after the fall in frequency that allows it.
    pub(crate) fn volts(&self, board: u8) -> f64 {
        let state = self.state();
        let RailState { wanted, set } = state.rails[usize::from(board)];
        let on_board =
            self.limits.chains.iter().zip(&state.chains).filter(|(limits, _)| limits.board == board);
        let too_fast = on_board.map(|(_, lane)| lane).any(|lane| lane.set > lane.allowed());
        if wanted < set && too_fast { set } else { wanted }
    }

    /// The regulator of `board` was told `volts`.
    pub(crate) fn volts_are(&self, board: u8, volts: f64) {
        self.state().rails[usize::from(board)].set = volts;
        let chains = self.limits.chains.iter().zip(&self.chains).filter(|(limits, _)| limits.board == board);
        chains.for_each(|(_, changed)| changed.notify_one());
    }

    /// Waits until `chain` may have something new to look at.
    pub(crate) async fn changed(&self, chain: u8) {
        self.chains[usize::from(chain)].notified().await;
    }

    /// Likewise whoever owns the rail of `board`.
    pub(crate) async fn rail_changed(&self, board: u8) {
        self.boards[usize::from(board)].notified().await;
    }

    fn wake(&self, board: u8) {
        self.chains.iter().for_each(Notify::notify_one);
        self.boards[usize::from(board)].notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of the orders panics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orders() -> Orders {
        let shipped = include_str!("../../../overlay/etc/adit/machines/bench-bitaxe.toml");
        Orders::new(Limits::of(&Profile::parse(shipped).unwrap()))
    }

    fn mhz(mhz: f64) -> Targets {
        Targets { mhz: Some(mhz), volts: None }
    }

    fn at(mhz: f64) -> KiloHertz {
        KiloHertz::from_mhz(mhz)
    }

    #[test]
    fn what_is_beyond_a_limit_is_refused_with_the_limits_name_and_changes_nothing() {
        let orders = orders();
        let refused = [
            (mhz(600.1), "mhz 600.1 is beyond the limit chain.max_mhz 600 of bench-bitaxe"),
            (mhz(62.4), "mhz 62.4 is beyond the limit chain.ramp.start_mhz 62.5 of bench-bitaxe"),
            (mhz(f64::NAN), "mhz NaN is no number"),
            (mhz(f64::INFINITY), "mhz inf is no number"),
            (mhz(-500.0), "mhz -500 is beyond the limit chain.ramp.start_mhz 62.5 of bench-bitaxe"),
            (
                Targets { mhz: Some(500.0), volts: Some(1.26) },
                "volts 1.26 is beyond the limit rail.max_volts 1.25 of bench-bitaxe",
            ),
            (
                Targets { mhz: Some(500.0), volts: Some(0.0) },
                "volts 0 is beyond the limit rail.min_volts 1.05 of bench-bitaxe",
            ),
            (Targets::default(), "no target is given: mhz, volts or both"),
        ];
        for (targets, text) in refused {
            assert_eq!(orders.set_targets(0, &targets).unwrap_err().to_string(), text);
        }
        let none = orders.set_targets(1, &mhz(500.0)).unwrap_err().to_string();
        assert_eq!(none, "there is no chain 1: bench-bitaxe has 1, counted from 0");
        assert_eq!(orders.clock(0), Clock { target: at(525.0), throttled: false });
        assert_eq!(orders.volts(0), 1.15);
    }

    #[test]
    fn the_limits_themselves_may_be_asked_for() {
        let orders = orders();
        for value in [600.0, 62.5] {
            orders.set_targets(0, &mhz(value)).unwrap();
            assert_eq!(orders.clock(0).target, at(value));
        }
    }

    #[test]
    fn no_target_passes_the_throttle_and_it_does_not_go_below_the_lowest_clock() {
        let orders = orders();
        orders.throttle(0, Some(at(300.0)));
        orders.set_targets(0, &mhz(600.0)).unwrap();
        assert_eq!(orders.clock(0), Clock { target: at(300.0), throttled: true });
        assert_eq!(orders.asked(0), (at(600.0), Some(at(300.0))));
        orders.set_targets(0, &mhz(200.0)).unwrap();
        assert_eq!(orders.clock(0), Clock { target: at(200.0), throttled: false });
        orders.throttle(0, Some(at(0.0)));
        assert_eq!(orders.clock(0), Clock { target: at(62.5), throttled: true });
        orders.throttle(0, None);
        assert_eq!(orders.clock(0).target, at(200.0));
    }

    #[test]
    fn voltage_rises_before_the_clock_and_falls_after_it() {
        let orders = orders();
        orders.clock_is(0, at(525.0));
        orders.set_targets(0, &Targets { mhz: Some(600.0), volts: Some(1.2) }).unwrap();
        assert_eq!((orders.clock(0).target, orders.volts(0)), (at(525.0), 1.2), "voltage first");
        orders.volts_are(0, 1.2);
        assert_eq!(orders.clock(0).target, at(600.0));
        orders.clock_is(0, at(600.0));

        orders.set_targets(0, &Targets { mhz: Some(400.0), volts: Some(1.1) }).unwrap();
        assert_eq!((orders.clock(0).target, orders.volts(0)), (at(400.0), 1.2), "clock first");
        orders.clock_is(0, at(500.0));
        assert_eq!(orders.volts(0), 1.2, "still on its way");
        orders.clock_is(0, at(400.0));
        assert_eq!(orders.volts(0), 1.1);
    }

    #[tokio::test]
    async fn faults_are_cleared_only_where_one_waits_for_it() {
        let orders = orders();
        assert_eq!(orders.clear_fault(false), Err(Refusal::NoFault));
        orders.clear_fault(true).unwrap();
        orders.cleared().await;
    }

    #[tokio::test]
    async fn the_light_is_the_newest_that_was_asked_for() {
        let shipped = include_str!("../../../overlay/etc/adit/machines/bench-bitaxe.toml");
        let mut limits = Limits::of(&Profile::parse(shipped).unwrap());
        assert!(Orders::new(limits.clone()).locate(true).is_err(), "it has none");
        limits.light = true;
        let orders = Orders::new(limits);
        for on in [true, false, true] {
            orders.locate(on).unwrap();
        }
        assert!(orders.light().await);
    }

    #[test]
    fn opposite_changes_wait_for_nothing() {
        let orders = orders();
        orders.clock_is(0, at(525.0));
        orders.set_targets(0, &Targets { mhz: Some(600.0), volts: Some(1.1) }).unwrap();
        assert_eq!((orders.clock(0).target, orders.volts(0)), (at(600.0), 1.1));
        orders.set_targets(0, &Targets { mhz: Some(400.0), volts: Some(1.2) }).unwrap();
        assert_eq!((orders.clock(0).target, orders.volts(0)), (at(400.0), 1.2));
    }

    #[test]
    fn chips_start_at_the_profiles_clock_where_voltage_is_yet_to_rise() {
        let orders = orders();
        orders.set_targets(0, &Targets { mhz: Some(600.0), volts: Some(1.2) }).unwrap();
        assert_eq!(orders.clock(0).target, at(525.0));
        orders.volts_are(0, 1.2);
        assert_eq!(orders.clock(0).target, at(600.0));
    }
}
