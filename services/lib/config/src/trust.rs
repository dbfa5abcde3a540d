//! Whom a pool over TLS has to be: `authority` or `certificate_sha256` of a `[[pool]]`.

use std::{fmt, ops::Range};

use rustls_pki_types::{CertificateDer, pem::PemObject};
use toml::de::DeTable;

use crate::reader::{self, Reader};

/// Most certificates in one `authority`.
const MAX_AUTHORITIES: usize = 4;
const AUTHORITY_EXAMPLE: &str = "\"\"\", the lines of its PEM file, and \"\"\"";
const PIN_EXAMPLE: &str = "what openssl x509 -noout -fingerprint -sha256 prints, as \"AB:CD:…\"";

/// What makes a pool's certificate good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Signed by an authority that browsers know, for this name and this day.
    PublicAuthorities,
    /// Signed by one of these (DER) and by nobody else's, for this name and this day. What stands in them is not checked here.
    Authorities(Vec<Vec<u8>>),
    /// It has this fingerprint; its names and dates are not judged.
    Pinned(Fingerprint),
}

/// SHA-256 of a certificate's DER.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// 64 hexadecimal digits, with or without a colon between two bytes, and with or without what `openssl` prints in front.
    fn parse(text: &str) -> Option<Self> {
        let text = text.rsplit_once('=').map_or(text, |(_, digits)| digits);
        let mut bytes = [0; 32];
        let with_colons = text.contains(':');
        let step = if with_colons { 3 } else { 2 };
        let mut rest = text.as_bytes();
        for (place, byte) in bytes.iter_mut().enumerate() {
            let value = |digit: u8| char::from(digit).to_digit(16);
            let [high, low, ..] = rest else { return None };
            *byte = u8::try_from(value(*high)? << 4 | value(*low)?).ok()?;
            let last = place == 31;
            if with_colons && !last && rest.get(2) != Some(&b':') {
                return None;
            }
            rest = &rest[if last { 2 } else { step.min(rest.len()) }..];
        }
        rest.is_empty().then_some(Self(bytes))
    }
}

/// As `openssl` prints it.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02X}", if place == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

/// `None` only with a problem noted.
pub(crate) fn trust(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Option<Trust> {
    let authority = reader.string(table, "pool.", "authority", AUTHORITY_EXAMPLE).ok()?;
    let pin = reader.string(table, "pool.", "certificate_sha256", PIN_EXAMPLE).ok()?;
    match (authority, pin) {
        (None, None) => Some(Trust::PublicAuthorities),
        (Some((text, place)), None) => match authorities(text) {
            Ok(found) => Some(Trust::Authorities(found)),
            Err(problem) => {
                reader.problem(place, format!("pool.authority: {problem}"));
                None
            }
        },
        (None, Some((text, place))) => {
            let found = Fingerprint::parse(text);
            if found.is_none() {
                let text = "is not the SHA-256 of a certificate (32 bytes of two hexadecimal digits)";
                reader.problem(place, format!("pool.certificate_sha256: {text}; write {PIN_EXAMPLE}"));
            }
            found.map(Trust::Pinned)
        }
        (Some(_), Some((_, place))) => {
            let text =
                "stands beside an authority; keep one of both: a pinned certificate needs no authority";
            reader.problem(place, format!("pool.certificate_sha256: {text}"));
            None
        }
    }
}

/// Nothing of the text is repeated: it may be a private key, taken for the certificate.
fn authorities(text: &str) -> Result<Vec<Vec<u8>>, String> {
    if text.contains("PRIVATE KEY-----") {
        return Err(
            "has a private key in it, which is for the pool alone; write the certificate only".to_owned()
        );
    }
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
        let certificate = certificate.map_err(|_| {
            "is cut off or changed; copy the file from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----"
        })?;
        found.push(certificate.to_vec());
    }
    match found.len() {
        0 => Err(format!("has no -----BEGIN CERTIFICATE----- in it; write {AUTHORITY_EXAMPLE}")),
        1..=MAX_AUTHORITIES => Ok(found),
        many => Err(format!("{many} certificates are too many; at most {MAX_AUTHORITIES} are read")),
    }
}

/// Without TLS there is no certificate. `None` only with a problem noted.
pub(crate) fn no_trust(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Option<()> {
    let mut fine = Some(());
    for name in ["authority", "certificate_sha256"] {
        let place: Option<Range<usize>> = reader::entry(table, name).map(|(key, _)| key.span());
        if let Some(place) = place {
            let advice = "belongs to a pool over TLS; remove it, or write url = \"stratum+ssl://host:port\"";
            reader.problem(place, format!("pool.{name}: {advice}"));
            fine = None;
        }
    }
    fine
}

#[cfg(test)]
mod tests {
    use super::Fingerprint;

    /// `openssl x509 -noout -fingerprint -sha256` of the certificate in `tests/trust.rs`, and `sha256sum` of its DER.
    #[test]
    fn a_fingerprint_is_taken_as_openssl_and_sha256sum_print_it() {
        let printed =
            "C2:EA:F9:10:CC:54:E3:8F:EC:EF:71:BD:AE:44:87:A8:19:59:1B:55:1B:95:0D:87:61:6F:3A:4F:74:A5:77:53";
        let found = Fingerprint::parse(printed).unwrap();
        assert_eq!(found.0[..3], [0xc2, 0xea, 0xf9]);
        assert_eq!(found.to_string(), printed);
        let digits = printed.replace(':', "").to_lowercase();
        for same in [digits.clone(), format!("sha256 Fingerprint={printed}")] {
            assert_eq!(Fingerprint::parse(&same), Some(found), "{same}");
        }
        for wrong in [
            "",
            "c2",
            &digits[1..],
            &format!("{digits}0"),
            &format!("{printed}:00"),
            &format!("{printed}:"),
            &printed[..printed.len() - 1],
            &printed.replacen(':', "", 1),
            &printed.replacen(':', "::", 1),
            &digits.replace('9', "+"),
            &digits.replacen("c2", "é", 1),
        ] {
            assert_eq!(Fingerprint::parse(wrong), None, "{wrong}");
        }
    }
}
