//! Cgroups of version 2, one for each child that is to have one (K-4).
//!
//! They are made below our own cgroup, or below a directory that is given. Once controllers are enabled for those below, a
//! cgroup may hold no processes of its own, so that we move into a leaf of our own first; for as long as we live we count
//! the cgroup above that leaf as ours.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::remains::{self, REMNANTS_MAX, Remnant};
use crate::errno;

/// The file that lists the processes of a cgroup, and takes new ones.
pub const PROCESSES: &str = "cgroup.procs";

/// The leaf that we move into.
const LEAF: &str = "supervisord";

/// Bytes of a name in a file system.
const NAME_BYTES_MAX: usize = 255;

/// How deep cgroups within that of a child are looked for.
const DEPTH_MAX: usize = 8;

/// Our own cgroup as it was before we moved, once we did.
static OWN: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Makes a cgroup below a directory, or below our own; answers its path. One that is there is used again.
///
/// Errors: what is wrong, in words.
pub fn make(root: Option<&str>, name: &str) -> Result<String, String> {
    let root = match root {
        Some(root) => given(Path::new(root))?,
        None => own()?,
    };
    let path = root.join(file_name(name));
    make_directory(&path)?;
    // Whoever is not allowed to put processes there finds out here, not in the child.
    let procs = path.join(PROCESSES);
    fs::OpenOptions::new().write(true).open(&procs).map_err(|error| said(&procs, &error))?;
    let text = path.into_os_string().into_string();
    text.map_err(|_| "its path is no text".to_string())
}

/// Writes values into files of a cgroup that was made here (K-8); their controllers are enabled above it where they are
/// not.
///
/// Errors: what is wrong, in words.
pub fn set(path: &str, values: &[(String, String)]) -> Result<(), String> {
    let path = Path::new(path);
    for (file, value) in values {
        let place = path.join(file);
        if !place.exists()
            && let (Some(above), Some((controller, _))) = (path.parent(), file.split_once('.'))
        {
            // What comes of it shows below.
            let _ = fs::write(above.join("cgroup.subtree_control"), format!("+{controller}"));
        }
        // Never made, where it is no file of the kernel's.
        let opened = fs::OpenOptions::new().write(true).open(&place);
        opened.and_then(|mut file| file.write_all(value.as_bytes())).map_err(|error| said(&place, &error))?;
    }
    Ok(())
}

/// The processes in a cgroup and in those below it.
pub fn members(path: &str) -> Vec<Remnant> {
    let mut found = Vec::new();
    collect(Path::new(path), DEPTH_MAX, &mut found);
    found
}

fn collect(path: &Path, depth: usize, found: &mut Vec<Remnant>) {
    let pids = fs::read_to_string(path.join(PROCESSES)).unwrap_or_default();
    let room = REMNANTS_MAX.saturating_sub(found.len());
    found.extend(pids.lines().filter_map(|line| remains::member(line.parse().ok()?)).take(room));
    if depth == 0 {
        return;
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), depth - 1, found);
        }
    }
}

/// Kills all that is in a cgroup and in those below it.
pub fn kill(path: &str) {
    // Kernels before 5.14 have no such file.
    if write(&Path::new(path).join("cgroup.kill"), "1").is_err() {
        for member in members(path) {
            remains::send(member, libc::SIGKILL);
        }
    }
}

/// Removes an empty cgroup, and empty ones in it; what is not empty stays.
pub fn remove(path: &str) {
    remove_within(Path::new(path), DEPTH_MAX);
}

fn remove_within(path: &Path, depth: usize) {
    if fs::remove_dir(path).is_ok() || depth == 0 {
        return;
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_within(&entry.path(), depth - 1);
        }
    }
    let _ = fs::remove_dir(path);
}

/// A directory that was named: made if it is missing, and if it is our own cgroup we move into a leaf.
fn given(root: &Path) -> Result<PathBuf, String> {
    if find_own().is_ok_and(|own| own == root) {
        return own();
    }
    make_directory(root)?;
    if root.join(PROCESSES).exists() { Ok(root.to_path_buf()) } else { Err(format!("{} is no cgroup", root.display())) }
}

/// Our own cgroup, with us in a leaf of it.
fn own() -> Result<PathBuf, String> {
    let mut own = OWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(own) = &*own {
        return Ok(own.clone());
    }
    let found = find_own()?;
    let leaf = found.join(LEAF);
    make_directory(&leaf)?;
    let procs = leaf.join(PROCESSES);
    write(&procs, "0").map_err(|error| said(&procs, &error))?;
    *own = Some(found.clone());
    Ok(found)
}

/// The directory of the cgroup that we are in.
fn find_own() -> Result<PathBuf, String> {
    let ours = fs::read_to_string("/proc/self/cgroup").map_err(|error| said(Path::new("/proc/self/cgroup"), &error))?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    directory(&ours, &mounts).ok_or_else(|| "there is no cgroup file system of version 2".to_string())
}

/// The directory of a cgroup, from what /proc says of it and of what is mounted.
fn directory(cgroup: &str, mounts: &str) -> Option<PathBuf> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        if after.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = before.split(' ').skip(3);
        let (root, mounted) = (fields.next()?, fields.next()?);
        let below = Path::new(path).strip_prefix(root).ok()?;
        // A trailing slash would make another path of it.
        Some(if below.as_os_str().is_empty() { PathBuf::from(mounted) } else { Path::new(mounted).join(below) })
    })
}

/// Writes to a file that is there.
fn write(path: &Path, text: &str) -> io::Result<()> {
    fs::OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
}

fn make_directory(path: &Path) -> Result<(), String> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(said(path, &error)),
        _ => Ok(()),
    }
}

/// A name that can stand in a directory.
fn file_name(name: &str) -> String {
    let mut name: String = name.chars().map(|c| if c == '/' || c.is_control() { '_' } else { c }).collect();
    while name.len() > NAME_BYTES_MAX {
        name.pop();
    }
    name
}

fn said(path: &Path, error: &io::Error) -> String {
    format!("{}: {}", path.display(), errno::name(super::errno_of(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_our_own_cgroup_is() {
        let unified = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw";
        let hybrid = "31 23 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      32 23 0:28 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw";
        let confined = "30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw";
        let rows = [
            ("0::/\n", unified, Some("/sys/fs/cgroup")),
            ("0::/system.slice/x.service\n", unified, Some("/sys/fs/cgroup/system.slice/x.service")),
            ("1:cpu:/\n0::/x\n", hybrid, Some("/sys/fs/cgroup/unified/x")),
            ("0::/docker/abc/y\n", confined, Some("/sys/fs/cgroup/y")),
            ("0::/elsewhere\n", confined, None),
            ("1:cpu:/\n", hybrid, None),
            ("0::/\n", "31 23 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu", None),
        ];
        for (cgroup, mounts, expected) in rows {
            assert_eq!(directory(cgroup, mounts), expected.map(PathBuf::from), "{cgroup:?} {mounts}");
        }
    }

    #[test]
    fn names_of_directories() {
        assert_eq!(file_name("web:a/b\n"), "web:a_b_");
        assert_eq!(file_name(&"\u{e9}".repeat(200)).len(), 254);
    }

    #[test]
    fn what_is_no_cgroup_is_refused() {
        let scratch = crate::sys::scratch::Scratch::new("cgroup");
        let root = scratch.path("root");
        let problem = make(Some(&root), "g:p").unwrap_err();
        assert!(problem.ends_with("is no cgroup"), "{problem}");
        assert!(make(Some("/nowhere/at/all"), "g:p").unwrap_err().ends_with("ENOENT"));
        let value = |file: &str| [(file.to_string(), "1".to_string())];
        assert!(set(&root, &value("memory.max")).unwrap_err().ends_with("memory.max: ENOENT"));
        assert!(members(&root).is_empty());
        kill(&root);
        remove(&root);
        assert!(!Path::new(&root).exists());
    }
}
