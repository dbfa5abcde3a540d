//! The machines. Geometry and addresses: published facts (`docs/simulation.md` has the sources); thermal values are fitted.

mod antminer;
mod bitaxe;

use super::model::{LineModel, MachineModel, PartModel, Place, Role};
pub use antminer::{S9, S19_XP, S19J_PRO, S19J_PRO_PIC, S21, S21_PRO};
pub use bitaxe::{BENCH_PARTS, BITAXE_GAMMA, BITAXE_MAX, BITAXE_SUPRA, BITAXE_ULTRA, EMBERONE00};

/// All machines.
pub(crate) const MODELS: [&MachineModel; 12] = [
    &BITAXE_GAMMA,
    &BITAXE_SUPRA,
    &BITAXE_ULTRA,
    &BITAXE_MAX,
    &EMBERONE00,
    &S9,
    &S19J_PRO,
    &S19J_PRO_PIC,
    &S19_XP,
    &S21,
    &S21_PRO,
    &BENCH_PARTS,
];

/// No machine has this name.
#[derive(Debug, thiserror::Error)]
#[error("no machine `{name}`: there are {known}", known = MODELS.map(|model| model.name).join(", "))]
pub struct UnknownMachine {
    name: String,
}

impl MachineModel {
    pub fn by_name(name: &str) -> Result<&'static Self, UnknownMachine> {
        let model = MODELS.into_iter().find(|model| model.name == name);
        model.ok_or_else(|| UnknownMachine { name: name.into() })
    }
}

const fn at(bus: usize, address: u8, part: PartModel) -> Place {
    Place { bus, address, part }
}

const fn line(name: &'static str, role: Role, pull: bool) -> LineModel {
    LineModel { name, role, pull }
}
