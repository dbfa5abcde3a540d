//! The compression function of FIPS 180-4 §6.2.2, written once for any number of lanes.

use crate::lanes::Lanes;

/// FIPS 180-4 §5.3.3: the state before the first block.
pub(crate) const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// FIPS 180-4 §4.2.2: one constant a round.
#[rustfmt::skip]
pub(crate) const K: [u32; 64] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
];

/// One round. Instead of moving eight words, the caller rotates their names.
macro_rules! round {
    ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $w:expr, $k:expr) => {
        let t1 = $h.add($w).add(V::splat($k)).add(V::choose($e, $f, $g)).add(V::sum1($e));
        $d = $d.add(t1);
        $h = t1.add(V::sum0($a)).add(V::majority($a, $b, $c));
    };
}

/// Sixteen rounds, or the first thirteen of them. Written out, because sixteen words and eight state words stay in
/// registers only when every index is a constant.
macro_rules! rounds {
    ($s:ident, $w:expr, $k:expr, $all_sixteen:expr) => {
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = $s;
        let (w, k) = ($w, $k);
        round!(a b c d e f g h, w[0], k[0]);
        round!(h a b c d e f g, w[1], k[1]);
        round!(g h a b c d e f, w[2], k[2]);
        round!(f g h a b c d e, w[3], k[3]);
        round!(e f g h a b c d, w[4], k[4]);
        round!(d e f g h a b c, w[5], k[5]);
        round!(c d e f g h a b, w[6], k[6]);
        round!(b c d e f g h a, w[7], k[7]);
        round!(a b c d e f g h, w[8], k[8]);
        round!(h a b c d e f g, w[9], k[9]);
        round!(g h a b c d e f, w[10], k[10]);
        round!(f g h a b c d e, w[11], k[11]);
        round!(e f g h a b c d, w[12], k[12]);
        if $all_sixteen {
            round!(d e f g h a b c, w[13], k[13]);
            round!(c d e f g h a b, w[14], k[14]);
            round!(b c d e f g h a, w[15], k[15]);
        }
        $s = [a, b, c, d, e, f, g, h];
    };
}

/// The next sixteen words of the message schedule, in place.
macro_rules! schedule {
    ($w:ident: $($i:literal)*) => {$(
        $w[$i] = $w[$i]
            .add(V::small0($w[($i + 1) % 16]))
            .add($w[($i + 9) % 16])
            .add(V::small1($w[($i + 14) % 16]));
    )*};
}

/// Sixteen constants as an array, so that indices need no bounds checks.
#[inline(always)]
fn constants(group: usize) -> &'static [u32; 16] {
    K.as_chunks::<16>().0.get(group).expect("four groups of sixteen rounds")
}

/// The state after one more block: `w` are its sixteen words, as SHA-256 reads them (most significant byte first).
#[inline(always)]
pub(crate) fn compress<V: Lanes>(state: [V; 8], mut w: [V; 16]) -> [V; 8] {
    let mut s = state;
    rounds!(s, &w, constants(0), true);
    for group in 1..4 {
        schedule!(w: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        rounds!(s, &w, constants(group), true);
    }
    std::array::from_fn(|i| state[i].add(s[i]))
}

/// Only word 7 of the hash of a 32-byte message: word 7 is what `e` was after round 61, so three rounds are saved,
/// and so is everything that only the other seven words need.
#[inline(always)]
pub(crate) fn last_word_of_digest_hash<V: Lanes>(digest: [V; 8]) -> V {
    let mut w = digest_block(digest);
    let mut s = INITIAL.map(V::splat);
    rounds!(s, &w, constants(0), true);
    for group in 1..3 {
        schedule!(w: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        rounds!(s, &w, constants(group), true);
    }
    schedule!(w: 0 1 2 3 4 5 6 7 8 9 10 11 12);
    rounds!(s, &w, constants(3), false);
    // After thirteen of sixteen rounds the names stand where `h` will have moved to: e of round 61 is in slot 7.
    s[7].add(V::splat(INITIAL[7]))
}

/// A 32-byte message with its padding.
#[inline(always)]
pub(crate) fn digest_block<V: Lanes>(digest: [V; 8]) -> [V; 16] {
    let mut w = [V::splat(0); 16];
    w[..8].copy_from_slice(&digest);
    w[8] = V::splat(0x8000_0000);
    w[15] = V::splat(256);
    w
}
