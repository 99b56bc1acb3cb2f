//! The enumerations of Supvisors: names in capitals, numbers from 0 in their order (V-36, V-70 to V-76).

use crate::config::datatypes::{Datatype, Show};
use crate::config::env::Env;
use crate::wire::pyrepr;
use crate::wire::value::Value;

/// Defines an enumeration whose values have names of their own.
macro_rules! names {
    ($(#[doc = $about:literal])+ $name:ident, $kind:literal { $($(#[doc = $doc:literal])+ $variant:ident = $word:literal,)+ }) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[doc = $doc])+ $variant,)+ }

        impl $name {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// Its name in files and answers.
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $word,)+ }
            }

            /// The one of exactly that name.
            pub fn named(name: &str) -> Option<$name> {
                Self::ALL.iter().copied().find(|one| one.name() == name)
            }

            /// The one of that number.
            pub fn numbered(number: i64) -> Option<$name> {
                usize::try_from(number).ok().and_then(|number| Self::ALL.get(number)).copied()
            }
        }

        impl Datatype for $name {
            const NAMES_OPTION: bool = true;
            const KIND: &'static str = $kind;

            /// In whatever case (V-13).
            fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
                $name::named(&text.to_uppercase()).ok_or_else(|| format!("expected {}, not {}", $kind, pyrepr::text(text)))
            }
        }

        impl Show for $name {
            fn shown(&self) -> Value {
                self.name().into()
            }
        }
    };
}

names! {
    /// Where a process is started (V-354).
    StartingStrategy, "CONFIG, LESS_LOADED, MOST_LOADED, LOCAL, LESS_LOADED_NODE or MOST_LOADED_NODE" {
        /// On the first instance of the rule.
        Config = "CONFIG",
        /// On the instance that has least to do.
        LessLoaded = "LESS_LOADED",
        /// On the one that has most to do and still has room.
        MostLoaded = "MOST_LOADED",
        /// On the instance that is asked.
        Local = "LOCAL",
        /// On the machine that has least to do.
        LessLoadedNode = "LESS_LOADED_NODE",
        /// On the one that has most to do and still has room.
        MostLoadedNode = "MOST_LOADED_NODE",
    }
}

names! {
    /// What is done about a process that runs twice (V-430).
    ConciliationStrategy, "SENICIDE, INFANTICIDE, USER, STOP, RESTART or RUNNING_FAILURE" {
        /// The youngest process stays; the others are stopped.
        Senicide = "SENICIDE",
        /// The oldest process stays; the others are stopped.
        Infanticide = "INFANTICIDE",
        /// Nothing is done: whoever looks at it decides.
        User = "USER",
        /// All that run twice are stopped.
        Stop = "STOP",
        /// All are stopped, and one started.
        Restart = "RESTART",
        /// All are stopped, and it counts as lost.
        RunningFailure = "RUNNING_FAILURE",
    }
}

names! {
    /// What is done when a required process does not start (V-395).
    StartingFailure, "ABORT, STOP or CONTINUE" {
        /// What comes later is not started.
        Abort = "ABORT",
        /// And what was started is stopped.
        Stop = "STOP",
        /// Nothing is done about it.
        Continue = "CONTINUE",
    }
}

names! {
    /// What is done when a process that ran has failed (V-420). The order is that of their weight, but for the last two.
    RunningFailure, "CONTINUE, RESTART_PROCESS, STOP_APPLICATION, RESTART_APPLICATION, SHUTDOWN or RESTART" {
        /// Nothing is done about it.
        Continue = "CONTINUE",
        /// It is started again.
        RestartProcess = "RESTART_PROCESS",
        /// Its application is stopped.
        StopApplication = "STOP_APPLICATION",
        /// Its application is stopped and started.
        RestartApplication = "RESTART_APPLICATION",
        /// The daemon of that instance ends.
        Shutdown = "SHUTDOWN",
        /// The daemon begins anew.
        Restart = "RESTART",
    }
}

names! {
    /// How the processes of an application may be spread (V-70).
    Distribution, "ALL_INSTANCES, SINGLE_INSTANCE or SINGLE_NODE" {
        /// Its processes may be spread over all instances.
        AllInstances = "ALL_INSTANCES",
        /// All of its processes are on one instance.
        SingleInstance = "SINGLE_INSTANCE",
        /// All on one machine.
        SingleNode = "SINGLE_NODE",
    }
}

names! {
    /// What is done when instances are missing (V-107).
    SupvisorsFailure, "CONTINUE, RESYNC or SHUTDOWN" {
        /// Nothing is done about it.
        Continue = "CONTINUE",
        /// The fleet is awaited again.
        Resync = "RESYNC",
        /// All daemons of the fleet end.
        Shutdown = "SHUTDOWN",
    }
}

names! {
    /// When the synchronisation ends (V-105).
    Synchro, "STRICT, LIST, TIMEOUT, CORE or USER" {
        /// When all of `supvisors_list` are there.
        Strict = "STRICT",
        /// When all that are known are there.
        List = "LIST",
        /// It ends when `synchro_timeout` is over.
        Timeout = "TIMEOUT",
        /// When all of `core_identifiers` are there.
        Core = "CORE",
        /// When somebody says so.
        User = "USER",
    }
}

names! {
    /// How events are published (V-29).
    EventLink, "NONE, ZMQ or WS" {
        /// Events are not published at all.
        None = "NONE",
        /// Events are published over ZeroMQ.
        Zmq = "ZMQ",
        /// Events are published over WebSocket.
        Ws = "WS",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fake::Fake;

    #[test]
    fn names_and_numbers() {
        let env = Fake::new();
        assert_eq!(StartingStrategy::parse("less_loaded", &env), Ok(StartingStrategy::LessLoaded));
        assert_eq!(StartingStrategy::named("less_loaded"), None);
        assert_eq!(StartingStrategy::numbered(5), Some(StartingStrategy::MostLoadedNode));
        assert_eq!(StartingStrategy::numbered(6), None);
        assert_eq!(StartingStrategy::numbered(-1), None);
        let text = EventLink::parse("SMOKE", &env).unwrap_err();
        assert_eq!(text, "expected NONE, ZMQ or WS, not 'SMOKE'");
    }
}
