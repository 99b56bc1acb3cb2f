//! Requests for the pages of a fleet: `/fleet.html`, and the stream of those that are open ([`super::fleet_live`]).

use super::events;
use super::exchange::{AfterRequest, Exchange, Request, is_page_method};
use super::feed::Feed;
use crate::web::fleet::{content_policy, plain};
use crate::web::{guard, page};
use crate::wire::form::Form;
use crate::wire::http::{Head, Reply, Status};

impl Exchange<'_> {
    /// The fleet as tables, of which the live page takes the place where there is JavaScript.
    pub(super) fn fleet_page(&mut self, request: &Request<'_>) -> AfterRequest {
        let head = request.head;
        let Some(fleet) = &self.extensions.fleet else { return self.static_file(request) };
        if !is_page_method(head) {
            return self.static_file(request);
        }
        let policy = content_policy(fleet);
        let form = Form::parse(request.query, &[]);
        let host = &mut *self.host;
        let html = plain::page(fleet, &form, &policy, self.now, &mut |secs| host.local_ctime(secs));
        let mut headers: Vec<(&str, &str)> = page::headers(head);
        for (name, value) in &mut headers {
            if *value == guard::CONTENT_POLICY && !name.is_empty() {
                *value = &policy;
            }
        }
        self.budget.spend_bytes(html.len());
        self.reply(head, &headers, html.as_bytes())
    }

    /// Begins the stream of such a page.
    pub(super) fn fleet_live(&mut self, head: &Head<'_>) -> AfterRequest {
        if head.method != "GET" {
            return self.write(head.reply_to, Status::METHOD_NOT_ALLOWED, |reply| {
                reply.error_page(&[("Allow", "GET")]);
            });
        }
        if guard::is_cross_site(head) {
            return self.forbid(head, guard::Refusal::OtherSite);
        }
        if !self.has_room_for_feed {
            return self.refuse_feed(head);
        }
        let Some(fleet) = &mut self.extensions.fleet else { return self.error(head.reply_to, Status::NOT_FOUND) };
        let reply = Reply::begin(&mut self.conn.output, head.reply_to, Status::OK, self.date);
        let body = reply.headers(events::HEADERS).stream();
        AfterRequest::Feed(Feed::Fleet(self.fleet_live.feed(head.last_event_id, fleet, body, self.now)))
    }
}
