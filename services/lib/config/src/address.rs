//! Where a pool is: `stratum+tcp://host:port`; and where other servers are: `host`, `host:port`.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

const SCHEME: &str = "stratum+tcp";

/// Ways to reach a pool that other miners know and this one does not yet.
const OTHER_SCHEMES: [&str; 9] = [
    "stratum+ssl",
    "stratum+tls",
    "stratum+tcps",
    "stratum2+tcp",
    "stratum2+ssl",
    "stratum+http",
    "http",
    "https",
    "ssl",
];

/// The form that a problem can offer when nothing of the text is worth repeating.
const FORM: &str = "stratum+tcp://host:port";

/// A pool's address, without credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolUrl {
    host: String,
    port: u16,
}

impl PoolUrl {
    /// Name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// `Err`: what is wrong and what would be right.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.contains('@') {
            // Nothing of such a text is repeated: it may hold a password.
            return Err(format!(
                "credentials do not belong into the address; write {FORM}, with user and password as keys of their own"
            ));
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(format!("{text:?} has blanks in it; write {FORM}"));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            let host = if text.is_empty() { "host:port" } else { text };
            return Err(format!("{text:?} has no scheme; write {SCHEME}://{host}"));
        };
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            let known = OTHER_SCHEMES.iter().any(|other| scheme.eq_ignore_ascii_case(other));
            let verdict = if known { "is not supported yet" } else { "is not known" };
            return Err(format!("{scheme:?} {verdict}; write {FORM}"));
        }
        let (host, port) = match split_port(rest.strip_suffix('/').unwrap_or(rest)) {
            ("", _) => return Err(format!("{text:?} has no host; write {FORM}")),
            (host, None) => return Err(format!("{text:?} has no port; write {SCHEME}://{host}:3333")),
            (host, Some(port)) => (host, port),
        };
        let Some(plain) = plain_host(host) else {
            return Err(format!("{host:?} is neither a host name nor an address; write {FORM}"));
        };
        match parse_port(port) {
            Some(port) => Ok(Self { host: plain.to_ascii_lowercase(), port }),
            None => Err(format!("{port:?} is not a port from 1 to 65535; write {SCHEME}://{host}:3333")),
        }
    }
}

/// A server by host name or address, and its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// Name in lower case, or address without brackets.
    pub host: String,
    pub port: u16,
}

impl HostPort {
    /// `host`, `host:port`; an IPv6 address with a port stands in brackets.
    pub(crate) fn parse(text: &str, default_port: u16) -> Option<Self> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self { host: address.to_string(), port: default_port });
        }
        let (host, port) = split_port(text);
        let port = port.map_or(Some(default_port), parse_port)?;
        Some(Self { host: plain_host(host)?.to_ascii_lowercase(), port })
    }
}

/// A host name, an IPv4 address, or an IPv6 address that loses its brackets.
fn plain_host(host: &str) -> Option<&str> {
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok().then_some(address),
        None => is_host_name(host).then_some(host),
    }
}

/// 1 to 65535; parse() alone would take a plus sign.
fn parse_port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port > 0)
}

/// Host and what follows its colon. Colons inside brackets belong to the host.
fn split_port(rest: &str) -> (&str, Option<&str>) {
    let after_host = rest.find(']').map_or(0, |bracket| bracket + 1);
    match rest[after_host..].find(':') {
        Some(colon) => (&rest[..after_host + colon], Some(&rest[after_host + colon + 1..])),
        None => (rest, None),
    }
}

/// Letters, digits and inner hyphens in labels of 1 to 63, at most 253 in all; a final dot is fine. Source: RFC 1123 §2.1.
pub(crate) fn is_host_name(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    text.len() <= 253 && text.split('.').all(is_label)
}

/// One part of a host name.
pub(crate) fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl fmt::Display for PoolUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "{SCHEME}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{SCHEME}://{}:{}", self.host, self.port)
        }
    }
}
