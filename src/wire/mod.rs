//! Bytes to values and back. No I/O, no clock, nothing of the layers above.

#![forbid(unsafe_code)]

pub mod ansi;
pub mod auth;
pub mod capture;
pub mod decimal;
pub mod envfile;
pub mod expand;
pub mod form;
pub mod frame;
pub mod http;
pub mod ini;
pub mod json;
pub mod keyvalue;
pub mod listener;
pub mod notify;
pub mod prefix;
pub mod pyrepr;
pub mod scan;
pub mod value;
pub mod words;
pub mod xmlrpc;
