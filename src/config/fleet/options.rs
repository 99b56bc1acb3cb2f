//! `[rpcinterface:supvisors]` (V-10 to V-55). A value that cannot be read is told of, and the default stands in (V-12).

use super::Problem;
use super::values::{MulticastGroup, MulticastInterface, Names, Period, Periods, StatsOf, Synchros, Whole};
use super::words::{ConciliationStrategy, EventLink, StartingStrategy, SupvisorsFailure, Synchro};
use crate::config::datatypes::{ByteSize, Datatype, Show};
use crate::config::env::Nowhere;
use crate::config::error::ConfigError;
use crate::config::options::Row;
use crate::config::reader::{Reader, Scope};
use crate::config::rows::{Field, Put, Walk};
use crate::level::Level;
use crate::wire::ini::{Document, Section};

options! {
    /// The options of a fleet, `[rpcinterface:supvisors]`.
    SupvisorsOptions {
        /// The instances of the fleet: <nick>host:port, nick and port optional, separated by commas; this host alone by
        /// default.
        supvisors_list: Names = "";
        /// Labels that this instance shares with others.
        stereotypes: Names = "";
        /// Address and port at which instances find each other.
        multicast_group: Option<MulticastGroup>;
        /// The address of the interface for that.
        multicast_interface: MulticastInterface = "ANY";
        /// How far that reaches.
        multicast_ttl: Whole<0, 255> = "1";
        /// Files of rules; blanks between them, wildcards allowed.
        rules_files: String = "";
        /// Style sheets of the page; blanks between them, wildcards allowed.
        css_files: String = "";
        /// What the page calls all this.
        software_name: String = "";
        /// A picture for the page.
        software_icon: String = "";
        /// An instance that was lost is not heard again.
        auto_fence: bool = "false";
        /// How events are published.
        event_link: EventLink = "NONE";
        /// The port for that; the one after our own by default.
        event_port: Option<Whole<1, 65_535>>;
        /// When the synchronisation ends: some of STRICT, LIST, TIMEOUT, CORE, USER.
        synchro_options: Synchros = "STRICT,TIMEOUT,CORE";
        /// Seconds after which TIMEOUT ends the synchronisation.
        synchro_timeout: Whole<15, 1200> = "15";
        /// Ticks of five seconds without a word after which an instance is lost.
        inactivity_ticks: Whole<2, 720> = "2";
        /// The instances that CORE waits for.
        core_identifiers: Names = "";
        /// What is done when instances are missing.
        supvisors_failure_strategy: SupvisorsFailure = "CONTINUE";
        /// Where processes are started of which no rule says it.
        starting_strategy: StartingStrategy = "CONFIG";
        /// What is done about processes that run twice.
        conciliation_strategy: ConciliationStrategy = "USER";
        /// Where it is kept which programs are disabled.
        disabilities_file: Option<String>;
        /// What statistics are collected of.
        stats_enabled: StatsOf = "ALL";
        /// Seconds between two samples; 5 by default.
        stats_collecting_period: Option<Period>;
        /// Seconds between two points, up to three of them.
        stats_periods: Periods = "10";
        /// Points that are kept.
        stats_histo: Whole<10, 1500> = "200";
        /// Processor time of processes is shown as if there were one core.
        stats_irix_mode: bool = "false";
        /// Bytes of a log that pages show.
        tail_limit: ByteSize = "1KB";
        /// Bytes of a log with which following it begins.
        tailf_limit: ByteSize = "1KB";
        /// Accepted: everything is logged to the activity log.
        logfile: String = "AUTO";
        /// Accepted, without effect: the log is the activity log.
        logfile_maxbytes: ByteSize = "50MB";
        /// Accepted, without effect: the log is the activity log.
        logfile_backups: i64 = "10";
        /// Accepted, without effect: the log is the activity log.
        loglevel: Level = "info";
    }
}

/// Options of which a wrong value is not forgiven (V-12).
const STRICT: &[&str] = &["logfile", "logfile_maxbytes", "logfile_backups", "loglevel"];

/// Reads the section; what is wrong in it is put into `problems`.
pub(super) fn read(reader: &Reader<'_>, problems: &mut Vec<Problem>) -> Result<SupvisorsOptions, ConfigError> {
    let mut section = reader.section.clone();
    let mut document = reader.document.clone();
    // Each pass takes out the option that is wrong.
    let passes = SupvisorsOptions::ROWS.len();
    for _ in 0..passes {
        let pass = Reader { section: &section, document: &document, ..*reader };
        let error = match SupvisorsOptions::read(&pass) {
            Ok(options) => return consistent(reader, options, problems),
            Err(error) => error,
        };
        let place = error.place().cloned();
        let is_it = |file: &str, line: u32| place.as_ref().is_some_and(|at| at.file == file && at.line == Some(line));
        let wrong =
            pass.document.options(&section).find(|entry| is_it(&entry.file, entry.line)).map(|entry| entry.key.clone());
        let Some(wrong) = wrong.filter(|key| !STRICT.contains(&key.as_str())) else { return Err(error) };
        problems.push(Problem::error(format!("{error}; its default counts")));
        section = without(&section, &wrong);
        document.defaults = without(&document.defaults, &wrong);
    }
    SupvisorsOptions::defaults()
}

/// A section without one of its options.
fn without(section: &Section, option: &str) -> Section {
    let mut rest = Section::new(&section.name, section.file.clone(), section.line);
    for entry in section.options.iter().filter(|entry| entry.key != option) {
        rest.set(entry.clone());
    }
    rest
}

/// What does not go together is taken out (V-50).
fn consistent(
    reader: &Reader<'_>,
    mut options: SupvisorsOptions,
    problems: &mut Vec<Problem>,
) -> Result<SupvisorsOptions, ConfigError> {
    let Synchros(synchros) = &mut options.synchro_options;
    let mut drop_unless = |synchro: Synchro, is_empty: bool, other: &str| {
        if is_empty && synchros.contains(&synchro) {
            synchros.retain(|one| *one != synchro);
            // Nobody has asked for what stands in.
            if reader.entry("synchro_options").is_some() {
                let text = format!("synchro_options: {} has no meaning without {other}", synchro.name());
                problems.push(Problem::warning(text));
            }
        }
    };
    drop_unless(Synchro::Core, options.core_identifiers.0.is_empty(), "core_identifiers");
    drop_unless(Synchro::Strict, options.supvisors_list.0.is_empty(), "supvisors_list");
    if synchros.is_empty() {
        return Err(reader.error("synchro_options", "synchro_options shall not be empty"));
    }
    if synchros.contains(&Synchro::Timeout) && options.supvisors_failure_strategy != SupvisorsFailure::Continue {
        let text = "supvisors_failure_strategy is CONTINUE as long as synchro_options has TIMEOUT";
        problems.push(Problem::warning(text.to_string()));
        options.supvisors_failure_strategy = SupvisorsFailure::Continue;
    }
    Ok(options)
}
