//! The client for people; the library has all of it.

fn main() {
    std::process::exit(stheno::ctl::run(std::env::args_os().collect()));
}
