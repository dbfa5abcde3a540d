//! A mains supply: how its output follows what was asked, what it loses, when it gives up.

use super::approach;

/// A supply's parameters.
#[derive(Debug)]
pub(crate) struct Supply {
    pub(crate) rated_watts: f64,
    /// What it takes whatever it gives; then shares of the output and of its square over the rating.
    pub(crate) standing_watts: f64,
    pub(crate) linear_loss: f64,
    pub(crate) square_loss: f64,
    /// Output resistance, cables and bars included.
    pub(crate) ohms: f64,
    /// V/s: the soft start, and every later change.
    pub(crate) slew: f64,
    /// Its inside above ambient, per watt lost; it has fans of its own.
    pub(crate) kelvin_per_watt: f64,
    /// Inside temperature at which it switches itself off, and output power (over its rating) likewise.
    pub(crate) trip_celsius: f64,
    pub(crate) trip_load: f64,
}

/// Seconds in which its inside follows.
const INSIDE_SECONDS: f64 = 60.0;

impl Supply {
    pub(crate) fn loss_watts(&self, output: f64) -> f64 {
        self.standing_watts
            + self.linear_loss * output
            + self.square_loss * output * output / self.rated_watts
    }
}

/// Why a supply switched itself off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trip {
    OverTemperature,
    OverCurrent,
}

/// A supply at work.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    /// At its terminals.
    pub(crate) volts: f64,
    /// Before the output resistance.
    pub(crate) unloaded_volts: f64,
    pub(crate) watts: f64,
    pub(crate) input_watts: f64,
    pub(crate) celsius: f64,
}

impl Output {
    pub(crate) fn new(ambient: f64) -> Self {
        Self { volts: 0.0, unloaded_volts: 0.0, watts: 0.0, input_watts: 0.0, celsius: ambient }
    }

    /// Lets `seconds` pass with a load that takes `amperes`. Returns why it must switch off, if it must.
    pub(crate) fn advance(
        &mut self,
        supply: &Supply,
        target_volts: f64,
        amperes: f64,
        ambient: f64,
        seconds: f64,
    ) -> Option<Trip> {
        let step = supply.slew * seconds;
        // Down it falls as the load empties its capacitors: faster than it rises.
        self.unloaded_volts += (target_volts - self.unloaded_volts).clamp(-10.0 * step, step);
        self.volts = (self.unloaded_volts - amperes * supply.ohms).max(0.0);
        self.watts = self.volts * amperes;
        self.input_watts = self.watts + supply.loss_watts(self.watts);
        let inside = ambient + supply.kelvin_per_watt * supply.loss_watts(self.watts);
        self.celsius = approach(self.celsius, inside, seconds, INSIDE_SECONDS);
        if self.watts > supply.trip_load * supply.rated_watts {
            Some(Trip::OverCurrent)
        } else if self.celsius > supply.trip_celsius {
            Some(Trip::OverTemperature)
        } else {
            None
        }
    }
}

/// Antminers S19 to S21. About 94 % near its rating.
pub(crate) const APW12: Supply = Supply {
    rated_watts: 3600.0,
    standing_watts: 22.0,
    linear_loss: 0.028,
    square_loss: 0.032,
    ohms: 0.000_25,
    slew: 6.0,
    kelvin_per_watt: 0.16,
    trip_celsius: 95.0,
    trip_load: 1.15,
};

/// Antminer S9: 12 V only, about 93 %.
pub(crate) const APW3: Supply = Supply {
    rated_watts: 1600.0,
    standing_watts: 12.0,
    linear_loss: 0.035,
    square_loss: 0.035,
    ohms: 0.000_5,
    slew: 60.0,
    kelvin_per_watt: 0.25,
    trip_celsius: 95.0,
    trip_load: 1.2,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn efficiency_is_best_in_the_middle_and_near_the_published_one_at_stock() {
        let of = |supply: &Supply, watts: f64| watts / (watts + supply.loss_watts(watts));
        let at = |watts| of(&APW12, watts);
        assert!((0.93..0.955).contains(&at(2900.0)), "{}", at(2900.0));
        assert!((0.92..0.945).contains(&of(&APW3, 1250.0)), "{}", of(&APW3, 1250.0));
        assert!(at(100.0) < at(900.0) && at(900.0) > at(3600.0));
    }

    #[test]
    fn the_soft_start_takes_seconds_and_a_load_pulls_the_output_down() {
        let mut output = Output::new(25.0);
        output.advance(&APW12, 13.5, 0.0, 25.0, 1.0);
        assert_eq!(output.volts, 6.0);
        for _ in 0..20 {
            output.advance(&APW12, 13.5, 200.0, 25.0, 0.1);
        }
        assert!((output.volts - (13.5 - 0.05)).abs() < 1e-9, "{}", output.volts);
    }

    #[test]
    fn too_much_load_and_too_hot_a_room_end_it() {
        let mut output = Output::new(25.0);
        output.advance(&APW12, 13.5, 0.0, 25.0, 10.0);
        assert_eq!(output.advance(&APW12, 13.5, 320.0, 25.0, 0.1), Some(Trip::OverCurrent));
        let mut output = Output::new(25.0);
        output.advance(&APW12, 13.5, 0.0, 80.0, 10.0);
        let tripped = (0..600).find_map(|_| output.advance(&APW12, 13.5, 220.0, 80.0, 1.0));
        assert_eq!(tripped, Some(Trip::OverTemperature));
    }
}
