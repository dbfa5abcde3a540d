//! What the pool can do wrong on request.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use serde::Deserialize;
use serde_json::Value;

use crate::share::word;

/// Longest `long-line`, in bytes.
const MAX_LONG_LINE: u64 = 16 << 20;
/// Most garbage lines, refused shares or bad jobs at once.
const MAX_COUNT: u64 = 1000;

/// A fault; with a `bool` it stays until it is switched off, without one it happens once.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Close every connection.
    DropConnections,
    /// Accept new connections and close them.
    Refuse(bool),
    /// Read, never answer or announce.
    Silent(bool),
    /// Send lines that are not JSON.
    Garbage { count: u32 },
    /// Send bytes without a line end.
    LongLine { bytes: usize },
    /// Refuse the next good shares with code 20.
    Reject { count: u32 },
    /// Answer `mining.configure` with an error.
    NoConfigure(bool),
    /// Announce no jobs.
    StopJobs(bool),
    /// Announce jobs with impossible fields.
    BadJob { count: u32 },
    /// Give every connection another extranonce1 (`mining.set_extranonce`), and all another size of extranonce2 when there is one.
    SetExtranonce { extranonce2_size: Option<usize> },
    /// `mining.set_version_mask`.
    VersionMask(u32),
    /// `client.reconnect` with these parameters.
    Reconnect(Vec<Value>),
    /// `mining.ping`.
    Ping,
}

/// A fault as the control port spells it.
#[derive(Debug, Default, Deserialize)]
pub struct FaultRequest {
    pub name: String,
    pub on: Option<bool>,
    pub count: Option<u64>,
    pub value: Option<Value>,
}

#[derive(Debug, PartialEq, thiserror::Error)]
pub enum FaultError {
    #[error("unknown fault {0:?}; known are {known}", known = Fault::NAMES.join(", "))]
    Unknown(String),
    #[error("{0}")]
    Wrong(&'static str),
}

impl Fault {
    pub const NAMES: [&str; 13] = [
        "drop",
        "refuse",
        "silent",
        "garbage",
        "long-line",
        "reject",
        "no-configure",
        "stop-jobs",
        "bad-job",
        "set-extranonce",
        "version-mask",
        "reconnect",
        "ping",
    ];

    /// Errors: an unknown name, or a count or value outside its range.
    pub fn parse(request: FaultRequest) -> Result<Self, FaultError> {
        let on = request.on.unwrap_or(true);
        let count = match request.count.unwrap_or(1) {
            count @ 1..=MAX_COUNT => count as u32,
            _ => return Err(FaultError::Wrong("count is 1 to 1000")),
        };
        let value = request.value;
        Ok(match request.name.as_str() {
            "drop" => Self::DropConnections,
            "refuse" => Self::Refuse(on),
            "silent" => Self::Silent(on),
            "garbage" => Self::Garbage { count },
            "long-line" => match value.as_ref().and_then(Value::as_u64) {
                Some(bytes @ 1..=MAX_LONG_LINE) => Self::LongLine { bytes: bytes as usize },
                _ => return Err(FaultError::Wrong("long-line wants a value, 1 to 16777216 bytes")),
            },
            "reject" => Self::Reject { count },
            "no-configure" => Self::NoConfigure(on),
            "stop-jobs" => Self::StopJobs(on),
            "bad-job" => Self::BadJob { count },
            "set-extranonce" => match value.as_ref().map(Value::as_u64) {
                None => Self::SetExtranonce { extranonce2_size: None },
                Some(Some(size @ (4 | 8))) => Self::SetExtranonce { extranonce2_size: Some(size as usize) },
                Some(_) => {
                    return Err(FaultError::Wrong(
                        "set-extranonce takes as value a size of extranonce2, 4 or 8",
                    ));
                }
            },
            "version-mask" => match value.as_ref().and_then(Value::as_str).and_then(word) {
                Some(mask) => Self::VersionMask(mask),
                None => return Err(FaultError::Wrong("version-mask wants a value of 8 hexadecimal digits")),
            },
            "reconnect" => match value {
                None => Self::Reconnect(Vec::new()),
                Some(Value::Array(params)) => Self::Reconnect(params),
                Some(_) => {
                    return Err(FaultError::Wrong("reconnect takes as value a list: [host, port, seconds]"));
                }
            },
            "ping" => Self::Ping,
            _ => return Err(FaultError::Unknown(request.name)),
        })
    }
}

/// The faults that stay.
#[derive(Default)]
pub(crate) struct Standing {
    pub(crate) refuse: AtomicBool,
    pub(crate) silent: AtomicBool,
    pub(crate) no_configure: AtomicBool,
    pub(crate) stop_jobs: AtomicBool,
    pub(crate) rejects: AtomicU32,
}

impl Standing {
    /// Whether a good share is to be refused; uses up one.
    pub(crate) fn take_reject(&self) -> bool {
        self.rejects.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

/// The parameters of a `mining.notify` that no miner can work on; every number has another fault.
pub(crate) fn bad_job(number: u32) -> Value {
    let hash = "00".repeat(32);
    let mut params = vec![
        Value::from(format!("bad{number:x}")),
        Value::from(hash.clone()),
        Value::from("0200000001"),
        Value::from("ffffffff00"),
        Value::from(vec![hash]),
        Value::from("20000000"),
        Value::from("17023a04"),
        Value::from("685468d7"),
        Value::from(false),
    ];
    match number % 12 {
        0 => params[1] = Value::from("00".repeat(31)),
        1 => params[1] = Value::from("zz".repeat(32)),
        2 => params[2] = Value::from("020"),
        3 => params[3] = Value::Null,
        4 => params[4] = Value::from(vec!["00".repeat(33)]),
        5 => params[4] = Value::from(vec!["00".repeat(32); 100]),
        6 => params[5] = Value::from("2000000"),
        7 => params[6] = Value::from("00000000"),
        8 => params[7] = Value::from(-1),
        9 => params[8] = Value::from("yes"),
        10 => params.truncate(5),
        _ => params[0] = Value::from(vec![1]),
    }
    Value::from(params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(request: Value) -> Result<Fault, FaultError> {
        Fault::parse(serde_json::from_value(request).unwrap())
    }

    #[test]
    fn every_named_fault_is_understood() {
        for name in Fault::NAMES {
            let value = match name {
                "long-line" => json!(100),
                "version-mask" => json!("00ffe000"),
                _ => Value::Null,
            };
            let parsed = parse(json!({"name": name, "value": value}));
            assert!(parsed.is_ok(), "{name}: {parsed:?}");
        }
    }

    #[test]
    fn an_unknown_fault_is_answered_with_the_known_ones() {
        let error = parse(json!({"name": "dorp"})).unwrap_err().to_string();
        assert!(
            error.contains("\"dorp\"") && Fault::NAMES.iter().all(|name| error.contains(name)),
            "{error}"
        );
    }

    #[test]
    fn counts_and_values_are_bounded() {
        for request in [
            json!({"name": "garbage", "count": 0}),
            json!({"name": "reject", "count": 1001}),
            json!({"name": "long-line"}),
            json!({"name": "long-line", "value": 1u64 << 40}),
            json!({"name": "version-mask", "value": "ffe000"}),
            json!({"name": "set-extranonce", "value": 5}),
            json!({"name": "reconnect", "value": "elsewhere"}),
        ] {
            assert!(matches!(parse(request.clone()), Err(FaultError::Wrong(_))), "{request}");
        }
    }
}
