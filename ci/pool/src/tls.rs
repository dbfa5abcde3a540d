//! TLS in front of a pool, for tests: the `openssl` program makes the certificates and speaks TLS, so that the judge is no library of ours.

use std::{
    fs,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tempfile::TempDir;

use crate::process::free_port;

/// Until `openssl s_server` listens.
const START: Duration = Duration::from_secs(10);
const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

/// What `openssl ca` wants to know.
const CONFIGURATION: &str = "[ca]
default_ca = this
[this]
new_certs_dir = .
database = index
rand_serial = yes
default_md = sha256
policy = names
unique_subject = no
[names]
commonName = supplied
";

/// A certificate authority of one test.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
}

/// A server's certificate; lives in its authority's folder.
#[derive(Debug, Clone)]
pub struct Certificate {
    pem: PathBuf,
    key: PathBuf,
}

impl Authority {
    /// Errors: `openssl` is missing, or what it said.
    pub fn new() -> io::Result<Self> {
        let authority = Self { folder: tempfile::Builder::new().prefix("adit-authority-").tempdir()? };
        let folder = authority.folder.path();
        fs::write(folder.join("configuration"), CONFIGURATION)?;
        fs::write(folder.join("index"), "")?;
        let subject =
            ["-keyout", "authority.key", "-out", "authority.pem", "-subj", "/CN=Adit test authority"];
        authority.openssl(&[&["req", "-x509", "-days", "36500"], &KEY[..], &subject].concat())?;
        Ok(authority)
    }

    /// The authority's own certificate, as PEM.
    pub fn pem(&self) -> io::Result<String> {
        fs::read_to_string(self.folder.path().join("authority.pem"))
    }

    /// The authority as a server: its own certificate.
    pub fn itself(&self) -> Certificate {
        let at = |name: &str| self.folder.path().join(name);
        Certificate { pem: at("authority.pem"), key: at("authority.key") }
    }

    /// Signs a certificate for `names` (`DNS:localhost,IP:127.0.0.1`) that is good from one time to the other.
    pub fn certificate(&self, names: &str, from: SystemTime, to: SystemTime) -> io::Result<Certificate> {
        let folder = self.folder.path();
        fs::write(folder.join("names"), format!("basicConstraints = CA:FALSE\nsubjectAltName = {names}\n"))?;
        let number = fs::read_dir(folder)?.count();
        let [key, request, pem] = ["key", "request", "pem"].map(|kind| format!("server-{number}.{kind}"));
        let subject = ["-keyout", &key, "-out", &request, "-subj", "/CN=pool"];
        self.openssl(&[&["req", "-new"], &KEY[..], &subject].concat())?;
        let (from, to) = (date(from)?, date(to)?);
        let sign =
            ["ca", "-batch", "-notext", "-config", "configuration", "-extfile", "names", "-in", &request];
        let with = ["-cert", "authority.pem", "-keyfile", "authority.key", "-out", &pem];
        self.openssl(&[&sign[..], &with, &["-startdate", &from, "-enddate", &to]].concat())?;
        Ok(Certificate { pem: folder.join(pem), key: folder.join(key) })
    }

    /// What `openssl` prints.
    fn openssl(&self, arguments: &[&str]) -> io::Result<String> {
        openssl(Command::new("openssl").args(arguments).current_dir(self.folder.path()))
    }
}

impl Certificate {
    /// SHA-256 fingerprint, as `openssl` prints it, without the words in front.
    pub fn fingerprint(&self) -> io::Result<String> {
        let mut command = Command::new("openssl");
        let said =
            openssl(command.args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]).arg(&self.pem))?;
        Ok(said.trim().rsplit('=').next().unwrap_or_default().to_owned())
    }
}

fn openssl(command: &mut Command) -> io::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    String::from_utf8(output.stdout).map_err(io::Error::other)
}

/// As `openssl ca` takes it, UTC.
fn date(time: SystemTime) -> io::Result<String> {
    let seconds = time.duration_since(UNIX_EPOCH).map_err(io::Error::other)?.as_secs();
    let output =
        Command::new("date").args(["-u", "+%Y%m%d%H%M%SZ", "-d", &format!("@{seconds}")]).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// `openssl s_server`, which passes what one miner says on to a pool, and back. A second miner after the first finds no pool behind it.
#[derive(Debug)]
pub struct TlsFront {
    child: Child,
    port: u16,
}

impl TlsFront {
    /// `options`: further ones of `s_server`, as `-tls1_2`. Blocks until it listens.
    pub fn start(certificate: &Certificate, pool: SocketAddr, options: &[&str]) -> io::Result<Self> {
        let port = free_port()?;
        let mut child = Command::new("openssl")
            .args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}")])
            .arg("-cert")
            .arg(&certificate.pem)
            .arg("-key")
            .arg(&certificate.key)
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let ends = child.stdin.take().zip(child.stdout.take());
        let mut front = Self { child, port };
        if let Some((to_miner, from_miner)) = ends {
            thread::spawn(move || bridge(from_miner, to_miner, pool));
        }
        let deadline = Instant::now() + START;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if let Some(status) = front.child.try_wait()? {
                return Err(io::Error::other(format!("openssl s_server ended: {status}")));
            }
            if Instant::now() > deadline {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "openssl s_server does not listen"));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(front)
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks the pool in as soon as a miner has said something. Ends with either side.
fn bridge(mut from_miner: ChildStdout, mut to_miner: ChildStdin, pool: SocketAddr) {
    let mut first = [0; 4096];
    let Ok(count @ 1..) = from_miner.read(&mut first) else { return };
    let Ok(mut stream) = TcpStream::connect(pool) else { return };
    let Ok(mut from_pool) = stream.try_clone() else { return };
    thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = from_pool.read(&mut chunk) {
            if to_miner.write_all(&chunk[..count]).is_err() {
                return;
            }
        }
    });
    if stream.write_all(&first[..count]).is_ok() {
        let _ = io::copy(&mut from_miner, &mut stream);
    }
    let _ = stream.shutdown(std::net::Shutdown::Both);
}
