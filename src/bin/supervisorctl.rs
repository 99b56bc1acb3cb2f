//! See the library.

fn main() {
    let args = std::env::args().collect();
    std::process::exit(stheno::ctl::run(args));
}
