//! How fast each implementation searches on this machine, on one core:
//! `cargo run --profile host -p adit-sha256 --example throughput`

use adit_sha256::{Implementation, Nonces, Search};
use std::hint::black_box;
use std::time::{Duration, Instant};

fn main() {
    let search = Search::new([0x1234_5678; 8], &[7; 12]);
    for implementation in Implementation::available() {
        let (start, mut hashes) = (Instant::now(), 0u32);
        while start.elapsed() < Duration::from_secs(1) {
            let nonces = Nonces { first: hashes, stride: 1, count: 65_536 };
            search.run(implementation, nonces, 24, |hit| {
                black_box(hit);
            });
            hashes += nonces.count;
        }
        let megahashes = f64::from(hashes) / 1e6 / start.elapsed().as_secs_f64();
        println!("{implementation:10} {megahashes:7.2} MH/s");
    }
}
