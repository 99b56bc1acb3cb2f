//! Requests for pages and files: the table of all processes with its actions, the end of a log, what is built in.

use super::action::PageAction;
#[cfg(feature = "gzip")]
use super::deferred::Finished;
use super::deferred::Work;
use super::exchange::{AfterRequest, Exchange, Request, is_page_method};
#[cfg(feature = "gzip")]
use super::packing::Packing;
use super::text::Escape;
use crate::fault::Code;
use crate::id::Channel;
use crate::rpc;
use crate::rpc::logtext::PIECE_BYTES;
use crate::sys::time;
use crate::web::files::PageFile;
use crate::web::guard::Refusal;
use crate::web::{action, files, guard, page};
use crate::wire::form::Form;
use crate::wire::http::{Head, Status, format_date};

impl Exchange<'_> {
    /// The status page, and the actions of its links.
    pub(super) fn index(&mut self, request: &Request<'_>) -> AfterRequest {
        let head = request.head;
        if !is_page_method(head) {
            return self.static_file(request);
        }
        let form = Form::parse(request.query, request.body.unwrap_or_default());
        match action::Action::of(&form) {
            Err(action::UnknownAction) => self.error(head.reply_to, Status::INTERNAL_SERVER_ERROR),
            Ok(Some(action)) if action.changes() && guard::may_be_forged(head) => self.forbid(head, Refusal::OtherSite),
            // HEAD asks what a GET would say, and does nothing.
            Ok(Some(action)) if !head.reply_to.head_only => {
                let mut work = Work::Page(PageAction::new(action, self.host_to_name(head)));
                let method = work.method();
                let before = self.daemon.activity.last();
                let finished = work.poll(&mut self.context(&method));
                self.daemon.attribute(before, &self.conn.client, &method);
                match finished {
                    Some(finished) => self.finish(head.reply_to, finished),
                    None => AfterRequest::Deferred(work),
                }
            }
            Ok(_) => {
                let year = time::local(self.now.wall.secs()).year;
                let page = self.index_page(form.get("message"), year);
                self.list(head, page)
            }
        }
    }

    /// The page of all processes, packed for browsers that take it so: for scripts every byte stays as it is.
    fn list(&mut self, head: &Head<'_>, page: String) -> AfterRequest {
        #[cfg(feature = "gzip")]
        if guard::is_browser(head) && takes_gzip(head) && !head.reply_to.head_only {
            self.budget.spend_bytes(page.len());
            let mut packing = Packing::new(page, page::headers(head));
            return match packing.go_on(self.budget) {
                Some((headers, page)) => self.finish(head.reply_to, Finished::Packed(headers, page)),
                None => AfterRequest::Deferred(Work::Packing(Box::new(packing))),
            };
        }
        self.page(head, &page)
    }

    /// By which name whoever asks finds the page again; nothing for browsers, which may have come by a path of a proxy.
    fn host_to_name(&self, head: &Head<'_>) -> Option<String> {
        match head.host.filter(|host| !host.is_empty()) {
            _ if guard::is_browser(head) => None,
            Some(host) => Some(host.to_string()),
            None => {
                let (name, port) = self.sites.name_and_port(self.conn.server);
                Some(format!("{name}:{port}"))
            }
        }
    }

    fn index_page(&mut self, message: Option<&str>, year: i32) -> String {
        let infos: Vec<_> = self
            .daemon
            .roster
            .processes_by_name()
            .map(|(id, group, process)| self.daemon.info_of(id, group, process, self.now, self.host))
            .collect();
        let mut rows: Vec<page::Row<'_>> = infos
            .iter()
            .map(|info| page::Row {
                group: info.group,
                name: info.name,
                state: info.state,
                description: &info.description,
            })
            .collect();
        page::index_page(&mut rows, message, (rpc::SUPERVISOR_VERSION, year), self.daemon.config.is_in_fleet())
    }

    /// The end of a process's log.
    pub(super) fn tail(&mut self, request: &Request<'_>) -> AfterRequest {
        let head = request.head;
        if !is_page_method(head) {
            return self.static_file(request);
        }
        let form = Form::parse(request.query, request.body.unwrap_or_default());
        let limit = page::tail_limit(form.get("limit"));
        let channel = if form.get("stream") == Some("stderr") { Channel::Stderr } else { Channel::Stdout };
        let tail = page::Tail { name: form.get("processname"), channel, limit };
        let found = tail.name.map(|name| (name, rpc::log_end(self.daemon, self.host, (name, channel), limit)));
        let text = match found {
            None => action::NO_PROCESS_NAME.to_string(),
            Some((name, Err(fault))) => action::no_tail(name, &fault),
            Some((_, Ok(text))) if text.left() > PIECE_BYTES && head.reply_to.head_only => {
                return self.write(head.reply_to, Status::OK, |reply| {
                    reply.headers(&page::headers(head)).stream();
                });
            }
            Some((_, Ok(text))) if text.left() > PIECE_BYTES => {
                let (before, after) = tail.around();
                let around = (before.into_bytes(), after.into_bytes());
                return self.text(head.reply_to, &page::headers(head), around, text, Escape::Html);
            }
            Some((name, Ok(mut text))) => match text.next(self.daemon, self.host) {
                Ok(piece) => piece.unwrap_or_default(),
                Err(_) => action::no_tail(name, &Code::Failed.bare()),
            },
        };
        self.page(head, &tail.page(&text))
    }

    /// A file of the live page. Browsers ask each time whether it has changed, as a new daemon may be behind the name.
    fn page_file(&mut self, head: &Head<'_>, file: &PageFile) -> AfterRequest {
        let headers = [("ETag", file.etag), ("Cache-Control", "no-cache"), ("X-Content-Type-Options", "nosniff")];
        if head.if_none_match.is_some_and(|known| known.contains(file.etag)) {
            return self.write(head.reply_to, Status::NOT_MODIFIED, |reply| reply.headers(&headers).no_body());
        }
        self.write(head.reply_to, Status::OK, |reply| {
            let reply = reply.headers(&headers).header("Content-Type", file.content_type);
            reply.header("Content-Encoding", "gzip").length(file.packed.len()).body(file.packed);
        })
    }

    /// The static tree.
    pub(super) fn static_file(&mut self, request: &Request<'_>) -> AfterRequest {
        let head = request.head;
        if head.method != "GET" && head.method != "HEAD" {
            return self.error(head.reply_to, Status::BAD_REQUEST);
        }
        if let Some(file) = files::find_page_file(&request.path, self.daemon.config.is_in_fleet()) {
            return self.page_file(head, file);
        }
        match files::find(&request.path) {
            files::Found::Nothing => self.error(head.reply_to, Status::NOT_FOUND),
            files::Found::Folder(folder) => {
                let location = format!("http://{}/{folder}/", self.sites.name_and_port(self.conn.server).0);
                self.moved(head.reply_to, &location)
            }
            files::Found::File(file) if files::is_unchanged(file, head.if_modified_since) => {
                self.write(head.reply_to, Status::NOT_MODIFIED, |reply| reply.no_body())
            }
            files::Found::File(file) => self.write(head.reply_to, Status::OK, |reply| {
                reply
                    .header("Last-Modified", &format_date(files::MODIFIED_SECS))
                    .length(file.bytes.len())
                    .header("Content-Type", file.content_type)
                    .body(file.bytes);
            }),
        }
    }
}

/// Whether a client unpacks what it gets; not whoever names gzip only to exclude it.
#[cfg(feature = "gzip")]
fn takes_gzip(head: &Head<'_>) -> bool {
    let takes = |one: &str| {
        let (name, how) = one.split_once(';').unwrap_or((one, ""));
        let weight = how.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
        name.trim() == "gzip" && weight != Some(0.0)
    };
    head.accept_encoding.is_some_and(|all| all.split(',').any(takes))
}
