//! TLS to a pool: whom to trust, and what to tell a person when that fails. No IO.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use adit_config::{Fingerprint, Trust};
use ring::digest;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, OtherError,
    RootCertStore, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring as provider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

/// What it takes to begin a TLS connection to one pool.
#[derive(Clone)]
pub(crate) struct Tls {
    config: Arc<ClientConfig>,
    server: ServerName<'static>,
}

/// Why a connection is over.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// One line.
    pub(crate) reason: String,
    /// The certificate's dates and this unit's clock do not go together: another clock, another verdict.
    pub(crate) by_clock: bool,
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self { reason, by_clock: false }
    }
}

impl Tls {
    /// `host`: name or address, without brackets. Errors: one line.
    pub(crate) fn new(host: &str, trust: &Trust) -> Result<Self, String> {
        // The final dot of an absolute name is the resolver's: certificates have none.
        let name = host.strip_suffix('.').unwrap_or(host);
        let server = ServerName::try_from(name.to_owned())
            .map_err(|_| format!("{host:?} is no name that a certificate can have"))?;
        let provider = Arc::new(provider::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let mut config = match trust {
            Trust::Pinned(pin) => {
                let verifier = Arc::new(PinVerifier { pin: *pin, provider });
                builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
            }
            Trust::PublicAuthorities => {
                let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect::<RootCertStore>();
                builder.with_root_certificates(roots).with_no_client_auth()
            }
            Trust::Authorities(certificates) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates {
                    roots.add(CertificateDer::from(certificate.clone())).map_err(|error| {
                        format!("pool.authority in adit.toml is no usable certificate: {error}")
                    })?;
                }
                builder.with_root_certificates(roots).with_no_client_auth()
            }
        };
        // Each connection is judged anew, by the clock of its day.
        config.resumption = Resumption::disabled();
        Ok(Self { config: Arc::new(config), server })
    }

    pub(crate) fn begin(&self) -> Result<ClientConnection, String> {
        ClientConnection::new(self.config.clone(), self.server.clone()).map_err(|error| error.to_string())
    }

    /// What a handshake or connection broke on, for a person.
    pub(crate) fn refusal(&self, error: &Error) -> Refusal {
        let server = self.server.to_str();
        let reason = match error {
            Error::InvalidCertificate(problem) => return certificate(problem, &server),
            Error::InvalidMessage(_) => {
                "what answers does not speak TLS: is this the pool's port for it?".to_owned()
            }
            Error::AlertReceived(alert) => format!("the pool ended TLS: {alert:?}"),
            Error::PeerIncompatible(_) => format!("the pool speaks no TLS that is safe: {error}"),
            other => format!("TLS: {other}"),
        };
        reason.into()
    }
}

fn certificate(problem: &CertificateError, server: &str) -> Refusal {
    use CertificateError as E;
    let clock = || date(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
    let hint = "adit.toml can name an authority (authority) or pin the certificate (certificate_sha256)";
    let (reason, by_clock) = match problem {
        E::NotValidYet | E::NotValidYetContext { .. } => {
            let from = match problem {
                E::NotValidYetContext { not_before, .. } => format!(" before {}", unix_date(*not_before)),
                _ => " yet".to_owned(),
            };
            let clock = clock();
            (
                format!(
                    "certificate not valid{from}, and this unit's clock says {clock}; a new attempt follows as soon as a time source has set it"
                ),
                true,
            )
        }
        E::Expired | E::ExpiredContext { .. } => {
            let since = match problem {
                E::ExpiredContext { not_after, .. } => format!(" on {}", unix_date(*not_after)),
                _ => String::new(),
            };
            (format!("certificate expired{since}; this unit's clock says {}", clock()), true)
        }
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            (format!("certificate is for other names than {server}"), false)
        }
        // Another authority of the same name is another authority.
        E::UnknownIssuer | E::BadSignature => {
            (format!("certificate is of an authority that is not known here; {hint}"), false)
        }
        E::Other(OtherError(wrong)) if wrong.is::<WrongPin>() => (wrong.to_string(), false),
        E::Other(OtherError(wrong)) if wrong.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity) => (
            "certificate is an authority's own, not a server's; pin it (certificate_sha256)".to_owned(),
            false,
        ),
        other => (format!("certificate is not good: {other}; {hint}"), false),
    };
    Refusal { reason, by_clock }
}

fn unix_date(time: UnixTime) -> String {
    date(Duration::from_secs(time.as_secs()))
}

/// UTC, as `2026-02-01T12:00:00Z`, of a time since 1970.
fn date(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs();
    // Days of the civil calendar in eras of 400 years from 0000-03-01, so that the day of a leap year is the last. Source: H. Hinnant, "chrono-Compatible
    // Low-Level Date Algorithms".
    let days = seconds / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Takes one certificate, whatever its names and dates. That the peer has its key is proven as always.
#[derive(Debug)]
struct PinVerifier {
    pin: Fingerprint,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
struct WrongPin(Fingerprint);

impl std::fmt::Display for WrongPin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "certificate is not the one that adit.toml pins; its SHA-256 is {}", self.0)
    }
}

impl std::error::Error for WrongPin {}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let digest = digest::digest(&digest::SHA256, certificate);
        let found = Fingerprint(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"));
        if found == self.pin {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::Other(OtherError(Arc::new(WrongPin(found)))).into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The right sides are `date -u -d @SECONDS +%FT%TZ`'s.
    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(date(Duration::from_secs(seconds)), text);
        }
    }
}
