//! The faults of the XML-RPC interface: codes and names, one type for a fault on its way out.

use std::fmt;

/// A fault's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Code {
    UnknownMethod = 1,
    IncorrectParameters = 2,
    BadArguments = 3,
    SignatureUnsupported = 4,
    ShutdownState = 6,
    BadName = 10,
    BadSignal = 11,
    NoFile = 20,
    NotExecutable = 21,
    Failed = 30,
    AbnormalTermination = 40,
    SpawnError = 50,
    AlreadyStarted = 60,
    NotRunning = 70,
    Success = 80,
    AlreadyAdded = 90,
    StillRunning = 91,
    CantReread = 92,
    /// Of Supvisors, as those that follow (V-201).
    BadSupvisorsState = 101,
    NotManaged = 102,
    Disabled = 103,
    NotApplicable = 104,
    /// Of the extensions; the core does not know its name, so its text begins with `UNKNOWN`.
    NotInWhitelist = 230,
}

impl Code {
    /// The name of the protocol, in capitals.
    pub fn name(self) -> &'static str {
        match self {
            Code::UnknownMethod => "UNKNOWN_METHOD",
            Code::IncorrectParameters => "INCORRECT_PARAMETERS",
            Code::BadArguments => "BAD_ARGUMENTS",
            Code::SignatureUnsupported => "SIGNATURE_UNSUPPORTED",
            Code::ShutdownState => "SHUTDOWN_STATE",
            Code::BadName => "BAD_NAME",
            Code::BadSignal => "BAD_SIGNAL",
            Code::NoFile => "NO_FILE",
            Code::NotExecutable => "NOT_EXECUTABLE",
            Code::Failed => "FAILED",
            Code::AbnormalTermination => "ABNORMAL_TERMINATION",
            Code::SpawnError => "SPAWN_ERROR",
            Code::AlreadyStarted => "ALREADY_STARTED",
            Code::NotRunning => "NOT_RUNNING",
            Code::Success => "SUCCESS",
            Code::AlreadyAdded => "ALREADY_ADDED",
            Code::StillRunning => "STILL_RUNNING",
            Code::CantReread => "CANT_REREAD",
            Code::BadSupvisorsState => "BAD_SUPVISORS_STATE",
            Code::NotManaged => "NOT_MANAGED",
            Code::Disabled => "DISABLED",
            Code::NotApplicable => "NOT_APPLICABLE",
            Code::NotInWhitelist => "UNKNOWN",
        }
    }

    /// The bare fault: its text is the name.
    pub fn bare(self) -> Fault {
        Fault { code: self, extra: None }
    }

    /// The fault with the text `NAME: extra`.
    pub fn with(self, extra: impl Into<String>) -> Fault {
        Fault { code: self, extra: Some(extra.into()) }
    }
}

/// A fault on its way to a client. Displays as its `faultString`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The number that clients see as `faultCode`.
    pub code: Code,
    /// What follows the name and a colon, if anything.
    pub extra: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.extra {
            None => f.write_str(self.code.name()),
            Some(extra) => write!(f, "{}: {extra}", self.code.name()),
        }
    }
}
