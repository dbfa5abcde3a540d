//! Kernel configuration fragments: what they ask for, and whether the finished configuration has it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{At as _, Error, Result};

/// One fragment file, checked for form.
pub(crate) struct Fragment {
    path: PathBuf,
    pub(crate) text: String,
    /// Option and wanted line, with the number of the line it stands on.
    wanted: Vec<(String, Wanted, usize)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    /// The whole line `CONFIG_X=…`.
    Line(String),
    NotSet,
}

impl Fragment {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).at("reading", path)?;
        Self::parse(path, text)
    }

    fn parse(path: &Path, text: String) -> Result<Self> {
        let mut wanted: Vec<(String, Wanted, usize)> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let not_set = line.strip_prefix("# ").and_then(|rest| rest.strip_suffix(" is not set"));
            let (option, want) = match (not_set, line.split_once('=')) {
                (Some(option), _) => (option, Wanted::NotSet),
                (None, Some((option, _))) if line.starts_with("CONFIG_") => {
                    (option, Wanted::Line(line.to_owned()))
                }
                _ if line.trim().is_empty() || line.starts_with('#') => continue,
                _ => return Err(bad_line(path, number, line)),
            };
            let name = option.strip_prefix("CONFIG_").unwrap_or_default();
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                return Err(bad_line(path, number, line));
            }
            if let Some((_, _, before)) = wanted.iter().find(|(known, _, _)| known == option) {
                let place = format!("{}:{number}", path.display());
                return Err(Error::input(place, format!("{option} stands on line {before} already")));
            }
            wanted.push((option.to_owned(), want, number));
        }
        Ok(Fragment { path: path.to_owned(), text, wanted })
    }
}

fn bad_line(path: &Path, number: usize, line: &str) -> Error {
    let place = format!("{}:{number}", path.display());
    let problem = format!("{line:?} is neither CONFIG_X=value nor \"# CONFIG_X is not set\" nor a comment");
    Error::input(place, problem)
}

/// Refuses an option that two fragments set: which of them holds would be a matter of order.
pub(crate) fn check_distinct(fragments: &[Fragment]) -> Result<()> {
    let mut places = BTreeMap::new();
    for fragment in fragments {
        for (option, _, number) in &fragment.wanted {
            let place = format!("{}:{number}", fragment.path.display());
            if let Some(before) = places.insert(option, place.clone()) {
                return Err(Error::input(place, format!("{option} stands in {before} already")));
            }
        }
    }
    Ok(())
}

/// Checks that a finished `.config` has every line that the fragments ask for. Kconfig drops lines whose dependencies are missing
/// without a word.
pub(crate) fn check(config: &str, fragments: &[Fragment]) -> Result<()> {
    let have: BTreeMap<&str, &str> = config
        .lines()
        .filter(|line| line.starts_with("CONFIG_"))
        .filter_map(|line| Some((line.split_once('=')?.0, line)))
        .collect();
    let mut dropped = Vec::new();
    let all = fragments.iter().flat_map(|one| one.wanted.iter().map(|wanted| (&one.path, wanted)));
    for (path, (option, want, number)) in all {
        let found = have.get(option.as_str()).copied();
        let kept = match want {
            Wanted::Line(line) => found == Some(line.as_str()),
            Wanted::NotSet => found.is_none(),
        };
        if !kept {
            let place = format!("{}:{number}", path.display());
            let wanted = match want {
                Wanted::Line(line) => line.clone(),
                Wanted::NotSet => format!("{option} off"),
            };
            dropped.push(format!("{place}: wants {wanted}, has {}", found.unwrap_or("it off")));
        }
    }
    if dropped.is_empty() { Ok(()) } else { Err(Error::DroppedOptions(dropped)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(name: &str, text: &str) -> Result<Fragment> {
        Fragment::parse(Path::new(name), text.to_owned())
    }

    const CONFIG: &str = "# CONFIG_OFF is not set\nCONFIG_ON=y\nCONFIG_TEXT=\"a b\"\n";

    #[test]
    fn a_dropped_line_is_named_with_file_and_line() {
        let text = "# why\nCONFIG_ON=y\n\n# CONFIG_OFF is not set\n# CONFIG_UNKNOWN is not set\n\
                    CONFIG_TEXT=\"a\"\nCONFIG_GONE=y\n# CONFIG_ON2 is not set\n";
        let error = check(CONFIG, &[fragment("x.fragment", text).unwrap()]).unwrap_err().to_string();
        let lines: Vec<_> = error.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "x.fragment:6: wants CONFIG_TEXT=\"a\", has CONFIG_TEXT=\"a b\"",
                "x.fragment:7: wants CONFIG_GONE=y, has it off",
            ]
        );
    }

    #[test]
    fn an_option_that_came_back_is_named() {
        let off = fragment("x.fragment", "# CONFIG_ON is not set\n").unwrap();
        let error = check(CONFIG, &[off]).unwrap_err().to_string();
        assert!(error.ends_with("x.fragment:1: wants CONFIG_ON off, has CONFIG_ON=y"), "{error}");
    }

    #[test]
    fn an_option_that_two_fragments_set_is_refused_with_both_places() {
        let first = fragment("a", "# why\n# CONFIG_ON is not set\n").unwrap();
        let second = fragment("b", "CONFIG_ON=y\n").unwrap();
        let third = fragment("c", "CONFIG_OTHER=y\n").unwrap();
        let error = check_distinct(&[first, third, second]).unwrap_err().to_string();
        assert_eq!(error, "b:1: CONFIG_ON stands in a:2 already");
    }

    #[test]
    fn lines_that_kconfig_would_pass_over_are_refused() {
        for (text, place) in [
            ("CONFIG_A=y\nCONFIG_B\n", "x:2"),
            (" CONFIG_A=y\n", "x:1"),
            ("CONFIG_A=y\nCONFIG_A=y\n", "x:2"),
            ("CONFIG_=y\n", "x:1"),
            ("# CONFIG-A is not set\n", "x:1"),
            ("A=y\n", "x:1"),
        ] {
            let error = fragment("x", text).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(error.starts_with(place), "{text:?}: {error}");
        }
    }
}
