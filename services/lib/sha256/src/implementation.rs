//! Which instructions do the search: what this CPU has, what is fastest on it, and the entry into each.

use crate::search::{Nonces, Search, sweep};
use std::fmt;

/// A way to hash, fastest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Implementation {
    /// Sixteen nonces at once.
    Avx512,
    /// Two nonces side by side through the CPU's own SHA-256 rounds (Intel SHA extensions).
    ShaNi,
    /// Eight nonces at once.
    Avx2,
    /// Four nonces at once, on AArch64.
    Neon,
    /// One nonce at a time, on any CPU.
    Portable,
}

impl Implementation {
    const ALL: [Self; 5] = [Self::Avx512, Self::ShaNi, Self::Avx2, Self::Neon, Self::Portable];

    /// Those that this CPU can run, fastest first.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|implementation| implementation.runs_here())
    }

    /// The fastest that this CPU can run.
    pub fn best() -> Self {
        Self::available().next().unwrap_or(Self::Portable)
    }

    #[cfg(target_arch = "x86_64")]
    fn runs_here(self) -> bool {
        match self {
            Self::Avx512 => is_x86_feature_detected!("avx512f"),
            Self::ShaNi => is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1"),
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            Self::Neon => false,
            Self::Portable => true,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn runs_here(self) -> bool {
        match self {
            Self::Avx512 | Self::ShaNi | Self::Avx2 => false,
            Self::Neon => cfg!(target_arch = "aarch64"),
            Self::Portable => true,
        }
    }

    /// Calls `candidate` with each nonce whose hash has no bit of `mask` in word 7. One that this CPU lacks is
    /// replaced by the portable one.
    pub(crate) fn sweep(self, search: &Search, nonces: Nonces, mask: u32, candidate: &mut dyn FnMut(u32)) {
        if !self.runs_here() {
            return portable(search, nonces, mask, candidate);
        }
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `runs_here` found AVX-512F.
            Self::Avx512 => unsafe { avx512(search, nonces, mask, candidate) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `runs_here` found SHA and SSE4.1.
            Self::ShaNi => unsafe { crate::sha_ni::sweep(search, nonces, mask, candidate) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `runs_here` found AVX2.
            Self::Avx2 => unsafe { avx2(search, nonces, mask, candidate) },
            #[cfg(target_arch = "aarch64")]
            Self::Neon => sweep::<crate::lanes::neon::Neon>(search, nonces, mask, candidate),
            _ => portable(search, nonces, mask, candidate),
        }
    }
}

impl fmt::Display for Implementation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Avx512 => "avx512",
            Self::ShaNi => "sha-ni",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Portable => "portable",
        })
    }
}

fn portable(search: &Search, nonces: Nonces, mask: u32, candidate: &mut dyn FnMut(u32)) {
    sweep::<u32>(search, nonces, mask, candidate);
}

/// # Safety
/// The CPU has AVX-512F.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn avx512(search: &Search, nonces: Nonces, mask: u32, candidate: &mut dyn FnMut(u32)) {
    sweep::<crate::lanes::avx512::Avx512>(search, nonces, mask, candidate);
}

/// # Safety
/// The CPU has AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn avx2(search: &Search, nonces: Nonces, mask: u32, candidate: &mut dyn FnMut(u32)) {
    sweep::<crate::lanes::avx2::Avx2>(search, nonces, mask, candidate);
}
