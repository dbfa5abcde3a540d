//! What a client hears from its pool.

use std::{fmt, time::Duration};

use super::job::{Job, JobError};
use crate::text;

#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The pool took the worker. Jobs come only after this.
    Authorized,
    /// New work. Carries the extranonce and the difficulty that were in force when it came.
    Job(Job),
    /// Share difficulty for the jobs that follow. Finite and positive, may be a fraction.
    Difficulty(f64),
    /// Version bits that may be rolled from now on, in every job: a subset of what was asked for; 0 forbids rolling.
    VersionMask(u32),
    /// The pool counted the share that `submit` gave this id, after this time.
    ShareAccepted {
        id: u64,
        after: Duration,
    },
    ShareRejected {
        id: u64,
        refusal: Refusal,
    },
    /// The pool did not answer in time; a later answer is an [`Oddity::UnknownReply`].
    ShareUnanswered {
        id: u64,
    },
    /// The pool asks to connect again, to the same host, after waiting at least this long (at most a minute).
    Reconnect {
        port: Option<u16>,
        wait: Duration,
    },
    /// Something that the pool wants a person to read, without our credentials, at most 256 characters. Control characters are as they came: escape them when printing.
    Message(String),
    /// Something that cannot be or is not done; the connection goes on.
    Ignored(Oddity),
}

/// Why a pool refused a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Refusal {
    /// 20 other, 21 job not found, 22 duplicate, 23 low difficulty, 24 unauthorized, 25 not subscribed. Not every pool sends one.
    pub code: Option<i64>,
    /// As the pool said it but for our credentials, at most 256 characters.
    pub message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = text::plain(&self.message);
        match (self.code, message.as_str()) {
            (Some(code), message) => write!(f, "code {code} \"{message}\""),
            (None, "") => f.write_str("no reason given"),
            (None, message) => write!(f, "\"{message}\""),
        }
    }
}

/// A line that a pool should not have sent. To be counted, and logged once per [`Oddity::kind`].
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Oddity {
    #[error("line is not JSON")]
    NotJson,
    #[error("line is neither request nor reply")]
    NotAMessage,
    #[error("reply to nothing that was asked")]
    UnknownReply,
    #[error("mining.notify before the pool answered mining.subscribe")]
    EarlyJob,
    #[error("mining.notify: {0}")]
    Job(JobError),
    #[error("{method}: {reason}")]
    Parameters { method: &'static str, reason: String },
    #[error("client.reconnect to another host {0:?} is refused")]
    OtherHost(String),
    #[error("request of the pool cannot be answered: its id is too long")]
    LongId,
}

impl Oddity {
    /// A short name that is the same for all oddities of a kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotJson => "not-json",
            Self::NotAMessage => "not-a-message",
            Self::UnknownReply => "unknown-reply",
            Self::EarlyJob => "early-job",
            Self::Job(_) => "bad-job",
            Self::Parameters { method, .. } => method,
            Self::OtherHost(_) => "other-host",
            Self::LongId => "long-id",
        }
    }
}
