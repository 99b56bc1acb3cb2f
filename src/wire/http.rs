//! HTTP/1.x: heads, bodies and chunks, for servers and clients.
//!
//! A server finds the end of a head with [`head_len`], reads it with [`parse_head`] in place, reads the body with a
//! [`BodyReader`] (or as a slice, when all of it is there), and answers with a [`Reply`] that knows from [`ReplyTo`]
//! what the request asked of its form. A client feeds what it receives to a [`ResponseReader`]. Nothing here reads a
//! clock or a socket.

mod body;
mod client;
mod date;
mod head;
mod reply;

use std::fmt;

pub use body::{BodyReader, Framing, Progress, StreamBody};
pub use client::{ResponseHead, ResponseReader, write_request};
pub use date::{DateCache, format_date, parse_date};
pub use head::{Head, ReplyTo, Version, head_len, parse_head, reply_to_unreadable, split_target};
pub use reply::{CONTINUE, Reply, Status, error_body};

/// Bytes of a head: four times what browsers send with long cookies.
pub const HEAD_BYTES_MAX: usize = 64 << 10;
/// Headers of a message: browsers behind two proxies send about 30.
pub const HEADERS_MAX: usize = 100;

/// What is wrong with a message. After any of these the connection is of no more use: where the next message begins
/// is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// The request or status line.
    BadLine,
    /// A header, or a bare line feed among them.
    BadHeader,
    /// More than [`HEAD_BYTES_MAX`] bytes or [`HEADERS_MAX`] headers.
    HeadTooLarge,
    /// A `Content-Length` that is no number, or two that differ.
    BadLength,
    /// A `Transfer-Encoding` other than `chunked`, or one beside a `Content-Length`.
    BadEncoding,
    /// A chunk's size line or end.
    BadChunk,
    /// A body beyond its bound.
    BodyTooLarge,
    /// The peer closed before the message was whole.
    Truncated,
}

impl HttpError {
    /// The status that answers it. A length that is no number is 500, as in the original.
    pub fn status(self) -> Status {
        match self {
            HttpError::HeadTooLarge => Status::HEAD_TOO_LARGE,
            HttpError::BadLength => Status::INTERNAL_SERVER_ERROR,
            HttpError::BodyTooLarge => Status::BODY_TOO_LARGE,
            _ => Status::BAD_REQUEST,
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HttpError::BadLine => "malformed first line",
            HttpError::BadHeader => "malformed header",
            HttpError::HeadTooLarge => "too many or too long headers",
            HttpError::BadLength => "malformed Content-Length",
            HttpError::BadEncoding => "unsupported Transfer-Encoding",
            HttpError::BadChunk => "malformed chunk",
            HttpError::BodyTooLarge => "body too large",
            HttpError::Truncated => "connection closed in the middle of a message",
        })
    }
}

impl std::error::Error for HttpError {}
