//! Descriptors that are kept for services, judged by a model: for each service and name the last message that was not refused.

#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use adit_init::descriptors::{FdName, FdOrder, MAX_KEPT, Refused, Store};
use adit_init::notify::Message;
use adit_init::supervisor::ServiceId;
use proptest::prelude::*;

/// Counts those that are open.
struct Descriptor(u32, Rc<Cell<usize>>);

impl Descriptor {
    fn new(number: u32, open: &Rc<Cell<usize>>) -> Self {
        open.set(open.get() + 1);
        Descriptor(number, Rc::clone(open))
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        self.1.set(self.1.get() - 1);
    }
}

/// What unit files allow the three services of these tests.
const LIMITS: [usize; 3] = [0, 3, MAX_KEPT];

#[derive(Debug, Clone)]
enum Step {
    Say { service: usize, text: String, descriptors: usize },
    Forget(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let order =
        prop_oneof![Just("FDSTORE=1"), Just("FDSTOREREMOVE=1"), Just("FDSTORE=1\nFDPOLL=0"), Just("READY=1")];
    let name = prop_oneof![4 => "\nFDNAME=[ab]", 1 => Just(String::new()), 1 => "\nFDNAME=[ -~]{0,4}", 1 => "\nFDNAME=a[\\x01:\\x7fä]"];
    prop_oneof![
        20 => (0..3_usize, order, name, 0..5_usize).prop_map(|(service, order, name, descriptors)| {
            Step::Say { service, text: format!("{order}{name}"), descriptors }
        }),
        1 => (0..3_usize).prop_map(Step::Forget),
    ]
}

proptest! {
    #[test]
    fn each_service_finds_what_it_left_last_and_nothing_else_and_nothing_stays_open_beside_it(
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let open = Rc::new(Cell::new(0));
        let mut store = Store::default();
        let mut model: BTreeMap<(usize, String), Vec<u32>> = BTreeMap::new();
        let mut next = 0;
        for step in steps {
            match step {
                Step::Forget(service) => {
                    store.forget(ServiceId(service));
                    model.retain(|(owner, _), _| *owner != service);
                }
                Step::Say { service, text, descriptors } => {
                    let numbers: Vec<u32> = (next..).take(descriptors).collect();
                    next += descriptors as u32;
                    let Some(order) = Message::parse(text.as_bytes()).descriptors else {
                        prop_assert!(!text.contains("FDSTORE"), "{:?}", text);
                        continue;
                    };
                    let kept = numbers.iter().map(|number| Descriptor::new(*number, &open)).collect();
                    let obeyed = store.obey(ServiceId(service), LIMITS[service], order.clone(), kept);
                    match (&order, obeyed) {
                        (FdOrder::Keep(name), Ok(())) => {
                            prop_assert!(!numbers.is_empty());
                            model.insert((service, name.to_string()), numbers);
                        }
                        (FdOrder::Remove(name), Ok(())) => { model.remove(&(service, name.to_string())); }
                        (FdOrder::Nameless, Ok(())) => prop_assert!(false, "{:?} obeyed", text),
                        (_, Err(refused)) => {
                            let mine = model.iter().filter(|((owner, _), _)| *owner == service);
                            let others = |name: &FdName| mine.clone().filter(|((_, known), _)| known != name.as_str()).map(|(_, kept)| kept.len()).sum::<usize>();
                            let right = match &order {
                                _ if LIMITS[service] == 0 => refused == Refused::NotAllowed,
                                FdOrder::Nameless => refused == Refused::Nameless,
                                FdOrder::Keep(_) if numbers.is_empty() => refused == Refused::Nothing,
                                FdOrder::Keep(name) => refused == Refused::Full(LIMITS[service]) && others(name) + numbers.len() > LIMITS[service],
                                FdOrder::Remove(_) => false,
                            };
                            prop_assert!(right, "{:?}: {:?}", text, refused);
                        }
                    }
                }
            }
            for (service, limit) in LIMITS.iter().enumerate() {
                let mut found: BTreeMap<String, Vec<u32>> = BTreeMap::new();
                for (name, descriptor) in store.of(ServiceId(service)) {
                    found.entry(name.to_owned()).or_default().push(descriptor.0);
                }
                prop_assert!(found.values().map(Vec::len).sum::<usize>() <= *limit);
                let wanted = model.iter().filter(|((owner, _), _)| *owner == service);
                let wanted = wanted.map(|((_, name), kept)| (name.clone(), kept.clone())).collect();
                prop_assert_eq!(found, wanted);
            }
            prop_assert_eq!(open.get(), model.values().map(Vec::len).sum::<usize>());
        }
    }

    #[test]
    fn every_name_that_is_taken_can_stand_in_the_environment(name in prop::collection::vec(any::<u8>(), 0..300)) {
        let taken = FdName::new(&name);
        let plain = name.len() <= 255 && name.iter().all(|byte| matches!(byte, 32..=126) && *byte != b':');
        prop_assert_eq!(taken.is_some(), plain);
        if let Some(taken) = taken {
            prop_assert_eq!(taken.as_str().as_bytes(), &name[..]);
        }
    }
}

#[test]
fn orders_are_read_as_systemd_reads_them() {
    let order = |text: &str| Message::parse(text.as_bytes()).descriptors;
    let name = |text: &str| FdName::new(text.as_bytes()).unwrap();
    assert_eq!(order("FDSTORE=1\nFDNAME=gpiochip0-3\n"), Some(FdOrder::Keep(name("gpiochip0-3"))));
    assert_eq!(order("FDNAME=x\nREADY=1\nFDSTORE=1\nFDPOLL=0"), Some(FdOrder::Keep(name("x"))));
    assert_eq!(order("FDSTORE=1"), Some(FdOrder::Keep(name("stored"))));
    assert_eq!(order("FDSTORE=1\nFDNAME="), Some(FdOrder::Keep(name(""))));
    assert_eq!(order("FDSTORE=1\nFDSTOREREMOVE=1\nFDNAME=x"), Some(FdOrder::Remove(name("x"))));
    assert_eq!(order("FDSTOREREMOVE=1"), Some(FdOrder::Nameless));
    assert_eq!(order("FDSTORE=1\nFDNAME=a:b"), Some(FdOrder::Nameless));
    assert_eq!(order("FDNAME=x\nFDSTORE=0"), None);
}
