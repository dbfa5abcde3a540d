//! A network segment in namespaces of its own: the unit at one end of a veth pair, a server at the other. Needs no root: a user namespace
//! gives the rights, and keeps everything in here away from the machine's own network, host name and clock.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]
#![allow(dead_code, reason = "each file of tests uses a part of it")]

use std::{
    fs::{self, File},
    os::unix::{fs::PermissionsExt, net::UnixDatagram},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);
/// Of the Roughtime server's seed, in base64.
pub(crate) const ROUGHTIME_KEY: &str = "GX9rI+FshTLGq8g4+s1ep4m+DHaykgM0A5v6iz02jWE=";

/// Resident memory and processor time.
pub(crate) struct Usage {
    pub(crate) kib: u64,
    pub(crate) cpu_ms: u64,
}

pub(crate) struct Segment {
    folder: TempDir,
    children: Vec<Child>,
    unit: u32,
    server: u32,
    log: PathBuf,
}

impl Segment {
    /// `unit0` at the unit's end, off; `server0` at the other with the address 10.7.0.1/24, on.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (sign, script) = (
            folder.path().join("up"),
            "mount -t tmpfs tmpfs /run && mkdir /run/adit /run/chrony && hostname before",
        );
        let mut holder = Command::new("unshare");
        holder.args(["--user", "--map-root-user", "--net", "--mount", "--uts", "sh", "-c"]);
        holder.arg(format!("{script} && touch {} && exec sleep 600", sign.display()));
        let holder = holder.spawn().expect("unshare is in util-linux");
        let unit = holder.id();
        let log = folder.path().join("network.log");
        let mut segment = Self { folder, children: vec![holder], unit, server: 0, log };
        segment.wait("namespaces (are user namespaces switched off?)", || sign.exists());
        let mut server = segment.enter(unit, &["unshare", "--net", "sleep", "600"]);
        let server = segment.start_child(&mut server);
        segment.server = segment.children[server].id();
        let own = fs::read_link(format!("/proc/{unit}/ns/net")).unwrap();
        let other = format!("/proc/{}/ns/net", segment.server);
        segment.wait("the server's namespace", || {
            fs::read_link(&other)
                .is_ok_and(|found| found != own && found != fs::read_link("/proc/self/ns/net").unwrap())
        });
        let pid = segment.server.to_string();
        segment
            .unit(&["ip", "link", "add", "unit0", "type", "veth", "peer", "name", "server0", "netns", &pid]);
        segment.server(&["ip", "address", "add", "10.7.0.1/24", "dev", "server0"]);
        segment.server(&["ip", "link", "set", "server0", "up"]);
        segment
    }

    fn enter(&self, pid: u32, command: &[&str]) -> Command {
        let mut nsenter = Command::new("nsenter");
        nsenter.args([
            "--target",
            &pid.to_string(),
            "--user",
            "--net",
            "--mount",
            "--uts",
            "--preserve-credentials",
        ]);
        // The system's own first: its python3 is the one with Debian's modules.
        let path = "/usr/sbin:/usr/bin:/sbin:/bin:".to_owned() + &std::env::var("PATH").unwrap_or_default();
        nsenter.args(command).env("PATH", path).stdin(Stdio::null());
        nsenter
    }

    /// Starts what ends with the segment; its number.
    fn start_child(&mut self, command: &mut Command) -> usize {
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        self.children.push(child);
        self.children.len() - 1
    }

    /// The same, with what it prints where [`Self::wait_for_output`] looks.
    fn start_watched(&mut self, command: &mut Command) -> usize {
        let output = File::create(self.output_of(self.children.len())).unwrap();
        self.start_child(command.stdout(output))
    }

    fn output(mut command: Command) -> String {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command at the unit's end.
    pub(crate) fn unit(&self, command: &[&str]) -> String {
        Self::output(self.enter(self.unit, command))
    }

    /// From here on an address of the unit's comes and goes, as fast as `ip` makes it.
    pub(crate) fn restless(&mut self) {
        let script = "while ip address add 10.9.0.1/32 dev lo; do ip address del 10.9.0.1/32 dev lo; done";
        let mut command = self.enter(self.unit, &["sh", "-c", script]);
        self.start_child(&mut command);
    }

    /// Runs a command at the server's end.
    pub(crate) fn server(&self, command: &[&str]) -> String {
        Self::output(self.enter(self.server, command))
    }

    /// Debian's DHCP server with these options besides the usual ones.
    pub(crate) fn dnsmasq(&mut self, options: &[&str]) -> usize {
        let usual = [
            "dnsmasq",
            "--no-daemon",
            "--conf-file=/dev/null",
            "--user=root",
            "--interface=server0",
            "--bind-interfaces",
            "--port=0",
            "--no-hosts",
            "--dhcp-authoritative",
            "--dhcp-leasefile=/run/leases",
            "--log-dhcp",
            "--pid-file",
        ];
        let mut command = self.enter(self.server, &usual);
        let log = File::create(self.folder.path().join("dnsmasq.log")).unwrap();
        self.start_child(command.args(options).stdout(Stdio::null()).stderr(log))
    }

    /// Where the door of [`Self::start_with_door`] is.
    pub(crate) fn door(&self) -> PathBuf {
        self.folder.path().join("network.status")
    }

    /// As [`Self::start`], with a door; systemd's own program passes its socket, and starts the service when somebody comes to it.
    pub(crate) fn start_with_door(&mut self, network: &str) -> usize {
        let door = self.door();
        let service = env!("CARGO_BIN_EXE_adit-network");
        let socket = door.to_str().unwrap().to_owned();
        let environment = ["-E", "ADIT_CONFIG", "-E", "NOTIFY_SOCKET"];
        let activate = ["systemd-socket-activate", "--fdname=network.status", "-l", &socket];
        let started = self.start_as(network, &[&activate[..], &environment, &[service]].concat());
        self.wait("the door's socket", || door.exists());
        started
    }

    /// Debian's NTP server: it leaves the machine's clock alone, and says that this is the right time.
    pub(crate) fn chrony(&mut self) {
        let command = [
            "chronyd",
            "-x",
            "-d",
            "-u",
            "root",
            "local stratum 3",
            "allow 10.7.0.0/24",
            "bindaddress 10.7.0.1",
            "cmdport 0",
            "bindcmdaddress /",
            "pidfile /run/chrony/chronyd.pid",
        ];
        let mut command = self.enter(self.server, &command);
        let log = File::create(self.folder.path().join("chronyd.log")).unwrap();
        self.start_child(command.stdout(Stdio::null()).stderr(log));
        // Its own word that it serves time.
        self.wait("NTP server", || self.serves(123));
    }

    /// A real Roughtime server, if this machine has one; its key is [`ROUGHTIME_KEY`].
    pub(crate) fn roughtime(&mut self, offset_s: i64) -> bool {
        let (program, seed) = ("roughenough_server", self.folder.path().join("seed"));
        if !Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success()) {
            return false;
        }
        fs::write(&seed, "2a".repeat(32)).unwrap();
        fs::set_permissions(&seed, fs::Permissions::from_mode(0o600)).unwrap();
        let offset = format!("--fixed-offset={offset_s}");
        let path = std::env::var("PATH").unwrap();
        let mut command = self.enter(
            self.server,
            &[program, "--interface", "10.7.0.1", "--port", "2002", &offset, "--seed-file"],
        );
        self.start_child(command.arg(seed).env("PATH", path).stdout(Stdio::null()).stderr(Stdio::null()));
        self.wait("Roughtime server", || self.serves(2002));
        true
    }

    /// Whether somebody at the server's end listens at this UDP port.
    fn serves(&self, port: u16) -> bool {
        self.server(&["ss", "-Hlun"]).contains(&format!(":{port} "))
    }

    /// Starts adit-network with this `[network]`.
    pub(crate) fn start(&mut self, network: &str) -> usize {
        self.start_as(network, &[env!("CARGO_BIN_EXE_adit-network")])
    }

    fn start_as(&mut self, network: &str, program: &[&str]) -> usize {
        let config = self.folder.path().join("adit.toml");
        let text = format!(
            "version = 1\nname = \"rack1-unit7\"\n[[pool]]\nurl = \"stratum+tcp://h:1\"\nuser = \"u\"\n[network]\n{network}\n"
        );
        fs::write(&config, text).unwrap();
        let mut command = self.enter(self.unit, program);
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        command.env("ADIT_CONFIG", config).env("NOTIFY_SOCKET", self.folder.path().join("notify"));
        self.start_child(command.stderr(log))
    }

    /// Runs a Python program at the server's end.
    pub(crate) fn python(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = self.enter(self.server, &["python3", "-c", program]);
        command.args(arguments);
        Self::output(command)
    }

    /// Starts a Python program at the server's end.
    pub(crate) fn start_python(&mut self, program: &str) -> usize {
        let mut command = self.enter(self.server, &["python3", "-c", program]);
        self.start_watched(&mut command)
    }

    /// Debian's avahi-daemon at the server's end; it wants an account of its own, and root is all that there is.
    pub(crate) fn start_avahi(&mut self, host_name: &str) -> usize {
        let config = self.folder.path().join("avahi.conf");
        let text = format!(
            "[server]\nhost-name={host_name}\nuse-ipv6=no\nallow-interfaces=server0\nenable-dbus=no\n[publish]\npublish-workstation=no\n"
        );
        fs::write(&config, text).unwrap();
        let script = "echo avahi:x:0:0::/:/bin/sh > /run/passwd && echo avahi:x:0: > /run/group &&
            mount --bind /run/passwd /etc/passwd && mount --bind /run/group /etc/group &&
            exec avahi-daemon --no-drop-root --no-chroot --no-rlimits --debug -f \"$1\" 2>&1";
        let mut command = self.enter(self.server, &["unshare", "--mount", "sh", "-c", script, "sh"]);
        self.start_watched(command.arg(config))
    }

    /// What a process has used until now.
    pub(crate) fn usage(&self, child: usize) -> Usage {
        let folder = PathBuf::from(format!("/proc/{}", self.children[child].id()));
        let status = fs::read_to_string(folder.join("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kib = line.split_whitespace().next().unwrap().parse().unwrap();
        // Of a thread: user and system time stand together, in nanoseconds.
        let schedstat = fs::read_to_string(folder.join("schedstat")).unwrap();
        let nanoseconds: u64 = schedstat.split_whitespace().next().unwrap().parse().unwrap();
        Usage { kib, cpu_ms: nanoseconds / 1_000_000 }
    }

    fn output_of(&self, child: usize) -> PathBuf {
        self.folder.path().join(format!("output-{child}"))
    }

    pub(crate) fn wait_for_output(&self, child: usize, text: &str) {
        let output = self.output_of(child);
        self.wait(text, || fs::read_to_string(&output).is_ok_and(|found| found.contains(text)));
    }

    /// Where adit-network says that it is ready.
    pub(crate) fn notify_socket(&self) -> UnixDatagram {
        let socket = UnixDatagram::bind(self.folder.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    pub(crate) fn end(&mut self, child: usize) {
        self.children[child].kill().unwrap();
        self.children[child].wait().unwrap();
    }

    pub(crate) fn is_running(&mut self, child: usize) -> bool {
        self.children[child].try_wait().unwrap().is_none()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn wait(&self, what: &str, condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            let served = fs::read_to_string(self.folder.path().join("dnsmasq.log")).unwrap_or_default();
            assert!(start.elapsed() < PATIENCE, "no {what}\n{}\n{served}", self.log());
            sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn wait_for_line(&self, text: &str) {
        self.wait(text, || self.log().contains(text));
    }

    /// The unit's IPv4 addresses, as `ip` prints them.
    pub(crate) fn addresses(&self) -> String {
        self.unit(&["ip", "-4", "address", "show", "dev", "unit0"])
    }

    pub(crate) fn routes(&self) -> String {
        self.unit(&["ip", "-4", "route"])
    }

    pub(crate) fn resolver(&self) -> String {
        self.unit(&["cat", "/run/adit/resolv.conf"])
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
