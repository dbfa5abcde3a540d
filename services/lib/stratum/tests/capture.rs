//! A real conversation, byte by byte: the job and the accepted share that mujina publishes in its BM13xx test data (public-pool, 2025-06-19).

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::time::Duration;

use adit_stratum::v1::{Client, Event, Settings, Share};

const NOTIFY: &str = r#"{"id":null,"method":"mining.notify","params":["875b4b7","6b6455fd6db962c101f2d4fc0d67f4a3bc96391d000152960000000000000000","02000000010000000000000000000000000000000000000000000000000000000000000000ffffffff170330c30d5075626c69632d506f6f6c","ffffffff02e5b5c61200000000220020984a77c289084ff2d434c316bdada021c6c183d507c8a20d3b159b09ac02fe280000000000000000266a24aa21a9edb98ee50410ed4abd48401ed484fc874409d086a3faf0816136a8ad6168314c5800000000",["21af451ddb51e887ff1feb5592b87290098565035eb8500031aedcc776d4e72a","c5af269519c809a9546d5a58ca6445d3dbb80cb7045448ecc48309af034da8f8","fb9f8f9959f6bb0ceb63fa53aed1d5a615c6b6d3f50a468ea89a45a1234bda74","a4f4fee8e5fc19ca8d93e67b9236c37ddb864982010434745c0abfe9b914980c","33092206642744fbe5499c3e621cd5c6b52733e54fbebd869f070082b807f740","3b857e32c5cff4864efab967b9a456ca03b2167ab96bd9076ce294c8a67a7fe2","881a07cd881d0c3e590b4b090ea8d58e1439dc56c63686f7de23c47045441e30","315e4dbcc8e7b1c9d594a73978268791880dddb2c26eec8e75768668dad99d80","69952b77c632be16b1ac7ac7048f13d4e962b2e215d79a343f01e6e281d7c304","fc63eb4392c4d6c6d689788875fca35143fdcd4f4a82e8698e0e441751a70b4a","09e419bbe20aa3a7640f1b91f50599ceddff899e90d3f18951ad5418c4850a6b","004978aa346b4f1880bcadb3ca3792d771ee6aeca427f61e74baba44b75cfb88"],"20000000","17023a04","685468d7",false]}"#;

const AT_START: Duration = Duration::from_secs(100);

fn client() -> Client {
    let settings = Settings {
        agent: "adit/0.1.0".into(),
        user: "bc1qexample.unit".into(),
        password: "x".into(),
        host: "public-pool.io".into(),
        version_mask: 0x1fff_e000,
        suggest_difficulty: None,
    };
    Client::new(settings, AT_START)
}

/// What the client has to say, taken as sent.
fn said(client: &mut Client) -> String {
    let text = String::from_utf8(client.outgoing().to_vec()).unwrap();
    client.sent(text.len());
    text
}

fn hears(client: &mut Client, line: &str) -> Vec<Event> {
    client.receive(line.as_bytes());
    client.receive(b"\n");
    std::iter::from_fn(|| client.next_event(AT_START + Duration::from_millis(40)).unwrap()).collect()
}

#[test]
fn the_captured_conversation_is_spoken_byte_by_byte() {
    let mut client = client();
    assert_eq!(
        said(&mut client),
        concat!(
            r#"{"id":1,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"1fffe000","version-rolling.min-bit-count":2}]}"#,
            "\n",
            r#"{"id":2,"method":"mining.subscribe","params":["adit/0.1.0"]}"#,
            "\n",
            r#"{"id":3,"method":"mining.authorize","params":["bc1qexample.unit","x"]}"#,
            "\n",
        )
    );

    let configured =
        r#"{"id":1,"error":null,"result":{"version-rolling":true,"version-rolling.mask":"1fffe000"}}"#;
    assert_eq!(hears(&mut client, configured), [Event::VersionMask(0x1fff_e000)]);
    let subscribed = r#"{"id":2,"error":null,"result":[[["mining.notify","695482c0"]],"4128064f",4]}"#;
    assert_eq!(hears(&mut client, subscribed), []);
    assert_eq!(said(&mut client), "{\"id\":4,\"method\":\"mining.extranonce.subscribe\",\"params\":[]}\n");
    assert_eq!(hears(&mut client, r#"{"id":3,"error":null,"result":true}"#), [Event::Authorized]);
    let difficulty = r#"{"id":null,"method":"mining.set_difficulty","params":[8192]}"#;
    assert_eq!(hears(&mut client, difficulty), [Event::Difficulty(8192.0)]);

    let [Event::Job(job)] = &hears(&mut client, NOTIFY)[..] else { panic!("no job") };
    assert_eq!(job.id, "875b4b7");
    assert_eq!(
        hex::encode(job.prev_hash),
        "fd55646bc162b96dfcd4f201a3f4670d1d3996bc965201000000000000000000"
    );
    assert_eq!((job.coinbase1.len(), job.coinbase2.len()), (57, 99));
    assert_eq!(job.branch.len(), 12);
    assert_eq!((job.version, job.nbits, job.ntime), (0x2000_0000, 0x1702_3a04, 0x6854_68d7));
    assert!(!job.clean);
    assert_eq!((hex::encode(&job.extranonce1), job.extranonce2_size), ("4128064f".into(), 4));
    assert_eq!(job.difficulty, 8192.0);

    let share = Share {
        job_id: &job.id,
        extranonce2: &[0x17, 0, 0, 0],
        ntime: job.ntime,
        nonce: 0x7552_034c,
        version: 0x20b4_4000,
        version_mask: 0x1fff_e000,
    };
    assert_eq!(client.submit(&share, AT_START), Some(5));
    assert_eq!(
        said(&mut client),
        concat!(
            r#"{"id":5,"method":"mining.submit","params":["bc1qexample.unit","875b4b7","17000000","685468d7","7552034c","00b44000"]}"#,
            "\n"
        )
    );
    assert_eq!(
        hears(&mut client, r#"{"id":5,"error":null,"result":true}"#),
        [Event::ShareAccepted { id: 5, after: Duration::from_millis(40) }]
    );
}
