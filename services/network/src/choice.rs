//! Which of the kernel's interfaces is the unit's network.

/// What matters of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number; never used twice.
    pub index: u32,
    pub name: String,
    /// Ethernet address.
    pub mac: [u8; 6],
    /// A port in hardware or a veth pair's end; not a VLAN, bridge or tunnel made in software.
    pub port: bool,
    /// Switched on, and the other end is there.
    pub carrier: bool,
}

/// The first Ethernet port: the one with the lowest number. Which cable is plugged in plays no part, so that a loose cable does not
/// move the unit to another network.
pub fn choose(links: &[Link]) -> Option<&Link> {
    links.iter().filter(|link| link.port).min_by_key(|link| link.index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, port: bool, carrier: bool) -> Link {
        Link { index, name: format!("eth{index}"), mac: [2, 0, 0, 0, 0, 1], port, carrier }
    }

    #[test]
    fn the_first_port_is_taken_with_or_without_a_cable() {
        let links = [link(4, true, true), link(3, true, false), link(2, false, true)];
        assert_eq!(choose(&links).map(|link| link.index), Some(3));
        assert_eq!(choose(&links[2..]), None);
    }
}
