//! Descriptors that services leave with PID 1 (`FDSTORE=1` of sd_notify(3)), so that what hangs on them outlives the process: a GPIO line keeps its level only while somebody holds it open.
//!
//! In: what a message asks for, with its descriptors. Out: the names and descriptors that the service's next run, or its safe state, is given. No descriptor is looked at here: what it is
//! good for is between the runs of one service. Never: one service's descriptors to another, more of them than its unit allows, or a name that the environment could not carry.

use std::fmt;

use crate::supervisor::ServiceId;

/// Most descriptors that a unit may have kept: with its doors, fewer than can be passed to a process.
pub const MAX_KEPT: usize = 32;

/// As sd_notify(3) has it.
const MAX_NAME: usize = 255;
const UNNAMED: &str = "stored";

/// What `FDNAME=` may say: printable ASCII without `:`, which separates names in `LISTEN_FDNAMES`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FdName(String);

impl FdName {
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let plain = |byte: &u8| (b' '..=b'~').contains(byte) && *byte != b':';
        let text = std::str::from_utf8(bytes).ok()?;
        (bytes.len() <= MAX_NAME && bytes.iter().all(plain)).then(|| FdName(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for FdName {
    fn default() -> Self {
        FdName(UNNAMED.to_owned())
    }
}

impl fmt::Display for FdName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a message wants done with descriptors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FdOrder {
    /// `FDSTORE=1`: keep those that came along, in the place of what was kept under this name.
    Keep(FdName),
    /// `FDSTOREREMOVE=1`: close what was kept under this name.
    Remove(FdName),
    /// One of both, with no name where one is needed or a name that is none.
    Nameless,
}

impl FdOrder {
    /// From the keys of one message; both at once: the removal counts, as in systemd.
    pub(crate) fn of(store: bool, remove: bool, name: Option<&[u8]>) -> Option<Self> {
        let given = name.map(FdName::new);
        match (remove, store, given) {
            (false, false, _) => None,
            (true, _, Some(Some(name))) => Some(FdOrder::Remove(name)),
            (false, true, Some(Some(name))) => Some(FdOrder::Keep(name)),
            (false, true, None) => Some(FdOrder::Keep(FdName::default())),
            (true, _, None) | (_, _, Some(None)) => Some(FdOrder::Nameless),
        }
    }
}

/// Why descriptors were closed instead of kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum Refused {
    #[error("its unit file has no fd_store_max")]
    NotAllowed,
    #[error("more than the {0} of fd_store_max")]
    Full(usize),
    #[error("FDSTORE=1 came without a descriptor")]
    Nothing,
    #[error("FDNAME is missing or holds more than 255 characters, a control character or ':'")]
    Nameless,
}

/// Everything that is kept, in the order in which it came.
#[derive(Debug)]
pub struct Store<D>(Vec<Entry<D>>);

#[derive(Debug)]
struct Entry<D> {
    service: ServiceId,
    name: FdName,
    descriptor: D,
}

impl<D> Default for Store<D> {
    fn default() -> Self {
        Store(Vec::new())
    }
}

impl<D> Store<D> {
    /// Does what a service's message asks for; `limit` is its unit's `fd_store_max`. Whatever is not kept, or no longer, is dropped. Refused: everything stays as it was.
    pub fn obey(
        &mut self,
        service: ServiceId,
        limit: usize,
        order: FdOrder,
        descriptors: Vec<D>,
    ) -> Result<(), Refused> {
        if limit == 0 {
            return Err(Refused::NotAllowed);
        }
        match order {
            FdOrder::Nameless => Err(Refused::Nameless),
            FdOrder::Remove(name) => {
                self.remove(service, &name);
                Ok(())
            }
            FdOrder::Keep(_) if descriptors.is_empty() => Err(Refused::Nothing),
            FdOrder::Keep(name) => {
                let others = self.0.iter().filter(|entry| entry.service == service && entry.name != name);
                if others.count() + descriptors.len() > limit {
                    return Err(Refused::Full(limit));
                }
                self.remove(service, &name);
                let entry = |descriptor| Entry { service, name: name.clone(), descriptor };
                self.0.extend(descriptors.into_iter().map(entry));
                Ok(())
            }
        }
    }

    fn remove(&mut self, service: ServiceId, name: &FdName) {
        self.0.retain(|entry| entry.service != service || entry.name != *name);
    }

    /// Drops all that is a service's.
    pub fn forget(&mut self, service: ServiceId) {
        self.0.retain(|entry| entry.service != service);
    }

    pub fn of(&self, service: ServiceId) -> impl Iterator<Item = (&str, &D)> {
        let own = self.0.iter().filter(move |entry| entry.service == service);
        own.map(|entry| (entry.name.as_str(), &entry.descriptor))
    }
}
