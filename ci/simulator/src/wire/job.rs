//! Work as a chip gets it.

/// A job. Hashes are in header byte order (the line has their words reversed).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Carries the job id, in the bits that the chip model uses.
    pub id: u8,
    /// How many the host says there are.
    pub midstates: u8,
    pub start_nonce: u32,
    /// Header bytes 72..76.
    pub bits: [u8; 4],
    /// Header bytes 68..72.
    pub time: [u8; 4],
    pub body: Body,
}

/// The part that tells the two kinds of jobs apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The chip makes midstates itself.
    Header { merkle_root: [u8; 32], previous_hash: [u8; 32], version: u32 },
    /// Of SHA-256 after the first 64 header bytes, H0 first.
    Midstates { merkle_tail: [u8; 4], states: Vec<[u32; 8]> },
}

impl Job {
    /// The header's first 76 bytes, with these version bits (in place, not shifted) set; `None` when the job has midstates.
    pub fn header(&self, rolled: u32) -> Option<[u8; 76]> {
        let Body::Header { merkle_root, previous_hash, version } = &self.body else { return None };
        let mut header = [0; 76];
        header[..4].copy_from_slice(&(version | rolled).to_le_bytes());
        header[4..36].copy_from_slice(previous_hash);
        header[36..68].copy_from_slice(merkle_root);
        header[68..72].copy_from_slice(&self.time);
        header[72..].copy_from_slice(&self.bits);
        Some(header)
    }

    /// Header bytes 64..76.
    pub(crate) fn tail(&self) -> [u8; 12] {
        let merkle_tail = match &self.body {
            Body::Header { merkle_root: [.., a, b, c, d], .. } => [*a, *b, *c, *d],
            Body::Midstates { merkle_tail, .. } => *merkle_tail,
        };
        let mut tail = [0; 12];
        for (to, from) in tail.as_chunks_mut::<4>().0.iter_mut().zip([merkle_tail, self.time, self.bits]) {
            *to = from;
        }
        tail
    }

    pub fn previous_hash(&self) -> Option<&[u8; 32]> {
        match &self.body {
            Body::Header { previous_hash, .. } => Some(previous_hash),
            Body::Midstates { .. } => None,
        }
    }
}
