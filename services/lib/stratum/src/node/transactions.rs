//! A template's transactions, read one by one: what is kept of a body of ten megabytes is four.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor},
};

/// Weight of a block at most. Source: BIP 141.
pub(crate) const MAX_WEIGHT: u64 = 4_000_000;
/// Fewer bytes hold no transaction: version, one input, one output, lock time.
const MIN_BYTES: usize = 60;

/// All transactions but the coinbase, in their order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Transactions {
    /// One after the other, with witness.
    pub(crate) bytes: Vec<u8>,
    pub(crate) weight: u64,
    /// Hashes without witness, header bytes.
    pub(crate) ids: Vec<[u8; 32]>,
    /// Hashes with witness.
    pub(crate) witness_ids: Vec<[u8; 32]>,
}

#[derive(Deserialize)]
struct Transaction<'a> {
    data: &'a str,
    txid: Hash,
    hash: Hash,
    weight: u64,
}

impl Transactions {
    fn push(&mut self, transaction: &Transaction<'_>) -> Result<(), String> {
        let length = transaction.data.len() / 2;
        // A byte weighs one to four.
        if length < MIN_BYTES || !(length as u64..=4 * length as u64).contains(&transaction.weight) {
            return Err(format!("weight {} of a transaction of {length} bytes", transaction.weight));
        }
        self.weight += transaction.weight;
        if self.weight > MAX_WEIGHT {
            return Err(format!("transactions weigh more than {MAX_WEIGHT}"));
        }
        let start = self.bytes.len();
        self.bytes.resize(start + length, 0);
        hex::decode_to_slice(transaction.data, &mut self.bytes[start..])
            .map_err(|_| "data of a transaction is not hexadecimal".to_owned())?;
        self.ids.push(transaction.txid.0);
        self.witness_ids.push(transaction.hash.0);
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Transactions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Transactions;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of transactions")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Transactions, A::Error> {
                let mut transactions = Transactions::default();
                while let Some(transaction) = list.next_element::<Transaction<'_>>()? {
                    transactions.push(&transaction).map_err(de::Error::custom)?;
                }
                Ok(transactions)
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// 32 bytes as a header holds them, from digits the other way round.
pub(crate) struct Hash(pub(crate) [u8; 32]);

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = <&str>::deserialize(deserializer)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes)
            .map_err(|_| de::Error::custom("a hash is not 32 bytes in hexadecimal"))?;
        bytes.reverse();
        Ok(Self(bytes))
    }
}
