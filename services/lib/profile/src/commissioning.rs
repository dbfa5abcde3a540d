//! What a person has found out about this one unit: `/data/commissioning.toml`.
//!
//! Only keys that the profile calls disputed can be confirmed; a confirmed value takes the place of the profile's and must pass the same checks. Contract: `docs/machines.md`.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    os::{fd::OwnedFd, unix::fs::FileExt},
    path::{Path, PathBuf},
};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use serde::Deserialize;
use toml::{Table, Value};

use super::{Profile, ProfileError, Sensor, SensorPart, place};

/// A file of a few lines; of what is left, more is not read.
const LONGEST_LEFT: u64 = 1 << 20;

#[derive(Debug, Clone, Default)]
pub struct Commissioning {
    path: PathBuf,
    text: String,
    file: File,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Name of the profile that this was found out for.
    machine: String,
    /// How the unit loses its heat.
    #[serde(default)]
    cooling: Cooling,
    #[serde(default)]
    confirmed: BTreeMap<String, Value>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Cooling {
    #[default]
    Air,
    Immersion,
}

impl Commissioning {
    /// Where a unit keeps it.
    pub const PATH: &str = "/data/commissioning.toml";
    /// Under which name the driver leaves what it goes by with adit-init: the safe state must neither need a disk nor go by what was written since.
    pub const LEFT: &str = "commissioning";

    /// Reads the file. One that is not there confirms nothing.
    pub fn load(path: &Path) -> Result<Self, ProfileError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(ProfileError::Read { path: path.to_owned(), error }),
        };
        Self::parse(path, text)
    }

    /// What the driver has left.
    pub fn left(memory: OwnedFd) -> Result<Self, ProfileError> {
        let path = Path::new(Self::PATH);
        let read = |error| ProfileError::Read { path: path.to_owned(), error };
        let memory = std::fs::File::from(memory);
        let bytes = memory.metadata().map_err(read)?.len().min(LONGEST_LEFT);
        let mut text = vec![0; bytes as usize];
        // From its start, wherever others have read to: they share the place.
        memory.read_exact_at(&mut text, 0).map_err(read)?;
        match String::from_utf8(text) {
            Ok(text) if text.is_empty() => Ok(Self::default()),
            Ok(text) => Self::parse(path, text),
            Err(error) => Err(read(io::Error::new(io::ErrorKind::InvalidData, error))),
        }
    }

    /// A copy in memory that nobody can change, for [`Commissioning::left`].
    pub fn leave(&self) -> io::Result<OwnedFd> {
        let memory = memfd_create(Self::LEFT, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        let mut memory = std::fs::File::from(memory);
        memory.write_all(self.text.as_bytes())?;
        fcntl_add_seals(&memory, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        Ok(memory.into())
    }

    fn parse(path: &Path, text: String) -> Result<Self, ProfileError> {
        let file = toml::from_str(&text).map_err(|error| ProfileError::Wrong {
            path: path.to_owned(),
            line: place::line_at(&text, error.span().map_or(0, |span| span.start)),
            what: error.message().replace('\n', " "),
        })?;
        Ok(Self { path: path.to_owned(), text, file })
    }

    /// The profile of this unit. Errors name the line of this file. A file for another machine confirms nothing.
    pub(super) fn apply(&self, profile: Profile, text: &str) -> Result<Profile, ProfileError> {
        if self.file.machine != profile.name {
            return Ok(profile);
        }
        let mut unit = self.confirm(profile, text)?;
        if self.file.cooling == Cooling::Immersion {
            self.immerse(&mut unit)?;
        }
        Ok(unit)
    }

    /// Fans are neither there nor missed; limits are those for the liquid where the profile has them.
    fn immerse(&self, unit: &mut Profile) -> Result<(), ProfileError> {
        let behind_fan =
            |sensor: &Sensor| matches!(sensor.part, SensorPart::Emc2101(_) | SensorPart::Emc2101Diode(_));
        let sensors = unit.board.iter().flat_map(|board| &board.sensor).chain(&unit.sensor);
        if let Some(sensor) = sensors.into_iter().find(|sensor| behind_fan(sensor)) {
            let name = &sensor.name;
            let what = format!(
                "cooling: {} cannot do without its fan, whose controller reads the sensor {name}",
                unit.name
            );
            return Err(ProfileError::Wrong { path: self.path.clone(), line: self.line_of("cooling"), what });
        }
        unit.immersed = true;
        unit.fan.clear();
        unit.board.iter_mut().for_each(|board| board.fan.clear());
        if let Some(limits) = unit.immersion.clone() {
            unit.temperature = limits;
        }
        Ok(())
    }

    fn confirm(&self, profile: Profile, text: &str) -> Result<Profile, ProfileError> {
        let confirmed = &self.file.confirmed;
        if confirmed.is_empty() {
            return Ok(profile);
        }
        let mut table = Value::Table(text.parse::<Table>().expect("the profile was parsed before"));
        for (key, value) in confirmed {
            if !profile.disputed.contains(key) {
                let disputed = profile.disputed.join(", ");
                return Err(self.wrong(key, format!("{key} is not disputed in {}: {disputed}", profile.name)));
            }
            place::each_at(&mut table, key, &mut |place| *place = value.clone());
        }
        let Value::Table(table) = table else { unreachable!("a table stays one") };
        let mut unit = Profile::parse(&table.to_string()).map_err(|(_, what)| {
            let at = what.split_once(": ").map_or("", |(key, _)| key);
            let key = confirmed.keys().find(|key| place::overlap(key, at)).or(confirmed.keys().next());
            self.wrong(key.expect("something was confirmed"), format!("not possible: {what}"))
        })?;
        unit.unconfirmed.retain(|key| !confirmed.contains_key(key));
        Ok(unit)
    }

    fn wrong(&self, key: &str, what: String) -> ProfileError {
        ProfileError::Wrong { path: self.path.clone(), line: self.line_of(&format!("\"{key}\"")), what }
    }

    /// From 1.
    fn line_of(&self, beginning: &str) -> usize {
        let line = self.text.lines().position(|line| line.trim_start().starts_with(beginning));
        line.map_or(1, |line| line + 1)
    }
}
