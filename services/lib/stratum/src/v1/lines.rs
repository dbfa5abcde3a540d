//! Cutting a byte stream into lines of bounded length.

use std::ops::Range;

/// Longest line without its end, bytes. Coinbases of pools that pay many addresses come near 32 KiB.
pub const MAX_LINE: usize = 64 * 1024;

/// A line is longer than [`MAX_LINE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Bytes received and not yet taken as lines.
#[derive(Default)]
pub(crate) struct Lines {
    bytes: Vec<u8>,
    /// Where the next line starts.
    start: usize,
    /// No line end stands between `start` and here.
    searched: usize,
}

impl Lines {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole line, without its end (`\n` or `\r\n`), as a range for [`Lines::get`]; valid until the next push.
    pub(crate) fn next(&mut self) -> Result<Option<Range<usize>>, TooLong> {
        let end = self.bytes[self.searched..].iter().position(|byte| *byte == b'\n');
        let Some(end) = end.map(|offset| self.searched + offset) else {
            self.searched = self.bytes.len();
            return if self.searched - self.start > MAX_LINE { Err(TooLong) } else { Ok(None) };
        };
        let start = self.start;
        (self.start, self.searched) = (end + 1, end + 1);
        let carriage_return = usize::from(end > start && self.bytes[end - 1] == b'\r');
        if end - start > MAX_LINE { Err(TooLong) } else { Ok(Some(start..end - carriage_return)) }
    }

    pub(crate) fn get(&self, line: Range<usize>) -> &[u8] {
        &self.bytes[line]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(lines: &mut Lines) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        while let Some(range) = lines.next().unwrap() {
            found.push(lines.get(range).to_vec());
        }
        found
    }

    #[test]
    fn the_longest_line_passes_and_a_longer_one_ends_it_with_or_without_its_end() {
        let mut lines = Lines::default();
        lines.push(&[b'x'; MAX_LINE]);
        assert_eq!(lines.next(), Ok(None));
        lines.push(b"\n");
        assert_eq!(lines.next(), Ok(Some(0..MAX_LINE)));

        lines.push(&[b'x'; MAX_LINE + 1]);
        assert_eq!(lines.next(), Err(TooLong));

        let mut lines = Lines::default();
        lines.push(&[&[b'x'; MAX_LINE + 1][..], b"\n"].concat());
        assert_eq!(lines.next(), Err(TooLong));
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_the_stream_was_cut(
            texts in proptest::collection::vec("[a-z]{0,20}", 0..20),
            cut in 1usize..30,
        ) {
            let stream = texts.iter().map(|text| format!("{text}\r\n")).collect::<String>();
            let mut lines = Lines::default();
            let mut found = Vec::new();
            for piece in stream.as_bytes().chunks(cut) {
                lines.push(piece);
                found.extend(all(&mut lines));
            }
            let expected: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
