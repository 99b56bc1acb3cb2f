//! Prints the sample configuration; the library has all of it.

fn main() {
    std::process::exit(stheno::boot::sample_conf::run());
}
