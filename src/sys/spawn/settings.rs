//! What a child is given because options of its program ask for it (K-8), in the order in which it takes it.

use std::ffi::CString;

use super::{How, Setting};
use crate::config::{OomScoreAdj, Program, ResourceLimit};
use crate::sys::oom;

/// The settings of a program's children.
pub fn settings(program: &Program) -> Vec<Setting> {
    let mut all = Vec::new();
    let mut add = |option, how| all.push(Setting { option, how });
    // What the daemon has for itself is not for its children.
    let score = program.oom_score_adj.map(|OomScoreAdj(score)| i32::from(score)).or_else(oom::to_give_back);
    if let Some(score) = score {
        let path = CString::from(c"/proc/self/oom_score_adj");
        add("oom_score_adj", How::Write { path, text: score.to_string().into_bytes() });
    }
    if let Some(ionice) = program.ionice {
        add("ionice", How::Ionice(ionice.priority()));
    }
    for (option, resource, limit) in limits(program) {
        if let Some(limit) = limit {
            let (soft, hard) = (known(limit.soft()), limit.hard().map(known));
            add(option, How::Limit { resource, soft, hard });
        }
    }
    if let Some(nice) = program.nice {
        add("nice", How::Nice(nice.0.into()));
    }
    all
}

/// The limits, each with its option and its number.
#[allow(clippy::unnecessary_cast)] // The numbers are unsigned with one C library and signed with another.
fn limits(program: &Program) -> [(&'static str, u32, &Option<ResourceLimit>); 10] {
    [
        ("rlimit_nofile", libc::RLIMIT_NOFILE as u32, &program.rlimit_nofile),
        ("rlimit_nproc", libc::RLIMIT_NPROC as u32, &program.rlimit_nproc),
        ("rlimit_core", libc::RLIMIT_CORE as u32, &program.rlimit_core),
        ("rlimit_as", libc::RLIMIT_AS as u32, &program.rlimit_as),
        ("rlimit_stack", libc::RLIMIT_STACK as u32, &program.rlimit_stack),
        ("rlimit_memlock", libc::RLIMIT_MEMLOCK as u32, &program.rlimit_memlock),
        ("rlimit_fsize", libc::RLIMIT_FSIZE as u32, &program.rlimit_fsize),
        ("rlimit_cpu", libc::RLIMIT_CPU as u32, &program.rlimit_cpu),
        ("rlimit_data", libc::RLIMIT_DATA as u32, &program.rlimit_data),
        ("rlimit_rtprio", libc::RLIMIT_RTPRIO as u32, &program.rlimit_rtprio),
    ]
}

/// A limit as this machine can say it: beyond its largest number there is none.
#[allow(clippy::unnecessary_cast, clippy::useless_conversion)] // Of 32 or 64 bits, as the C library has it.
fn known(limit: u64) -> u64 {
    libc::rlim_t::try_from(limit).map_or(libc::RLIM_INFINITY as u64, |limit| limit as u64)
}
