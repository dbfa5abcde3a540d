//! A machine at work: its buses, lines and boards, and the physics that joins them. Every step, what hosts asked for is read
//! out of the parts, time passes, and what has become of it is put into the parts that measure it.

pub(crate) mod identity;
pub(crate) mod model;
pub(crate) mod models;
pub(crate) mod part;
mod wiring;

use crate::bus::I2cBus;
use crate::device::Device as _;
use crate::device::apw::{Apw, Curve, Cut};
use crate::device::eeprom::SIZE;
use crate::events::Event;
use crate::fault::MachineFaults;
use crate::gpio::{Driver, Lines};
use crate::physics::approach;
use crate::physics::board::{Air, Board, Load};
use crate::physics::psu::{Output, Trip};
use crate::random::Random;
use model::{Feed, MachineModel, Role, Spot};
use part::{Chip, Part, Sensor};

pub(crate) const AMBIENT_CELSIUS: f64 = 25.0;
/// A regulator's output changes by this much in a second: 1.2 V in 3 ms, the boards' TON_RISE. A PIC's buck is slower.
const REGULATOR_SLEW: f64 = 400.0;
const BUCK_SLEW: f64 = 40.0;
/// A switch between supply and board closes in this time constant.
const SWITCH_SECONDS: f64 = 0.02;
/// After reset is released, the first readings of the chip's diode are void (seen on the real board).
const DIODE_SETTLES_SECONDS: f64 = 0.3;
/// Boards of many chips are computed no more finely than this.
const COARSE_STEP: f64 = 0.005;
const MANY_CHIPS: usize = 8;
/// Each supply's calibration differs by this much, of one volt, either way.
const CURVE_SPREAD: f64 = 0.05;

/// A board and what surrounds it.
pub(crate) struct Seat {
    pub(crate) board: Board,
    /// What its regulator or switch gives.
    pub(crate) rail_volts: f64,
    pub(crate) commanded_volts: f64,
    target_volts: f64,
    reset_line: usize,
    plug_line: Option<usize>,
    /// Seconds since power and released reset came together.
    released: f64,
}

pub(crate) struct Machine {
    pub(crate) model: &'static MachineModel,
    buses: Vec<I2cBus<Part>>,
    lines: Lines,
    pub(crate) seats: Vec<Seat>,
    pub(crate) sensors: Vec<Sensor>,
    /// The first of those behind chips, two for each board.
    first_behind: usize,
    pub(crate) psu: Option<Output>,
    psu_enabled: bool,
    pub(crate) fans: Vec<Fan>,
    pub(crate) faults: MachineFaults,
    /// Seconds that physics has yet to catch up with.
    owed: f64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Fan {
    /// Share of full drive.
    pub(crate) drive: f64,
    pub(crate) rpm: f64,
}

impl Machine {
    /// As it is just after the mains came on. `lottery`: no two dies are alike, drawn from the seed.
    pub(crate) fn new(
        model: &'static MachineModel,
        seed: u64,
        lottery: bool,
        eeproms: &[[u8; SIZE]],
    ) -> Self {
        let mut random = Random::new(seed ^ 0x5EED);
        let mut curve = Curve::APW121215;
        if lottery {
            let share = (random.byte() as f64 / 127.5) - 1.0;
            curve.volts_at_zero += CURVE_SPREAD * share;
        }
        let eeprom = |board: usize| {
            eeproms.get(board).copied().unwrap_or_else(|| {
                model.identity.map_or([0xFF; SIZE], |name| {
                    identity::eeprom(name, board, model.stock.volts, model.stock.mhz)
                })
            })
        };
        let (buses, mut sensors) = part::build(model.parts, model.buses, eeprom, curve);
        let behind_chips = model.behind_chip.map_or(0, |_| model.boards);
        let first_behind = sensors.len();
        sensors.extend(
            (0..behind_chips).flat_map(|board| {
                ["outlet", "chip"].map(|place| Sensor::new(format!("board-{board}-{place}")))
            }),
        );
        let mut lines = Lines::default();
        for line in model.lines() {
            let machine_drives = matches!(line.role, Role::Plug(_) | Role::Button);
            let driver = if machine_drives { Driver::Machine } else { Driver::Host };
            let number = lines.add(line.name, driver, line.pull);
            if machine_drives {
                lines.drive(number, Some(true));
            }
        }
        let seats = (0..model.boards)
            .map(|board| Seat {
                board: Board::new(&model.board, AMBIENT_CELSIUS, lottery.then(|| random.next())),
                rail_volts: 0.0,
                commanded_volts: 0.0,
                target_volts: 0.0,
                reset_line: model.line(Role::Reset(board)).expect("every board has a reset line"),
                plug_line: model.line(Role::Plug(board)),
                released: 0.0,
            })
            .collect();
        let mut machine = Self {
            model,
            buses,
            lines,
            seats,
            sensors,
            first_behind,
            psu: model.supply.map(|_| Output::new(AMBIENT_CELSIUS)),
            psu_enabled: false,
            fans: vec![Fan::default(); model.air.fans],
            faults: MachineFaults::new(model.boards),
            owed: 0.0,
        };
        machine.sense(0.0);
        machine
    }

    pub(crate) fn buses(&mut self) -> &mut [I2cBus<Part>] {
        &mut self.buses
    }

    pub(crate) fn lines(&mut self) -> &mut Lines {
        &mut self.lines
    }

    fn parts(&mut self) -> impl Iterator<Item = &mut Part> {
        self.buses.iter_mut().flat_map(|bus| bus.parts.iter_mut().map(|mounted| &mut mounted.part))
    }

    fn line_level(&self, role: Role) -> Option<bool> {
        self.lines.level(self.model.line(role)?)
    }

    /// Lets `seconds` pass. `load`: what chip `chip` of board `board` does.
    pub(crate) fn advance(&mut self, seconds: f64, load: impl Fn(usize, usize) -> Load) {
        self.parts().for_each(|part| part.advance(seconds));
        self.obey();
        self.owed += seconds;
        let chips = self.model.boards * self.model.board.chips;
        if chips > MANY_CHIPS && self.owed < COARSE_STEP {
            return;
        }
        let seconds = std::mem::take(&mut self.owed);
        self.blow(seconds);
        self.supply(seconds);
        self.burn(seconds, load);
        self.sense(seconds);
    }

    fn blow(&mut self, seconds: f64) {
        for (number, fan) in self.fans.iter_mut().enumerate() {
            fan.rpm = self.model.air.turn(fan.rpm, fan.drive, self.faults.fan_share(number), seconds);
        }
    }

    fn rpms(&self) -> Vec<f64> {
        self.fans.iter().map(|fan| fan.rpm).collect()
    }

    /// What boards, fans and control board take out of the input.
    pub(crate) fn input_amperes(&self) -> f64 {
        let volts = self.psu.as_ref().map_or(self.model.input_volts, |psu| psu.volts);
        if volts < 1.0 { 0.0 } else { self.direct_watts() / volts }
    }

    /// On a board's rail.
    pub(crate) fn amperes(&self, board: usize) -> f64 {
        let seat = &self.seats[board];
        let extra = if seat.rail_volts > 0.1 { self.faults.boards[board].extra_amperes } else { 0.0 };
        seat.board.amperes + extra
    }

    fn board_watts(&self) -> f64 {
        let of = |(number, seat): (usize, &Seat)| {
            let extra = seat.rail_volts * (self.amperes(number) - seat.board.amperes);
            seat.board.watts + seat.board.loss_watts(&self.model.board) + extra
        };
        self.seats.iter().enumerate().map(of).sum()
    }

    fn direct_watts(&self) -> f64 {
        self.board_watts() + self.model.air.watts(&self.rpms()) + self.model.standing_watts
    }

    /// At the wall; of a machine without a mains supply at its input.
    pub(crate) fn input_watts(&self) -> f64 {
        match (&self.psu, self.model.supply) {
            // Fans and control board have a winding of their own, which is not switched.
            (Some(psu), Some(supply)) => {
                let standing = self.model.air.watts(&self.rpms()) + self.model.standing_watts;
                let output = psu.watts + standing;
                output + supply.loss_watts(output)
            }
            _ => self.direct_watts(),
        }
    }

    /// Of all chips together.
    pub(crate) fn watts(&self) -> f64 {
        self.seats.iter().map(|seat| seat.board.watts).sum()
    }

    fn supply(&mut self, seconds: f64) {
        let stuck = self.faults.psu_stuck_on && self.psu_on();
        let target = if self.psu_enabled || stuck { self.psu_commanded_volts() } else { 0.0 };
        let watts = self.board_watts();
        let (Some(output), Some(supply)) = (&mut self.psu, self.model.supply) else { return };
        let amperes = if output.volts < 1.0 { 0.0 } else { watts / output.volts };
        let trip = output.advance(supply, target, amperes, self.faults.ambient, seconds);
        let Some(trip) = trip else { return };
        for part in self.parts() {
            if let Chip::Apw(chip) = &mut part.chip {
                chip.trip(match trip {
                    Trip::OverTemperature => Cut::OverTemperature,
                    Trip::OverCurrent => Cut::OverCurrent,
                });
            }
        }
    }

    fn burn(&mut self, seconds: f64, load: impl Fn(usize, usize) -> Load) {
        let share = self.model.air.share(&self.rpms());
        let air = Air {
            inlet: self.faults.ambient,
            watts_per_kelvin: self.model.air.watts_per_kelvin(share) / self.model.boards as f64,
            share,
        };
        for (number, seat) in self.seats.iter_mut().enumerate() {
            let target = seat.target_volts;
            match self.model.feed {
                Feed::Regulator | Feed::Trimmed | Feed::Buck => {
                    let slew = if self.model.feed == Feed::Buck { BUCK_SLEW } else { REGULATOR_SLEW };
                    let step = slew * seconds;
                    seat.rail_volts += (target - seat.rail_volts).clamp(-step, step);
                }
                Feed::Supply | Feed::Switched => {
                    seat.rail_volts = approach(seat.rail_volts, target, seconds, SWITCH_SECONDS);
                }
            }
            let held = self.lines.level(seat.reset_line) != Some(true);
            let alive = seat.board.alive(&self.model.board) && !held;
            seat.released = if alive { seat.released + seconds } else { 0.0 };
            let load = |chip| if alive { load(number, chip) } else { Load::default() };
            seat.board.advance(&self.model.board, seat.rail_volts, air, load, seconds);
        }
    }

    /// What the thermometer behind a board's chip gets to see: the board's outlet, the chip, and whether it is lost.
    pub(crate) fn behind_chip(&mut self, board: usize) -> Option<(f64, Option<f64>, bool)> {
        let (chip, _) = self.model.behind_chip?;
        let seat = &self.seats[board];
        let offset = self.faults.temperature_offset;
        let outlet = seat.board.sensors[Spot::Outlet as usize] + offset;
        let die = seat.board.chips[chip].celsius + offset;
        let first = self.first_behind + 2 * board;
        let own = self.sensors[first].see(Some(outlet)).unwrap_or(0.0);
        let die = self.sensors[first + 1].see(Some(die));
        Some((own, die, self.sensors[first].lost))
    }

    /// What parts have to tell, with the board that each is on.
    pub(crate) fn happened(&mut self) -> Vec<(usize, Event)> {
        let mut all = Vec::new();
        for part in self.parts() {
            let board = part.model.board().unwrap_or(0);
            while let Some(event) = part.happened() {
                all.push((board, event));
            }
        }
        all
    }

    /// Faults have changed: what depends on them alone follows at once.
    pub(crate) fn faults_changed(&mut self) {
        self.obey();
        self.sense(0.0);
    }

    /// Chips have voltage and are out of reset.
    pub(crate) fn chips_run(&self, board: usize) -> bool {
        let inputs = self.line_level(Role::InputSupply(board)).unwrap_or(true);
        self.rail_on(board) && inputs && !self.reset_held(board)
    }

    pub(crate) fn rail_on(&self, board: usize) -> bool {
        self.seats[board].board.alive(&self.model.board) && !self.faults.boards[board].unplugged
    }

    pub(crate) fn reset_held(&self, board: usize) -> bool {
        self.lines.level(self.seats[board].reset_line) == Some(false)
    }

    pub(crate) fn psu_on(&self) -> bool {
        self.psu.as_ref().is_some_and(|psu| psu.volts > 1.0)
    }

    fn apw(&self) -> Option<&Apw> {
        self.buses.iter().flat_map(|bus| &bus.parts).find_map(|mounted| match &mounted.part.chip {
            Chip::Apw(chip) => Some(chip),
            _ => None,
        })
    }

    /// Has a supply that is talked to.
    pub(crate) fn has_apw(&self) -> bool {
        self.apw().is_some()
    }

    /// What the supply was told to give.
    pub(crate) fn psu_commanded_volts(&self) -> f64 {
        self.apw().map_or(self.model.input_volts, Apw::commanded_volts)
    }

    /// Why the supply has cut its output, and seconds until its watchdog will.
    pub(crate) fn psu_watch(&self) -> (Option<Cut>, Option<f64>) {
        self.apw().map_or((None, None), |chip| (chip.cut(), chip.watchdog_left()))
    }
}
