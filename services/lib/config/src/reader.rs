//! Reading a TOML table key by key, collecting what is wrong.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use crate::error::Problem;

/// Where in the file, and what is wrong so far.
pub(crate) struct Reader<'t> {
    text: &'t str,
    problems: Vec<Problem>,
}

type Entry<'e, 't> = (&'e Spanned<DeString<'t>>, &'e Spanned<DeValue<'t>>);

impl<'t> Reader<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, problems: Vec::new() }
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// Notes a problem at a place in the text.
    pub(crate) fn problem(&mut self, place: Range<usize>, text: String) {
        let line = line_of(self.text.as_bytes(), place.start);
        self.problems.push(Problem { line, text });
    }

    /// Notes every key that is not among `known`. `prefix` names the table (`pool.` or nothing).
    pub(crate) fn only(&mut self, table: &DeTable<'_>, prefix: &str, known: &[&str]) {
        for (key, _) in table {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let meant = known.iter().map(|known| (distance(name, known), known)).min();
            let advice = match meant {
                Some((0..=2, meant)) => format!("did you mean {meant}?"),
                _ => format!("known here are {}", known.join(", ")),
            };
            self.problem(key.span(), format!("{prefix}{}: unknown key; {advice}", shown(name)));
        }
    }

    /// The text at `name`: `Ok(None)` when the key is absent, `Err` when it is something else, which is noted. The value is not repeated.
    pub(crate) fn string<'v>(
        &mut self,
        table: &'v DeTable<'_>,
        prefix: &str,
        name: &str,
        example: &str,
    ) -> Result<Option<(&'v str, Range<usize>)>, ()> {
        let Some((_, value)) = entry(table, name) else { return Ok(None) };
        match value.get_ref() {
            DeValue::String(text) => Ok(Some((text, value.span()))),
            other => {
                let kind = kind(other);
                self.problem(
                    value.span(),
                    format!("{prefix}{name}: {kind} where a text belongs; write {name} = {example}"),
                );
                Err(())
            }
        }
    }
}

pub(crate) fn entry<'v, 't>(table: &'v DeTable<'t>, name: &str) -> Option<Entry<'v, 't>> {
    table.iter().find(|(key, _)| key.get_ref() == name)
}

/// What a value is, for people.
pub(crate) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Line of a byte, from 1.
pub(crate) fn line_of(text: &[u8], place: usize) -> usize {
    1 + text[..place.min(text.len())].iter().filter(|byte| **byte == b'\n').count()
}

/// A key as it can stand in a message of one line.
fn shown(key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    let short: String = key.chars().take(40).collect();
    if plain { short } else { format!("{short:?}") }
}

/// Letters to insert, remove or replace to make one word from the other. Source: Levenshtein 1966.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().take(40).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    #[test]
    fn distances_count_single_letters() {
        assert_eq!(super::distance("kitten", "sitting"), 3);
        assert_eq!(super::distance("", "url"), 3);
        assert_eq!(super::distance("user", "user"), 0);
    }
}
