//! JSON-RPC to a Bitcoin node, with the cookie that the node writes for local programs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::Error;
use crate::template::{NodeTemplate, Template};
use crate::work::ANYONE_CAN_SPEND;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Of a whole call. Checking a full block takes a node a few seconds at most.
const TIMEOUT: Duration = Duration::from_secs(20);
/// A template holds the hexadecimal text of a whole block, which has at most 4 MB.
const MAX_REPLY: usize = 32 << 20;

/// A connection to a node that is running already; cheap to clone.
#[derive(Clone, Debug)]
pub struct Rpc {
    client: reqwest::Client,
    url: String,
    cookie: PathBuf,
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    result: Value,
    error: Option<ReplyError>,
}

#[derive(Deserialize)]
struct ReplyError {
    code: i64,
    message: String,
}

impl Rpc {
    /// `url`: `http://host:port`; `cookie`: the node's `.cookie` file, read at every call, for it changes when the node restarts.
    #[must_use]
    pub fn new(url: impl Into<String>, cookie: impl Into<PathBuf>) -> Self {
        let client = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .build()
            .expect("a client without TLS needs nothing from the system");
        Self { client, url: url.into(), cookie: cookie.into() }
    }

    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    #[must_use]
    pub fn cookie(&self) -> &Path {
        &self.cookie
    }

    /// Any method of the node. Errors: `Rpc` when the node says no, others when it could not be asked.
    pub async fn call(&self, method: &'static str, params: Value) -> Result<Value, Error> {
        let unreachable = |source| Error::Unreachable { url: self.url.clone(), method, source };
        let cookie = tokio::fs::read_to_string(&self.cookie)
            .await
            .map_err(|source| Error::Cookie { path: self.cookie.clone(), source })?;
        let (user, password) = cookie.trim_end().split_once(':').unwrap_or((&cookie, ""));
        let request = json!({"jsonrpc": "1.0", "id": "adit-pool", "method": method, "params": params});
        let sent = self.client.post(&self.url).basic_auth(user, Some(password)).json(&request).send();
        let mut response = sent.await.map_err(unreachable)?;
        if response.status() == StatusCode::UNAUTHORIZED {
            return Err(Error::Reply {
                method,
                what: format!("{} is not its cookie", self.cookie.display()),
            });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            body.extend(chunk);
            if body.len() > MAX_REPLY {
                return Err(Error::Reply { method, what: format!("longer than {MAX_REPLY} bytes") });
            }
        }
        let reply: Reply = parse(method, serde_json::from_slice(&body))?;
        match reply.error {
            None => Ok(reply.result),
            Some(ReplyError { code, message }) => Err(Error::Rpc { method, code, message }),
        }
    }

    pub async fn block_count(&self) -> Result<u64, Error> {
        parse("getblockcount", serde_json::from_value(self.call("getblockcount", json!([])).await?))
    }

    pub(crate) async fn block_template(&self) -> Result<Template, Error> {
        let reply = self.call("getblocktemplate", json!([{"rules": ["segwit"]}])).await?;
        let template: NodeTemplate = parse("getblocktemplate", serde_json::from_value(reply))?;
        Ok(template.try_into()?)
    }

    /// `None`: the node took the block. Else its reason (BIP22), "inconclusive" among them.
    pub(crate) async fn submit_block(&self, block: &[u8]) -> Result<Option<String>, Error> {
        match self.call("submitblock", json!([hex::encode(block)])).await? {
            Value::Null => Ok(None),
            Value::String(reason) => Ok(Some(reason)),
            other => Ok(Some(other.to_string())),
        }
    }

    /// Lets a regtest node mine blocks that pay to [`ANYONE_CAN_SPEND`]; their hashes.
    pub async fn generate(&self, count: u32) -> Result<Vec<String>, Error> {
        let descriptor = format!("raw({})", hex::encode(ANYONE_CAN_SPEND));
        let reply = self.call("generatetodescriptor", json!([count, descriptor])).await?;
        parse("generatetodescriptor", serde_json::from_value(reply))
    }
}

pub(crate) fn parse<T>(method: &'static str, parsed: serde_json::Result<T>) -> Result<T, Error> {
    parsed.map_err(|error| Error::Reply { method, what: error.to_string() })
}
