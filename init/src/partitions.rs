//! Partitions by their GPT name, from the kernel's own list.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The device node (below `devices`) of the partition called `label`; none: no such partition. `list` is `/sys/class/block`.
pub fn find(list: &Path, devices: &Path, label: &str) -> io::Result<Option<PathBuf>> {
    for entry in fs::read_dir(list)? {
        let Ok(text) = fs::read_to_string(entry?.path().join("uevent")) else { continue };
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        if value("PARTNAME") == Some(label)
            && let Some(node) = value("DEVNAME").filter(|node| !node.contains(".."))
        {
            return Ok(Some(devices.join(node)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_found_by_its_whole_name() {
        let folder = tempfile::tempdir().unwrap();
        for (device, uevent) in [
            ("vda", "MAJOR=254\nMINOR=0\nDEVNAME=vda\nDEVTYPE=disk\n"),
            ("vda6", "DEVNAME=vda6\nDEVTYPE=partition\nPARTN=6\nPARTNAME=database\n"),
            ("vda7", "DEVNAME=vda7\nDEVTYPE=partition\nPARTN=7\nPARTNAME=data\n"),
        ] {
            fs::create_dir(folder.path().join(device)).unwrap();
            fs::write(folder.path().join(device).join("uevent"), uevent).unwrap();
        }
        let dev = Path::new("/dev");
        assert_eq!(find(folder.path(), dev, "data").unwrap(), Some(PathBuf::from("/dev/vda7")));
        assert_eq!(find(folder.path(), dev, "dat").unwrap(), None);
    }
}
