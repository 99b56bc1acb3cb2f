//! The mio loop: every polled descriptor and the clock.
