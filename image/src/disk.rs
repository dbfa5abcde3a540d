//! The disk image: a GPT with the loader's FAT, the boot state, both slots and the data partition; a sparse file.

mod data;
mod loader;
mod sparse;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use adit_slots::boot_state::{COPY_BYTES, SECOND_COPY_OFFSET};
use adit_slots::{BootState, Slot};
use gpt::GptConfig;
use gpt::disk::LogicalBlockSize;
use gpt::mbr::ProtectiveMBR;
use gpt::partition_types::{OperatingSystem, Type};

use crate::board::{Board, Content, Partition};
use crate::error::{At as _, Error, Result};
use crate::names;
use crate::progress::step;
use crate::slot::SlotFiles;
pub(crate) use sparse::SparseFile;

const SECTOR: u64 = 512;
/// Partitions begin and end at whole MiB, so that no flash erase block is shared.
const ALIGNMENT: u64 = 1 << 20;

/// What a disk is made from. The two slots need not be of the same release.
pub struct DiskInputs<'a> {
    pub board: &'a Board,
    pub slot_a: &'a SlotFiles,
    pub slot_b: &'a SlotFiles,
    /// Both copies, as they are to lie on the disk.
    pub boot_state: [[u8; COPY_BYTES]; 2],
    /// The unit's configuration, imported at its first boot.
    pub config: Option<&'a Path>,
    /// Written as every time stamp: seconds since 1970.
    pub built: u64,
}

/// The boot state of a new unit: both slots installed, slot A preferred, both copies valid.
pub fn fresh_boot_state() -> [[u8; COPY_BYTES]; 2] {
    [1, 2].map(|sequence| BootState { sequence, ..BootState::default() }.encode())
}

/// Writes the disk image.
pub fn build(inputs: &DiskInputs<'_>, image: &Path) -> Result<()> {
    step("disk image", || write(inputs, image))
}

fn write(inputs: &DiskInputs<'_>, image: &Path) -> Result<()> {
    let board = inputs.board;
    let places = places(board);
    let end = places.last().map_or(ALIGNMENT, |(_, start, bytes)| start + bytes);
    // The last MiB holds the table's second copy.
    let mut disk = SparseFile::create(image, end + ALIGNMENT)?;

    for (partition, start, bytes) in &places {
        match partition.content {
            Content::Fat => disk.write(*start, &loader::file_system(inputs, *bytes)?)?,
            Content::State => {
                let [first, second] = &inputs.boot_state;
                disk.write(*start, first)?;
                disk.write(start + SECOND_COPY_OFFSET, second)?;
            }
            Content::Fit => disk.write(*start, &image_for(partition, &slot_of(inputs, partition).boot())?)?,
            Content::Root => {
                disk.write(*start, &image_for(partition, &slot_of(inputs, partition).root())?)?
            }
            Content::Ext4 => disk.write(*start, &data::file_system(board, *bytes, inputs.built)?)?,
        }
    }
    write_table(board, &places, &mut disk.into_file(), end + ALIGNMENT)
}

/// The slot that goes into this partition.
fn slot_of<'a>(inputs: &DiskInputs<'a>, partition: &Partition) -> &'a SlotFiles {
    if partition.name.ends_with(Slot::A.suffix()) { inputs.slot_a } else { inputs.slot_b }
}

fn image_for(partition: &Partition, path: &Path) -> Result<Vec<u8>> {
    let image = fs::read(path).at("reading", path)?;
    let (bytes, limit) = (image.len() as u64, partition.bytes());
    if bytes > limit {
        return Err(Error::TooLarge { what: path.display().to_string(), bytes, limit });
    }
    Ok(image)
}

/// Every partition with its first byte and its length.
fn places(board: &Board) -> Vec<(&Partition, u64, u64)> {
    let mut next = ALIGNMENT;
    let mut places = Vec::new();
    for partition in &board.partitions {
        places.push((partition, next, partition.bytes()));
        next += partition.bytes();
    }
    places
}

fn write_table(board: &Board, places: &[(&Partition, u64, u64)], disk: &mut File, bytes: u64) -> Result<()> {
    let sectors = u32::try_from(bytes / SECTOR - 1).unwrap_or(u32::MAX);
    let protective = ProtectiveMBR::with_lb_size(sectors).overwrite_lba0(disk);
    protective.map_err(|error| gpt::GptError::from(std::io::Error::other(error)))?;
    let mut table = GptConfig::new()
        .writable(true)
        .logical_block_size(LogicalBlockSize::Lb512)
        .change_partition_count(true)
        .create_from_device(disk, Some(names::uuid(&["disk", &board.name])))?;
    let entry = |(partition, start, bytes): &(&Partition, u64, u64)| gpt::partition::Partition {
        part_type_guid: Type { guid: type_of(&partition.name), os: OperatingSystem::None },
        part_guid: names::uuid(&["partition", &board.name, &partition.name]),
        first_lba: start / SECTOR,
        last_lba: (start + bytes) / SECTOR - 1,
        flags: 0,
        name: partition.name.clone(),
    };
    let entries: BTreeMap<_, _> = (1..).zip(places.iter().map(entry)).collect();
    table.update_partitions(entries)?;
    table.write()?;
    Ok(())
}

/// A partition's type: the usual ones for what other systems may look at, own ones for what they should leave alone.
fn type_of(name: &str) -> uuid::Uuid {
    match name {
        "loader" => gpt::partition_types::BASIC.guid,
        "data" => gpt::partition_types::LINUX_FS.guid,
        other => names::uuid(&["partition type", other.trim_end_matches("_a").trim_end_matches("_b")]),
    }
}
