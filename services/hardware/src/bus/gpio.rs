//! Lines of a GPIO character device. A line is requested when it is first used, at the level that it is to have, and kept.

use std::{
    cell::{OnceCell, RefCell},
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use gpiocdev::{
    Request,
    line::{EdgeDetection, Value},
};

use super::BusError;

const CONSUMER: &str = "adit-hardware";

/// Edges that the kernel keeps for us: a second of four fast fans' is 400 each.
const EDGES: u32 = 1024;
/// Older edges say nothing of the present speed.
const RECENT: Duration = Duration::from_millis(1500);

#[derive(Debug)]
pub(super) struct Gpio {
    /// A device node, or a label.
    chip: String,
    path: OnceCell<PathBuf>,
    outputs: RefCell<BTreeMap<u32, Request>>,
}

impl Gpio {
    pub(super) fn new(chip: String) -> Self {
        Self { chip, path: OnceCell::new(), outputs: RefCell::default() }
    }

    pub(super) fn open(&self) -> Result<(), BusError> {
        self.path().map(drop)
    }

    fn path(&self) -> Result<&Path, BusError> {
        if let Some(path) = self.path.get() {
            return Ok(path);
        }
        let found = self.find().map_err(|error| BusError::Chip { chip: self.chip.clone(), error })?;
        Ok(self.path.get_or_init(|| found))
    }

    fn find(&self) -> Result<PathBuf, String> {
        if self.chip.starts_with('/') {
            return gpiocdev::chip::is_chip(&self.chip).map_err(|error| error.to_string());
        }
        let chips = gpiocdev::chip::chips().map_err(|error| error.to_string())?;
        let label = |path: &PathBuf| {
            let chip = gpiocdev::Chip::from_path(path).ok()?;
            Some(chip.info().ok()?.label)
        };
        let mut labels = Vec::new();
        for path in chips {
            match label(&path) {
                Some(found) if found == self.chip => return Ok(path),
                found => labels.extend(found),
            }
        }
        Err(format!("no chip has this label; there is {}", labels.join(", ")))
    }

    pub(super) fn set(&self, line: u32, high: bool) -> Result<(), BusError> {
        let value = if high { Value::Active } else { Value::Inactive };
        let mut outputs = self.outputs.borrow_mut();
        let failed = |error| self.failed(line, error);
        let got = match outputs.get(&line) {
            Some(output) => output.set_lone_value(value).and_then(|()| output.lone_value()),
            None => {
                let output = Request::builder()
                    .on_chip(self.path()?)
                    .with_consumer(CONSUMER)
                    .with_line(line)
                    .as_output(value)
                    .request()
                    .map_err(failed)?;
                outputs.entry(line).or_insert(output).lone_value()
            }
        };
        if got.map_err(failed)? == value {
            return Ok(());
        }
        Err(BusError::Chip { chip: self.chip.clone(), error: format!("line {line} does not follow") })
    }

    pub(super) fn get(&self, line: u32) -> Result<bool, BusError> {
        let value = match self.outputs.borrow().get(&line) {
            Some(output) => output.lone_value(),
            None => Request::builder()
                .on_chip(self.path()?)
                .with_consumer(CONSUMER)
                .with_line(line)
                .as_input()
                .request()
                .and_then(|input| input.lone_value()),
        };
        value.map(|value| value == Value::Active).map_err(|error| self.failed(line, error))
    }

    pub(super) fn tachometer(&self, line: u32) -> Result<Tachometer, BusError> {
        let input = Request::builder()
            .on_chip(self.path()?)
            .with_consumer(CONSUMER)
            .with_kernel_event_buffer_size(EDGES)
            .with_line(line)
            .with_edge_detection(EdgeDetection::RisingEdge)
            .request()
            .map_err(|error| self.failed(line, error))?;
        Ok(Tachometer { chip: self.chip.clone(), line, input, edges: Vec::new() })
    }

    fn failed(&self, line: u32, error: gpiocdev::Error) -> BusError {
        BusError::Line { chip: self.chip.clone(), line, error }
    }
}

/// A fan's pulses, by the kernel's time stamps.
#[derive(Debug)]
pub(crate) struct Tachometer {
    chip: String,
    line: u32,
    input: Request,
    /// Monotonic nanoseconds.
    edges: Vec<u64>,
}

impl Tachometer {
    /// Pulses a second over the last one and a half; 0 when there were fewer than two.
    pub(crate) fn hertz(&mut self) -> Result<f64, BusError> {
        let mut buffer = self.input.new_edge_event_buffer(64);
        let failed = |error| BusError::Line { chip: self.chip.clone(), line: self.line, error };
        while buffer.has_event().map_err(failed)? {
            self.edges.push(buffer.read_event().map_err(failed)?.timestamp_ns);
        }
        drop(buffer);
        let now = adit_sys::clock::monotonic_us() * 1000;
        let since = now.saturating_sub(RECENT.as_nanos() as u64);
        self.edges.retain(|at| *at >= since);
        Ok(hertz(&self.edges))
    }
}

fn hertz(edges: &[u64]) -> f64 {
    let (Some(first), Some(last)) = (edges.first(), edges.last()) else { return 0.0 };
    if last <= first {
        return 0.0;
    }
    (edges.len() - 1) as f64 * 1e9 / (last - first) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_is_edges_between_the_first_and_the_last() {
        assert_eq!(hertz(&[]), 0.0);
        assert_eq!(hertz(&[5]), 0.0);
        assert_eq!(hertz(&[5, 5]), 0.0);
        let edges: Vec<u64> = (0..201).map(|edge| 1_000_000_000 + edge * 5_000_000).collect();
        assert_eq!(hertz(&edges), 200.0);
    }

    #[test]
    fn a_chip_that_is_not_there_is_named() {
        let error = Gpio::new("/dev/gpiochip99".into()).set(1, true).unwrap_err();
        assert!(error.to_string().starts_with("GPIO /dev/gpiochip99: "), "{error}");
        assert!(error.is_silence());
        let error = Gpio::new("no-such-chip".into()).get(1).unwrap_err().to_string();
        assert!(error.starts_with("GPIO no-such-chip: no chip has this label"), "{error}");
    }
}
