//! Where work comes from: a pool at `stratum+tcp://host:port` or, over TLS, `stratum+ssl://host:port`, or a Bitcoin node at `http://host:port`; and where other servers are: `host`, `host:port`.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

/// Ways to reach a pool that other miners know and this one does not yet.
const OTHER_SCHEMES: [&str; 4] = ["stratum2+tcp", "stratum2+ssl", "stratum+http", "https"];

/// What some pools write for `stratum+ssl`; read as that.
const TLS_ALIAS: &str = "stratum+tls";
/// Who writes these means Stratum over TLS.
const TLS_ALMOST: [&str; 3] = ["stratum+tcps", "ssl", "tls"];

/// The form that a problem can offer when nothing of the text is worth repeating.
const FORM: &str = "stratum+tcp://host:port";

/// The form for a pool over TLS, when that is what was meant.
const TLS_FORM: &str = "stratum+ssl://host:port";

/// The form for a node, when that is what was meant.
const NODE_FORM: &str = "http://host:8332";

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Stratum V1 over TCP.
    Stratum,
    /// Stratum V1 over TLS.
    StratumTls,
    /// JSON-RPC over HTTP with a Bitcoin node.
    Node,
}

impl Scheme {
    const ALL: [Self; 3] = [Self::Stratum, Self::StratumTls, Self::Node];

    fn named(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case(TLS_ALIAS) {
            return Some(Self::StratumTls);
        }
        Self::ALL.into_iter().find(|known| name.eq_ignore_ascii_case(known.name()))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Stratum => "stratum+tcp",
            Self::StratumTls => "stratum+ssl",
            Self::Node => "http",
        }
    }

    /// The port that most have.
    fn usual_port(self) -> u16 {
        match self {
            Self::Stratum => 3333,
            Self::StratumTls => 4333,
            Self::Node => 8332,
        }
    }

    fn form(self) -> &'static str {
        match self {
            Self::Stratum => FORM,
            Self::StratumTls => TLS_FORM,
            Self::Node => NODE_FORM,
        }
    }
}

/// The address of a pool or node, without credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolUrl {
    scheme: Scheme,
    host: String,
    port: u16,
}

impl PoolUrl {
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

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
            let form = if text.starts_with("http") { NODE_FORM } else { FORM };
            return Err(format!(
                "credentials do not belong into the address; write {form}, with user and password as keys of their own"
            ));
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(format!("{text:?} has blanks in it; write {FORM}"));
        }
        let Some((named, rest)) = text.split_once("://") else {
            let host = if text.is_empty() { "host:port" } else { text };
            return Err(format!("{text:?} has no scheme; write {}://{host}", Scheme::Stratum.name()));
        };
        let Some(scheme) = Scheme::named(named) else {
            let among = |names: &[&str]| names.iter().any(|name| named.eq_ignore_ascii_case(name));
            let verdict = if among(&OTHER_SCHEMES) { "is not supported yet" } else { "is not known" };
            let form = match () {
                () if among(&["https"]) => NODE_FORM,
                () if among(&TLS_ALMOST) => TLS_FORM,
                () => FORM,
            };
            return Err(format!("{named:?} {verdict}; write {form}"));
        };
        let (form, usual) = (scheme.form(), format!("{}://", scheme.name()));
        let usual_port = scheme.usual_port();
        let (host, port) = match split_port(rest.strip_suffix('/').unwrap_or(rest)) {
            ("", _) => return Err(format!("{text:?} has no host; write {form}")),
            (host, None) => {
                return Err(format!("{text:?} has no port; write {usual}{host}:{usual_port}"));
            }
            (host, Some(port)) => (host, port),
        };
        let Some(plain) = plain_host(host) else {
            return Err(format!("{host:?} is neither a host name nor an address; write {form}"));
        };
        match parse_port(port) {
            Some(port) => Ok(Self { scheme, host: plain.to_ascii_lowercase(), port }),
            None => Err(format!("{port:?} is not a port from 1 to 65535; write {usual}{host}:{usual_port}")),
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
        let (scheme, host, port) = (self.scheme.name(), &self.host, self.port);
        if host.contains(':') {
            write!(f, "{scheme}://[{host}]:{port}")
        } else {
            write!(f, "{scheme}://{host}:{port}")
        }
    }
}
