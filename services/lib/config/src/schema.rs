//! Schema version 1: which keys there are and what they may hold.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    address::{self, PoolUrl, Scheme},
    error::{Errors, Problem},
    network::{self, Network},
    payout::PayoutAddress,
    reader::{self, Reader},
    secret::Secret,
    trust::{self, Trust},
};

/// The schema that this program reads.
pub const VERSION: u32 = 1;
/// Most pools that a file may name.
pub const MAX_POOLS: usize = 8;
/// Longest file, bytes.
pub const MAX_SIZE: usize = 64 * 1024;
/// Longest user or password, bytes: both go to the pool in one line.
const MAX_CREDENTIAL: usize = 256;

/// Of a `[[pool]]`.
const KEYS: [&str; 7] = ["url", "user", "password", "authority", "certificate_sha256", "address", "tag"];
const DEFAULT_NAME: &str = "adit";
const DEFAULT_PASSWORD: &str = "x";
const USER_EXAMPLE: &str = "\"address.worker\"";
const URL_EXAMPLE: &str = "\"stratum+tcp://host:port\"";
const ADDRESS_EXAMPLE: &str = "\"bc1…\"";
/// Longest tag, bytes: the coinbase's script has at most 100, and 21 of them are taken.
const MAX_TAG: usize = 32;

/// A unit's configuration, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The unit's host name.
    pub name: String,
    /// In order of preference, 1 to 8.
    pub pools: Vec<Pool>,
    pub network: Network,
}

/// A pool or node, and the account there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    pub url: PoolUrl,
    pub user: Secret,
    pub password: Secret,
    /// For a pool over TLS ([`Scheme::StratumTls`]), and for nothing else.
    pub trust: Option<Trust>,
    /// For a node ([`Scheme::Node`]), and for nothing else.
    pub solo: Option<Solo>,
}

/// What a block is to hold that the unit finds on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solo {
    /// Where the reward goes.
    pub address: PayoutAddress,
    /// Stands in the coinbase for everyone to read: printable ASCII, may be empty.
    pub tag: String,
}

impl Config {
    /// Checks a whole file. `file` is the name to show before each problem.
    ///
    /// Errors: all problems found, never only the first, but for a text that is not TOML: there, what its parser found.
    pub fn parse(text: &str, file: &str) -> Result<Self, Errors> {
        let refuse = |problems| Err(Errors::new(file, problems));
        if text.len() > MAX_SIZE {
            let text = format!("{} bytes are too many; at most {MAX_SIZE} are read", text.len());
            return refuse(vec![Problem { line: 1, text }]);
        }
        // A byte order mark is what some editors leave in front.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            return refuse(errors.iter().map(|error| not_toml(text, error)).collect());
        }
        let mut reader = Reader::new(text);
        let config = read(&mut reader, table.get_ref());
        match (config, reader.into_problems()) {
            (Some(config), problems) if problems.is_empty() => Ok(config),
            (_, problems) => refuse(problems),
        }
    }

    /// As [`Config::parse`], from bytes that need not be text.
    pub fn parse_bytes(bytes: &[u8], file: &str) -> Result<Self, Errors> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::parse(text, file),
            Err(error) => {
                let line = reader::line_of(bytes, error.valid_up_to());
                let text = "not UTF-8 text; save the file as UTF-8".to_owned();
                Err(Errors::new(file, vec![Problem { line, text }]))
            }
        }
    }
}

/// The parser's own message in one line. It names what it expected, not what it read.
fn not_toml(text: &str, error: &toml::de::Error) -> Problem {
    let place = error.span().map_or(0, |span| span.start);
    let message = error.message().lines().collect::<Vec<_>>().join(", ");
    Problem { line: reader::line_of(text.as_bytes(), place), text: format!("not TOML: {message}") }
}

/// `None` only with a problem noted.
fn read(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Option<Config> {
    reader.only(table, "", &["version", "name", "pool", "network"]);
    let version = version(reader, table);
    let name = name(reader, table);
    let pools = pools(reader, table);
    let network = network::network(reader, table);
    version?;
    Some(Config { name: name?, pools: pools?, network: network? })
}

fn version(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Option<()> {
    let Some((_, value)) = reader::entry(table, "version") else {
        reader.problem(0..0, format!("version: missing; write version = {VERSION} in the first line"));
        return None;
    };
    match value.get_ref() {
        DeValue::Integer(number) if number.radix() == 10 && number.as_str().parse() == Ok(VERSION) => {
            Some(())
        }
        DeValue::Integer(number) => {
            let text = format!("version: {} is not known; write version = {VERSION}", number.as_str());
            reader.problem(value.span(), text);
            None
        }
        other => {
            let kind = reader::kind(other);
            let text = format!("version: {kind} where a whole number belongs; write version = {VERSION}");
            reader.problem(value.span(), text);
            None
        }
    }
}

fn name(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Option<String> {
    match reader.string(table, "", "name", "\"rack1-unit7\"").ok()? {
        None => Some(DEFAULT_NAME.to_owned()),
        Some((name, _)) if address::is_label(name) => Some(name.to_ascii_lowercase()),
        Some((name, place)) => {
            let form = "write 1 to 63 letters, digits and inner hyphens, as \"rack1-unit7\"";
            let shown: String = name.chars().take(80).collect();
            reader.problem(place, format!("name: {shown:?} is not a host name; {form}"));
            None
        }
    }
}

fn pools(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Option<Vec<Pool>> {
    let missing =
        format!("pool: missing; write [[pool]] and below it url = {URL_EXAMPLE} and user = {USER_EXAMPLE}");
    let Some((_, value)) = reader::entry(table, "pool") else {
        reader.problem(0..0, missing);
        return None;
    };
    let DeValue::Array(list) = value.get_ref() else {
        let kind = reader::kind(value.get_ref());
        let text = format!("pool: {kind} where a list of tables belongs; write [[pool]] with two brackets");
        reader.problem(value.span(), text);
        return None;
    };
    if list.is_empty() {
        reader.problem(value.span(), missing);
        return None;
    }
    if let Some(surplus) = list.get(MAX_POOLS) {
        let text = format!("pool: {} pools are too many; at most {MAX_POOLS} are read", list.len());
        reader.problem(surplus.span(), text);
    }
    let pools: Vec<_> = list.iter().take(MAX_POOLS).map(|entry| pool(reader, entry)).collect();
    pools.into_iter().collect()
}

fn pool(reader: &mut Reader<'_>, entry: &Spanned<DeValue<'_>>) -> Option<Pool> {
    let DeValue::Table(table) = entry.get_ref() else {
        let kind = reader::kind(entry.get_ref());
        reader.problem(entry.span(), format!("pool: {kind} where a table belongs; write [[pool]]"));
        return None;
    };
    reader.only(table, "pool.", &KEYS);
    let url = match required(reader, entry.span(), table, "url", URL_EXAMPLE) {
        Some((text, place)) => match PoolUrl::parse(text) {
            Ok(url) => Some(url),
            Err(problem) => {
                reader.problem(place, format!("pool.url: {problem}"));
                None
            }
        },
        None => None,
    };
    let is_node = url.as_ref().is_some_and(|url| url.scheme() == Scheme::Node);
    let user_example = if is_node { "\"rpcuser\"" } else { USER_EXAMPLE };
    let user = required(reader, entry.span(), table, "user", user_example);
    let user = user.and_then(|user| credential(reader, "user", user));
    let password = if is_node {
        let password = required(reader, entry.span(), table, "password", "\"rpcpassword\"");
        password.and_then(|password| credential(reader, "password", password))
    } else {
        match reader.string(table, "pool.", "password", "\"x\"") {
            Ok(None) => Some(Secret::new(DEFAULT_PASSWORD)),
            Ok(Some(password)) => credential(reader, "password", password),
            Err(()) => None,
        }
    };
    let url = url?;
    let trust = match url.scheme() {
        Scheme::StratumTls => trust::trust(reader, table).map(Some),
        Scheme::Stratum | Scheme::Node => trust::no_trust(reader, table).map(|()| None),
    };
    let solo = if is_node { solo(reader, entry.span(), table).map(Some) } else { no_solo(reader, table) };
    Some(Pool { url, user: user?, password: password?, trust: trust?, solo: solo? })
}

/// The keys that only a node has.
fn solo(reader: &mut Reader<'_>, header: Range<usize>, table: &DeTable<'_>) -> Option<Solo> {
    let address = required(reader, header, table, "address", ADDRESS_EXAMPLE);
    let address = address.and_then(|(text, place)| match PayoutAddress::parse(text) {
        Ok(address) => Some(address),
        Err(problem) => {
            reader.problem(place, format!("pool.address: {problem}"));
            None
        }
    });
    let tag = match reader.string(table, "pool.", "tag", "\"rack1\"").ok()? {
        None => String::new(),
        Some((tag, _)) if tag.len() <= MAX_TAG && tag.bytes().all(|byte| matches!(byte, b' '..=b'~')) => {
            tag.to_owned()
        }
        Some((_, place)) => {
            let text = format!("pool.tag: write at most {MAX_TAG} letters, digits and signs of ASCII");
            reader.problem(place, text);
            return None;
        }
    };
    Some(Solo { address: address?, tag })
}

/// A pool pays by its own rules.
fn no_solo(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Option<Option<Solo>> {
    let mut fine = Some(None);
    for name in ["address", "tag"] {
        if let Some((key, _)) = reader::entry(table, name) {
            let advice = "belongs to a Bitcoin node; remove it, or write url = \"http://host:8332\"";
            reader.problem(key.span(), format!("pool.{name}: {advice}"));
            fine = None;
        }
    }
    fine
}

fn required<'v>(
    reader: &mut Reader<'_>,
    header: Range<usize>,
    table: &'v DeTable<'_>,
    name: &str,
    example: &str,
) -> Option<(&'v str, Range<usize>)> {
    let found = reader.string(table, "pool.", name, example).ok()?;
    if found.is_none() {
        reader.problem(header, format!("pool.{name}: missing; write {name} = {example}"));
    }
    found
}

fn credential(reader: &mut Reader<'_>, name: &str, (text, place): (&str, Range<usize>)) -> Option<Secret> {
    let problem = if text.is_empty() && name == "user" {
        format!("empty; write {name} = {USER_EXAMPLE}")
    } else if text.len() > MAX_CREDENTIAL {
        format!("{} bytes are too many; at most {MAX_CREDENTIAL} are sent", text.len())
    } else if text.chars().any(char::is_control) {
        "has control characters in it; write it in one line without tabs".to_owned()
    } else {
        return Some(Secret::new(text));
    };
    reader.problem(place, format!("pool.{name}: {problem}"));
    None
}
