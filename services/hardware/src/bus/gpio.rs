//! Lines of a GPIO character device. A line is requested when it is first used, at the level that it is to have, and kept: an output outlives this process with adit-init, and the next one takes it as it is.

use std::{
    cell::{OnceCell, RefCell},
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    fmt::Display,
    fs::File,
    os::fd::AsFd,
    path::{Path, PathBuf},
    time::Duration,
};

use gpiocdev::{
    Request,
    line::{EdgeDetection, Value},
};
use gpiocdev_uapi::v2::{LineValues, get_line_values, set_line_values};

use super::{
    BusError,
    kept::{self, CONSUMER, Lines},
};

/// Edges that the kernel keeps for us: a second of four fast fans' is 400 each.
const EDGES: u32 = 1024;
/// Older edges say nothing of the present speed.
const RECENT: Duration = Duration::from_millis(1500);

#[derive(Debug)]
pub(super) struct Gpio {
    /// A device node, or a label.
    chip: String,
    path: OnceCell<PathBuf>,
    kept: Lines,
    /// Lines that this machine drives, sooner or later.
    wanted: RefCell<BTreeSet<u32>>,
    outputs: RefCell<BTreeMap<u32, Output>>,
}

/// A request of one line.
#[derive(Debug)]
struct Output {
    line: File,
    /// With adit-init.
    left: bool,
}

impl Output {
    fn set(&self, high: bool) -> Result<(), gpiocdev_uapi::Error> {
        set_line_values(&self.line, &LineValues::from_slice(&[high]))
    }

    fn is_high(&self) -> Result<bool, gpiocdev_uapi::Error> {
        let mut values = LineValues::from_slice(&[false]);
        get_line_values(&self.line, &mut values)?;
        Ok(values.get(0) == Some(true))
    }
}

impl Gpio {
    pub(super) fn new(chip: String, kept: Lines) -> Self {
        Self { chip, path: OnceCell::new(), kept, wanted: RefCell::default(), outputs: RefCell::default() }
    }

    /// The line is an output of this machine.
    pub(super) fn want(&self, line: u32) {
        self.wanted.borrow_mut().insert(line);
    }

    /// Under which its outputs are kept.
    pub(super) fn names(&self) -> Result<Vec<String>, BusError> {
        let path = self.path()?;
        Ok(self.wanted.borrow().iter().map(|line| kept::name(path, *line)).collect())
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
        let path = self.path()?;
        let mut outputs = self.outputs.borrow_mut();
        let failed = |error| self.failed(line, error);
        let output = match outputs.entry(line) {
            Entry::Occupied(output) => output.into_mut(),
            Entry::Vacant(place) => match self.kept.take(path, line) {
                Some(kept) => place.insert(Output { line: kept, left: true }),
                None => place.insert(Output { line: self.request(path, line, high)?, left: false }),
            },
        };
        output.set(high).map_err(failed)?;
        output.left = output.left || kept::leave(&kept::name(path, line), &output.line);
        if output.is_high().map_err(failed)? == high {
            return Ok(());
        }
        Err(BusError::Chip { chip: self.chip.clone(), error: format!("line {line} does not follow") })
    }

    fn request(&self, path: &Path, line: u32, high: bool) -> Result<File, BusError> {
        let request = Request::builder()
            .on_chip(path)
            .with_consumer(CONSUMER)
            .with_line(line)
            .as_output(if high { Value::Active } else { Value::Inactive })
            .request()
            .map_err(|error| self.failed(line, error))?;
        let copy = request.as_fd().try_clone_to_owned();
        Ok(copy.map_err(|error| self.failed(line, error))?.into())
    }

    /// Every output is with adit-init, or that is tried in vain.
    pub(super) fn leave(&self) -> bool {
        let Ok(path) = self.path() else { return true };
        for (line, output) in self.outputs.borrow_mut().iter_mut() {
            output.left = output.left || kept::leave(&kept::name(path, *line), &output.line);
        }
        self.outputs.borrow().values().all(|output| output.left)
    }

    pub(super) fn get(&self, line: u32) -> Result<bool, BusError> {
        if let Some(output) = self.outputs.borrow().get(&line) {
            return output.is_high().map_err(|error| self.failed(line, error));
        }
        let value = Request::builder()
            .on_chip(self.path()?)
            .with_consumer(CONSUMER)
            .with_line(line)
            .as_input()
            .request()
            .and_then(|input| input.lone_value());
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

    fn failed(&self, line: u32, error: impl Display) -> BusError {
        BusError::Line { chip: self.chip.clone(), line, error: error.to_string() }
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
        let failed = |error: gpiocdev::Error| BusError::Line {
            chip: self.chip.clone(),
            line: self.line,
            error: error.to_string(),
        };
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
        let error = Gpio::new("/dev/gpiochip99".into(), Lines::default()).set(1, true).unwrap_err();
        assert!(error.to_string().starts_with("GPIO /dev/gpiochip99: "), "{error}");
        assert!(error.is_silence());
        let error = Gpio::new("no-such-chip".into(), Lines::default()).get(1).unwrap_err().to_string();
        assert!(error.starts_with("GPIO no-such-chip: no chip has this label"), "{error}");
    }
}
