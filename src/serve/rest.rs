//! REST (V-560 to V-564), under the paths of Supvisors' Flask application and the same below `/api/v1`: requests become the calls
//! of [`rest`], and their answers JSON. They are carried out, bounded and waited for as those of XML-RPC are.

use std::borrow::Cow;

use super::deferred::{self, Dialect, Work};
use super::exchange::{AfterRequest, Exchange};
use super::text::Escape;
use crate::rpc::rest::{self, Place, Route};
use crate::rpc::{self, Answer, LogAnswer};
use crate::web::guard::{self, Refusal};
use crate::wire::form::every_field;
use crate::wire::http::{Head, ReplyTo, Status};
use crate::wire::json;
use crate::wire::value::{Value, record};
use crate::wire::xmlrpc::Call;

/// Bytes of a body: room for the most arguments of a command that a call takes, each character quoted.
const BODY_BYTES_MAX: usize = 32 * 1024;

/// What paths may begin with.
const PREFIX: &str = "/api/v1";

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// What an argument is called that is not what it has to be, as Flask-RESTX has it.
const INVALID: &str = "Input payload validation failed";

/// A status, and what is said with it.
type Refused = (Status, Value);

impl Exchange<'_> {
    /// A request for a path of REST.
    pub(super) fn rest(&mut self, head: &Head<'_>, query: &str, body: Option<&[u8]>) -> AfterRequest {
        // Names may have a `;`, which elsewhere begins what is no part of the path.
        let path = head.target.split(['?', '#']).next().unwrap_or_default();
        let after = path.strip_prefix(PREFIX).filter(|path| path.starts_with('/'));
        let (path, is_strict) = (after.unwrap_or(path), after.is_some());
        let found = if path == "/openapi.json" { None } else { rest::find(self.registry, path) };
        let is_read = match &found {
            Some((route, _)) => route.is_read,
            None if path == "/openapi.json" => true,
            None => {
                return self.refuse(head.reply_to, (Status::NOT_FOUND, message("There is nothing under this path.")));
            }
        };
        match head.method {
            "GET" | "HEAD" if is_read => {}
            "POST" if !is_read => {}
            method => return self.other_method(head.reply_to, method, is_read),
        }
        if if is_read { guard::is_cross_site(head) } else { guard::may_be_forged(head) } {
            return self.forbid(head, Refusal::OtherSite);
        }
        let Some((route, values)) = found else { return self.openapi(head.reply_to) };
        let body = body.unwrap_or_default();
        self.budget.spend_bytes(2 * (query.len() + body.len()));
        let given = fields(&route, query, head.content_type, body)
            .and_then(|given| if is_strict { given.are_known(&route) } else { Ok(given) });
        match given.and_then(|given| params(&route, values, &given)) {
            Ok(params) => self.call(head.reply_to, Dialect::Json, &Call { method: route.call(), params }),
            Err(refused) => self.refuse(head.reply_to, refused),
        }
    }

    /// What came of a call.
    pub(super) fn answer_rest(&mut self, reply_to: ReplyTo, done: rpc::Done) -> AfterRequest {
        let text = match done {
            Ok(Answer::Value(value)) => json::write(&value),
            Ok(Answer::Xml(xml)) => {
                // Small ones are there at once.
                let mut conversion = Box::new(json::Conversion::new(xml));
                return match deferred::convert(&mut conversion, self.budget) {
                    Some(json) => self.converted(reply_to, json),
                    None => AfterRequest::Deferred(Work::Conversion(conversion)),
                };
            }
            Ok(Answer::Log(answer)) => return self.log_as_json(reply_to, *answer),
            Ok(Answer::CutCharacter) => {
                let why = message("That part of the log ends within a character: ask for some bytes more.");
                return self.refuse(reply_to, (Status::BAD_REQUEST, why));
            }
            Err(fault) => {
                let said = record([("message", fault.to_string().into()), ("code", (fault.code as i32).into())]);
                return self.refuse(reply_to, (Status::BAD_REQUEST, said));
            }
        };
        self.json(reply_to, Status::OK, &[JSON], text)
    }

    /// An answer that was written as XML, and is JSON now.
    pub(super) fn converted(&mut self, reply_to: ReplyTo, json: Option<String>) -> AfterRequest {
        match json {
            Some(json) => self.json(reply_to, Status::OK, &[JSON], json),
            None => self.no_json(reply_to),
        }
    }

    /// What came out of our own writer cannot be read.
    fn no_json(&mut self, reply_to: ReplyTo) -> AfterRequest {
        debug_assert!(false, "it is in the layout of our own writer");
        activity!(Error, "an answer cannot be put into JSON: ask for it by XML-RPC, and tell us the call");
        self.error(reply_to, Status::INTERNAL_SERVER_ERROR)
    }

    /// The same with a long text of a log in it, which goes out piece by piece.
    fn log_as_json(&mut self, reply_to: ReplyTo, LogAnswer { before, text, after }: LogAnswer) -> AfterRequest {
        let Some(whole) = json::of_xml([before, after].concat()) else { return self.no_json(reply_to) };
        // The text belongs into the first string, which is empty so far.
        let (before, after) = whole.split_at(whole.find("\"\"").map_or(0, |at| at + 1));
        if reply_to.head_only {
            return self.write(reply_to, Status::OK, |reply| {
                reply.headers(&[JSON]).stream();
            });
        }
        self.text(reply_to, &[JSON], (before.into(), format!("{after}\n").into()), text, Escape::Json)
    }

    /// The document about all paths.
    fn openapi(&mut self, reply_to: ReplyTo) -> AfterRequest {
        let has_password = self.sites.has_password(self.conn.server);
        let text = rest::openapi::document(&rest::routes(self.registry), rpc::VERSION, has_password);
        self.json(reply_to, Status::OK, &[JSON], text)
    }

    /// A method that is not for this path; OPTIONS says which are.
    fn other_method(&mut self, reply_to: ReplyTo, method: &str, is_read: bool) -> AfterRequest {
        let allow = ("Allow", if is_read { "GET, HEAD, OPTIONS" } else { "OPTIONS, POST" });
        if method == "OPTIONS" {
            return self.write(reply_to, Status::OK, |reply| reply.headers(&[allow]).body(&[]));
        }
        let said = json::write(&message("The method is not allowed for this path."));
        self.json(reply_to, Status::METHOD_NOT_ALLOWED, &[allow, JSON], said)
    }

    fn refuse(&mut self, reply_to: ReplyTo, (status, said): Refused) -> AfterRequest {
        self.json(reply_to, status, &[JSON], json::write(&said))
    }

    /// A whole document, and a line feed as Flask has it.
    fn json(&mut self, reply_to: ReplyTo, status: Status, headers: &[(&str, &str)], mut text: String) -> AfterRequest {
        text.push('\n');
        self.budget.spend_bytes(text.len());
        self.write(reply_to, status, |reply| reply.headers(headers).body(text.as_bytes()))
    }
}

fn message(text: &'static str) -> Value {
    record([("message", text.into())])
}

/// The parameters of a call: those of the path, and fields, else what they are by default.
fn params(route: &Route, values: Vec<Value>, given: &Fields) -> Result<Vec<Value>, Refused> {
    let (mut values, mut params) = (values.into_iter(), Vec::new());
    for param in &route.params {
        params.push(match param.place {
            // The method knows what the last ones are that are missing.
            Place::Path { .. } => match values.next() {
                Some(value) => value,
                None => break,
            },
            Place::Said(said) => Value::Bool(said),
            Place::Field => {
                // Each has to be in order; of several the first counts.
                let all = given.all(param.name).map(|given| field(param, given));
                let all = all.collect::<Result<Vec<Value>, Refused>>()?;
                all.into_iter().next().unwrap_or_else(|| param.kind.default())
            }
        });
    }
    Ok(params)
}

/// A field that is given: the text of its value, or in JSON the value itself.
fn field(param: &rest::Param, given: Value) -> Result<Value, Refused> {
    let is_truth = param.kind == rest::Kind::Truth;
    let value = match &given {
        Value::Bool(_) if is_truth => Some(given.clone()),
        Value::Int(number @ (0 | 1)) if is_truth => Some(Value::Bool(*number == 1)),
        Value::Str(text) => param.kind.read(text),
        _ => None,
    };
    value.ok_or_else(|| {
        let kind = if is_truth { "boolean" } else { "str" };
        invalid(param.name.to_string(), format!("Invalid literal for {kind}(): {}", json::write(&given)))
    })
}

/// What is said of a field that is not in order.
fn invalid(name: String, why: String) -> Refused {
    let errors = Value::Struct(vec![(name.into(), why.into())]);
    (Status::BAD_REQUEST, record([("errors", errors), ("message", INVALID.into())]))
}

/// Where fields of a request stand.
struct Fields {
    query: Vec<(String, String)>,
    form: Vec<(String, String)>,
    /// The members of a JSON object.
    members: Vec<(Cow<'static, str>, Value)>,
}

/// The fields of a request. A body that nobody looks at may be anything.
fn fields(route: &Route, query: &str, content_type: Option<&str>, body: &[u8]) -> Result<Fields, Refused> {
    let refused = |status, why| Err((status, message(why)));
    let too_many = (Status::BAD_REQUEST, message("There are too many fields."));
    let Some(query) = every_field(query) else { return Err(too_many) };
    let fields = Fields { query, form: Vec::new(), members: Vec::new() };
    if body.is_empty() || !route.has_fields() {
        return Ok(fields);
    }
    if body.len() > BODY_BYTES_MAX {
        return refused(Status::BODY_TOO_LARGE, "The body is too large.");
    }
    let media = content_type.and_then(|media| media.split(';').next()).unwrap_or_default().trim();
    let text = std::str::from_utf8(body).ok();
    if media.eq_ignore_ascii_case("application/json") {
        return match text.and_then(json::read) {
            Some(Value::Struct(members)) => Ok(Fields { members, ..fields }),
            _ => refused(Status::BAD_REQUEST, "The body is no object of JSON."),
        };
    }
    if media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return match text.map(every_field) {
            Some(Some(form)) => Ok(Fields { form, ..fields }),
            Some(None) => Err(too_many),
            None => refused(Status::BAD_REQUEST, "The body is not UTF-8."),
        };
    }
    refused(Status::UNSUPPORTED_MEDIA_TYPE, "The body has to be a form, or JSON.")
}

impl Fields {
    /// Every value of that name: of the form, of the query, of the object.
    fn all(&self, name: &str) -> impl Iterator<Item = Value> {
        let last = |fields: &[(String, String)]| {
            fields.iter().rev().find(|(key, _)| key == name).map(|(_, value)| Value::from(value.clone()))
        };
        let member = self.members.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        [last(&self.form), last(&self.query), member].into_iter().flatten()
    }

    /// Refuses fields that the route does not have: whoever has misspelt one should know it. Clients of the Flask application, which
    /// does not mind, ask elsewhere.
    fn are_known(self, route: &Route) -> Result<Self, Refused> {
        let is_known = |name: &str| route.params.iter().any(|param| param.place == Place::Field && param.name == name);
        let names = self.query.iter().chain(&self.form).map(|(name, _)| name.as_str());
        let unknown = names.chain(self.members.iter().map(|(name, _)| &**name)).find(|name| !is_known(name));
        match unknown {
            Some(name) => Err(invalid(name.to_string(), "There is no such field.".to_string())),
            None => Ok(self),
        }
    }
}
