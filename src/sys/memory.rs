//! Giving memory back that only the start, or something unusually large, has needed.

/// Gives memory that was freed back to the system; nothing where the allocator does so by itself.
pub fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes a number, and may be called at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}
