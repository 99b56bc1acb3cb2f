//! Passes signals on to whoever a pid file names; the library has all of it.

fn main() {
    let args: Vec<_> = std::env::args_os().collect();
    std::process::exit(stheno::boot::pidproxy::run(&args));
}
