//! What pool, work and shares take of memory does not grow with the time that a unit mines.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::time::Duration;

use adit_miner::policy::Policy;
use adit_stratum::v1::{Client, Event, Settings, Share};
use adit_sys::allocations::{self, Noting};
use adit_work::frame::{FromHardware, Nonce, ToHardware, Work};

#[global_allocator]
static ALLOCATOR: Noting = Noting;

/// Subscribed, authorized, and almost every nonce a share.
const WELCOME: &str = r#"{"id":1,"result":{"version-rolling":true,"version-rolling.mask":"1fffe000"},"error":null}
{"id":2,"result":[[],"4128064f",4],"error":null}
{"id":3,"result":true,"error":null}
{"id":4,"result":true,"error":null}
{"id":null,"method":"mining.set_difficulty","params":[1e-12]}
"#;
const CHAINS: u8 = 3;
const NONCES_A_SECOND: usize = 6;

struct Unit {
    policy: Policy,
    client: Client,
    works: Vec<Work>,
    accepted: usize,
}

impl Unit {
    fn new() -> Self {
        let settings = Settings {
            agent: "adit/0.1.0".into(),
            user: "someone.unit".into(),
            password: "x".into(),
            host: "pool.example".into(),
            version_mask: 0x1fff_e000,
            suggest_difficulty: None,
        };
        let client = Client::new(settings, Duration::ZERO);
        let mut unit = Self { policy: Policy::default(), client, works: Vec::with_capacity(64), accepted: 0 };
        unit.hardware_says(FromHardware::Hello { chains: CHAINS, queue: 2 }, Duration::ZERO);
        unit.pool_says(WELCOME, Duration::ZERO);
        unit
    }

    fn pool_says(&mut self, lines: &str, now: Duration) {
        self.client.sent(self.client.outgoing().len());
        self.client.receive(lines.as_bytes());
        let works = &mut self.works;
        let mut send = |frame: &ToHardware| keep(works, frame);
        while let Some(event) = self.client.next_event(now).unwrap() {
            match event {
                Event::Job(job) => self.policy.job(job, now, &mut send).unwrap(),
                Event::VersionMask(mask) => self.policy.version_mask(mask, &mut send),
                Event::Difficulty(difficulty) => self.policy.difficulty(difficulty),
                Event::ShareAccepted { .. } => self.accepted += 1,
                Event::Authorized => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The request's id when it was worth a share.
    fn hardware_says(&mut self, frame: FromHardware, now: Duration) -> Option<u64> {
        let (works, client) = (&mut self.works, &mut self.client);
        let mut asked = None;
        let mut submit = |share: &Share<'_>| asked = client.submit(share, now);
        self.policy.frame(frame, now, &mut |frame| keep(works, frame), &mut submit);
        asked
    }

    /// A new block every second, a work for each nonce.
    fn mine(&mut self, seconds: std::ops::Range<u64>) {
        for second in seconds {
            let now = Duration::from_secs(second);
            self.works.clear();
            self.pool_says(&notify(second), now);
            for number in 0..NONCES_A_SECOND {
                let Work { chain, generation, sequence, version, .. } = self.works[number];
                let nonce = Nonce {
                    chain,
                    generation,
                    sequence,
                    nonce: second as u32,
                    version,
                    chip: 0,
                    core: 0,
                    small_core: 0,
                    received_us: 0,
                };
                let id = self.hardware_says(FromHardware::Nonce(nonce), now).expect("a share");
                self.pool_says(&format!("{{\"id\":{id},\"result\":true,\"error\":null}}\n"), now);
                let credit = FromHardware::Credit { chain, generation, sequence: sequence + 2 };
                self.hardware_says(credit, now);
            }
            let mut status = adit_bus::miner::MinerStatus::default();
            self.policy.report(now, &mut status);
        }
    }
}

fn keep(works: &mut Vec<Work>, frame: &ToHardware) {
    if let ToHardware::Work(work) = frame {
        works.push(*work);
    }
}

/// With a coinbase of 2 KB, as pools have that pay many addresses.
fn notify(number: u64) -> String {
    format!(
        "{{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"{number:08x}\",\"{number:064x}\",\"0100\",\"{}\",[{}],\"20000000\",\"17023a04\",\"685468d7\",true]}}\n",
        "51".repeat(2000),
        vec![format!("\"{}\"", "ab".repeat(32)); 12].join(",")
    )
}

#[test]
fn an_hour_of_new_blocks_and_shares_holds_what_a_minute_of_it_held() {
    allocations::note_this_thread();
    let mut unit = Unit::new();
    unit.mine(1..60);
    let minute = allocations::held();
    unit.mine(60..3_600);
    assert_eq!(unit.accepted, 3_599 * NONCES_A_SECOND);
    let grown = allocations::held() - minute;
    assert!(grown.abs() < 256, "{grown} bytes more than {minute}");
}
