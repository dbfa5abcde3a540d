//! What the door `network.status` says, on a real segment.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod segment;

use std::time::Duration;

use adit_bus::{
    door,
    network::{NetworkStatus, NetworkStatusDoorProxy},
};
use segment::Segment;

/// Asks until `expected` holds; the time that the test allows is the segment's.
async fn ask(segment: &Segment, expected: impl Fn(&NetworkStatus) -> bool) -> NetworkStatus {
    let connection = door::connect(&segment.door()).await.unwrap();
    let proxy = NetworkStatusDoorProxy::new(&connection).await.unwrap();
    let asking = async {
        loop {
            let status = proxy.read().await.unwrap();
            if expected(&status) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), asking)
        .await
        .unwrap_or_else(|_| panic!("{}", segment.log()))
}

#[tokio::test]
async fn the_door_says_what_the_kernel_has() {
    let mut segment = Segment::new();
    segment.dnsmasq(&[
        "--dhcp-range=10.7.0.50,10.7.0.50,255.255.255.0,2m",
        "--dhcp-option=option:router,10.7.0.1",
        "--dhcp-option=option:dns-server,10.7.0.1",
    ]);
    segment.start_with_door("");
    let status = ask(&segment, |status| !status.gateways.is_empty() && !status.local_name.is_empty()).await;
    assert_eq!((status.link.as_str(), status.carrier, status.source.as_str()), ("unit0", true, "dhcp"));
    assert!(segment.unit(&["ip", "link", "show", "unit0"]).contains(&status.mac), "{}", status.mac);
    assert!(status.addresses.contains(&"10.7.0.50/24".to_owned()), "{:?}", status.addresses);
    assert_eq!((status.gateways, status.dns), (vec!["10.7.0.1".to_owned()], vec!["10.7.0.1".to_owned()]));
    assert_eq!((status.host_name.as_str(), status.local_name.as_str()), ("rack1-unit7", "rack1-unit7.local"));
    // What others change is seen too.
    segment.unit(&["ip", "address", "add", "10.9.0.1/16", "dev", "unit0"]);
    ask(&segment, |status| status.addresses.contains(&"10.9.0.1/16".to_owned())).await;
    segment.server(&["ip", "link", "set", "server0", "down"]);
    ask(&segment, |status| !status.carrier).await;
}
