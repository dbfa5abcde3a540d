//! Intel SHA extensions: two rounds an instruction. Two nonces run side by side, for the instruction is slow to answer
//! but can be started again before it has.

use crate::compress::{INITIAL, K};
use crate::search::{Nonces, Search};
use std::arch::x86_64::*;

/// A state in the order that `sha256rnds2` wants: words F E B A and H G D C, highest lane last.
type State = [__m128i; 2];

/// # Safety
/// The CPU has the SHA extensions and SSE4.1.
#[target_feature(enable = "sha,sse4.1")]
pub(crate) unsafe fn sweep(search: &Search, nonces: Nonces, mask: u32, candidate: &mut dyn FnMut(u32)) {
    let midstate = pack(search.midstate);
    let initial = pack(INITIAL);
    for done in (0..nonces.count).step_by(2) {
        let nonce = |lane: u32| nonces.first.wrapping_add(nonces.stride.wrapping_mul(done + lane));
        let pair = [nonce(0), nonce(1)];
        let first = compress(
            midstate,
            pair.map(|nonce| {
                let [merkle, time, bits] = search.tail;
                [
                    quad(merkle, time, bits, nonce),
                    quad(0x8000_0000, 0, 0, 0),
                    quad(0, 0, 0, 0),
                    quad(0, 0, 0, 640),
                ]
            }),
        );
        let second = compress(
            initial,
            first.map(|state| {
                let [low, high] = unpack(state);
                [low, high, quad(0x8000_0000, 0, 0, 0), quad(0, 0, 0, 256)]
            }),
        );
        for (lane, state) in second.into_iter().enumerate() {
            let word7 = _mm_extract_epi32::<0>(state[1]).cast_unsigned();
            let lane = lane as u32;
            if word7 & mask == 0 && lane < nonces.count - done {
                candidate(pair[lane as usize]);
            }
        }
    }
}

/// Four words, the first in the lowest lane.
#[target_feature(enable = "sse4.1")]
fn quad(a: u32, b: u32, c: u32, d: u32) -> __m128i {
    _mm_setr_epi32(a.cast_signed(), b.cast_signed(), c.cast_signed(), d.cast_signed())
}

#[target_feature(enable = "sse4.1")]
fn pack([a, b, c, d, e, f, g, h]: [u32; 8]) -> State {
    [quad(f, e, b, a), quad(h, g, d, c)]
}

/// Words A B C D and E F G H, the first in the lowest lane.
#[target_feature(enable = "sse4.1")]
fn unpack([feba, hgdc]: State) -> [__m128i; 2] {
    let abef = _mm_shuffle_epi32::<0x1B>(feba);
    let cdgh = _mm_shuffle_epi32::<0x1B>(hgdc);
    [_mm_unpacklo_epi64(abef, cdgh), _mm_unpackhi_epi64(abef, cdgh)]
}

/// One block each of two messages that begin in the same state.
#[target_feature(enable = "sha,sse4.1")]
fn compress(from: State, mut messages: [[__m128i; 4]; 2]) -> [State; 2] {
    let mut states = [from; 2];
    for group in 0..16 {
        let k = quad(K[4 * group], K[4 * group + 1], K[4 * group + 2], K[4 * group + 3]);
        for ([feba, hgdc], [w0, w1, w2, w3]) in states.iter_mut().zip(&mut messages) {
            let wk = _mm_add_epi32(*w0, k);
            *hgdc = _mm_sha256rnds2_epu32(*hgdc, *feba, wk);
            *feba = _mm_sha256rnds2_epu32(*feba, *hgdc, _mm_shuffle_epi32::<0x0E>(wk));
            // The four words that stand sixteen further on.
            let sum = _mm_add_epi32(_mm_sha256msg1_epu32(*w0, *w1), _mm_alignr_epi8::<4>(*w3, *w2));
            (*w0, *w1, *w2, *w3) = (*w1, *w2, *w3, _mm_sha256msg2_epu32(sum, *w3));
        }
    }
    states.map(|[feba, hgdc]| [_mm_add_epi32(feba, from[0]), _mm_add_epi32(hgdc, from[1])])
}
