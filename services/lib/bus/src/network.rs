//! adit-network's door: `network.status`.

use zbus::zvariant::{DeserializeDict, SerializeDict, Type};

/// Socket name below [`crate::door::DIRECTORY`].
pub const STATUS_DOOR: &str = "network.status";
/// Object path of the interface.
pub const OBJECT: &str = "/org/adit/network";

/// How the unit is reached now. Lists are as the kernel has them, each at most 16 long.
#[derive(Debug, Clone, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zvariant(signature = "dict")]
pub struct NetworkStatus {
    /// `eth0`, `vlan20`; empty while there is no Ethernet port.
    pub link: String,
    /// `52:54:00:12:34:56`; empty without a port.
    pub mac: String,
    /// Whether the other end of the cable is there.
    pub carrier: bool,
    /// Where the IPv4 address comes from: `dhcp`, `static`.
    pub source: String,
    /// `192.0.2.7/24`: usable addresses of both families, those of the link alone too.
    pub addresses: Vec<String>,
    /// Default routers of both families.
    pub gateways: Vec<String>,
    /// Name servers in the order in which they are asked.
    pub dns: Vec<String>,
    pub host_name: String,
    /// `NAME.local`, the name that the unit answers to on its segment; empty while that is not settled.
    pub local_name: String,
}

/// `org.adit.Network1.Status`: read only.
#[zbus::proxy(
    interface = "org.adit.Network1.Status",
    default_service = "org.adit.Network1",
    default_path = "/org/adit/network"
)]
pub trait NetworkStatusDoor {
    fn read(&self) -> zbus::Result<NetworkStatus>;
}
