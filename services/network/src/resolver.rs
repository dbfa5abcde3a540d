//! The file that the C library of every service reads for each name it looks up.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use adit_config::MAX_DNS;

/// resolv.conf(5), servers as the C library reads them: an address, that of the link alone with `%` and the interface. A name server that is silent costs two seconds, not five, before the next is asked.
pub fn text(servers: &[String]) -> String {
    let mut text = String::from("# Written by adit-network.\n");
    for server in servers.iter().take(MAX_DNS) {
        text += &format!("nameserver {server}\n");
    }
    text + "options timeout:2 attempts:3\n"
}

/// Replaces the file in one step: a reader sees the old or the new one, never half of it. The folder is a tmpfs: nothing is synced.
pub fn write(path: &Path, servers: &[String]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = fs::File::create(&new)?;
    file.write_all(text(servers).as_bytes())?;
    drop(file);
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_three_servers_are_written_in_their_order() {
        let servers = ["10.0.0.1", "2001:db8::1", "10.0.0.2", "10.0.0.3"].map(str::to_owned);
        let expected = "# Written by adit-network.\nnameserver 10.0.0.1\nnameserver 2001:db8::1\nnameserver 10.0.0.2\noptions timeout:2 attempts:3\n";
        assert_eq!(text(&servers), expected);
    }

    #[test]
    fn an_older_file_is_replaced_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        write(&path, &["10.0.0.1".to_owned()]).unwrap();
        write(&path, &[]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text(&[]));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
