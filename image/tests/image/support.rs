//! Makes slots without a kernel build or a compiler: their content does not matter to those who judge the form.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use adit_image::{Board, Cache, Program, Result, SigningKey, SlotFiles, SlotInputs, SourceTree, slot};
use adit_slots::manifest::Release;
use tempfile::TempDir;

/// One folder, one key (making it takes seconds) and one board for all tests of a file.
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) board: Board,
    pub(crate) key: SigningKey,
}

pub(crate) static BENCH: LazyLock<Bench> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(Some(&folder.path().join("cache"))).unwrap();
    let tree = SourceTree::containing(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    Bench {
        board: tree.board("qemu-aarch64").unwrap(),
        key: SigningKey::development(&cache).unwrap(),
        folder,
    }
});

/// The head of a static ELF executable for this machine number, and nothing to run.
pub(crate) fn executable(machine: u16) -> Vec<u8> {
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(64, 0);
    elf[18..20].copy_from_slice(&machine.to_le_bytes());
    elf
}

pub(crate) const AARCH64: u16 = 183;

/// Bytes that do not compress.
pub(crate) fn noise(bytes: usize) -> Vec<u8> {
    let mut seed = 1_u64;
    let next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 56) as u8
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

/// Writes a slot's ingredients below `folder`, in which `file` (if any) is the only file of the overlay, and builds it.
pub(crate) fn build_slot(folder: &Path, version: &str, file: Option<(&str, &[u8])>) -> Result<SlotFiles> {
    let (kernel, init, overlay) = (folder.join("Image"), folder.join("init"), folder.join("overlay"));
    fs::create_dir_all(overlay.join("etc/adit")).unwrap();
    fs::write(&kernel, noise(100_000)).unwrap();
    fs::write(&init, [executable(AARCH64), noise(200_000)].concat()).unwrap();
    if let Some((name, content)) = file {
        let place = overlay.join(name);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, content).unwrap();
    }
    build(folder, version, &[Program { destination: "/sbin/adit-init".into(), file: init }], &kernel)
}

pub(crate) fn build(folder: &Path, version: &str, programs: &[Program], kernel: &Path) -> Result<SlotFiles> {
    build_for(&BENCH.board, folder, version, programs, kernel)
}

pub(crate) fn build_for(
    board: &Board,
    folder: &Path,
    version: &str,
    programs: &[Program],
    kernel: &Path,
) -> Result<SlotFiles> {
    let inputs = SlotInputs {
        board,
        release: Release { version: version.to_owned(), built: 1_800_000_000 },
        kernel,
        programs,
        overlays: &[folder.join("overlay")],
        key: &BENCH.key,
    };
    slot::build(&inputs, &folder.join("slot"))
}

/// The board with one text of its `board.toml` replaced.
pub(crate) fn altered_board(from: &str, to: &str) -> Result<Board> {
    let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("boards");
    let folder = tempfile::tempdir_in(BENCH.folder.path()).unwrap().keep();
    let board = folder.join("image/boards/qemu-aarch64");
    fs::create_dir_all(&board).unwrap();
    fs::copy(original.join("qemu-aarch64/board.dts"), board.join("board.dts")).unwrap();
    let text = fs::read_to_string(original.join("qemu-aarch64/board.toml")).unwrap();
    assert!(text.contains(from), "board.toml has no {from:?}");
    fs::write(board.join("board.toml"), text.replacen(from, to, 1)).unwrap();
    SourceTree::containing(&folder).unwrap().board("qemu-aarch64")
}

/// A fresh folder for one test.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = BENCH.folder.path().join(name);
    fs::create_dir(&folder).unwrap();
    folder
}

/// Standard output of a reference tool, which must succeed.
pub(crate) fn judge(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}: scripts/test installs it"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{program} {args:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}
