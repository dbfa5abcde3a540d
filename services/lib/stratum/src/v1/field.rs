//! Parameters of messages: hexadecimal digits and numbers, strictly.

use serde_json::Value;

/// Exactly `N` bytes from 2·`N` hexadecimal digits of either case, and nothing else.
pub(crate) fn bytes<const N: usize>(value: &Value) -> Option<[u8; N]> {
    let mut out = [0; N];
    hex::decode_to_slice(value.as_str()?, &mut out).ok()?;
    Some(out)
}

/// Any number of bytes up to `max`.
pub(crate) fn bytes_up_to(value: &Value, max: usize) -> Option<Vec<u8>> {
    let digits = value.as_str()?;
    if digits.len() > 2 * max { None } else { hex::decode(digits).ok() }
}

/// An integer as eight hexadecimal digits, most significant first.
pub(crate) fn word(value: &Value) -> Option<u32> {
    bytes(value).map(u32::from_be_bytes)
}

/// A small number, as a number or as decimal digits in a string; pools send ports both ways.
pub(crate) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn hexadecimal_digits_are_taken_strictly() {
        assert_eq!(word(&json!("1700ABcd")), Some(0x1700_abcd));
        for wrong in [
            json!("0x17023a"),
            json!("17023a0"),
            json!("17023a04 "),
            json!("+7023a04"),
            json!(17),
            json!(null),
        ] {
            assert_eq!(word(&wrong), None, "{wrong}");
        }
        assert_eq!(bytes_up_to(&json!(""), 0), Some(vec![]));
        assert_eq!(bytes_up_to(&json!("ff"), 0), None);
        assert_eq!(bytes_up_to(&json!("f"), 9), None);
    }
}
