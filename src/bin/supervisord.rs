//! The daemon; the library has all of it.

fn main() {
    std::process::exit(stheno::boot::main(std::env::args_os().collect()));
}
