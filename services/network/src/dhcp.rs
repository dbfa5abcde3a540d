//! One DHCP client for as long as the link has a carrier.

use std::{future::pending, time::Duration};

use mozim::{DhcpV4Client, DhcpV4Config, DhcpV4Lease, DhcpV4State};

use crate::{choice::Link, lease::Ipv4};

/// After an error of the socket, or an answer that was refused.
const PAUSE: Duration = Duration::from_secs(5);

/// What became of the address.
#[derive(Debug)]
pub(crate) enum News {
    /// Taken or renewed.
    Bound(Ipv4),
    /// Run out, or taken back by the server.
    Lost,
}

/// A client, or none while there is no carrier or the address is a static one.
#[derive(Default)]
pub(crate) struct Dhcp {
    client: Option<DhcpV4Client>,
    /// The last good lease: asked for again when the link returns (INIT-REBOOT, RFC 2131 §4.4.2).
    last: Option<DhcpV4Lease>,
    bound: bool,
    /// Reasons are logged once each.
    refused: Vec<String>,
}

impl Dhcp {
    /// Begins anew, with the last lease as a wish.
    pub(crate) async fn start(&mut self, link: &Link, host_name: &str) -> Result<(), mozim::DhcpError> {
        let mut config = DhcpV4Config::new(&link.name);
        config.set_iface_index(link.index).set_iface_mac_raw(&link.mac)?;
        config.use_mac_as_client_id().set_host_name(host_name);
        self.client = Some(DhcpV4Client::init(config, self.last.clone()).await?);
        Ok(())
    }

    pub(crate) fn stop(&mut self) {
        self.client = None;
    }

    /// Waits for the next thing worth telling. Cancel-safe: what is dropped half-way is tried again.
    pub(crate) async fn next(&mut self) -> News {
        loop {
            let Some(client) = &mut self.client else { return pending().await };
            match client.run().await {
                Ok(DhcpV4State::Done(lease)) => match Ipv4::from_lease(&lease) {
                    Ok(ipv4) => {
                        self.last = Some(*lease);
                        self.bound = true;
                        return News::Bound(ipv4);
                    }
                    Err(refused) => {
                        self.complain(&refused.to_string());
                        return self.begin_again().await;
                    }
                },
                Ok(DhcpV4State::InitReboot) if self.bound => {
                    self.bound = false;
                    self.last = None;
                    return News::Lost;
                }
                Ok(_) => {}
                Err(error) => {
                    self.complain(&error.to_string());
                    return self.begin_again().await;
                }
            }
        }
    }

    async fn begin_again(&mut self) -> News {
        (self.last, self.bound) = (None, false);
        if let Some(client) = &mut self.client {
            client.clean_up();
        }
        tokio::time::sleep(PAUSE).await;
        News::Lost
    }

    fn complain(&mut self, reason: &str) {
        const KINDS: usize = 16;
        if self.refused.len() < KINDS && !self.refused.iter().any(|known| known == reason) {
            tracing::warn!(target: "adit_network", "DHCP: {reason}");
            self.refused.push(reason.to_owned());
        }
    }
}
