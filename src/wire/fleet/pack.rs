//! Numbers, texts and lists as bytes: whole numbers seven bits a byte, the lowest first; lengths before what they measure.
//!
//! Whatever is read is checked before anything is put aside for it. A body that ends too early, or says what cannot be, is a
//! [`Broken`] one as a whole.

/// Bytes of a text at most: a path, a line of arguments, a reason.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;

/// Bytes of a number at most.
const NUMBER_BYTES_MAX: u32 = 10;

/// Bytes that say nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// Writes a number.
pub fn number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Writes a number that may be negative: small ones are short whatever their sign.
pub fn signed(out: &mut Vec<u8>, value: i64) {
    number(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Writes a text, of which what is too long is left out.
pub fn text(out: &mut Vec<u8>, text: &str) {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    number(out, end as u64);
    out.extend_from_slice(&text.as_bytes()[..end]);
}

/// Writes truth values, the first one lowest.
pub fn flags<const N: usize>(out: &mut Vec<u8>, flags: [bool; N]) {
    number(out, flags.iter().enumerate().map(|(at, flag)| u64::from(*flag) << at).sum());
}

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8, Broken> {
        let (first, rest) = self.0.split_first().ok_or(Broken)?;
        self.0 = rest;
        Ok(*first)
    }

    /// A number.
    pub fn number(&mut self) -> Result<u64, Broken> {
        let mut number = 0_u64;
        for at in 0..NUMBER_BYTES_MAX {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            number |= bits.checked_shl(7 * at).filter(|shifted| shifted >> (7 * at) == bits).ok_or(Broken)?;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Broken)
    }

    /// A number that may be negative.
    pub fn signed(&mut self) -> Result<i64, Broken> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// So many bytes.
    pub fn bytes(&mut self, count: u64) -> Result<&'a [u8], Broken> {
        let count = usize::try_from(count).map_err(|_| Broken)?;
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(Broken)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// A text.
    pub fn text(&mut self) -> Result<String, Broken> {
        let length = self.number()?;
        if length > TEXT_BYTES_MAX as u64 {
            return Err(Broken);
        }
        std::str::from_utf8(self.bytes(length)?).map(str::to_string).map_err(|_| Broken)
    }

    /// Truth values; what newer ones have more is passed over.
    pub fn flags<const N: usize>(&mut self) -> Result<[bool; N], Broken> {
        let number = self.number()?;
        Ok(std::array::from_fn(|at| number >> at & 1 == 1))
    }

    /// A list, each item of which has a byte at least.
    pub fn list<T>(
        &mut self,
        max: u64,
        mut item: impl FnMut(&mut Input<'a>) -> Result<T, Broken>,
    ) -> Result<Vec<T>, Broken> {
        let count = self.number()?;
        if count > max || count > self.0.len() as u64 {
            return Err(Broken);
        }
        (0..count).map(|_| item(self)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            number(&mut out, value);
            let mut input = Input(&out);
            assert_eq!((input.number(), input.is_empty()), (Ok(value), true), "{value}");
            for end in 0..out.len() {
                assert_eq!(Input(&out[..end]).number(), Err(Broken), "{value} cut at {end}");
            }
        }
        for value in [0, 1, -1, 63, -64, 64, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            signed(&mut out, value);
            assert_eq!(Input(&out).signed(), Ok(value));
            assert!(value.abs_diff(0) >= 64 || out.len() == 1, "{value}");
        }
    }

    #[test]
    fn what_cannot_be_is_broken() {
        let too_great: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        let rows: &[(&str, &[u8])] =
            &[("endless", &[0x80; 11]), ("more than 64 bits", too_great), ("nothing", &[]), ("cut", &[0x80])];
        for (name, bytes) in rows {
            assert_eq!(Input(bytes).number(), Err(Broken), "{name}");
        }
        let rows: &[(&str, &[u8])] =
            &[("longer than there is", &[5, b'a']), ("no text", &[2, 0xff, 0xfe]), ("too long", &[0xff, 0xff, 0x7f])];
        for (name, bytes) in rows {
            assert_eq!(Input(bytes).text(), Err(Broken), "{name}");
        }
        assert_eq!(Input(&[200, 1, 0]).list(1_000, Input::byte), Err(Broken), "more items than bytes");
        assert_eq!(Input(&[3, 1, 2, 3]).list(2, Input::byte), Err(Broken), "more than allowed");
        assert_eq!(Input(&[3, 1, 2, 3]).list(3, Input::byte), Ok(vec![1, 2, 3]));
    }

    #[test]
    fn texts_and_flags_come_back() {
        let long = "ä".repeat(TEXT_BYTES_MAX);
        for (value, expected) in [("", ""), ("a b", "a b"), (long.as_str(), &long[..TEXT_BYTES_MAX])] {
            let mut out = Vec::new();
            text(&mut out, value);
            assert_eq!(Input(&out).text().as_deref(), Ok(expected));
        }
        let mut out = Vec::new();
        flags(&mut out, [true, false, true]);
        assert_eq!(Input(&out).flags(), Ok([true, false, true]));
        assert_eq!(Input(&[0x0d]).flags(), Ok([true, false]), "one that is not known here");
    }
}
