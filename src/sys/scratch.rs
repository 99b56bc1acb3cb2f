//! What tests share: a directory for one test, removed with all that is in it when the test ends, and a lock.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// Held by a test with a descriptor that children would inherit, and by one that looks for such.
pub static INHERITABLE: Mutex<()> = Mutex::new(());

/// A directory below the system's temporary one, removed with its contents on drop.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A fresh directory whose name tells the test.
    pub fn new(test: &str) -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("stheno-{test}-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    /// The path of something in it, as text; of the directory itself for an empty name.
    pub fn path(&self, name: &str) -> String {
        let path = if name.is_empty() { self.0.clone() } else { self.0.join(name) };
        path.to_str().unwrap().to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
