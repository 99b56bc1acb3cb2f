//! A log that is kept in memory: the newest bytes of a stream, whose offsets count from its beginning (K-9).

use std::collections::VecDeque;

/// The newest bytes of a stream.
#[derive(Debug)]
pub struct Ring {
    bytes: VecDeque<u8>,
    bytes_max: usize,
    /// Bytes that have come since the log was last empty.
    end: u64,
    /// How often it was emptied.
    clears: u64,
}

impl Ring {
    /// An empty one that keeps so many bytes. It takes memory as they come.
    pub fn new(bytes_max: usize) -> Ring {
        Ring { bytes: VecDeque::new(), bytes_max, end: 0, clears: 0 }
    }

    /// Whether it keeps so many.
    pub fn keeps(&self, bytes_max: usize) -> bool {
        self.bytes_max == bytes_max
    }

    /// Adds what came; the oldest bytes fall off. Where memory is short it keeps as many as it has got.
    pub fn push(&mut self, bytes: &[u8]) {
        self.end += bytes.len() as u64;
        let wanted = (self.bytes.len() + bytes.len()).min(self.bytes_max);
        if wanted > self.bytes.capacity() {
            let doubled = (self.bytes.capacity() * 2).clamp(wanted, self.bytes_max);
            // If that fails, what there is is all that there is.
            let _ = self.bytes.try_reserve_exact(doubled - self.bytes.len());
        }
        let bytes_max = self.bytes_max.min(self.bytes.capacity());
        let newest = &bytes[bytes.len().saturating_sub(bytes_max)..];
        let excess = (self.bytes.len() + newest.len()).saturating_sub(bytes_max);
        self.bytes.drain(..excess);
        self.bytes.extend(newest);
    }

    /// Offset of the oldest byte that is kept.
    pub fn start(&self) -> u64 {
        self.end - self.bytes.len() as u64
    }

    /// Offset of the byte to come: the size of the log, with all that fell off.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// What is kept of a part.
    pub fn read(&self, offset: u64, length: u64) -> Vec<u8> {
        let place = |at: u64| (at.clamp(self.start(), self.end) - self.start()) as usize;
        let (from, to) = (place(offset), place(offset.saturating_add(length)));
        let mut part = Vec::new();
        if part.try_reserve_exact(to - from).is_ok() {
            let (first, second) = self.bytes.as_slices();
            part.extend_from_slice(&first[from.min(first.len())..to.min(first.len())]);
            let behind = |at: usize| at.saturating_sub(first.len());
            part.extend_from_slice(&second[behind(from)..behind(to)]);
        }
        part
    }

    /// Empties it; offsets begin anew.
    pub fn clear(&mut self) {
        self.bytes = VecDeque::new();
        self.end = 0;
        self.clears += 1;
    }

    /// How often it was emptied: what was read before belongs to another text.
    pub fn clears(&self) -> u64 {
        self.clears
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_bytes_are_kept_under_their_offsets() {
        // (chunks, start, all that is kept)
        let rows: &[(&[&str], u64, &str)] = &[
            (&[], 0, ""),
            (&["abc"], 0, "abc"),
            (&["abc", "de"], 0, "abcde"),
            (&["abc", "def"], 1, "bcdef"),
            (&["abcdefgh"], 3, "defgh"),
            (&["ab", "cdefghi"], 4, "efghi"),
            (&["abcde", "f", "g", "hijklmnop", "q"], 12, "mnopq"),
        ];
        for (chunks, start, kept) in rows {
            let mut ring = Ring::new(5);
            let mut whole = String::new();
            for chunk in *chunks {
                ring.push(chunk.as_bytes());
                whole += chunk;
            }
            assert_eq!((ring.start(), ring.end()), (*start, whole.len() as u64), "{chunks:?}");
            assert_eq!(ring.read(0, u64::MAX), kept.as_bytes(), "{chunks:?}");
            for offset in 0..=whole.len() {
                for end in offset..=whole.len() {
                    let from = offset.max(*start as usize).min(end.max(*start as usize));
                    let expected = &whole.as_bytes()[from..end.max(from)];
                    assert_eq!(ring.read(offset as u64, (end - offset) as u64), expected, "{chunks:?} {offset}..{end}");
                }
            }
            ring.clear();
            assert_eq!((ring.start(), ring.end(), ring.clears()), (0, 0, 1));
            ring.push(b"xy");
            assert_eq!(ring.read(0, 9), b"xy");
        }
    }

    #[test]
    fn it_takes_memory_as_it_needs_it() {
        let mut ring = Ring::new(1 << 40);
        ring.push(b"abc");
        assert!(ring.bytes.capacity() < 100 && ring.keeps(1 << 40));
        let mut small = Ring::new(100);
        for _ in 0..50 {
            small.push(b"0123456789");
        }
        assert!(small.bytes.capacity() <= 128, "{}", small.bytes.capacity());
        assert_eq!(small.start(), 400);
    }
}
