//! See the library.

fn main() {
    std::process::exit(stheno::boot::main(std::env::args_os().collect()));
}
