//! The least that nonces cost: a loop that takes the same bytes from a paced pseudo-terminal and sends a packet for each nonce, and does nothing else.

use std::{
    os::fd::{AsFd, OwnedFd},
    path::Path,
    time::{Duration, Instant},
};

use adit_sys::seqpacket;
use adit_work::frame::{FromHardware, MAX_LEN, Nonce};
use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    thread::gettid,
};
use tokio::io::{Interest, unix::AsyncFd};

use crate::nonces::{BITS, BYTES};

/// What the loop did.
pub(crate) struct Floor {
    pub(crate) nonces: u64,
    pub(crate) seconds: f64,
    pub(crate) cpu_ns: u64,
}

/// In three threads, as the driver has it: the line, the loop, the miner.
pub(crate) fn measure(length: Duration, baud: u32) -> Floor {
    let far = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&far).unwrap();
    unlockpt(&far).unwrap();
    let near = ptsname(&far, Vec::new()).unwrap().into_string().unwrap();
    let near = adit_sys::tty::open(Path::new(&near), baud).unwrap();
    let (ours, theirs) = seqpacket::pair().unwrap();
    std::thread::scope(|scope| {
        let line = scope.spawn(move || line(far, length, baud));
        let own = scope.spawn(move || runtime().block_on(carry(near, ours)));
        scope.spawn(move || runtime().block_on(swallow(theirs)));
        let seconds = line.join().unwrap();
        let (nonces, cpu_ns) = own.join().unwrap();
        Floor { nonces, seconds, cpu_ns }
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A response each time the line has had time for one, as the simulated machine sends them. Closes the line at the end.
fn line(far: OwnedFd, length: Duration, baud: u32) -> f64 {
    let response = [0x55; BYTES as usize];
    let each = Duration::from_secs(1) * BITS / baud;
    let (began, mut sent) = (Instant::now(), 0);
    while began.elapsed() < length {
        sent += 1;
        std::thread::sleep((began + each * sent).saturating_duration_since(Instant::now()));
        rustix::io::write(&far, &response).unwrap();
    }
    drop(far);
    began.elapsed().as_secs_f64()
}

async fn carry(near: OwnedFd, out: OwnedFd) -> (u64, u64) {
    let (near, mut buffer, mut bytes, mut sent) = (register(near), [0; 256], 0, 0);
    let nonce = Nonce {
        chain: 0,
        generation: 1,
        sequence: 1,
        nonce: 0,
        version: 0,
        chip: 0,
        core: 0,
        small_core: 0,
        received_us: 0,
    };
    let packet = FromHardware::Nonce(nonce).encode();
    let before = processor_ns(own_thread());
    loop {
        let mut ready = near.readable().await.unwrap();
        match ready.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut buffer)?)) {
            Ok(Ok(count @ 1..)) => bytes += count as u64,
            Err(_would_block) => continue,
            // The line was closed.
            Ok(_) => return (sent, processor_ns(own_thread()) - before),
        }
        while sent < bytes / u64::from(BYTES) {
            sent += 1;
            // A queue that is full costs as much.
            let _ = seqpacket::send(out.as_fd(), packet.as_bytes());
        }
    }
}

async fn swallow(packets: OwnedFd) {
    let (packets, mut packet) = (register(packets), [0; MAX_LEN]);
    loop {
        let mut ready = packets.readable().await.unwrap();
        if let Ok(Ok(0) | Err(_)) = ready.try_io(|fd| seqpacket::receive(fd.get_ref(), &mut packet)) {
            return;
        }
    }
}

fn register(fd: OwnedFd) -> AsyncFd<OwnedFd> {
    #[expect(deprecated, reason = "an OwnedFd keeps its descriptor")]
    AsyncFd::with_interest(fd, Interest::READABLE).unwrap()
}

/// For [`processor_ns`].
pub(crate) fn own_thread() -> u32 {
    gettid().as_raw_nonzero().get().unsigned_abs()
}

/// What a thread of this program has had of a processor.
pub(crate) fn processor_ns(thread: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}
