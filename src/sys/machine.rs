//! The machine that we are PID 1 of: whether it is ours to end, and its end (K-2.8).

use std::ffi::CString;
use std::io;
use std::path::Path;
use std::time::Duration;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::{cerr, errno_of, process};

/// What reboot(2) is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    Poweroff,
    Reboot,
    Halt,
}

/// How far our end reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// We are PID 1 of the machine itself.
    Machine,
    /// Of a PID name space, to which the kernel confines reboot(2).
    NameSpace,
}

/// Why the machine is not ours to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOurs {
    /// Somebody else is PID 1.
    NotInit,
    /// The system does not let us: the error number.
    Refused(i32),
}

/// Mounts that are looked at in the end; a machine has some dozens.
const MOUNTS_MAX: usize = 4096;

/// Between two looks whether the file systems are let go, and how many there are: a disk or a server that does not answer is
/// not waited for longer than ten seconds.
const LOOK_EVERY: Duration = Duration::from_millis(10);
const LOOKS_MAX: u32 = 1000;

/// Whether this machine is ours to end. If so, Ctrl-Alt-Del is a signal to us from now on, and no reset.
///
/// Switching that over tells all that has to be known, without /proc: it needs CAP_SYS_BOOT, and is refused in another
/// than the first PID name space.
pub fn claim() -> Result<Reach, NotOurs> {
    if !process::is_init() {
        return Err(NotOurs::NotInit);
    }
    // SAFETY: a number; nothing ends.
    match cerr(unsafe { libc::reboot(libc::RB_DISABLE_CAD) }) {
        Ok(_) => Ok(Reach::Machine),
        Err(error) if errno_of(&error) == libc::EINVAL => Ok(Reach::NameSpace),
        Err(error) => Err(NotOurs::Refused(errno_of(&error))),
    }
}

/// Signals every process but us. Nothing for whoever is not PID 1.
pub fn signal_all(signal: i32) {
    if process::is_init() {
        // SAFETY: no pointers. PID 1 is left out by the kernel, and what is outside our name space cannot be meant.
        unsafe { libc::kill(-1, signal) };
    }
}

/// Reaps all that has ended; whether anybody is left. Orphans are ours, so that nobody is where we have no children.
pub fn reap_all() -> bool {
    loop {
        // SAFETY: no status is asked for.
        match unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } {
            0 => return true,
            -1 => return io::Error::last_os_error().kind() == io::ErrorKind::Interrupted,
            _ => {}
        }
    }
}

/// Writes out and lets go of the file systems: unmounts them, or makes them read-only. In a child, so that a disk that does
/// not answer holds up nothing; `meanwhile` is called now and then.
pub fn release_disks(meanwhile: &mut dyn FnMut()) {
    let _ = std::env::set_current_dir("/");
    // SAFETY: there is one thread, so the child may do anything that we could do.
    let child = match unsafe { libc::fork() } {
        0 => {
            unmount_all();
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(0) }
        }
        child => child,
    };
    if child < 0 {
        return unmount_all();
    }
    for _ in 0..LOOKS_MAX {
        if !reap_all() {
            break;
        }
        meanwhile();
        std::thread::sleep(LOOK_EVERY);
    }
}

fn unmount_all() {
    nix::unistd::sync();
    let mut table = std::fs::read("/proc/self/mounts");
    if table.is_err() {
        // Nothing is started any more that it could surprise.
        let _ = mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), None::<&str>);
        table = std::fs::read("/proc/self/mounts");
    }
    let mut places = places(&table.unwrap_or_default());
    // What was mounted last may lie on what was mounted before.
    places.reverse();
    for place in places {
        let is_root = place.as_bytes() == b"/";
        if is_root || umount2(place.as_c_str(), MntFlags::empty()).is_err() {
            let _ = read_only(place.as_c_str());
        }
    }
    let _ = read_only(c"/");
    nix::unistd::sync();
}

fn read_only(place: &std::ffi::CStr) -> nix::Result<()> {
    mount(None::<&Path>, place, None::<&Path>, MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY, None::<&Path>)
}

/// Where something is mounted, by the kernel's table: the second word of each line, blanks in it written as `\040`.
fn places(table: &[u8]) -> Vec<CString> {
    let lines = table.split(|byte| *byte == b'\n').take(MOUNTS_MAX);
    lines.filter_map(|line| CString::new(unescaped(line.split(|byte| *byte == b' ').nth(1)?)).ok()).collect()
}

fn unescaped(word: &[u8]) -> Vec<u8> {
    let mut rest = word;
    let mut plain = Vec::with_capacity(word.len());
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..3).filter(|_| byte == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(code) => {
                plain.push(code);
                rest = &after[3..];
            }
            None => {
                plain.push(byte);
                rest = after;
            }
        }
    }
    plain
}

/// Ends the machine, or our PID name space. Returns only if the system refuses.
pub fn finish(how: Finish) -> io::Error {
    let how = match how {
        Finish::Poweroff => libc::RB_POWER_OFF,
        Finish::Reboot => libc::RB_AUTOBOOT,
        Finish::Halt => libc::RB_HALT_SYSTEM,
    };
    // Only PID 1 has a machine to end; whoever else may call reboot(2) is a test, or a mistake.
    if !process::is_init() {
        return io::ErrorKind::PermissionDenied.into();
    }
    // SAFETY: a number.
    unsafe { libc::reboot(how) };
    io::Error::last_os_error()
}

/// Says something where a person in front of the machine sees it, if our own descriptors do not lead there.
pub fn tell_console(text: &str) {
    use std::io::{IsTerminal, Write};
    use std::os::unix::fs::OpenOptionsExt;
    if io::stderr().is_terminal() || claim() != Ok(Reach::Machine) {
        return;
    }
    let console =
        std::fs::OpenOptions::new().write(true).custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK).open("/dev/console");
    if let Ok(mut console) = console {
        let _ = console.write_all(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k_2_8_places_in_the_table_of_mounts() {
        let table = b"none / ext4 rw 0 0\nproc /proc proc rw 0 0\n/dev/sd\\040a /mnt/a\\040b\\134c ext4 rw 0 0\nx\n";
        let expected: Vec<CString> = [c"/", c"/proc", c"/mnt/a b\\c"].map(Into::into).into();
        assert_eq!(places(table), expected);
    }

    #[test]
    fn k_2_8_whoever_is_not_pid_1_ends_nothing() {
        assert!(!process::is_init());
        assert_eq!(claim(), Err(NotOurs::NotInit));
        assert_eq!(finish(Finish::Reboot).kind(), io::ErrorKind::PermissionDenied);
        signal_all(libc::SIGKILL);
    }
}
