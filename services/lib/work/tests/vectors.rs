//! Published blocks, pool jobs and shares, recomputed. Sources: the blocks themselves; the job and share that mujina publishes in its BM13xx
//! test data (public-pool, 2025-06-19); ESP-Miner's `test_mining.c`.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use adit_work::{BlockHash, Header, Target, header, merkle, target};

fn hash32(hex: &str) -> [u8; 32] {
    hex::decode(hex).unwrap().try_into().unwrap()
}

/// SHA-256's state after the header's first 64 bytes: H0..H7.
fn midstate(header: &Header) -> String {
    let mut state = [
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ];
    let first: [u8; 64] = header.to_bytes()[..64].try_into().unwrap();
    sha2::block_api::compress256(&mut state, &[first]);
    state.map(|word: u32| format!("{word:08x}")).join(" ")
}

/// Stratum sends the previous hash as eight words, each with its bytes reversed.
fn from_stratum(prev_hash: &str) -> [u8; 32] {
    let mut bytes = hash32(prev_hash);
    bytes.chunks_exact_mut(4).for_each(<[u8]>::reverse);
    bytes
}

#[test]
fn known_blocks_have_their_hash_difficulty_and_midstate() {
    let blocks = [
        (
            Header {
                version: 1,
                prev_hash: [0; 32],
                merkle_root: hash32("3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a"),
                ntime: 0x495f_ab29,
                nbits: 0x1d00_ffff,
                nonce: 0x7c2b_ac1d,
            },
            "01000000 0000000000000000000000000000000000000000000000000000000000000000 3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a 29ab5f49 ffff001d 1dac2b7c",
            "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
            2536.4262984,
            "bc909a33 6358bff0 90ccac7d 1e59caa8 c3c8d8e9 4f0103c8 96b18736 4719f91b",
        ),
        (
            Header {
                version: 1,
                prev_hash: hash32("81cd02ab7e569e8bcd9317e2fe99f2de44d49ab2b8851ba4a308000000000000"),
                merkle_root: hash32("e320b6c2fffc8d750423db8b1eb942ae710e951ed797f7affc8892b0f1fc122b"),
                ntime: 0x4dd7_f5c7,
                nbits: 0x1a44_b9f2,
                nonce: 0x9546_a142,
            },
            "01000000 81cd02ab7e569e8bcd9317e2fe99f2de44d49ab2b8851ba4a308000000000000 e320b6c2fffc8d750423db8b1eb942ae710e951ed797f7affc8892b0f1fc122b c7f5d74d f2b9441a 42a14695",
            "00000000000000001e8d6829a8a21adc5d38d0a473b144b6765798e61f98bd1d",
            35_987_218_905.5,
            "9524c593 05c56713 16e669ba 2d2810a0 07e86e37 2f56a9da cd5bce69 7a78da2d",
        ),
        (
            Header {
                version: 0x2e59_6000,
                prev_hash: hash32("e3c96a8a70ca15fe215e99f84ab64c43e1b5d2c43b5401000000000000000000"),
                merkle_root: hash32("76f63a35f1b8b5016d3eb0cce2eebbdf58bf8fbea4e870c8f770346bdfcf622d"),
                ntime: 0x679a_c169,
                nbits: 0x1702_9a8a,
                nonce: 0xff05_fb02,
            },
            "0060592e e3c96a8a70ca15fe215e99f84ab64c43e1b5d2c43b5401000000000000000000 76f63a35f1b8b5016d3eb0cce2eebbdf58bf8fbea4e870c8f770346bdfcf622d 69c19a67 8a9a0217 02fb05ff",
            "0000000000000000000269d52c24ea451225613aab095d90d771d4e29aa96cdd",
            1.16628e14,
            "9e96646d 30ae1c08 90d08555 0f85939b 6d4db3dd 59217321 8fadf862 fbab5614",
        ),
    ];
    for (header, bytes, hash, difficulty, state) in blocks {
        assert_eq!(hex::encode(header.to_bytes()), bytes.replace(' ', ""));
        assert_eq!(header.hash().to_string(), hash);
        let reached = target::difficulty(&header.hash());
        assert!((reached / difficulty - 1.0).abs() < 1e-5, "{reached} is not {difficulty}");
        assert_eq!(midstate(&header), state);
        assert!(Target::from_nbits(header.nbits).unwrap().is_met_by(&header.hash()));
    }
}

#[test]
fn the_genesis_block_is_three_bits_better_than_its_target_asks() {
    let genesis = hash32("6fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000");
    assert_eq!(BlockHash(genesis).leading_zero_bits(), 43);
}

#[test]
fn a_nonce_of_esp_miners_test_has_its_difficulty() {
    let header = Header {
        version: 0x2000_0004,
        prev_hash: from_stratum("d02b10fc0d4711eae1a805af50a8a83312a2215e00017f2b0000000000000000"),
        merkle_root: hash32("6d0359c451434605c52a5a9ce074340be47c2c63840731f9edf1db3f26b1cdd9"),
        ntime: 0x646f_f1a9,
        nbits: 0x1705_ae3a,
        nonce: 0x276e_8947,
    };
    let reached = target::difficulty(&header.hash());
    assert!((reached - 18.0435).abs() < 1e-4, "{reached}");
}

#[test]
fn a_midstate_of_esp_miners_test_is_ours() {
    let header = Header {
        version: 0x2000_0004,
        prev_hash: from_stratum("bf44fd3513dc7b837d60e5c628b572b448d204a8000007490000000000000000"),
        merkle_root: hash32("cd1be82132ef0d12053dcece1fa0247fcfdb61d4dbd3eb32ea9ef9b4c604a846"),
        ntime: 0x6465_8bd8,
        nbits: 0x1705_dd01,
        nonce: 0,
    };
    assert_eq!(midstate(&header), "52eadf91 68739f8a 5d490d3d 1574ddd6 cb21cae1 e3591741 5f7d5de0 4d3185f2");
}

#[test]
fn a_branch_of_esp_miners_test_has_its_root() {
    let part = |hex: &str| hex::decode(hex).unwrap();
    let coinbase1 = part(
        "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff2503777d07062f503253482f0405b8c75208f800880e000000000b2f436f696e48756e74722f0000000001",
    );
    let coinbase2 = part("1976a914c633315d376c20a973a758f7422d67f7bfed9c5888ac00000000");
    let branch = [
        "f0dbca1ee1a9f6388d07d97c1ab0de0e41acdf2edac4b95780ba0a1ec14103b3",
        "8e43fd2988ac40c5d97702b7e5ccdf5b06d58f0e0d323f74dd5082232c1aedf7",
        "1177601320ac928b8c145d771dae78a3901a089fa4aca8def01cbff747355818",
        "9f64f3b0d9edddb14be6f71c3ac2e80455916e207ffc003316c6a515452aa7b4",
        "2d0b54af60fad4ae59ec02031f661d026f2bb95e2eeb1e6657a35036c017c595",
    ]
    .map(hash32);
    let root = merkle::root(&[&coinbase1, &part("603f352a"), &part("01000000"), &coinbase2], &branch);
    assert_eq!(hex::encode(root), "5cc58f5e84aafc740d521b92a7bf72f4e56c4cc3ad1c2159f1d094f97ac34eee");
}

/// The share whose chip reply, job frame and pool messages are all published: pool difficulty 8192, accepted.
#[test]
fn the_captured_share_is_recomputed_from_the_pools_job() {
    let part = |hex: &str| hex::decode(hex).unwrap();
    let coinbase1 = part(
        "02000000010000000000000000000000000000000000000000000000000000000000000000ffffffff170330c30d5075626c69632d506f6f6c",
    );
    let coinbase2 = part(
        "ffffffff02e5b5c61200000000220020984a77c289084ff2d434c316bdada021c6c183d507c8a20d3b159b09ac02fe280000000000000000266a24aa21a9edb98ee50410ed4abd48401ed484fc874409d086a3faf0816136a8ad6168314c5800000000",
    );
    let (extranonce1, extranonce2) = (part("4128064f"), part("17000000"));
    let coinbase: [&[u8]; 4] = [&coinbase1, &extranonce1, &extranonce2, &coinbase2];
    let branch = [
        "21af451ddb51e887ff1feb5592b87290098565035eb8500031aedcc776d4e72a",
        "c5af269519c809a9546d5a58ca6445d3dbb80cb7045448ecc48309af034da8f8",
        "fb9f8f9959f6bb0ceb63fa53aed1d5a615c6b6d3f50a468ea89a45a1234bda74",
        "a4f4fee8e5fc19ca8d93e67b9236c37ddb864982010434745c0abfe9b914980c",
        "33092206642744fbe5499c3e621cd5c6b52733e54fbebd869f070082b807f740",
        "3b857e32c5cff4864efab967b9a456ca03b2167ab96bd9076ce294c8a67a7fe2",
        "881a07cd881d0c3e590b4b090ea8d58e1439dc56c63686f7de23c47045441e30",
        "315e4dbcc8e7b1c9d594a73978268791880dddb2c26eec8e75768668dad99d80",
        "69952b77c632be16b1ac7ac7048f13d4e962b2e215d79a343f01e6e281d7c304",
        "fc63eb4392c4d6c6d689788875fca35143fdcd4f4a82e8698e0e441751a70b4a",
        "09e419bbe20aa3a7640f1b91f50599ceddff899e90d3f18951ad5418c4850a6b",
        "004978aa346b4f1880bcadb3ca3792d771ee6aeca427f61e74baba44b75cfb88",
    ]
    .map(hash32);
    assert_eq!(coinbase.concat().len(), 164);
    assert_eq!(
        hex::encode(header::sha256d(&coinbase)),
        "0abff72130542f02b3e2037bc341ec00d9acca1cb91f3e53dd23a508dc196203"
    );
    assert_eq!(
        hex::encode(merkle::root(&coinbase, &branch[..1])),
        "62cb8ec4d7fded642a145f9e33057be58f807588581198daa794eb8a5c5240b6"
    );

    let header = Header {
        version: header::roll_version(0x2000_0000, header::BIP320_MASK, 0x00b4_4000),
        prev_hash: from_stratum("6b6455fd6db962c101f2d4fc0d67f4a3bc96391d000152960000000000000000"),
        merkle_root: merkle::root(&coinbase, &branch),
        ntime: 0x6854_68d7,
        nbits: 0x1702_3a04,
        nonce: 0x7552_034c,
    };
    assert_eq!(
        hex::encode(header.to_bytes()),
        "0040b420fd55646bc162b96dfcd4f201a3f4670d1d3996bc96520100000000000000000006ddf5f08c36414b95ea54db71a0c28761a98bcf6355919e044f88725519a7cbd7685468043a02174c035275"
    );
    assert_eq!(header.hash().to_string(), "0000000000023704cface997bcf7388694ea43dae96c51d80658687a7d8827fe");
    assert_eq!(header.hash().leading_zero_bits(), 46);
    assert_eq!(target::difficulty(&header.hash()), 29_588.013_979_792_577);
    assert_eq!(midstate(&header), "cc118b7e 56b58f7c e66db939 a2f820fb ee81c4b4 1bba6dd6 64065f7d fb3bdea4");
    assert!(Target::from_difficulty(8192.0).unwrap().is_met_by(&header.hash()));
    assert!(!Target::from_difficulty(29_589.0).unwrap().is_met_by(&header.hash()));

    let unrolled = Header { version: 0x2000_0000, ..header };
    assert!(unrolled.hash().to_string().starts_with("6e517123a748"), "a forgotten version merge is seen");
}
