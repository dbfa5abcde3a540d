//! How each kind of part shows what is wrong with it. Values in, findings out; no stages, no times of reaction.

mod fan;
mod rail;
mod sign;
mod thermometer;

pub(super) use self::{
    fan::{Crew, Fan},
    rail::{Ammeter, Voltmeter},
    sign::{Answer, Identify, Life, Report},
    thermometer::Thermometer,
};
