//! Long texts of logs on their way to a client, read as the client takes them.

use crate::daemon::{Daemon, Host};
use crate::rpc::budget::Budget;
use crate::rpc::logtext::LogText;
use crate::web::page;
use crate::wire::http::StreamBody;
#[cfg(feature = "fleet")]
use crate::wire::json;
use crate::wire::xmlrpc::Writer;

/// Bytes of output that wait for a client; then reading pauses until they are written.
const OUTPUT_BYTES_MAX: usize = 128 * 1024;

/// How a log's text is escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    Xml,
    Html,
    #[cfg(feature = "fleet")]
    Json,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextProgress {
    /// The client has to take what there is.
    Waits,
    /// The turn has no time for more.
    Interrupted,
    /// The whole answer is in the output.
    Done,
    /// The log is no longer what it was, and the answer stays unfinished: only closing the connection says so.
    Broken,
}

/// A text being sent.
pub(super) struct TextFeed {
    pub(super) text: LogText,
    pub(super) escape: Escape,
    /// What comes behind the text.
    pub(super) after: Vec<u8>,
    pub(super) body: StreamBody,
    /// Whether the connection goes on behind it.
    pub(super) keeps_alive: bool,
}

impl TextFeed {
    /// Appends what the client and the turn have room for.
    pub(super) fn feed(
        &mut self,
        output: &mut Vec<u8>,
        budget: &mut Budget,
        daemon: &Daemon,
        host: &mut dyn Host,
    ) -> TextProgress {
        loop {
            if output.len() >= OUTPUT_BYTES_MAX {
                return TextProgress::Waits;
            }
            if budget.is_spent() {
                return TextProgress::Interrupted;
            }
            let piece = match self.text.next(daemon, host) {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(_) => return TextProgress::Broken,
            };
            budget.spend_bytes(2 * piece.len());
            self.body.write(output, &self.escape.text(&piece));
        }
        self.body.write(output, &self.after);
        self.body.end(output);
        TextProgress::Done
    }
}

impl Escape {
    fn text(self, text: &str) -> Vec<u8> {
        match self {
            Escape::Xml => {
                let mut xml = Vec::with_capacity(text.len());
                Writer::new(&mut xml).text(text);
                xml
            }
            Escape::Html => {
                let mut html = String::with_capacity(text.len());
                page::push_text(&mut html, text);
                html.into_bytes()
            }
            #[cfg(feature = "fleet")]
            Escape::Json => {
                // By XML, as short logs come: the same text is the same however long it is.
                let xml = Escape::Xml.text(text);
                let mut json = String::with_capacity(text.len());
                let is_whole = std::str::from_utf8(&xml).ok().and_then(|xml| json::push_xml_text(&mut json, xml));
                debug_assert!(is_whole.is_some(), "it is of our own writer");
                json.into_bytes()
            }
        }
    }
}
