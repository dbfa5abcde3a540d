//! Which slot boots, and what it takes to get to the other one.

use adit_lab::{console::Event, images::Difference};
use adit_slots::Slot;

use crate::support::{BOOT, Disk, copies, release, slots_until_init, state};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_fit_bytes_boot_from_both_slots() {
    let images = release();
    for (preferred, expected) in [(Slot::A, "a"), (Slot::B, "b")] {
        let disk = Disk::new(images, [&images.slot, &images.slot], copies(state(preferred, 3, 3)), None);
        assert!(disk.read("boot_a") == disk.read("boot_b"), "the two boot partitions differ");
        let rig = disk.boot(images);
        let (started, booted, _) = slots_until_init(&rig, 0).await;
        assert_eq!((started.as_str(), booted.as_str()), (expected, expected));
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_healthy_slot_gets_its_tries_back() {
    let images = release();
    let disk = Disk::new(images, [&images.slot, &images.slot], copies(state(Slot::A, 2, 3)), None);
    let rig = disk.boot(images);
    let (left, _) = rig
        .unit
        .wait_event(0, BOOT, "the boot script", |event| match event {
            Event::Slot { left_a, .. } => Some(*left_a),
            _ => None,
        })
        .await
        .unwrap();
    assert_eq!(left, 1, "the boot script counts down before it jumps");
    rig.unit
        .wait_event(0, BOOT, "ready", |event| match event {
            Event::Timeline { event, .. } if event == "ready" => Some(()),
            _ => None,
        })
        .await
        .unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while disk.boot_state().state.left.a != 3 {
        assert!(std::time::Instant::now() < deadline, "{:?}", disk.boot_state());
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(disk.boot_state().state.left.b, 3);
    rig.stop().await;
}

/// A static AArch64 program that ends at once: `mov x0, #1; mov x8, #93 (exit); svc #0`.
fn program_that_exits() -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const CODE: [u32; 3] = [0xd280_0020, 0xd280_0ba8, 0xd400_0001];
    let size = 64 + 56 + 4 * CODE.len() as u64;
    let mut elf = Vec::new();
    elf.extend(b"\x7fELF\x02\x01\x01");
    elf.resize(16, 0);
    for half in [2_u16, 183] {
        elf.extend(half.to_le_bytes());
    }
    elf.extend(1_u32.to_le_bytes());
    for word in [BASE + 120, 64, 0] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 0, 0, 0] {
        elf.extend(half.to_le_bytes());
    }
    // One segment, readable and executable: the whole file.
    for half in [1_u32, 5] {
        elf.extend(half.to_le_bytes());
    }
    for word in [0, BASE, BASE, size, size, 0x1000] {
        elf.extend(word.to_le_bytes());
    }
    for instruction in CODE {
        elf.extend(instruction.to_le_bytes());
    }
    elf
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slot_b_whose_init_exits_falls_back_to_a_after_its_tries() {
    let images = release();
    let init = images.folder.join("exits");
    std::fs::write(&init, program_that_exits()).unwrap();
    let difference = Difference { version: ".init-exits", init: Some(&init), ..Difference::default() };
    let dead = images.other_slot("init-exits", &difference).unwrap();

    let disk = Disk::new(images, [&images.slot, &dead], copies(state(Slot::B, 3, 3)), None);
    let rig = disk.boot(images);
    let (started, booted, _) = slots_until_init(&rig, 0).await;
    assert_eq!((started.as_str(), booted.as_str()), ("bbba", "a"));
    let (said, _) = rig.unit.said_since(0);
    assert!(
        said.iter().any(|said| matches!(said.event, Some(Event::KernelPanic(_)))),
        "{}",
        rig.unit.tail(30)
    );
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_newest_state_copy_falls_back_to_the_older() {
    let images = release();
    let [older, newest] = [state(Slot::A, 3, 3), state(Slot::B, 3, 3)];
    let older = adit_slots::BootState { sequence: 5, ..older }.encode();
    let mut newest = adit_slots::BootState { sequence: 6, ..newest }.encode();
    newest[20..].fill(0xff);
    for copies in [[older, newest], [newest, older]] {
        let disk = Disk::new(images, [&images.slot, &images.slot], copies, None);
        let rig = disk.boot(images);
        let (sequence, _) = rig
            .unit
            .wait_event(0, BOOT, "the boot script", |event| match event {
                Event::Slot { slot, sequence, .. } => Some((*slot, *sequence)),
                _ => None,
            })
            .await
            .unwrap();
        assert_eq!(sequence, ('a', 6));
        rig.stop().await;
        assert!(disk.boot_state().problems.iter().all(Option::is_none), "the torn copy was not replaced");
    }
}
