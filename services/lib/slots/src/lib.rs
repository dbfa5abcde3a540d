//! What a unit knows about its two slots, as pure functions: bytes in, decisions and bytes out.
//!
//! * [`boot_state`]: the two redundant copies that U-Boot and adit-init share, and which of them is believed.
//! * [`transition`]: every permitted change of that state, by name; a change in a wrong state is refused.
//! * [`verity`]: the dm-verity hash tree of a root image: built by `image/`, walked by an update.
//! * [`manifest`]: what a slot contains, in the frozen format of `docs/slot-manifest.md`.
//!
//! Never here: files, clocks, devices. The boot state is not authenticated, so nothing but slot choice and counters may be
//! taken from it: no command line, no hash, no address.

pub mod boot_state;
pub mod manifest;
mod slot;
pub mod transition;
pub mod verity;

pub use boot_state::{BootState, Half, Loaded, Tries};
pub use manifest::Manifest;
pub use slot::Slot;
pub use transition::{AfterBoot, Refused};
pub use verity::{Tree, TreeBuilder};
