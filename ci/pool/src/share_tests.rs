//! The judge judged by facts from outside: a real pool's job and the share that it accepted, and published headers.

use serde_json::json;

use super::*;
use crate::work::{assemble_header, swap_words};

const NOW: u32 = 0x6854_68d7 + 3;

/// A job of a public pool, 2025-06-19, as mujina's test data publish it: extranonce1 4128064f, mask 1fffe000, share difficulty 8192.
fn real_job(difficulty: f64) -> Job {
    let branch = "\
        21af451ddb51e887ff1feb5592b87290098565035eb8500031aedcc776d4e72a c5af269519c809a9546d5a58ca6445d3dbb80cb7045448ecc48309af034da8f8 \
        fb9f8f9959f6bb0ceb63fa53aed1d5a615c6b6d3f50a468ea89a45a1234bda74 a4f4fee8e5fc19ca8d93e67b9236c37ddb864982010434745c0abfe9b914980c \
        33092206642744fbe5499c3e621cd5c6b52733e54fbebd869f070082b807f740 3b857e32c5cff4864efab967b9a456ca03b2167ab96bd9076ce294c8a67a7fe2 \
        881a07cd881d0c3e590b4b090ea8d58e1439dc56c63686f7de23c47045441e30 315e4dbcc8e7b1c9d594a73978268791880dddb2c26eec8e75768668dad99d80 \
        69952b77c632be16b1ac7ac7048f13d4e962b2e215d79a343f01e6e281d7c304 fc63eb4392c4d6c6d689788875fca35143fdcd4f4a82e8698e0e441751a70b4a \
        09e419bbe20aa3a7640f1b91f50599ceddff899e90d3f18951ad5418c4850a6b 004978aa346b4f1880bcadb3ca3792d771ee6aeca427f61e74baba44b75cfb88";
    let template = crate::template::synthetic(0, 0x6854_68d7);
    let mut work = Work::new(template, 0, &[], 4, false);
    work.id = "875b4b7".to_owned();
    work.previous = swap_words(bytes("6b6455fd6db962c101f2d4fc0d67f4a3bc96391d000152960000000000000000"));
    work.version = 0x2000_0000;
    work.bits = 0x1702_3a04;
    work.branch = branch.split_whitespace().map(bytes).collect();
    work.coinbase1 = hex::decode(
            "02000000010000000000000000000000000000000000000000000000000000000000000000ffffffff170330c30d5075626c69632d506f6f6c",
        )
        .unwrap();
    work.coinbase2 = hex::decode(
            "ffffffff02e5b5c61200000000220020984a77c289084ff2d434c316bdada021c6c183d507c8a20d3b159b09ac02fe28\
             0000000000000000266a24aa21a9edb98ee50410ed4abd48401ed484fc874409d086a3faf0816136a8ad6168314c5800000000",
        )
        .unwrap();
    Job::new(
        Arc::new(work),
        [0x41, 0x28, 0x06, 0x4f],
        Difficulty::new(difficulty).unwrap(),
        Some(0x1fff_e000),
    )
}

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn submit(changes: &[(usize, Value)]) -> Submission {
    let mut params = vec![
        json!("user"),
        json!("875b4b7"),
        json!("17000000"),
        json!("685468d7"),
        json!("7552034c"),
        json!("00b44000"),
    ];
    for (place, value) in changes {
        params[*place] = value.clone();
    }
    Submission::parse(&params).unwrap()
}

fn judge(job: &mut Job, submission: &Submission) -> Result<Share, Reject> {
    job.judge(submission, job.mask, NOW)
}

#[test]
fn a_share_that_a_real_pool_accepted_is_accepted_with_the_same_header_and_difficulty() {
    let share = judge(&mut real_job(8192.0), &submit(&[])).unwrap();
    assert_eq!(
        hex::encode(share.header),
        "0040b420fd55646bc162b96dfcd4f201a3f4670d1d3996bc965201000000000000000000\
         06ddf5f08c36414b95ea54db71a0c28761a98bcf6355919e044f88725519a7cbd7685468043a02174c035275"
    );
    assert_eq!(
        hash::display(&share.hash),
        "0000000000023704cface997bcf7388694ea43dae96c51d80658687a7d8827fe"
    );
    assert!((share.reached / 29588.013979792577 - 1.0).abs() < 1e-12, "{}", share.reached);
}

#[test]
fn the_edge_between_accepted_and_low_is_the_difficulty_that_the_hash_reached() {
    assert!(judge(&mut real_job(29_588.013), &submit(&[])).is_ok());
    let refused = judge(&mut real_job(29_588.015), &submit(&[])).unwrap_err();
    assert!(matches!(refused, Reject::LowDifficulty { wanted: 29_588.015, .. }), "{refused:?}");
}

#[test]
fn the_same_share_with_the_version_not_rolled_is_low() {
    let refused = judge(&mut real_job(8192.0), &submit(&[(5, json!("00000000"))])).unwrap_err();
    let Reject::LowDifficulty { reached, .. } = refused else { panic!("{refused:?}") };
    assert!((reached / 5.4e-10 - 1.0).abs() < 0.02, "{reached}");
}

#[test]
fn every_field_of_a_share_counts() {
    for (place, value) in [(2, "17000001"), (3, "685468d8"), (4, "7552034d"), (5, "00b46000")] {
        let refused = judge(&mut real_job(1.0), &submit(&[(place, json!(value))])).unwrap_err();
        assert!(matches!(refused, Reject::LowDifficulty { .. }), "{value}: {refused:?}");
    }
}

#[test]
fn version_bits_outside_the_mask_missing_or_never_negotiated_are_refused() {
    let refused = |job: &mut Job, bits: Option<u32>, now_mask| {
        let submission = Submission { version_bits: bits, ..submit(&[]) };
        job.judge(&submission, now_mask, NOW).unwrap_err()
    };
    let mask = Some(0x1fff_e000);
    for outside in [0x2000_0000, 0x0000_1000, 0x0000_0001, 0x20b4_4000] {
        assert!(
            matches!(refused(&mut real_job(1.0), Some(outside), mask), Reject::Version(_)),
            "{outside:x}"
        );
    }
    assert!(matches!(refused(&mut real_job(1.0), None, mask), Reject::Version(_)));
    let mut never = Job { mask: None, ..real_job(1.0) };
    assert!(matches!(refused(&mut never, Some(0x00b4_4000), None), Reject::Version(_)));
    // A mask that came after the job counts too, and so does the one that was in force when the job was sent.
    assert!(never.judge(&submit(&[]), mask, NOW).is_ok());
    assert!(real_job(1.0).judge(&submit(&[]), Some(0x0000_2000), NOW).is_ok());
}

#[test]
fn a_share_counts_once() {
    let mut job = real_job(8192.0);
    assert!(judge(&mut job, &submit(&[])).is_ok());
    assert_eq!(judge(&mut job, &submit(&[])), Err(Reject::Duplicate));
    // Other capitals, same share.
    assert_eq!(judge(&mut job, &submit(&[(4, json!("7552034C"))])), Err(Reject::Duplicate));
}

#[test]
fn times_before_the_job_or_two_hours_ahead_are_refused() {
    let at =
        |time: u32| judge(&mut real_job(1.0), &submit(&[(3, json!(format!("{time:08x}")))])).unwrap_err();
    assert!(matches!(at(0x6854_68d6), Reject::Time(_)));
    assert!(matches!(at(NOW + 7201), Reject::Time(_)));
    assert!(matches!(at(NOW + 7200), Reject::LowDifficulty { .. }));
}

#[test]
fn malformed_fields_are_refused_by_name() {
    for (place, value) in [
        (0, json!(1)),
        (1, json!(7)),
        (2, json!("1700000")),
        (2, json!("zz000000")),
        (3, json!("685468d")),
        (3, json!("0685468d7")),
        (4, json!(0x7552_034c)),
        (4, json!("+552034c")),
        (5, json!("0xb44000")),
        (5, json!(null)),
    ] {
        let mut params = vec![
            json!("user"),
            json!("875b4b7"),
            json!("17000000"),
            json!("685468d7"),
            json!("7552034c"),
            json!("00b44000"),
        ];
        params[place] = value.clone();
        assert!(matches!(Submission::parse(&params), Err(Reject::Malformed(_))), "{place}: {value}");
    }
    assert!(matches!(Submission::parse(&[]), Err(Reject::Malformed(_))));
    for extranonce2 in ["170000", "1700000000", ""] {
        let refused = judge(&mut real_job(1.0), &submit(&[(2, json!(extranonce2))])).unwrap_err();
        assert!(matches!(refused, Reject::Malformed(_)), "{extranonce2}: {refused:?}");
    }
}

/// Blocks 0, 125552 and 881423 of the main network, and a job of ESP-Miner's tests (difficulty 18).
#[test]
fn published_headers_have_their_published_hashes_and_difficulties() {
    let zero = [0; 32];
    let block0 = assemble_header(
        1,
        &zero,
        &bytes("3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a"),
        0x495f_ab29,
        0x1d00_ffff,
        0x7c2b_ac1d,
    );
    let block125552 = bytes::<80>(
        "0100000081cd02ab7e569e8bcd9317e2fe99f2de44d49ab2b8851ba4a308000000000000\
         e320b6c2fffc8d750423db8b1eb942ae710e951ed797f7affc8892b0f1fc122bc7f5d74df2b9441a42a14695",
    );
    let block881423 = bytes::<80>(
        "0060592ee3c96a8a70ca15fe215e99f84ab64c43e1b5d2c43b540100000000000000000076f63a35f1b8b5016d3eb0cce2eebbdf\
         58bf8fbea4e870c8f770346bdfcf622d69c19a678a9a021702fb05ff",
    );
    let esp = assemble_header(
        0x2000_0004,
        &swap_words(bytes("d02b10fc0d4711eae1a805af50a8a83312a2215e00017f2b0000000000000000")),
        &bytes("6d0359c451434605c52a5a9ce074340be47c2c63840731f9edf1db3f26b1cdd9"),
        0x646f_f1a9,
        0x1705_ae3a,
        0x276e_8947,
    );
    for (header, hash, difficulty) in [
        (block0, "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f", 2536.4262984),
        (block125552, "00000000000000001e8d6829a8a21adc5d38d0a473b144b6765798e61f98bd1d", 35_987_218_905.5),
        (block881423, "0000000000000000000269d52c24ea451225613aab095d90d771d4e29aa96cdd", 1.16628e14),
        (esp, "000000000e30101020e2ec8c", 18.0435),
    ] {
        let got = hash::sha256d(&header);
        assert!(hash::display(&got).starts_with(hash), "{}", hash::display(&got));
        assert!((crate::difficulty::reached(&got) / difficulty - 1.0).abs() < 1e-5, "{difficulty}");
    }
}
