//! Who is asked when nobody says whom to ask.

use adit_config::{HostPort, Roughtime};

/// Public Roughtime servers, each of another operator, that answer by RFC 10049 or its last drafts (14 to 19). Keys: the operators' own pages, and the
/// lists of others that agree with them (Cloudflare's `ecosystem.json` of 2026-04; the crate `roughtime`).
const SIGNED: [&str; 4] = [
    "roughtime.se:2002 S3AzfZJ5CjSdkJ21ZJGbxqdYP/SoE8fXKY0+aicsehI=",
    "roughtime.int08h.com:2002 AW5uAoTSTDfG5NfY1bTh08GUnOqlRb+HVhbJ3ODJvsE=",
    "time.txryan.com:2002 iBVjxg/1j7y1+kQUTBYdTabxCppesU/07D4PMDJk2WA=",
    "roughtime.sturdystatistics.com:2002 NqIjwLopQn6yQChtE21Mb97dAbAPe5UOuTa0tOakgD8=",
];

/// One name each for four servers of the NTP pool. A product asks the pool for names of its own before it is sold: docs/decisions/005.
const PLAIN: [&str; 4] = ["0.pool.ntp.org", "1.pool.ntp.org", "2.pool.ntp.org", "3.pool.ntp.org"];

pub(crate) fn signed() -> Vec<Roughtime> {
    SIGNED.iter().map(|text| Roughtime::parse(text).expect("a test reads every entry")).collect()
}

pub(crate) fn plain() -> Vec<HostPort> {
    PLAIN.map(|host| HostPort { host: host.to_owned(), port: super::NTP_PORT }).into()
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_entry_is_understood_and_its_key_is_a_point_of_the_curve() {
        let found = super::signed();
        assert_eq!(found.len(), super::SIGNED.len());
        for server in found {
            let key = ed25519_dalek::VerifyingKey::from_bytes(&server.key).unwrap();
            assert!(!key.is_weak(), "{}", server.server.host);
        }
    }
}
