//! Processes as lines of figures and reasons: what `status --long` prints once and `status --watch` keeps on the screen.

use crate::ctl::printable;
use crate::namespec;
use crate::wire::value::Value;

/// The most that the column of names takes; longer names are cut, so that the reason has room.
const NAME_WIDTH_MAX: usize = 44;

/// What is known of a process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// What it is called in commands, `group:process`.
    pub name: String,
    /// The name of its state.
    pub state: String,
    /// Seconds that it has been so.
    pub since: Option<i64>,
    /// Per cent of a processor.
    pub cpu: Option<f64>,
    /// Memory of its process, in KiB.
    pub rss_kib: i64,
    /// How often it was started again.
    pub restarts: i64,
    /// Why it is so, or what it says of itself.
    pub reason: String,
    /// Whether a person should look at it.
    pub is_wrong: bool,
}

/// What a state is explained by.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cause<'a> {
    /// How it last ended, `exit status 1`.
    pub exit: &'a str,
    /// Whether that was as it should be.
    pub was_expected: bool,
    /// What went wrong at its start.
    pub problem: &'a str,
    /// Why it is unhealthy.
    pub ill: &'a str,
    /// What it says of itself.
    pub says: &'a str,
    /// What it waits for.
    pub waits: &'a str,
    /// Seconds to its next start.
    pub next: Option<i64>,
}

impl Line {
    /// A process in that state for that reason.
    pub fn new(name: String, state: &str, cause: Cause<'_>) -> Line {
        let is_ill = state == "RUNNING" && !cause.ill.is_empty();
        // It waits for what does not come by itself.
        let is_stuck = ["(FATAL)", "(EXITED)", "(removed)", "(empty)"].iter().any(|end| cause.waits.contains(end));
        let is_wrong = match state {
            _ if is_stuck => true,
            "FATAL" | "BACKOFF" | "UNKNOWN" => true,
            "EXITED" => !cause.was_expected,
            _ => is_ill,
        };
        let mut parts: Vec<String> = Vec::new();
        let mut add = |text: &str| {
            if !text.is_empty() && !parts.iter().any(|part| part == text) {
                parts.push(text.to_string());
            }
        };
        match state {
            "RUNNING" if is_ill => add(&format!("unhealthy: {}", cause.ill)),
            "RUNNING" => add(cause.says),
            "STOPPED" => {}
            _ => {
                add(cause.exit);
                // It says the same in other words.
                let is_said =
                    ["Exited too quickly", "Bad exit code"].iter().any(|text| cause.problem.starts_with(text));
                if cause.exit.is_empty() || !is_said {
                    add(cause.problem);
                }
            }
        }
        if !cause.waits.is_empty() {
            add(&format!("waits for {}", cause.waits));
        }
        if let Some(next) = cause.next {
            add(&format!("next try in {}", span(next.max(0))));
        }
        Line { name, state: state.to_string(), is_wrong, reason: parts.join("; "), ..Line::default() }
    }

    /// One of the structs of `stheno.getAllProcessInfo`. What it uses of a processor is a mean since its start.
    pub fn of_info(info: &Value) -> Line {
        let (now, start, stop) = (int(info, "now"), int(info, "start"), int(info, "stop"));
        let health = info.member("health");
        let is_ill = health.is_some_and(|health| text(health, "state") == "unhealthy");
        let ill = health.map_or("", |health| text(health, "reason"));
        let description = text(info, "description");
        let cause = Cause {
            exit: text(info, "reason"),
            was_expected: info.member("exitexpected") == Some(&Value::Bool(true)),
            problem: text(info, "spawnerr"),
            ill: match (is_ill, ill) {
                (true, "") => "its checks fail",
                (true, reason) => reason,
                (false, _) => "",
            },
            says: text(info, "status_text"),
            waits: description.strip_prefix("Waiting for ").unwrap_or(""),
            next: Some(int(info, "next_start")).filter(|at| *at > now).map(|at| at - now),
        };
        let pid = int(info, "pid");
        let mut line =
            Line::new(namespec::join(text(info, "group"), text(info, "name")), text(info, "statename"), cause);
        let is_up = pid != 0;
        line.since = [if is_up { start } else { stop }].into_iter().find(|at| *at > 0).map(|at| (now - at).max(0));
        let used = match info.member("cpu_seconds") {
            Some(Value::Double(seconds)) => *seconds,
            _ => 0.0,
        };
        line.cpu = is_up.then(|| 100.0 * used / ((now - start).max(1) as f64));
        line.rss_kib = int(info, "rss_kib");
        line.restarts = int(info, "restarts");
        line
    }
}

/// A text member, or nothing.
pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.member(name).and_then(Value::as_str).unwrap_or("")
}

/// A number member, or 0.
pub fn int(value: &Value, name: &str) -> i64 {
    value.member(name).map_or(0, as_int)
}

/// A number, or 0.
pub fn as_int(value: &Value) -> i64 {
    match value {
        Value::Int(number) => *number,
        Value::Double(number) => *number as i64,
        _ => 0,
    }
}

/// `5 s`, `3 min`, `2 h 5 min`, `3 d 4 h`.
pub fn span(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min"),
        3600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{} d {} h", hours / 24, hours % 24),
    }
}

fn memory(kib: i64) -> String {
    match kib {
        0 => String::new(),
        1..1000 => format!("{kib} kB"),
        1000..10_240 => format!("{:.1} MB", kib as f64 / 1024.0),
        10_240..1_024_000 => format!("{} MB", kib / 1024),
        _ => format!("{:.1} GB", kib as f64 / 1_048_576.0),
    }
}

/// A column: its head, whether its texts stand on the right, and from which width of a screen on it is shown.
struct Column {
    head: &'static str,
    is_right: bool,
    from: usize,
    text: fn(&Line) -> String,
}

const COLUMNS: [Column; 7] = [
    Column { head: "NAME", is_right: false, from: 0, text: |line| printable::line(&line.name).into_owned() },
    Column { head: "STATE", is_right: false, from: 0, text: |line| line.state.clone() },
    Column { head: "SINCE", is_right: true, from: 36, text: |line| line.since.map(span).unwrap_or_default() },
    Column {
        head: "CPU",
        is_right: true,
        from: 50,
        text: |line| line.cpu.map(|cpu| format!("{cpu:.1} %")).unwrap_or_default(),
    },
    Column { head: "MEMORY", is_right: true, from: 60, text: |line| memory(line.rss_kib) },
    Column {
        head: "RESTARTS",
        is_right: true,
        from: 70,
        text: |line| if line.restarts == 0 { String::new() } else { line.restarts.to_string() },
    },
    Column { head: "REASON", is_right: false, from: 0, text: |line| printable::line(&line.reason).into_owned() },
];

/// The lines as a table, its head first. On a screen of so many columns nothing is wider, and what matters least is left
/// out.
pub fn table(lines: &[&Line], width: Option<usize>) -> Vec<String> {
    let shown: Vec<&Column> = COLUMNS.iter().filter(|column| width.is_none_or(|width| width >= column.from)).collect();
    let name_width = width.map_or(usize::MAX, |width| NAME_WIDTH_MAX.min((width / 2).max(8)));
    let mut rows: Vec<Vec<String>> = vec![shown.iter().map(|column| column.head.to_string()).collect()];
    for line in lines {
        let mut cells: Vec<String> = shown.iter().map(|column| (column.text)(line)).collect();
        cells[0] = cut(&cells[0], name_width);
        rows.push(cells);
    }
    let widest = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..shown.len()).map(widest).collect();
    let last = shown.len() - 1;
    let whole = |row: &Vec<String>| {
        let mut text = String::new();
        for (at, cell) in row.iter().enumerate() {
            let wide = widths[at];
            text.push_str(&match (at == last, shown[at].is_right) {
                (true, _) => cell.clone(),
                (false, true) => format!("{cell:>wide$}  "),
                (false, false) => format!("{cell:<wide$}  "),
            });
        }
        cut(text.trim_end(), width.unwrap_or(usize::MAX))
    };
    rows.iter().map(whole).collect()
}

/// The text, or so much of it that it and a sign for the rest have room.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_string();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons() {
        let exit = Cause { exit: "exit status 1", ..Cause::default() };
        let rows = [
            ("RUNNING", Cause { exit: "exit status 1", says: "12 jobs", ..Cause::default() }, "12 jobs", false),
            ("RUNNING", Cause { ill: "timeout", says: "12 jobs", ..Cause::default() }, "unhealthy: timeout", true),
            ("FATAL", Cause { problem: "can't find command 'x'", ..Cause::default() }, "can't find command 'x'", true),
            (
                "FATAL",
                Cause { problem: "Exited too quickly (process log may have details)", ..exit },
                "exit status 1",
                true,
            ),
            (
                "EXITED",
                Cause { exit: "terminated by SIGSEGV", problem: "Bad exit code -1", ..Cause::default() },
                "terminated by SIGSEGV",
                true,
            ),
            ("BACKOFF", Cause { next: Some(4), ..exit }, "exit status 1; next try in 4 s", true),
            ("EXITED", exit, "exit status 1", true),
            ("EXITED", Cause { exit: "exit status 0", was_expected: true, ..Cause::default() }, "exit status 0", false),
            ("STOPPED", exit, "", false),
            ("STOPPED", Cause { waits: "db (STARTING)", ..exit }, "waits for db (STARTING)", false),
            ("STOPPED", Cause { waits: "db (FATAL)", ..exit }, "waits for db (FATAL)", true),
        ];
        for (state, cause, reason, is_wrong) in rows {
            let line = Line::new("p".to_string(), state, cause);
            assert_eq!((line.reason.as_str(), line.is_wrong), (reason, is_wrong), "{state} {cause:?}");
        }
    }

    #[test]
    fn a_table_is_never_wider_than_the_screen() {
        let mut line = Line::new(
            "site:gunicorn_with_a_long_name".to_string(),
            "BACKOFF",
            Cause { exit: "killed by SIGSEGV", next: Some(90), ..Cause::default() },
        );
        (line.since, line.cpu, line.rss_kib, line.restarts) = (Some(3700), Some(12.34), 20 * 1024, 3);
        let whole = table(&[&line], None);
        assert_eq!(
            whole,
            [
                "NAME                            STATE        SINCE     CPU  MEMORY  RESTARTS  REASON",
                "site:gunicorn_with_a_long_name  BACKOFF  1 h 1 min  12.3 %   20 MB         3  killed by SIGSEGV; next try in 1 min",
            ]
        );
        for width in [1, 8, 20, 35, 36, 55, 69, 80, 200] {
            for text in table(&[&line], Some(width)) {
                assert!(text.chars().count() <= width, "{width}: {text:?}");
            }
        }
        assert!(table(&[&line], Some(45))[0].contains("SINCE") && !table(&[&line], Some(45))[0].contains("CPU"));
    }

    #[test]
    fn names_cannot_move_the_cursor() {
        let line = Line::new("a\x1b[2J".to_string(), "RUNNING", Cause { says: "\x07", ..Cause::default() });
        assert!(table(&[&line], None).iter().all(|text| !text.contains(char::is_control)));
    }

    #[test]
    fn spans_and_sizes() {
        let rows = [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3600, "1 h 0 min"), (90_000, "1 d 1 h")];
        for (seconds, expected) in rows {
            assert_eq!(span(seconds), expected);
        }
        for (kib, expected) in [(0, ""), (999, "999 kB"), (1536, "1.5 MB"), (20_480, "20 MB"), (1_572_864, "1.5 GB")] {
            assert_eq!(memory(kib), expected);
        }
    }
}
