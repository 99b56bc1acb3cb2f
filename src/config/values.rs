//! Values of options that are more than a number or a text, and what goes with them: tables and types are made of these.

/// Which load something came of. No two loads of a run have the same number, so that a group (or process) that is
/// active is the very one that is configured exactly if both have the same name and revision, whatever has been edited
/// at run time in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revision(pub u64);

/// A user, looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// As written: names or numbers.
    pub text: String,
    /// Numeric id. Nobody has to have it.
    pub uid: u32,
    /// Numeric id of the group that stands behind a colon; by default that of the user's entry.
    pub gid: Option<u32>,
}

/// `chown`, looked up (C-85).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    pub(crate) uid: u32,
    /// Numeric group; `None` leaves it.
    pub gid: Option<u32>,
}

/// What is done about a listener that broke the protocol (ours).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownAction {
    /// Nothing: it gets no events any more.
    Ignore,
    /// It is killed and started anew.
    Restart,
}

/// When a process that has ended is started again, `autorestart` (C-72).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Autorestart {
    /// Whenever it has ended and nobody asked for that.
    Always,
    /// After an unexpected exit.
    Unexpected,
    /// It is never started again by itself.
    Never,
    /// Never, although that is not written: its end is to be the daemon's (`essential`).
    Essential,
}

/// `serverurl` of a program, which finds it in SUPERVISOR_SERVER_URL (C-101).
#[derive(Clone, Debug)]
pub struct ServerUrl {
    /// Whether the file says AUTO, or nothing.
    pub is_auto: bool,
    /// The URL, that of AUTO once the servers are known; `None` leaves the variable unset.
    pub url: Option<String>,
}
