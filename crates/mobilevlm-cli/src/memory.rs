//! The memory that this process has used at most.

/// Peak resident memory in bytes, where the system tells it without a call into C: Linux's `VmHWM`.
pub(crate) fn peak_bytes() -> Option<u64> {
    parse(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn parse(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_in_bytes() {
        assert_eq!(
            parse("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n"),
            Some(2 << 20)
        );
        assert_eq!(parse("Name:\tx\n"), None);
        assert_eq!(parse("VmHWM:\t99999999999999999999 kB\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn it_grows_with_what_is_touched() {
        let before = peak_bytes().unwrap();
        let block = vec![1_u8; 64 << 20];
        assert!(
            peak_bytes().unwrap() >= before.max(64 << 20),
            "{}",
            block.len()
        );
    }
}
