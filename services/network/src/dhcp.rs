//! One DHCP client for as long as the link has a carrier.

use std::{future::pending, mem, time::Duration};

use mozim::{DhcpV4Client, DhcpV4Config, DhcpV4Lease, DhcpV4State};
use tokio::{sync::mpsc, task::JoinSet, time::sleep};

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
    running: Option<Running>,
    /// The good lease that we have: asked for again when the link returns (INIT-REBOOT, RFC 2131 §4.4.2).
    last: Option<DhcpV4Lease>,
    /// Reasons are logged once each.
    refused: Vec<String>,
}

/// A client in a task of its own: what else happens on the unit's links neither interrupts its conversation nor hurries it.
struct Running {
    heard: mpsc::Receiver<Heard>,
    /// Ends with this.
    _task: JoinSet<()>,
}

enum Heard {
    Bound(Box<DhcpV4Lease>, Ipv4),
    Lost,
    Refused(String),
}

impl Dhcp {
    /// Begins anew, with the last lease as a wish.
    pub(crate) async fn start(&mut self, link: &Link, host_name: &str) -> Result<(), mozim::DhcpError> {
        let mut config = DhcpV4Config::new(&link.name);
        config.set_iface_index(link.index).set_iface_mac_raw(&link.mac)?;
        config.use_mac_as_client_id().set_host_name(host_name);
        self.stop();
        let client = DhcpV4Client::init(config, self.last.clone()).await?;
        let (tell, heard) = mpsc::channel(1);
        let mut task = JoinSet::new();
        task.spawn(talk(client, self.last.is_some(), tell));
        self.running = Some(Running { heard, _task: task });
        Ok(())
    }

    pub(crate) fn stop(&mut self) {
        self.running = None;
    }

    /// Waits for the next thing worth telling. Cancel-safe.
    pub(crate) async fn next(&mut self) -> News {
        loop {
            let Some(Running { heard, .. }) = &mut self.running else { return pending().await };
            match heard.recv().await {
                Some(Heard::Bound(lease, ipv4)) => {
                    self.last = Some(*lease);
                    return News::Bound(ipv4);
                }
                Some(Heard::Lost) => {
                    self.last = None;
                    return News::Lost;
                }
                Some(Heard::Refused(reason)) => self.complain(&reason),
                // The task ends with its listener only.
                None => return pending().await,
            }
        }
    }

    fn complain(&mut self, reason: &str) {
        const KINDS: usize = 16;
        if self.refused.len() < KINDS && !self.refused.iter().any(|known| known == reason) {
            tracing::warn!(target: "adit_network", "DHCP: {reason}");
            self.refused.push(reason.to_owned());
        }
    }
}

/// Tells what comes of a conversation with DHCP servers, for as long as somebody listens. `bound`: the lease that `client` wishes for is in use.
async fn talk(mut client: DhcpV4Client, mut bound: bool, tell: mpsc::Sender<Heard>) {
    loop {
        let refused = match client.run().await {
            Ok(DhcpV4State::Done(lease)) => match Ipv4::from_lease(&lease) {
                Ok(ipv4) => {
                    bound = true;
                    if tell.send(Heard::Bound(lease, ipv4)).await.is_err() {
                        return;
                    }
                    continue;
                }
                Err(refused) => Some(refused.to_string()),
            },
            Ok(DhcpV4State::InitReboot) => None,
            Ok(_) => continue,
            Err(error) => Some(error.to_string()),
        };
        if mem::take(&mut bound) && tell.send(Heard::Lost).await.is_err() {
            return;
        }
        if let Some(reason) = refused {
            if tell.send(Heard::Refused(reason)).await.is_err() {
                return;
            }
            client.clean_up();
            sleep(PAUSE).await;
        }
    }
}
