//! The key that signs boot images. Development keys are made on first use and stay on the machine, in the cache; U-Boot gets
//! the public half alone.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::cache::Cache;
use crate::error::{At as _, Error, Result};
use crate::progress::step;
use crate::tool::Tool;

/// As FIT and U-Boot's device tree name the key; also the files' name.
pub(crate) const NAME: &str = "adit";

/// As FIT names the signature. U-Boot's stock builds verify RSA, not the elliptic curves.
pub(crate) const ALGORITHM: &str = "sha256,rsa4096";

const BITS: &str = "4096";

/// A folder with `adit.key` (private, mode 0600) and `adit.crt`.
#[derive(Debug, Clone)]
pub struct SigningKey {
    folder: PathBuf,
}

impl SigningKey {
    /// A key pair that a person keeps in `folder`.
    pub fn open(folder: &Path) -> Result<Self> {
        for file in ["adit.key", "adit.crt"] {
            let path = folder.join(file);
            if !path.is_file() {
                return Err(Error::file(&path, "is missing: a key folder holds adit.key and adit.crt"));
            }
        }
        let key = SigningKey { folder: folder.to_owned() };
        let mode = fs::metadata(key.private()).at("reading", &key.private())?.permissions().mode();
        if mode & 0o077 != 0 {
            let problem = format!("can be read by others (mode {:o}): chmod 600 it", mode & 0o777);
            return Err(Error::file(&key.private(), problem));
        }
        Ok(key)
    }

    /// This machine's development key, made now if there is none.
    pub fn development(cache: &Cache) -> Result<Self> {
        let _lock = cache.lock("keys")?;
        let folder = cache.subfolder("keys")?.join("development");
        if !folder.exists() {
            let unfinished = folder.with_extension("unfinished");
            crate::cache::remove(&unfinished)?;
            step("signing key made", || make(&unfinished))?;
            fs::rename(&unfinished, &folder).at("storing", &folder)?;
        }
        Self::open(&folder)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn private(&self) -> PathBuf {
        self.folder.join("adit.key")
    }
}

fn make(folder: &Path) -> Result<()> {
    DirBuilder::new().mode(0o700).create(folder).at("creating", folder)?;
    let (key, certificate) = (folder.join("adit.key"), folder.join("adit.crt"));
    let openssl = || Tool::new("openssl", "openssl");
    openssl()
        .args(["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt"])
        .arg(format!("rsa_keygen_bits:{BITS}"))
        .arg("-out")
        .arg(&key)
        .run()?;
    fs::set_permissions(&key, Permissions::from_mode(0o600)).at("marking", &key)?;
    // mkimage reads the public half out of a certificate; nothing checks its dates or names.
    openssl()
        .args(["req", "-batch", "-new", "-x509", "-days", "36500", "-subj", "/CN=Adit development"])
        .arg("-key")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .run()?;
    Ok(())
}
