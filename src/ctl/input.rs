//! Standard input, line by line, without reading ahead of what somebody else may have to read: `fg` waits on the same
//! descriptor that the shell's lines come from.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::{AsFd, BorrowedFd};

use crate::sys::terminal::wait_readable;

/// The longest line taken; what is typed into `fg` travels in one call.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Bytes asked for at once.
const READ_BYTES: usize = 4096;

/// Lines of a descriptor.
pub struct Input {
    file: Option<File>,
    buffer: Vec<u8>,
    has_ended: bool,
    /// A terminal's end is one Ctrl-D, which ends one wait: what is typed later is read again.
    is_terminal: bool,
}

/// What there is to read.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// A line, without its end.
    Text(String),
    /// Not yet a whole one.
    Partial,
    End,
}

impl Input {
    /// Standard input; one that is closed is at its end.
    pub fn stdin() -> Input {
        Input::new(io::stdin().as_fd().try_clone_to_owned().map(File::from).ok())
    }

    /// Lines of a file.
    pub fn new(file: Option<File>) -> Input {
        let is_terminal = file.as_ref().is_some_and(IsTerminal::is_terminal);
        Input { file, buffer: Vec::new(), has_ended: false, is_terminal }
    }

    /// What to wait on for more; `None` if there will be none.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        if self.has_ended { None } else { self.file.as_ref().map(File::as_fd) }
    }

    /// The next line of what has been read before.
    pub fn buffered(&mut self) -> Line {
        let is_full = self.buffer.len() >= LINE_BYTES_MAX;
        match self.buffer.iter().position(|&byte| byte == b'\n') {
            Some(end) => {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                Line::Text(String::from_utf8_lossy(&line[..end]).into_owned())
            }
            None if is_full || (self.fd().is_none() && !self.buffer.is_empty()) => {
                Line::Text(String::from_utf8_lossy(&std::mem::take(&mut self.buffer)).into_owned())
            }
            None if self.fd().is_none() => {
                self.has_ended &= !self.is_terminal;
                Line::End
            }
            None => Line::Partial,
        }
    }

    /// Reads once; blocks if nothing is there.
    pub fn read_more(&mut self) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let mut chunk = [0; READ_BYTES];
        match file.read(&mut chunk) {
            Ok(0) => self.has_ended = true,
            Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A terminal that went away reads as an error; there will be nothing more.
            Err(error) => {
                self.has_ended = true;
                return Err(error);
            }
        }
        Ok(())
    }

    /// The next line, waiting for it; `None` at the end. Fails with `Interrupted` once `interrupt` can be read.
    pub fn line(&mut self, interrupt: Option<BorrowedFd<'_>>) -> io::Result<Option<String>> {
        loop {
            match self.buffered() {
                Line::Text(line) => return Ok(Some(line)),
                Line::End => return Ok(None),
                Line::Partial => {}
            }
            if let (Some(fd), Some(interrupt)) = (self.fd(), interrupt) {
                let ready = wait_readable(&[fd, interrupt], None)?;
                if ready[1] {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                if !ready[0] {
                    continue;
                }
            }
            // An unreadable input is an input at its end.
            let _ = self.read_more();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn lines_of_a_pipe() {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let mut input = Input::new(Some(File::from(std::os::fd::OwnedFd::from(reader))));
        writer.write_all("one\n\nthrée\nfo".as_bytes()).expect("room");
        assert_eq!(input.line(None).expect("a line").as_deref(), Some("one"));
        assert_eq!(input.buffered(), Line::Text(String::new()));
        assert_eq!(input.buffered(), Line::Text("thrée".to_string()));
        assert_eq!(input.buffered(), Line::Partial);
        writer.write_all(b"ur").expect("room");
        drop(writer);
        assert_eq!(input.line(None).expect("a line").as_deref(), Some("four"));
        assert_eq!(input.line(None).expect("the end"), None);
        assert_eq!(input.buffered(), Line::End);
    }

    #[test]
    fn a_terminal_goes_on_after_its_end() {
        let terminal = nix::pty::openpty(None, None).expect("a terminal");
        let mut typist = File::from(terminal.master);
        let mut input = Input::new(Some(File::from(terminal.slave)));
        for line in ["one", "two"] {
            // Ctrl-D at the start of a line.
            typist.write_all(format!("{line}\n\x04").as_bytes()).expect("room");
            assert_eq!(input.line(None).expect("a line").as_deref(), Some(line));
            assert_eq!(input.line(None).expect("the end"), None, "{line}");
        }
    }

    #[test]
    fn no_descriptor_is_the_end() {
        assert_eq!(Input::new(None).line(None).expect("the end"), None);
    }
}
