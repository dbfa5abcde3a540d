//! The control port: one JSON object a line over a Unix socket, one reply a line.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::difficulty::Difficulty;
use crate::error::{Error, chain};
use crate::fault::{Fault, FaultRequest};
use crate::feeder::Demand;
use crate::lines::{Line, LineReader};
use crate::pool::Shared;

const MAX_CLIENTS: usize = 16;
const MAX_REQUEST: usize = 4096;
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// The bound socket; its file goes when it is dropped.
pub(crate) struct Control {
    listener: UnixListener,
    path: PathBuf,
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
enum Request {
    State,
    Difficulty { value: f64 },
    NewBlock,
    NewJob,
    Fault(FaultRequest),
    Shutdown,
}

impl Control {
    /// A socket that a dead pool left behind is replaced; one that answers is not.
    pub(crate) fn bind(path: PathBuf) -> Result<Self, Error> {
        if is_socket(&path) {
            if std::os::unix::net::UnixStream::connect(&path).is_ok() {
                return Err(Error::ControlInUse { path });
            }
            // When it cannot be removed, bind says why.
            let _ = fs::remove_file(&path);
        }
        let listener =
            UnixListener::bind(&path).map_err(|source| Error::Control { path: path.clone(), source })?;
        Ok(Self { listener, path })
    }

    pub(crate) async fn serve(self, shared: Arc<Shared>) {
        let mut clients = JoinSet::new();
        loop {
            tokio::select! {
                Some(_) = clients.join_next() => {}
                accepted = self.listener.accept(), if clients.len() < MAX_CLIENTS => match accepted {
                    Ok((stream, _)) => drop(clients.spawn(serve_client(stream, Arc::clone(&shared)))),
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                },
            }
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = fs::remove_file(&self.path);
    }
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket())
}

async fn serve_client(stream: UnixStream, shared: Arc<Shared>) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = LineReader::new(read, MAX_REQUEST);
    loop {
        let (reply, then) = match lines.next().await? {
            Line::Whole(line) => answer(&line, &shared).await,
            Line::TooLong => (refusal("a request has at most 4096 bytes"), Then::Close),
            Line::End => return Ok(()),
        };
        timeout(WRITE_TIMEOUT, write.write_all(format!("{reply}\n").as_bytes())).await??;
        match then {
            Then::GoOn => {}
            Then::Close => return Ok(()),
            Then::Stop => shared.stop(),
        }
    }
}

fn refusal(error: &str) -> Value {
    json!({"ok": false, "error": error})
}

/// What follows a reply.
enum Then {
    GoOn,
    Close,
    Stop,
}

async fn answer(line: &[u8], shared: &Shared) -> (Value, Then) {
    let request = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(error) => return (refusal(&error.to_string()), Then::GoOn),
    };
    let result = match request {
        Request::State => return (json!({"ok": true, "state": shared.state()}), Then::GoOn),
        Request::Shutdown => return (json!({"ok": true}), Then::Stop),
        Request::Difficulty { value } => Difficulty::new(value)
            .map(|difficulty| shared.set_difficulty(difficulty))
            .map_err(|error| error.to_string()),
        Request::NewBlock => shared.new_block().await.map_err(|error| chain(&error)),
        Request::NewJob => {
            shared.demand(Demand::Job);
            Ok(())
        }
        Request::Fault(request) => {
            Fault::parse(request).map(|fault| shared.fault(fault)).map_err(|error| error.to_string())
        }
    };
    (result.map_or_else(|error| refusal(&error), |()| json!({"ok": true})), Then::GoOn)
}
