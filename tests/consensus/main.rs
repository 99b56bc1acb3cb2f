//! The entry exam of the engine that the hosts of a fleet agree by: what a fleet is built on has to pass it first.
//!
//! Each schedule is a fleet of voters on a clock of ticks, with messages that are late, lost and overtaken, partitions, crashes
//! after any write to disk, snapshots, and voters that come and go. In none may two lead in one term, and no committed entry may
//! ever be another; once everybody is there and reaches everybody, something new has to be agreed on.
//! Disks that forget show that the exam can be failed.

mod cluster;
#[allow(dead_code)]
#[path = "../simulation/random.rs"]
mod random;

use cluster::{Cluster, Disk, Faults, PROGRESS_MAX};
use random::Random;

/// Schedules without `STHENO_SIM_SCHEDULES`.
const SCHEDULES: u64 = 10_000;

/// Runs one schedule; the ticks that progress took after everything was healed, or what is wrong.
fn run(seed: u64, faults: &Faults) -> Result<u64, String> {
    let mut random = Random::new(seed);
    let mut cluster = Cluster::new(&mut random, faults.clone())?;
    cluster.live_through(&mut random)?;
    cluster.heal(&mut random)
}

fn schedules() -> u64 {
    std::env::var("STHENO_SIM_SCHEDULES").ok().and_then(|text| text.parse().ok()).unwrap_or(SCHEDULES)
}

fn exam(faults: &Faults) {
    let mut times: Vec<u64> = Vec::new();
    let mut wrong = Vec::new();
    for seed in 0..schedules() {
        match run(seed, faults) {
            Ok(ticks) => times.push(ticks),
            Err(why) => wrong.push(format!("seed {seed}: {why}")),
        }
    }
    times.sort_unstable();
    let share = |percent: usize| times.get(times.len() * percent / 100).or(times.last()).copied().unwrap_or(0);
    println!(
        "{} schedules, {} wrong; progress after healing p50 {} p99 {} worst {} of {PROGRESS_MAX} ticks",
        times.len() + wrong.len(),
        wrong.len(),
        share(50),
        share(99),
        share(100),
    );
    assert!(wrong.is_empty(), "{} wrong, the first:\n{}", wrong.len(), wrong[..wrong.len().min(5)].join("\n"));
}

#[test]
fn agreement_with_crashes_partitions_snapshots_and_other_voters() {
    exam(&Faults::default());
}

#[test]
fn agreement_where_one_message_in_ten_is_lost() {
    exam(&Faults { lost_percent: 10, ..Faults::default() });
}

/// Each way of forgetting is found, where hosts crash often and stand for election at about the same time.
#[test]
fn a_disk_that_forgets_is_found() {
    for disk in [Disk::ForgetsVotes, Disk::ForgetsTerms, Disk::ForgetsEntries] {
        let faults = Faults { disk, crash_every: 30, election: (10, 12), ..Faults::default() };
        let found = (0..3_000).find(|seed| run(*seed, &faults).is_err());
        println!("{disk:?}: seed {found:?}");
        assert!(found.is_some(), "{disk:?} was never noticed");
    }
}
