//! Names of system errors, as messages show them (`ENOENT`).

/// The symbolic name of an error number; `errno 999` for an unknown one.
pub fn name(number: i32) -> String {
    // `Errno`'s Debug form is its symbolic name.
    match nix::errno::Errno::from_raw(number) {
        nix::errno::Errno::UnknownErrno => format!("errno {number}"),
        errno => format!("{errno:?}"),
    }
}

/// The system's text for an error number, `No such file or directory`.
pub fn text(number: i32) -> String {
    nix::errno::Errno::from_raw(number).desc().to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn names() {
        assert_eq!(super::name(libc::ENOENT), "ENOENT");
        assert_eq!(super::name(libc::ENOEXEC), "ENOEXEC");
        assert_eq!(super::text(libc::ENOENT), "No such file or directory");
    }
}
