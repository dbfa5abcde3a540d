//! The machine's life: safe → fan proven → power → chains → hashing, and from anywhere back to safe.
//!
//! One loop. While chips have power, fan, rail and temperatures are looked at every second, whatever the chains do. Every way out of the powered part leads through
//! [`Machine::make_safe`]: a fault, a chain that is given up, the end of the process.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
    time::{Duration, Instant},
};

use tokio::time::sleep;
use tracing::{error, info, warn};

use crate::{
    board::{Board, SafeState},
    chain, notify,
    orders::Orders,
    power::{Fault, Judge},
    profile::Profile,
    status::{Stage, Status},
    work_path::WorkPath,
};

/// A machine that ran for so long starts over with the shortest pause after its next fault.
const WAS_STABLE: Duration = Duration::from_secs(300);
/// However often another voltage is asked for, the regulator is not told more often than this.
const BETWEEN_VOLTAGES: Duration = Duration::from_millis(50);

pub(crate) struct Machine<'a> {
    profile: &'a Profile,
    path: &'a WorkPath,
    orders: &'a Orders,
    status: &'a Status,
    board: Option<Board>,
    said_ready: bool,
    faults_in_a_row: u32,
}

impl<'a> Machine<'a> {
    pub(crate) fn new(
        profile: &'a Profile,
        path: &'a WorkPath,
        orders: &'a Orders,
        status: &'a Status,
    ) -> Self {
        Self { profile, path, orders, status, board: None, said_ready: false, faults_in_a_row: 0 }
    }

    /// Runs until it is dropped. The caller then calls [`Machine::make_safe`].
    pub(crate) async fn run(&mut self) -> Infallible {
        loop {
            let began = Instant::now();
            let Err(fault) = self.cycle().await;
            if began.elapsed() > WAS_STABLE {
                self.faults_in_a_row = 0;
            }
            self.give_up(&fault).await;
        }
    }

    /// Rail off, reset held, fan full. When the controller cannot be reached, the chips are at least slowed down over their own line.
    pub(crate) async fn make_safe(&mut self) -> SafeState {
        let state = match self.board() {
            Ok(board) => board.make_safe().await,
            Err(fault) => SafeState { errors: vec![fault.to_string()], ..Default::default() },
        };
        if !state.rail_off {
            for chain in &self.profile.chain {
                if let Err(error) = chain::slow_down(chain).await {
                    warn!(%error, "chips cannot be slowed down either");
                }
            }
            // A port that went away is opened again next time.
            self.board = None;
        }
        notify::progress();
        state
    }

    fn board(&mut self) -> Result<&mut Board, Fault> {
        match &mut self.board {
            Some(board) => Ok(board),
            none => Ok(none.insert(Board::open(self.profile)?)),
        }
    }

    /// Once from safe to hashing; ends with the reason why not, or why no longer.
    async fn cycle(&mut self) -> Result<Infallible, Fault> {
        let state = self.make_safe().await;
        if !state.reached() {
            return Err(Fault::NotSafe(state.errors.join("; ")));
        }
        if !std::mem::replace(&mut self.said_ready, true) {
            notify::ready();
        }
        let (profile, path, orders, status) = (self.profile, self.path, self.orders, self.status);
        let board = self.board()?;
        status.stage(Stage::Fans);
        board.prepare().await?;
        board.prove_fan(profile).await?;
        let sample = board.sample().await;
        status.sample(&sample);
        let max = profile.temperature.start_board_celsius;
        match sample.board_celsius {
            Some(celsius) if celsius <= max => {}
            Some(celsius) => return Err(Fault::StillWarm { celsius, max }),
            None => return Err(Fault::SensorLost("board temperature")),
        }
        status.stage(Stage::Power);
        board.power_up(profile).await?;
        orders.volts_are(0, profile.rail.volts);
        tokio::select! {
            biased;
            fault = watch(profile, board, orders, status) => fault,
            fault = run_chains(profile, path, orders, status) => fault,
        }
    }

    /// Off power, said why, and a pause in which the machine is kept safe.
    async fn give_up(&mut self, fault: &Fault) {
        let state = self.make_safe().await;
        let reason = if state.reached() || matches!(fault, Fault::NotSafe(_)) {
            fault.to_string()
        } else {
            format!("{fault}; safe state not reached: {}", state.errors.join("; "))
        };
        let safety = &self.profile.safety;
        let doubled = u64::from(safety.retry_ms) << self.faults_in_a_row.min(16);
        let pause_ms = doubled.min(safety.retry_max_ms.into());
        self.faults_in_a_row += 1;
        if state.reached() {
            warn!(target: "adit_hardware", reason = %reason, retry_ms = pause_ms, "fault");
        } else {
            error!(target: "adit_hardware", reason = %reason, retry_ms = pause_ms, "fault");
        }
        self.status.fault(fault, &reason);
        self.stay_safe(Duration::from_millis(pause_ms), state.reached()).await;
    }

    /// Waits, looks every second whether the rail is still off, and switches it off again if it is not.
    async fn stay_safe(&mut self, pause: Duration, mut safe: bool) {
        let end = Instant::now() + pause;
        let interval = Duration::from_millis(self.profile.safety.interval_ms.into());
        while Instant::now() < end {
            sleep(interval.min(end.saturating_duration_since(Instant::now()))).await;
            notify::progress();
            if let Some(board) = &mut self.board {
                let sample = board.sample().await;
                safe &= sample.rail_volts.is_some_and(|volts| board.is_off(volts));
                self.status.sample(&sample);
            }
            if !safe {
                safe = self.make_safe().await.reached();
                if safe {
                    info!("safe state reached after all");
                }
            }
        }
    }
}

/// Looks at the powered machine until something is wrong with it; between the looks the rail is told what is asked for.
async fn watch(
    profile: &Profile,
    board: &mut Board,
    orders: &Orders,
    status: &Status,
) -> Result<Infallible, Fault> {
    let began = Instant::now();
    let interval = Duration::from_millis(profile.safety.interval_ms.into());
    let mut judge = Judge::new(profile);
    let mut told = profile.rail.volts;
    loop {
        let sample = board.sample().await;
        status.sample(&sample);
        judge.look(&sample, began.elapsed().as_millis() as u64)?;
        let pause = sleep(interval);
        tokio::pin!(pause);
        loop {
            let volts = orders.volts(0);
            if volts != told {
                board.set_volts(volts).await?;
                told = volts;
                orders.volts_are(0, volts);
                status.update(|told| told.machine.boards[0].target_volts = volts);
                info!(target: "adit_hardware", volts, "rail");
                sleep(BETWEEN_VOLTAGES).await;
            }
            tokio::select! {
                () = &mut pause => break,
                () = orders.rail_changed(0) => {}
            }
        }
    }
}

/// All chains at once; ends with the first that is given up, for they share a rail.
async fn run_chains(
    profile: &Profile,
    path: &WorkPath,
    orders: &Orders,
    status: &Status,
) -> Result<Infallible, Fault> {
    let mut chains: Vec<_> = (0..)
        .zip(&profile.chain)
        .map(|(index, chain)| (index, Box::pin(chain::run(index, chain, path, orders, status))))
        .collect();
    poll_fn(|context| {
        for (index, chain) in &mut chains {
            if let Poll::Ready(Err(fault)) = Pin::new(chain).poll(context) {
                return Poll::Ready(Err(Fault::Chain { chain: *index, fault }));
            }
        }
        Poll::Pending
    })
    .await
}
