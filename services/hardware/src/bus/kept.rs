//! Lines that adit-init holds open between two runs of this program, so that none is let go while nobody drives it.
//!
//! In: descriptors with names, as an earlier run left them. Out: those of them that are what their names say. Each is one output line, named after its chip and its number there: `gpiochip0-3`.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::Path,
    rc::Rc,
};

use adit_service::fd_store;
use gpiocdev::line::Direction;

/// Who a line says that it is used by.
pub(super) const CONSUMER: &str = "adit-hardware";

/// What adit-init has passed besides doors.
#[derive(Debug, Default)]
pub struct Kept(BTreeMap<String, OwnedFd>);

impl Kept {
    pub fn new(passed: impl IntoIterator<Item = (String, OwnedFd)>) -> Self {
        Self(passed.into_iter().collect())
    }

    /// One that is no line.
    pub fn take(&mut self, name: &str) -> Option<OwnedFd> {
        self.0.remove(name)
    }
}

/// A handle to the lines that nobody has taken yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines(Rc<RefCell<Kept>>);

/// Chip and number of a line. Names of chips (`gpiochip0`) are given anew at each boot, as are descriptors.
pub(super) fn name(chip: &Path, line: u32) -> String {
    let chip = chip.file_name().unwrap_or_default().to_string_lossy();
    format!("{chip}-{line}")
}

impl Lines {
    pub(super) fn fill(&self, kept: Kept) {
        self.0.borrow_mut().0.extend(kept.0);
    }

    /// The open line, if it was kept. One that is not what its name says is closed here and at adit-init's, so that the line can be requested.
    pub(super) fn take(&self, chip: &Path, line: u32) -> Option<File> {
        let name = name(chip, line);
        let descriptor = self.0.borrow_mut().0.remove(&name)?;
        match is_output(&descriptor, chip, line) {
            Ok(()) => Some(File::from(descriptor)),
            Err(reason) => {
                let_go(&name, descriptor, &reason);
                None
            }
        }
    }

    /// Closes whatever does not bear one of these names.
    pub(super) fn let_go_of_all_but(&self, wanted: &BTreeSet<String>) {
        let kept = std::mem::take(&mut self.0.borrow_mut().0);
        let (ours, others) = kept.into_iter().partition(|(name, _)| wanted.contains(name));
        self.0.borrow_mut().0 = ours;
        let others: BTreeMap<_, _> = others;
        for (name, descriptor) in others {
            let_go(&name, descriptor, "this machine has no such output");
        }
    }
}

fn let_go(name: &str, descriptor: OwnedFd, reason: &str) {
    drop(descriptor);
    tracing::warn!(target: "adit_hardware", line = name, reason, "a kept line is let go");
    if let Err(error) = fd_store::take_back(name) {
        tracing::warn!(target: "adit_hardware", line = name, %error, "adit-init may still hold the line");
    }
}

/// That the descriptor is the line, and that this program has made an output of it. Errors say what it is instead.
fn is_output(descriptor: &OwnedFd, chip: &Path, line: u32) -> Result<(), String> {
    let number = descriptor.as_fd().as_raw_fd();
    let told =
        fs::read_to_string(format!("/proc/self/fdinfo/{number}")).map_err(|error| error.to_string())?;
    let lines = Request::read(&told);
    let wanted = Request { chip: &chip.file_name().unwrap_or_default().to_string_lossy(), lines: vec![line] };
    if lines.as_ref() != Some(&wanted) {
        return Err(match lines {
            Some(Request { chip, lines }) => format!("it is of {chip}, lines {lines:?}"),
            None => "it is no GPIO line".into(),
        });
    }
    let chip = gpiocdev::Chip::from_path(chip).map_err(|error| error.to_string())?;
    let info = chip.line_info(line).map_err(|error| error.to_string())?;
    let is_ours = info.used && info.consumer == CONSUMER && info.direction == Direction::Output;
    // Levels are meant as they are on the wire, driven both ways.
    if !is_ours || info.active_low || info.drive.is_some_and(|drive| drive != gpiocdev::line::Drive::PushPull)
    {
        return Err(format!("it is {info:?}"));
    }
    Ok(())
}

/// What the kernel says of a descriptor (`linereq_show_fdinfo` in drivers/gpio/gpiolib-cdev.c): a request of lines.
#[derive(Debug, PartialEq, Eq)]
struct Request<'a> {
    chip: &'a str,
    lines: Vec<u32>,
}

impl<'a> Request<'a> {
    /// `None`: it is of another kind, or of a kernel that does not say.
    fn read(fdinfo: &'a str) -> Option<Self> {
        let values = |key: &'static str| {
            fdinfo.lines().filter_map(move |line| Some(line.strip_prefix(key)?.strip_prefix(':')?.trim()))
        };
        let chip = values("gpio-chip").next()?;
        let lines = values("gpio-line").map(str::parse).collect::<Result<_, _>>().ok()?;
        Some(Self { chip, lines })
    }
}

/// Leaves a copy of the line with adit-init: true when that is done, or cannot be.
pub(super) fn leave(name: &str, line: &File) -> bool {
    match fd_store::leave(name, line.as_fd()) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
        Err(error) => {
            tracing::warn!(target: "adit_hardware", line = name, %error, "adit-init cannot be given the line to keep");
            true
        }
        Ok(()) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_own_words_tell_which_line_a_descriptor_is() {
        let fdinfo =
            "pos:\t0\nflags:\t02000000\nmnt_id:\t15\nino:\t1055\ngpio-chip:\tgpiochip1\ngpio-line:\t17\n";
        assert_eq!(Request::read(fdinfo), Some(Request { chip: "gpiochip1", lines: vec![17] }));
        let two = format!("{fdinfo}gpio-line:\t18\n");
        assert_eq!(Request::read(&two).unwrap().lines, [17, 18]);
        assert_eq!(Request::read("pos:\t0\nflags:\t02000000\nmnt_id:\t15\nino:\t1055\n"), None);
        assert_eq!(Request::read("gpio-chip:\tgpiochip1\ngpio-line:\tx\n"), None);
    }

    #[test]
    fn what_is_no_line_is_not_taken_for_one_whatever_its_name() {
        let lines = Lines::default();
        let chip = Path::new("/dev/gpiochip0");
        let (file, other) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        lines.fill(Kept::new([("gpiochip0-3".into(), file.into()), ("gpiochip0-30".into(), other.into())]));
        assert!(lines.take(chip, 3).is_none());
        assert!(lines.take(chip, 4).is_none());
        let left: Vec<String> = lines.0.borrow().0.keys().cloned().collect();
        assert_eq!(left, ["gpiochip0-30"]);
        lines.let_go_of_all_but(&["gpiochip0-31".into()].into());
        assert!(lines.0.borrow().0.is_empty());
    }
}
