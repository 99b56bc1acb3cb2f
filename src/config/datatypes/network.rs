//! Kinds of text that say how the instances of a fleet reach each other.

use super::{Datatype, Show};
use crate::config::env::Env;
use crate::wire::pyrepr;
use crate::wire::value::Value;

/// Bytes that a secret has at least: shorter ones can be guessed from a single recorded message.
const SECRET_BYTES_MIN: usize = 16;

/// `cluster_secret`: what all instances know. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct FleetSecret(pub String);

impl std::fmt::Debug for FleetSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FleetSecret")
    }
}

impl Datatype for FleetSecret {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "text of 16 bytes or more";

    fn parse(text: &str, _: &dyn Env) -> Result<FleetSecret, String> {
        if text.len() < SECRET_BYTES_MIN {
            return Err(format!("a secret has at least {SECRET_BYTES_MIN} bytes, this one has {}", text.len()));
        }
        Ok(FleetSecret(text.to_string()))
    }
}

impl Show for FleetSecret {
    fn shown(&self) -> Value {
        "".into()
    }
}

words! {
    /// `detection`: how soon an instance that is silent is taken for lost.
    Detection, "normal or fast" {
        /// Within four to six seconds.
        "normal" => Normal,
        /// Within two, where the network loses little.
        "fast" => Fast,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fake::Fake;

    #[test]
    fn secrets_are_long_and_never_shown() {
        let env = Fake::new();
        assert_eq!(FleetSecret::parse("short", &env).unwrap_err(), "a secret has at least 16 bytes, this one has 5");
        let secret = FleetSecret::parse("0123456789abcdef", &env).unwrap();
        assert_eq!((format!("{secret:?}"), secret.shown()), ("FleetSecret".to_string(), "".into()));
    }
}
