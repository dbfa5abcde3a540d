use std::time::Duration;

use embedded_hal_async::delay::DelayNs;
use tokio::time::sleep;

use crate::notify;

/// Pauses of drivers, with the machine's loop alive meanwhile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delay;

impl DelayNs for Delay {
    async fn delay_ns(&mut self, ns: u32) {
        sleep(Duration::from_nanos(ns.into())).await;
    }

    async fn delay_us(&mut self, us: u32) {
        sleep(Duration::from_micros(us.into())).await;
    }

    async fn delay_ms(&mut self, ms: u32) {
        sleep(Duration::from_millis(ms.into())).await;
        notify::progress();
    }
}
