//! The machine's life: safe → shared parts proven and on → each board on its own from safe to hashing, and from anywhere back to safe.
//!
//! One loop a board and one for what they share. While chips have power, fans, rails and temperatures are looked at every second, whatever the chains do. A fault of a board takes that board off; a fault of
//! what is shared, or of a board that has no switch of its own, takes all off. Every way out of a powered part leads through making it safe: a fault, a chain that is given up, the end of the process.

mod buttons;
mod common;
mod refusal;
#[cfg(test)]
mod tests;

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
    time::{Duration, Instant},
};

use tokio::time::sleep;
use tracing::{error, info, warn};

pub(crate) use self::refusal::Refusal;
use self::{buttons::Buttons, common::Common};
use crate::{
    board::{self, Board, SafeState},
    bus::{Buses, Claim, Kept, Output},
    chain,
    cooling::Cooling,
    guard::Guard,
    notify,
    orders::{self, Orders},
    parts::BoardError,
    power::{Fault, Sample},
    profile::{BoardProfile, Profile},
    safety::{self, FanDemand, Identity, Place, Reading},
    shared::Shared,
    status::{Stage, Status},
    work_path::WorkPath,
};

/// A board that ran for so long starts over with the shortest pause after its next fault.
const WAS_STABLE: Duration = Duration::from_secs(300);
/// What a throttled chain is slowed down to: as far as its profile goes.
const LOWEST: adit_asic::KiloHertz = adit_asic::KiloHertz(0);
/// Readings that prove parts before power follow each other like this.
const LOOK: Duration = Duration::from_millis(50);
/// However often another voltage is asked for, the regulator is not told more often than this.
const BETWEEN_VOLTAGES: Duration = Duration::from_millis(50);
/// A board that is not plugged in is looked for this often.
const LOOK_FOR: Duration = Duration::from_secs(1);

/// Where works come from, what is asked for, and where what happens is told.
#[derive(Clone, Copy)]
pub(crate) struct Links<'a> {
    pub(crate) path: &'a WorkPath,
    pub(crate) orders: &'a Orders,
    pub(crate) status: &'a Status,
}

pub(crate) struct Machine<'a> {
    profile: &'a Profile,
    orders: &'a Orders,
    light: Option<Output>,
    buttons: Buttons,
    status: &'a Status,
    buses: Buses,
    refusal: Refusal,
    shared: Shared,
    pauses: Pauses,
    /// As a slot's.
    safe: SafeState,
    boards: Vec<Slot<'a>>,
}

/// A board's place in the machine.
struct Slot<'a> {
    index: u8,
    machine: &'a Profile,
    profile: &'a BoardProfile,
    links: Links<'a>,
    buses: Buses,
    board: Board,
    refusal: Refusal,
    pauses: Pauses,
    /// Of the last time that it was made safe, as far as that came.
    safe: SafeState,
}

/// How long to stay off after a fault: longer each time.
#[derive(Debug, Default)]
struct Pauses {
    faults_in_a_row: u32,
}

impl Pauses {
    fn after(&mut self, ran: Duration, profile: &Profile) -> Duration {
        if ran > WAS_STABLE {
            self.faults_in_a_row = 0;
        }
        let safety = &profile.safety;
        let doubled = u64::from(safety.retry_ms) << self.faults_in_a_row.min(16);
        self.faults_in_a_row += 1;
        Duration::from_millis(doubled.min(safety.retry_max_ms.into()))
    }
}

impl<'a> Machine<'a> {
    pub(crate) fn new(profile: &'a Profile, links: Links<'a>, claim: Claim) -> Self {
        let buses = Buses::new(profile, claim);
        let shared = Shared::new(profile, &buses);
        let slot = |(index, board): (usize, &'a BoardProfile)| {
            let own = Board::new(board, &buses);
            Slot {
                index: index as u8,
                machine: profile,
                profile: board,
                links,
                refusal: Refusal::of_board(profile, index, &own),
                buses: buses.clone(),
                board: own,
                pauses: Pauses::default(),
                safe: SafeState::default(),
            }
        };
        Self {
            profile,
            orders: links.orders,
            light: orders::locator(profile).map(|light| buses.output(&light.line)),
            buttons: Buttons::new(profile, &buses),
            status: links.status,
            buses: buses.clone(),
            refusal: Refusal::of_machine(profile),
            boards: profile.board.iter().enumerate().map(slot).collect(),
            shared,
            pauses: Pauses::default(),
            safe: SafeState::default(),
        }
    }

    pub(crate) fn refusals(&self) -> Vec<String> {
        let boards = self.boards.iter().filter(|slot| !slot.refusal.is_none());
        let boards = boards.map(|slot| slot.named(slot.refusal.text()));
        let machine = (!self.refusal.is_none()).then(|| self.refusal.text());
        machine.into_iter().chain(boards).collect()
    }

    /// Lines that an earlier run of this program has left open. The next use of each takes it as it is.
    pub(crate) fn take_over(&self, kept: Kept) {
        self.buses.fill(kept);
    }

    /// All lines that were requested stay open when this process ends; false: not yet.
    pub(crate) fn leave_lines(&self) -> bool {
        self.buses.leave()
    }

    /// Runs until it is dropped. The caller then calls [`Machine::make_safe`].
    pub(crate) async fn run(&mut self, guard: &Guard<'_>) -> Infallible {
        self.buses.let_go_of_others();
        let common = Common::new(self.boards.len(), Cooling::new(self.profile));
        let refusal = &self.refusal;
        let slots =
            self.boards.iter_mut().map(|slot| -> Life<'_> { Box::pin(slot.run(&common, guard, refusal)) });
        let mut lives: Vec<Life<'_>> = slots.collect();
        let shared = SharedLife {
            profile: self.profile,
            status: self.status,
            shared: &mut self.shared,
            pauses: &mut self.pauses,
            refusal,
            common: &common,
            guard,
        };
        lives.push(Box::pin(shared.run()));
        lives.push(Box::pin(show_where(self.orders, self.light.as_ref())));
        lives.push(Box::pin(self.buttons.watch(self.orders, self.status)));
        lives.push(Box::pin(clear(self.orders, guard)));
        poll_fn(|context| {
            for life in &mut lives {
                let Poll::Pending = life.as_mut().poll(context);
            }
            Poll::Pending
        })
        .await
    }

    /// The supply and all rails off, resets held, fans full. All at once, the supply's line first: each may have to wait for its own controller, and none for another's. A caller may break off: [`Machine::safe`] says how far it came.
    pub(crate) async fn make_safe(&mut self) {
        self.boards.iter_mut().for_each(|slot| slot.safe = SafeState::default());
        self.safe = SafeState::default();
        let hands_off = self.refusal.hands_off;
        let boards = self.boards.iter_mut().map(|slot| Box::pin(slot.make_safe(hands_off))).collect();
        tokio::join!(
            biased;
            make_shared_safe(&mut self.shared, &self.refusal, &mut self.safe),
            all(boards),
        );
    }

    /// What [`Machine::make_safe`] has reached.
    pub(crate) fn safe(&self) -> SafeState {
        let boards = self.boards.iter().map(|slot| slot.safe.clone());
        let boards = boards.reduce(SafeState::with).unwrap_or_default();
        let (unopened, absent) = (boards.unopened, boards.absent);
        let all = self.safe.clone().with(SafeState { unopened: false, ..boards });
        // Where there is no board, whatever they would share does not make one safe.
        SafeState { unopened, absent, ..all }
    }
}

type Life<'a> = Pin<Box<dyn Future<Output = Infallible> + 'a>>;

/// All at once, to their ends.
async fn all<F: Future>(mut futures: Vec<Pin<Box<F>>>) {
    poll_fn(|context| {
        futures.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if futures.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

async fn make_shared_safe(shared: &mut Shared, refusal: &Refusal, state: &mut SafeState) {
    if refusal.hands_off {
        state.errors.push(refusal.text());
        state.fan_full = shared.cool(state).await;
    } else {
        shared.make_safe(state).await;
    }
    notify::progress();
}

/// What boards share, while the machine runs.
struct SharedLife<'a> {
    profile: &'a Profile,
    status: &'a Status,
    shared: &'a mut Shared,
    pauses: &'a mut Pauses,
    refusal: &'a Refusal,
    common: &'a Common,
    guard: &'a Guard<'a>,
}

impl SharedLife<'_> {
    async fn run(mut self) -> Infallible {
        if !self.refusal.is_none() {
            return self.refuse().await;
        }
        if self.shared.is_nothing() {
            self.common.ready().await;
            self.common.supply(true);
            return self.listen().await;
        }
        loop {
            let began = Instant::now();
            let Err(fault) = self.cycle().await;
            self.guard.see(Place::Machine, Reading::Power(self.shared.has_no_switch()));
            let mut state = SafeState::default();
            make_shared_safe(self.shared, self.refusal, &mut state).await;
            // Boards go off by themselves as soon as they see this; without a supply they already are.
            self.common.supply(false);
            let pause = self.pauses.after(began.elapsed(), self.profile);
            let reason = reason(&fault, &state);
            say(&reason, pause, state.reached(), None);
            self.status.machine_fault(Some(&fault), &reason);
            self.rest(state.reached(), sleep(pause)).await;
            self.common.forget();
        }
    }

    /// Nothing is shared but the control loop. When its silence takes power off, each board sees that by itself.
    async fn listen(&mut self) -> Infallible {
        loop {
            let ruling = self.guard.look_at_rest(Place::Machine, &Sample::default());
            let slow = ruling.stage == safety::Stage::Throttle;
            self.status.machine_throttled(if slow {
                self.guard.throttles(Place::Machine)
            } else {
                Vec::new()
            });
            sleep(Duration::from_millis(self.profile.safety.interval_ms.into())).await;
        }
    }

    /// Once from off to a fault.
    async fn cycle(&mut self) -> Result<Infallible, Fault> {
        let mut state = SafeState::default();
        make_shared_safe(self.shared, self.refusal, &mut state).await;
        if !state.reached() {
            return Err(Fault::NotSafe(state.errors.join("; ")));
        }
        self.common.ready().await;
        self.shared.wait_for_fall(self.guard).await?;
        self.rest(true, self.guard.asked()).await;
        self.shared.bring_up(self.profile, self.guard).await?;
        self.status.machine_well();
        self.common.supply(true);
        tokio::select! {
            biased;
            fault = watch_shared(self.profile, self.shared, self.guard, self.common, self.status) => fault,
            fault = self.common.raised() => Err(fault),
        }
    }

    /// Looks every second until `over`; tries to reach the safe state for as long as it is not.
    async fn rest(&mut self, mut safe: bool, over: impl Future<Output = ()>) {
        let looking = async {
            self.shared.listen().await;
            loop {
                sleep(Duration::from_millis(self.profile.safety.interval_ms.into())).await;
                notify::progress();
                self.shared.keep_alive(self.guard).await;
                let sample = self.shared.sample().await;
                let ruling = self.guard.look_at_rest(Place::Machine, &sample);
                self.status.machine_sample(&sample, false, &self.guard.causes(Place::Machine));
                self.shared
                    .regulate(self.common.cooling.share(Place::Machine, ruling.fans, &sample, false))
                    .await;
                if !safe {
                    let mut state = SafeState::default();
                    make_shared_safe(self.shared, self.refusal, &mut state).await;
                    safe = state.reached();
                }
            }
        };
        tokio::select! {
            biased;
            () = over => {}
            () = looking => {}
        }
    }

    /// The machine is not to have power. Its fans run all the same, for somebody else may have powered it.
    async fn refuse(&mut self) -> Infallible {
        let reason = self.refusal.text();
        error!(target: "adit_hardware", reason = %reason, "fault");
        self.status.machine_fault(None, &reason);
        notify::ready();
        loop {
            let mut state = SafeState::default();
            make_shared_safe(self.shared, self.refusal, &mut state).await;
            sleep(Duration::from_millis(self.profile.safety.interval_ms.into())).await;
            notify::progress();
        }
    }
}

impl Slot<'_> {
    async fn run(&mut self, common: &Common, guard: &Guard<'_>, machine: &Refusal) -> Infallible {
        if !machine.is_none() {
            self.make_safe(machine.hands_off).await;
            common.tried(self.index.into(), &self.safe);
            return std::future::pending().await;
        }
        if !self.refusal.is_none() {
            return self.refuse(common).await;
        }
        loop {
            let began = Instant::now();
            let Err(fault) = self.cycle(common, guard).await;
            guard.see(self.place(), Reading::Power(false));
            match fault {
                fault @ Fault::Absent(_) => {
                    guard.see(self.place(), Reading::Plugged(false));
                    // It needs no air any more.
                    common.cooling.share(self.place(), FanDemand::None, &Sample::default(), false);
                    self.wait_for_board(&fault).await;
                }
                Fault::Shared => {
                    // Nobody looks at it until the supply is back.
                    guard.see(self.place(), Reading::Plugged(false));
                    self.make_safe(false).await;
                    self.links.status.stage(self.index, Stage::Off);
                }
                fault => self.give_up(fault, began.elapsed(), common, guard).await,
            }
        }
    }

    /// Rail off, reset held, fans full. When the controller cannot be reached, the chips are at least slowed down over their own line.
    async fn make_safe(&mut self, hands_off: bool) {
        self.safe = SafeState::default();
        if hands_off || self.refusal.hands_off {
            self.safe.errors.extend(self.refusal.hands_off.then(|| self.refusal.text()));
            self.safe.fan_full = board::drive_full(&mut self.board.fans, &mut self.safe).await;
            return;
        }
        self.board.make_safe(&mut self.safe).await;
        if !self.safe.rail_off {
            if self.refusal.is_none()
                && let Some(port) = self.buses.chain_port(&self.profile.chain)
                && let Err(error) = chain::slow_down(&self.profile.chain, &port).await
                && !self.safe.absent
            {
                warn!(%error, "chips cannot be slowed down either");
            }
            // A port that went away is opened again next time.
            self.board.close().await;
        }
        notify::progress();
    }

    /// Once from safe to hashing; ends with the reason why not, or why no longer.
    async fn cycle(&mut self, common: &Common, guard: &Guard<'_>) -> Result<Infallible, Fault> {
        self.make_safe(false).await;
        common.tried(self.index.into(), &self.safe);
        if self.safe.absent {
            let unplugged = || "no board is plugged in".to_owned();
            return Err(Fault::Absent(self.safe.errors.first().cloned().unwrap_or_else(unplugged)));
        }
        if !self.safe.reached() {
            return Err(Fault::NotSafe(self.safe.errors.join("; ")));
        }
        self.links.status.stage(self.index, Stage::Off);
        self.rest(true, common, guard, async {
            guard.asked().await;
            common.supply_is(true).await;
        })
        .await;
        if self.safe.absent {
            return Err(Fault::Absent("no board is plugged in".into()));
        }
        tokio::select! {
            biased;
            () = common.supply_is(false) => Err(Fault::Shared),
            fault = self.hash(common, guard) => fault,
        }
    }

    /// From a board that is off, with a supply that is there.
    async fn hash(&mut self, common: &Common, guard: &Guard<'_>) -> Result<Infallible, Fault> {
        let (index, links, place) = (self.index, self.links, self.place());
        let status = links.status;
        guard.see(place, Reading::Plugged(true));
        status.stage(index, Stage::Fans);
        // Nothing could be said to its chips.
        let port = self.buses.chain_port(&self.profile.chain).ok_or(BoardError::NoChainPort)?;
        self.identify(guard).await?;
        self.board.prepare().await?;
        board::prove(&mut self.board.fans).await?;
        let sample = self.board.sample(false).await;
        status.sample(index, &sample, &guard.causes(place));
        board::is_cool(&self.board.sensors, &sample, self.machine)?;
        let asked = Instant::now();
        while !guard.permits(place, &self.board.sample(false).await, asked)? {
            notify::progress();
            sleep(LOOK).await;
        }
        status.stage(index, Stage::Power);
        self.board.power_up().await?;
        guard.see(place, Reading::Power(true));
        if let Some(rail) = &self.profile.rail {
            rail_is(index, rail.volts, links.orders, status);
        }
        let chain = Box::pin(chain::run(index, &self.profile.chain, &port, links.path, links.orders, status));
        tokio::select! {
            biased;
            fault = watch(self.machine, self.profile, index, &mut self.board, common, guard, links) => fault,
            fault = chain => fault.map_err(|fault| Fault::Chain { chain: index, fault }),
        }
    }

    async fn identify(&mut self, guard: &Guard<'_>) -> Result<(), Fault> {
        match self.board.identify().await {
            Ok(None) => Ok(()),
            Ok(Some(claimed)) => {
                self.links.status.board(self.index, |board| board.identity = claimed.text);
                guard.identified(self.place(), claimed.verdict)
            }
            Err(error) if error.is_silence() => Err(error.into()),
            Err(error) => {
                guard.see(self.place(), Reading::Identity(Identity::Unreadable));
                Err(Fault::Identity(error))
            }
        }
    }

    /// Off power, said why, and a pause in which the board is kept safe.
    async fn give_up(&mut self, fault: Fault, ran: Duration, common: &Common, guard: &Guard<'_>) {
        self.make_safe(false).await;
        let safe = self.safe.reached();
        let reason = self.named(reason(&fault, &self.safe));
        let pause = self.pauses.after(ran, self.machine);
        say(&reason, pause, safe, self.name());
        self.links.status.fault(self.index, &fault, &reason);
        if !self.board.has_rail() && (fault.needs_power_off() || !safe) {
            let board = self.profile.name.clone();
            common.raise(Fault::OfBoard { board, fault: fault.to_string() });
        }
        self.rest(safe, common, guard, sleep(pause)).await;
    }

    /// Until `over` looks every second whether the rail is still off, and switches it off again if it is not.
    async fn rest(
        &mut self,
        mut safe: bool,
        common: &Common,
        guard: &Guard<'_>,
        over: impl Future<Output = ()>,
    ) {
        let place = self.place();
        let looking = async {
            board::listen(&mut self.board.fans).await;
            loop {
                sleep(Duration::from_millis(self.machine.safety.interval_ms.into())).await;
                notify::progress();
                let sample = self.board.sample(false).await;
                safe &= self.board.is_off(&sample);
                let ruling = guard.look_at_rest(place, &sample);
                self.links.status.sample(self.index, &sample, &guard.causes(place));
                let share = common.cooling.share(place, ruling.fans, &sample, false);
                board::regulate(&mut self.board.fans, share).await;
                if !safe {
                    self.make_safe(false).await;
                    if self.safe.absent {
                        return;
                    }
                    safe = self.safe.reached();
                    if safe {
                        info!("safe state reached after all");
                    }
                }
            }
        };
        tokio::select! {
            biased;
            () = over => {}
            () = looking => {}
        }
    }

    /// Until somebody plugs it in.
    async fn wait_for_board(&mut self, fault: &Fault) {
        let reason = self.named(fault.to_string());
        warn!(target: "adit_hardware", reason = %reason, "no board");
        self.links.status.absent(self.index, &reason);
        loop {
            sleep(LOOK_FOR).await;
            notify::progress();
            if self.board.is_there().await {
                info!(target: "adit_hardware", board = %self.profile.name, "board found");
                return;
            }
            self.board.close().await;
        }
    }

    /// The board is not to have power.
    async fn refuse(&mut self, common: &Common) -> Infallible {
        let reason = self.named(self.refusal.text());
        error!(target: "adit_hardware", reason = %reason, "fault");
        self.links.status.refused(self.index, &reason);
        loop {
            self.make_safe(false).await;
            // It cannot be reached completely, and nobody needs to wait for it.
            common.tried(self.index.into(), &SafeState { absent: true, ..Default::default() });
            sleep(Duration::from_millis(self.machine.safety.retry_max_ms.into())).await;
        }
    }

    fn place(&self) -> Place {
        Place::Board(self.index.into())
    }

    /// The board's name where there are several.
    fn name(&self) -> Option<&str> {
        (self.machine.board.len() > 1).then_some(self.profile.name.as_str())
    }

    fn named(&self, reason: String) -> String {
        match self.name() {
            Some(name) => format!("{name}: {reason}"),
            None => reason,
        }
    }
}

fn reason(fault: &Fault, state: &SafeState) -> String {
    if state.reached() || state.absent || matches!(fault, Fault::NotSafe(_)) {
        fault.to_string()
    } else {
        format!("{fault}; safe state not reached: {}", state.errors.join("; "))
    }
}

fn say(reason: &str, pause: Duration, safe: bool, board: Option<&str>) {
    let retry_ms = pause.as_millis() as u64;
    if safe {
        warn!(target: "adit_hardware", reason = %reason, retry_ms, board, "fault");
    } else {
        error!(target: "adit_hardware", reason = %reason, retry_ms, board, "fault");
    }
}

/// Looks at a powered board until something is wrong with it; between the looks its rail is told what is asked for.
async fn watch(
    machine: &Profile,
    profile: &BoardProfile,
    index: u8,
    board: &mut Board,
    common: &Common,
    guard: &Guard<'_>,
    Links { orders, status, .. }: Links<'_>,
) -> Result<Infallible, Fault> {
    let interval = Duration::from_millis(machine.safety.interval_ms.into());
    let mut told = profile.rail.as_ref().map_or(0.0, |rail| rail.volts);
    loop {
        let mut sample = board.sample(true).await;
        sample.die = status.die(index);
        let place = Place::Board(index.into());
        let ruling = guard.look(place, &sample);
        status.sample(index, &sample, &guard.causes(place));
        let ruling = ruling?;
        let slow = ruling.stage == safety::Stage::Throttle;
        orders.throttle(index, slow.then_some(LOWEST));
        status.throttled(index, if slow { guard.throttles(place) } else { Vec::new() });
        board::regulate(&mut board.fans, common.cooling.share(place, ruling.fans, &sample, true)).await;
        let pause = sleep(interval);
        tokio::pin!(pause);
        loop {
            let volts = orders.volts(index);
            if orders.may_change(index) && volts != told {
                board.set_volts(volts).await?;
                told = volts;
                rail_is(index, volts, orders, status);
                info!(target: "adit_hardware", board = index, volts, "rail");
                sleep(BETWEEN_VOLTAGES).await;
            }
            tokio::select! {
                () = &mut pause => break,
                () = orders.rail_changed(index) => {}
            }
        }
    }
}

fn rail_is(board: u8, volts: f64, orders: &Orders, status: &Status) {
    orders.volts_are(board, volts);
    status.board(board, |board| board.target_volts = volts);
}

/// What a person has seen to is forgotten, as far as it is away; whoever waits for that tries again by itself.
async fn clear(orders: &Orders, guard: &Guard<'_>) -> Infallible {
    loop {
        orders.cleared().await;
        let all = guard.clear();
        info!(target: "adit_hardware", all, "faults cleared by a person");
    }
}

/// The light on while somebody looks for this machine.
async fn show_where(orders: &Orders, light: Option<&Output>) -> Infallible {
    loop {
        let on = orders.light().await;
        info!(target: "adit_hardware", on, "locate");
        if let Some(light) = light
            && let Err(error) = light.set(on).await
        {
            warn!(%error, "the light cannot be switched");
        }
    }
}

/// Looks at what is shared until something is wrong with it.
async fn watch_shared(
    profile: &Profile,
    shared: &mut Shared,
    guard: &Guard<'_>,
    common: &Common,
    status: &Status,
) -> Result<Infallible, Fault> {
    let interval = Duration::from_millis(profile.safety.interval_ms.into());
    loop {
        shared.keep_alive(guard).await;
        let sample = shared.sample().await;
        let ruling = guard.look(Place::Machine, &sample);
        status.machine_sample(&sample, true, &guard.causes(Place::Machine));
        let ruling = ruling?;
        let slow = ruling.stage == safety::Stage::Throttle;
        status.machine_throttled(if slow { guard.throttles(Place::Machine) } else { Vec::new() });
        shared.regulate(common.cooling.share(Place::Machine, ruling.fans, &sample, true)).await;
        notify::progress();
        sleep(interval).await;
    }
}
