//! Jobs: what `mining.notify` says.

use serde_json::Value;

use super::field;

/// Longest branch; 2^32 transactions do not fit into a block.
pub const MAX_BRANCH: usize = 32;
/// Longest job id, characters.
pub const MAX_JOB_ID: usize = 128;
/// Longest extranonce 1, bytes. The whole coinbase script has at most 100.
pub const MAX_EXTRANONCE1: usize = 64;
/// Longest extranonce 2, bytes.
pub const MAX_EXTRANONCE2: usize = 32;

/// The part of the coinbase that makes one connection's work different from another's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extranonce {
    /// The pool's part, 0 to [`MAX_EXTRANONCE1`] bytes.
    pub(crate) prefix: Vec<u8>,
    /// Length of the miner's part, 1 to [`MAX_EXTRANONCE2`] bytes.
    pub(crate) size: usize,
}

impl Extranonce {
    /// From the two parameters that subscribe's result and `mining.set_extranonce` have in common. `Err` says what is wrong.
    pub(crate) fn parse(prefix: Option<&Value>, size: Option<&Value>) -> Result<Self, String> {
        let prefix = prefix
            .and_then(|prefix| field::bytes_up_to(prefix, MAX_EXTRANONCE1))
            .ok_or_else(|| format!("extranonce 1 is not up to {MAX_EXTRANONCE1} bytes in hexadecimal"))?;
        let size = size
            .and_then(field::number)
            .and_then(|size| usize::try_from(size).ok())
            .filter(|size| (1..=MAX_EXTRANONCE2).contains(size))
            .ok_or_else(|| format!("size of extranonce 2 is not 1 to {MAX_EXTRANONCE2}"))?;
        Ok(Self { prefix, size })
    }
}

/// Work from a pool, complete in itself: later changes of difficulty or extranonce do not touch it.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// 1 to 128 characters, without a meaning for us.
    pub id: String,
    /// As in the header: the pool's word order is undone.
    pub prev_hash: [u8; 32],
    /// The coinbase is coinbase1 | extranonce1 | extranonce 2 | coinbase2.
    pub coinbase1: Vec<u8>,
    pub coinbase2: Vec<u8>,
    /// Hashes to the right of the coinbase, lowest level first, header bytes; at most 32.
    pub branch: Vec<[u8; 32]>,
    pub version: u32,
    pub nbits: u32,
    pub ntime: u32,
    /// All older jobs are void.
    pub clean: bool,
    pub extranonce1: Vec<u8>,
    /// Bytes of extranonce 2, 1 to 32.
    pub extranonce2_size: usize,
    /// A share's hash is at most 0xFFFF · 2^208 / difficulty.
    pub difficulty: f64,
}

/// Why a `mining.notify` is not a job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    #[error("{0} parameters instead of 9")]
    Parameters(usize),
    #[error("job id is not a text of 1 to {MAX_JOB_ID} characters")]
    Id,
    #[error("{name} is not {bytes} bytes in hexadecimal")]
    Field { name: &'static str, bytes: usize },
    #[error("{0} is not hexadecimal")]
    Coinbase(&'static str),
    #[error("branch has {0} hashes, more than {MAX_BRANCH}")]
    BranchLength(usize),
    #[error("branch is not a list of hashes")]
    Branch,
    #[error("clean_jobs is neither true nor false")]
    Clean,
}

impl Job {
    /// From the parameters of `mining.notify`: id, previous hash, coinbase 1, coinbase 2, branch, version, nbits, ntime, clean.
    pub(crate) fn parse(
        params: &[Value],
        extranonce: &Extranonce,
        difficulty: f64,
    ) -> Result<Self, JobError> {
        let [id, prev_hash, coinbase1, coinbase2, branch, version, nbits, ntime, clean, ..] = params else {
            return Err(JobError::Parameters(params.len()));
        };
        let id = id.as_str().filter(|id| !id.is_empty() && id.chars().count() <= MAX_JOB_ID);
        let mut prev_hash: [u8; 32] =
            field::bytes(prev_hash).ok_or(JobError::Field { name: "previous hash", bytes: 32 })?;
        // Pools send eight words, each with its bytes reversed.
        prev_hash.chunks_exact_mut(4).for_each(<[u8]>::reverse);
        let word = |name, value| field::word(value).ok_or(JobError::Field { name, bytes: 4 });
        let coinbase = |name, value: &Value| {
            value.as_str().and_then(|digits| hex::decode(digits).ok()).ok_or(JobError::Coinbase(name))
        };
        let branch = branch.as_array().ok_or(JobError::Branch)?;
        if branch.len() > MAX_BRANCH {
            return Err(JobError::BranchLength(branch.len()));
        }
        Ok(Self {
            id: id.ok_or(JobError::Id)?.to_owned(),
            prev_hash,
            coinbase1: coinbase("coinbase 1", coinbase1)?,
            coinbase2: coinbase("coinbase 2", coinbase2)?,
            branch: branch.iter().map(field::bytes).collect::<Option<_>>().ok_or(JobError::Branch)?,
            version: word("version", version)?,
            nbits: word("nbits", nbits)?,
            ntime: word("ntime", ntime)?,
            clean: clean.as_bool().ok_or(JobError::Clean)?,
            extranonce1: extranonce.prefix.clone(),
            extranonce2_size: extranonce.size,
            difficulty,
        })
    }
}
