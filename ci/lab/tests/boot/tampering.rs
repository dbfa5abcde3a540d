//! What must not boot. Slot A is the one tampered with; slot B stays good.

use std::{path::Path, process::Command};

use adit_image::{Cache, SigningKey, SlotFiles};
use adit_lab::{
    console::Event,
    images::{Difference, Images},
    site::Rig,
};
use adit_slots::Slot;

use crate::flattened;
use crate::support::{Disk, copies, release, slots_until_init, state};

const SIGNATURE_OF_A: [&str; 3] = ["configurations", "conf-a", "signature-1"];

/// Two good slots; A has two tries.
fn disk(images: &Images) -> Disk {
    Disk::new(images, [&images.slot, &images.slot], copies(state(Slot::A, 2, 3)), None)
}

fn said(rig: &Rig, wanted: impl Fn(&Event) -> bool) -> bool {
    rig.unit.said_since(0).0.iter().filter_map(|said| said.event.as_ref()).any(wanted)
}

/// Where `wanted` lies in `content`, first time at or after `from`.
fn find(content: &[u8], wanted: &[u8], from: usize) -> usize {
    let found = content[from..].windows(wanted.len()).position(|window| window == wanted);
    from + found.unwrap_or_else(|| panic!("{wanted:02x?} is not there"))
}

async fn refused_by_the_loader(what: &str, disk: &Disk, images: &Images) {
    let rig = disk.boot(images);
    let (started, booted, _) = slots_until_init(&rig, 0).await;
    assert_eq!((started.as_str(), booted.as_str()), ("aab", "b"), "{what}: {}", rig.unit.tail(30));
    assert!(said(&rig, |event| *event == Event::SlotRefused { slot: 'a' }), "{what}: U-Boot did not refuse");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_changed_byte_in_kernel_device_tree_or_command_line_is_refused() {
    let images = release();
    let kernel = disk(images);
    let gzip = find(&kernel.read("boot_a"), &[0x1f, 0x8b, 0x08], 0);
    kernel.flip("boot_a", gzip + 100_000);
    refused_by_the_loader("kernel", &kernel, images).await;

    let tree = disk(images);
    let content = tree.read("boot_a");
    let device_tree = find(&content, &[0xd0, 0x0d, 0xfe, 0xed], 4);
    tree.flip("boot_a", find(&content, b"arm,pl011", device_tree));
    refused_by_the_loader("device tree", &tree, images).await;

    let line = disk(images);
    let content = line.read("boot_a");
    let verity = find(&content, b"restart_on_corruption", 0);
    line.write("boot_a", verity as u64, b"ignore_corruption    ");
    refused_by_the_loader("command line", &line, images).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_boot_image_signed_by_a_stranger_is_refused() {
    let images = release();
    let cache = Cache::open(Some(&images.folder.join("strangers-cache"))).unwrap();
    let stranger = images.signed_by("stranger", &SigningKey::development(&cache).unwrap()).unwrap();
    let signature = |slot: &SlotFiles, property: &str| {
        let fit = std::fs::read(slot.boot()).unwrap();
        fit[flattened::value(&fit, &SIGNATURE_OF_A, property)].to_vec()
    };
    // The same in all but the key: U-Boot finds one of the name that it knows, and it is not the one.
    assert_eq!(signature(&stranger, "key-name-hint"), signature(&images.slot, "key-name-hint"));
    assert_ne!(signature(&stranger, "value"), signature(&images.slot, "value"));
    let disk = Disk::new(images, [&stranger, &images.slot], copies(state(Slot::A, 2, 3)), None);
    refused_by_the_loader("another key", &disk, images).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_signature_is_refused() {
    let images = release();
    let disk = disk(images);
    let value = flattened::value(&disk.read("boot_a"), &SIGNATURE_OF_A, "value");
    assert_eq!(value.len(), 512, "a signature by RSA-4096");
    disk.flip("boot_a", value.start + 100);
    refused_by_the_loader("signature", &disk, images).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_boot_image_leads_to_the_other_slot_even_when_no_try_can_be_counted() {
    let images = release();
    let disk = disk(images);
    let gzip = find(&disk.read("boot_a"), &[0x1f, 0x8b, 0x08], 0);
    disk.flip("boot_a", gzip + 100_000);
    let rig = disk.boot_without_writing_the_state(images);
    let (started, booted, _) = slots_until_init(&rig, 0).await;
    assert_eq!((started.as_str(), booted.as_str()), ("ab", "b"), "{}", rig.unit.tail(30));
    let (said, _) = rig.unit.said_since(0);
    assert!(said.iter().any(|said| said.line == "Adit: boot state not written"), "it was written");
    rig.stop().await;
}

/// A slot with the boot image of one release and the root of another.
fn mixed(images: &Images, boot: &SlotFiles, root: &SlotFiles) -> SlotFiles {
    let folder = images.folder.join("mixed");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(boot.boot(), folder.join("boot.itb")).unwrap();
    std::fs::copy(root.root(), folder.join("root.img")).unwrap();
    SlotFiles { folder, ..root.clone() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kernel_of_one_release_with_the_root_of_another_is_refused() {
    let images = release();
    let other = images.other_slot("next", &Difference { version: ".next", ..Difference::default() }).unwrap();
    assert_ne!(other.manifest.root.root_hash, images.slot.manifest.root.root_hash);
    let mixed = mixed(images, &images.slot, &other);
    let disk = Disk::new(images, [&mixed, &images.slot], copies(state(Slot::A, 2, 3)), None);
    let rig = disk.boot(images);
    let (started, booted, _) = slots_until_init(&rig, 0).await;
    assert_eq!((started.as_str(), booted.as_str()), ("aab", "b"), "{}", rig.unit.tail(30));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_in_the_root_file_system_leads_to_the_other_slot() {
    let images = release();
    let disk = disk(images);
    // EROFS' superblock, which is read at every mount.
    disk.flip("root_a", 1024 + 8);
    let rig = disk.boot(images);
    let (started, booted, _) = slots_until_init(&rig, 0).await;
    assert_eq!((started.as_str(), booted.as_str()), ("aab", "b"), "{}", rig.unit.tail(30));
    assert!(said(&rig, |event| matches!(event, Event::Corruption(_))), "dm-verity said nothing");
    rig.stop().await;
}

/// Where the compressed data in the middle of a file of the root image begins.
fn middle_of(file: &str, root: &Path) -> usize {
    let output = Command::new("dump.erofs").args([&format!("--path={file}"), "-e"]).arg(root).output();
    let text = String::from_utf8(output.expect("erofs-utils is installed").stdout).unwrap();
    // "3:   377383..  470768 |   93385 :    1646592..   1712128 |   65536": where in the file, then where in the image.
    let places: Vec<usize> = text
        .lines()
        .filter_map(|line| line.split(':').nth(2)?.split_once("..")?.0.trim().parse().ok())
        .collect();
    assert!(places.len() > 4, "{file} has only these extents: {text}");
    places[places.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_in_a_program_leads_to_the_other_slot() {
    let images = release();
    let disk = disk(images);
    disk.flip("root_a", middle_of("/sbin/adit-miner", &images.slot.root()) + 1000);
    let rig = disk.boot(images);
    // It mounts and starts; the block is read sooner or later, and every time that costs slot A a try.
    let mut cursor = 0;
    let mut attempts = String::new();
    loop {
        let (started, booted, next) = slots_until_init(&rig, cursor).await;
        attempts.push_str(&started);
        if booted == "b" {
            break;
        }
        assert!(attempts.len() < 6, "slot A starts for ever: {}", rig.unit.tail(30));
        cursor = next;
    }
    assert!(attempts.starts_with('a'), "{attempts}");
    assert!(said(&rig, |event| matches!(event, Event::Corruption(_))), "dm-verity said nothing");
    rig.stop().await;
}
