//! Frames of rail controllers and power supplies, which come and go one byte a message:
//! `55 AA | length | command | data | sum`, the length being of everything behind the preamble with the sum, which is of
//! sixteen bits over everything between (facts: published captures of dsPIC boards and APW supplies).

use std::collections::VecDeque;

const PREAMBLE: [u8; 2] = [0x55, 0xAA];
/// Length, command, sum.
const LEAST: u8 = 4;
/// No known frame is longer.
const MOST: u8 = 40;

/// Order of the sum's two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    HighFirst,
    LowFirst,
}

impl Order {
    pub(super) fn sum(self, bytes: &[u8]) -> [u8; 2] {
        let sum = bytes.iter().fold(0u16, |sum, byte| sum.wrapping_add(u16::from(*byte)));
        if self == Self::HighFirst { sum.to_be_bytes() } else { sum.to_le_bytes() }
    }

    /// Length, command, data and sum.
    pub(super) fn body(self, command: u8, data: &[u8]) -> Vec<u8> {
        let mut body = vec![LEAST + data.len() as u8, command];
        body.extend(data);
        body.extend(self.sum(&body));
        body
    }
}

/// What came of a byte.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    More,
    Request {
        command: u8,
        data: Vec<u8>,
    },
    /// A whole frame whose sum is wrong, or a length that cannot be.
    Broken,
}

/// Collects single bytes into requests.
#[derive(Debug)]
pub(super) struct Collector {
    order: Order,
    bytes: Vec<u8>,
}

impl Collector {
    pub(super) fn new(order: Order) -> Self {
        Self { order, bytes: Vec::new() }
    }

    pub(super) fn reset(&mut self) {
        self.bytes.clear();
    }

    /// No frame has begun.
    pub(super) fn idle(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn push(&mut self, byte: u8) -> Step {
        self.bytes.push(byte);
        match self.bytes[..] {
            [first] if first != PREAMBLE[0] => self.bytes.clear(),
            [_, second] if second != PREAMBLE[1] => {
                self.bytes.clear();
                if second == PREAMBLE[0] {
                    self.bytes.push(second);
                }
            }
            [_, _, length] if !(LEAST..=MOST).contains(&length) => {
                self.bytes.clear();
                return Step::Broken;
            }
            [_, _, length, ..] if self.bytes.len() == 2 + usize::from(length) => {
                let frame = std::mem::take(&mut self.bytes);
                let (body, sum) = frame[2..].split_at(usize::from(length) - 2);
                if self.order.sum(body) != sum {
                    return Step::Broken;
                }
                return Step::Request { command: body[1], data: body[2..].to_vec() };
            }
            _ => {}
        }
        Step::More
    }
}

/// Bytes that wait to be read one at a time.
#[derive(Debug, Default)]
pub(super) struct Answer {
    bytes: VecDeque<u8>,
    /// Seconds until they are there.
    thinking: f64,
}

impl Answer {
    pub(super) fn set(&mut self, bytes: Vec<u8>, thinking: f64) {
        *self = Self { bytes: bytes.into(), thinking };
    }

    pub(super) fn advance(&mut self, seconds: f64) {
        self.thinking = (self.thinking - seconds).max(0.0);
    }

    pub(super) fn next(&mut self) -> Option<u8> {
        if self.thinking > 0.0 { None } else { self.bytes.pop_front() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(order: Order, bytes: &[u8]) -> Vec<Step> {
        let mut collector = Collector::new(order);
        bytes.iter().map(|byte| collector.push(*byte)).filter(|step| *step != Step::More).collect()
    }

    #[test]
    fn published_frames_are_understood_and_made() {
        let request = |command, data: &[u8]| Step::Request { command, data: data.to_vec() };
        assert_eq!(collect(Order::HighFirst, &[0x55, 0xAA, 4, 0x17, 0, 0x1B]), [request(0x17, &[])]);
        assert_eq!(collect(Order::HighFirst, &[0x55, 0xAA, 5, 0x15, 1, 0, 0x1B]), [request(0x15, &[1])]);
        assert_eq!(
            collect(Order::LowFirst, &[0x55, 0xAA, 6, 0x83, 0x0D, 0, 0x96, 0]),
            [request(0x83, &[0x0D, 0])]
        );
        assert_eq!(Order::HighFirst.body(0x17, &[0x89]), [5, 0x17, 0x89, 0, 0xA5]);
        assert_eq!(Order::LowFirst.body(0x01, &[6, 0]), [6, 1, 6, 0, 0x0D, 0]);
    }

    #[test]
    fn noise_before_a_frame_is_passed_over_and_a_wrong_sum_is_no_request() {
        let noisy = [0, 0x55, 0x55, 0xAA, 4, 0x17, 0, 0x1B];
        assert_eq!(collect(Order::HighFirst, &noisy).len(), 1);
        assert_eq!(collect(Order::HighFirst, &[0x55, 0xAA, 4, 0x17, 0, 0x1C]), [Step::Broken]);
        assert_eq!(collect(Order::HighFirst, &[0x55, 0xAA, 3]), [Step::Broken]);
        assert_eq!(
            collect(Order::LowFirst, &[0x55, 0xAA, 5, 0x15, 1, 0, 0x1B]),
            [Step::Broken],
            "the other order"
        );
    }
}
