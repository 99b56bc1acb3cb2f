//! Pages that are packed on their way to a browser: the table of thousands of processes takes a fifteenth then. It is done piece by
//! piece, for a whole page of that size takes longer than a restart may wait.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::rpc::budget::Budget;

/// Bytes that are packed before the turn's time is looked at.
const PIECE_BYTES: usize = 16 * 1024;

/// Bytes packed in a microsecond.
const BYTES_PER_US: usize = 64;

/// Bytes that an encoder takes for itself: what it has seen last, and tables of that.
const ENCODER_BYTES: usize = 352 * 1024;

/// What is packed for a browser behind the headers of its reply.
pub(super) type Headers = Vec<(&'static str, &'static str)>;

/// A page being packed.
pub(super) struct Packing {
    page: Vec<u8>,
    at: usize,
    /// There until all is packed.
    encoder: Option<GzEncoder<Vec<u8>>>,
    headers: Headers,
}

impl Packing {
    /// A page of which nothing is packed yet.
    pub(super) fn new(page: String, mut headers: Headers) -> Packing {
        headers.extend([("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]);
        // Of the same rows again and again the fastest way leaves little.
        Packing {
            page: page.into_bytes(),
            at: 0,
            encoder: Some(GzEncoder::new(Vec::new(), Compression::fast())),
            headers,
        }
    }

    /// Bytes that it holds.
    pub(super) fn bytes(&self) -> usize {
        self.page.len() + ENCODER_BYTES + self.encoder.as_ref().map_or(0, |encoder| encoder.get_ref().capacity())
    }

    /// Goes on while the turn has time; headers and body at the end.
    pub(super) fn go_on(&mut self, budget: &mut Budget) -> Option<(Headers, Vec<u8>)> {
        while self.at < self.page.len() {
            if budget.is_spent() {
                return None;
            }
            let piece = &self.page[self.at..self.page.len().min(self.at + PIECE_BYTES)];
            budget.spend(u32::try_from(piece.len() / BYTES_PER_US).unwrap_or(u32::MAX));
            self.at += piece.len();
            let written = self.encoder.as_mut().map(|encoder| encoder.write_all(piece));
            debug_assert!(matches!(written, Some(Ok(()))), "a vector takes it");
        }
        let packed = self.encoder.take().and_then(|encoder| encoder.finish().ok());
        Some((std::mem::take(&mut self.headers), packed.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_page_is_packed_over_several_turns() {
        let page = "<tr><td>one of thousands</td></tr>\n".repeat(20_000);
        let mut packing = Packing::new(page.clone(), Vec::new());
        let mut turns = 1;
        let (headers, packed) = loop {
            match packing.go_on(&mut Budget::default()) {
                Some(done) => break done,
                None => turns += 1,
            }
        };
        assert!(turns > 5 && packed.len() < page.len() / 50, "{turns} turns, {} bytes", packed.len());
        assert_eq!(headers, [("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]);
        let mut text = String::new();
        flate2::read::GzDecoder::new(&*packed).read_to_string(&mut text).expect("gzip");
        assert!(text == page);
    }
}
