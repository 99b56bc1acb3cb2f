//! Giving memory back that only the start, or something unusually large, has needed.

use std::ffi::{c_int, c_void};

/// Gives memory that was freed back to the system; nothing where the allocator does so by itself.
pub fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes a number, and may be called at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Lets go of the pages of code and constants that were mapped in so far. They come back from the file, unread, as
/// they are needed; what only reading the configuration needed, most of the program, does not.
pub fn release_code() {
    // SAFETY: the callback keeps to the contract of dl_iterate_phdr, and nothing is passed to it.
    unsafe { libc::dl_iterate_phdr(Some(release_object), std::ptr::null_mut()) };
}

/// Releases what one loaded object never wrote to.
unsafe extern "C" fn release_object(info: *mut libc::dl_phdr_info, _: usize, _: *mut c_void) -> c_int {
    // SAFETY: dl_iterate_phdr passes a valid description with `dlpi_phnum` headers.
    let (base, headers) = unsafe {
        let info = &*info;
        if info.dlpi_phdr.is_null() {
            return 0;
        }
        (info.dlpi_addr as usize, std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)))
    };
    // SAFETY: takes a number.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    for header in headers.iter().filter(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0) {
        let start = (base + header.p_vaddr as usize) & !(page - 1);
        let end = base + header.p_vaddr as usize + header.p_memsz as usize;
        // SAFETY: the range is a segment that cannot be written to, so its pages are those of the file, and dropping
        // them only means that they are mapped in again.
        unsafe { libc::madvise(start as *mut c_void, end - start, libc::MADV_DONTNEED) };
    }
    0
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_program_goes_on_after_all_is_released() {
        let text = "constants and code come back";
        super::release_code();
        super::trim_heap();
        assert_eq!(text.split(' ').count(), 5);
    }
}
