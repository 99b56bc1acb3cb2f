//! Numbers, texts and lists in the bodies of frames: varints, and lengths that are checked before anything is taken.

/// Bytes of a text in a report or command at most: a path, a line of arguments, a reason.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;

/// Why a body cannot be read. Nothing was allocated for what was not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Reads a body from its beginning on.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// At the beginning of a body.
    pub fn new(body: &'a [u8]) -> Reader<'a> {
        Reader { rest: body }
    }

    /// What was not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether all is read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `count` bytes, all of them or none.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next byte; [`Malformed`] at the end.
    pub fn byte(&mut self) -> Result<u8, Malformed> {
        self.take(1).map(|bytes| bytes[0])
    }

    /// As many bytes as an array has.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed)
    }

    /// Eight bytes, the highest first.
    pub fn fixed(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// A number of seven bits a byte, the lowest first; the highest bit says that more follow.
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Malformed);
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    /// A varint that has to fit.
    pub fn number<T: TryFrom<u64>>(&mut self) -> Result<T, Malformed> {
        T::try_from(self.varint()?).map_err(|_| Malformed)
    }

    /// A number of either sign: even ones are not negative.
    pub fn signed(&mut self) -> Result<i64, Malformed> {
        self.varint().map(|number| (number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// Bytes behind their length, `max` at most.
    pub fn bytes(&mut self, max: usize) -> Result<&'a [u8], Malformed> {
        let length: usize = self.number()?;
        if length > max { Err(Malformed) } else { self.take(length) }
    }

    /// A text behind its length in bytes, `max` at most.
    pub fn text(&mut self, max: usize) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes(max)?).map_err(|_| Malformed)
    }

    /// A text of [`TEXT_BYTES_MAX`] at most.
    pub fn short_text(&mut self) -> Result<String, Malformed> {
        self.text(TEXT_BYTES_MAX).map(str::to_string)
    }

    /// Truth values, the first one lowest; what newer ones have more is passed over.
    pub fn flags<const N: usize>(&mut self) -> Result<[bool; N], Malformed> {
        let bits = self.varint()?;
        Ok(std::array::from_fn(|at| bits >> at & 1 == 1))
    }

    /// A list behind its length, `max` at most, each item of which has a byte at least.
    pub fn list<T>(
        &mut self,
        max: usize,
        mut item: impl FnMut(&mut Reader<'a>) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let count: usize = self.number()?;
        if count > max.min(self.rest.len()) {
            return Err(Malformed);
        }
        (0..count).map(|_| item(self)).collect()
    }
}

/// Appends what [`Reader::varint`] reads.
pub fn push_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends what [`Reader::signed`] reads: small numbers are short whatever their sign.
pub fn push_signed(out: &mut Vec<u8>, number: i64) {
    push_varint(out, (number << 1 ^ number >> 63) as u64);
}

/// Appends what [`Reader::bytes`] reads.
fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    push_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends what [`Reader::text`] reads.
pub fn push_text(out: &mut Vec<u8>, text: &str) {
    push_bytes(out, text.as_bytes());
}

/// Appends what [`Reader::short_text`] reads; what is too long of it is left out.
pub fn push_short_text(out: &mut Vec<u8>, text: &str) {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    push_text(out, &text[..end]);
}

/// Appends what [`Reader::flags`] reads.
pub fn push_flags<const N: usize>(out: &mut Vec<u8>, flags: [bool; N]) {
    push_varint(out, flags.iter().enumerate().map(|(at, flag)| u64::from(*flag) << at).sum());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for number in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, u64::from(u32::MAX), u64::MAX >> 1, u64::MAX] {
            let mut out = Vec::new();
            push_varint(&mut out, number);
            let mut reader = Reader::new(&out);
            assert_eq!((reader.varint(), reader.is_empty()), (Ok(number), true), "{number}");
            for short in 0..out.len() {
                assert_eq!(Reader::new(&out[..short]).varint(), Err(Malformed), "{number} cut at {short}");
            }
        }
        for number in [0, -1, 1, 63, -64, 64, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            push_signed(&mut out, number);
            assert_eq!(Reader::new(&out).signed(), Ok(number), "{number}");
            assert!(number.abs_diff(0) > 64 || number == 64 || out.len() == 1, "{number} is short");
        }
    }

    #[test]
    fn what_is_wrong_is_refused_before_anything_is_taken() {
        type Read = fn(&mut Reader<'_>) -> bool;
        let rows: &[(&[u8], Read, &str)] = &[
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", |r| r.varint().is_err(), "65 bits"),
            (b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", |r| r.varint().is_err(), "eleven bytes"),
            (b"\xff\xff\xff\xff\x0fabc", |r| r.bytes(usize::MAX).is_err(), "a length beyond the end"),
            (b"\x03abc", |r| r.bytes(2).is_err(), "a length beyond the bound"),
            (b"\x02\xff\xfe", |r| r.text(9).is_err(), "no UTF-8"),
            (b"\x80\x02", |r| r.number::<u8>().is_err(), "256 in a byte"),
            (b"\x03abc", |r| r.text(3) == Ok("abc") && r.is_empty(), "what is right"),
            (b"\xff\xff\x7f", |r| r.short_text().is_err(), "a text longer than any"),
            (b"\xc8\x01\x00", |r| r.list(1_000, Reader::byte).is_err(), "more items than bytes"),
            (b"\x03\x01\x02\x03", |r| r.list(2, Reader::byte).is_err(), "more items than allowed"),
            (b"\x03\x01\x02\x03", |r| r.list(3, Reader::byte) == Ok(vec![1, 2, 3]), "a list"),
            (b"", |r| r.byte().is_err() && r.fixed().is_err() && r.bytes(0).is_err(), "nothing"),
        ];
        for (bytes, read, name) in rows {
            assert!(read(&mut Reader::new(bytes)), "{name}");
        }
    }

    #[test]
    fn texts_and_flags_come_back() {
        let long = "a".to_string() + &"ä".repeat(TEXT_BYTES_MAX);
        for (value, expected) in [("", ""), ("a b", "a b"), (long.as_str(), &long[..TEXT_BYTES_MAX - 1])] {
            let mut out = Vec::new();
            push_short_text(&mut out, value);
            assert_eq!(Reader::new(&out).short_text().as_deref(), Ok(expected));
        }
        let mut out = Vec::new();
        push_flags(&mut out, [true, false, true]);
        assert_eq!(Reader::new(&out).flags(), Ok([true, false, true]));
        assert_eq!(Reader::new(&[0x0d]).flags(), Ok([true, false]), "one that is not known here");
    }
}
