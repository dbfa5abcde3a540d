//! Payout addresses against published ones: BIP 173, BIP 350, and what Bitcoin Core's own tests hold (`key_io_valid.json`).

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use adit_config::{Config, PayoutAddress};
use proptest::prelude::*;

fn file(address: &str, more: &str) -> String {
    format!(
        "version = 1\n[[pool]]\nurl = \"http://node:8332\"\nuser = \"u\"\npassword = \"secret\"\naddress = \"{address}\"\n{more}"
    )
}

fn parse(address: &str) -> Result<PayoutAddress, String> {
    match Config::parse(&file(address, ""), "adit.toml") {
        Ok(config) => Ok(config.pools[0].solo.clone().unwrap().address),
        Err(errors) => Err(errors.lines().collect::<Vec<_>>().join("\n")),
    }
}

#[test]
fn published_addresses_have_their_scripts_and_chains() {
    for (address, script, chain) in [
        ("1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62i", "76a91465a16059864a2fdbc7c99a4723a8395bc6f188eb88ac", "main"),
        ("3CMNFxN1oHBc4R1EpboAL5yzHGgE611Xou", "a91474f209f6ea907e2ea48f74fae05782ae8a66525787", "main"),
        ("mo9ncXisMeAoXwqcV5EWuyncbmCcQN4rVs", "76a91453c0307d6851aa0ce7825ba883c6bd9ad242b48688ac", "test"),
        ("2N2JD6wb56AfK4tfmM6PwdVmoYk2dCKf4Br", "a9146349a418fc4578d10a372b54b45c280cc8c4382f87", "testnet4"),
        (
            "mo9ncXisMeAoXwqcV5EWuyncbmCcQN4rVs",
            "76a91453c0307d6851aa0ce7825ba883c6bd9ad242b48688ac",
            "regtest",
        ),
        (
            "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
            "0014751e76e8199196d454941c45d1b3a323f1433bd6",
            "main",
        ),
        (
            "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
            "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262",
            "signet",
        ),
        (
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
            "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
            "main",
        ),
        (
            "tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c",
            "5120000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433",
            "test",
        ),
    ] {
        let parsed = parse(address).unwrap();
        assert_eq!(hex::encode(parsed.script()), script, "{address}");
        assert!(parsed.is_for(chain), "{address} on {chain}");
        assert_eq!(parsed.is_for("main"), chain == "main", "{address}");
        assert_eq!(parsed.to_string(), address);
    }
}

#[test]
fn published_mistakes_are_refused_with_their_reason() {
    for (address, reason) in [
        // BIP 350: checksums of the other kind, and one wrong character.
        ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd", "has a wrong checksum"),
        ("BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL", "has a wrong checksum"),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh", "has a wrong checksum"),
        (
            "bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4",
            "has a character that no such address has",
        ),
        ("tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq47Zagq", "mixes capital and small letters"),
        // Later witness versions: valid, and spendable by anyone until they have rules.
        (
            "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y",
            "is of a kind that is not known",
        ),
        ("BC1SW50QGDZ25J", "is of a kind that is not known"),
        ("bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs", "is of a kind that is not known"),
        ("BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P", "is of a kind that is not known"),
        // BIP 350: zero padding of more than four bits, non-zero padding.
        ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf", "is not a Bitcoin address"),
        ("tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vpggkg4j", "is not a Bitcoin address"),
        ("1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62j", "has a wrong checksum"),
        ("11AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62i", "is not a Bitcoin address"),
        // A Litecoin and a Dogecoin address.
        ("LVg2kJoFNg45Nbpy53h7Fe1wKyeXVRhMH9", "is of another coin"),
        ("DH5yaieqoZN36fDVciNyRueRGvGLR3mr7L", "is of another coin"),
        ("ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9", "is not a Bitcoin address"),
        ("bc1", "is not a Bitcoin address"),
        ("", "is not a Bitcoin address"),
    ] {
        let told = parse(address).unwrap_err();
        let line = format!(
            "adit.toml:6: pool.address: {address:?} {reason}; copy the address from your wallet again"
        );
        assert_eq!(told, line, "{address}");
    }
}

#[test]
fn a_node_needs_what_a_pool_does_not_and_the_other_way_round() {
    let problems =
        |text: &str| -> Vec<String> { Config::parse(text, "adit.toml").unwrap_err().lines().collect() };
    assert_eq!(
        problems("version = 1\n[[pool]]\nurl = \"http://node\"\n"),
        [
            "adit.toml:2: pool.user: missing; write user = \"address.worker\"",
            "adit.toml:3: pool.url: \"http://node\" has no port; write http://node:8332",
        ]
    );
    assert_eq!(
        problems("version = 1\n[[pool]]\nurl = \"http://node:8332\"\n"),
        [
            "adit.toml:2: pool.user: missing; write user = \"rpcuser\"",
            "adit.toml:2: pool.password: missing; write password = \"rpcpassword\"",
            "adit.toml:2: pool.address: missing; write address = \"bc1…\"",
        ]
    );
    assert_eq!(
        problems(
            "version = 1\n[[pool]]\nurl = \"stratum+tcp://pool:1\"\nuser = \"u\"\naddress = \"bc1q\"\ntag = \"x\"\n"
        ),
        [
            "adit.toml:5: pool.address: belongs to a Bitcoin node; remove it, or write url = \"http://host:8332\"",
            "adit.toml:6: pool.tag: belongs to a Bitcoin node; remove it, or write url = \"http://host:8332\"",
        ]
    );
    assert_eq!(
        problems(
            "version = 1\n[[pool]]\nurl = \"http://u:hunter2@node:8332\"\nuser = \"u\"\npassword = \"p\"\n"
        ),
        [
            "adit.toml:3: pool.url: credentials do not belong into the address; write http://host:8332, with user and password as keys of their own"
        ]
    );
    let good = "1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62i";
    for tag in ["é", "a\\u0000b", &"x".repeat(33)] {
        assert_eq!(
            problems(&file(good, &format!("tag = \"{tag}\"\n"))),
            ["adit.toml:7: pool.tag: write at most 32 letters, digits and signs of ASCII"]
        );
    }
    let config = Config::parse(&file(good, "tag = \"/rack 1/\"\n"), "adit.toml").unwrap();
    assert_eq!(config.pools[0].solo.as_ref().unwrap().tag, "/rack 1/");
    assert_eq!(config.pools[0].url.to_string(), "http://node:8332");
    assert!(!format!("{config:?}").contains("secret"));
}

proptest! {
    #[test]
    fn any_text_is_an_address_or_is_answered(text in "(bc1|tb1|bcrt1|1|3)?[a-zA-Z0-9]{0,100}|\\PC{0,40}") {
        let _ = parse(&text.replace(['\\', '"'], ""));
    }

    #[test]
    fn no_changed_character_goes_unnoticed(place in 0usize..42, other in "[a-z0-9]") {
        let good = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
        let mut changed = good.to_owned();
        changed.replace_range(place..=place, &other);
        prop_assert!(changed == good || parse(&changed).is_err());
    }
}
