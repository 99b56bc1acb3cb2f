//! See the library.

fn main() {
    std::process::exit(stheno::boot::sample_conf::run());
}
