//! `board.toml`: what is wrong in it is named with its place.

use crate::support::altered_board;

#[test]
fn mistakes_in_a_board_file_are_named() {
    for (from, to, complaint) in [
        ("layout = 1", "layuot = 1", "board.toml:8: unknown field `layuot`"),
        ("layout = 1", "layout = \"1\"", "board.toml:8: invalid type"),
        ("name = \"qemu-aarch64\"", "name = \"qemu\"", "name is \"qemu\", its folder says \"qemu-aarch64\""),
        ("name = \"data\"", "name = \"date\"", "there is no partition data"),
        ("name = \"data\"", "name = \"root_b\"", "there are several partitions root_b"),
        ("mib = 16", "mib = 0", "partition loader has 0 MiB"),
        ("content = \"fat\"", "content = \"ext4\"", "partition loader has content Ext4"),
        ("content = \"fat\"", "content = \"ntfs\"", "unknown variant `ntfs`"),
    ] {
        let error = altered_board(from, to).unwrap_err().to_string();
        assert!(error.contains(complaint), "{from:?} -> {to:?}: {error}");
    }
}

#[test]
fn a_board_that_is_not_there_is_answered_with_those_that_are() {
    let tree = adit_image::SourceTree::containing(std::path::Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    let error = tree.board("qemu-arm").unwrap_err().to_string();
    assert!(error.starts_with("\"qemu-arm\": is no board; there are "), "{error}");
    assert!(error.contains("qemu-aarch64"), "{error}");
}
