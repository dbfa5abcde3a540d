//! Nodes to mine at: a real one, the way to one that a test can cut, and one whose every word the test says.

#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use adit_pool::{Node, RPC_ACCOUNT};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// Regtest's form of the address in BIP 173.
pub(crate) const ADDRESS: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
/// Another chain's.
pub(crate) const MAIN_ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

/// Starts a node in the chroot that `ADIT_NODE_CHROOT` names.
pub(crate) async fn real_node() -> Node {
    let chroot = std::env::var_os("ADIT_NODE_CHROOT").expect("ADIT_NODE_CHROOT names the chroot");
    Node::start(&PathBuf::from(chroot)).await.unwrap()
}

pub(crate) async fn call(node: &Node, method: &'static str, params: Value) -> Value {
    node.rpc().call(method, params).await.unwrap()
}

pub(crate) async fn height(node: &Node) -> u64 {
    call(node, "getblockcount", json!([])).await.as_u64().unwrap()
}

pub(crate) fn port(node: &Node) -> u16 {
    node.url().rsplit_once(':').unwrap().1.parse().unwrap()
}

/// A `[[pool]]` table for a node.
pub(crate) fn table(port: u16, password: &str, address: &str) -> String {
    let user = RPC_ACCOUNT.0;
    format!(
        "[[pool]]\nurl = \"http://127.0.0.1:{port}\"\nuser = \"{user}\"\npassword = \"{password}\"\naddress = \"{address}\"\n"
    )
}

/// A configuration with these nodes, the best first.
pub(crate) fn config(ports: &[u16]) -> String {
    let tables = ports.iter().map(|port| table(*port, RPC_ACCOUNT.1, ADDRESS));
    format!("version = 1\n{}", tables.collect::<String>())
}

/// adit-miner as a process; it ends with this.
pub(crate) struct Program(Option<Child>);

impl Program {
    /// `doors`: the folder of the driver's sockets. `console`: what becomes of its output.
    pub(crate) fn start(doors: &Path, config: &str, console: Stdio) -> Self {
        let path = doors.join("adit.toml");
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_adit-miner"));
        command.env_clear().env("ADIT_CONFIG", &path).env("ADIT_DOORS", doors);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(console);
        Self(Some(command.spawn().unwrap()))
    }

    /// A line of `/proc/PID/status`.
    pub(crate) fn status(&self, name: &str) -> String {
        let pid = self.0.as_ref().unwrap().id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned()
    }

    /// Ends it; what it said.
    pub(crate) fn end(mut self) -> String {
        let mut child = self.0.take().unwrap();
        child.kill().unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A port that leads to a node, or to none.
pub(crate) struct Way {
    pub(crate) port: u16,
    to: Arc<Mutex<Option<u16>>>,
    open: Arc<Mutex<JoinSet<()>>>,
    task: JoinHandle<()>,
}

impl Way {
    pub(crate) async fn to(node: Option<u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (to, open) = (Arc::new(Mutex::new(node)), Arc::new(Mutex::new(JoinSet::new())));
        let (target, connections) = (to.clone(), open.clone());
        let task = tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let target = *target.lock().unwrap();
                // Without a node the connection is closed at once.
                let Some(target) = target else { continue };
                connections.lock().unwrap().spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(("127.0.0.1", target)).await {
                        // One end hangs up sooner than the other.
                        let _ = copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
        });
        Self { port, to, open, task }
    }

    /// From now on it leads elsewhere; connections that are open break.
    pub(crate) fn lead(&self, to: Option<u16>) {
        *self.to.lock().unwrap() = to;
        self.open.lock().unwrap().abort_all();
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers every call with what `answer` makes of the method's name, byte by byte; `None` leaves it waiting.
pub(crate) async fn scripted_node(
    answer: impl Fn(&str) -> Option<Vec<u8>> + Clone + Send + Sync + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let body = request(&mut stream).await;
                match answer(body["method"].as_str().unwrap()) {
                    // A miner that has read enough hangs up.
                    Some(bytes) => drop(stream.write_all(&bytes).await),
                    None => std::future::pending().await,
                }
            });
        }
    });
    port
}

async fn request(stream: &mut BufReader<TcpStream>) -> Value {
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    serde_json::from_slice(&body).unwrap()
}

/// An HTTP answer.
pub(crate) fn http(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
