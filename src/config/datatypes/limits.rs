//! Kinds of text that say what a child may have of the system (K-8).

use std::rc::Rc;

use super::{Datatype, Show, integer, lowercase};
use crate::config::env::Env;
use crate::wire::pyrepr;
use crate::wire::value::Value;

/// `rlimit_*`: `soft` or `soft:hard`. A soft limit alone leaves the hard one. Few programs have any of the ten, so that a
/// place for one is no longer than a pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceLimit(Rc<(u64, Option<u64>)>);

/// The number that stands for no limit, as the kernel has it.
pub const UNLIMITED: u64 = u64::MAX;

impl ResourceLimit {
    /// The soft limit, which is what the kernel enforces.
    pub fn soft(&self) -> u64 {
        self.0.0
    }

    /// The hard limit, if it is to be set.
    pub fn hard(&self) -> Option<u64> {
        self.0.1
    }
}

/// One limit: a number, with a unit if wanted, or `unlimited`.
fn amount(text: &str) -> Option<u64> {
    let lower = lowercase(text.trim());
    if lower == "unlimited" {
        return Some(UNLIMITED);
    }
    let units = [("kb", 1 << 10), ("mb", 1 << 20), ("gb", 1 << 30)];
    let (number, unit) =
        units.iter().find_map(|(name, unit)| Some((lower.strip_suffix(name)?, *unit))).unwrap_or((&lower, 1));
    u64::try_from(integer(number)?).ok()?.checked_mul(unit)
}

impl Datatype for ResourceLimit {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "soft limit, or soft:hard";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let (soft, hard) = text.split_once(':').map_or((text, None), |(soft, hard)| (soft, Some(hard)));
        let wrong = || format!("expected numbers such as 100, 64KB:1GB or unlimited, not {}", pyrepr::text(text));
        let soft = amount(soft).ok_or_else(wrong)?;
        let hard = hard.map(|hard| amount(hard).ok_or_else(wrong)).transpose()?;
        match hard.is_some_and(|hard| hard < soft) {
            true => Err(format!("the soft limit is above the hard one in {}", pyrepr::text(text))),
            false => Ok(ResourceLimit(Rc::new((soft, hard)))),
        }
    }
}

impl Show for ResourceLimit {
    fn shown(&self) -> Value {
        let amount = |amount: u64| if amount == UNLIMITED { "unlimited".to_string() } else { amount.to_string() };
        match self.hard() {
            Some(hard) => format!("{}:{}", amount(self.soft()), amount(hard)).into(),
            None => amount(self.soft()).into(),
        }
    }
}

/// A whole number within bounds, which the kernel would otherwise clamp or refuse.
macro_rules! bounded {
    ($(#[doc = $about:literal])+ $name:ident, $kind:literal, $least:literal..=$most:literal) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(pub i16);

        impl Datatype for $name {
            const NAMES_OPTION: bool = true;
            const KIND: &'static str = $kind;

            fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
                let number = integer(text).filter(|number| ($least..=$most).contains(number));
                number.map(|number| $name(number as i16)).ok_or_else(|| format!("expected a {}, not {}", $kind, pyrepr::text(text)))
            }
        }

        impl Show for $name {
            fn shown(&self) -> Value {
                i64::from(self.0).into()
            }
        }
    };
}

bounded! {
    /// `nice`: the nice value itself, and not what is added to ours.
    Nice, "number from -20 to 19", -20..=19
}

bounded! {
    /// `oom_score_adj`: how readily the kernel ends it when memory is short.
    OomScoreAdj, "number from -1000 to 1000", -1000..=1000
}

/// `ionice`: a class, and a level where the class has levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoNice {
    class: IoClass,
    /// 0 to 7, of which 0 comes first.
    level: u8,
}

/// What the kernel calls classes of input and output; its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IoClass {
    RealTime = 1,
    BestEffort = 2,
    Idle = 3,
}

/// Level of a class for which none is given, as ionice(1) has it.
const IO_LEVEL: i64 = 4;

impl IoNice {
    /// The number that ioprio_set(2) takes.
    pub fn priority(self) -> i32 {
        (self.class as i32) << 13 | i32::from(self.level)
    }
}

impl Datatype for IoNice {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "realtime:0-7, best-effort:0-7 or idle";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let (class, level) = text.split_once(':').map_or((text, None), |(class, level)| (class, Some(level)));
        let class = match class.trim().to_lowercase().as_str() {
            "realtime" | "rt" | "1" => Some(IoClass::RealTime),
            "best-effort" | "best_effort" | "be" | "2" => Some(IoClass::BestEffort),
            "idle" | "3" => Some(IoClass::Idle),
            _ => None,
        };
        let level = level.map_or(Some(IO_LEVEL), integer).filter(|level| (0..=7).contains(level));
        match (class, level) {
            (Some(IoClass::Idle), Some(_)) => Ok(IoNice { class: IoClass::Idle, level: 0 }),
            (Some(class), Some(level)) => Ok(IoNice { class, level: level as u8 }),
            _ => Err(format!("expected {}, not {}", Self::KIND, pyrepr::text(text))),
        }
    }
}

impl Show for IoNice {
    fn shown(&self) -> Value {
        match self.class {
            IoClass::RealTime => format!("realtime:{}", self.level).into(),
            IoClass::BestEffort => format!("best-effort:{}", self.level).into(),
            IoClass::Idle => "idle".into(),
        }
    }
}

/// `cgroup_set`: what is written into files of the cgroup that a program then has, `memory.max=64M,pids.max=100`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupSet(pub Rc<[(String, String)]>);

/// Files of one `cgroup_set`: a cgroup has about as many that can be written.
const CGROUP_FILES_MAX: usize = 64;

impl Datatype for CgroupSet {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "list of FILE=VALUE";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let mut all: Vec<(String, String)> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match (part.split_once('='), all.last_mut()) {
                (Some((file, value)), _) => all.push((file.trim_end().to_string(), value.trim_start().to_string())),
                // Processors are a list of their own: cpuset.cpus=0-1,3.
                (None, Some((_, value))) => *value = format!("{value},{part}"),
                (None, None) => {
                    return Err(format!("expected FILE=VALUE such as memory.max=64M, not {}", pyrepr::text(part)));
                }
            }
        }
        let is_name = |name: &str| {
            let is_letter = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            name.contains('.') && !name.starts_with('.') && name.chars().all(is_letter)
        };
        if let Some((file, _)) = all.iter().find(|(file, _)| !is_name(file)) {
            return Err(format!("{} is no file of a cgroup", pyrepr::text(file)));
        }
        if all.len() > CGROUP_FILES_MAX {
            return Err(format!("more than {CGROUP_FILES_MAX} files"));
        }
        Ok(CgroupSet(all.into()))
    }
}

impl Show for CgroupSet {
    fn shown(&self) -> Value {
        self.0.iter().map(|(file, value)| format!("{file}={value}")).collect::<Vec<_>>().join(",").into()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fake::Fake;
    use super::*;

    fn shown<T: Datatype + Show>(text: &str) -> Option<String> {
        T::parse(text, &Fake::new()).ok().map(|value| match value.shown() {
            Value::Str(text) => text.to_string(),
            Value::Int(number) => number.to_string(),
            other => format!("{other:?}"),
        })
    }

    #[test]
    fn texts_and_values() {
        type Row = (fn(&str) -> Option<String>, &'static str, Option<&'static str>);
        let rows: [Row; 34] = [
            (shown::<ResourceLimit>, "100", Some("100")),
            (shown::<ResourceLimit>, "0", Some("0")),
            (shown::<ResourceLimit>, " 64kb : 1GB ", Some("65536:1073741824")),
            (shown::<ResourceLimit>, "1MB:Unlimited", Some("1048576:unlimited")),
            (shown::<ResourceLimit>, "unlimited", Some("unlimited")),
            (shown::<ResourceLimit>, "5:5", Some("5:5")),
            (shown::<ResourceLimit>, "200:100", None),
            (shown::<ResourceLimit>, "unlimited:100", None),
            (shown::<ResourceLimit>, "many", None),
            (shown::<ResourceLimit>, "", None),
            (shown::<ResourceLimit>, "-1", None),
            (shown::<ResourceLimit>, "1:", None),
            (shown::<ResourceLimit>, "1:2:3", None),
            (shown::<ResourceLimit>, "99999999999999GB", None),
            (shown::<Nice>, "-20", Some("-20")),
            (shown::<Nice>, "19", Some("19")),
            (shown::<Nice>, "20", None),
            (shown::<Nice>, "high", None),
            (shown::<OomScoreAdj>, "-1000", Some("-1000")),
            (shown::<OomScoreAdj>, "1000", Some("1000")),
            (shown::<OomScoreAdj>, "1001", None),
            (shown::<IoNice>, "realtime:0", Some("realtime:0")),
            (shown::<IoNice>, "2:7", Some("best-effort:7")),
            (shown::<IoNice>, "best-effort", Some("best-effort:4")),
            (shown::<IoNice>, "Idle", Some("idle")),
            (shown::<IoNice>, "be:8", None),
            (shown::<IoNice>, "be:", None),
            (shown::<IoNice>, "0:1", None),
            (shown::<IoNice>, "", None),
            (shown::<CgroupSet>, "", Some("")),
            (shown::<CgroupSet>, "memory.max=64M, cpuset.cpus = 0-1, 3", Some("memory.max=64M,cpuset.cpus=0-1,3")),
            (shown::<CgroupSet>, "io.max=8:0 rbps=1048576", Some("io.max=8:0 rbps=1048576")),
            (shown::<CgroupSet>, "64M", None),
            (shown::<CgroupSet>, "../x.y=1", None),
        ];
        for (read, text, expected) in rows {
            assert_eq!(read(text).as_deref(), expected, "{text:?}");
        }
        let priority = |text: &str| IoNice::parse(text, &Fake::new()).map(IoNice::priority);
        assert_eq!([priority("rt:3"), priority("idle")], [Ok(1 << 13 | 3), Ok(3 << 13)]);
    }
}
