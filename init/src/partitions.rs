//! Partitions by their GPT name, from the kernel's own list, on the disk that the unit runs from.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What stands below the verified root: the first device-mapper device is the one that the signed command line made.
const BELOW_ROOT: &str = "dm-0/slaves";

/// The device node (below `devices`) of the partition called `label`; none: no such partition. `list` is `/sys/class/block`.
/// A second Adit medium in the same unit has partitions of the same names: only the root's disk counts, where there is a verified root.
pub fn find(list: &Path, devices: &Path, label: &str) -> io::Result<Option<PathBuf>> {
    let disk = root_disk(list);
    for entry in fs::read_dir(list)? {
        let entry = entry?.path();
        let Ok(text) = fs::read_to_string(entry.join("uevent")) else { continue };
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        if value("PARTNAME") == Some(label)
            && (disk.is_none() || disk_of(&entry) == disk)
            && let Some(node) = value("DEVNAME").filter(|node| !node.contains(".."))
        {
            return Ok(Some(devices.join(node)));
        }
    }
    Ok(None)
}

fn root_disk(list: &Path) -> Option<PathBuf> {
    let below = fs::read_dir(list.join(BELOW_ROOT)).ok()?.next()?.ok()?;
    disk_of(&below.path())
}

/// The list has symbolic links into the tree of devices, where a partition lies in its disk.
fn disk_of(partition: &Path) -> Option<PathBuf> {
    Some(fs::canonicalize(partition).ok()?.parent()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// `/sys` with two disks that carry the same names.
    fn two_media() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("list")).unwrap();
        for (disk, partition, label) in [
            ("vda", "vda5", "root_a"),
            ("vda", "vda6", "database"),
            ("vda", "vda7", "data"),
            ("vdb", "vdb5", "root_a"),
            ("vdb", "vdb7", "data"),
        ] {
            let device = folder.path().join(disk).join(partition);
            fs::create_dir_all(&device).unwrap();
            let uevent = format!("DEVNAME={partition}\nDEVTYPE=partition\nPARTNAME={label}\n");
            fs::write(device.join("uevent"), uevent).unwrap();
            symlink(&device, folder.path().join("list").join(partition)).unwrap();
        }
        folder
    }

    fn found(folder: &tempfile::TempDir, label: &str) -> Option<PathBuf> {
        find(&folder.path().join("list"), Path::new("/dev"), label).unwrap()
    }

    #[test]
    fn a_partition_is_found_by_its_whole_name() {
        let folder = two_media();
        assert_eq!(found(&folder, "database"), Some(PathBuf::from("/dev/vda6")));
        assert_eq!(found(&folder, "dat"), None);
    }

    #[test]
    fn of_two_media_the_one_below_the_root_counts() {
        for disk in ["vda", "vdb"] {
            let folder = two_media();
            let (mapped, root) = (folder.path().join("dm-0"), format!("{disk}5"));
            fs::create_dir_all(mapped.join("slaves")).unwrap();
            symlink(folder.path().join(disk).join(&root), mapped.join("slaves").join(&root)).unwrap();
            symlink(&mapped, folder.path().join("list/dm-0")).unwrap();
            assert_eq!(found(&folder, "data"), Some(PathBuf::from(format!("/dev/{disk}7"))));
        }
    }
}
