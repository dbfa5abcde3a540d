//! A slot's files, judged by the tools of those who will read them.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use crate::support::{
    AARCH64, BENCH, altered_board, build, build_for, build_slot, executable, folder, judge, noise,
};
use adit_image::{Error, Program};
use adit_slots::Manifest;
use sha2::{Digest as _, Sha256};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn veritysetup_verifies_the_root_image_with_what_the_manifest_says() {
    let slot = build_slot(&folder("verity"), "1.0.0", None).unwrap();
    let manifest = Manifest::parse(&fs::read(slot.folder.join("manifest.json")).unwrap()).unwrap();
    let root = &manifest.root;
    let image = slot.root();
    let verify = |hash: &str| {
        let blocks = root.data_blocks;
        let mut command = std::process::Command::new("veritysetup");
        command.args(["verify", "--no-superblock", "--data-block-size=4096", "--hash-block-size=4096"]);
        command.args([&format!("--data-blocks={blocks}"), &format!("--hash-offset={}", root.bytes)]);
        command.arg(format!("--salt={}", hex::encode(root.salt))).args([&image, &image]).arg(hash);
        command.output().unwrap().status.success()
    };
    let hash = hex::encode(root.root_hash);
    assert!(verify(&hash));
    assert!(!verify(&hash.replace(['0', '1'], "2")), "veritysetup accepts anything");
    assert_eq!(fs::metadata(&image).unwrap().len(), root.partition_bytes());
    let fit = fs::read(slot.boot()).unwrap();
    assert_eq!(manifest.boot.sha256, <[u8; 32]>::from(Sha256::digest(&fit)));
}

#[test]
fn the_root_file_system_holds_overlay_programs_and_mount_points_with_fixed_modes() {
    let here = folder("root");
    let overlay = here.join("overlay/etc/adit");
    fs::create_dir_all(&overlay).unwrap();
    fs::write(overlay.join("secret"), "x").unwrap();
    fs::set_permissions(overlay.join("secret"), fs::Permissions::from_mode(0o777)).unwrap();
    let slot = build_slot(&here, "1.2.3", Some(("etc/sysctl.conf", b"a=1\n"))).unwrap();
    let unpacked = here.join("unpacked");
    judge("fsck.erofs", &[&format!("--extract={}", text(&unpacked)), "--preserve-perms", text(&slot.root())]);
    for name in ["data", "dev", "proc", "run", "sys", "tmp"] {
        assert!(unpacked.join(name).is_dir(), "{name} is no folder");
    }
    assert_eq!(fs::read(unpacked.join("etc/sysctl.conf")).unwrap(), b"a=1\n");
    let mode = |name: &str| fs::metadata(unpacked.join(name)).unwrap().permissions().mode() & 0o7777;
    let modes = ["etc", "etc/adit/secret", "sbin/adit-init"].map(mode);
    assert_eq!(modes, [0o755, 0o644, 0o755]);
    let release: serde_json::Value =
        serde_json::from_slice(&fs::read(unpacked.join("etc/adit/release.json")).unwrap()).unwrap();
    assert_eq!(release["version"], "1.2.3");
    assert_eq!(release["built"], 1_800_000_000);
}

#[test]
fn each_device_tree_of_the_boot_image_names_the_root_hash_and_its_own_slot() {
    let here = folder("fit");
    let slot = build_slot(&here, "1.0.0", None).unwrap();
    let tree = here.join("tree");
    for (position, own, other) in [("1", "a", "b"), ("2", "b", "a")] {
        judge("dumpimage", &["-T", "flat_dt", "-p", position, "-o", text(&tree), text(&slot.boot())]);
        let line = judge("fdtget", &[text(&tree), "/chosen", "bootargs"]);
        let hash = hex::encode(slot.manifest.root.root_hash);
        assert!(line.contains(&format!("PARTLABEL=root_{own} PARTLABEL=root_{own} 4096 4096")), "{line}");
        assert!(line.contains(&hash) && line.contains(&format!("adit.slot={own} ")), "{line}");
        assert!(!line.contains(&format!("root_{other}")) && !line.contains(['{', '}']), "{line}");
    }
    let list = judge("dumpimage", &["-l", text(&slot.boot())]);
    assert_eq!(list.matches("sha256,rsa4096:adit").count(), 2, "{list}");
    assert!(!list.contains("Default Configuration"), "{list}");
}

#[test]
fn the_same_inputs_make_the_same_bytes_and_another_release_does_not() {
    let [first, second, third] = ["1.0.0", "1.0.0", "1.0.1"].map(|version| {
        let here =
            folder(&format!("same-{}", tempfile::tempdir().unwrap().path().display()).replace('/', "_"));
        build_slot(&here, version, Some(("etc/file", b"content"))).unwrap()
    });
    for name in ["boot.itb", "root.img", "manifest.json"] {
        let bytes = |slot: &adit_image::SlotFiles| fs::read(slot.folder.join(name)).unwrap();
        assert!(bytes(&first) == bytes(&second), "{name} differs between two builds");
        assert!(bytes(&first) != bytes(&third), "{name} is the same for another release");
    }
}

#[test]
fn programs_that_could_not_run_are_refused() {
    let here = folder("programs");
    let (kernel, file) = (here.join("Image"), here.join("program"));
    fs::create_dir(here.join("overlay")).unwrap();
    fs::write(&kernel, "kernel").unwrap();
    for (bytes, complaint) in [
        (executable(62), "is for ELF machine 62"),
        (b"#!/bin/sh\n".to_vec(), "is not a little-endian ELF executable"),
    ] {
        fs::write(&file, bytes).unwrap();
        let program = Program { destination: "/sbin/adit-init".into(), file: file.clone() };
        let error = build(&here, "1.0.0", &[program], &kernel).unwrap_err().to_string();
        assert!(error.contains(complaint), "{error}");
    }
}

#[test]
fn a_link_in_an_overlay_is_refused() {
    let here = folder("link");
    fs::create_dir(here.join("overlay")).unwrap();
    symlink("/etc/passwd", here.join("overlay/passwd")).unwrap();
    let error = build_slot(&here, "1.0.0", None).unwrap_err().to_string();
    assert!(error.contains("overlay/passwd: is neither a file nor a folder"), "{error}");
}

#[test]
fn a_machine_profile_that_the_driver_would_refuse_makes_no_image() {
    let here = folder("profile");
    let good = include_str!("../../../overlay/etc/adit/machines/qemu-bitaxe.toml");
    let place = "etc/adit/machines/qemu-bitaxe.toml";
    build_slot(&here, "1.0.0", Some((place, good.as_bytes()))).unwrap();
    let table = [
        (
            "chip = \"BM1370\"",
            "chip = \"BM9999\"",
            "board.0.chain.chip: \"BM9999\" is not a known chip; known: ",
        ),
        ("max_chip_celsius = ", "max_chip_celsius = 9", "temperature.max_chip_celsius: 9"),
        ("min_rpm = ", "min_rmp = ", "unknown field `min_rmp`, expected one of "),
    ];
    for (right, wrong, complaint) in table {
        assert!(good.contains(right), "{right}");
        let text = good.replacen(right, wrong, 1);
        let line = 1 + text[..text.find(wrong).unwrap()].matches('\n').count();
        let error = build_slot(&here, "1.0.0", Some((place, text.as_bytes()))).unwrap_err().to_string();
        assert!(error.contains(&format!("{place}:{line}: {complaint}")), "{error}");
    }
    // What is no profile is none of the driver's business.
    build_slot(&folder("no-profile"), "1.0.0", Some(("etc/adit/machines/notes.txt", b"="))).unwrap();
}

#[test]
fn what_does_not_fit_its_place_is_refused_with_both_sizes() {
    let small = altered_board("compressed_bytes_max = 5_242_880", "compressed_bytes_max = 1000").unwrap();
    let here = folder("large");
    let (kernel, init) = (here.join("Image"), here.join("init"));
    fs::create_dir(here.join("overlay")).unwrap();
    fs::write(&kernel, noise(2000)).unwrap();
    fs::write(&init, [executable(AARCH64), noise(2 << 20)].concat()).unwrap();
    let program = || [Program { destination: "/sbin/adit-init".into(), file: init.clone() }];
    let error = build_for(&small, &here, "1.0.0", &program(), &kernel).unwrap_err();
    assert!(matches!(&error, Error::TooLarge { what, limit: 1000, .. } if what == "the compressed kernel"));

    let text = "name = \"root_a\"\nmib = 32";
    let small = altered_board(text, &text.replace("32", "1")).unwrap_err().to_string();
    assert!(small.contains("root_a and root_b differ in size"), "{small}");
}

#[test]
fn a_release_name_that_the_manifest_cannot_carry_is_refused() {
    let error = build_slot(&folder("release"), "next try", None).unwrap_err();
    assert!(matches!(error, Error::Manifest(_)), "{error}");
}

#[test]
fn a_development_key_is_for_its_owner_alone_and_stays_the_same() {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = BENCH.key.folder();
    assert_eq!((mode(folder), mode(&folder.join("adit.key"))), (0o700, 0o600));
    let cache = adit_image::Cache::open(Some(&BENCH.folder.path().join("cache"))).unwrap();
    let before = fs::read(folder.join("adit.key")).unwrap();
    let again = adit_image::SigningKey::development(&cache).unwrap();
    assert_eq!(fs::read(again.folder().join("adit.key")).unwrap(), before);
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let here = folder("key");
    for name in ["adit.key", "adit.crt"] {
        fs::write(here.join(name), "x").unwrap();
    }
    fs::set_permissions(here.join("adit.key"), fs::Permissions::from_mode(0o640)).unwrap();
    let error = adit_image::SigningKey::open(&here).unwrap_err().to_string();
    assert!(error.ends_with("adit.key: can be read by others (mode 640): chmod 600 it"), "{error}");
}
