//! Disks to tamper with, and units booted from them.

use std::{
    fs::File,
    net::SocketAddr,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::{Duration, Instant},
};

use adit_image::SlotFiles;
use adit_lab::{
    buses::Buses,
    console::Event,
    images::Images,
    machine::Machine,
    site::{Backend, Effort, Rig, RigInputs},
};
use adit_slots::{
    BootState, Slot,
    boot_state::{COPY_BYTES, SECOND_COPY_OFFSET, Tries},
};
use tempfile::TempDir;

/// Emulated, on a busy machine: from power-on to a line of adit-init's.
pub(crate) const BOOT: Duration = Duration::from_secs(90);

static RELEASE: OnceLock<Images> = OnceLock::new();
static WITH_AGENT: OnceLock<Images> = OnceLock::new();
static WITH_DESK: OnceLock<Images> = OnceLock::new();

pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// What is released.
pub(crate) fn release() -> &'static Images {
    RELEASE.get_or_init(|| Images::prepare(&folder("release"), &[], &[]).unwrap())
}

/// The same with the agent in its root.
pub(crate) fn with_agent() -> &'static Images {
    WITH_AGENT.get_or_init(|| Images::prepare(&folder("agent"), &["adit-agent"], &[agent_overlay()]).unwrap())
}

pub(crate) fn agent_overlay() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("overlays/agent")
}

/// … and with machine profiles that are for tests.
pub(crate) fn with_desk() -> &'static Images {
    let overlays =
        ["agent", "desk"].map(|name| Path::new(env!("CARGO_MANIFEST_DIR")).join("overlays").join(name));
    WITH_DESK.get_or_init(|| Images::prepare(&folder("desk"), &["adit-agent"], &overlays).unwrap())
}

/// As of a disk that leaves the workshop (sequence numbers are 1 and 2), but for order and tries.
pub(crate) fn state(preferred: Slot, a: u8, b: u8) -> BootState {
    BootState { sequence: 2, preferred, left: Tries { a, b }, trial: None }
}

/// Both copies of `state`, the older one of a sequence below.
pub(crate) fn copies(state: BootState) -> [[u8; COPY_BYTES]; 2] {
    [BootState { sequence: state.sequence - 1, ..state }.encode(), state.encode()]
}

/// A disk in a folder of its own.
pub(crate) struct Disk {
    folder: TempDir,
    pub(crate) image: PathBuf,
}

impl Disk {
    /// As it leaves the workshop: the images' own slot twice, A first, with all tries.
    pub(crate) fn fresh(images: &Images, config: Option<&str>) -> Self {
        Self::new(images, [&images.slot, &images.slot], adit_image::disk::fresh_boot_state(), config)
    }

    /// Likewise for a unit that drives `machine`.
    pub(crate) fn for_machine(images: &Images, machine: &Machine, config: Option<&str>) -> Self {
        let slot = images.slot_for(machine).unwrap();
        Self::new(images, [&slot, &slot], adit_image::disk::fresh_boot_state(), config)
    }

    pub(crate) fn new(
        images: &Images,
        slots: [&SlotFiles; 2],
        copies: [[u8; COPY_BYTES]; 2],
        config: Option<&str>,
    ) -> Self {
        let folder = tempfile::Builder::new().prefix("adit-unit-").tempdir().unwrap();
        let image = folder.path().join("disk.img");
        images.disk(&image, slots, copies, config).unwrap();
        Self { folder, image }
    }

    /// First byte and length of a partition, from the disk's own table.
    fn place(&self, partition: &str) -> (u64, u64) {
        let table = gpt::GptConfig::new().open(&self.image).unwrap();
        let found = table.partitions().values().find(|found| found.name == partition);
        let found = found.unwrap_or_else(|| panic!("no partition {partition}"));
        (found.first_lba * 512, (found.last_lba - found.first_lba + 1) * 512)
    }

    pub(crate) fn read(&self, partition: &str) -> Vec<u8> {
        let (start, bytes) = self.place(partition);
        let mut content = vec![0; usize::try_from(bytes).unwrap()];
        File::open(&self.image).unwrap().read_exact_at(&mut content, start).unwrap();
        content
    }

    pub(crate) fn write(&self, partition: &str, offset: u64, bytes: &[u8]) {
        let (start, length) = self.place(partition);
        assert!(offset + bytes.len() as u64 <= length);
        File::options().write(true).open(&self.image).unwrap().write_all_at(bytes, start + offset).unwrap();
    }

    /// Turns one bit of the partition's byte at `offset`.
    pub(crate) fn flip(&self, partition: &str, offset: usize) {
        let byte = self.read(partition)[offset];
        self.write(partition, offset as u64, &[byte ^ 1]);
    }

    /// The boot state as the unit left it.
    pub(crate) fn boot_state(&self) -> adit_slots::Loaded {
        let content = self.read("bootstate");
        let second = usize::try_from(SECOND_COPY_OFFSET).unwrap();
        adit_slots::Loaded::from_copies(&content[..COPY_BYTES], &content[second..second + COPY_BYTES])
    }

    pub(crate) fn boot(&self, images: &Images) -> Rig {
        self.boot_through(images, &self.image, &[])
    }

    /// Boots with these buses beside the serial ports.
    pub(crate) fn boot_with_buses(&self, images: &Images, buses: &Buses) -> Rig {
        self.boot_with(images, &Machine::bitaxe(), buses)
    }

    /// Boots with `machine` on the unit's ports and buses.
    pub(crate) fn boot_driving(&self, images: &Images, machine: &Machine) -> Rig {
        self.boot_with(images, machine, &Buses::default())
    }

    /// … and these buses beside its own.
    pub(crate) fn boot_with(&self, images: &Images, machine: &Machine, buses: &Buses) -> Rig {
        self.start(images, &self.image, &[], machine, buses, 0)
    }

    /// Boots with this time (UTC, `2026-02-01T12:00:00`) in the board's clock chip.
    pub(crate) fn boot_at(&self, images: &Images, time: &str) -> Rig {
        self.boot_through(images, &self.image, &["-rtc".to_owned(), format!("base={time}")])
    }

    /// Boots with the two ends of the unit's cable in our hands: what it sends comes out of `sent.sock`, what goes into `heard.sock` it hears. The emulator's own
    /// network hears and talks too.
    pub(crate) fn boot_wired(&self, images: &Images) -> (Rig, [PathBuf; 2]) {
        let sockets = ["sent", "heard"].map(|name| self.folder.path().join(format!("{name}.sock")));
        let mut extra = Vec::new();
        for (name, socket) in ["sent", "heard"].iter().zip(&sockets) {
            let device = format!("socket,id={name},path={},server=on,wait=off", socket.display());
            extra.extend(["-chardev".to_owned(), device]);
        }
        // "rx" is what the emulator's network receives from the unit.
        for filter in [
            "filter-mirror,id=mirror,netdev=net,queue=rx,outdev=sent",
            "filter-redirector,id=inject,netdev=net,queue=tx,indev=heard",
        ] {
            extra.extend(["-object".to_owned(), filter.to_owned()]);
        }
        (self.boot_through(images, &self.image, &extra), sockets)
    }

    /// Boots from a card that has worn out: whatever is written to the boot state's first copy comes back as an error.
    pub(crate) fn boot_without_writing_the_state(&self, images: &Images) -> Rig {
        let (start, _) = self.place("bootstate");
        let faults = self.folder.path().join("faults");
        let text = format!(
            "[inject-error]\nevent = \"none\"\niotype = \"write\"\nerrno = \"5\"\nsector = \"{}\"\n",
            start / 512
        );
        std::fs::write(&faults, text).unwrap();
        self.boot_through(
            images,
            Path::new(&format!("blkdebug:{}:{}", faults.display(), self.image.display())),
            &[],
        )
    }

    /// `disk`: how QEMU names this disk's image.
    fn boot_through(&self, images: &Images, disk: &Path, extra: &[String]) -> Rig {
        self.start(images, disk, extra, &Machine::bitaxe(), &Buses::default(), 0)
    }

    /// Boots with a chip that searches as fast as this computer can.
    pub(crate) fn boot_in_a_hurry(&self, images: &Images) -> Rig {
        self.start(images, &self.image, &[], &Machine::bitaxe(), &Buses::default(), 3)
    }

    fn start(
        &self,
        images: &Images,
        disk: &Path,
        extra: &[String],
        machine: &Machine,
        buses: &Buses,
        hurry_bits: u32,
    ) -> Rig {
        let folder = self.folder.path();
        Rig::start(&RigInputs { images, disk, folder, extra, machine, buses, hurry_bits }).unwrap()
    }
}

/// A unit that mines at a pool with made-up templates, with a share accepted.
pub(crate) async fn mining_unit(images: &Images) -> (Disk, Backend, Rig) {
    let backend = Backend::start(None, Effort::default(), None).await.unwrap();
    let disk = Disk::fresh(images, Some(&backend.unit_config()));
    let rig = disk.boot(images);
    shares(&backend, &rig, 0, BOOT * 2).await;
    (disk, backend, rig)
}

/// Shares accepted by the unit's own count, the first time it is more than `than`.
pub(crate) async fn accepted_more(rig: &Rig, cursor: usize, than: u64) -> (u64, usize) {
    rig.unit
        .wait_event(cursor, BOOT * 2, "another accepted share", |event| match event {
            Event::Hashing { accepted, .. } if *accepted > than => Some(*accepted),
            _ => None,
        })
        .await
        .unwrap()
}

/// Waits until the pool has accepted more than `than` shares.
pub(crate) async fn shares(backend: &Backend, rig: &Rig, than: u64, limit: Duration) {
    let deadline = Instant::now() + limit;
    while backend.pool.state().shares_accepted <= than {
        assert!(Instant::now() < deadline, "no share: {:?}\n{}", backend.pool.state(), rig.unit.tail(30));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Slots that U-Boot started from `cursor` on, in order, up to the first adit-init that says what it booted; then the cursor behind that.
pub(crate) async fn slots_until_init(rig: &Rig, cursor: usize) -> (String, String, usize) {
    let mut started = String::new();
    let (booted, next) = rig
        .unit
        .wait_event(cursor, BOOT * 2, "adit-init", |event| match event {
            Event::Slot { slot, .. } => {
                started.push(*slot);
                None
            }
            Event::Boot(about) => Some(about["slot"].clone()),
            _ => None,
        })
        .await
        .unwrap();
    (started, booted, next)
}

/// One answer of the unit's page, or why there is none; both with an end.
pub(crate) async fn ask(page: SocketAddr, path: &str, accept: &str) -> reqwest::Result<String> {
    let request = reqwest::Client::new().get(format!("http://{page}{path}")).header("accept", accept);
    request.timeout(Duration::from_secs(10)).send().await?.error_for_status()?.text().await
}

/// What a process has taken of the emulated processor since it was started.
pub(crate) async fn processor_ms(rig: &Rig, name: &str) -> u64 {
    let answer = rig.agent("memory").await.unwrap();
    let of = |about: &str| about.strip_prefix(name)?.split_ascii_whitespace().nth(3)?.parse().ok();
    let found = answer.trim_start_matches("ok ").split(", ").find_map(of);
    found.unwrap_or_else(|| panic!("no {name} in {answer}"))
}
