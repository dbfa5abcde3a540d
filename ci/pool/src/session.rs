//! One connection's side of Stratum V1, without IO: lines in, lines and events out.
//!
//! Strict on purpose: a share is judged by what was in force when its job was sent, anything unclear is refused and counted.
//! Sources: BIP310 (configure, version rolling), the Stratum pages of slush's pool as kept by the pools of today.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::difficulty::Difficulty;
use crate::fault::Standing;
use crate::share::{Job, Reject, Share, Submission, word};
use crate::work::{Extranonce1, VERSION_MASK, Work};

/// Jobs that a connection may still hand in shares for.
const MAX_JOBS: usize = 64;
/// Shares remembered against duplicates, over all jobs of a connection.
const MAX_REMEMBERED: usize = 65_536;
const MAX_WORKERS: usize = 16;
/// Longest worker name and user agent, in characters.
const MAX_NAME: usize = 256;
/// More bad lines than this and the connection is closed.
const MAX_BAD_LINES: u32 = 100;

pub(crate) struct Session {
    extranonce1: Extranonce1,
    extranonce2_size: usize,
    difficulty: Difficulty,
    mask: Option<u32>,
    subscribed: bool,
    wants_extranonce: bool,
    workers: Vec<String>,
    jobs: VecDeque<Job>,
    latest: Option<Arc<Work>>,
    /// A clean job was held back: the next one has to be clean instead.
    owes_clean: bool,
    bad_lines: u32,
    pings: u64,
    ping_waits: Option<u64>,
}

/// What the rest of the pool wants to know.
#[derive(Debug, PartialEq)]
pub(crate) enum Event {
    Agent(String),
    Authorized(String),
    Accepted {
        worker: String,
        reached: f64,
    },
    Rejected {
        worker: String,
        reject: Reject,
    },
    /// A share to offer to the node.
    Candidate(Box<Candidate>),
    BadLine(&'static str),
    Pong,
}

#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) work: Arc<Work>,
    pub(crate) extranonce1: Extranonce1,
    pub(crate) share: Share,
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.share.hash == other.share.hash
    }
}

#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) lines: Vec<Value>,
    pub(crate) events: Vec<Event>,
    pub(crate) close: bool,
}

/// A refused request: code and text of the Stratum error.
struct Refusal(u8, String);

impl Refusal {
    fn other(text: impl Into<String>) -> Self {
        Self(20, text.into())
    }
}

impl Session {
    pub(crate) fn new(extranonce1: Extranonce1, extranonce2_size: usize, difficulty: Difficulty) -> Self {
        Self {
            extranonce1,
            extranonce2_size,
            difficulty,
            mask: None,
            subscribed: false,
            wants_extranonce: false,
            workers: Vec::new(),
            jobs: VecDeque::new(),
            latest: None,
            owes_clean: false,
            bad_lines: 0,
            pings: 0,
            ping_waits: None,
        }
    }

    fn ready(&self) -> bool {
        self.subscribed && !self.workers.is_empty()
    }

    /// Takes one line from the miner. `now`: Unix seconds.
    pub(crate) fn handle(&mut self, line: &[u8], now: u32, faults: &Standing) -> Output {
        let mut out = Output::default();
        let message: Value = match serde_json::from_slice(line) {
            Ok(message) => message,
            Err(_) => return self.bad_line("not JSON", out),
        };
        let id = message.get("id").cloned().unwrap_or(Value::Null);
        let Some(method) = message.get("method").and_then(Value::as_str) else {
            return self.answer_of_miner(&message, &id, out);
        };
        // A request needs an id to be answered to; some pools drop a client that sends one without.
        if !(id.is_u64() || id.is_string()) {
            return self.bad_line("request without an id", out);
        }
        let Some(params) = message.get("params").and_then(Value::as_array) else {
            return self.bad_line("params are not a list", out);
        };
        let was_ready = self.ready();
        let result = match method {
            "mining.configure" => self.configure(params, faults),
            "mining.subscribe" => self.subscribe(params, &mut out),
            "mining.extranonce.subscribe" => {
                self.wants_extranonce = true;
                Ok(Value::Bool(true))
            }
            "mining.authorize" => self.authorize(params, &mut out),
            // Polite, without effect: the difficulty is the test's to choose.
            "mining.suggest_difficulty" | "mining.suggest_target" => Ok(Value::Bool(true)),
            "mining.submit" => self.submit(params, now, faults, &mut out),
            "mining.ping" => Ok(Value::from("pong")),
            _ => Err(Refusal::other(format!("unknown method {method:.40}"))),
        };
        out.lines.push(match result {
            Ok(result) => json!({"id": id, "result": result, "error": null}),
            Err(Refusal(code, text)) => json!({"id": id, "result": null, "error": [code, text, null]}),
        });
        if self.ready() && !was_ready {
            out.lines.push(self.difficulty_line());
            if let Some(work) = self.latest.clone() {
                out.lines
                    .extend(self.announce(work, faults.stop_jobs.load(std::sync::atomic::Ordering::Relaxed)));
            }
        }
        out
    }

    fn bad_line(&mut self, what: &'static str, mut out: Output) -> Output {
        self.bad_lines += 1;
        out.events.push(Event::BadLine(what));
        out.close |= self.bad_lines > MAX_BAD_LINES;
        out
    }

    fn answer_of_miner(&mut self, message: &Value, id: &Value, mut out: Output) -> Output {
        if id.is_u64()
            && id.as_u64() == self.ping_waits
            && message.get("result").and_then(Value::as_str) == Some("pong")
        {
            self.ping_waits = None;
            out.events.push(Event::Pong);
            return out;
        }
        self.bad_line("neither a request nor an awaited answer", out)
    }

    fn configure(&mut self, params: &[Value], faults: &Standing) -> Result<Value, Refusal> {
        if faults.no_configure.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(Refusal::other("unknown method mining.configure"));
        }
        let Some(extensions) = params.first().and_then(Value::as_array) else {
            return Err(Refusal::other("the first parameter is a list of extensions"));
        };
        let options = params.get(1);
        let mut result = serde_json::Map::new();
        for extension in extensions.iter().take(16).filter_map(Value::as_str) {
            match extension {
                "version-rolling" => {
                    let wanted = match options.and_then(|options| options.get("version-rolling.mask")) {
                        None => u32::MAX,
                        Some(mask) => mask.as_str().and_then(word).ok_or_else(|| {
                            Refusal::other("version-rolling.mask is not 8 hexadecimal digits")
                        })?,
                    };
                    let least = options
                        .and_then(|options| options.get("version-rolling.min-bit-count"))
                        .and_then(Value::as_u64);
                    let mask = wanted & VERSION_MASK;
                    if u64::from(mask.count_ones()) < least.unwrap_or(0) {
                        result.insert(extension.to_owned(), "not as many bits may be rolled".into());
                    } else {
                        self.mask = Some(mask);
                        result.insert(extension.to_owned(), true.into());
                        result.insert("version-rolling.mask".to_owned(), format!("{mask:08x}").into());
                    }
                }
                "subscribe-extranonce" => {
                    self.wants_extranonce = true;
                    result.insert(extension.to_owned(), true.into());
                }
                unknown => {
                    result.insert(unknown.chars().take(MAX_NAME).collect(), false.into());
                }
            }
        }
        Ok(Value::Object(result))
    }

    fn subscribe(&mut self, params: &[Value], out: &mut Output) -> Result<Value, Refusal> {
        match params.first() {
            None | Some(Value::Null) => {}
            Some(Value::String(agent)) => {
                out.events.push(Event::Agent(agent.chars().take(MAX_NAME).collect()))
            }
            Some(_) => return Err(Refusal::other("the first parameter is the user agent")),
        }
        self.subscribed = true;
        let name = hex::encode(self.extranonce1);
        Ok(json!([[["mining.set_difficulty", name], ["mining.notify", name]], name, self.extranonce2_size]))
    }

    fn authorize(&mut self, params: &[Value], out: &mut Output) -> Result<Value, Refusal> {
        let worker = match params.first().and_then(Value::as_str) {
            Some(worker) if !worker.is_empty() && worker.chars().count() <= MAX_NAME => worker.to_owned(),
            _ => return Err(Refusal(24, "the worker is a string of 1 to 256 characters".to_owned())),
        };
        if !self.workers.contains(&worker) {
            if self.workers.len() == MAX_WORKERS {
                return Err(Refusal(24, "too many workers on this connection".to_owned()));
            }
            out.events.push(Event::Authorized(worker.clone()));
            self.workers.push(worker);
        }
        Ok(Value::Bool(true))
    }

    fn submit(
        &mut self,
        params: &[Value],
        now: u32,
        faults: &Standing,
        out: &mut Output,
    ) -> Result<Value, Refusal> {
        let worker = params.first().and_then(Value::as_str).unwrap_or("").chars().take(MAX_NAME).collect();
        match self.judge(params, now, faults) {
            Ok(candidate) => {
                out.events.push(Event::Accepted { worker, reached: candidate.share.reached });
                out.events.push(Event::Candidate(Box::new(candidate)));
                Ok(Value::Bool(true))
            }
            Err(reject) => {
                let refusal = Refusal(reject.code(), reject.to_string());
                out.events.push(Event::Rejected { worker, reject });
                Err(refusal)
            }
        }
    }

    fn judge(&mut self, params: &[Value], now: u32, faults: &Standing) -> Result<Candidate, Reject> {
        if !self.subscribed {
            return Err(Reject::NotSubscribed);
        }
        let submission = Submission::parse(params)?;
        if !self.workers.contains(&submission.worker) {
            return Err(Reject::Unauthorized);
        }
        self.forget_if_full();
        let job = self.jobs.iter_mut().find(|job| job.work.id == submission.job).ok_or(Reject::Stale)?;
        let share = job.judge(&submission, self.mask, now)?;
        if faults.take_reject() {
            return Err(Reject::OnPurpose);
        }
        Ok(Candidate { work: Arc::clone(&job.work), extranonce1: job.extranonce1, share })
    }

    /// Duplicates can only be told while shares are remembered: a job whose shares no longer fit is over.
    fn forget_if_full(&mut self) {
        while self.jobs.iter().map(Job::remembered).sum::<usize>() >= MAX_REMEMBERED {
            self.jobs.pop_front();
        }
    }

    /// A new job: the lines to send, none before the miner is ready or while jobs are stopped.
    pub(crate) fn announce(&mut self, work: Arc<Work>, stopped: bool) -> Option<Value> {
        self.latest = Some(Arc::clone(&work));
        if !self.ready() || stopped || work.extranonce2_size != self.extranonce2_size {
            self.owes_clean |= work.clean;
            return None;
        }
        let owed = std::mem::take(&mut self.owes_clean);
        let clean = work.clean || owed || self.jobs.is_empty();
        if clean {
            self.jobs.clear();
        }
        if self.jobs.len() == MAX_JOBS {
            self.jobs.pop_front();
        }
        let line = json!({"id": null, "method": "mining.notify", "params": work.notify(clean)});
        self.jobs.push_back(Job::new(work, self.extranonce1, self.difficulty, self.mask));
        Some(line)
    }

    /// Takes effect with the next job.
    pub(crate) fn set_difficulty(&mut self, difficulty: Difficulty) -> Option<Value> {
        self.difficulty = difficulty;
        self.ready().then(|| self.difficulty_line())
    }

    fn difficulty_line(&self) -> Value {
        json!({"id": null, "method": "mining.set_difficulty", "params": [self.difficulty.value()]})
    }

    /// Takes effect with the next job. Nothing for a miner that never negotiated rolling.
    pub(crate) fn set_mask(&mut self, mask: u32) -> Option<Value> {
        self.mask?;
        self.mask = Some(mask & VERSION_MASK);
        Some(
            json!({"id": null, "method": "mining.set_version_mask", "params": [format!("{:08x}", mask & VERSION_MASK)]}),
        )
    }

    /// Takes effect with the next job. Errors: a miner that did not ask for such messages cannot follow, and has to reconnect when the
    /// size changes.
    pub(crate) fn set_extranonce(
        &mut self,
        extranonce1: Extranonce1,
        extranonce2_size: usize,
    ) -> Result<Option<Value>, ()> {
        if !self.wants_extranonce {
            return if extranonce2_size == self.extranonce2_size { Ok(None) } else { Err(()) };
        }
        self.extranonce1 = extranonce1;
        self.extranonce2_size = extranonce2_size;
        let params = json!([hex::encode(extranonce1), extranonce2_size]);
        Ok(Some(json!({"id": null, "method": "mining.set_extranonce", "params": params})))
    }

    pub(crate) fn ping(&mut self) -> Value {
        self.pings += 1;
        self.ping_waits = Some(self.pings);
        json!({"id": self.pings, "method": "mining.ping", "params": []})
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
