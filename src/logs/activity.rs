//! The activity log: where `activity!` records go, through the `log` facade (L-1 to L-7).
//!
//! A record whose target is one of the seven tags is a line of the activity log; every other record is developer
//! tracing and goes to env_logger, if RUST_LOG is set. There is one activity log per process. Before it is opened,
//! and with no part of it open, records vanish.
//!
//! Lines carry the time that [`set_now`] was last given, once per wake-up: a burst of lines does not ask the system
//! for it, and all lines of one turn agree.

use std::io::{self, Write};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use log::{LevelFilter, Log, Metadata, Record};

use super::sink::{Loss, Sink};
use super::stream::StreamLog;
use super::syslog::{Label, Syslog};
use crate::clock::{Mono, Now, Wall};
use crate::config::{Facility, Priority, SyslogAddress};
use crate::errno;
use crate::level::Level;
use crate::sys::{errno_of, time};

/// Of all lines in syslog, whatever their level (L-4).
const PRIORITY: Priority = Priority(6);

/// Memory kept for the next line; child output in the log (L-32) can make longer ones.
const LINE_KEPT: usize = 4096;

/// Where [`Settings::echo`] goes: standard output.
const STDOUT: RawFd = 1;

/// The time before anybody has told it.
const UNTOLD: Now = Now { mono: Mono(0), wall: Wall(0) };

/// What the configuration and the command line ask of the activity log.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The log itself, beside the echo.
    pub target: Destination,
    /// The least severe level that is written.
    pub level: Level,
    /// Lines go to standard output as well: in the foreground, unless silent (L-3).
    pub echo: bool,
}

/// Where the lines of the activity log go.
#[derive(Clone, Debug)]
pub enum Destination {
    /// A file, rotated at `maxbytes` (0: never), with `backups` older ones kept. Also a stream such as /dev/stdout.
    File {
        /// The path, absolute: the daemon may change its directory later.
        path: String,
        /// The size in bytes that a write must reach for a rotation; 0 for none.
        maxbytes: u64,
        /// How many older files are kept, `.1` being the newest; with 0 the file is emptied in place.
        backups: u32,
    },
    /// Syslog, under the name of the program (L-4).
    Syslog {
        address: SyslogAddress,
        /// What kind of program the messages come from.
        facility: Facility,
        /// The name before the text of each message.
        tag: String,
    },
}

/// Opens the log, in the place of one that is open already; from now on records are written.
///
/// Errors: the file cannot be opened; the log that was open stays in use (C-154).
pub fn open(settings: &Settings) -> io::Result<()> {
    let output = match &settings.target {
        Destination::File { path, maxbytes, backups } => {
            Output::Sink { sink: Sink::open(path, *maxbytes, *backups)?, path: path.clone() }
        }
        Destination::Syslog { address, facility, tag } => {
            Output::Syslog { syslog: Syslog::new(address), facility: *facility, tag: tag.clone() }
        }
    };
    let echo = if settings.echo { StreamLog::inherited(STDOUT).ok() } else { None };
    let mut log = ACTIVITY.lock();
    log.output = output;
    log.echo = echo;
    log.reported = false;
    ACTIVITY.level.store(settings.level as i32, Ordering::Relaxed);
    drop(log);
    // Refused at the second time, when we are in place already.
    let _ = log::set_logger(&ACTIVITY);
    let tracing = tracing().map_or(LevelFilter::Off, env_logger::Logger::filter);
    log::set_max_level(settings.level.facade().to_level_filter().max(tracing));
    Ok(())
}

/// Sets the time of the lines to come.
pub fn set_now(now: Now) {
    ACTIVITY.lock().now = now;
}

/// The least severe level that is written.
pub fn level() -> Level {
    let number = ACTIVITY.level.load(Ordering::Relaxed);
    Level::ALL.into_iter().find(|level| *level as i32 == number).unwrap_or(Level::Critical)
}

/// INFO `supervisord logreopen`, then whatever is at the path now is opened (L-17, L-60).
pub fn reopen() {
    crate::activity!(Info, "supervisord logreopen");
    let mut log = ACTIVITY.lock();
    log.reported = false;
    log.reopen();
}

/// Begins a new file, and keeps the old one as a backup.
pub fn rotate() {
    let mut log = ACTIVITY.lock();
    if let Output::Sink { sink, .. } = &mut log.output
        && let Err(error) = sink.rotate()
    {
        log.report("rotate", &error);
    }
}

/// Deletes the file and begins a new one (L-61). The message of the reopening, one for each place the log goes to,
/// lands in the deleted file.
///
/// Errors: it could not be deleted; it goes on being used, and nothing was said.
pub fn clear() -> io::Result<()> {
    let mut log = ACTIVITY.lock();
    log.reported = false;
    if let Output::Sink { sink: Sink::File(file), .. } = &mut log.output {
        file.remove()?;
    }
    let places = usize::from(log.echo.is_some()) + usize::from(!matches!(log.output, Output::None));
    for _ in 0..places {
        log.write(Level::Info, format_args!("reopening log file"));
    }
    log.reopen();
    Ok(())
}

/// Bytes written to the file since the last call.
pub fn take_written() -> u64 {
    std::mem::take(&mut ACTIVITY.lock().written)
}

/// Whether the log is the file of that path.
pub fn is_at(path: &str) -> bool {
    matches!(&ACTIVITY.lock().output, Output::Sink { sink: Sink::File(file), .. } if file.path() == path)
}

/// Empties the file where it is.
pub fn begin_anew() -> io::Result<()> {
    match &mut ACTIVITY.lock().output {
        Output::Sink { sink, .. } => sink.begin_anew(),
        _ => Ok(()),
    }
}

/// Closes everything; records vanish from now on.
pub fn close() {
    let mut log = ACTIVITY.lock();
    log.output = Output::None;
    log.echo = None;
}

static ACTIVITY: Activity =
    Activity { level: AtomicI32::new(Level::Critical as i32), log: Mutex::new(ActivityLog::new()) };

/// What the facade sees.
struct Activity {
    /// Outside the lock, so that a record that is not written costs a comparison.
    level: AtomicI32,
    log: Mutex<ActivityLog>,
}

impl Activity {
    fn lock(&self) -> MutexGuard<'_, ActivityLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log for Activity {
    fn enabled(&self, metadata: &Metadata) -> bool {
        match Level::from_tag(metadata.target()) {
            Some(level) => level as i32 >= self.level.load(Ordering::Relaxed),
            None => tracing().is_some_and(|tracing| tracing.enabled(metadata)),
        }
    }

    fn log(&self, record: &Record) {
        match Level::from_tag(record.target()) {
            Some(level) if level as i32 >= self.level.load(Ordering::Relaxed) => {
                self.lock().write(level, *record.args());
            }
            Some(_) => {}
            None => {
                if let Some(tracing) = tracing() {
                    tracing.log(record);
                }
            }
        }
    }

    fn flush(&self) {}
}

/// Developer tracing; `None` without RUST_LOG.
fn tracing() -> Option<&'static env_logger::Logger> {
    static TRACING: OnceLock<Option<env_logger::Logger>> = OnceLock::new();
    let make = || std::env::var_os("RUST_LOG").map(|_| env_logger::Builder::from_default_env().build());
    TRACING.get_or_init(make).as_ref()
}

enum Output {
    None,
    Sink { sink: Sink, path: String },
    Syslog { syslog: Syslog, facility: Facility, tag: String },
}

struct ActivityLog {
    output: Output,
    echo: Option<StreamLog>,
    now: Now,
    stamp: Stamp,
    line: Vec<u8>,
    /// A failed write has been reported since the log was last opened.
    reported: bool,
    /// Bytes written since [`take_written`].
    written: u64,
}

impl ActivityLog {
    const fn new() -> ActivityLog {
        let stamp = Stamp { secs: i64::MIN, text: String::new() };
        ActivityLog {
            output: Output::None,
            echo: None,
            now: UNTOLD,
            stamp,
            line: Vec::new(),
            reported: false,
            written: 0,
        }
    }

    // Nothing below may use `activity!`: the lock is held.

    fn write(&mut self, level: Level, message: std::fmt::Arguments) {
        if matches!(self.output, Output::None) && self.echo.is_none() {
            return;
        }
        // Nobody has told the time before the first wake-up.
        let now = if self.now == UNTOLD { time::now() } else { self.now };
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        self.stamp.write(now.wall, level, &mut line);
        let prefix = line.len();
        // Writing to memory does not fail.
        let _ = line.write_fmt(message);
        line.push(b'\n');
        if let Some(echo) = &mut self.echo {
            echo.write(&line, true, now.mono);
        }
        match &mut self.output {
            Output::None => {}
            Output::Sink { sink, .. } => {
                if let Err(error) = sink.write(&line, true, now.mono) {
                    self.report("write to", &error);
                }
            }
            Output::Syslog { syslog, facility, tag } => {
                let label = Label { facility: *facility, priority: PRIORITY, tag };
                syslog.send(now, &label, &line[..prefix], &line[prefix..]);
                let lost = syslog.take_lost();
                if lost > 0 {
                    let text = format!("{lost} messages for syslog were lost");
                    syslog.send(now, &label, &line[..prefix], text.as_bytes());
                }
            }
        }
        self.written += line.len() as u64;
        line.shrink_to(LINE_KEPT);
        self.line = line;
        self.tell_loss();
    }

    fn reopen(&mut self) {
        if let Output::Sink { sink, .. } = &mut self.output
            && let Err(error) = sink.reopen()
        {
            self.report("reopen", &error);
        }
    }

    /// Tells standard output, if it is of use, that the log itself is in trouble: once.
    fn report(&mut self, what: &str, error: &io::Error) {
        if std::mem::replace(&mut self.reported, true) {
            return;
        }
        if let (Some(echo), Output::Sink { path, .. }) = (&mut self.echo, &self.output) {
            let mut line = Vec::new();
            self.stamp.write(time::now().wall, Level::Error, &mut line);
            let _ = writeln!(line, "could not {what} log {path}: {}", errno::name(errno_of(error)));
            echo.write(&line, true, self.now.mono);
        }
    }

    /// A stream that did not keep up, and a file that could not be written, get a line about what is missing, once they
    /// take some again.
    fn tell_loss(&mut self) {
        let mono = self.now.mono;
        if let Some(echo) = &mut self.echo {
            let lost = echo.take_recovered();
            if lost > 0 {
                let line = self.stamp.loss(self.now.wall, Loss::Slow(lost));
                echo.write(&line, true, mono);
            }
        }
        if let Output::Sink { sink, .. } = &mut self.output
            && let Some(loss) = sink.take_loss()
        {
            self.reported &= !matches!(loss, Loss::Outage(_));
            let line = self.stamp.loss(self.now.wall, loss);
            // If that fails the file is in trouble again, and the line is kept.
            let _ = sink.write(&line, true, mono);
        }
    }
}

/// The beginning of a line, with the part that lasts a second kept.
struct Stamp {
    secs: i64,
    text: String,
}

impl Stamp {
    /// A line about what is missing.
    fn loss(&mut self, now: Wall, loss: Loss) -> Vec<u8> {
        let mut line = Vec::new();
        self.write(now, Level::Warn, &mut line);
        let _ = match loss {
            Loss::Slow(lost) => {
                writeln!(line, "{lost} bytes of this log were dropped while its reader did not keep up")
            }
            Loss::Outage(lost) => writeln!(line, "this log is written to again; {lost} bytes of it were lost"),
        };
        line
    }

    /// `2026-11-21 02:58:23,123 INFO ` in local time (L-1).
    fn write(&mut self, now: Wall, level: Level, line: &mut Vec<u8>) {
        if now.secs() != self.secs {
            let at = time::local(now.secs());
            self.secs = now.secs();
            self.text = format!(
                "{:04}-{:02}-{:02} {:02}:{:02}:{:02},",
                at.year, at.month, at.day, at.hour, at.minute, at.second
            );
        }
        line.extend_from_slice(self.text.as_bytes());
        let _ = write!(line, "{:03} {} ", now.millis(), level.tag());
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::sys::scratch::Scratch;

    fn lines(path: &str) -> Vec<String> {
        fs::read_to_string(path).unwrap().lines().map(str::to_string).collect()
    }

    fn file(path: &str, level: Level) -> Settings {
        let target = Destination::File { path: path.to_string(), maxbytes: 0, backups: 0 };
        Settings { target, level, echo: false }
    }

    #[test]
    fn the_beginning_of_a_line() {
        // The zone of the machine is not ours to set: shift so that local time is the one in the row.
        let utc = 1_795_229_903;
        let secs = (utc - time::local(utc).offset_secs) as u64;
        let rows = [
            (Wall(secs * 1_000_000_000 + 7_999_999), Level::Info, "2026-11-21 02:58:23,007 INFO "),
            (Wall(secs * 1_000_000_000 + 999_999_999), Level::Critical, "2026-11-21 02:58:23,999 CRIT "),
            (Wall((secs + 1) * 1_000_000_000), Level::Blather, "2026-11-21 02:58:24,000 BLAT "),
            (Wall(secs * 1_000_000_000), Level::Error, "2026-11-21 02:58:23,000 ERRO "),
        ];
        let mut stamp = Stamp { secs: i64::MIN, text: String::new() };
        for (now, level, expected) in rows {
            let mut line = Vec::new();
            stamp.write(now, level, &mut line);
            assert_eq!(String::from_utf8(line).unwrap(), expected);
        }
    }

    // One test: the log is one per process. Other tests may log meanwhile, so only lines of this one are looked at.
    #[test]
    fn the_whole_life_of_the_log() {
        let scratch = Scratch::new("activity");
        let path = scratch.path("log");
        let mine = |path: &str| {
            let all = lines(path).into_iter().filter(|line| line.contains("[life]"));
            // Without the time.
            all.map(|line| line[line.find("[life]").unwrap() - 5..].to_string()).collect::<Vec<_>>()
        };
        open(&file(&path, Level::Warn)).unwrap();
        set_now(Now { wall: Wall(1_795_229_903_500_000_000), ..UNTOLD });
        for level in Level::ALL {
            log::log!(target: level.tag(), level.facade(), "[life] {}", level.config_name());
        }
        log::error!("[life] of another target");
        let expected = ["CRIT [life] critical", "ERRO [life] error", "WARN [life] warn"];
        assert_eq!(mine(&path), expected);
        assert!(lines(&path).iter().any(|line| line.ends_with(":23,500 CRIT [life] critical")), "{:?}", lines(&path));
        assert_eq!((level(), log::max_level() >= LevelFilter::Warn), (Level::Warn, true));

        // Reopened after a move: the message is the last of the old file, at INFO.
        open(&file(&path, Level::Blather)).unwrap();
        assert!(log::log_enabled!(target: "BLAT", log::Level::Trace));
        fs::rename(&path, scratch.path("moved")).unwrap();
        reopen();
        crate::activity!(Blather, "[life] two\nlines");
        assert!(lines(&scratch.path("moved")).iter().any(|line| line.ends_with(" INFO supervisord logreopen")));
        assert_eq!(mine(&path), ["BLAT [life] two"]);
        assert!(lines(&path).contains(&"lines".to_string()));

        // Cleared: the message lands in the deleted file.
        clear().unwrap();
        assert_eq!(mine(&path), [] as [&str; 0]);
        crate::activity!(Info, "[life] after");
        assert_eq!(mine(&path), ["INFO [life] after"]);

        // What cannot be opened leaves the log as it is.
        assert!(open(&file(&scratch.path("no/such"), Level::Info)).is_err());
        crate::activity!(Trace, "[life] still");
        assert_eq!(mine(&path).len(), 2);
        close();
        crate::activity!(Critical, "[life] gone");
        assert_eq!(mine(&path).len(), 2);
        set_now(UNTOLD);
    }
}
