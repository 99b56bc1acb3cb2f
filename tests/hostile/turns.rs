//! How long the daemon works at a stretch, between one wait for events and the next, by the clock of its own processor time: that
//! is what it adds to a restart, however busy the machine is. A few lines of C count it, put before the system's library.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Microseconds of one counter, and how many there are; the last one counts what is longer. As in the C.
const STEP_US: u64 = 50;
const STEPS: usize = 8192;

const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static uint32_t *counts;
static int64_t begun;
static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * 1000000000 + time.tv_nsec;
}
__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("STHENO_TURNS");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *at = fd < 0 ? MAP_FAILED : mmap(0, 8192 * 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED) counts = at;
    if (fd >= 0) close(fd);
    // It is for the daemon, not for what it starts.
    unsetenv("LD_PRELOAD");
    unsetenv("STHENO_TURNS");
}
int epoll_wait(int fd, struct epoll_event *events, int most, int timeout) {
    if (counts && begun) {
        int64_t step = (now() - begun) / 50000;
        counts[step < 8191 ? step : 8191]++;
    }
    int result = syscall(SYS_epoll_pwait, fd, events, most, timeout, 0, 8);
    begun = now();
    return result;
}
"#;

/// What is counted of one daemon.
pub struct Turns {
    preload: PathBuf,
    counts: PathBuf,
}

impl Turns {
    /// Makes what counts; `None` without a compiler.
    pub fn new(folder: &Path) -> Option<Turns> {
        let turns = Turns { preload: folder.join("turns.so"), counts: folder.join("turns") };
        let source = folder.join("turns.c");
        fs::write(&source, SOURCE).ok()?;
        fs::write(&turns.counts, vec![0; STEPS * 4]).ok()?;
        let compiled =
            Command::new("cc").args(["-O2", "-shared", "-fPIC", "-o"]).arg(&turns.preload).arg(&source).status();
        compiled.ok()?.success().then_some(turns)
    }

    /// Has it counted for a daemon that is going to be started.
    pub fn count(&self, daemon: &mut Command) {
        daemon.env("LD_PRELOAD", &self.preload).env("STHENO_TURNS", &self.counts);
    }

    /// What was counted since the last call.
    pub fn take(&self) -> Stretches {
        let mut bytes = vec![0; STEPS * 4];
        let file = fs::OpenOptions::new().read(true).write(true).open(&self.counts).expect("the counters");
        file.read_exact_at(&mut bytes, 0).expect("the counters");
        file.write_all_at(&vec![0; STEPS * 4], 0).expect("the counters");
        let number = |bytes: &[u8]| u64::from(u32::from_ne_bytes(bytes.try_into().expect("four")));
        Stretches(bytes.chunks_exact(4).map(number).collect())
    }
}

/// How often the daemon worked for how long.
pub struct Stretches(Vec<u64>);

impl Stretches {
    /// The longest.
    pub fn worst(&self) -> Duration {
        let last = self.0.iter().rposition(|count| *count > 0).map_or(0, |at| at as u64 + 1);
        Duration::from_micros(last * STEP_US)
    }

    /// What somebody who comes at any moment of that time waits for at most, 99 times of a hundred.
    pub fn p99(&self, time: Duration) -> Duration {
        // The time in which somebody waits for longer than so many steps: as many stretches as are longer, less so much each.
        let (mut longer, mut waiting) = (0, 0);
        for (at, count) in self.0.iter().enumerate().rev() {
            longer += count;
            waiting += longer;
            if u128::from(waiting * STEP_US) * 100 > time.as_micros() {
                return Duration::from_micros((at as u64 + 1) * STEP_US);
            }
        }
        Duration::ZERO
    }
}
