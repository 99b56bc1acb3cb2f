//! One request and its reply: what is asked, and what is answered to it. How replies are written stands in
//! `replies.rs`.

use super::complaints::Complaints;
use super::conn::Conn;
use super::deferred::{Dialect, Finished, Work};
use super::events::{self, EventFeed};
use super::feed::Feed;
#[cfg(feature = "fleet")]
use super::fleet_live::FleetLive;
use super::follow::{self, LogFeed};
use super::live::Live;
use super::part;
#[cfg(feature = "fleet")]
use super::peers::{SWITCHING, asks_for_fleet};
#[cfg(feature = "fleet")]
use super::published::{self, PublishedFeed};
use super::route::{self, Handler};
use super::scrape::Scrape;
use super::sites::Sites;
#[cfg(feature = "fleet")]
use super::sites::Speech;
use super::text::Escape;
use crate::clock::Now;
use crate::daemon::logplace::LogPlace;
use crate::daemon::{Daemon, Host};
use crate::id::ConnId;
use crate::model::histogram::Histogram;
use crate::rpc::budget::{Budget, CALL_US};
use crate::rpc::{self, Answer, Context, Extensions, Outcome, Registry};
use crate::web::guard::Refusal;
use crate::web::metrics::Format;
use crate::web::{action, guard, page};
use crate::wire::form::{Form, unquote};
use crate::wire::http::{Head, Reply, ReplyTo, Status, format_date, split_target};
use crate::wire::pyrepr;
#[cfg(feature = "fleet")]
use crate::wire::websocket;
use crate::wire::xmlrpc::{Call, CallMemo, DecodeError, Decoded, RESPONSE_BEGIN, RESPONSE_END, has_memory_for};

/// Bytes of a body that a line of the log shows; more would bury the rest of it.
const SHOWN_BYTES_MAX: usize = 1024;

/// How many times a byte of a call costs what a byte of an answer does.
const DECODING_COST: usize = 2;

/// What answering a request takes.
pub(super) struct Exchange<'a> {
    pub(super) daemon: &'a mut Daemon,
    pub(super) host: &'a mut dyn Host,
    pub(super) registry: &'a Registry,
    pub(super) extensions: &'a mut Extensions,
    pub(super) sites: &'a Sites,
    pub(super) memo: &'a mut CallMemo,
    pub(super) id: ConnId,
    pub(super) conn: &'a mut Conn,
    /// The text of the present date.
    pub(super) date: &'a str,
    pub(super) now: Now,
    /// Lines that clients can cause.
    pub(super) complaints: &'a mut Complaints,
    /// What may still be done in this turn.
    pub(super) budget: &'a mut Budget,
    /// Whether a feed without an end may begin.
    pub(super) has_room_for_feed: bool,
    /// How many of them there may be.
    pub(super) feeds_max: usize,
    /// How many connections there are.
    pub(super) connections: usize,
    /// What is kept for pages that are open.
    pub(super) live: &'a mut Live,
    /// The same for pages of the fleet.
    #[cfg(feature = "fleet")]
    pub(super) fleet_live: &'a mut FleetLive,
    /// How long turns take, where figures are given out.
    pub(super) turns: Option<&'a Histogram>,
}

/// What becomes of the connection.
pub(super) enum AfterRequest {
    /// The reply is written; the next request may be taken.
    Replied,
    Deferred(Work),
    /// The connection is served by a feed from now on.
    Feed(Feed),
    /// It is the fleet's from now on.
    #[cfg(feature = "fleet")]
    Peer,
}

/// A request whose body has arrived.
pub(super) struct Request<'a> {
    pub(super) head: &'a Head<'a>,
    /// The path of the request, unquoted, without its query.
    pub(super) path: String,
    pub(super) query: &'a str,
    pub(super) body: Option<&'a [u8]>,
}

/// A body that is shorter is never the reason that memory is short.
const SMALL_BODY_BYTES: usize = 16 * 1024;

impl Exchange<'_> {
    /// Answers a request, or lets its reply wait.
    pub(super) fn answer(&mut self, head: &Head<'_>, body: Option<&[u8]>) -> AfterRequest {
        self.budget.spend(CALL_US);
        // Without memory for what a body takes, what takes it next would end the daemon (K-9).
        if body.is_some_and(|body| body.len() > SMALL_BODY_BYTES && !has_memory_for(body)) {
            return self.give_up();
        }
        let (path, query) = split_target(head.target);
        if let Some(refusal) = self.sites.refusal(self.conn.server, head) {
            return self.forbid(head, refusal);
        }
        #[cfg(feature = "fleet")]
        if self.sites.speaks(self.conn.server) == Speech::WebSocket {
            return self.websocket(head, path);
        }
        #[cfg(feature = "fleet")]
        if self.sites.speaks(self.conn.server) == Speech::Fleet && !asks_for_fleet(head) {
            return self.error(head.reply_to, Status::NOT_FOUND);
        }
        // The case that matters for speed allocates nothing for its path.
        if path == "/RPC2" {
            return self.rpc(head, body);
        }
        let request = Request { head, path: unquote(path), query, body };
        let handler = route::handler(&request.path);
        if head.method == "POST" && body.is_none() && matches!(handler, Handler::Index | Handler::Tail | Handler::Ok) {
            return self.error(head.reply_to, Status::LENGTH_REQUIRED);
        }
        match handler {
            Handler::Rpc => self.rpc(head, body),
            Handler::Logtail => self.logtail(&request),
            Handler::MainLogtail => self.mainlogtail(&request),
            Handler::Events => self.events(head, query),
            Handler::Live => self.live(head),
            #[cfg(feature = "fleet")]
            Handler::FleetEvents if self.daemon.config.is_in_fleet() => self.fleet_events(head, query),
            #[cfg(feature = "fleet")]
            Handler::FleetPage if self.daemon.config.is_in_fleet() => self.fleet_page(&request),
            #[cfg(feature = "fleet")]
            Handler::FleetLive if self.daemon.config.is_in_fleet() => self.fleet_live(head),
            #[cfg(feature = "fleet")]
            Handler::Rest if self.daemon.config.is_in_fleet() => self.rest(head, query, body),
            Handler::LogPart => self.log_part(&request),
            Handler::Metrics if self.turns.is_some() && matches!(head.method, "GET" | "HEAD") => self.metrics(head),
            #[cfg(feature = "fleet")]
            Handler::Fleet if asks_for_fleet(head) => self.fleet(&request),
            Handler::Index => self.index(&request),
            Handler::Tail => self.tail(&request),
            Handler::Ok if is_page_method(head) => {
                self.reply(head, &[("Content-Type", page::OK_TYPE)], page::OK_BODY.as_bytes())
            }
            Handler::Ok
            | Handler::Metrics
            | Handler::Fleet
            | Handler::FleetEvents
            | Handler::FleetPage
            | Handler::FleetLive
            | Handler::Rest
            | Handler::Static => self.static_file(&request),
        }
    }

    /// Replies with what came of work that had to wait.
    pub(super) fn finish(&mut self, reply_to: ReplyTo, finished: Finished) -> AfterRequest {
        match finished {
            Finished::Call(done, dialect) => self.answer_call(reply_to, dialect, done),
            Finished::Decoded(Ok(call), _) => self.call(reply_to, Dialect::Xml, &call),
            Finished::Decoded(Err(DecodeError::NoMemory), _) => self.give_up(),
            Finished::Decoded(Err(error), body) => self.no_call(reply_to, &error, &body),
            Finished::Page { host, message } => self.redirect(reply_to, &action::location(host.as_deref(), &message)),
            #[cfg(feature = "gzip")]
            Finished::Packed(headers, page) => {
                self.budget.spend_bytes(page.len());
                self.write(reply_to, Status::OK, |reply| reply.headers(&headers).body(&page))
            }
            #[cfg(feature = "fleet")]
            Finished::Json(json) => self.converted(reply_to, json),
            Finished::Metrics(scrape) => {
                let Some(turns) = self.turns else { return self.error(reply_to, Status::NOT_FOUND) };
                let text = scrape.text(self.daemon, self.connections, turns, self.host);
                self.budget.spend_bytes(text.len());
                self.write(reply_to, Status::OK, |reply| {
                    reply.header("Content-Type", scrape.format.content_type()).body(text.as_bytes());
                })
            }
        }
    }

    /// A call of XML-RPC.
    fn rpc(&mut self, head: &Head<'_>, body: Option<&[u8]>) -> AfterRequest {
        if head.method != "POST" {
            return self.error(head.reply_to, Status::BAD_REQUEST);
        }
        let Some(body) = body else { return self.error(head.reply_to, Status::LENGTH_REQUIRED) };
        // A page of another site can make a browser post XML without asking first.
        if guard::may_be_forged(head) {
            return self.forbid(head, Refusal::OtherSite);
        }
        match self.memo.begin(body) {
            Ok(Decoded::Call(call)) => {
                self.budget.spend_bytes(DECODING_COST * body.len());
                self.call(head.reply_to, Dialect::Xml, &call)
            }
            Ok(Decoded::UnderWay(decoder)) => AfterRequest::Deferred(Work::Decoding(decoder)),
            Err(error) => self.no_call(head.reply_to, &error, body),
        }
    }

    /// Closes the connection for want of memory: whoever is at the other end can come again.
    fn give_up(&mut self) -> AfterRequest {
        self.conn.give_up();
        AfterRequest::Replied
    }

    /// What a call should be decoded from, but is none.
    fn no_call(&mut self, reply_to: ReplyTo, error: &DecodeError, body: &[u8]) -> AfterRequest {
        let why = if *error == DecodeError::NoMethodName { "no method name" } else { "unmarshallable" };
        activity!(Error, "XML-RPC request data {} is invalid: {why}", shown(body));
        activity!(Debug, "{error}");
        self.error(reply_to, Status::BAD_REQUEST)
    }

    /// Carries out a call.
    pub(super) fn call(&mut self, reply_to: ReplyTo, dialect: Dialect, call: &Call) -> AfterRequest {
        let method = &call.method;
        let before = self.daemon.activity.last();
        let outcome = rpc::call(&mut self.context(method), method, &call.params);
        self.daemon.attribute(before, &self.conn.client, method);
        // An answer that waits counts as returned: what becomes of it is not logged (L-14).
        match &outcome {
            Ok(_) => activity!(Trace, "XML-RPC method {method}() returned successfully"),
            Err(fault) => activity!(Trace, "XML-RPC method {method}() returned fault: [{}] {fault}", fault.code as i32),
        }
        match outcome {
            Ok(Outcome::Deferred(deferred)) => AfterRequest::Deferred(Work::Call(deferred, method.clone(), dialect)),
            Ok(Outcome::Now(answer)) => self.answer_call(reply_to, dialect, Ok(answer)),
            Err(fault) => self.answer_call(reply_to, dialect, Err(fault)),
        }
    }

    /// What a call that came by this connection works with.
    pub(super) fn context<'b>(&'b mut self, method: &'b str) -> Context<'b> {
        Context {
            daemon: self.daemon,
            host: self.host,
            now: self.now,
            registry: self.registry,
            extensions: self.extensions,
            client: &self.conn.client,
            method,
            budget: self.budget,
        }
    }

    /// The reply to a call.
    fn answer_call(&mut self, reply_to: ReplyTo, dialect: Dialect, done: rpc::Done) -> AfterRequest {
        match dialect {
            Dialect::Xml => {}
            #[cfg(feature = "fleet")]
            Dialect::Json => return self.answer_rest(reply_to, done),
        }
        if let Ok(Answer::CutCharacter) = done {
            return self.error(reply_to, Status::INTERNAL_SERVER_ERROR);
        }
        if let Ok(Answer::Log(answer)) = done {
            let before = [RESPONSE_BEGIN.as_bytes(), &answer.before].concat();
            let after = [&answer.after, RESPONSE_END.as_bytes()].concat();
            return self.text(reply_to, &[("Content-Type", "text/xml")], (before, after), answer.text, Escape::Xml);
        }
        rpc::with_document(&done, |pieces| {
            self.write(reply_to, Status::OK, |reply| reply.header("Content-Type", "text/xml").body_of(pieces))
        })
    }

    fn logtail(&mut self, request: &Request<'_>) -> AfterRequest {
        let name = request.path.strip_prefix("/logtail");
        let target = name.and_then(|rest| follow::child_log(self.daemon, rest));
        self.follow(request.head, target)
    }

    fn mainlogtail(&mut self, request: &Request<'_>) -> AfterRequest {
        let target = follow::main_log(self.daemon);
        self.follow(request.head, target)
    }

    /// Begins to follow a log; 404 without a file.
    fn follow(&mut self, head: &Head<'_>, target: Option<follow::Followed>) -> AfterRequest {
        if head.method != "GET" {
            return self.error(head.reply_to, Status::BAD_REQUEST);
        }
        let Some(target) = target else { return self.error(head.reply_to, Status::NOT_FOUND) };
        let Ok(extent) = self.daemon.log_extent(&target.place, self.host) else {
            return self.error(head.reply_to, Status::NOT_FOUND);
        };
        if !self.has_room_for_feed {
            return self.refuse_feed(head);
        }
        let modified = match &target.place {
            LogPlace::File(path) => self.host.file_modified(path),
            LogPlace::Memory(..) => None,
        };
        let modified = format_date(modified.unwrap_or(self.now.wall.secs()));
        let mut reply = Reply::begin(&mut self.conn.output, head.reply_to, Status::OK, self.date)
            .header("Last-Modified", &modified)
            .header("Content-Type", "text/plain;charset=utf-8");
        if target.is_child {
            // What makes tail -f work through nginx.
            reply = reply.header("X-Accel-Buffering", "no");
        }
        let body = reply.stream();
        let mut feed = LogFeed::begin(self.id, target.place, extent, body, self.daemon, self.host);
        feed.feed(self.id, &mut self.conn.output, self.budget, self.daemon, self.host);
        AfterRequest::Feed(Feed::Log(feed))
    }

    /// Begins a stream of events; 400 for an event type that does not exist, 403 for a page of another site.
    fn events(&mut self, head: &Head<'_>, query: &str) -> AfterRequest {
        if !matches!(head.method, "GET" | "HEAD") {
            return self.write(head.reply_to, Status::METHOD_NOT_ALLOWED, |reply| {
                reply.error_page(&[("Allow", "GET, HEAD")]);
            });
        }
        // It could not read the stream, but each costs a connection and the work for it.
        if guard::is_cross_site(head) {
            return self.forbid(head, Refusal::OtherSite);
        }
        let mask = match events::wanted(query, self.daemon.config.is_in_fleet()) {
            Ok(mask) => mask,
            Err(unknown) => {
                return self.refusal(head.reply_to, Status::BAD_REQUEST, &format!("unknown event type: {unknown}\n"));
            }
        };
        if head.method == "HEAD" {
            return self.write(head.reply_to, Status::OK, |reply| {
                reply.headers(events::HEADERS).stream();
            });
        }
        if !self.has_room_for_feed {
            return self.refuse_feed(head);
        }
        let reply = Reply::begin(&mut self.conn.output, head.reply_to, Status::OK, self.date);
        AfterRequest::Feed(Feed::Events(EventFeed::new(mask, reply.headers(events::HEADERS).stream())))
    }

    /// Begins the stream of a page that is open.
    fn live(&mut self, head: &Head<'_>) -> AfterRequest {
        if head.method != "GET" {
            return self.write(head.reply_to, Status::METHOD_NOT_ALLOWED, |reply| {
                reply.error_page(&[("Allow", "GET")]);
            });
        }
        if guard::is_cross_site(head) {
            return self.forbid(head, Refusal::OtherSite);
        }
        if !self.has_room_for_feed {
            return self.refuse_feed(head);
        }
        let reply = Reply::begin(&mut self.conn.output, head.reply_to, Status::OK, self.date);
        let body = reply.headers(events::HEADERS).stream();
        AfterRequest::Feed(Feed::Live(self.live.feed(head.last_event_id, self.daemon, body, self.now)))
    }

    /// Begins a stream of what a fleet publishes.
    #[cfg(feature = "fleet")]
    fn fleet_events(&mut self, head: &Head<'_>, query: &str) -> AfterRequest {
        if head.method != "GET" {
            return self.write(head.reply_to, Status::METHOD_NOT_ALLOWED, |reply| {
                reply.error_page(&[("Allow", "GET")]);
            });
        }
        if guard::is_cross_site(head) {
            return self.forbid(head, Refusal::OtherSite);
        }
        let wants = match published::of_query(query) {
            Ok(wants) => wants,
            Err(unknown) => {
                return self.refusal(head.reply_to, Status::BAD_REQUEST, &format!("unknown type: {unknown}\n"));
            }
        };
        if !self.has_room_for_feed {
            return self.refuse_feed(head);
        }
        let reply = Reply::begin(&mut self.conn.output, head.reply_to, Status::OK, self.date);
        let body = reply.headers(events::HEADERS).stream();
        AfterRequest::Feed(Feed::Published(PublishedFeed::server_sent(wants, body)))
    }

    /// Begins the same over WebSocket, on the port for that (V-505). A page of another host may not read where the port is not
    /// open to everybody.
    #[cfg(feature = "fleet")]
    fn websocket(&mut self, head: &Head<'_>, path: &str) -> AfterRequest {
        let is_upgrade = head.upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"));
        let Some(key) = head.websocket_key.filter(|_| is_upgrade && head.method == "GET") else {
            return self.refusal(head.reply_to, Status::BAD_REQUEST, "this port is for WebSocket\n");
        };
        let is_open = self.daemon.config.stheno.as_ref().is_some_and(|stheno| stheno.open_event_port);
        if !is_open && guard::is_other_host(head) {
            return self.forbid(head, Refusal::OtherSite);
        }
        if !self.has_room_for_feed {
            return self.refuse_feed(head);
        }
        self.conn.output.extend_from_slice(websocket::accept(key).as_bytes());
        AfterRequest::Feed(Feed::Published(PublishedFeed::websocket(published::of_path(&unquote(path)))))
    }

    /// A part of a log, for who reads on from where it was.
    fn log_part(&mut self, request: &Request<'_>) -> AfterRequest {
        let head = request.head;
        if !matches!(head.method, "GET" | "HEAD") {
            return self.error(head.reply_to, Status::METHOD_NOT_ALLOWED);
        }
        if guard::is_cross_site(head) {
            return self.forbid(head, Refusal::OtherSite);
        }
        let form = Form::parse(request.query, b"");
        let Some(logs) = part::logs(self.daemon, &form) else {
            return self.refusal(head.reply_to, Status::NOT_FOUND, "no such log\n");
        };
        let Some(part) = part::read(&logs, &form, self.daemon, self.host) else {
            return self.refusal(head.reply_to, Status::NOT_FOUND, "there is no file\n");
        };
        self.budget.spend_bytes(part.bytes.len());
        let mut headers = vec![
            ("Content-Type", "text/plain;charset=utf-8"),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Stheno-Log", &*part.place),
        ];
        headers.extend(part.order.as_deref().map(|order| ("Stheno-Order", order)));
        self.reply(head, &headers, &part.bytes)
    }

    /// Lets another instance begin to prove who it is; 503 while too many do.
    #[cfg(feature = "fleet")]
    fn fleet(&mut self, request: &Request<'_>) -> AfterRequest {
        match self.extensions.fleet.as_ref().map(|fleet| &fleet.peers) {
            Some(peers) if peers.takes_strangers() => {
                self.conn.output.extend_from_slice(SWITCHING.as_bytes());
                AfterRequest::Peer
            }
            Some(peers) if peers.is_open() => {
                // It has given no password: nothing is kept for it.
                let reply_to = ReplyTo { keep_alive: false, ..request.head.reply_to };
                self.error(reply_to, Status::SERVICE_UNAVAILABLE)
            }
            _ => self.static_file(request),
        }
    }

    /// Figures for machines, once they are collected; 403 for a page of another site, which could not read them.
    fn metrics(&mut self, head: &Head<'_>) -> AfterRequest {
        if guard::is_cross_site(head) {
            return self.forbid(head, Refusal::OtherSite);
        }
        let mut scrape = Scrape::new(self.daemon, Format::of(head.accept));
        if scrape.advance(self.daemon, self.now, self.host) {
            return self.finish(head.reply_to, Finished::Metrics(scrape));
        }
        AfterRequest::Deferred(Work::Metrics(scrape))
    }
}

/// How pages are asked for.
pub(super) fn is_page_method(head: &Head<'_>) -> bool {
    matches!(head.method, "GET" | "HEAD" | "POST")
}

/// What of a body a line of the log shows.
fn shown(body: &[u8]) -> String {
    let start = &body[..body.len().min(SHOWN_BYTES_MAX)];
    match std::str::from_utf8(start) {
        Ok(text) => pyrepr::text(text),
        Err(_) => pyrepr::bytes(start),
    }
}
