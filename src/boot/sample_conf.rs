//! `echo_supervisord_conf`: a configuration to begin with (C-170, C-171).

use std::io::{self, Write};

/// The text. It loads as it is, also under Supervisor 4.3.0.
pub const SAMPLE: &str = include_str!("../../conf/sample.conf");

/// Prints the sample; arguments do not matter. Returns the exit status.
pub fn run() -> i32 {
    // A reader that has seen enough (`| head`) is no failure.
    match io::stdout().write_all(SAMPLE.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tables::{TABLES, Table};
    use crate::wire::ini::Document;

    #[test]
    fn the_active_settings_are_those_of_the_original() {
        let mut sample = Document::default();
        sample.read(SAMPLE, "sample.conf").unwrap();
        let active: Vec<String> = sample
            .sections
            .iter()
            .flat_map(|section| {
                section.options.iter().map(|entry| format!("[{}] {}={}", section.name, entry.key, entry.value))
            })
            .collect();
        let expected = [
            "[unix_http_server] file=/tmp/supervisor.sock",
            "[supervisord] logfile=/tmp/supervisord.log",
            "[supervisord] logfile_maxbytes=50MB",
            "[supervisord] logfile_backups=10",
            "[supervisord] loglevel=info",
            "[supervisord] pidfile=/tmp/supervisord.pid",
            "[supervisord] nodaemon=false",
            "[supervisord] silent=false",
            "[supervisord] minfds=1024",
            "[supervisord] minprocs=200",
            "[rpcinterface:supervisor] supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
            "[supervisorctl] serverurl=unix:///tmp/supervisor.sock",
        ];
        assert_eq!(active, expected);
        assert!(SAMPLE.lines().next().unwrap().contains("Sample supervisor config file"));
    }

    #[test]
    fn every_option_is_shown_in_its_section() {
        let shown_in = |section: &str, name: &str| {
            let mut is_there = false;
            SAMPLE.lines().map(|line| line.strip_prefix(';').unwrap_or(line)).any(|line| {
                if line.starts_with('[') {
                    is_there = line.trim_end_matches(']').trim_start_matches('[').starts_with(section);
                }
                is_there && line.split_once('=').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name))
            })
        };
        let mut missing = Vec::new();
        // Extensions have files of their own that show theirs.
        let is_of_extension = |table: &&Table| table.sections[0].starts_with("rpcinterface:");
        for table in TABLES.iter().filter(|table| !is_of_extension(table)) {
            // What several kinds of sections have stands in the first of them.
            let section = table.sections[0].trim_end_matches('*');
            for row in table.rows.iter().filter(|row| !row.doc.starts_with("Not allowed here")) {
                if !shown_in(section, row.name) {
                    missing.push(format!("[{section}] {}={}\t{}", row.name, row.default.unwrap_or(""), row.doc));
                }
            }
        }
        assert!(missing.is_empty(), "conf/sample.conf does not show:\n{}", missing.join("\n"));
    }

    #[test]
    fn everything_else_reads_once_it_is_activated() {
        let activated: String = SAMPLE
            .lines()
            .map(|line| line.strip_prefix(';').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
            .map(|line| format!("{line}\n"))
            .collect();
        let mut sample = Document::default();
        sample.read(&activated, "sample.conf").unwrap();
        let names: Vec<&str> = sample.sections.iter().map(|section| section.name.as_str()).collect();
        let expected = [
            "unix_http_server",
            "inet_http_server",
            "supervisord",
            "stheno",
            "rpcinterface:supervisor",
            "supervisorctl",
            "program:example",
            "program-default",
            "eventlistener:listener",
            "fcgi-program:php",
            "group:together",
            "include",
        ];
        assert_eq!(names, expected);
        let program = sample.section("program:example").unwrap();
        // None is there twice, and none was taken for a part of another.
        let lines = activated.split("[program:example]\n").nth(1).and_then(|rest| rest.split("\n[").next());
        let options = lines.unwrap().lines().filter(|line| line.split(';').next().unwrap().contains('=')).count();
        assert_eq!(program.options.len(), options);
    }
}
