//! Whom a pool over TLS has to be, and what a person sees who made a mistake there.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use adit_config::{Config, Pool, Scheme, Trust};

/// Made by `openssl req -x509`.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIBjTCCATOgAwIBAgIUGq6mfJ5f3ZyFgFh71LmWu3npBVUwCgYIKoZIzj0EAwIw
GzEZMBcGA1UEAwwQQSB0ZXN0IGF1dGhvcml0eTAgFw0yNjExMjIyMTQ1MDNaGA8y
MTI2MTAyOTIxNDUwM1owGzEZMBcGA1UEAwwQQSB0ZXN0IGF1dGhvcml0eTBZMBMG
ByqGSM49AgEGCCqGSM49AwEHA0IABHx++6LildGmc8Q2CMB9AHVOBmm0U+G+hjff
K4Sz8YrVNQcUUU0Cl1j7cTE7H6P02ZNs4h5ENeImbbNOYSuQPhOjUzBRMB0GA1Ud
DgQWBBQDM5tpBk6Jn+kzV4QYBB63anEc3TAfBgNVHSMEGDAWgBQDM5tpBk6Jn+kz
V4QYBB63anEc3TAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIBrL
vLyq/JXL/jaZzvqxqP7uguitW20WIp7jHq8zU22/AiEAoI/GkBNHx1cDKggSVwgC
Jbf8Ue7pr75/DGIp5agdLQw=
-----END CERTIFICATE-----
";
const PIN: &str =
    "C2:EA:F9:10:CC:54:E3:8F:EC:EF:71:BD:AE:44:87:A8:19:59:1B:55:1B:95:0D:87:61:6F:3A:4F:74:A5:77:53";

fn parse(url: &str, lines: &str) -> Result<Pool, Vec<String>> {
    let text = format!("version = 1\n[[pool]]\nurl = \"{url}\"\nuser = \"u\"\n{lines}");
    match Config::parse(&text, "adit.toml") {
        Ok(mut config) => Ok(config.pools.remove(0)),
        Err(errors) => Err(errors.lines().collect()),
    }
}

fn authority(pem: &str) -> String {
    format!("authority = \"\"\"\n{pem}\"\"\"\n")
}

#[test]
fn both_ways_to_write_the_scheme_are_one() {
    for url in
        ["stratum+ssl://Pool.example:443", "stratum+tls://pool.example:443", "STRATUM+TLS://pool.example:443"]
    {
        let pool = parse(url, "").unwrap();
        assert_eq!(pool.url.scheme(), Scheme::StratumTls);
        assert_eq!(pool.url.to_string(), "stratum+ssl://pool.example:443");
        assert_eq!(pool.trust, Some(Trust::PublicAuthorities));
    }
    assert_eq!(parse("stratum+tcp://pool.example:443", "").unwrap().trust, None);
}

#[test]
fn an_authority_or_a_fingerprint_of_ones_own_is_taken() {
    let url = "stratum+ssl://10.0.0.5:3334";
    let pool = parse(url, &authority(&CERTIFICATE.repeat(2))).unwrap();
    let Some(Trust::Authorities(found)) = pool.trust else { panic!("{:?}", pool.trust) };
    // What `openssl x509 -outform DER | wc -c` and `od` say.
    assert_eq!((found.len(), found[0].len(), &found[0][..4]), (2, 401, &[0x30, 0x82, 0x01, 0x8d][..]));
    assert!(parse(url, &authority(&CERTIFICATE.replace('\n', "\r\n"))).is_ok(), "Windows line ends");

    let pool = parse(url, &format!("certificate_sha256 = \"{PIN}\"\n")).unwrap();
    let Some(Trust::Pinned(found)) = pool.trust else { panic!("{:?}", pool.trust) };
    assert_eq!(found.to_string(), PIN);
}

#[test]
fn mistakes_are_answered_with_what_would_be_right_and_keys_are_not_repeated() {
    let (tls, plain, node) = ("stratum+ssl://h:1", "stratum+tcp://h:1", "http://h:1");
    let pin = format!("certificate_sha256 = \"{PIN}\"\n");
    let key = CERTIFICATE.replace("CERTIFICATE", "EC PRIVATE KEY");
    let advice = "belongs to a pool over TLS; remove it, or write url = \"stratum+ssl://host:port\"";
    let cut = "pool.authority: is cut off or changed; copy the file from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----";
    let right = "what openssl x509 -noout -fingerprint -sha256 prints, as \"AB:CD:…\"";
    for (url, lines, answer) in [
        (plain, pin.clone(), format!("pool.certificate_sha256: {advice}")),
        (plain, authority(CERTIFICATE), format!("pool.authority: {advice}")),
        (
            node,
            format!("password = \"p\"\naddress = \"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4\"\n{pin}"),
            format!("pool.certificate_sha256: {advice}"),
        ),
        (
            tls,
            "certificate_sha256 = \"AB:CD\"\n".to_owned(),
            format!("pool.certificate_sha256: is not the SHA-256 of a certificate (32 bytes of two hexadecimal digits); write {right}"),
        ),
        (
            tls,
            "certificate_sha256 = 7\n".to_owned(),
            format!("pool.certificate_sha256: a number where a text belongs; write certificate_sha256 = {right}"),
        ),
        (
            tls,
            format!("{pin}{}", authority(CERTIFICATE)),
            "pool.certificate_sha256: stands beside an authority; keep one of both: a pinned certificate needs no authority".to_owned(),
        ),
        (
            tls,
            authority("/etc/ssl/ca.pem"),
            "pool.authority: has no -----BEGIN CERTIFICATE----- in it; write \"\"\", the lines of its PEM file, and \"\"\"".to_owned(),
        ),
        (tls, authority(&CERTIFICATE[..300]), cut.to_owned()),
        (tls, authority(&CERTIFICATE.replace("BjTCC", "Bj*CC")), cut.to_owned()),
        (
            tls,
            authority(&key),
            "pool.authority: has a private key in it, which is for the pool alone; write the certificate only".to_owned(),
        ),
        (
            tls,
            authority(&CERTIFICATE.repeat(5)),
            "pool.authority: 5 certificates are too many; at most 4 are read".to_owned(),
        ),
    ] {
        let said = parse(url, &lines).unwrap_err();
        assert_eq!(said.len(), 1, "{said:?}");
        let (place, said) = said[0].split_once(": ").unwrap();
        assert!(["adit.toml:5", "adit.toml:7"].contains(&place), "{place}");
        assert_eq!(said, answer);
    }
}
