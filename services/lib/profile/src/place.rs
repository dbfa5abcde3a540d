//! Keys like `board.0.rail.volts`, and where in a file they stand.
//!
//! A number names one element of an array; an array's name without a number stands for all of its elements.

use toml::{
    Value,
    de::{DeTable, DeValue},
};

/// The line, from 1, that byte `offset` is on.
pub(super) fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// The line of a key; of the innermost table that is there when the key itself is not written.
pub(super) fn line_of(text: &str, key: &str) -> usize {
    let Ok(root) = DeTable::parse(text) else { return 1 };
    let root = DeValue::Table(root.into_inner());
    let (mut value, mut offset) = (&root, 0);
    for part in key.split('.') {
        let next = match value {
            DeValue::Table(table) => {
                table.iter().find(|(name, _)| name.get_ref().as_ref() == part).map(|(_, inner)| inner)
            }
            DeValue::Array(items) => part.parse().ok().and_then(|index: usize| items.get(index)),
            _ => None,
        };
        let Some(inner) = next else { break };
        offset = inner.span().start;
        value = inner.get_ref();
    }
    line_at(text, offset)
}

/// Hands every value that `key` stands for to `each`.
pub(super) fn each_at(value: &mut Value, key: &str, each: &mut dyn FnMut(&mut Value)) {
    let (first, rest) = key.split_once('.').map_or((key, None), |(first, rest)| (first, Some(rest)));
    match value {
        Value::Array(items) if !first.parse::<usize>().is_ok_and(|index| index < items.len()) => {
            items.iter_mut().for_each(|item| each_at(item, key, each));
        }
        _ => {
            let inner = match value {
                Value::Table(table) => table.get_mut(first),
                Value::Array(items) => first.parse().ok().and_then(|index: usize| items.get_mut(index)),
                _ => None,
            };
            match (inner, rest) {
                (Some(inner), Some(rest)) => each_at(inner, rest, each),
                (Some(inner), None) => each(inner),
                (None, _) => {}
            }
        }
    }
}

/// One of the keys stands for something within the other.
pub fn overlap(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.split('.').peekable(), other.split('.').peekable());
    let is_number = |part: Option<&&str>| part.is_some_and(|part| part.parse::<usize>().is_ok());
    loop {
        match (one.peek(), other.peek()) {
            (None, _) | (_, None) => return true,
            (Some(left), Some(right)) if left == right => {
                one.next();
                other.next();
            }
            // Without a number it stands for all elements.
            (left, right) => match (is_number(left), is_number(right)) {
                (true, false) => drop(one.next()),
                (false, true) => drop(other.next()),
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_without_a_number_stands_for_all_elements() {
        let table = [
            ("psu.enable.active", "psu", true),
            ("psu", "psu.enable.active", true),
            ("psu.curve", "psu.enable", false),
            ("board.reset", "board.1.reset.line", true),
            ("board.0.reset", "board.1.reset", false),
            ("board.0.reset", "board.reset", true),
            ("board.1.fan.0", "board.1.fan", true),
            ("fan", "board.0.fan", false),
        ];
        for (one, other, wanted) in table {
            assert_eq!(overlap(one, other), wanted, "{one} {other}");
            assert_eq!(overlap(other, one), wanted, "{other} {one}");
        }
    }

    #[test]
    fn values_are_found_in_every_element() {
        let mut value = Value::Table("[[b]]\nx = { y = 1 }\n[[b]]\nx = { y = 2 }\n".parse().unwrap());
        let mut at = |key: &str| {
            let mut found = Vec::new();
            each_at(&mut value, key, &mut |value| found.push(value.to_string()));
            found
        };
        assert_eq!(at("b.x.y"), ["1", "2"]);
        assert_eq!(at("b.1.x.y"), ["2"]);
        assert!(at("b.2.x.y").is_empty() && at("b.x.z").is_empty() && at("c").is_empty());
    }
}
