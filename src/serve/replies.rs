//! How replies are written: whole, as errors, refusals and redirections, or begun with a text of a log that follows. Which of
//! them a request gets is decided where it is answered.

use super::complaints::About;
use super::exchange::{AfterRequest, Exchange};
use super::feed::Feed;
use super::text::{Escape, TextFeed};
use crate::rpc::logtext::LogText;
use crate::sys::time;
use crate::web::guard::{self, Refusal};
use crate::web::page;
use crate::wire::http::{Head, Reply, ReplyTo, Status, error_body};

impl Exchange<'_> {
    /// Replies that a password is missing or wrong. The connection is closed, at once or, if the client wants it kept,
    /// by its deadline.
    pub(super) fn demand_password(&mut self, reply_to: ReplyTo) {
        self.write(reply_to, Status::UNAUTHORIZED, |reply| {
            reply.closing().error_page(&[("WWW-Authenticate", "Basic realm=\"default\"")]);
        });
        if reply_to.keep_alive {
            self.conn.refuse(self.now);
        } else {
            self.conn.closing = true;
        }
    }

    /// Replies that this address has given too many wrong passwords.
    pub(super) fn put_off(&mut self, reply_to: ReplyTo) {
        self.refusal(
            reply_to,
            Status::SERVICE_UNAVAILABLE,
            "too many wrong passwords from this address; try again later\n",
        );
        self.conn.closing = true;
    }

    /// An error, with its page.
    pub(super) fn error(&mut self, reply_to: ReplyTo, status: Status) -> AfterRequest {
        self.write(reply_to, status, |reply| reply.error_page(&[]))
    }

    /// Writes a reply whose whole body is known.
    pub(super) fn reply(&mut self, head: &Head<'_>, headers: &[(&str, &str)], body: &[u8]) -> AfterRequest {
        self.write(head.reply_to, Status::OK, |reply| reply.headers(headers).body(body))
    }

    /// A page for people.
    pub(super) fn page(&mut self, head: &Head<'_>, page: &str) -> AfterRequest {
        self.budget.spend_bytes(page.len());
        self.reply(head, &page::headers(head), page.as_bytes())
    }

    /// A reply with a long text of a log between two pieces. How long it is when it is escaped is not known.
    pub(super) fn text(
        &mut self,
        reply_to: ReplyTo,
        headers: &[(&str, &str)],
        (before, after): (Vec<u8>, Vec<u8>),
        text: LogText,
        escape: Escape,
    ) -> AfterRequest {
        let mut body = None;
        self.write(reply_to, Status::OK, |reply| body = Some(reply.headers(headers).stream()));
        // A body is always begun; without one there is nothing to follow.
        let Some(body) = body else { return AfterRequest::Replied };
        // Its end is the end of the connection where there are no chunks.
        let keeps_alive = !self.conn.closing && body.is_chunked;
        self.conn.closing = false;
        body.write(&mut self.conn.output, &before);
        AfterRequest::Feed(Feed::Text(TextFeed { text, escape, after, body, keeps_alive }))
    }

    /// Refuses what another site may have asked a browser for, with a page for people and a line for scripts.
    pub(super) fn forbid(&mut self, head: &Head<'_>, why: Refusal<'_>) -> AfterRequest {
        self.complaints.note(About::Browser, self.now, format_args!("{}: {why}", self.conn.client));
        if !guard::is_browser(head) {
            return self.refusal(head.reply_to, Status::FORBIDDEN, &format!("{why}\n"));
        }
        let page = page::refusal_page(&why.to_string());
        self.write(head.reply_to, Status::FORBIDDEN, |reply| reply.headers(&page::headers(head)).body(page.as_bytes()))
    }

    /// A status with a line of text that says why.
    pub(super) fn refusal(&mut self, reply_to: ReplyTo, status: Status, why: &str) -> AfterRequest {
        self.write(reply_to, status, |reply| {
            reply.header("Content-Type", "text/plain;charset=utf-8").body(why.as_bytes())
        })
    }

    /// Says that no stream more may be open.
    pub(super) fn refuse_feed(&mut self, head: &Head<'_>) -> AfterRequest {
        let why = format!("{} streams of events and logs are open already\n", self.feeds_max);
        self.refusal(head.reply_to, Status::SERVICE_UNAVAILABLE, &why)
    }

    /// A redirection, with its page.
    pub(super) fn moved(&mut self, reply_to: ReplyTo, location: &str) -> AfterRequest {
        self.write(reply_to, Status::MOVED_PERMANENTLY, |reply| reply.error_page(&[("Location", location)]))
    }

    /// Where a finished action sends the browser.
    pub(super) fn redirect(&mut self, reply_to: ReplyTo, location: &str) -> AfterRequest {
        let headers = [
            ("Location", location),
            ("Content-Type", "text/html"),
            ("Pragma", "no-cache"),
            ("Cache-Control", "no-cache"),
            ("Expires", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ];
        let body = error_body(Status::MOVED_PERMANENTLY);
        self.write(reply_to, Status::MOVED_PERMANENTLY, |reply| reply.headers(&headers).body(body.as_bytes()))
    }

    /// Writes a reply as a whole. The connection goes on to the next request or is closed, and at loglevel trace
    /// a line tells what was asked and how it was answered (L-13).
    pub(super) fn write(&mut self, reply_to: ReplyTo, status: Status, write: impl FnOnce(Reply<'_>)) -> AfterRequest {
        let before = self.conn.output.len();
        let reply = Reply::begin(&mut self.conn.output, reply_to, status, self.date);
        let closes = reply.must_close();
        write(reply);
        self.conn.closing |= closes;
        if let Some(asked) = self.conn.asked.take() {
            let client = if self.sites.is_unix(self.conn.server) { "localhost:0" } else { &*self.conn.client };
            let time = time::request_time(self.now.wall.secs());
            let bytes = self.conn.output.len() - before;
            activity!(Trace, "{client} - - [{time}] \"{asked}\" {} {bytes}", status.code());
        }
        AfterRequest::Replied
    }
}
