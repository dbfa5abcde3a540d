//! Real transactions without a wallet: spends what was mined to [`ANYONE_CAN_SPEND`].

use serde_json::json;

use crate::error::Error;
use crate::hash;
use crate::rpc::{Rpc, parse};
use crate::work::{ANYONE_CAN_SPEND, push_count};

/// A coinbase can be spent in the hundredth block after its own.
const MATURITY: u64 = 100;
/// What a transaction pays, in satoshis: about ten for each of its virtual bytes.
const FEE: u64 = 1000;
const COIN: f64 = 1e8;

impl Rpc {
    /// Puts `count` transactions into the mempool of a regtest node, so that blocks have more than a coinbase and jobs have branches.
    /// Mines what it needs for that (a hundred blocks and more, once). Gives their ids as the node writes them.
    pub async fn fill_mempool(&self, count: usize) -> Result<Vec<String>, Error> {
        let mut height = self.block_count().await?;
        let mut ids = Vec::new();
        let mut block = 1;
        while ids.len() < count {
            if block + MATURITY > height + 1 {
                let missing = (count - ids.len()) as u64 + (block + MATURITY - height - 2);
                self.generate(missing.min(1000) as u32).await?;
                height = self.block_count().await?;
            }
            if let Some((coinbase, value)) = self.coinbase_coin(block).await? {
                let reply = self.call("sendrawtransaction", json!([spend(&coinbase, value)?])).await?;
                ids.push(parse("sendrawtransaction", serde_json::from_value(reply))?);
            }
            block += 1;
            if block > 10_000 {
                return Err(Error::Coins { wanted: count, found: ids.len() });
            }
        }
        Ok(ids)
    }

    /// Id and value of a block's coinbase, when its first output is ours and neither chain nor mempool has spent it.
    async fn coinbase_coin(&self, height: u64) -> Result<Option<(String, u64)>, Error> {
        let block = self.call("getblockhash", json!([height])).await?;
        let block = self.call("getblock", json!([block])).await?;
        let id = block["tx"][0].as_str().unwrap_or_default().to_owned();
        let coin = self.call("gettxout", json!([id, 0])).await?;
        let ours = coin["scriptPubKey"]["hex"].as_str() == Some(&hex::encode(ANYONE_CAN_SPEND));
        let value = (coin["value"].as_f64().unwrap_or(0.0) * COIN).round() as u64;
        Ok((ours && value > 2 * FEE).then_some((id, value)))
    }
}

/// Hexadecimal text of a transaction that moves output 0 of `id` to the same script.
fn spend(id: &str, value: u64) -> Result<String, Error> {
    let bad = || Error::Reply { method: "getblock", what: format!("transaction id {id:?}") };
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 1];
    bytes.extend(hash::parse_display(id).ok_or_else(bad)?);
    // Output 0, no script, a final sequence; then one output.
    bytes.extend([0, 0, 0, 0, 0]);
    bytes.extend([0xff; 4]);
    bytes.push(1);
    bytes.extend((value - FEE).to_le_bytes());
    push_count(&mut bytes, ANYONE_CAN_SPEND.len() as u64);
    bytes.extend(ANYONE_CAN_SPEND);
    // The witness: the script itself, OP_TRUE. Then the lock time.
    bytes.extend([1, 1, 0x51]);
    bytes.extend([0; 4]);
    Ok(hex::encode(bytes))
}
