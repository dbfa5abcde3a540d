//! The calls to a node: JSON-RPC 1.0 bodies, without how they travel.

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::text;

/// Why a call has no result. Texts are the node's, of at most 4096 characters: not to be shown before our credentials are taken out ([`text::presentable`]).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The node's own code and text, which may repeat our credentials.
    #[error("code {code}: {message}")]
    Refused { code: i64, message: String },
    #[error("the answer is none of a Bitcoin node: {0}")]
    Answer(String),
}

/// What became of a block. Reasons are as the node gives them, of at most 4096 characters. Source: BIP 22, "Appendix: Example Rejection Reasons".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    Accepted,
    /// The node had it already, and found it good: it heard of it from another one.
    Known,
    /// The node cannot judge it, and may soon: it starts, or has not heard of the block's parent.
    NotYet(String),
    /// `inconclusive` is a good block that another one was quicker than.
    Refused(String),
}

/// `RPC_IN_WARMUP`. Source: Bitcoin's `rpc/protocol.h`.
const IN_WARMUP: i64 = -28;
/// Source: Bitcoin's `AcceptBlockHeader`.
const UNKNOWN_PARENT: &str = "prev-blk-not-found";

/// The largest answer that any call can have, bytes: 4 MB of transactions in hexadecimal digits, and what stands around 16,666 of them.
pub const MAX_ANSWER: usize = 16 << 20;

#[derive(Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
struct Reply<T> {
    /// `None`: there is no such key. A result that is null is a result: `submitblock`'s for a block that was taken.
    #[serde(default, deserialize_with = "some")]
    result: Option<Option<T>>,
    error: Option<ReplyError>,
}

#[derive(Deserialize)]
struct ReplyError {
    code: i64,
    message: String,
}

fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(result: D) -> Result<Option<T>, D::Error> {
    T::deserialize(result).map(Some)
}

/// `getblockchaininfo`.
pub fn chain_info() -> Vec<u8> {
    body("getblockchaininfo", &json!([]))
}

/// `getblocktemplate`, at once, or when there is another one than that with the long poll id (BIP 22).
pub fn template(long_poll_id: Option<&str>) -> Vec<u8> {
    let mut request = json!({ "capabilities": ["longpoll", "coinbasevalue"], "rules": ["segwit", "signet"] });
    if let Some(id) = long_poll_id {
        request["longpollid"] = id.into();
    }
    body("getblocktemplate", &json!([request]))
}

/// `submitblock`. Twice as long as the block.
pub fn submit(block: &[u8]) -> Vec<u8> {
    let mut bytes = br#"{"jsonrpc":"1.0","id":0,"method":"submitblock","params":[""#.to_vec();
    let start = bytes.len();
    bytes.resize(start + 2 * block.len(), 0);
    hex::encode_to_slice(block, &mut bytes[start..]).expect("two digits a byte");
    bytes.extend_from_slice(br#""]}"#);
    bytes
}

fn body(method: &str, params: &Value) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"1.0","id":0,"method":"{method}","params":{params}}}"#).into_bytes()
}

/// The chain that a node is on, by `getblockchaininfo`'s name: `main`, `test`, `testnet4`, `signet`, `regtest`.
pub fn read_chain(answer: &[u8]) -> Result<String, CallError> {
    #[derive(Deserialize)]
    struct Info {
        chain: String,
    }
    let info: Info = result(answer)?.ok_or_else(no_result)?;
    Ok(text::raw(&info.chain))
}

/// What the node says about a block.
pub fn read_submitted(answer: &[u8]) -> Result<Submitted, CallError> {
    match result::<String>(answer) {
        Ok(None) => Ok(Submitted::Accepted),
        Ok(Some(reason)) => Ok(match reason.as_str() {
            "duplicate" => Submitted::Known,
            UNKNOWN_PARENT => Submitted::NotYet(reason),
            _ => Submitted::Refused(text::raw(&reason)),
        }),
        Err(error @ CallError::Refused { code: IN_WARMUP, .. }) => Ok(Submitted::NotYet(error.to_string())),
        Err(error) => Err(error),
    }
}

/// The result, which may be null; the node's error; or why there is neither.
pub(crate) fn result<'a, T: Deserialize<'a>>(answer: &'a [u8]) -> Result<Option<T>, CallError> {
    let reply: Reply<T> =
        serde_json::from_slice(answer).map_err(|error| CallError::Answer(text::raw(&error.to_string())))?;
    match reply.error {
        Some(ReplyError { code, message }) => Err(CallError::Refused { code, message: text::raw(&message) }),
        None => reply.result.ok_or_else(no_result),
    }
}

fn no_result() -> CallError {
    CallError::Answer("there is no result".to_owned())
}
