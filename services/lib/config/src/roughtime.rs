//! A Roughtime server as a person names it: where it is, and the key that it is known by.

use crate::address::HostPort;

/// The port that IANA gave to Roughtime (RFC 10049); many servers are still at 2002.
const PORT: u16 = 5319;

/// A Roughtime server and the key that it is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roughtime {
    pub server: HostPort,
    /// Ed25519.
    pub key: [u8; 32],
}

impl Roughtime {
    /// `host:port KEY`, the key in base64 as lists of servers give it.
    pub fn parse(text: &str) -> Option<Self> {
        let (server, key) = text.split_once(' ')?;
        Some(Self { server: HostPort::parse(server, PORT)?, key: base64_key(key.trim_start())? })
    }
}

/// 32 bytes as 43 characters of RFC 4648 §4, with or without the padding that follows.
fn base64_key(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_suffix('=').unwrap_or(text).as_bytes();
    let mut key = [0; 33];
    let mut groups = key.chunks_exact_mut(3);
    for digits in digits.chunks(4) {
        let mut bits = 0u32;
        for place in 0..4 {
            let value = match digits.get(place) {
                Some(digit @ b'A'..=b'Z') => digit - b'A',
                Some(digit @ b'a'..=b'z') => digit - b'a' + 26,
                Some(digit @ b'0'..=b'9') => digit - b'0' + 52,
                Some(b'+') => 62,
                Some(b'/') => 63,
                Some(_) => return None,
                None => 0,
            };
            bits = bits << 6 | u32::from(value);
        }
        groups.next()?.copy_from_slice(&bits.to_be_bytes()[1..]);
    }
    // Two bits are left over, and mean nothing.
    let (key, rest) = key.split_first_chunk()?;
    (digits.len() == 43 && rest == [0]).then_some(*key)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A public server's entry in Cloudflare's `ecosystem.json`; the bytes are `base64 -d`'s.
    #[test]
    fn a_public_servers_entry_is_understood() {
        let found =
            Roughtime::parse("Roughtime.se:2002 S3AzfZJ5CjSdkJ21ZJGbxqdYP/SoE8fXKY0+aicsehI=").unwrap();
        assert_eq!(found.server, HostPort { host: "roughtime.se".to_owned(), port: 2002 });
        assert_eq!(found.key[..4], [0x4b, 0x70, 0x33, 0x7d]);
        assert_eq!(found.key[28..], [0x27, 0x2c, 0x7a, 0x12]);
        let short = Roughtime::parse("[2001:db8::7] S3AzfZJ5CjSdkJ21ZJGbxqdYP/SoE8fXKY0+aicsehI").unwrap();
        assert_eq!((short.server.host.as_str(), short.server.port), ("2001:db8::7", 5319));
    }

    #[test]
    fn keys_of_another_length_or_alphabet_are_not() {
        let good = "S3AzfZJ5CjSdkJ21ZJGbxqdYP/SoE8fXKY0+aicsehI";
        for key in [&good[1..], "", "=", &format!("{good}A"), &format!("{good}=="), &good.replace('/', "_")] {
            assert_eq!(Roughtime::parse(&format!("roughtime.se {key}")), None, "{key}");
        }
        // The last digit's two spare bits are not zero.
        assert_eq!(Roughtime::parse(&format!("roughtime.se {}J", &good[..42])), None);
    }
}
