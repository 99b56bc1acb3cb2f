//! Bytes to values and back. No I/O, no clock, nothing of the layers above.

#![forbid(unsafe_code)]

pub mod ansi;
pub mod auth;
pub mod capture;
pub(crate) mod decimal;
#[cfg(feature = "fleet")]
pub mod dns;
pub mod envfile;
pub mod expand;
#[cfg(feature = "fleet")]
pub mod fleet;
pub mod form;
#[cfg(feature = "fleet")]
pub(crate) mod formula;
pub(crate) mod frame;
pub mod http;
pub mod ini;
pub mod json;
pub mod keyvalue;
pub mod listener;
pub(crate) mod notify;
#[cfg(feature = "fleet")]
pub(crate) mod pattern;
pub(crate) mod prefix;
#[cfg(feature = "fleet")]
pub(crate) mod procfs;
pub mod pyrepr;
pub(crate) mod scan;
pub mod value;
#[cfg(feature = "fleet")]
pub(crate) mod websocket;
pub mod words;
pub mod xmlrpc;
#[cfg(feature = "zmq")]
pub(crate) mod zmtp;
