//! See the library.

fn main() {
    std::process::exit(stheno::ctl::run(std::env::args_os().collect()));
}
