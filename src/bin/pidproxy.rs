//! See the library.

fn main() {
    let args: Vec<_> = std::env::args_os().collect();
    std::process::exit(stheno::boot::pidproxy::run(&args));
}
