//! All options there are: each table, and the sections in which its options are known.

use super::options::{
    CtlOptions, CtlPathOptions, FcgiOptions, FcgiSocketOptions, GroupOptions, IncludeOptions, InetServerOptions,
    ListenerOptions, Process, Program, Stheno, Supervisord, UnixFileOptions, UnixServerOptions,
};
use super::program_default::PROGRAM_DEFAULT;
use super::row::Row;

/// A table, and where its options are known.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// The options that may stand in it.
    pub rows: &'static [Row],
    /// Kinds of sections: a whole name; before a colon, what sections with a name of their own begin with; before a
    /// star, what any section may go on from.
    pub sections: &'static [&'static str],
    /// Whether the values are expanded for each process, so that `%(process_num)d` may stand in them.
    pub is_per_process: bool,
}

/// Sections that make processes, and the one whose options stand in for theirs.
const PROGRAMS: &[&str] = &["program:", "eventlistener:", "fcgi-program:", PROGRAM_DEFAULT];

/// All options there are.
pub const TABLES: &[Table] = &[
    table(Supervisord::ROWS, &["supervisord"]),
    table(IncludeOptions::ROWS, &["include"]),
    table(Stheno::ROWS, &["stheno"]),
    table(InetServerOptions::ROWS, &["inet_http_server*"]),
    table(UnixFileOptions::ROWS, &["unix_http_server*"]),
    table(UnixServerOptions::ROWS, &["unix_http_server*"]),
    table(Program::ROWS, PROGRAMS),
    Table { is_per_process: true, ..table(Process::ROWS, PROGRAMS) },
    table(GroupOptions::ROWS, &["group:"]),
    #[cfg(feature = "fleet")]
    table(super::fleet::PlainProgram::ROWS, &["program:", "fcgi-program:"]),
    #[cfg(feature = "fleet")]
    table(super::fleet::PlainGroup::ROWS, &["group:"]),
    table(ListenerOptions::ROWS, &["eventlistener:"]),
    table(FcgiOptions::ROWS, &["fcgi-program:"]),
    table(FcgiSocketOptions::ROWS, &["fcgi-program:"]),
    #[cfg(feature = "fleet")]
    table(super::fleet::SupvisorsOptions::ROWS, &["rpcinterface:supvisors"]),
    table(CtlPathOptions::ROWS, &["supervisorctl"]),
    table(CtlOptions::ROWS, &["supervisorctl"]),
];

const fn table(rows: &'static [Row], sections: &'static [&'static str]) -> Table {
    Table { rows, sections, is_per_process: false }
}

/// Tables of the options that a section knows; `None` for a section that is nobody's, or whose options are free.
pub fn tables(section: &str) -> Option<Vec<&'static [Row]>> {
    let is_of_kind = |kind: &&str| match kind.strip_suffix('*') {
        Some(beginning) => section.starts_with(beginning),
        None if kind.ends_with(':') => section.starts_with(kind),
        None => section == *kind,
    };
    let known = TABLES.iter().filter(|table| table.sections.iter().any(is_of_kind));
    let known: Vec<_> = known.map(|table| table.rows).collect();
    (!known.is_empty()).then_some(known)
}
