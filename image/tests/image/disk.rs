//! The disk image and what stands beside it for QEMU, judged by other people's readers.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::support::{BENCH, build_slot, folder, judge};
use adit_image::disk::{self, DiskInputs};
use adit_image::{SlotFiles, qemu};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Name, first byte and length of every partition, as sfdisk reads the table.
fn partitions(image: &Path) -> Vec<(String, u64, u64)> {
    let json: serde_json::Value = serde_json::from_str(&judge("sfdisk", &["--json", text(image)])).unwrap();
    let table = &json["partitiontable"];
    assert_eq!(table["label"], "gpt");
    let entries = table["partitions"].as_array().unwrap();
    let number = |entry: &serde_json::Value, key: &str| entry[key].as_u64().unwrap() * 512;
    let name = |entry: &serde_json::Value| entry["name"].as_str().unwrap().to_owned();
    entries.iter().map(|entry| (name(entry), number(entry, "start"), number(entry, "size"))).collect()
}

/// The first `bytes` bytes of a partition.
fn content(image: &Path, partition: &str, bytes: usize) -> Vec<u8> {
    let (_, start, _) =
        partitions(image).into_iter().find(|(name, _, _)| name == partition).expect("the partition is there");
    let mut file = File::open(image).unwrap();
    file.seek(SeekFrom::Start(start)).unwrap();
    let mut content = vec![0; bytes];
    file.read_exact(&mut content).unwrap();
    content
}

/// A disk with two different releases and a configuration.
fn build(name: &str) -> (PathBuf, [SlotFiles; 2]) {
    let [a, b] = ["1.0.0", "2.0.0"].map(|version| {
        let here = folder(&format!("{name}-{version}"));
        build_slot(&here, version, Some(("etc/version", version.as_bytes()))).unwrap()
    });
    let config = a.folder.join("adit.toml");
    fs::write(&config, "anything\n").unwrap();
    let image = a.folder.join("disk.img");
    let inputs = DiskInputs {
        board: &BENCH.board,
        slot_a: &a,
        slot_b: &b,
        boot_state: disk::fresh_boot_state(),
        config: Some(&config),
        built: 1_800_000_000,
    };
    disk::build(&inputs, &image).unwrap();
    (image, [a, b])
}

#[test]
fn the_partition_table_is_the_boards_and_sfdisk_finds_no_fault() {
    let (image, _) = build("table");
    let verdict = judge("sfdisk", &["--verify", text(&image)]);
    assert!(verdict.contains("No errors detected."), "{verdict}");
    let mib = |n: u64| n << 20;
    let expected = [
        ("loader", 1, 16),
        ("bootstate", 17, 1),
        ("boot_a", 18, 12),
        ("root_a", 30, 32),
        ("boot_b", 62, 12),
        ("root_b", 74, 32),
        ("data", 106, 64),
    ];
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, start, length)| ((*name).to_owned(), mib(*start), mib(*length)))
        .collect();
    assert_eq!(partitions(&image), expected);
}

#[test]
fn each_slot_holds_its_own_release() {
    let (image, slots) = build("slots");
    for (slot, letter) in slots.iter().zip(["a", "b"]) {
        for (kind, path) in [("boot", slot.boot()), ("root", slot.root())] {
            let wanted = fs::read(path).unwrap();
            assert!(content(&image, &format!("{kind}_{letter}"), wanted.len()) == wanted, "{kind}_{letter}");
        }
    }
}

#[test]
fn fw_printenv_reads_both_copies_of_the_boot_state() {
    let (image, slots) = build("state");
    let (_, start, _) = partitions(&image).into_iter().find(|(name, _, _)| name == "bootstate").unwrap();
    for (offset, sequence) in [(0, "1"), (512 << 10, "2")] {
        let config = slots[0].folder.join("fw_env.config");
        fs::write(&config, format!("{} {:#x} 0x1000\n", text(&image), start + offset)).unwrap();
        let printed = judge("fw_printenv", &["-c", text(&config)]);
        let mut lines: Vec<_> = printed.lines().collect();
        lines.sort_unstable();
        let sequence = format!("BOOT_SEQ={sequence}");
        assert_eq!(lines, ["BOOT_A_LEFT=3", "BOOT_B_LEFT=3", "BOOT_ORDER=A B", &sequence]);
    }
}

#[test]
fn the_loader_partition_is_fat_with_script_and_configuration() {
    let (image, slots) = build("loader");
    let volume = slots[0].folder.join("loader");
    fs::write(&volume, content(&image, "loader", 16 << 20)).unwrap();
    judge("fsck.fat", &["-n", text(&volume)]);
    assert_eq!(judge("mtype", &["-i", text(&volume), "::adit.toml"]), "anything\n");
    let script = slots[0].folder.join("boot.scr");
    judge("mcopy", &["-n", "-i", text(&volume), "::boot.scr", text(&script)]);
    let list = judge("dumpimage", &["-l", text(&script)]);
    assert!(list.contains("AArch64 Linux Script (uncompressed)"), "{list}");
}

#[test]
fn the_data_partition_is_a_clean_ext4() {
    let (image, slots) = build("data");
    let volume = slots[0].folder.join("data");
    fs::write(&volume, content(&image, "data", 64 << 20)).unwrap();
    judge("e2fsck", &["-f", "-n", text(&volume)]);
}

#[test]
fn the_disk_is_the_same_every_time_and_takes_only_the_space_of_its_content() {
    let (first, _) = build("same-1");
    let (second, _) = build("same-2");
    assert!(fs::read(&first).unwrap() == fs::read(&second).unwrap(), "two builds differ");
    let metadata = fs::metadata(&first).unwrap();
    assert_eq!(metadata.len(), 171 << 20);
    assert!(metadata.blocks() * 512 < 16 << 20, "{} blocks", metadata.blocks());
}

#[test]
fn u_boot_gets_its_environment_and_the_public_key_alone() {
    let here = folder("qemu");
    let (flash, tree, config) = (here.join("flash.img"), here.join("control.dtb"), here.join("config"));
    let emulated = BENCH.board.qemu.as_ref().unwrap();
    qemu::flash(&BENCH.board, emulated, &flash).unwrap();
    assert_eq!(fs::metadata(&flash).unwrap().len(), 64 << 20);
    fs::write(&config, format!("{} 0x0 0x40000\n", text(&flash))).unwrap();
    let printed = judge("fw_printenv", &["-c", text(&config), "-n", "bootcmd"]);
    assert!(printed.contains("boot.scr"), "{printed}");

    qemu::control_tree(&BENCH.board, &BENCH.key, &tree).unwrap();
    assert_eq!(judge("fdtget", &[text(&tree), "/signature/key-adit", "required"]), "conf\n");
    let properties = judge("fdtget", &["-p", text(&tree), "/signature/key-adit"]);
    assert!(properties.contains("rsa,modulus") && !properties.contains("private"), "{properties}");
}

#[test]
fn qemus_arguments_name_the_files_and_leave_nothing_to_fill_in() {
    let emulated = BENCH.board.qemu.as_ref().unwrap();
    let path = Path::new("/somewhere");
    let files = qemu::QemuFiles { control_tree: path, flash: path, disk: path, http: 8080 };
    let arguments = qemu::arguments(&BENCH.board, emulated, &files).unwrap();
    assert!(arguments.iter().any(|argument| argument.ends_with("file=/somewhere")));
    assert!(arguments.iter().any(|argument| argument.ends_with("hostfwd=tcp:127.0.0.1:8080-:80")));
    assert!(!arguments.iter().any(|argument| argument.contains(['{', '}'])), "{arguments:?}");
    let chain = qemu::serial_port(2, qemu::FarEnd::Client(path)).unwrap().join(" ");
    assert_eq!(chain, "-chardev socket,id=chain2,path=/somewhere");
    assert!(qemu::serial_port(2, qemu::FarEnd::Client(Path::new("/some,where"))).is_err());
    let comma = qemu::QemuFiles { disk: Path::new("/some,where"), ..files };
    assert!(qemu::arguments(&BENCH.board, emulated, &comma).is_err());
}
