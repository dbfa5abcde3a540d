//! The whole way of one real share, from the pool's line to the chip's wire and back to the submit line. Published by mujina in its BM13xx test data
//! (public-pool, 2025-06-19, a BM1370): pool messages, the job frame on the wire, the chip's reply, the share that was accepted.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::time::Duration;

use adit_asic::{BM1370, Parser, Response, Width, rolled_version};
use adit_bus::miner::MinerStatus;
use adit_miner::{policy::Policy, share_check::Verdict};
use adit_stratum::v1::{Client, Event, Settings, Share};
use adit_work::frame::{FromHardware, Nonce, ToHardware, Work};

const NOW: Duration = Duration::from_secs(50);

/// Subscribed with extranonce 1 4128064f and 4 bytes of extranonce 2, mask 1fffe000, difficulty 8192, and the job.
const POOL: &str = r#"{"id":1,"error":null,"result":{"version-rolling":true,"version-rolling.mask":"1fffe000"}}
{"id":2,"error":null,"result":[[["mining.notify","695482c0"]],"4128064f",4]}
{"id":3,"error":null,"result":true}
{"id":null,"method":"mining.set_difficulty","params":[8192]}
{"id":null,"method":"mining.notify","params":["875b4b7","6b6455fd6db962c101f2d4fc0d67f4a3bc96391d000152960000000000000000","02000000010000000000000000000000000000000000000000000000000000000000000000ffffffff170330c30d5075626c69632d506f6f6c","ffffffff02e5b5c61200000000220020984a77c289084ff2d434c316bdada021c6c183d507c8a20d3b159b09ac02fe280000000000000000266a24aa21a9edb98ee50410ed4abd48401ed484fc874409d086a3faf0816136a8ad6168314c5800000000",["21af451ddb51e887ff1feb5592b87290098565035eb8500031aedcc776d4e72a","c5af269519c809a9546d5a58ca6445d3dbb80cb7045448ecc48309af034da8f8","fb9f8f9959f6bb0ceb63fa53aed1d5a615c6b6d3f50a468ea89a45a1234bda74","a4f4fee8e5fc19ca8d93e67b9236c37ddb864982010434745c0abfe9b914980c","33092206642744fbe5499c3e621cd5c6b52733e54fbebd869f070082b807f740","3b857e32c5cff4864efab967b9a456ca03b2167ab96bd9076ce294c8a67a7fe2","881a07cd881d0c3e590b4b090ea8d58e1439dc56c63686f7de23c47045441e30","315e4dbcc8e7b1c9d594a73978268791880dddb2c26eec8e75768668dad99d80","69952b77c632be16b1ac7ac7048f13d4e962b2e215d79a343f01e6e281d7c304","fc63eb4392c4d6c6d689788875fca35143fdcd4f4a82e8698e0e441751a70b4a","09e419bbe20aa3a7640f1b91f50599ceddff899e90d3f18951ad5418c4850a6b","004978aa346b4f1880bcadb3ca3792d771ee6aeca427f61e74baba44b75cfb88"],"20000000","17023a04","685468d7",false]}
"#;

/// What went over the chip's wire.
const JOB_FRAME: &str = "55aa2156 68 01 00000000 043a0217 d7685468
    5519a7cb044f88726355919e61a98bcf71a0c28795ea54db8c36414b06ddf5f0
    0000000000000000965201001d3996bca3f4670dfcd4f201c162b96dfd55646b
    00000020721c";
const CHIP_REPLY: &str = "aa554c0352750cd205a29c";

const SUBMIT: &str = r#"{"id":5,"method":"mining.submit","params":["bc1qexample.unit","875b4b7","17000000","685468d7","7552034c","00b44000"]}"#;

fn digits(text: &str) -> String {
    text.split_whitespace().collect()
}

/// Miner and connection, fed with everything that the pool says; the last work that went to the hardware.
struct Unit {
    policy: Policy,
    client: Client,
    works: Vec<Work>,
}

impl Unit {
    fn new() -> Self {
        let settings = Settings {
            agent: "adit/0.1.0".into(),
            user: "bc1qexample.unit".into(),
            password: "x".into(),
            host: "public-pool.io".into(),
            version_mask: 0x1fff_e000,
            suggest_difficulty: None,
        };
        Self { policy: Policy::default(), client: Client::new(settings, NOW), works: Vec::new() }
    }

    fn pool_says(&mut self, lines: &str) {
        self.client.receive(lines.as_bytes());
        let works = &mut self.works;
        let mut send = |frame: &ToHardware| match frame {
            ToHardware::Work(work) => works.push(*work),
            ToHardware::Idle { .. } => panic!("there is work"),
        };
        while let Some(event) = self.client.next_event(NOW).unwrap() {
            match event {
                Event::Job(job) => self.policy.job(job, NOW, &mut send).unwrap(),
                Event::VersionMask(mask) => self.policy.version_mask(mask, &mut send),
                Event::Difficulty(difficulty) => self.policy.difficulty(difficulty),
                Event::ShareAccepted { .. } => self.policy.share_answered(true),
                Event::Authorized => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn hardware_says(&mut self, frame: FromHardware) -> Option<Verdict> {
        let (works, client) = (&mut self.works, &mut self.client);
        let mut send = |frame: &ToHardware| {
            if let ToHardware::Work(work) = frame {
                works.push(*work);
            }
        };
        let mut submit = |share: &Share<'_>| {
            client.submit(share, NOW).unwrap();
        };
        self.policy.frame(frame, NOW, &mut send, &mut submit)
    }
}

#[test]
fn the_captured_job_reaches_the_wire_and_its_nonce_reaches_the_pool_byte_by_byte() {
    let mut unit = Unit::new();
    unit.hardware_says(FromHardware::Hello { chains: 1, queue: 2 });
    unit.policy.tickets(&[(0, 40)]);
    unit.pool_says(POOL);
    unit.client.sent(unit.client.outgoing().len());

    // Extranonce 2 was 17000000: the twenty-fourth work.
    let credit =
        FromHardware::Credit { chain: 0, generation: unit.policy.source().generation(), sequence: 24 };
    unit.hardware_says(credit);
    assert_eq!(unit.works.len(), 24);
    let work = unit.works[23];

    // Down: what adit-hardware makes of it for the chip.
    let frame = BM1370.job_frame(&adit_asic::Job {
        id: 0x68,
        version: work.version,
        prev_hash: &work.prev_hash,
        merkle_root: &work.merkle_root,
        ntime: work.ntime,
        nbits: work.nbits,
    });
    assert_eq!(hex::encode(frame.as_bytes()), digits(JOB_FRAME));

    // Up: what the chip answered.
    let mut parser = Parser::new(Width::Eleven);
    let reply = hex::decode(CHIP_REPLY).unwrap();
    let response = reply.iter().find_map(|byte| parser.push(*byte)).unwrap();
    let Response::Nonce { nonce, excess, job, version_bits } = response else { panic!("{response:?}") };
    let report = BM1370.nonce_report(nonce, excess, job, version_bits);
    assert_eq!(report.job, 0x68);
    let nonce = Nonce {
        chain: 0,
        generation: work.generation,
        sequence: work.sequence,
        nonce: report.nonce,
        version: rolled_version(work.version, work.version_mask, report.version_bits).unwrap(),
        chip: 0,
        core: report.core,
        small_core: report.small_core,
        received_us: 0,
    };
    let verdict = unit.hardware_says(FromHardware::Nonce(nonce));
    assert_eq!(verdict, Some(Verdict::Share { difficulty: 29_588.013_979_792_577 }));
    assert_eq!(std::str::from_utf8(unit.client.outgoing()).unwrap(), format!("{SUBMIT}\n"));

    unit.pool_says("{\"id\":5,\"error\":null,\"result\":true}\n");
    let mut status = MinerStatus::default();
    unit.policy.report(NOW, &mut status);
    assert_eq!((status.shares_accepted, status.nonces_invalid), (1, 0));
    assert_eq!(status.best_difficulty, 29_588.013_979_792_577);

    // The same nonce with its rolled bits forgotten.
    let forgotten = Nonce { version: work.version, ..nonce };
    assert_eq!(unit.hardware_says(FromHardware::Nonce(forgotten)), Some(Verdict::BelowTicket));
}

#[test]
fn a_share_of_an_older_block_is_counted_and_not_sent() {
    let mut unit = Unit::new();
    unit.hardware_says(FromHardware::Hello { chains: 1, queue: 24 });
    unit.pool_says(POOL);
    let work = unit.works[23];
    let nonce = Nonce {
        chain: 0,
        generation: work.generation,
        sequence: work.sequence,
        nonce: 0x7552_034c,
        version: 0x20b4_4000,
        chip: 0,
        core: 0,
        small_core: 0,
        received_us: 0,
    };
    let next_block =
        POOL.lines().last().unwrap().replace("6b6455fd", "00000000").replace("875b4b7", "875b4b8");
    unit.pool_says(&format!("{next_block}\n"));
    unit.client.sent(unit.client.outgoing().len());
    assert!(matches!(unit.hardware_says(FromHardware::Nonce(nonce)), Some(Verdict::Share { .. })));
    assert_eq!(unit.client.outgoing(), b"");
    assert_eq!(unit.policy.counters().stale, 1);
}

#[test]
fn a_share_with_bits_that_the_pool_forbade_since_is_not_sent_and_others_are() {
    for (mask, stale) in [("00ffe000", 0), ("0000e000", 1)] {
        let mut unit = Unit::new();
        unit.hardware_says(FromHardware::Hello { chains: 1, queue: 24 });
        unit.pool_says(POOL);
        let work = unit.works[23];
        unit.pool_says(&format!(
            "{{\"id\":null,\"method\":\"mining.set_version_mask\",\"params\":[\"{mask}\"]}}\n"
        ));
        assert_eq!(unit.works.last().unwrap().generation, work.generation + 1, "new work at once");
        unit.client.sent(unit.client.outgoing().len());
        let nonce = Nonce {
            chain: 0,
            generation: work.generation,
            sequence: work.sequence,
            nonce: 0x7552_034c,
            version: 0x20b4_4000,
            chip: 0,
            core: 0,
            small_core: 0,
            received_us: 0,
        };
        unit.hardware_says(FromHardware::Nonce(nonce));
        assert_eq!(unit.policy.counters().stale, stale, "{mask}");
        assert_eq!(unit.client.outgoing().is_empty(), stale == 1, "{mask}");
    }
}
