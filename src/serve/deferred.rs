//! Deferred replies: asked again after each turn, whether or not their clients are still there.

use std::rc::Rc;

use super::action::PageAction;
use super::conn::ClientName;
#[cfg(feature = "gzip")]
use super::packing::{Headers, Packing};
use super::scrape::Scrape;
use crate::clock::Mono;
use crate::id::ConnId;
#[cfg(feature = "fleet")]
use crate::rpc::budget::Budget;
use crate::rpc::{Context, Deferred, Done};
use crate::wire::http::ReplyTo;
#[cfg(feature = "fleet")]
use crate::wire::json::Conversion;
use crate::wire::xmlrpc::{Call, CallDecoder, DecodeError};

/// Replies whose clients are gone and that are still under way. Each ends by itself, but some wait for what never comes.
const ABANDONED_MAX: usize = 1024;

/// Microseconds for which a call is decoded before the turn's time is looked at.
const DECODING_PIECE_US: u32 = 100;

/// Bytes of XML that become JSON before the turn's time is looked at, and how many do in a microsecond.
#[cfg(feature = "fleet")]
const CONVERSION_PIECE_BYTES: usize = 8 * 1024;
#[cfg(feature = "fleet")]
const CONVERSION_BYTES_PER_US: usize = 64;

/// A reply that waits for something to happen.
pub(super) struct DeferredReply {
    /// For whom; `None` once the client is gone. What it asked for goes on all the same: single actions by
    /// themselves, what consists of several steps as long as it is asked.
    pub(super) conn: Option<ConnId>,
    pub(super) client: ClientName,
    pub(super) reply_to: ReplyTo,
    pub(super) work: Work,
    /// Nobody waits for it, and there is no room for it: it ends as soon as that can be seen to.
    pub(super) is_given_up: bool,
}

/// In which language a call is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// XML-RPC.
    Xml,
    /// REST.
    #[cfg(feature = "fleet")]
    Json,
}

/// What a reply waits for.
pub(super) enum Work {
    /// A call; the method's name.
    Call(Deferred, String, Dialect),
    /// An action of the web page.
    Page(PageAction),
    /// Figures that are being collected.
    Metrics(Scrape),
    /// A call that is being decoded.
    Decoding(Box<CallDecoder>),
    /// A page that is being packed.
    #[cfg(feature = "gzip")]
    Packing(Box<Packing>),
    /// An answer that is becoming JSON.
    #[cfg(feature = "fleet")]
    Conversion(Box<Conversion>),
}

/// What came of it.
pub(super) enum Finished {
    /// An answer or a fault.
    Call(Done, Dialect),
    /// The browser is sent back to the page: at which host, if one has to be said, and what the page then says.
    Page { host: Option<String>, message: String },
    /// All figures are there.
    Metrics(Scrape),
    /// A call, or why it is none, and what it was decoded from.
    Decoded(Result<Call, DecodeError>, Rc<[u8]>),
    /// A packed page, and its headers.
    #[cfg(feature = "gzip")]
    Packed(Headers, Vec<u8>),
    /// An answer as JSON; nothing if it could not be made.
    #[cfg(feature = "fleet")]
    Json(Option<String>),
}

/// Through which method an action of the web page comes, for the audit line.
const PAGE_METHOD: &str = "web";
/// The same of what changes nothing.
const METRICS_METHOD: &str = "metrics";

impl Work {
    /// Through which method it came.
    pub(super) fn method(&self) -> String {
        match self {
            Work::Call(_, method, _) => method.clone(),
            Work::Page(_) => PAGE_METHOD.to_string(),
            Work::Metrics(_) => METRICS_METHOD.to_string(),
            Work::Decoding(_) => String::new(),
            #[cfg(feature = "gzip")]
            Work::Packing(_) => String::new(),
            #[cfg(feature = "fleet")]
            Work::Conversion(_) => String::new(),
        }
    }

    /// When it wants to be asked again.
    fn deadline(&self) -> Option<Mono> {
        match self {
            Work::Call(deferred, ..) => deferred.deadline(),
            Work::Page(action) => action.deadline(),
            // The next turn comes at once.
            Work::Metrics(_) | Work::Decoding(_) => Some(Mono(0)),
            #[cfg(feature = "gzip")]
            Work::Packing(_) => Some(Mono(0)),
            #[cfg(feature = "fleet")]
            Work::Conversion(_) => Some(Mono(0)),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Work::Call(deferred, ..) => deferred.bytes(),
            Work::Page(_) => 0,
            Work::Metrics(scrape) => scrape.bytes(),
            Work::Decoding(decoder) => decoder.bytes(),
            #[cfg(feature = "gzip")]
            Work::Packing(packing) => packing.bytes(),
            #[cfg(feature = "fleet")]
            Work::Conversion(conversion) => conversion.bytes(),
        }
    }

    /// It is not asked any more.
    pub(super) fn give_up(&mut self, context: &mut Context<'_>) {
        match self {
            Work::Call(deferred, ..) => deferred.give_up(context),
            Work::Page(action) => action.give_up(context),
            Work::Metrics(_) | Work::Decoding(_) => {}
            #[cfg(feature = "gzip")]
            Work::Packing(_) => {}
            #[cfg(feature = "fleet")]
            Work::Conversion(_) => {}
        }
    }

    /// Goes on as far as it can; what came of it, if it is at its end.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Option<Finished> {
        match self {
            Work::Call(deferred, _, dialect) => deferred.poll(context).map(|done| Finished::Call(done, *dialect)),
            Work::Page(action) => action.advance(context).then(|| {
                let ctime = context.host.local_ctime(context.now.wall.secs());
                Finished::Page { host: action.host.take(), message: action.message(&ctime) }
            }),
            Work::Metrics(scrape) => scrape
                .advance(context.daemon, context.now, context.host)
                .then(|| Finished::Metrics(std::mem::take(scrape))),
            Work::Decoding(decoder) => loop {
                if context.budget.is_spent() {
                    break None;
                }
                context.budget.spend(DECODING_PIECE_US);
                if let Some(done) = decoder.go_on(DECODING_PIECE_US as usize) {
                    break Some(Finished::Decoded(done, decoder.body()));
                }
            },
            #[cfg(feature = "gzip")]
            Work::Packing(packing) => {
                packing.go_on(context.budget).map(|(headers, page)| Finished::Packed(headers, page))
            }
            #[cfg(feature = "fleet")]
            Work::Conversion(conversion) => convert(conversion, context.budget).map(Finished::Json),
        }
    }
}

/// Makes JSON while the turn has time; what came of it at the end.
#[cfg(feature = "fleet")]
pub(super) fn convert(conversion: &mut Conversion, budget: &mut Budget) -> Option<Option<String>> {
    loop {
        if budget.is_spent() {
            return None;
        }
        budget.spend((CONVERSION_PIECE_BYTES / CONVERSION_BYTES_PER_US) as u32);
        if let Some(json) = conversion.go_on(CONVERSION_PIECE_BYTES) {
            return Some(json);
        }
    }
}

/// All of them, those that have waited longest first.
#[derive(Default)]
pub(super) struct DeferredReplies {
    all: Vec<DeferredReply>,
}

impl DeferredReplies {
    pub(super) fn add(&mut self, reply: DeferredReply) {
        self.all.push(reply);
    }

    /// All of them, to be asked; those that still wait are to be added again.
    pub(super) fn take(&mut self) -> Vec<DeferredReply> {
        std::mem::take(&mut self.all)
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn have_clients(&self) -> bool {
        self.all.iter().any(|reply| reply.conn.is_some())
    }

    /// When they are to be asked again at the latest although nothing happens.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.all.iter().filter_map(|reply| reply.work.deadline()).min()
    }

    /// Bytes that they hold, where clients decide how many.
    pub(super) fn bytes(&self) -> usize {
        self.all.iter().map(|reply| reply.work.bytes()).sum()
    }

    /// The client that has most held for it.
    pub(super) fn largest(&self) -> Option<ConnId> {
        let of_clients = self.all.iter().filter_map(|reply| Some((reply.work.bytes(), reply.conn?)));
        of_clients.max().map(|(_, conn)| conn)
    }

    /// The client of one is gone.
    pub(super) fn abandon(&mut self, conn: ConnId) {
        let Some(at) = self.all.iter().position(|reply| reply.conn == Some(conn)) else { return };
        // Nobody knows yet what it has asked for; nobody wants the figures or the page any more.
        let ends = match self.all[at].work {
            Work::Decoding(_) | Work::Metrics(_) => true,
            #[cfg(feature = "gzip")]
            Work::Packing(_) => true,
            #[cfg(feature = "fleet")]
            Work::Conversion(_) => true,
            Work::Call(..) | Work::Page(_) => false,
        };
        if ends {
            self.all.remove(at);
            return;
        }
        let abandoned = self.all.iter().filter(|reply| reply.conn.is_none() && !reply.is_given_up).count();
        let reply = &mut self.all[at];
        reply.conn = None;
        if let Work::Call(deferred, ..) = &mut reply.work {
            deferred.abandon();
        }
        if abandoned >= ABANDONED_MAX {
            reply.give_up();
        }
    }

    /// Gives up what holds most for a client that is gone, if anything holds something; says whether there was one.
    pub(super) fn give_up_largest(&mut self) -> bool {
        let is_abandoned = |reply: &&mut DeferredReply| reply.conn.is_none() && !reply.is_given_up;
        let abandoned = self.all.iter_mut().filter(is_abandoned).filter(|reply| reply.work.bytes() > 0);
        let Some(reply) = abandoned.max_by_key(|reply| reply.work.bytes()) else { return false };
        reply.give_up();
        true
    }
}

impl DeferredReply {
    fn give_up(&mut self) {
        self.is_given_up = true;
        if let Work::Call(deferred, ..) = &mut self.work {
            deferred.forget_rest();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::deferred::Multicall;
    use crate::wire::value::Value;

    /// Multicalls of so many bytes, each with the client of its place.
    fn waiting(sizes: &[usize]) -> DeferredReplies {
        let mut replies = DeferredReplies::default();
        for (at, size) in sizes.iter().enumerate() {
            let calls = vec![Value::from("x".repeat(*size))];
            let work = Work::Call(Deferred::Multicall(Box::new(Multicall::new(calls))), String::new(), Dialect::Xml);
            let conn = Some(ConnId(at as u64));
            replies.add(DeferredReply {
                conn,
                client: "p".into(),
                reply_to: ReplyTo::UNREADABLE,
                work,
                is_given_up: false,
            });
        }
        replies
    }

    #[test]
    fn what_nobody_waits_for_goes_first_the_largest_of_it() {
        let mut replies = waiting(&[5000, 1000, 2000, 9000]);
        assert!(!replies.give_up_largest(), "clients wait for all of them");
        (0..3).for_each(|conn| replies.abandon(ConnId(conn)));
        let mut held = vec![replies.bytes()];
        while replies.give_up_largest() {
            held.push(replies.bytes());
        }
        let steps: Vec<usize> = held.windows(2).map(|pair| (pair[0] - pair[1]) / 1000).collect();
        assert_eq!(steps, [5, 2, 1]);
        assert_eq!(replies.largest(), Some(ConnId(3)));
    }

    #[test]
    fn no_more_go_on_than_there_is_room_for() {
        let mut replies = waiting(&[1; ABANDONED_MAX + 2]);
        (0..ABANDONED_MAX as u64 + 2).for_each(|conn| replies.abandon(ConnId(conn)));
        let given_up = replies.take().into_iter().map(|reply| reply.is_given_up);
        assert_eq!(given_up.skip(ABANDONED_MAX - 1).collect::<Vec<_>>(), [false, true, true]);
    }
}
