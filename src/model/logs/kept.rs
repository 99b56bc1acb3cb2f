//! What is kept of a log that cannot be written: the newest bytes, from the beginning of a line on if any were lost.

use std::collections::VecDeque;

/// Bytes kept for each log: some hundred lines, which is what explains why a disk is full.
pub const KEPT_MAX: usize = 64 * 1024;

/// Bytes that are to be written, oldest first, and how many before them were lost.
#[derive(Debug, Default)]
pub struct Kept {
    bytes: VecDeque<u8>,
    lost: u64,
}

impl Kept {
    /// Adds what came. What exceeds the bound is lost, up to the end of the line that it ends in.
    pub fn push(&mut self, bytes: &[u8]) {
        let newest = &bytes[bytes.len().saturating_sub(KEPT_MAX)..];
        let excess = (self.bytes.len() + bytes.len()).saturating_sub(KEPT_MAX);
        self.bytes.drain(..excess.min(self.bytes.len()));
        self.bytes.extend(newest);
        self.lost += excess as u64;
        if excess > 0
            && let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n')
        {
            self.bytes.drain(..=end);
            self.lost += end as u64 + 1;
        }
    }

    /// So many of the oldest were written.
    pub fn written(&mut self, count: usize) {
        self.bytes.drain(..count.min(self.bytes.len()));
    }

    /// What is to be written, in one piece.
    pub fn bytes(&mut self) -> &[u8] {
        self.bytes.make_contiguous()
    }

    /// How many bytes were lost.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_whole_lines_are_kept() {
        let line = [b"x".repeat(99), b"\n".to_vec()].concat();
        for size in [1, 7, 100, 5000, 200_000] {
            let all = line.repeat(2000);
            let mut kept = Kept::default();
            for chunk in all.chunks(size) {
                kept.push(chunk);
            }
            let (bytes, lost) = (kept.bytes().to_vec(), kept.lost());
            assert_eq!(bytes.len() as u64 + lost, all.len() as u64, "by {size}");
            assert!(bytes.len() > KEPT_MAX - 200 && bytes.len() <= KEPT_MAX, "by {size}: {}", bytes.len());
            assert!(bytes.starts_with(&line) && bytes.ends_with(&line), "by {size}");
        }
    }

    #[test]
    fn what_was_written_is_not_kept() {
        let mut kept = Kept::default();
        kept.push(b"one\ntwo\n");
        kept.written(5);
        assert_eq!(kept.bytes(), b"wo\n");
        assert_eq!(kept.lost(), 0);
        // Without a line end nothing but the bound decides.
        kept.push(&[b'z'; KEPT_MAX + 10]);
        assert_eq!(kept.bytes().len(), KEPT_MAX);
        assert_eq!(kept.lost(), 13);
    }
}
