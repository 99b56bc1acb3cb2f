//! The file of what an instance must not forget: records, each a length and a CRC-32C of four bytes, and a body.
//!
//! They are appended, so that a crash leaves the end of the last one out: what was not whole was never told to anybody, and
//! is cut. Anything else that is wrong means that something is lost that may have been told, and then nothing of the file
//! counts.

/// Bytes of a record before its body.
const HEAD_BYTES: usize = 8;

/// What is in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The bodies of all whole records.
    pub bodies: Vec<Vec<u8>>,
    /// What stands behind them is the torn end of another, and is to be cut.
    pub is_torn: bool,
}

/// Something in the midst of a file is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// Appends a record. A body is never empty: nothing but zeros, as systems leave behind a crash, is no record.
pub fn push(out: &mut Vec<u8>, body: &[u8]) {
    debug_assert!(!body.is_empty() && body.len() <= u32::MAX as usize);
    out.extend_from_slice(&(body.len() as u32).to_be_bytes());
    out.extend_from_slice(&crc32c(body).to_be_bytes());
    out.extend_from_slice(body);
}

/// The record that begins here, if one does: its body.
fn first(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let body = rest.get(..u32::from_be_bytes(*length) as usize).filter(|body| !body.is_empty())?;
    (crc32c(body) == u32::from_be_bytes(*crc)).then_some(body)
}

/// Reads a file.
pub fn read(bytes: &[u8]) -> Result<Found, Broken> {
    let (mut bodies, mut rest) = (Vec::new(), bytes);
    while let Some(body) = first(rest) {
        bodies.push(body.to_vec());
        rest = &rest[HEAD_BYTES + body.len()..];
    }
    // A whole record behind one that is not: that one was whole once.
    if (1..rest.len()).any(|at| first(&rest[at..]).is_some()) {
        return Err(Broken);
    }
    Ok(Found { bodies, is_torn: !rest.is_empty() })
}

/// Bit by bit: files are read at the start, and have a few kilobytes.
fn crc32c(bytes: &[u8]) -> u32 {
    let crc = bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ (0x82f6_3b78 & 0_u32.wrapping_sub(crc & 1)))
    });
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bodies: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        bodies.iter().for_each(|body| push(&mut out, body));
        out
    }

    #[test]
    fn the_check_is_that_of_the_standard() {
        // RFC 3720, B.4, and the check value of the catalogue.
        let rising: Vec<u8> = (0..32).collect();
        let rows: [(&[u8], u32); 4] =
            [(b"123456789", 0xe306_9283), (&[0; 32], 0x8a91_36aa), (&[0xff; 32], 0x62a8_ab43), (&rising, 0x46dd_794e)];
        for (bytes, expected) in rows {
            assert_eq!(crc32c(bytes), expected, "{bytes:?}");
        }
    }

    const BODIES: [&[u8]; 4] = [b"first", b"\0", b"the third of them", b"last"];

    #[test]
    fn wherever_a_file_is_torn_what_was_whole_is_there() {
        let whole = file(&BODIES);
        let ends: Vec<usize> = (0..=BODIES.len()).map(|count| file(&BODIES[..count]).len()).collect();
        for end in 0..=whole.len() {
            let count = ends.iter().filter(|one| **one <= end).count() - 1;
            let bodies = BODIES[..count].iter().map(|body| body.to_vec()).collect();
            let expected = Found { bodies, is_torn: !ends.contains(&end) };
            assert_eq!(read(&whole[..end]), Ok(expected.clone()), "torn at {end}");
            // As some file systems leave it: long enough, and zeros.
            let mut zeros = whole[..end].to_vec();
            zeros.resize(whole.len() + 100, 0);
            match read(&zeros) {
                Ok(found) => assert!(found.is_torn && found.bodies.len() >= count, "zeros from {end}"),
                Err(Broken) => panic!("zeros from {end} are torn, not broken"),
            }
        }
    }

    #[test]
    fn wherever_a_byte_is_another_it_is_noticed() {
        let whole = file(&BODIES);
        let last = file(&BODIES[..BODIES.len() - 1]).len();
        for at in 0..whole.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                match read(&bytes) {
                    Err(Broken) => assert!(at < last, "byte {at} by {flip}"),
                    // It cannot be told from an end that was written in part.
                    Ok(found) => {
                        assert!(at >= last && found.is_torn, "byte {at} by {flip}");
                        assert_eq!(found.bodies, BODIES[..BODIES.len() - 1], "byte {at} by {flip}");
                    }
                }
            }
        }
        assert_eq!(read(b""), Ok(Found { bodies: Vec::new(), is_torn: false }));
        assert_eq!(read(&[0; 64]), Ok(Found { bodies: Vec::new(), is_torn: true }));
    }
}
