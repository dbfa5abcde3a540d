//! Boards without a clock, or with a wrong one.

use std::{
    net::UdpSocket,
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use adit_lab::{
    qemu::Said,
    site::{Backend, Effort, HOST_SEEN_FROM_UNIT, Rig},
};
use adit_pool::{Authority, TlsFront};

use crate::support::{BOOT, Disk, release, shares};

/// 2026-01-01, before which nothing was built.
const EARLIEST: &str = "2026-01-01T00:00:00Z";

/// Debian's NTP server on this computer's loopback. It leaves this computer's clock alone.
struct Chrony {
    child: Child,
    port: u16,
}

impl Chrony {
    fn start() -> Self {
        Self::start_at(free_port())
    }

    fn start_at(port: u16) -> Self {
        // In a user namespace it may be what it wants to be, root, and has its usual folder to itself.
        let script = "mount -t tmpfs tmpfs /run && mkdir /run/chrony && exec chronyd -x -d -u root \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]);
        command.args(["local stratum 3", "allow 127.0.0.0/8", "bindaddress 127.0.0.1", "cmdport 0"]);
        command.args(["bindcmdaddress /", "pidfile /run/chrony/chronyd.pid"]).arg(format!("port {port}"));
        let found =
            Command::new("sh").args(["-c", "command -v chronyd"]).stdout(Stdio::null()).status().unwrap();
        assert!(found.success(), "chronyd is not in the path; scripts/test unpacks Debian's");
        let child =
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("unshare is in util-linux");
        Self { child, port }
    }
}

impl Drop for Chrony {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Of the loopback, for UDP.
fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn utc(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let output =
        Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ", "-d", &format!("@{seconds}")]).output();
    String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
}

/// A unit that mines here, asks one time server, and nobody outside.
fn disk(backend: &Backend, ntp_port: u16) -> Disk {
    disk_for(&backend.unit_config(), ntp_port)
}

/// The same with another pool.
fn disk_for(pool: &str, ntp_port: u16) -> Disk {
    let config = format!(
        "{pool}\n[network]\nntp = [\"{HOST_SEEN_FROM_UNIT}:{ntp_port}\"]\nroughtime = [\"{HOST_SEEN_FROM_UNIT}:1 {}\"]\n",
        // A server that nobody runs, and the key of a real one.
        "S3AzfZJ5CjSdkJ21ZJGbxqdYP/SoE8fXKY0+aicsehI="
    );
    Disk::fresh(release(), Some(&config))
}

/// `key=value` of the first line that contains `words`.
async fn said(rig: &Rig, words: &str, keys: [&str; 2]) -> [String; 2] {
    let (line, _) = rig
        .unit
        .wait_from(0, BOOT * 2, words, |said| said.line.contains(words).then(|| said.line.clone()))
        .await
        .unwrap();
    keys.map(|key| {
        let value = line.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        value.unwrap_or_else(|| panic!("no {key} in {line}")).to_owned()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_that_wakes_up_in_1970_mines_is_set_right_and_remembers_the_time() {
    let chrony = Chrony::start();
    let backend = Backend::start(None, Effort::default(), None).await.unwrap();
    let disk = disk(&backend, chrony.port);
    let before = utc(SystemTime::now());
    let rig = disk.boot_at(release(), "1970-01-01T00:00:00");
    let [from, to] = said(&rig, "adit_network: clock set", ["from", "to"]).await;
    let after = utc(SystemTime::now());
    assert!(EARLIEST <= from.as_str() && from < to, "{from} {to}");
    assert!(before <= to && to <= after, "{to} is not between {before} and {after}");
    let [trust, sources] = said(&rig, "adit_network: clock set", ["trust", "sources"]).await;
    assert_eq!((trust.as_str(), sources.as_str()), ("unauthenticated", HOST_SEEN_FROM_UNIT));
    rig.accepted_share(BOOT * 2).await.unwrap();

    // What was saved has reached the card when its first digits are there; nothing else on it begins so.
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let start = format!("clock {}", seconds / 100_000);
    let deadline = Instant::now() + BOOT;
    while !disk.read("data").windows(start.len()).any(|bytes| bytes == start.as_bytes()) {
        assert!(Instant::now() < deadline, "no saved time\n{}", rig.unit.tail(30));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    rig.stop().await;
    drop(chrony);

    let rig = disk.boot_at(release(), "1970-01-01T00:00:00");
    let [_, again] = said(&rig, "trust=none sources=saved", ["from", "to"]).await;
    assert!(to <= again, "{again} is before {to}");
    rig.stop().await;
    backend.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_a_year_ahead_does_not_stop_mining() {
    let backend = Backend::start(None, Effort::default(), None).await.unwrap();
    // Nobody is there to correct it.
    let disk = disk(&backend, 1);
    let ahead = utc(SystemTime::now() + Duration::from_secs(365 * 86_400));
    let rig = disk.boot_at(release(), ahead.trim_end_matches('Z'));
    rig.accepted_share(BOOT * 2).await.unwrap();
    let (all, _) = rig.unit.said_since(0);
    assert!(!all.iter().any(|said| said.line.contains("clock set")), "{}", rig.unit.tail(30));
    assert!(!all.iter().any(|said| said.line.contains("clock put forward")), "{}", rig.unit.tail(30));
    assert_eq!(backend.pool.state().shares_rejected, 0);
    rig.stop().await;
    backend.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_that_wakes_up_in_1970_mines_over_tls_as_soon_as_a_time_source_has_answered() {
    let backend = Backend::start(None, Effort::default(), None).await.unwrap();
    let images = release();
    // A unit believes no time before that of its release's commit, which may be seconds old: the certificate begins later than such a unit needs for its attempts.
    let begin = SystemTime::now() + Duration::from_secs(60);
    let authority = Authority::new().unwrap();
    let names = format!("IP:{HOST_SEEN_FROM_UNIT}");
    let certificate = authority.certificate(&names, begin, begin + Duration::from_secs(86_400)).unwrap();
    let front = TlsFront::start(&certificate, backend.pool.address(), &[]).unwrap();
    let url = format!("stratum+ssl://{HOST_SEEN_FROM_UNIT}:{}", front.port());
    let pool = format!(
        "version = 1\n[[pool]]\nurl = \"{url}\"\nuser = \"lab.unit\"\nauthority = \"\"\"\n{}\"\"\"\n",
        authority.pem().unwrap()
    );
    let ntp_port = free_port();
    let disk = disk_for(&pool, ntp_port);
    let rig = disk.boot_at(images, "1970-01-01T00:00:00");

    let early = format!("adit_miner: pool url={url} state=lost reason=\"certificate not valid before ");
    let mut attempts = 0;
    // After five the pause is 8 to 16 s.
    let fifth = |said: &Said| {
        attempts += u32::from(said.line.contains(&early));
        (attempts == 5).then(|| said.line.clone())
    };
    let (line, _) = rig.unit.wait_from(0, BOOT * 2, "five attempts", fifth).await.unwrap();
    assert!(line.contains(&utc(begin)) && line.contains("this unit's clock says 20"), "{line}");
    assert_eq!(backend.pool.state().connections, 0, "nothing of a miner has come through");

    tokio::time::sleep(begin.duration_since(SystemTime::now()).unwrap_or_default() + Duration::from_secs(1))
        .await;
    let start = rig.unit.now();
    let chrony = Chrony::start_at(ntp_port);
    let at = |said: &Said, words: &str| said.line.contains(words).then_some(said.at);
    let (set, cursor) = rig
        .unit
        .wait_from(start, BOOT, "clock set", |said| at(said, "adit_network: clock set"))
        .await
        .unwrap();
    let (again, _) =
        rig.unit.wait_from(cursor, BOOT, "attempt", |said| at(said, "state=connecting")).await.unwrap();
    assert!(again - set < Duration::from_secs(5), "{:?}", again - set);
    shares(&backend, &rig, 0, BOOT).await;
    assert!(set.elapsed() < Duration::from_secs(30), "{:?}", set.elapsed());
    assert_eq!(backend.pool.state().shares_rejected, 0);
    rig.stop().await;
    drop((chrony, front));
    backend.stop().await;
}
