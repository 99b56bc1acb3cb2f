//! Giving memory back that only the start, or something unusually large, has needed.

use std::ffi::{c_int, c_void};

/// How much code is mapped in at once: what the system does of itself where it looks at pages one by one.
const PIECE_BYTES: usize = 64 * 1024;

/// Gives memory that was freed back to the system; nothing where the allocator does so by itself.
pub fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes a number, and may be called at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Has code and constants mapped in by small pieces, as they are needed. Linux 6.18 maps, at the first touch, all of
/// the stretch of a file that it keeps in one piece in memory, up to megabytes of a program; but it stops at the end of
/// a mapping, and pieces that are advised differently are mappings of their own. Advice that changes nothing else:
/// code of this size is never moved to huge pages.
pub fn divide_code() {
    each_constant_segment(|start, end| {
        for piece in (start..end).step_by(2 * PIECE_BYTES) {
            let bytes = PIECE_BYTES.min(end - piece);
            // SAFETY: a part of a segment; what is in it stays as it is.
            unsafe { libc::madvise(piece as *mut c_void, bytes, libc::MADV_NOHUGEPAGE) };
        }
    });
}

/// Lets go of the pages of code and constants that were mapped in so far. They come back from the file, unread, as
/// they are needed; what only reading the configuration needed, most of the program, does not.
pub fn release_code() {
    each_constant_segment(|start, end| {
        // SAFETY: the range is a segment that cannot be written to, so its pages are those of the file, and dropping
        // them only means that they are mapped in again.
        unsafe { libc::madvise(start as *mut c_void, end - start, libc::MADV_DONTNEED) };
    });
}

/// Calls `visit` with start and end of each segment of a loaded object that cannot be written to.
fn each_constant_segment(mut visit: fn(usize, usize)) {
    // SAFETY: the callback keeps to the contract of dl_iterate_phdr, and gets what it expects.
    unsafe { libc::dl_iterate_phdr(Some(visit_object), (&raw mut visit).cast()) };
}

/// Calls the `fn(usize, usize)` that `visit` points to for one loaded object.
unsafe extern "C" fn visit_object(info: *mut libc::dl_phdr_info, _: usize, visit: *mut c_void) -> c_int {
    // SAFETY: dl_iterate_phdr passes a valid description with `dlpi_phnum` headers, and on what it was given.
    let (base, headers, visit) = unsafe {
        let info = &*info;
        if info.dlpi_phdr.is_null() {
            return 0;
        }
        let headers = std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum));
        (info.dlpi_addr as usize, headers, *visit.cast::<fn(usize, usize)>())
    };
    // SAFETY: takes a number.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    for header in headers.iter().filter(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0) {
        let start = base + header.p_vaddr as usize;
        visit(start & !(page - 1), start + header.p_memsz as usize);
    }
    0
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_program_goes_on_after_all_is_released() {
        let text = "constants and code come back";
        super::divide_code();
        super::release_code();
        super::trim_heap();
        assert_eq!(text.split(' ').count(), 5);
    }
}
