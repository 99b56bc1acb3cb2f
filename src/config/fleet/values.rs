//! Kinds of text that the options of Supvisors hold (V-13, V-28 to V-45).

use super::said::{list, names};
use super::words::Synchro;
use crate::config::datatypes::{Datatype, Show};
use crate::config::env::Env;
use crate::wire::pyrepr;
use crate::wire::value::Value;

/// A whole number between two others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole<const LEAST: i64, const MOST: i64>(pub i64);

impl<const LEAST: i64, const MOST: i64> Datatype for Whole<LEAST, MOST> {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "integer";

    fn parse(text: &str, env: &dyn Env) -> Result<Self, String> {
        let number = i64::parse(text, env).ok().filter(|number| (LEAST..=MOST).contains(number));
        number.map(Whole).ok_or_else(|| format!("expected {LEAST} to {MOST}, not {}", pyrepr::text(text)))
    }
}

impl<const LEAST: i64, const MOST: i64> Show for Whole<LEAST, MOST> {
    fn shown(&self) -> Value {
        self.0.into()
    }
}

/// Names between commas (V-13).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(pub Vec<String>);

impl Datatype for Names {
    const KIND: &'static str = "list";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        names(text).map(Names)
    }
}

impl Show for Names {
    fn shown(&self) -> Value {
        self.0.join(",").into()
    }
}

/// Some of the ways in which the synchronisation ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synchros(pub Vec<Synchro>);

impl Datatype for Synchros {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "some of STRICT, LIST, TIMEOUT, CORE, USER";

    fn parse(text: &str, env: &dyn Env) -> Result<Self, String> {
        let all: Result<Vec<Synchro>, String> = list(text).iter().map(|word| Synchro::parse(word, env)).collect();
        Ok(Synchros(all?))
    }
}

impl Show for Synchros {
    fn shown(&self) -> Value {
        let names: Vec<&str> = self.0.iter().map(|one| one.name()).collect();
        names.join(",").into()
    }
}

/// What statistics are collected of: the host, the processes (V-39).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct StatsOf {
    pub host: bool,
    pub processes: bool,
}

impl Datatype for StatsOf {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "some of OFF, HOST, PROCESS, ALL";

    fn parse(text: &str, env: &dyn Env) -> Result<Self, String> {
        let words = list(text);
        let mut of = StatsOf { host: false, processes: false };
        for word in &words {
            match word.to_uppercase().as_str() {
                "OFF" => {}
                "HOST" => of.host = true,
                "PROCESS" => of.processes = true,
                "ALL" => of = StatsOf { host: true, processes: true },
                _ if bool::parse(word, env) == Ok(true) => of = StatsOf { host: true, processes: true },
                _ if bool::parse(word, env) == Ok(false) => {}
                _ => return Err(format!("expected {}, not {}", Self::KIND, pyrepr::text(text))),
            }
        }
        if words.is_empty() { Err(format!("expected {}, not nothing", Self::KIND)) } else { Ok(of) }
    }
}

impl Show for StatsOf {
    fn shown(&self) -> Value {
        match (self.host, self.processes) {
            (false, false) => "OFF",
            (true, false) => "HOST",
            (false, true) => "PROCESS",
            (true, true) => "ALL",
        }
        .into()
    }
}

/// Seconds between two samples, 1 to 3600.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Period(pub f64);

impl Period {
    /// The shortest and the longest.
    const RANGE: std::ops::RangeInclusive<f64> = 1.0..=3600.0;

    /// Whether it is one.
    pub fn allows(secs: f64) -> bool {
        Self::RANGE.contains(&secs)
    }
}

impl Datatype for Period {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "seconds";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let secs = text.trim().parse().ok().filter(|secs| Period::allows(*secs));
        secs.map(Period).ok_or_else(|| format!("expected 1 to 3600, not {}", pyrepr::text(text)))
    }
}

impl Show for Period {
    fn shown(&self) -> Value {
        Value::Double(self.0)
    }
}

/// One to three of them, ascending.
#[derive(Clone, Debug, PartialEq)]
pub struct Periods(pub Vec<f64>);

impl Datatype for Periods {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "up to three times of seconds";

    fn parse(text: &str, env: &dyn Env) -> Result<Self, String> {
        let all: Result<Vec<f64>, String> = list(text).iter().map(|word| Ok(Period::parse(word, env)?.0)).collect();
        let mut all = all?;
        crate::sort::by(&mut all, f64::total_cmp);
        if (1..=3).contains(&all.len()) {
            Ok(Periods(all))
        } else {
            Err(format!("expected one to three, not {}", all.len()))
        }
    }
}

impl Show for Periods {
    fn shown(&self) -> Value {
        let texts: Vec<String> = self.0.iter().map(f64::to_string).collect();
        texts.join(",").into()
    }
}

/// An address and a port, `multicast_group` (V-22).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MulticastGroup(pub String);

impl Datatype for MulticastGroup {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "address:port";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let is_one = || {
            let (address, port) = text.split_once(':')?;
            let address: std::net::Ipv4Addr = address.parse().ok()?;
            let is_reserved = [224, 232, 233, 239].iter().any(|first| address.octets() == [*first, 0, 0, 0]);
            (address.is_multicast() && !is_reserved && port.parse::<u16>().ok()? > 0).then_some(())
        };
        let wrong =
            || format!("expected an address of 224.0.0.1 to 239.255.255.255 and a port, not {}", pyrepr::text(text));
        is_one().map(|()| MulticastGroup(text.to_string())).ok_or_else(wrong)
    }
}

impl Show for MulticastGroup {
    fn shown(&self) -> Value {
        self.0.clone().into()
    }
}

/// The address of an interface or any, `multicast_interface` (V-23).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MulticastInterface(pub String);

impl Datatype for MulticastInterface {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "address";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let is_one = ["ANY", "INADDR_ANY"].contains(&text) || text.parse::<std::net::Ipv4Addr>().is_ok();
        let wrong = || format!("expected an address or ANY, not {}", pyrepr::text(text));
        if is_one { Ok(MulticastInterface(text.to_string())) } else { Err(wrong()) }
    }
}

impl Show for MulticastInterface {
    fn shown(&self) -> Value {
        self.0.clone().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fake::Fake;

    /// Whether each text is one of the kind.
    fn check<T: Datatype>(good: &[&str], bad: &[&str]) {
        let env = Fake::new();
        for text in good {
            assert!(T::parse(text, &env).is_ok(), "{text}");
        }
        for text in bad {
            assert!(T::parse(text, &env).is_err(), "{text}");
        }
    }

    #[test]
    fn what_values_may_be() {
        check::<Whole<15, 1200>>(&["15", "1200"], &["14", "1201", "x", ""]);
        check::<Synchros>(&["strict, Timeout", "", ","], &["FOO", "STRICT,FOO"]);
        check::<StatsOf>(&["OFF", "host,process", "true", "0"], &["", "sometimes"]);
        check::<Period>(&["1", "3600", "7.5"], &["0.5", "3601", "x", "nan"]);
        check::<Periods>(&["5", "60, 5,30"], &["", "1,2,3,4", "5,x"]);
        check::<MulticastGroup>(&["239.0.0.1:7777"], &["10.0.0.1:1", "239.0.0.0:1", "239.0.0.1", "239.0.0.1:0"]);
        check::<MulticastInterface>(&["ANY", "10.0.0.1"], &["any", "x", "10.0.0"]);
    }

    #[test]
    fn unions_and_orders() {
        let env = Fake::new();
        assert_eq!(StatsOf::parse("host,off", &env), Ok(StatsOf { host: true, processes: false }));
        assert_eq!(Periods::parse("60, 5,30", &env), Ok(Periods(vec![5.0, 30.0, 60.0])));
        assert_eq!(Synchros::parse("USER, STRICT,USER", &env), Ok(Synchros(vec![Synchro::User, Synchro::Strict])));
    }
}
