//! One connection to a pool, as a state machine.

use std::{collections::VecDeque, fmt, time::Duration};

use serde_json::{Value, json};

use super::{
    event::{Event, Oddity, Refusal},
    field,
    job::{Extranonce, Job},
    lines::Lines,
    message::Message,
    pending::{Asked, Pending, Table},
};
use crate::text;

/// Subscribe and authorize must be answered in this time.
const HANDSHAKE: Duration = Duration::from_secs(30);
/// A share that is not answered in this time is given up; the connection stays. Pools answer in a second or two.
pub const SHARE_PATIENCE: Duration = Duration::from_secs(30);
/// Bytes that may wait to be sent. A pool that makes us talk but does not read is not waited for.
const MAX_OUTGOING: usize = 64 * 1024;
/// Longest id of a request of the pool, bytes of JSON. It is sent back as it came.
const MAX_REQUEST_ID: usize = 128;
/// Longest time that a pool can send us away for.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// What a connection is for.
#[derive(Clone)]
pub struct Settings {
    /// Name and version of the program, as `adit/0.1.0`.
    pub agent: String,
    pub user: String,
    pub password: String,
    /// Host that the connection goes to, as configured. `client.reconnect` elsewhere is refused.
    pub host: String,
    /// Version bits that the hardware can roll; 0: version rolling is not asked for.
    pub version_mask: u32,
    /// Sent as `mining.suggest_difficulty` when set. Some pools drop clients that send it.
    pub suggest_difficulty: Option<f64>,
}

/// Credentials are left out.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("host", &self.host)
            .field("agent", &self.agent)
            .finish_non_exhaustive()
    }
}

/// A found share, in the pool's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share<'a> {
    pub job_id: &'a str,
    pub extranonce2: &'a [u8],
    pub ntime: u32,
    pub nonce: u32,
    /// The whole header version; only bits of `version_mask` are told to the pool.
    pub version: u32,
    /// Bits that could be rolled in the work.
    pub version_mask: u32,
}

/// Why a connection is of no more use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("line longer than 64 KiB")]
    LineTooLong,
    #[error("pool refused mining.subscribe: {0}")]
    Unsubscribed(Refusal),
    #[error("answer to mining.subscribe: {0}")]
    Subscription(String),
    #[error("pool refused the worker: {0}")]
    Unauthorized(Refusal),
    #[error("no answer to {0} in 30 s")]
    NoAnswer(&'static str),
    #[error("pool does not read what it asks for")]
    NotReading,
}

/// A connection from the first byte to the last. Give it what was received, take events until there are none, send what is [`Client::outgoing`].
pub struct Client {
    settings: Settings,
    lines: Lines,
    pending: Table,
    outgoing: Vec<u8>,
    events: VecDeque<Event>,
    extranonce: Option<Extranonce>,
    difficulty: f64,
    rolling: Rolling,
    authorized: bool,
    /// The newest job, while the pool has not taken the worker yet.
    early: Option<Job>,
}

/// Whether version bits may be rolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rolling {
    /// Not asked, or refused.
    No,
    /// Asked; until the answer comes, if ever, nothing is rolled.
    Asked,
    Agreed(u32),
}

impl Client {
    /// Starts the conversation: configure, subscribe and authorize go out at once, without waiting for answers.
    pub fn new(settings: Settings, now: Duration) -> Self {
        let mut client = Self {
            lines: Lines::default(),
            pending: Table::default(),
            outgoing: Vec::new(),
            events: VecDeque::new(),
            extranonce: None,
            difficulty: 1.0,
            rolling: Rolling::No,
            authorized: false,
            early: None,
            settings,
        };
        client.greet(now);
        client
    }

    fn greet(&mut self, now: Duration) {
        if self.settings.version_mask != 0 {
            self.rolling = Rolling::Asked;
            let mask = format!("{:08x}", self.settings.version_mask);
            let options = json!({ "version-rolling.mask": mask, "version-rolling.min-bit-count": 2 });
            // Some pools never answer this one.
            self.ask(Asked::Configure, "mining.configure", &json!([["version-rolling"], options]), now, None);
        }
        let agent = json!([self.settings.agent]);
        self.ask(Asked::Subscribe, "mining.subscribe", &agent, now, Some(HANDSHAKE));
        let account = json!([self.settings.user, self.settings.password]);
        self.ask(Asked::Authorize, "mining.authorize", &account, now, Some(HANDSHAKE));
    }

    /// Takes bytes as they came. Call [`Client::next_event`] until it is empty before the next.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.lines.push(bytes);
    }

    /// The next thing that the pool said. An error ends the connection.
    pub fn next_event(&mut self, now: Duration) -> Result<Option<Event>, Error> {
        loop {
            if self.outgoing.len() > MAX_OUTGOING {
                return Err(Error::NotReading);
            }
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            let Some(line) = self.lines.next().map_err(|_| Error::LineTooLong)? else { return Ok(None) };
            match Message::parse(self.lines.get(line)) {
                Ok(None) => {}
                Ok(Some(Message::Reply { id, outcome })) => self.reply(id, outcome, now)?,
                Ok(Some(Message::Request { id, method, params })) => self.request(&id, &method, &params),
                Err(oddity) => self.odd(oddity),
            }
        }
    }

    /// Gives up what was not answered in time. Call about once a second.
    pub fn tick(&mut self, now: Duration) -> Result<(), Error> {
        while let Some(late) = self.pending.expire(now) {
            match late.asked {
                Asked::Subscribe => return Err(Error::NoAnswer("mining.subscribe")),
                Asked::Authorize => return Err(Error::NoAnswer("mining.authorize")),
                Asked::Share => self.events.push_back(Event::ShareUnanswered { id: late.id }),
                Asked::Configure | Asked::Courtesy => {}
            }
        }
        Ok(())
    }

    /// Share difficulty of the jobs to come.
    pub fn difficulty(&self) -> f64 {
        self.difficulty
    }

    /// Version bits that may be rolled; none without an agreement.
    pub fn version_mask(&self) -> u32 {
        match self.rolling {
            Rolling::Agreed(mask) => mask,
            Rolling::No | Rolling::Asked => 0,
        }
    }

    /// Bytes to send, oldest first.
    pub fn outgoing(&self) -> &[u8] {
        &self.outgoing
    }

    /// The first `count` bytes of [`Client::outgoing`] are on their way.
    pub fn sent(&mut self, count: usize) {
        self.outgoing.drain(..count);
    }

    /// Hands in a share; the id comes back in the event that answers it. `None`: too many shares are unanswered, this one is lost.
    ///
    /// The bits told are those of the header, as BIP 310 has it: the pool puts them in the place of the masked bits of the job's version. Pools that
    /// take them as an exclusive or (public-pool) see the same while the job's own bits are clear, which they are in practice. Without an agreement on
    /// rolling the pool is told no bits; with one it is always told, even when there was nothing to roll.
    pub fn submit(&mut self, share: &Share<'_>, now: Duration) -> Option<u64> {
        let mut params = vec![
            json!(self.settings.user),
            json!(share.job_id),
            json!(hex::encode(share.extranonce2)),
            json!(format!("{:08x}", share.ntime)),
            json!(format!("{:08x}", share.nonce)),
        ];
        if matches!(self.rolling, Rolling::Agreed(_)) {
            params.push(json!(format!("{:08x}", share.version & share.version_mask)));
        }
        self.ask(Asked::Share, "mining.submit", &Value::Array(params), now, Some(SHARE_PATIENCE))
    }

    fn ask(
        &mut self,
        asked: Asked,
        method: &'static str,
        params: &Value,
        now: Duration,
        patience: Option<Duration>,
    ) -> Option<u64> {
        let id = self.pending.open(asked, now, patience)?;
        self.say(&format!(r#"{{"id":{id},"method":"{method}","params":{params}}}"#));
        Some(id)
    }

    fn say(&mut self, line: &str) {
        self.outgoing.extend_from_slice(line.as_bytes());
        self.outgoing.push(b'\n');
    }

    fn odd(&mut self, oddity: Oddity) {
        self.events.push_back(Event::Ignored(oddity));
    }

    fn reply(
        &mut self,
        id: Option<u64>,
        outcome: Result<Value, Refusal>,
        now: Duration,
    ) -> Result<(), Error> {
        let Some(Pending { id, asked, sent, .. }) = id.and_then(|id| self.pending.close(id)) else {
            self.odd(Oddity::UnknownReply);
            return Ok(());
        };
        let outcome = outcome
            .map_err(|Refusal { code, message }| Refusal { code, message: self.presentable(&message) });
        match asked {
            Asked::Configure => self.configured(outcome),
            Asked::Subscribe => {
                let result = outcome.map_err(Error::Unsubscribed)?;
                let extranonce =
                    Extranonce::parse(result.get(1), result.get(2)).map_err(Error::Subscription)?;
                self.extranonce = Some(extranonce);
                self.subscribed(now);
            }
            Asked::Authorize => {
                outcome.map_err(Error::Unauthorized)?;
                self.authorized = true;
                self.events.push_back(Event::Authorized);
                self.events.extend(self.early.take().map(Event::Job));
            }
            Asked::Courtesy => {}
            Asked::Share => self.events.push_back(match outcome {
                Ok(_) => Event::ShareAccepted { id, after: now.saturating_sub(sent) },
                Err(refusal) => Event::ShareRejected { id, refusal },
            }),
        }
        Ok(())
    }

    /// What is asked only once the pool has shown that it understands us; whether it agrees does not matter.
    fn subscribed(&mut self, now: Duration) {
        self.ask(Asked::Courtesy, "mining.extranonce.subscribe", &json!([]), now, Some(HANDSHAKE));
        if let Some(difficulty) = self.settings.suggest_difficulty {
            let params = json!([difficulty]);
            self.ask(Asked::Courtesy, "mining.suggest_difficulty", &params, now, Some(HANDSHAKE));
        }
    }

    fn configured(&mut self, outcome: Result<Value, Refusal>) {
        let agreed = outcome.ok().filter(|options| options["version-rolling"] == json!(true));
        let Some(options) = agreed else {
            self.rolling = Rolling::No;
            return;
        };
        match options.get("version-rolling.mask") {
            // A mask that came before the answer is newer than the answer's.
            _ if matches!(self.rolling, Rolling::Agreed(_)) => {}
            Some(mask) => self.set_mask(field::word(mask), "mining.configure"),
            None => self.set_mask(Some(self.settings.version_mask), "mining.configure"),
        }
    }

    fn set_mask(&mut self, mask: Option<u32>, method: &'static str) {
        match mask {
            Some(mask) => {
                let mask = mask & self.settings.version_mask;
                if self.rolling != Rolling::Agreed(mask) {
                    self.rolling = Rolling::Agreed(mask);
                    self.events.push_back(Event::VersionMask(mask));
                }
            }
            None => {
                let reason = "version mask is not 4 bytes in hexadecimal".to_owned();
                self.odd(Oddity::Parameters { method, reason });
            }
        }
    }

    fn request(&mut self, id: &Value, method: &str, params: &[Value]) {
        match method {
            "mining.notify" => self.notify(params),
            "mining.set_difficulty" => self.set_difficulty(params),
            "mining.set_extranonce" => match Extranonce::parse(params.first(), params.get(1)) {
                Ok(extranonce) => self.extranonce = Some(extranonce),
                Err(reason) => self.odd(Oddity::Parameters { method: "mining.set_extranonce", reason }),
            },
            "mining.set_version_mask" if self.rolling == Rolling::No => {}
            "mining.set_version_mask" => {
                self.set_mask(params.first().and_then(field::word), "mining.set_version_mask");
            }
            "mining.ping" => self.answer(id, &json!("pong")),
            "client.get_version" => self.answer(id, &json!(self.settings.agent)),
            "client.show_message" => {
                if let Some(text) = params.first().and_then(Value::as_str) {
                    let text = self.presentable(text);
                    self.events.push_back(Event::Message(text));
                }
            }
            "client.reconnect" => self.reconnect(params),
            _ => {}
        }
    }

    fn notify(&mut self, params: &[Value]) {
        let Some(extranonce) = &self.extranonce else { return self.odd(Oddity::EarlyJob) };
        match Job::parse(params, extranonce, self.difficulty) {
            Ok(job) if self.authorized => self.events.push_back(Event::Job(job)),
            Ok(job) => self.early = Some(job),
            Err(error) => self.odd(Oddity::Job(error)),
        }
    }

    fn set_difficulty(&mut self, params: &[Value]) {
        match params.first().and_then(Value::as_f64).filter(|value| value.is_finite() && *value > 0.0) {
            Some(difficulty) => {
                self.difficulty = difficulty;
                self.events.push_back(Event::Difficulty(difficulty));
            }
            None => {
                let reason = "difficulty is not a positive number".to_owned();
                self.odd(Oddity::Parameters { method: "mining.set_difficulty", reason });
            }
        }
    }

    /// Plain TCP proves nothing about who speaks: whoever can write into the connection could send the unit's work to a pool of his own.
    /// So a pool may name another port and a waiting time, not another host.
    fn reconnect(&mut self, params: &[Value]) {
        let host = params.first().and_then(Value::as_str).unwrap_or_default();
        if !host.is_empty() && !same_host(host, &self.settings.host) {
            return self.odd(Oddity::OtherHost(self.presentable(host)));
        }
        let port = params.get(1).and_then(field::number).and_then(|port| u16::try_from(port).ok());
        let wait = params.get(2).and_then(field::number).map_or(Duration::ZERO, Duration::from_secs);
        self.events
            .push_back(Event::Reconnect { port: port.filter(|port| *port != 0), wait: wait.min(MAX_WAIT) });
    }

    /// A pool's text as it may be shown. Pools like to repeat the account that they refuse.
    fn presentable(&self, text: &str) -> String {
        let Settings { user, password, .. } = &self.settings;
        let account = user.split('.').next().unwrap_or_default();
        text::presentable(text, &[user, account, password])
    }

    fn answer(&mut self, id: &Value, result: &Value) {
        let id = id.to_string();
        if id.len() > MAX_REQUEST_ID {
            return self.odd(Oddity::LongId);
        }
        self.say(&format!(r#"{{"id":{id},"result":{result},"error":null}}"#));
    }
}

fn same_host(one: &str, other: &str) -> bool {
    let plain = |host: &str| host.trim_end_matches('.').trim_matches(['[', ']']).to_ascii_lowercase();
    plain(one) == plain(other)
}
