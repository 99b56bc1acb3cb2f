//! What a request asks for, and its reply.
//!
//! Every route stands in one table, and all are behind the same authentication, which is decided before the table is
//! looked at.

use super::conn::{Phase, Waiting, Work};
use super::task::Task;
use super::{Service, Site, follow};
use crate::clock::Now;
use crate::config::{Credentials, ServerAddress};
use crate::daemon::Host;
use crate::daemon::info::info;
use crate::id::ConnId;
use crate::rpc::{self, Context, Outcome};
use crate::sys::time;
use crate::web::{action, files, guard, page};
use crate::wire::form::{Form, unquote};
use crate::wire::http::{Head, Reply, ReplyTo, Status, error_body, format_date, split_target};
use crate::wire::xmlrpc::DecodeError;
use crate::wire::{auth, pyrepr};

/// Who handles a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handler {
    /// XML-RPC.
    Rpc,
    /// A child's log, followed.
    Logtail,
    /// The activity log, followed.
    MainLogtail,
    /// Events, as they happen.
    Events,
    /// The status page.
    Index,
    /// The page with the end of a log.
    Tail,
    /// `OK`.
    Ok,
    /// The static tree.
    Static,
}

/// The route table: the first match wins. `true` matches every path that begins so.
pub const ROUTES: &[(&str, bool, Handler)] = &[
    ("/RPC2", true, Handler::Rpc),
    ("/logtail", true, Handler::Logtail),
    ("/mainlogtail", true, Handler::MainLogtail),
    ("/events", false, Handler::Events),
    ("/", false, Handler::Index),
    ("/index.html", false, Handler::Index),
    ("/tail.html", false, Handler::Tail),
    ("/ok.html", false, Handler::Ok),
    ("", true, Handler::Static),
];

/// Bytes of a body that a line of the log shows; more would bury the rest of it.
const SHOWN_BYTES_MAX: usize = 1024;

/// A request whose body has arrived.
struct Request<'a> {
    head: &'a Head<'a>,
    /// Unquoted path.
    path: String,
    query: &'a str,
    body: Option<&'a [u8]>,
}

/// Whether a request may pass a server's authentication.
pub(super) fn is_authorized(credentials: Option<&Credentials>, head: &Head<'_>) -> bool {
    credentials.is_none_or(|expected| auth::is_authorized(head.authorization, &expected.username, &expected.password))
}

impl Service {
    /// Answers a request, or lets its reply wait.
    pub(super) fn route(&mut self, id: ConnId, head: &Head<'_>, body: Option<&[u8]>, now: Now, host: &mut dyn Host) {
        let (path, query) = split_target(head.target);
        // The case that matters for speed allocates nothing for its path.
        if path == "/RPC2" {
            return self.rpc(id, head, body, now, host);
        }
        let path = unquote(path);
        let request = Request { head, path, query, body };
        let found =
            ROUTES.iter().find(
                |(pattern, begins, _)| {
                    if *begins { request.path.starts_with(pattern) } else { request.path == *pattern }
                },
            );
        let handler = found.map_or(Handler::Static, |(_, _, handler)| *handler);
        if head.method == "POST" && body.is_none() && matches!(handler, Handler::Index | Handler::Tail | Handler::Ok) {
            return self.error(id, head.reply_to, Status::LENGTH_REQUIRED, now);
        }
        match handler {
            Handler::Rpc => self.rpc(id, head, body, now, host),
            Handler::Logtail => self.logtail(id, &request, now, host),
            Handler::MainLogtail => self.mainlogtail(id, &request, now, host),
            Handler::Events => self.open_stream(id, head, query, now),
            Handler::Index => self.index(id, &request, now, host),
            Handler::Tail => self.tail(id, &request, now, host),
            Handler::Ok if is_page_method(head) => {
                self.reply(id, head, now, Status::OK, &[("Content-Type", page::OK_TYPE)], page::OK_BODY.as_bytes());
            }
            Handler::Ok | Handler::Static => self.static_file(id, &request, now),
        }
    }

    /// A call of XML-RPC.
    fn rpc(&mut self, id: ConnId, head: &Head<'_>, body: Option<&[u8]>, now: Now, host: &mut dyn Host) {
        if head.method != "POST" {
            return self.error(id, head.reply_to, Status::BAD_REQUEST, now);
        }
        let Some(body) = body else { return self.error(id, head.reply_to, Status::LENGTH_REQUIRED, now) };
        // A page of another site can make a browser post XML without asking first.
        if self.is_cross_site(head) {
            return self.error(id, head.reply_to, Status::FORBIDDEN, now);
        }
        let call = match self.memo.decode(body) {
            Ok(call) => call,
            Err(error) => {
                let why = if error == DecodeError::NoMethodName { "no method name" } else { "unmarshallable" };
                activity!(Error, "XML-RPC request data {} is invalid: {why}", shown(body));
                activity!(Debug, "{error}");
                return self.error(id, head.reply_to, Status::BAD_REQUEST, now);
            }
        };
        let Some(conn) = self.conns.get(&id) else { return };
        let peer = conn.peer.clone();
        let mut context = Context {
            daemon: &mut self.daemon,
            host,
            now,
            registry: &self.registry,
            peer: &peer,
            method: &call.method,
        };
        let method = &call.method;
        let outcome = rpc::call(&mut context, method, &call.params);
        // An answer that waits counts as returned: what becomes of it is not logged (L-14).
        match &outcome {
            Ok(_) => activity!(Trace, "XML-RPC method {method}() returned successfully"),
            Err(fault) => activity!(Trace, "XML-RPC method {method}() returned fault: [{}] {fault}", fault.code as i32),
        }
        match outcome {
            Ok(Outcome::Later(pending)) => {
                let work = Work::Call(pending, call.method.clone());
                self.wait(id, Waiting { reply_to: head.reply_to, work });
                // One that came from behind another reply stands on no list of this turn any more.
                self.unsettled = true;
            }
            Ok(Outcome::Now(answer)) => self.answer_call(id, head.reply_to, &Ok(answer), now),
            Err(fault) => self.answer_call(id, head.reply_to, &Err(fault), now),
        }
    }

    /// Whether a browser was made to send this by another site. Only browsers are held to our own names: scripts may
    /// call us what they like.
    pub(super) fn is_cross_site(&self, head: &Head<'_>) -> bool {
        let names: &[String] = if guard::is_browser(head) { &self.own_hosts } else { &[] };
        guard::is_cross_site(head, names)
    }

    /// Lets a reply wait for something to happen.
    pub(super) fn wait(&mut self, id: ConnId, waiting: Waiting) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.phase = Phase::Waiting(Box::new(waiting));
            self.waiting.insert(id);
        }
    }

    /// The reply to a call.
    pub(super) fn answer_call(&mut self, id: ConnId, reply_to: ReplyTo, done: &rpc::Done, now: Now) {
        rpc::with_document(done, |pieces| {
            self.answer(id, reply_to, now, Status::OK, |reply| {
                reply.header("Content-Type", "text/xml").body_of(pieces);
            });
        });
    }

    /// A whole reply.
    fn reply(&mut self, id: ConnId, head: &Head<'_>, now: Now, status: Status, headers: &[(&str, &str)], body: &[u8]) {
        self.answer(id, head.reply_to, now, status, |reply| reply.headers(headers).body(body));
    }

    /// An error, with its page.
    pub(super) fn error(&mut self, id: ConnId, reply_to: ReplyTo, status: Status, now: Now) {
        self.answer(id, reply_to, now, status, |reply| reply.error_page(&[]));
    }

    /// A redirection, with its page.
    fn moved(&mut self, id: ConnId, reply_to: ReplyTo, location: &str, now: Now) {
        self.answer(id, reply_to, now, Status::MOVED_PERMANENTLY, |reply| {
            reply.error_page(&[("Location", location)]);
        });
    }

    /// Gives a reply as a whole. The connection goes on to the next request or is closed, and at loglevel trace
    /// a line tells what was asked and how it was answered (L-13).
    pub(super) fn answer(
        &mut self,
        id: ConnId,
        reply_to: ReplyTo,
        now: Now,
        status: Status,
        write: impl FnOnce(Reply<'_>),
    ) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let before = conn.output.len();
        let reply = Reply::begin(&mut conn.output, reply_to, status, self.dates.at(now.wall.secs()));
        let closes = reply.must_close();
        write(reply);
        conn.closing |= closes;
        if let Some(asked) = conn.asked.take() {
            let address = self.sites.get(conn.server).map(|site| &site.address);
            let peer = if let Some(ServerAddress::Unix { .. }) = address { "localhost:0" } else { &*conn.peer };
            let (time, bytes) = (time::request_time(now.wall.secs()), conn.output.len() - before);
            activity!(Trace, "{peer} - - [{time}] \"{asked}\" {} {bytes}", status.code());
        }
        self.dirty.push(id);
    }

    fn logtail(&mut self, id: ConnId, request: &Request<'_>, now: Now, host: &mut dyn Host) {
        if request.head.method != "GET" {
            return self.error(id, request.head.reply_to, Status::BAD_REQUEST, now);
        }
        let target = request.path.strip_prefix("/logtail").and_then(|rest| follow::child_log(&self.daemon, rest));
        match target {
            Some(target) => self.follow(id, request.head, target, now, host),
            None => self.error(id, request.head.reply_to, Status::NOT_FOUND, now),
        }
    }

    fn mainlogtail(&mut self, id: ConnId, request: &Request<'_>, now: Now, host: &mut dyn Host) {
        if request.head.method != "GET" {
            return self.error(id, request.head.reply_to, Status::BAD_REQUEST, now);
        }
        match follow::main_log(&self.daemon) {
            Some(target) => self.follow(id, request.head, target, now, host),
            None => self.error(id, request.head.reply_to, Status::NOT_FOUND, now),
        }
    }

    /// The status page, and the actions of its links.
    fn index(&mut self, id: ConnId, request: &Request<'_>, now: Now, host: &mut dyn Host) {
        let head = request.head;
        if !is_page_method(head) {
            return self.static_file(id, request, now);
        }
        let form = Form::parse(request.query, request.body.unwrap_or_default());
        match action::Action::of(&form) {
            Err(action::UnknownAction) => self.error(id, head.reply_to, Status::INTERNAL_SERVER_ERROR, now),
            Ok(Some(action)) if action.changes() && self.is_cross_site(head) => {
                activity!(Warn, "refused an action of the web page that another site asked for");
                self.error(id, head.reply_to, Status::FORBIDDEN, now);
            }
            Ok(Some(action)) => {
                let task = Task::new(action, head.host);
                self.wait(id, Waiting { reply_to: head.reply_to, work: Work::Task(task) });
                self.answer_one(id, now, host);
            }
            Ok(None) => {
                let ctime = host.local_ctime(now.wall.secs());
                let year = ctime.rsplit(' ').next().and_then(|year| year.parse().ok()).unwrap_or_default();
                let page = self.index_page(form.get("message"), year, now, host);
                self.page(id, head, now, &page);
            }
        }
    }

    fn index_page(&self, message: Option<&str>, year: i32, now: Now, host: &mut dyn Host) -> String {
        let infos: Vec<_> =
            self.daemon.processes_by_name().map(|(_, group, process)| info(group, process, now, host)).collect();
        let mut rows: Vec<page::Row<'_>> = infos
            .iter()
            .map(|info| page::Row {
                group: info.group,
                name: info.name,
                state: info.state,
                description: &info.description,
            })
            .collect();
        page::index_page(&mut rows, message, rpc::SUPERVISOR_VERSION, year)
    }

    /// The end of a process's log.
    fn tail(&mut self, id: ConnId, request: &Request<'_>, now: Now, host: &mut dyn Host) {
        let head = request.head;
        if !is_page_method(head) {
            return self.static_file(id, request, now);
        }
        let form = Form::parse(request.query, request.body.unwrap_or_default());
        let limit = page::tail_limit(form.get("limit"));
        let name = form.get("processname");
        let text = match name {
            None => action::NO_PROCESS_NAME.to_string(),
            Some(name) => rpc::log_end(&self.daemon, host, name, limit).map_or_else(
                |fault| action::no_tail(name, &fault),
                |bytes| String::from_utf8_lossy(&bytes).into_owned(),
            ),
        };
        let page = page::tail_page(name, limit, &text);
        self.page(id, head, now, &page);
    }

    fn page(&mut self, id: ConnId, head: &Head<'_>, now: Now, page: &str) {
        let mut headers = page::PAGE_HEADERS.to_vec();
        // Only browsers get headers that the original does not send.
        if guard::is_browser(head) {
            headers.extend_from_slice(guard::BROWSER_HEADERS);
        }
        self.reply(id, head, now, Status::OK, &headers, page.as_bytes());
    }

    /// Where a finished action sends the browser.
    pub(super) fn redirect(&mut self, id: ConnId, reply_to: ReplyTo, location: &str, now: Now) {
        let headers = [
            ("Location", location),
            ("Content-Type", "text/html"),
            ("Pragma", "no-cache"),
            ("Cache-Control", "no-cache"),
            ("Expires", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ];
        let body = error_body(Status::MOVED_PERMANENTLY);
        self.answer(id, reply_to, now, Status::MOVED_PERMANENTLY, |reply| {
            reply.headers(&headers).body(body.as_bytes());
        });
    }

    /// Name and port of the server that a connection came by.
    pub(super) fn name_and_port(&self, id: ConnId) -> (String, String) {
        let site = self.conns.get(&id).and_then(|conn| self.sites.get(conn.server));
        site.map(Site::name_and_port).unwrap_or_default()
    }

    /// The static tree.
    fn static_file(&mut self, id: ConnId, request: &Request<'_>, now: Now) {
        let head = request.head;
        if head.method != "GET" && head.method != "HEAD" {
            return self.error(id, head.reply_to, Status::BAD_REQUEST, now);
        }
        let modified = format_date(files::MODIFIED_SECS);
        match files::find(&request.path) {
            files::Found::Nothing => self.error(id, head.reply_to, Status::NOT_FOUND, now),
            files::Found::Folder(folder) => {
                let location = format!("http://{}/{folder}/", self.name_and_port(id).0);
                self.moved(id, head.reply_to, &location, now);
            }
            files::Found::File(file) if files::is_unchanged(file, head.if_modified_since) => {
                self.answer(id, head.reply_to, now, Status::NOT_MODIFIED, |reply| reply.no_body());
            }
            files::Found::File(file) => {
                self.answer(id, head.reply_to, now, Status::OK, |reply| {
                    reply
                        .header("Last-Modified", &modified)
                        .length(file.bytes.len())
                        .header("Content-Type", file.content_type)
                        .body(file.bytes);
                });
            }
        }
    }
}

fn is_page_method(head: &Head<'_>) -> bool {
    head.method == "GET" || head.method == "POST"
}

/// What of a body a line of the log shows.
fn shown(body: &[u8]) -> String {
    let start = &body[..body.len().min(SHOWN_BYTES_MAX)];
    match std::str::from_utf8(start) {
        Ok(text) => pyrepr::text(text),
        Err(_) => pyrepr::bytes(start),
    }
}
