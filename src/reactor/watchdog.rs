//! The board's watchdog (K-2.9): petted by the loop, so that a loop that stands still is the end of standing still.
//!
//! It is opened once and kept over restarts. Without `hw_watchdog` there is nothing of this, and no wake-up.

use std::time::Duration;

use crate::clock::{Mono, Now};
use crate::config::{Supervisord, WatchdogTime};
use crate::sys::watchdog::Device;

/// How often it is petted within its time.
const PER_TIMEOUT: u32 = 3;

/// The time of a watchdog that does not tell it: the default of most drivers.
const UNKNOWN_TIMEOUT_SECS: i32 = 60;

#[derive(Debug)]
pub struct Watchdog {
    device: Device,
    path: String,
    /// It is stopped at a clean end.
    stops: bool,
    /// Time between two signs of life, and when the next is due.
    pause: Duration,
    due: Mono,
    /// It is not petted any more, for good.
    is_given_up: bool,
    has_failed: bool,
}

impl Watchdog {
    /// Opens the watchdog that the options name; `None` without one. From here on it counts.
    ///
    /// Errors: that it cannot be, for the log.
    pub fn open(options: &Supervisord) -> Result<Option<Watchdog>, String> {
        let Some(path) = options.hw_watchdog.as_ref().map(|path| path.0.clone()) else { return Ok(None) };
        let device = Device::open(&path).map_err(|error| format!("hw_watchdog: {path} cannot be opened: {error}"))?;
        let (pause, due) = (Duration::MAX, Mono(0));
        Ok(Some(Watchdog { device, path, stops: false, pause, due, is_given_up: false, has_failed: false }))
    }

    /// Takes the options of a run that begins. Another device than that which is open is only looked at by the next daemon:
    /// closing the open one could reset the board.
    pub fn begin(&mut self, options: &Supervisord, now: Now) {
        self.stops = options.hw_watchdog_stop;
        let wanted = options.hw_watchdog_timeout.map(|WatchdogTime(time)| time.as_secs() as i32);
        let own = |watchdog: &Watchdog| watchdog.device.timeout().ok();
        let seconds = match wanted.map(|seconds| (seconds, self.device.set_timeout(seconds))) {
            Some((_, Ok(seconds))) => seconds,
            Some((seconds, Err(error))) => {
                activity!(Warn, "hw_watchdog: {} does not take a timeout of {seconds} seconds: {error}", self.path);
                own(self).map_or(seconds, |own| own.min(seconds))
            }
            None => own(self).unwrap_or(UNKNOWN_TIMEOUT_SECS),
        };
        self.pause = Duration::from_secs(u64::try_from(seconds).unwrap_or(0).max(1)) / PER_TIMEOUT;
        let is_named = options.hw_watchdog.as_ref().is_some_and(|path| path.0 == self.path);
        if !is_named {
            activity!(Warn, "hw_watchdog: {} stays open, for closing it could reset the board", self.path);
        }
        activity!(Info, "hw_watchdog: {} is petted every {} seconds", self.path, self.pause.as_secs_f64());
        self.pet(now);
    }

    /// When it is to be petted.
    pub(super) fn deadline(&self) -> Option<Mono> {
        (!self.is_given_up).then_some(self.due)
    }

    /// Pets it if that is due. Not any more, for good, once an essential program is `lost` whose end does not end the daemon.
    pub fn look(&mut self, lost: Option<&str>, now: Now) {
        if self.is_given_up {
            return;
        }
        if let Some(name) = lost {
            activity!(Error, "hw_watchdog: {name} gave up, so {} is petted no more", self.path);
            self.is_given_up = true;
        } else if self.due <= now.mono {
            self.pet(now);
        }
    }

    fn pet(&mut self, now: Now) {
        if self.is_given_up {
            return;
        }
        self.due = now.mono.after(self.pause);
        match self.device.pet() {
            Ok(()) => self.has_failed = false,
            Err(error) if !self.has_failed => {
                self.has_failed = true;
                activity!(Error, "hw_watchdog: {} cannot be petted: {error}", self.path);
            }
            Err(_) => {}
        }
    }

    /// A clean end: it is stopped if that is wanted, else it goes on counting.
    pub fn end(self) {
        if self.stops && !self.is_given_up {
            let _ = self.device.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Wall;
    use crate::config::datatypes::DevicePath;
    use crate::sys::scratch::Scratch;

    const SECOND: u64 = 1_000_000_000;

    fn at(second: f64) -> Now {
        Now { mono: Mono((second * SECOND as f64) as u64), wall: Wall(0) }
    }

    fn options(path: &str, timeout: Option<u64>, stops: bool) -> Supervisord {
        let mut options = Supervisord::defaults(None).unwrap();
        options.hw_watchdog = Some(DevicePath(path.to_string()));
        options.hw_watchdog_timeout = timeout.map(|seconds| WatchdogTime(Duration::from_secs(seconds)));
        options.hw_watchdog_stop = stops;
        options
    }

    #[test]
    fn k_2_9_petted_every_third_of_its_time() {
        let scratch = Scratch::new("watchdog");
        let path = scratch.path("device");
        // An ordinary file knows no timeout: the one that is configured counts.
        for (timeout, pause) in [(Some(3), 1), (Some(30), 10), (None, 20)] {
            std::fs::write(&path, "").unwrap();
            let options = options(&path, timeout, false);
            let mut watchdog = Watchdog::open(&options).unwrap().unwrap();
            watchdog.begin(&options, at(100.0));
            let rows = [(0.5, 1), (0.99, 1), (1.0, 2), (1.5, 2), (2.0, 3), (9.0, 4), (9.5, 4)];
            for (pauses, count) in rows {
                watchdog.look(None, at(100.0 + pauses * f64::from(pause)));
                assert_eq!(std::fs::read(&path).unwrap(), vec![0; count], "{timeout:?} after {pauses}");
            }
            assert_eq!(watchdog.deadline(), Some(at(100.0 + 10.0 * f64::from(pause)).mono));
        }
    }

    #[test]
    fn k_2_9_stopped_only_when_that_is_wanted_and_never_for_the_lost() {
        let scratch = Scratch::new("watchdog-end");
        let path = scratch.path("device");
        for (stops, lost, expected) in
            [(false, None, &b"\0"[..]), (true, None, b"\0V"), (false, Some("a"), b"\0"), (true, Some("a"), b"\0")]
        {
            std::fs::write(&path, "").unwrap();
            let options = options(&path, Some(3), stops);
            let mut watchdog = Watchdog::open(&options).unwrap().unwrap();
            watchdog.begin(&options, at(1.0));
            watchdog.look(lost, at(1.5));
            if lost.is_some() {
                // For good: what is well again later, and a restart, change nothing.
                watchdog.look(None, at(100.0));
                watchdog.begin(&options, at(200.0));
                assert_eq!(watchdog.deadline(), None);
            }
            watchdog.end();
            assert_eq!(std::fs::read(&path).unwrap(), expected, "{stops} {lost:?}");
        }
    }

    #[test]
    fn k_2_9_one_that_cannot_be_opened_is_made_by_nobody() {
        let scratch = Scratch::new("watchdog-none");
        let path = scratch.path("device");
        let error = Watchdog::open(&options(&path, None, false)).unwrap_err();
        assert!(error.starts_with("hw_watchdog: ") && error.contains("No such file"), "{error}");
        assert!(!std::path::Path::new(&path).exists());
        assert!(Watchdog::open(&Supervisord::defaults(None).unwrap()).unwrap().is_none());
    }
}
