//! The child that compresses a rotated log (K-9): standard input to standard output, at the lowest priority.

/// What this executable is called for it.
pub const NAME: &str = "stheno-gzip";

/// Bytes read at a time.
#[cfg(feature = "gzip")]
const PIECE_BYTES: usize = 64 * 1024;

/// Compresses; answers an exit status.
#[cfg(feature = "gzip")]
pub fn run() -> i32 {
    super::process::be_nice();
    match compress() {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

#[cfg(feature = "gzip")]
fn compress() -> std::io::Result<()> {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;

    let mut source = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let target = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    let mut encoder = flate2::write::GzEncoder::new(target, flate2::Compression::default());
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match source.read(&mut piece)? {
            0 => break,
            count => encoder.write_all(&piece[..count])?,
        }
    }
    // The backup is deleted next: what takes its place has to be on the disk.
    encoder.finish()?.sync_all()
}
