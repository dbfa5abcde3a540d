//! What things weigh: programs for AArch64 and ARMv7, and what a slot of the emulated board is made of.

use std::{collections::BTreeMap, fmt::Write, path::Path, process::Command};

use adit_image::{
    Cache, Program, SourceTree,
    services::{CrossBuild, PACKAGES, RustStd},
};
use anyhow::{Context, Result, bail};
use serde_json::json;

use super::Measured;
use crate::{
    budgets::{Bench, Figure},
    images::Images,
};

/// The second kind of processor that control boards have; there is no image for one yet.
const ARMV7: &str = "armv7-unknown-linux-musleabihf";
const KIB: f64 = 1024.0;
const MIB: f64 = KIB * KIB;

pub(super) fn measure(armv7: bool) -> Result<Measured> {
    let folder = crate::prepare::out()?;
    let images = Images::prepare(&folder, &[], &[])?;
    let slot = &images.slot;
    let root = slot.manifest.root.partition_bytes();
    let mut table = String::from("size of the slot of qemu-aarch64, bytes:\n");
    for (what, bytes) in [
        ("slot: what an installation writes", slot.bytes()),
        ("  signed boot image (FIT)", slot.manifest.boot.bytes),
        ("    of that, the kernel, compressed", slot.kernel_bytes),
        ("  root file system and its hash tree", root),
    ] {
        writeln!(table, "{what:<40}{bytes:>10}")?;
    }
    let mut figures = vec![
        Figure::new("size.slot", slot.bytes() as f64 / MIB),
        Figure::new("size.root", root as f64 / MIB),
        Figure::new("size.kernel", slot.kernel_bytes as f64 / MIB),
    ];
    let mut programs = BTreeMap::new();

    writeln!(table, "programs for AArch64, bytes:{:>22}{:>14}", "raw", "in the root")?;
    let mut total = 0;
    for program in images.programs() {
        let (name, raw) = weigh(program)?;
        let packed = on_disk(&slot.root(), &program.destination)?;
        writeln!(table, "  {name:<38}{raw:>10}{packed:>14}")?;
        total += raw;
        figures.push(Figure::new(format!("size.aarch64.{name}"), raw as f64 / KIB));
        programs.insert(format!("aarch64/{name}"), json!({ "raw": raw, "packed": packed }));
    }
    writeln!(table, "  {:<38}{total:>10}", "together")?;
    figures.push(Figure::new("size.aarch64.programs", total as f64 / MIB));

    if armv7 {
        let total = of_armv7(&folder.join("programs-armv7"), &mut table, &mut programs)?;
        figures.push(Figure::new("size.armv7.programs", total as f64 / MIB));
    }
    let json = json!({
        "slot_bytes": slot.bytes(),
        "boot_bytes": slot.manifest.boot.bytes,
        "kernel_bytes": slot.kernel_bytes,
        "root_bytes": root,
        "programs": programs,
    });
    Ok(Measured { bench: Bench::Size, table, json, figures, partly: !armv7 })
}

/// Builds the programs with the image's own flags; returns what they weigh together.
fn of_armv7(
    folder: &Path,
    table: &mut String,
    programs: &mut BTreeMap<String, serde_json::Value>,
) -> Result<u64> {
    let tree = SourceTree::containing(Path::new(env!("CARGO_MANIFEST_DIR")))?;
    let cache = Cache::from_environment()?;
    let built = CrossBuild::prepare(&tree, ARMV7, RustStd::Any, &cache)?.build(&PACKAGES, folder)?;
    writeln!(table, "programs for ARMv7, bytes:{:>24}", "raw")?;
    let mut total = 0;
    for program in &built {
        let (name, raw) = weigh(program)?;
        writeln!(table, "  {name:<38}{raw:>10}")?;
        total += raw;
        programs.insert(format!("armv7/{name}"), json!({ "raw": raw }));
    }
    writeln!(table, "  {:<38}{total:>10}", "together")?;
    Ok(total)
}

fn weigh(program: &Program) -> Result<(String, u64)> {
    let file = &program.file;
    let bytes = std::fs::metadata(file).with_context(|| file.display().to_string())?.len();
    let name = file.file_name().context("a program has a name")?.to_string_lossy().into_owned();
    Ok((name, bytes))
}

/// Bytes that a file takes in the root file system, as erofs-utils see it.
fn on_disk(root: &Path, file: &str) -> Result<u64> {
    let output = Command::new("dump.erofs")
        .arg(format!("--path={file}"))
        .arg(root)
        .output()
        .context("dump.erofs does not start; is erofs-utils installed?")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let bytes =
        text.split_once("On-disk size:").and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
    let Some(bytes) = bytes else {
        bail!("dump.erofs says no size of {file}: {}", String::from_utf8_lossy(&output.stderr).trim());
    };
    Ok(bytes)
}
