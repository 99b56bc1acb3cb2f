//! Kinds of text that bound what clients may take (K-9).

use super::{ByteSize, Datatype, Show, integer};
use crate::config::env::Env;
use crate::wire::pyrepr;
use crate::wire::value::Value;

/// Least body: enough for every call without much text.
const BODY_LEAST: i64 = 1024;

/// Largest body: four of them fit into what is held for all clients together.
const BODY_MOST: i64 = 16 << 20;

/// Bytes that the body of a request may have, `http_body_max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyMax(pub u64);

impl Datatype for BodyMax {
    const KIND: &'static str = "size, 1KB to 16MB";
    const NAMES_OPTION: bool = true;

    fn parse(text: &str, env: &dyn Env) -> Result<Self, String> {
        let ByteSize(bytes) = ByteSize::parse(text, env)?;
        let bytes = Some(bytes).filter(|bytes| (BODY_LEAST..=BODY_MOST).contains(bytes));
        let bytes = bytes.and_then(|bytes| u64::try_from(bytes).ok());
        bytes.map(BodyMax).ok_or_else(|| format!("expected a {}, not {}", Self::KIND, pyrepr::text(text)))
    }
}

impl Show for BodyMax {
    fn shown(&self) -> Value {
        i64::try_from(self.0).unwrap_or(i64::MAX).into()
    }
}

/// Most connections: far more than one daemon is asked by, and each takes a descriptor.
const CONNECTIONS_MOST: i64 = 10_000;

/// Connections that clients may have open at a time, `http_connections_max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionsMax(pub usize);

impl Datatype for ConnectionsMax {
    const KIND: &'static str = "number of connections, 1 to 10000";
    const NAMES_OPTION: bool = true;

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let count = integer(text).filter(|count| (1..=CONNECTIONS_MOST).contains(count));
        let count = count.and_then(|count| usize::try_from(count).ok());
        count.map(ConnectionsMax).ok_or_else(|| format!("expected a {}, not {}", Self::KIND, pyrepr::text(text)))
    }
}

impl Show for ConnectionsMax {
    fn shown(&self) -> Value {
        i64::try_from(self.0).unwrap_or(i64::MAX).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fake::Fake;

    #[test]
    fn bounds() {
        let env = Fake::new();
        assert_eq!(
            (BodyMax::parse("1MB", &env), BodyMax::parse("1024", &env)),
            (Ok(BodyMax(1 << 20)), Ok(BodyMax(1024)))
        );
        assert!(["0", "-1", "17MB", "1023", "x"].iter().all(|text| BodyMax::parse(text, &env).is_err()));
        assert_eq!(ConnectionsMax::parse("7", &env), Ok(ConnectionsMax(7)));
        assert!(["0", "-1", "10001", "x", ""].iter().all(|text| ConnectionsMax::parse(text, &env).is_err()));
    }
}
