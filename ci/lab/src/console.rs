//! What a line on a unit's console means. Contract: `docs/console.md`.

use std::collections::HashMap;

/// One line of the contract; anything else is not an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// U-Boot has counted a try down and will jump: slot `a` or `b`, tries left after that.
    Slot {
        slot: char,
        left_a: u32,
        left_b: u32,
        sequence: u32,
    },
    /// U-Boot did not start the slot: no FIT there, or `bootm` refused it.
    SlotRefused {
        slot: char,
    },
    NoTriesLeft,
    /// adit-init's timeline: `init`, `ready`, `first-work`; milliseconds since the kernel's entry.
    Timeline {
        event: String,
        ms: u64,
    },
    /// adit-init on what it booted: `slot`, `board`, `machine`, `root`.
    Boot(HashMap<String, String>),
    Service {
        name: String,
        state: String,
        rest: HashMap<String, String>,
    },
    SafeState {
        reason: String,
        ms: u64,
    },
    ChainUp(HashMap<String, String>),
    Pool(HashMap<String, String>),
    /// What a node said about a block that the unit found on its own.
    Block(HashMap<String, String>),
    /// adit-miner, every five seconds.
    Hashing {
        mhs: f64,
        accepted: u64,
        rejected: u64,
        rest: HashMap<String, String>,
    },
    /// A warning or an error, as it stands.
    Complaint(String),
    KernelPanic(String),
    /// dm-verity found a block that does not hash to what the signed root says.
    Corruption(String),
}

/// Reads one line, without its line end. The kernel's own prefix (`[    1.234567] `) may stand before it.
pub fn parse(line: &str) -> Option<Event> {
    let line = line.trim_matches(|c: char| c.is_whitespace() || c.is_control());
    if let Some(rest) = line.strip_prefix("Adit: ") {
        return loader(rest);
    }
    if line.contains("Kernel panic") {
        return Some(Event::KernelPanic(line.to_string()));
    }
    if line.contains("verity") && line.contains("corrupted") {
        return Some(Event::Corruption(line.to_string()));
    }
    let (level, rest) = line.split_once(' ')?;
    match level {
        "WARN" | "ERROR" => return Some(Event::Complaint(line.to_string())),
        "INFO" => {}
        _ => return None,
    }
    let (target, message) = rest.trim_start().split_once(": ")?;
    let said_by = target.split("::").next()?;
    unit(said_by, message)
}

fn loader(rest: &str) -> Option<Event> {
    if rest.starts_with("no slot has tries left") {
        return Some(Event::NoTriesLeft);
    }
    let slot = rest.strip_prefix("slot ")?.chars().next()?.to_ascii_lowercase();
    if rest.contains("does not boot") {
        return Some(Event::SlotRefused { slot });
    }
    let hexadecimal = |after: &str| {
        let digits: String = rest.split_once(after)?.1.chars().take_while(char::is_ascii_hexdigit).collect();
        u32::from_str_radix(&digits, 16).ok()
    };
    Some(Event::Slot {
        slot,
        left_a: hexadecimal("A=")?,
        left_b: hexadecimal("B=")?,
        sequence: hexadecimal("seq ")?,
    })
}

fn unit(said_by: &str, message: &str) -> Option<Event> {
    let starts =
        |words: &str| message.strip_prefix(words).filter(|rest| rest.is_empty() || rest.starts_with(' '));
    match said_by {
        "adit_init" => {
            if let Some(rest) = starts("timeline") {
                let mut pairs = pairs(rest);
                return Some(Event::Timeline {
                    event: pairs.remove("event")?,
                    ms: pairs.get("ms")?.parse().ok()?,
                });
            }
            if let Some(rest) = starts("boot") {
                return Some(Event::Boot(pairs(rest)));
            }
            if let Some(rest) = starts("service") {
                let mut rest = pairs(rest);
                return Some(Event::Service {
                    name: rest.remove("name")?,
                    state: rest.remove("state")?,
                    rest,
                });
            }
            let mut rest = pairs(starts("safe state")?);
            Some(Event::SafeState { reason: rest.remove("reason")?, ms: rest.get("ms")?.parse().ok()? })
        }
        "adit_hardware" => Some(Event::ChainUp(pairs(starts("chain up")?))),
        "adit_miner" => {
            if let Some(rest) = starts("pool") {
                return Some(Event::Pool(pairs(rest)));
            }
            if let Some(rest) = starts("block") {
                return Some(Event::Block(pairs(rest)));
            }
            let mut rest = pairs(starts("hashing")?);
            Some(Event::Hashing {
                mhs: rest.remove("mhs")?.parse().ok()?,
                accepted: rest.remove("accepted")?.parse().ok()?,
                rejected: rest.remove("rejected")?.parse().ok()?,
                rest,
            })
        }
        _ => None,
    }
}

/// `key=value` and `key="value with spaces"`.
fn pairs(text: &str) -> HashMap<String, String> {
    let mut found = HashMap::new();
    let mut rest = text.trim_start();
    while let Some((key, after)) = rest.split_once('=') {
        let (value, remainder) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(' ').unwrap_or((after, "")),
        };
        found.insert(key.trim().to_string(), value.to_string());
        rest = remainder.trim_start();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loaders_lines_are_read() {
        assert_eq!(
            parse("Adit: slot A, tries left A=2 B=3, seq 1f\r"),
            Some(Event::Slot { slot: 'a', left_a: 2, left_b: 3, sequence: 0x1f })
        );
        assert_eq!(parse("Adit: slot B does not boot, reset"), Some(Event::SlotRefused { slot: 'b' }));
        assert_eq!(parse("Adit: no slot has tries left, one more each in 60 s"), Some(Event::NoTriesLeft));
    }

    #[test]
    fn the_units_lines_are_read() {
        assert_eq!(
            parse("INFO adit_init: timeline event=first-work ms=1020"),
            Some(Event::Timeline { event: "first-work".into(), ms: 1020 })
        );
        assert_eq!(
            parse(" INFO adit_init::boot: safe state reason=\"hardware ended: signal 9\" ms=38"),
            Some(Event::SafeState { reason: "hardware ended: signal 9".into(), ms: 38 })
        );
        let line = "INFO adit_miner: block url=http://10.0.2.2:1 height=7 hash=00 answer=\"code -1 'no'\"";
        let Some(Event::Block(at)) = parse(line) else { panic!("not read") };
        assert_eq!((at["height"].as_str(), at["answer"].as_str()), ("7", "code -1 'no'"));
        let Some(Event::Hashing { mhs, accepted, rejected, rest }) =
            parse("INFO adit_miner: hashing mhs=4.05 accepted=12 rejected=0 stale=0 invalid=0 generation=3")
        else {
            panic!("not read")
        };
        assert_eq!((mhs, accepted, rejected, rest["generation"].as_str()), (4.05, 12, 0, "3"));
    }

    #[test]
    fn other_lines_are_not_events() {
        for line in [
            "",
            "INFO",
            "INFO adit_init",
            "U-Boot 2023.01",
            "Adit: slot",
            "INFO other: timeline event=x ms=1",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
