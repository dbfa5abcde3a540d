//! The hash tree, judged by `veritysetup`.

#![allow(clippy::unwrap_used, reason = "helpers of tests panic like tests")]

use std::fs;
use std::process::Command;

use adit_slots::verity::{BLOCK_BYTES, Salt, VerityError, tree_blocks};
use adit_slots::{Tree, TreeBuilder};
use proptest::prelude::*;

const SALTS: [Salt; 3] = [[0; 32], [0xa5; 32], *b"0123456789abcdef0123456789ABCDEF"];

/// An image whose blocks all differ.
fn image(blocks: usize) -> Vec<u8> {
    let mut seed = blocks as u64 + 1;
    let mut bytes = vec![0; blocks * BLOCK_BYTES];
    for word in bytes.chunks_exact_mut(8) {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        word.copy_from_slice(&seed.to_be_bytes());
    }
    bytes
}

fn tree(image: &[u8], salt: Salt) -> Tree {
    let mut builder = TreeBuilder::new(salt);
    builder.push(image);
    builder.finish().unwrap()
}

/// Root hash and tree as the reference tool makes them.
fn veritysetup(image: &[u8], salt: &Salt) -> (String, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let (data, tree) = (folder.path().join("data"), folder.path().join("tree"));
    fs::write(&data, image).unwrap();
    fs::write(&tree, []).unwrap();
    let mut command = Command::new("veritysetup");
    command.args(["format", "--no-superblock", "--hash=sha256", "--format=1"]);
    command.args(["--data-block-size=4096", "--hash-block-size=4096"]);
    command.arg(format!("--salt={}", hex::encode(salt))).arg(&data).arg(&tree);
    let output = command.output().unwrap_or_else(|e| panic!("{e}: apt-get install cryptsetup-bin"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let root = text.lines().find_map(|line| line.strip_prefix("Root hash:")).unwrap().trim().to_owned();
    (root, fs::read(&tree).unwrap())
}

#[test]
fn trees_and_root_hashes_equal_those_of_veritysetup() {
    for blocks in [1, 2, 3, 127, 128, 129, 255, 256, 1000, 16_383, 16_384, 16_385] {
        let salts = if blocks > 1000 { &SALTS[..1] } else { &SALTS[..] };
        for salt in salts {
            let image = image(blocks);
            let (root, bytes) = veritysetup(&image, salt);
            let ours = tree(&image, *salt);
            assert_eq!(hex::encode(ours.root_hash()), root, "{blocks} blocks");
            assert!(ours.bytes() == bytes, "{blocks} blocks: the trees differ");
            assert_eq!(bytes.len() as u64, tree_blocks(blocks as u64) * BLOCK_BYTES as u64);
        }
    }
}

#[test]
fn an_image_that_is_empty_or_ends_inside_a_block_has_no_tree() {
    assert_eq!(TreeBuilder::new(SALTS[0]).finish().unwrap_err(), VerityError::DataBlocks(0));
    let mut builder = TreeBuilder::new(SALTS[0]);
    builder.push(&[0; BLOCK_BYTES + 1]);
    assert_eq!(builder.finish().unwrap_err(), VerityError::PartialBlock(4097));
}

#[test]
fn every_data_block_is_accepted_in_its_place_only() {
    let image = image(300);
    let tree = tree(&image, SALTS[1]);
    for (index, block) in image.chunks(BLOCK_BYTES).enumerate() {
        let index = index as u64;
        assert_eq!(tree.verify_block(index, block), Ok(()));
        assert_eq!(
            tree.verify_block((index + 1) % 300, block),
            Err(VerityError::DataBlock((index + 1) % 300))
        );
    }
    let missing = VerityError::NoSuchBlock { index: 300, data_blocks: 300 };
    assert_eq!(tree.verify_block(300, &image[..BLOCK_BYTES]), Err(missing));
    assert_eq!(tree.verify_block(0, &image[..100]), Err(VerityError::DataBlock(0)));
}

#[test]
fn a_tree_of_the_reference_tool_is_verified_against_its_root_hash() {
    for blocks in [1, 2, 129, 16_385] {
        let image = image(blocks);
        let (root, bytes) = veritysetup(&image, &SALTS[1]);
        let root = hex::decode(root).unwrap().try_into().unwrap();
        let tree = Tree::verified(SALTS[1], root, blocks as u64, bytes).unwrap();
        let last = blocks - 1;
        assert_eq!(tree.verify_block(last as u64, &image[last * BLOCK_BYTES..]), Ok(()));
    }
}

#[test]
fn a_tree_of_another_length_is_refused() {
    let good = tree(&image(130), SALTS[0]);
    for bytes in [vec![], good.bytes()[BLOCK_BYTES..].to_vec(), [good.bytes(), &[0]].concat()] {
        let found = bytes.len() as u64;
        let expected = VerityError::TreeLength { found, expected: 12_288, data_blocks: 130 };
        assert_eq!(Tree::verified(SALTS[0], *good.root_hash(), 130, bytes), Err(expected));
    }
    let too_many = Tree::verified(SALTS[0], *good.root_hash(), u64::MAX, vec![]);
    assert_eq!(too_many, Err(VerityError::DataBlocks(u64::MAX)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pieces_of_any_size_make_the_same_tree(
        blocks in 1..20_usize, cuts in proptest::collection::vec(1..9000_usize, 0..20)
    ) {
        let image = image(blocks);
        let mut builder = TreeBuilder::new(SALTS[1]);
        let mut rest = &image[..];
        for cut in cuts {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            builder.push(piece);
            rest = after;
        }
        builder.push(rest);
        prop_assert_eq!(builder.finish().unwrap(), tree(&image, SALTS[1]));
    }

    #[test]
    fn any_flipped_bit_of_the_tree_names_its_hash_block(bit in 0..3 * BLOCK_BYTES * 8) {
        let good = tree(&image(130), SALTS[1]);
        let mut bytes = good.bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let refused = Tree::verified(SALTS[1], *good.root_hash(), 130, bytes);
        prop_assert_eq!(refused, Err(VerityError::HashBlock((bit / 8 / BLOCK_BYTES) as u64)));
    }
}
