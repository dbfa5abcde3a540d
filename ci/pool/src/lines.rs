//! Lines of bounded length from a stream.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

pub(crate) struct LineReader<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    limit: usize,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Line {
    /// Without its line end.
    Whole(Vec<u8>),
    TooLong,
    End,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    pub(crate) fn new(reader: R, limit: usize) -> Self {
        Self { reader: BufReader::with_capacity(4096, reader), line: Vec::new(), limit }
    }

    /// The next line. Cancel-safe: what was read of a line stays. After `TooLong` the stream cannot be used any more.
    pub(crate) async fn next(&mut self) -> io::Result<Line> {
        loop {
            let bytes = self.reader.fill_buf().await?;
            if bytes.is_empty() {
                return Ok(Line::End);
            }
            let end = bytes.iter().position(|&byte| byte == b'\n');
            let taken = end.unwrap_or(bytes.len());
            if self.line.len() + taken > self.limit {
                return Ok(Line::TooLong);
            }
            self.line.extend(&bytes[..taken]);
            self.reader.consume(taken + usize::from(end.is_some()));
            if end.is_some() {
                return Ok(Line::Whole(std::mem::take(&mut self.line)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_up_to_the_limit_pass_and_longer_ones_do_not() {
        let mut reader = LineReader::new(&b"abcd\n\nabcde\n"[..], 4);
        assert_eq!(reader.next().await.unwrap(), Line::Whole(b"abcd".to_vec()));
        assert_eq!(reader.next().await.unwrap(), Line::Whole(Vec::new()));
        assert_eq!(reader.next().await.unwrap(), Line::TooLong);
    }

    #[tokio::test]
    async fn half_a_line_at_the_end_is_dropped() {
        let mut reader = LineReader::new(&b"ab"[..], 4);
        assert_eq!(reader.next().await.unwrap(), Line::End);
    }
}
