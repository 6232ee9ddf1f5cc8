//! The binary `obscura`: runs one command and gives back its exit code. Everything else is in the library.

use std::process::ExitCode;

use obscura_sandbox::cli::run_process;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    run_process().into()
}
