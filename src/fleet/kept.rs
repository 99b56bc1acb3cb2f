//! The file of what this instance must not forget of what the fleet has agreed on (F-55): `fleet.state`, mode 0600.
//!
//! Records are appended and on disk before anybody is answered by them; a file that has become long is written anew. An end
//! that was not whole is cut. A file that is broken otherwise counts as none at all: the instance is another voter then, so
//! that it cannot vote twice.

use crate::daemon::Host;
use crate::daemon::host::{Errno, Span};
use crate::wire::fleet::records;

/// Bytes after which the file is written anew: some hundred elections, a moment to read.
const BYTES_MAX: u64 = 256 * 1024;

/// Bytes that are read: what was kept last may have made it longer than that.
const READ_BYTES_MAX: u64 = 4 << 20;

/// The file.
#[derive(Clone, Debug)]
pub struct Kept {
    path: String,
    bytes: u64,
    /// What is there does not count: the next records take its place.
    is_void: bool,
}

impl Kept {
    /// Opens it, with its records; there are none if there is no file, or a broken one.
    ///
    /// Errors: it cannot be read, or its torn end cannot be cut. What is in it may count, so that nothing is to be done
    /// without it.
    pub fn open(path: &str, host: &mut dyn Host) -> Result<(Kept, Vec<Vec<u8>>), Errno> {
        let mut kept = Kept { path: path.to_string(), bytes: 0, is_void: true };
        if !host.file_exists(path) {
            return Ok((kept, Vec::new()));
        }
        let length = host.file_size(path)?;
        let bytes =
            if length > READ_BYTES_MAX { Vec::new() } else { host.file_read(path, Span { offset: 0, length })? };
        match records::read(&bytes) {
            Ok(found) if bytes.len() as u64 == length => {
                (kept.bytes, kept.is_void) = (length, length == 0);
                if found.is_torn {
                    kept.write(&found.bodies, host)?;
                    activity!(Warn, "fleet: {path} was torn at its end, which is cut");
                }
                Ok((kept, found.bodies))
            }
            _ => {
                activity!(Error, "fleet: {path} is broken and does not count; this instance votes as a new one");
                Ok((kept, Vec::new()))
            }
        }
    }

    /// Appends records.
    ///
    /// Errors: it is not known how much of them is there. The file is to be opened again before anything else.
    pub fn append(&mut self, bodies: &[Vec<u8>], host: &mut dyn Host) -> Result<(), Errno> {
        if self.is_void {
            return self.write(bodies, host);
        }
        let bytes = framed(bodies);
        host.file_append(&self.path, &bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Whether it is to be written anew.
    pub fn is_long(&self) -> bool {
        self.bytes > BYTES_MAX
    }

    /// Writes it anew, with these records alone.
    ///
    /// Errors: what was there is there.
    pub fn write(&mut self, bodies: &[Vec<u8>], host: &mut dyn Host) -> Result<(), Errno> {
        let bytes = framed(bodies);
        if let Some((directory, _)) = self.path.rsplit_once('/').filter(|(directory, _)| !directory.is_empty())
            && !host.file_exists(directory)
        {
            host.make_directory(directory);
        }
        host.file_replace(&self.path, &bytes)?;
        (self.bytes, self.is_void) = (bytes.len() as u64, false);
        Ok(())
    }
}

fn framed(bodies: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bodies.iter().for_each(|body| records::push(&mut bytes, body));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::testing::World;

    const PATH: &str = "/state/fleet.state";

    fn bodies(names: &[&str]) -> Vec<Vec<u8>> {
        names.iter().map(|name| name.as_bytes().to_vec()).collect()
    }

    #[test]
    fn what_is_appended_is_found_again_and_torn_ends_are_cut_for_good() {
        let mut world = World::new("");
        let host = &mut world.host;
        let (mut kept, found) = Kept::open(PATH, host).unwrap();
        assert_eq!(found, bodies(&[]));
        kept.append(&bodies(&["one", "two"]), host).unwrap();
        kept.append(&bodies(&["three"]), host).unwrap();
        let whole = host.env.files[PATH].clone();
        assert_eq!(Kept::open(PATH, host).unwrap().1, bodies(&["one", "two", "three"]));
        for end in 0..whole.len() {
            host.env.write(PATH, &whole[..end]);
            let (mut kept, found) = Kept::open(PATH, host).unwrap();
            assert!(bodies(&["one", "two", "three"]).starts_with(&found) && found.len() < 3, "torn at {end}");
            // What follows stands behind what was whole.
            kept.append(&bodies(&["more"]), host).unwrap();
            let expected = [found, bodies(&["more"])].concat();
            assert_eq!(Kept::open(PATH, host).unwrap().1, expected, "torn at {end}");
        }
    }

    #[test]
    fn a_broken_file_is_as_none_and_its_place_is_taken() {
        let mut world = World::new("");
        let host = &mut world.host;
        let (mut kept, _) = Kept::open(PATH, host).unwrap();
        kept.append(&bodies(&["one", "two"]), host).unwrap();
        let mut broken = host.env.files[PATH].clone();
        broken[9] ^= 1;
        host.env.write(PATH, &broken);
        let (mut kept, found) = Kept::open(PATH, host).unwrap();
        assert_eq!(found, bodies(&[]));
        assert_eq!(host.env.files[PATH], broken, "it stays until there is something else");
        kept.append(&bodies(&["new"]), host).unwrap();
        assert_eq!(Kept::open(PATH, host).unwrap().1, bodies(&["new"]));
        host.env.write(PATH, vec![1; READ_BYTES_MAX as usize + 1]);
        assert_eq!(Kept::open(PATH, host).unwrap().1, bodies(&[]), "longer than any");
    }

    #[test]
    fn where_nothing_can_be_written_nothing_is_believed_to_be() {
        let mut world = World::new("");
        let host = &mut world.host;
        let (mut kept, _) = Kept::open(PATH, host).unwrap();
        kept.append(&bodies(&["one"]), host).unwrap();
        let mut torn = host.env.files[PATH].clone();
        torn.push(7);
        host.env.write(PATH, &torn);
        host.is_full = true;
        assert!(Kept::open(PATH, host).is_err() && kept.append(&bodies(&["two"]), host).is_err());
        host.is_full = false;
        assert_eq!(Kept::open(PATH, host).unwrap().1, bodies(&["one"]));
    }

    #[test]
    fn a_long_file_is_written_anew() {
        let mut world = World::new("");
        let host = &mut world.host;
        let (mut kept, _) = Kept::open(PATH, host).unwrap();
        kept.append(&[vec![1; BYTES_MAX as usize]], host).unwrap();
        assert!(kept.is_long());
        kept.write(&bodies(&["all"]), host).unwrap();
        assert!(!kept.is_long());
        kept.append(&bodies(&["more"]), host).unwrap();
        assert_eq!(Kept::open(PATH, host).unwrap().1, bodies(&["all", "more"]));
    }
}
