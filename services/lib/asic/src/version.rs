//! Rolled version bits (BIP 320): chips report them, or the host makes a midstate of each version.

/// Bits of the header's version that may be rolled.
pub const ROLLED_BITS: u32 = 0x1fff_e000;
pub(crate) const ROLLED_SHIFT: u32 = 13;

/// The header's version that a response's sixteen rolled bits stand for; `None` when the chip rolled a bit that `mask` forbids.
pub fn rolled_version(version: u32, mask: u32, bits: u16) -> Option<u32> {
    let rolled = u32::from(bits) << ROLLED_SHIFT;
    (rolled & !(mask & ROLLED_BITS) == 0).then_some(version | rolled)
}

/// How many versions `mask` allows.
pub fn versions(mask: u32) -> u32 {
    1 << (mask & ROLLED_BITS).count_ones()
}

/// Version number `index` of those that `mask` allows: the index's low bits stand in the mask's, lowest first. Number 0 is `version` itself, which has the mask's bits clear.
pub fn nth_version(version: u32, mask: u32, index: u32) -> u32 {
    let places = (0..32).filter(|place| (mask & ROLLED_BITS) >> place & 1 != 0);
    places.zip(0..).fold(version, |version, (place, bit)| version | (index >> bit & 1) << place)
}
