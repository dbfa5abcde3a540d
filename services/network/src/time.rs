//! The unit's clock, for a board that has none when it is switched on.
//!
//! In: where the network is and which servers DHCP offers, the release's build time, the time saved on `data`, answers of time servers. Out: the kernel's
//! clock, set or slewed; the saved time; one log line for each change. Nobody waits for any of it, and mining needs none of it.
//!
//! Roughtime servers, whose answers are signed with pinned keys, bound the time; plain SNTP refines it inside of these bounds. Only when no Roughtime server
//! has answered does a majority of plain ones count, and the log says "unauthenticated". Why: docs/decisions/005.
//!
//! What it must never do: set the clock before the floor, believe a single server more than several, or let what a stranger has said outlive the strangers'
//! network: of the saved time only what several operators have signed is a floor.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::PathBuf,
    time::Duration,
};

use adit_config::{HostPort, Network, Roughtime};
use adit_sys::clock;
use ed25519_dalek::VerifyingKey;
use futures_util::future::join_all;
use serde::Deserialize;
use tokio::{sync::watch, task::spawn_blocking, time::sleep};

mod ask;
pub mod course;
pub mod interval;
pub mod judge;
pub mod roughtime;
pub mod saved;
mod servers;
pub mod sntp;
mod source;
mod utc;

use ask::Failed;
use course::{Act, Bounds};
use interval::{Interval, Micros, micros};
use judge::{Finding, Judge, Trust};
use saved::Saved;
use source::{Kind, Outcome, Source};

const NTP_PORT: u16 = 123;
const SECOND: Micros = 1_000_000;
/// The floor where no release says when it was built: 2026-01-01, before the first.
const EARLIEST_S: i64 = 1_767_225_600;
/// No unit runs a release that is older than this: what is later is a lie, or damage. 20 years.
const LONGEST_USE_S: i64 = 20 * 31_557_600;
/// Flash wears: so much time between two writes.
const SAVE_PAUSE: Duration = Duration::from_secs(3_600);
/// So much where the clock was set back. An orderly end does not write sooner either, unless the clock was set back.
const SAVE_AGAIN: Duration = Duration::from_secs(60);

/// Where things are.
#[derive(Debug, Clone)]
pub struct Places {
    /// What adit-image writes about the release; may be absent.
    pub release: PathBuf,
    /// Where the time is kept over a power cut. Its folder is made, not what that is in.
    pub saved: PathBuf,
}

/// What the network gives; absent until there is one.
pub(crate) type Offer = Option<Vec<IpAddr>>;

/// Keeps the time until the other end of `offers` is dropped.
pub(crate) async fn run(places: Places, network: Network, mut offers: watch::Receiver<Offer>) {
    let mut keeper = Keeper::new(places, &network);
    keeper.start_where_we_ended();
    loop {
        tokio::select! {
            changed = offers.changed() => {
                if changed.is_err() {
                    break;
                }
                let offer = offers.borrow_and_update().clone();
                keeper.adopt(&network, offer);
            }
            () = sleep(keeper.until_save()) => keeper.save().await,
            answers = keeper.round(), if keeper.online => keeper.conclude(answers),
        }
    }
    if keeper.was_set_back || keeper.unsaved_for() >= SAVE_AGAIN {
        keeper.save().await;
    }
}

struct Keeper {
    places: Places,
    online: bool,
    sources: Vec<Source>,
    judge: Judge,
    /// The best kind of source that has set the clock, or found it right.
    set_by: Option<Trust>,
    built_s: i64,
    saved: Saved,
    saved_at: Option<Duration>,
    /// Since then. What was saved may be as wrong as the clock was, and would be where the next boot begins.
    was_set_back: bool,
    /// About whom or what, and what.
    complaints: BTreeMap<String, BTreeSet<String>>,
}

/// What is read of `/etc/adit/release.json`.
#[derive(Deserialize)]
struct Release {
    /// Seconds since 1970.
    built: i64,
}

impl Keeper {
    fn new(places: Places, network: &Network) -> Self {
        let release = std::fs::read(&places.release).ok();
        let release: Option<Release> = release.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        // Signed with the release; absent only where there is no image.
        let built_s = release.map_or(EARLIEST_S, |release| release.built.max(EARLIEST_S));
        let mut keeper = Self {
            places,
            online: false,
            sources: Vec::new(),
            judge: Judge::default(),
            set_by: None,
            built_s,
            saved: Saved::default(),
            saved_at: None,
            was_set_back: false,
            complaints: BTreeMap::new(),
        };
        let named = if network.roughtime.is_empty() { servers::signed() } else { network.roughtime.clone() };
        for Roughtime { server, key } in named {
            match VerifyingKey::from_bytes(&key).ok().filter(|key| !key.is_weak()) {
                Some(key) => keeper.sources.push(Source::new(server, Kind::Roughtime(key))),
                None => keeper.complain(&server.host, "its key is not one of Ed25519"),
            }
        }
        keeper
    }

    fn ceiling_s(&self) -> i64 {
        self.built_s.saturating_add(LONGEST_USE_S)
    }

    /// Raises the clock to the saved time, before there is a network.
    fn start_where_we_ended(&mut self) {
        match saved::read(&self.places.saved, self.ceiling_s()) {
            Ok(Some(saved)) => self.saved = saved,
            Ok(None) => {}
            Err(error) => {
                let path = self.places.saved.display().to_string();
                self.complain(&path, &format!("saved time not used: {error}"));
            }
        }
        let least = self.saved.clock.max(self.saved.signed).max(self.built_s);
        let now = clock::realtime_us();
        if now < least * SECOND {
            self.step(now, least * SECOND, "saved", None);
        }
    }

    /// A network, another one, or none.
    fn adopt(&mut self, network: &Network, offer: Offer) {
        self.online = offer.is_some();
        let offered = offer.unwrap_or_default();
        let plain: Vec<HostPort> = match (network.ntp.as_slice(), offered.as_slice()) {
            ([], []) => servers::plain(),
            ([], offered) => {
                let server = |address: &IpAddr| HostPort { host: address.to_string(), port: NTP_PORT };
                offered.iter().map(server).collect()
            }
            (named, _) => named.to_vec(),
        };
        // What is known of a server that stays is kept: how it failed, and what it has asked for.
        let (signed, before): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.sources).into_iter().partition(|source| source.kind != Kind::Sntp);
        self.sources = signed;
        for server in plain {
            let known = before.iter().find(|source| source.server == server).cloned();
            self.sources.push(known.unwrap_or_else(|| Source::new(server, Kind::Sntp)));
        }
    }

    /// Waits until somebody is due, and asks. Cancel-safe: what is dropped half-way is asked again.
    async fn round(&self) -> Vec<(usize, Result<Interval, Failed>)> {
        let Some(due) = self.sources.iter().map(|source| source.due).min() else {
            return std::future::pending().await;
        };
        sleep(due.saturating_sub(clock::raw())).await;
        let near = self.built_s.saturating_add(LONGEST_USE_S / 2);
        // Who may be asked is asked along with the one who is due: there are fewer rounds, and few of a single server.
        let now = clock::raw();
        let asked = self.sources.iter().enumerate().filter(|(_, source)| source.willing <= now);
        join_all(asked.map(|(number, source)| async move {
            let attempt = source.failures as usize;
            let answer = match &source.kind {
                Kind::Roughtime(key) => ask::roughtime(&source.server, key, attempt).await,
                Kind::Sntp => ask::sntp(&source.server, attempt, near).await,
            };
            (number, answer)
        }))
        .await
    }

    fn conclude(&mut self, answers: Vec<(usize, Result<Interval, Failed>)>) {
        let now = clock::raw();
        // Without a way out all fail alike: one line says so of all.
        let mut failed = BTreeMap::<String, Vec<String>>::new();
        for (number, answer) in answers {
            let outcome = match &answer {
                Ok(interval) => Outcome::Answered(*interval),
                Err(Failed::Sntp(sntp::Rejected::Kiss(code))) => Outcome::Kissed(*code),
                Err(_) => Outcome::Failed,
            };
            let source = &mut self.sources[number];
            source.rest(now, outcome, ask::random().map_or(0, |[dice]| dice));
            if let Err(error) = answer {
                failed.entry(format!("time source: {error}")).or_default().push(source.server.host.clone());
            }
        }
        for (text, hosts) in failed {
            self.complain_of(&hosts, &text);
        }
        let (plain, signed): (Vec<_>, Vec<_>) = self
            .sources
            .iter()
            .enumerate()
            .filter_map(|(number, source)| source.answer(number, now))
            .partition(|answer| self.sources[answer.source].kind == Kind::Sntp);
        match self.judge.hear(now, &signed, &plain) {
            Ok(Some(finding)) => self.act(&finding, now),
            Ok(None) => {}
            Err(unclear) => self.complain("time", &unclear.to_string()),
        }
    }

    fn act(&mut self, finding: &Finding, count: Duration) {
        let count = micros(count);
        let now = clock::realtime_us();
        let zero = now - micros(clock::raw());
        let bounds = Bounds {
            floor: self.built_s.max(self.saved.signed) * SECOND,
            ceiling: self.ceiling_s().saturating_mul(SECOND),
        };
        let names = finding.sources.iter().map(|source| self.sources[*source].server.host.as_str());
        let names = names.collect::<Vec<_>>().join(",");
        let trust = finding.trust.text();
        if finding.outside > 0 {
            self.complain("time", "unauthenticated time sources contradict the authenticated ones");
        }
        let done = match course::decide(finding, zero, count, bounds, self.set_by) {
            Ok(Act::Leave) => {
                if self.set_by < Some(finding.trust) {
                    tracing::info!(target: "adit_network", "clock right now={} trust={trust} sources={names}", utc::text(now));
                }
                true
            }
            Ok(Act::Slew(by)) => match clock::slew_us(by) {
                Ok(()) => {
                    if self.set_by < Some(finding.trust) {
                        tracing::info!(target: "adit_network", "clock slewed by_ms={} trust={trust} sources={names}", by / 1_000);
                    }
                    true
                }
                Err(error) => {
                    self.complain("clock", &format!("not slewed: {error}"));
                    false
                }
            },
            Ok(Act::Step(moment)) => {
                let done = self.step(now, now + (moment - zero), &names, Some(finding.trust));
                self.was_set_back |= done && moment < zero;
                done
            }
            Err(refused) => {
                let to = utc::text(finding.interval.middle().saturating_add(count));
                self.complain("clock", &format!("not set to={to} trust={trust} sources={names}: {refused}"));
                false
            }
        };
        if done {
            self.set_by = self.set_by.max(Some(finding.trust));
            let sure = finding.sure.map_or(0, |zero| zero.saturating_add(count) / SECOND);
            self.saved.signed = self.saved.signed.max(sure);
        }
    }

    /// Whether it was possible.
    fn step(&mut self, from: Micros, to: Micros, names: &str, trust: Option<Trust>) -> bool {
        let by_s = (to - from) as f64 / SECOND as f64;
        let what = format!(
            "from={} to={} by_s={by_s:.1} trust={} sources={names}",
            utc::text(from),
            utc::text(to),
            trust.map_or("none", Trust::text)
        );
        match clock::set_realtime_us(to) {
            Ok(()) => {
                tracing::info!(target: "adit_network", "clock set {what}");
                true
            }
            Err(error) => {
                self.complain("clock", &format!("not set {what}: {error}"));
                false
            }
        }
    }

    fn unsaved_for(&self) -> Duration {
        clock::raw().saturating_sub(self.saved_at.unwrap_or_default())
    }

    fn until_save(&self) -> Duration {
        let pause = match self.saved_at {
            // The first time soon after the clock was set: most of what can be lost is lost by never having written.
            None if self.set_by.is_some() => Duration::ZERO,
            _ if self.was_set_back => SAVE_AGAIN,
            _ => SAVE_PAUSE,
        };
        pause.saturating_sub(self.unsaved_for())
    }

    /// On a thread of its own: flash that is slow or hangs must not hold up the rest of the service.
    async fn save(&mut self) {
        (self.saved_at, self.was_set_back) = (Some(clock::raw()), false);
        let now = clock::realtime_us() / SECOND;
        // Nobody has corrected such a clock yet, and it would not be read.
        if !(0..=self.ceiling_s()).contains(&now) {
            return;
        }
        self.saved.clock = now;
        let (path, saved) = (self.places.saved.clone(), self.saved);
        let written = spawn_blocking(move || saved::write(&path, saved)).await;
        if let Err(error) = written.unwrap_or_else(|error| Err(error.into())) {
            let path = self.places.saved.display().to_string();
            self.complain(&path, &format!("time not saved: {error}"));
        }
    }

    fn complain(&mut self, about: &str, text: &str) {
        self.complain_of(&[about.to_owned()], text);
    }

    /// Logs each text once about each of them, and not more of them about anyone than a person reads.
    fn complain_of(&mut self, about: &[String], text: &str) {
        const SUBJECTS: usize = 32;
        const TEXTS: usize = 4;
        let mut is_news = |about: &&String| {
            if self.complaints.len() == SUBJECTS && !self.complaints.contains_key(*about) {
                return false;
            }
            let texts = self.complaints.entry((*about).clone()).or_default();
            texts.len() < TEXTS && texts.insert(text.to_owned())
        };
        let news: Vec<_> = about.iter().filter(|about| is_news(about)).map(String::as_str).collect();
        if !news.is_empty() {
            tracing::warn!(target: "adit_network", "{}: {text}", news.join(", "));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_is_saved_soon_and_not_at_the_pace_of_who_sets_it() {
        let nowhere = PathBuf::from("/nonexistent/network/time");
        let mut keeper =
            Keeper::new(Places { release: nowhere.clone(), saved: nowhere }, &Network::default());
        keeper.set_by = Some(Trust::Unauthenticated);
        assert_eq!(keeper.until_save(), Duration::ZERO);
        keeper.saved_at = Some(clock::raw());
        assert!(keeper.until_save() > SAVE_AGAIN);
        keeper.was_set_back = true;
        let (least, most) = (SAVE_AGAIN / 2, SAVE_AGAIN);
        assert!((least..=most).contains(&keeper.until_save()), "{:?}", keeper.until_save());
    }
}
