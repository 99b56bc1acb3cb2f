//! How full a partition is.

/// How much of the file system at this place is used, in percent, as `df` counts: of what ordinary users may have. `None` where
/// nothing is to be had, or the system does not say.
pub fn used(path: &str) -> Option<f64> {
    let of = nix::sys::statvfs::statvfs(path).ok()?;
    let (all, free, available) = (of.blocks() as f64, of.blocks_free() as f64, of.blocks_available() as f64);
    let used = all - free;
    (used + available > 0.0).then(|| 100.0 * used / (used + available))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_somewhere_between_empty_and_full() {
        assert!(used("/").is_some_and(|used| (0.0..=100.0).contains(&used)));
        assert_eq!(used("/no/such/place"), None);
    }
}
