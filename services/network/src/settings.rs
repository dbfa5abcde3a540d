//! What the configuration asks for, also when it is absent or wrong.

use std::{fs, path::Path};

use adit_config::{Config, MAX_SIZE, Network};

/// Reads `adit.toml`. An absent or wrong one means: everything by DHCP.
pub(crate) fn read(path: Option<&Path>) -> (Option<String>, Network) {
    let Some(path) = path else { return (None, Network::default()) };
    let bytes = match read_bounded(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return (None, Network::default()),
        Err(error) => {
            tracing::warn!(target: "adit_network", "{}: {error}; asking DHCP for everything", path.display());
            return (None, Network::default());
        }
    };
    match Config::parse_bytes(&bytes, "adit.toml") {
        Ok(config) => (Some(config.name), config.network),
        Err(errors) => {
            // The lines themselves are adit-miner's to print.
            let problems = errors.problems().len();
            tracing::warn!(target: "adit_network", problems, "adit.toml is not valid; asking DHCP for everything");
            (None, Network::default())
        }
    }
}

/// One byte more than is allowed shows that there is too much.
fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_SIZE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
