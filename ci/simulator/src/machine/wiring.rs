//! Between the parts and the physics: what hosts asked of the parts, and what the parts measure.

use super::model::{Feed, PartModel, Role, Spot};
use super::part::Chip;
use super::{DIODE_SETTLES_SECONDS, Machine};
use crate::device::emc2305::FANS;

impl Machine {
    /// What hosts asked of the parts.
    pub(super) fn obey(&mut self) {
        let leave = self.line_level(Role::SupplyEnable).is_none_or(|level| !level);
        let (refuses, deaf, pics_deaf) =
            (self.faults.psu_refuses, self.faults.psu_deaf, self.faults.rail_controllers_deaf);
        let blank: Vec<bool> = self.faults.boards.iter().map(|board| board.controller_blank).collect();
        let enables: Vec<bool> = (0..self.seats.len())
            .map(|board| {
                self.line_level(Role::RegulatorEnable(board)).is_none_or(|level| !level)
                    && self.line_level(Role::RegulatorOn(board)).unwrap_or(true)
            })
            .collect();
        let (feed, input) = (self.model.feed, self.model.input_volts);
        let psu_volts = self.psu.as_ref().map_or(0.0, |psu| psu.volts);
        let mut wanted: Vec<(f64, f64)> = vec![(0.0, 0.0); self.seats.len()];
        let mut fans = std::mem::take(&mut self.fans);
        let mut enabled = feed == Feed::Buck && leave;
        for part in self.parts() {
            match (&mut part.chip, part.model) {
                (Chip::Emc2101(chip), PartModel::Emc2101 { fan, .. }) => fans[fan].drive = chip.drive(),
                (Chip::Emc2305(chip), PartModel::Emc2305 { fans: count }) => {
                    (0..count).for_each(|fan| fans[fan].drive = chip.drive(fan));
                }
                (Chip::Tps546(chip), PartModel::Tps546 { board }) => {
                    wanted[board] = (chip.commanded_millivolts() / 1e3, chip.target_millivolts() / 1e3);
                }
                (Chip::Ds4432u(chip), PartModel::Ds4432u { board, .. }) => {
                    let volts = chip.regulator_volts();
                    wanted[board] = (volts, if enables[board] { volts } else { 0.0 });
                }
                (Chip::Apw(chip), _) => {
                    (chip.refuses, chip.deaf_watchdog) = (refuses, deaf);
                    chip.enable(leave);
                    enabled = chip.target_volts() > 0.0;
                    if feed == Feed::Supply {
                        wanted.fill((chip.commanded_volts(), psu_volts));
                    }
                }
                (Chip::DsPic(chip), PartModel::DsPic { board }) => {
                    (chip.deaf, chip.blank) = (pics_deaf, blank[board]);
                    wanted[board] = (psu_volts, if chip.enabled() { psu_volts } else { 0.0 });
                }
                (Chip::Pic16(chip), PartModel::Pic16 { board }) => {
                    chip.deaf = pics_deaf;
                    let target = if psu_volts > 0.8 * input { chip.target_volts() } else { 0.0 };
                    wanted[board] = (chip.commanded_volts(), target);
                }
                _ => {}
            }
        }
        self.fans = fans;
        self.psu_enabled = enabled;
        for (board, (seat, (commanded, target))) in self.seats.iter_mut().zip(wanted).enumerate() {
            seat.commanded_volts = commanded;
            let faults = &self.faults.boards[board];
            let target = if faults.rail_stuck_on { commanded } else { target };
            let cut = faults.rail_stuck_off || faults.unplugged;
            let wanted = if cut { 0.0 } else { (target - faults.rail_drop).max(0.0) };
            seat.target_volts = if faults.rail_stuck_on { wanted.max(seat.rail_volts) } else { wanted };
        }
    }

    /// What the parts measure.
    pub(super) fn sense(&mut self, seconds: f64) {
        let input_amperes = self.input_amperes();
        let amperes: Vec<f64> = (0..self.seats.len()).map(|board| self.amperes(board)).collect();
        let psu_volts = self.psu.as_ref().map_or(self.model.input_volts, |psu| psu.volts);
        let offset = self.faults.temperature_offset;
        for bus in &mut self.buses {
            for mounted in &mut bus.parts {
                let part = &mut mounted.part;
                let board = part.model.board();
                let unplugged = board.is_some_and(|board| self.faults.boards[board].unplugged);
                let first = part.sensor;
                part.gone = unplugged
                    || self.sensors.get(first).is_some_and(|sensor| sensor.lost) && part.is_sensor();
                let seat = &self.seats[board.unwrap_or(0)];
                let spot = |spot: Spot| seat.board.sensors[spot as usize] + offset;
                let chip_celsius = seat.board.chips.first().map_or(0.0, |chip| chip.celsius) + offset;
                let diode = (seat.released >= DIODE_SETTLES_SECONDS).then_some(chip_celsius);
                let rpm = |fan: usize| if self.faults.tach_silent { 0.0 } else { self.fans[fan].rpm };
                let sensors = &mut self.sensors;
                match (&mut part.chip, part.model) {
                    (Chip::Emc2101(chip), PartModel::Emc2101 { fan, diode: connected, .. }) => {
                        let own = sensors[first].see(Some(spot(Spot::Middle))).unwrap_or(0.0);
                        let chips = sensors[first + 1].see(diode.filter(|_| connected));
                        chip.sense(own, chips, rpm(fan));
                    }
                    (Chip::Emc2305(chip), PartModel::Emc2305 { fans }) => {
                        (0..FANS).for_each(|fan| chip.sense(fan, (fan < fans).then(|| rpm(fan)), seconds));
                    }
                    (Chip::Tps546(chip), _) => {
                        let own = sensors[first].see(Some(seat.board.regulator + offset)).unwrap_or(0.0);
                        chip.sense(seat.rail_volts * 1e3, amperes[board.unwrap_or(0)], own);
                    }
                    (Chip::Ina260(chip), _) => chip.sense(psu_volts, input_amperes),
                    (Chip::Lm75(chip), PartModel::Lm75 { spot: place, .. }) => {
                        chip.sense(sensors[first].see(Some(spot(place))).unwrap_or(0.0));
                    }
                    (Chip::Tmp451(chip), PartModel::Tmp451 { spot: place, .. }) => {
                        let own = sensors[first].see(Some(spot(place))).unwrap_or(0.0);
                        chip.sense(own, sensors[first + 1].see(diode));
                    }
                    (Chip::Apw(chip), _) => chip.sense(psu_volts),
                    (Chip::DsPic(chip), _) => {
                        let [inlet, middle, outlet] = seat.board.sensors.map(|celsius| celsius + offset);
                        let truths = [inlet, middle, middle, outlet];
                        let celsius = std::array::from_fn(|number| {
                            let sensor = &mut sensors[first + number];
                            sensor.see(Some(truths[number])).filter(|_| !sensor.lost)
                        });
                        chip.sense(psu_volts, seat.rail_volts, celsius);
                    }
                    _ => {}
                }
            }
        }
        for (number, seat) in self.seats.iter().enumerate() {
            if let Some(line) = seat.plug_line {
                self.lines.drive(line, Some(!self.faults.boards[number].unplugged));
            }
        }
        for (number, line) in self.model.lines().enumerate() {
            if line.role == Role::Button {
                self.lines.drive(number, Some(!self.faults.button_pressed));
            }
        }
    }
}
