//! The two dialects: OpenMetrics 1.0, and the older Prometheus text format 0.0.4, in which a counter's family is named with its `_total`, units are only
//! part of names, and neither `info` nor `stateset` exists.

use std::fmt::Write as _;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    OpenMetrics,
    Prometheus,
}

impl Dialect {
    /// What a client prefers by its `Accept`: OpenMetrics, unless a text for people or for older scrapers is named and liked better.
    pub fn preferred(accept: &str) -> Self {
        let (mut open, mut text) = (None::<f64>, None::<f64>);
        for offer in accept.split(',') {
            let mut parts = offer.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f64>().ok());
            let quality = quality.filter(|quality| (0.0..=1.0).contains(quality)).unwrap_or(1.0);
            let named = match kind.as_str() {
                "application/openmetrics-text" => &mut open,
                "text/plain" | "text/html" | "text/*" => &mut text,
                _ => continue,
            };
            *named = Some(named.map_or(quality, |known| known.max(quality)));
        }
        let (open, text) = match (open, text) {
            (open, None) => (open.unwrap_or(1.0), 0.0),
            (open, Some(text)) => (open.unwrap_or(0.0), text),
        };
        if text > open { Self::Prometheus } else { Self::OpenMetrics }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Gauge,
    Counter,
    Info,
    StateSet,
}

/// Metrics of one name. `name` is OpenMetrics' family name: without `_total` and `_info`, its unit last.
#[derive(Clone, Copy)]
pub(super) struct Family {
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    help: &'static str,
}

impl Family {
    pub(super) fn gauge(name: &'static str, unit: &'static str, help: &'static str) -> Self {
        debug_assert!(name.ends_with(unit), "{name} ends with its unit");
        Self { name, kind: Kind::Gauge, unit, help }
    }

    pub(super) fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Counter, unit: "", help }
    }

    pub(super) fn info(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Info, unit: "", help }
    }

    /// One sample a state, labelled with the family's own name; 1 is the present one.
    pub(super) fn states(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::StateSet, unit: "", help }
    }
}

/// One value. Finite: what was not measured has no sample.
pub(super) struct Sample {
    pub(super) labels: Vec<(&'static str, String)>,
    pub(super) value: f64,
}

pub(super) fn plain(value: f64) -> Sample {
    Sample { labels: Vec::new(), value }
}

pub(super) fn labelled(name: &'static str, label: &str, value: f64) -> Sample {
    Sample { labels: vec![(name, label.to_owned())], value }
}

pub(super) struct Page {
    dialect: Dialect,
    text: String,
}

impl Page {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { dialect, text: String::with_capacity(8 * 1024) }
    }

    /// A family without samples is left out.
    pub(super) fn add(&mut self, family: Family, samples: impl IntoIterator<Item = Sample>) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let Family { name, kind, unit, help } = family;
        let suffix = match kind {
            Kind::Gauge | Kind::StateSet => "",
            Kind::Counter => "_total",
            Kind::Info => "_info",
        };
        let (family_suffix, kind) = match (self.dialect, kind) {
            (_, Kind::Gauge) => ("", "gauge"),
            (Dialect::OpenMetrics, Kind::Counter) => ("", "counter"),
            (Dialect::OpenMetrics, Kind::Info) => ("", "info"),
            (Dialect::OpenMetrics, Kind::StateSet) => ("", "stateset"),
            (Dialect::Prometheus, Kind::Counter) => (suffix, "counter"),
            (Dialect::Prometheus, Kind::Info | Kind::StateSet) => (suffix, "gauge"),
        };
        self.line(format_args!("# TYPE {name}{family_suffix} {kind}"));
        if self.dialect == Dialect::OpenMetrics && !unit.is_empty() {
            self.line(format_args!("# UNIT {name} {unit}"));
        }
        self.line(format_args!("# HELP {name}{family_suffix} {help}"));
        for Sample { labels, value } in samples {
            let labels: Vec<_> =
                labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            self.line(format_args!("{name}{suffix}{labels} {value}"));
        }
    }

    pub(super) fn end(mut self) -> String {
        if self.dialect == Dialect::OpenMetrics {
            self.line(format_args!("# EOF"));
        }
        self.text
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        self.text.write_fmt(line).expect("writing to a String cannot fail");
        self.text.push('\n');
    }
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::Dialect::{self, OpenMetrics, Prometheus};

    #[test]
    fn the_dialect_is_the_one_that_the_client_prefers() {
        let scraper = "application/openmetrics-text;version=1.0.0;q=0.5,\
                       application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (accept, expected) in [
            ("", OpenMetrics),
            ("*/*", OpenMetrics),
            (scraper, OpenMetrics),
            (browser, Prometheus),
            ("text/plain", Prometheus),
            ("text/plain;version=0.0.4;q=0.5,application/openmetrics-text;q=0.1", Prometheus),
            ("application/openmetrics-text;q=x, ;;,,text/plain;q=7", OpenMetrics),
        ] {
            assert_eq!(Dialect::preferred(accept), expected, "{accept}");
        }
    }
}
