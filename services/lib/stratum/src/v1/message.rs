//! One line of JSON: a reply to something asked, or a request of the pool.

use serde_json::Value;

use super::{
    event::{Oddity, Refusal},
    field,
};
use crate::text;

#[derive(Debug, PartialEq)]
pub(crate) enum Message {
    Reply {
        /// None when the id is none of ours: we send numbers, some pools return them as strings.
        id: Option<u64>,
        outcome: Result<Value, Refusal>,
    },
    Request {
        id: Value,
        method: String,
        params: Vec<Value>,
    },
}

impl Message {
    /// `None`: a blank line.
    pub(crate) fn parse(line: &[u8]) -> Result<Option<Self>, Oddity> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        let value = serde_json::from_slice(line).map_err(|_| Oddity::NotJson)?;
        let Value::Object(mut object) = value else { return Err(Oddity::NotAMessage) };
        let id = object.remove("id").unwrap_or_default();
        if let Some(Value::String(method)) = object.remove("method") {
            let params = match object.remove("params") {
                Some(Value::Array(params)) => params,
                _ => Vec::new(),
            };
            return Ok(Some(Self::Request { id, method, params }));
        }
        let (result, error) = (object.remove("result"), object.remove("error"));
        if result.is_none() && error.is_none() {
            return Err(Oddity::NotAMessage);
        }
        let reason = object.remove("reject-reason").unwrap_or_default();
        Ok(Some(Self::Reply {
            id: field::number(&id),
            outcome: outcome(result.unwrap_or_default(), &error.unwrap_or_default(), &reason),
        }))
    }
}

/// A reply counts as taken unless it carries an error or its result is false or missing.
fn outcome(result: Value, error: &Value, reason: &Value) -> Result<Value, Refusal> {
    match (error, &result) {
        // ckpool says why beside an empty error.
        (Value::Null, Value::Null | Value::Bool(false)) => {
            let message = reason.as_str().unwrap_or_default();
            Err(Refusal { code: None, message: text::raw(message) })
        }
        (Value::Null, _) => Ok(result),
        (error, _) => Err(refusal(error)),
    }
}

/// `[code, "text", …]` as most pools send it, `{"code": …, "message": …}` as JSON-RPC 2.0 does, or a bare text or number.
fn refusal(error: &Value) -> Refusal {
    let (code, message) = match error {
        Value::Array(parts) => (parts.first(), parts.get(1)),
        Value::Object(parts) => (parts.get("code"), parts.get("message")),
        Value::Number(_) => (Some(error), None),
        _ => (None, Some(error)),
    };
    let message = match message {
        Some(Value::String(message)) => text::raw(message),
        Some(Value::Null) | None => String::new(),
        Some(other) => text::raw(&other.to_string()),
    };
    Refusal { code: code.and_then(Value::as_i64), message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn refused(line: &str) -> Refusal {
        match Message::parse(line.as_bytes()) {
            Ok(Some(Message::Reply { outcome: Err(refusal), .. })) => refusal,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn errors_of_every_shape_are_read() {
        let job_not_found = Refusal { code: Some(21), message: "Job not found".into() };
        for line in [
            r#"{"id":4,"result":null,"error":[21,"Job not found",null]}"#,
            r#"{"id":4,"result":false,"error":[21,"Job not found"]}"#,
            r#"{"id":4,"error":{"code":21,"message":"Job not found"}}"#,
        ] {
            assert_eq!(refused(line), job_not_found, "{line}");
        }
        let text = |message: &str| Refusal { code: None, message: message.into() };
        assert_eq!(refused(r#"{"id":4,"result":null,"error":"Invalid share"}"#), text("Invalid share"));
        assert_eq!(refused(r#"{"id":4,"result":false,"error":null}"#), text(""));
        assert_eq!(refused(r#"{"id":4,"result":null,"error":null}"#), text(""));
        assert_eq!(refused(r#"{"id":4,"result":false,"error":null,"reject-reason":"Stale"}"#), text("Stale"));
        assert_eq!(refused(r#"{"id":4,"error":[]}"#), text(""));
        assert_eq!(refused(r#"{"id":4,"error":23}"#).code, Some(23));
        assert_eq!(
            refused(&format!(r#"{{"id":4,"error":"{}"}}"#, "x".repeat(9999))).message.len(),
            text::MAX_RAW
        );
    }

    #[test]
    fn ids_may_be_numbers_or_strings() {
        for (id, expected) in [("7", Some(7)), ("\"7\"", Some(7)), ("null", None), ("-1", None), ("{}", None)]
        {
            let line = format!(r#"{{"id":{id},"result":true,"error":null}}"#);
            let reply = Message::Reply { id: expected, outcome: Ok(json!(true)) };
            assert_eq!(Message::parse(line.as_bytes()), Ok(Some(reply)), "{line}");
        }
    }

    #[test]
    fn what_is_no_message_is_named() {
        assert_eq!(Message::parse(b" \t"), Ok(None));
        assert_eq!(Message::parse(b"HTTP/1.1 400 Bad Request"), Err(Oddity::NotJson));
        assert_eq!(Message::parse(b"\xff\xfe"), Err(Oddity::NotJson));
        assert_eq!(Message::parse(&b"[".repeat(60_000)), Err(Oddity::NotJson), "deep nesting ends early");
        for line in ["[]", "null", "17", "{}", r#"{"id":1}"#, r#"{"method":7}"#] {
            assert_eq!(Message::parse(line.as_bytes()), Err(Oddity::NotAMessage), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_an_oddity(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Message::parse(&line);
        }
    }
}
