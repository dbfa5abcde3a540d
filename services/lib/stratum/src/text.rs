//! Texts from outside, made fit to be shown.

use std::cmp::Reverse;

/// Characters that are shown.
const MAX: usize = 256;
/// What is kept of a text before credentials are taken out of it, characters.
pub(crate) const MAX_RAW: usize = 4096;
/// Shorter credentials are not looked for: "x" is a usual password.
const MIN_HIDDEN: usize = 4;

/// A text as it came, cut to 4096 characters. It is not to be shown as it is: only who knows the credentials can take them out.
pub(crate) fn raw(text: &str) -> String {
    cut(text, MAX_RAW)
}

fn cut(text: &str, max: usize) -> String {
    text.chars().take(max).collect()
}

/// A text without our credentials, cut to 256 characters.
pub fn presentable(text: &str, hidden: &[&str]) -> String {
    let mut hidden: Vec<_> = hidden.iter().filter(|word| word.len() >= MIN_HIDDEN).collect();
    // The longest first: one may stand in another, which would not be found without it.
    hidden.sort_by_key(|word| Reverse(word.len()));
    let text = hidden.into_iter().fold(raw(text), |text, word| text.replace(word, "…"));
    cut(&text, MAX)
}

/// A text as it can stand in one line between double quotes, which it then has none of; nothing in it has to be undone by a reader.
pub fn plain(text: &str) -> String {
    let plain = |c: char| match c {
        '"' => '\'',
        c if c.is_control() => ' ',
        c => c,
    };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_text_is_one_line_without_double_quotes() {
        assert_eq!(plain("no \"work\"\r\n\tin C:\\ °C"), "no 'work'   in C:\\ °C");
    }

    #[test]
    fn credentials_are_taken_out_before_a_text_is_cut() {
        let text = format!("{}hunter2 and more", "x".repeat(MAX - 3));
        assert_eq!(presentable(&text, &["hunter2", "and"]), format!("{}… a", "x".repeat(MAX - 3)));
    }

    #[test]
    fn a_password_that_the_account_stands_in_is_taken_out_whole() {
        assert_eq!(presentable("no unit7-secret of unit7", &["unit7", "unit7-secret"]), "no … of …");
    }
}
