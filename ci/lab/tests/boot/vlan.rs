//! A unit on a trunk port: what it says and hears carries the VLAN's tag.

use std::time::Duration;

use adit_lab::qemu::Said;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::{sleep, timeout},
};

use crate::support::{BOOT, Disk, release};

/// 802.1Q, VLAN 20, no priority.
const TAG: [u8; 4] = [0x81, 0x00, 0, 20];
const OURS: [u8; 6] = [2, 0, 0, 0, 0, 0x99];

/// Who has 10.7.0.77? Tell 10.7.0.1 (RFC 826), with the tag.
fn question() -> Vec<u8> {
    let arp = [0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1];
    let addresses = [&OURS[..], &[10, 7, 0, 1], &[0; 6], &[10, 7, 0, 77]].concat();
    let mut frame = [&[0xff; 6][..], &OURS, &TAG, &arp, &addresses].concat();
    frame.resize(64, 0);
    frame
}

/// The next frame that the unit sends. Each comes with its length before it.
async fn frame(sent: &mut UnixStream) -> Vec<u8> {
    let length = sent.read_u32().await.unwrap();
    let mut frame = vec![0; usize::try_from(length).unwrap()];
    sent.read_exact(&mut frame).await.unwrap();
    frame
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configured_vlan_is_on_every_frame_and_its_frames_are_answered() {
    let images = release();
    let config = "version = 1\nname = \"lab\"\n[[pool]]\nurl = \"stratum+tcp://10.7.0.1:1\"\nuser = \"u\"\n\
        [network]\nvlan = 20\naddress = \"10.7.0.77/24\"\n";
    let disk = Disk::fresh(images, Some(config));
    let (rig, [sent, heard]) = disk.boot_wired(images);
    // QEMU makes them before the machine runs.
    let connect = async |path| loop {
        match UnixStream::connect(path).await {
            Ok(stream) => break stream,
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    };
    let (mut sent, mut heard) =
        timeout(BOOT, async { (connect(&sent).await, connect(&heard).await) }).await.unwrap();

    let is_up = |said: &Said| said.line.contains("address 10.7.0.77/24 name=vlan20").then_some(());
    let ask = async {
        rig.unit.wait_from(0, BOOT * 2, "an address on the VLAN", is_up).await.unwrap();
        loop {
            let question = question();
            heard.write_u32(u32::try_from(question.len()).unwrap()).await.unwrap();
            heard.write_all(&question).await.unwrap();
            sleep(Duration::from_secs(1)).await;
        }
    };
    let listen = async {
        let mut others = 0;
        loop {
            let frame = frame(&mut sent).await;
            // The port itself, off until then, asks for IPv6 routers and neighbours as every link does.
            let is_ipv6 = frame[12..14] == [0x86, 0xdd];
            assert!(frame[12..16] == TAG || is_ipv6, "{frame:02x?}");
            let is_answer = frame[..6] == OURS && frame[16..18] == [0x08, 0x06] && frame[24..26] == [0, 2];
            if is_answer {
                assert_eq!(frame[32..36], [10, 7, 0, 77], "{frame:02x?}");
                return others;
            }
            others += 1;
        }
    };
    let answered = timeout(BOOT * 3, async {
        tokio::select! {
            () = ask => 0,
            others = listen => others,
        }
    });
    let others = answered.await.unwrap_or_else(|_| panic!("no answer\n{}", rig.unit.tail(15)));
    assert!(others > 0, "the name's probes come before");
    rig.stop().await;
}
