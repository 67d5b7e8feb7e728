//! Large pages, which cost less to translate.

/// Asks the system to keep `memory` in huge pages where it has any to give.
///
/// Call it on memory that was just allocated and not yet written: pages are chosen when they are
/// first touched. A product of few rows reads each weight once, at the speed of memory, and spends
/// a good part of its time on address translation where pages have 4 KiB. Does nothing where the
/// system has no such request or refuses it.
pub fn prefer_huge_pages(memory: &[u8]) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 4096;
        let address = memory.as_ptr() as usize;
        let start = address.next_multiple_of(PAGE);
        let end = (address + memory.len()) / PAGE * PAGE;
        if start < end {
            // SAFETY: whole pages inside a slice that is borrowed; the advice changes no content.
            unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = memory;
}
