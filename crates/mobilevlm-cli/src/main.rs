//! The command `mobilevlm`.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    mobilevlm_cli::run()
}
