//! Bodies: by length, in chunks, or up to the end of the connection; and chunks, written.

use super::HttpError;
use std::io::Write;

/// Bytes of a chunk's size line; extensions are legal and unknown.
const SIZE_LINE_BYTES_MAX: usize = 256;
/// Bytes of the lines behind the last chunk, which are passed over.
const TRAILER_BYTES_MAX: usize = 8 << 10;

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none; a POST is answered 411.
    None,
    /// After that many bytes.
    Length(u64),
    /// After the last chunk.
    Chunked,
    /// With the connection; answers only.
    UntilClose,
}

impl Framing {
    /// Takes over a `Content-Length`. Repeated ones must agree.
    pub(super) fn set_length(&mut self, value: &[u8]) -> Result<(), HttpError> {
        let digits = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let length = digits.and_then(|text| text.parse().ok()).ok_or(HttpError::BadLength)?;
        match *self {
            Framing::Chunked => Err(HttpError::BadEncoding),
            Framing::Length(before) if before != length => Err(HttpError::BadLength),
            _ => {
                *self = Framing::Length(length);
                Ok(())
            }
        }
    }

    /// Takes over a `Transfer-Encoding`. Beside a length it is refused: programs disagree which of them counts.
    pub(super) fn set_encoding(&mut self, value: &[u8]) -> Result<(), HttpError> {
        if *self != Framing::None || !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
            return Err(HttpError::BadEncoding);
        }
        *self = Framing::Chunked;
        Ok(())
    }
}

/// How far a body has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the input that were used.
    pub used: usize,
    /// Whether the body is whole. What was not used belongs to the next message.
    pub done: bool,
}

/// Takes a body out of its framing, piece by piece.
#[derive(Clone, Debug)]
pub struct BodyReader {
    state: State,
    /// Bytes that may still come.
    left_max: u64,
}

#[derive(Clone, Debug)]
enum State {
    /// So many bytes are still to come.
    Length(u64),
    UntilClose,
    /// In a size line: the digits so far, whether one came, whether an extension began, bytes of the line.
    Size {
        size: u64,
        digits: bool,
        extension: bool,
        bytes: usize,
    },
    /// In a size line, after its CR.
    SizeEnd {
        size: u64,
    },
    /// So many bytes of the chunk are still to come.
    Data(u64),
    /// After a chunk: its CRLF, of which so many bytes came.
    DataEnd(usize),
    /// Behind the last chunk: bytes of all trailers, bytes of the current line, whether its CR came.
    Trailer {
        bytes: usize,
        line: usize,
        carriage_return: bool,
    },
    Done,
}

/// At the start of a chunk.
const SIZE: State = State::Size { size: 0, digits: false, extension: false, bytes: 0 };

impl BodyReader {
    /// A reader for a body of that framing, of at most `bytes_max` bytes once out of it.
    ///
    /// A length beyond the bound is refused at once, before the client sends all of it.
    pub fn new(framing: Framing, bytes_max: u64) -> Result<BodyReader, HttpError> {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(length) if length > bytes_max => return Err(HttpError::BodyTooLarge),
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => SIZE,
            Framing::UntilClose => State::UntilClose,
        };
        Ok(BodyReader { state, left_max: bytes_max })
    }

    /// Appends what `input` contains of the body to `out`.
    pub fn read(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Progress, HttpError> {
        let mut used = 0;
        while used < input.len() && !self.is_done() {
            used += self.step(&input[used..], out)?;
        }
        Ok(Progress { used, done: self.is_done() })
    }

    /// Whether the body is whole.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// The connection has ended: is the body whole?
    pub fn end(&self) -> Result<(), HttpError> {
        match self.state {
            State::Done | State::UntilClose => Ok(()),
            _ => Err(HttpError::Truncated),
        }
    }

    /// Uses at least one byte of `input`, which is not empty.
    fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, HttpError> {
        let byte = input[0];
        self.state = match self.state {
            State::Length(left) => {
                let used = self.copy(input, left, out)?;
                self.state = if used == left { State::Done } else { State::Length(left - used) };
                return Ok(used as usize);
            }
            State::Data(left) => {
                let used = self.copy(input, left, out)?;
                self.state = if used == left { State::DataEnd(0) } else { State::Data(left - used) };
                return Ok(used as usize);
            }
            State::UntilClose => return self.copy(input, u64::MAX, out).map(|used| used as usize),
            State::Size { digits: true, size, .. } if byte == b'\r' => State::SizeEnd { size },
            State::Size { bytes, .. } if bytes >= SIZE_LINE_BYTES_MAX => return Err(HttpError::BadChunk),
            State::Size { size, extension: false, bytes, .. } if byte.is_ascii_hexdigit() => {
                let digit = (byte as char).to_digit(16).unwrap_or(0);
                let size = size.checked_mul(16).ok_or(HttpError::BodyTooLarge)? | u64::from(digit);
                State::Size { size, digits: true, extension: false, bytes: bytes + 1 }
            }
            State::Size { size, digits: true, extension, bytes }
                if byte != b'\n' && (extension || matches!(byte, b';' | b' ' | b'\t')) =>
            {
                State::Size { size, digits: true, extension: true, bytes: bytes + 1 }
            }
            State::SizeEnd { size: 0 } if byte == b'\n' => State::Trailer { bytes: 0, line: 0, carriage_return: false },
            State::SizeEnd { size } if byte == b'\n' => {
                if size > self.left_max {
                    return Err(HttpError::BodyTooLarge);
                }
                State::Data(size)
            }
            State::DataEnd(0) if byte == b'\r' => State::DataEnd(1),
            State::DataEnd(1) if byte == b'\n' => SIZE,
            State::Trailer { bytes, .. } if bytes >= TRAILER_BYTES_MAX => return Err(HttpError::BadChunk),
            State::Trailer { line: 0, carriage_return: true, .. } if byte == b'\n' => State::Done,
            State::Trailer { bytes, carriage_return: true, .. } if byte == b'\n' => {
                State::Trailer { bytes: bytes + 1, line: 0, carriage_return: false }
            }
            State::Trailer { bytes, line, carriage_return: false } if byte != b'\n' => State::Trailer {
                bytes: bytes + 1,
                line: line + usize::from(byte != b'\r'),
                carriage_return: byte == b'\r',
            },
            _ => return Err(HttpError::BadChunk),
        };
        Ok(1)
    }

    /// Copies at most `max` bytes and counts them.
    fn copy(&mut self, input: &[u8], max: u64, out: &mut Vec<u8>) -> Result<u64, HttpError> {
        let count = (input.len() as u64).min(max);
        self.left_max = self.left_max.checked_sub(count).ok_or(HttpError::BodyTooLarge)?;
        out.extend_from_slice(&input[..count as usize]);
        Ok(count)
    }
}

/// A body whose length is not known when it begins: in chunks, or, for clients that do not know them, plain up to the
/// end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamBody {
    /// Whether its pieces go out as chunks.
    pub is_chunked: bool,
}

impl StreamBody {
    /// Appends a piece of it.
    pub fn write(self, out: &mut Vec<u8>, data: &[u8]) {
        if self.is_chunked { write_chunk(out, data) } else { out.extend_from_slice(data) }
    }

    /// Ends it properly. A plain one is ended by closing the connection.
    pub fn end(self, out: &mut Vec<u8>) {
        if self.is_chunked {
            out.extend_from_slice(b"0\r\n\r\n");
        }
    }
}

/// Appends a chunk. Nothing is appended for empty data, which would end the body.
fn write_chunk(out: &mut Vec<u8>, data: &[u8]) {
    if !data.is_empty() {
        let _ = write!(out, "{:x}\r\n", data.len());
        out.extend_from_slice(data);
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a body whole, byte by byte and with the next message behind it.
    fn read(framing: Framing, input: &[u8], max: u64) -> Result<(String, bool), HttpError> {
        let whole = read_once(framing, input, input.len().max(1), max);
        assert_eq!(read_once(framing, input, 1, max), whole, "byte by byte: {:?}", String::from_utf8_lossy(input));
        if let Ok((_, true)) = whole {
            let more = [input, b"\r\nGET"].concat();
            let mut out = Vec::new();
            let progress = BodyReader::new(framing, max)?.read(&more, &mut out)?;
            assert_eq!(progress, Progress { used: input.len(), done: true }, "{:?}", String::from_utf8_lossy(input));
        }
        whole
    }

    fn read_once(framing: Framing, input: &[u8], step: usize, max: u64) -> Result<(String, bool), HttpError> {
        let mut reader = BodyReader::new(framing, max)?;
        let mut out = Vec::new();
        for piece in input.chunks(step) {
            assert_eq!(reader.read(piece, &mut out)?.used, piece.len());
        }
        Ok((String::from_utf8_lossy(&out).into_owned(), reader.is_done()))
    }

    #[test]
    fn bodies() {
        use Framing::*;
        let rows: &[(Framing, &str, &str, bool)] = &[
            (None, "", "", true),
            (Length(0), "", "", true),
            (Length(3), "abc", "abc", true),
            (Length(3), "ab", "ab", false),
            (Chunked, "0\r\n\r\n", "", true),
            (Chunked, "3\r\nabc\r\n0\r\n\r\n", "abc", true),
            (Chunked, "3\r\nabc\r\n002 ;x=\"y\"\r\nde\r\n0;z\r\n\r\n", "abcde", true),
            (Chunked, "A\r\n0123456789\r\n0\r\nX: y\r\nZ: w\r\n\r\n", "0123456789", true),
            (Chunked, "3\r\nabc\r\n", "abc", false),
            (Chunked, "3\r\nabc\r\n0\r\n", "abc", false),
            (UntilClose, "abc", "abc", false),
        ];
        for (framing, input, expected, done) in rows {
            assert_eq!(
                read(*framing, input.as_bytes(), 10),
                Ok(((*expected).to_owned(), *done)),
                "{framing:?} {input:?}"
            );
        }
    }

    #[test]
    fn refused() {
        use Framing::*;
        let long_line = format!("1;{}\r\n", "x".repeat(SIZE_LINE_BYTES_MAX));
        let long_trailer = format!("0\r\n{}", "X: y\r\n".repeat(TRAILER_BYTES_MAX / 6 + 1));
        let rows: &[(Framing, &str, HttpError)] = &[
            (Length(11), "", HttpError::BodyTooLarge),
            (Chunked, "b\r\n", HttpError::BodyTooLarge),
            (Chunked, "6\r\nabcdef\r\n5\r\n", HttpError::BodyTooLarge),
            (Chunked, "fffffffffffffffff\r\n", HttpError::BodyTooLarge),
            (UntilClose, "01234567890", HttpError::BodyTooLarge),
            (Chunked, "\r\n", HttpError::BadChunk),
            (Chunked, "x\r\n", HttpError::BadChunk),
            (Chunked, "-1\r\n", HttpError::BadChunk),
            (Chunked, ";\r\n", HttpError::BadChunk),
            (Chunked, "3 4\n", HttpError::BadChunk),
            (Chunked, "3\nabc\n0\n\n", HttpError::BadChunk),
            (Chunked, "3\r\nabcd\r\n", HttpError::BadChunk),
            (Chunked, "3\r\nabc\n", HttpError::BadChunk),
            (Chunked, "0\r\nX: y\n", HttpError::BadChunk),
            (Chunked, "0\r\nX: y\r\r\n", HttpError::BadChunk),
            (Chunked, &long_line, HttpError::BadChunk),
            (Chunked, &long_trailer, HttpError::BadChunk),
        ];
        for (framing, input, expected) in rows {
            assert_eq!(read(*framing, input.as_bytes(), 10), Err(*expected), "{framing:?} {input:?}");
        }
    }

    #[test]
    fn what_is_written_in_chunks_is_read_back() {
        let mut out = Vec::new();
        for data in ["abc", "", "0123456789abcdef"] {
            write_chunk(&mut out, data.as_bytes());
        }
        StreamBody { is_chunked: true }.end(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), "3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n");
        assert_eq!(read(Framing::Chunked, &out, 100), Ok(("abc0123456789abcdef".to_owned(), true)));
    }

    #[test]
    fn a_connection_that_ends_early_is_noticed() {
        for (framing, input, whole) in [
            (Framing::Length(3), "ab", false),
            (Framing::UntilClose, "ab", true),
            (Framing::Chunked, "0\r\n", false),
            (Framing::None, "", true),
        ] {
            let mut reader = BodyReader::new(framing, 10).expect("within the bound");
            reader.read(input.as_bytes(), &mut Vec::new()).expect("well-formed");
            assert_eq!(reader.end().is_ok(), whole, "{framing:?}");
        }
    }
}
