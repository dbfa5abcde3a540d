//! adit-gateway: reads its one argument and hands over to the library.

use std::{
    env, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    path::Path,
};

use adit_gateway::{Surroundings, identity::Identity, server::Limits};
use anyhow::{Context, bail};

const USAGE: &str = "adit-gateway [--listen ADDRESS:PORT], for example --listen [::]:80";

/// Every address of the unit, of both families.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 80);

fn main() {
    adit_service::log_to_stderr();
    if let Err(error) = start() {
        tracing::error!(target: "adit_gateway", "{error:#}");
        std::process::exit(1);
    }
}

fn start() -> anyhow::Result<()> {
    let address = listen_address(env::args().skip(1))?;
    let surroundings = Surroundings {
        listener: bind(address).with_context(|| format!("listening on {address}"))?,
        doors: adit_bus::door::directory(),
        identity: Identity::read(Path::new("/")),
        limits: Limits::default(),
    };
    adit_service::run(|stop| adit_gateway::run(surroundings, stop))
}

fn listen_address(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<SocketAddr> {
    match (arguments.next().as_deref(), arguments.next(), arguments.next()) {
        (None, ..) => Ok(LISTEN),
        (Some("--listen"), Some(address), None) => {
            address.parse().with_context(|| format!("{address:?} is no address and port; usage: {USAGE}"))
        }
        _ => bail!("usage: {USAGE}"),
    }
}

/// A kernel without IPv6 has no `[::]`: there every IPv4 address is meant.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).or_else(|error| {
        let both_families = address.ip() == Ipv6Addr::UNSPECIFIED;
        // EAFNOSUPPORT is `Unsupported` in no release of std yet, so the second attempt decides.
        if both_families && error.kind() != io::ErrorKind::AddrInUse {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).map_err(|_| error)
        } else {
            Err(error)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> anyhow::Result<SocketAddr> {
        listen_address(arguments.iter().map(|&argument| argument.to_owned()))
    }

    #[test]
    fn without_arguments_it_is_port_80_of_every_address() {
        assert_eq!(parse(&[]).unwrap().to_string(), "[::]:80");
        assert_eq!(parse(&["--listen", "127.0.0.1:8080"]).unwrap().to_string(), "127.0.0.1:8080");
    }

    #[test]
    fn a_wrong_argument_is_answered_with_the_right_one() {
        for wrong in [&["--listen"][..], &["--listen", "80"], &["80"], &["--listen", "[::]:80", "x"]] {
            let error = format!("{:#}", parse(wrong).unwrap_err());
            assert!(error.contains("--listen [::]:80"), "{wrong:?}: {error}");
        }
    }
}
