//! The pages. What they link to, and the classes of rows and states, are the original's; the rest is our own (X-30 to
//!

use super::files::HAS_PAGE;
use super::guard;
use crate::id::Channel;
use crate::namespec;
use crate::state::ProcessState;
use crate::wire::form::quote;
use crate::wire::http::Head;

/// Those of the original, before the length. Without them a browser's second click on Start does nothing.
const PAGE_HEADERS: &[(&str, &str)] = &[
    ("Content-Type", "text/html;charset=utf-8"),
    ("Pragma", "no-cache"),
    ("Cache-Control", "no-cache"),
    ("Expires", "Thu, 01 Jan 1970 00:00:00 GMT"),
];

/// The headers of a page.
pub fn headers(head: &Head<'_>) -> Vec<(&'static str, &'static str)> {
    let mut headers = PAGE_HEADERS.to_vec();
    // Only browsers get headers that the original does not send.
    if guard::is_browser(head) {
        headers.extend_from_slice(guard::BROWSER_HEADERS);
    }
    headers
}

/// The body of `/ok.html`; its type is [`OK_TYPE`].
pub const OK_BODY: &str = "OK";
/// The type of `/ok.html`.
pub const OK_TYPE: &str = "text/plain";

/// Bytes of the log that the tail page shows if nothing else is asked for; it never shows less.
const TAIL_BYTES_DEFAULT: u64 = 1024;
/// The most it shows: what a browser still scrolls through, and what is copied once for a page.
const TAIL_BYTES_MAX: u64 = 4 << 20;
/// What more of it is offered.
const TAIL_CHOICES: [u64; 3] = [16 << 10, 256 << 10, TAIL_BYTES_MAX];

/// What the index page shows of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    pub group: &'a str,
    /// Its name in the group.
    pub name: &'a str,
    pub state: ProcessState,
    /// As in getProcessInfo: `pid 42, uptime 0:01:02`.
    pub description: &'a str,
}

/// The page at `/` and `/index.html`. Sorts the rows by group and name.
///
/// Each action is there twice: as the link that scripts follow, and as the button that people press, which is sent as POST.
/// Where the live page is built in, it does not wait for the end of this one: of thousands of processes that would be seen.
/// Of an instance of a fleet there is a way to the page of that.
pub fn index_page(rows: &mut [Row], message: Option<&str>, (version, year): (&str, i32), is_in_fleet: bool) -> String {
    crate::sort::by_key(rows, |row| (row.group, row.name));
    let mut page = Page::begin("Supervisor Status");
    // Before the script, behind which nothing is an element any more where the live page takes over.
    if is_in_fleet {
        page.raw("<link href=\"fleet.html\" rel=\"up\" title=\"Fleet\">\n");
    }
    if HAS_PAGE {
        page.raw(
            "<link href=\"page/page.css\" rel=\"stylesheet\" media=\"not all\">\n\
             <link href=\"page/app.js\" rel=\"modulepreload\">\n<script src=\"page/boot.js\"></script>\n",
        );
    }
    page.raw("</head>\n<body>\n");
    page.raw(
        "<h1 id=\"header\"><img src=\"images/supervisor.gif\" alt=\"Supervisor status\" width=\"128\" height=\"48\"></h1>\n",
    );
    if let Some(message) = message {
        page.raw("<div class=\"status_msg\" role=\"status\">");
        page.text(message);
        page.raw("</div>\n");
    }
    page.raw("<form action=\"index.html\" method=\"post\">\n<ul id=\"buttons\">\n");
    for (action, label) in [("refresh", "Refresh"), ("restartall", "Restart All"), ("stopall", "Stop All")] {
        page.raw("<li class=\"action-button\">");
        let href = format!("index.html?action={action}");
        if action == "refresh" {
            page.link(&href, label, "");
        } else {
            // One slip must not stop everything.
            page.link(&href, label, FOR_SCRIPTS);
            page.raw("<details><summary>");
            page.text(label);
            page.raw(" …</summary>");
            page.button(&href, &format!("{label} now"), "");
            page.raw("</details>");
        }
        page.raw("</li>\n");
    }
    if is_in_fleet {
        page.tab("fleet.html", "Fleet", "");
    }
    page.raw("</ul>\n");
    if rows.is_empty() {
        page.raw("<p>No programs to manage</p>\n");
    } else {
        page.raw(
            "<table>\n<thead>\n<tr>\n<th class=\"state\" scope=\"col\">State</th>\n\
             <th class=\"desc\" scope=\"col\">Description</th>\n<th class=\"name\" scope=\"col\">Name</th>\n\
             <th class=\"action\" scope=\"col\">Action</th>\n</tr>\n</thead>\n<tbody>\n",
        );
        for (at, row) in rows.iter().enumerate() {
            page.row(row, at % 2 == 1);
        }
        page.raw("</tbody>\n</table>\n");
    }
    page.raw(
        "</form>\n<div id=\"footer\"><div class=\"left\"><a href=\"http://supervisord.org\">Supervisor</a> <span>",
    );
    page.text(version);
    page.raw(&format!("</span></div>\n<div class=\"right\">Stheno <span>{year}</span></div></div>\n"));
    page.end()
}

/// The page that says why a browser is refused. A sheet would be refused, too.
pub fn refusal_page(why: &str) -> String {
    let mut page = Page::begin_bare("Supervisor: refused");
    page.raw("</head>\n<body>\n<h1>Refused</h1>\n<p>");
    page.text(why);
    page.raw("</p>\n");
    page.end()
}

/// What the page at `/tail.html` shows the end of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail<'a> {
    /// `processname`, if there is one.
    pub name: Option<&'a str>,
    /// Which of its outputs.
    pub channel: Channel,
    /// Bytes of a log that are shown, from [`tail_limit`].
    pub limit: u64,
}

impl Tail<'_> {
    /// The whole page; `text` is the end of the log, or why there is none.
    pub fn page(self, text: &str) -> String {
        let (mut page, end) = self.around();
        push_text(&mut page, text);
        page.push_str(&end);
        page
    }

    /// What of that page comes before the log's text, and what behind it.
    pub fn around(self) -> (String, String) {
        let mut page = Page::begin(&format!("Supervisor tail of process {}", self.name.unwrap_or("None")));
        page.raw("</head>\n<body class=\"tail\">\n<ul id=\"buttons\">\n");
        page.raw("<li class=\"action-button\"><a href=\"index.html\">All processes</a></li>\n");
        if let Some(name) = self.name {
            for channel in [Channel::Stdout, Channel::Stderr] {
                let current = if channel == self.channel { " aria-current=\"page\"" } else { "" };
                page.tab(&self.href(name, channel, self.limit), channel.name(), current);
            }
            for more in TAIL_CHOICES.into_iter().filter(|more| *more > self.limit) {
                page.tab(&self.href(name, self.channel, more), &format!("{} kB", more / 1024), "");
            }
        }
        page.raw("</ul>\n<h1>");
        page.text(self.name.unwrap_or("No process"));
        page.raw("</h1>\n<pre tabindex=\"0\">");
        let before = std::mem::take(&mut page.html);
        page.raw("</pre>\n");
        if let Some(name) = self.name {
            page.raw("<ul>\n");
            page.tab(&self.href(name, self.channel, self.limit), "Refresh", "");
            page.raw("</ul>\n");
        }
        (before, page.end())
    }

    /// Where the same page of another choice is. That of stdout is the original's.
    fn href(self, name: &str, channel: Channel, limit: u64) -> String {
        let stream = if channel == Channel::Stderr { "&stream=stderr" } else { "" };
        format!("tail.html?processname={}&limit={limit}{stream}", quote(name))
    }
}

/// Appends text between tags. `>` and quotes stay, as in the original.
pub fn push_text(html: &mut String, text: &str) {
    push_escaped(html, text, &['&', '<']);
}

fn push_escaped(html: &mut String, text: &str, special: &[char]) {
    for part in text.split_inclusive(special) {
        let plain = part.trim_end_matches(special);
        html.push_str(plain);
        html.push_str(match &part[plain.len()..] {
            "&" => "&amp;",
            "<" => "&lt;",
            "\"" => "&quot;",
            _ => "",
        });
    }
}

/// How many bytes the tail page shows for the `limit` of its form: at least 1024; also when it is not a number.
pub fn tail_limit(limit: Option<&str>) -> u64 {
    let digits = limit.filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    // Too many digits for a number are a large number.
    digits.map_or(TAIL_BYTES_DEFAULT, |text| text.parse().unwrap_or(u64::MAX)).clamp(TAIL_BYTES_DEFAULT, TAIL_BYTES_MAX)
}

/// The class of links that nobody sees: beside each stands the button that does the same.
const FOR_SCRIPTS: &str = " class=\"get\"";
/// Attributes of links into a window of their own.
pub(super) const NEW_WINDOW: &str = " target=\"_blank\" rel=\"noopener\"";

/// A page being written. Text and attributes are escaped here and nowhere else.
pub(super) struct Page {
    html: String,
}

impl Page {
    /// Begins a page, up to inside its head.
    fn begin(title: &str) -> Page {
        Page::begin_with(title, guard::CONTENT_POLICY)
    }

    /// The same for a page of another policy. It stands in the page itself too, for the case that a header gets lost on the way.
    pub(super) fn begin_with(title: &str, policy: &str) -> Page {
        let mut page = Page::begin_head(title, policy);
        page.raw(
            "<link href=\"stylesheets/supervisor.css\" rel=\"stylesheet\" type=\"text/css\">\n\
             <link href=\"images/icon.png\" rel=\"icon\" type=\"image/png\">\n",
        );
        page
    }

    /// The same without anything that would have to be asked for.
    fn begin_bare(title: &str) -> Page {
        Page::begin_head(title, guard::CONTENT_POLICY)
    }

    fn begin_head(title: &str, policy: &str) -> Page {
        let mut page = Page { html: String::with_capacity(4096) };
        page.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
        page.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"");
        page.attribute(policy);
        page.raw("\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
        page.text(title);
        page.raw("</title>\n");
        page
    }

    pub(super) fn end(mut self) -> String {
        self.raw("</body>\n</html>\n");
        self.html
    }

    fn row(&mut self, row: &Row, shaded: bool) {
        let name = namespec::join(row.group, row.name);
        let quoted = quote(&name);
        self.raw(if shaded { "<tr class=\"shade\">\n" } else { "<tr class=\"\">\n" });
        self.raw("<td class=\"status\"><span class=\"");
        self.raw(class_of(row.state));
        self.raw("\">");
        self.raw(&row.state.name().to_ascii_lowercase());
        self.raw("</span></td>\n<td class=\"desc\"><span>");
        self.text(row.description);
        self.raw("</span></td>\n<td class=\"name\">");
        self.link(&format!("tail.html?processname={quoted}"), &name, NEW_WINDOW);
        self.raw("</td>\n<td class=\"action\">\n<ul>\n");
        for (action, label) in actions_of(row.state).iter().chain(&[("clearlog", "Clear Log")]) {
            let href = format!("index.html?processname={quoted}&action={action}");
            self.raw("<li>");
            self.link(&href, label, &format!("{FOR_SCRIPTS} name=\"{label}\""));
            self.button(&href, label, &name);
            self.raw("</li>\n");
        }
        for (label, channel) in [("Tail -f Stdout", ""), ("Tail -f Stderr", "/stderr")] {
            self.item(&format!("logtail/{quoted}{channel}"), label, &format!("{NEW_WINDOW} name=\"{label}\""));
        }
        self.raw("</ul>\n</td>\n</tr>\n");
    }

    fn item(&mut self, href: &str, label: &str, attributes: &str) {
        self.raw("<li>");
        self.link(href, label, attributes);
        self.raw("</li>\n");
    }

    fn tab(&mut self, href: &str, label: &str, attributes: &str) {
        self.raw("<li class=\"action-button\">");
        self.link(href, label, attributes);
        self.raw("</li>\n");
    }

    /// A button that sends by POST what the link asks for; `of` says whom it is about, for who does not see the row.
    fn button(&mut self, href: &str, label: &str, of: &str) {
        self.raw("<input type=\"submit\" formaction=\"");
        self.attribute(href);
        self.raw("\" value=\"");
        self.attribute(label);
        if !of.is_empty() {
            self.raw("\" aria-label=\"");
            self.attribute(&format!("{label} {of}"));
        }
        self.raw("\">");
    }

    pub(super) fn link(&mut self, href: &str, label: &str, attributes: &str) {
        self.raw("<a href=\"");
        self.attribute(href);
        self.raw("\"");
        self.raw(attributes);
        self.raw(">");
        self.text(label);
        self.raw("</a>");
    }

    pub(super) fn raw(&mut self, html: &str) {
        self.html.push_str(html);
    }

    pub(super) fn text(&mut self, text: &str) {
        push_text(&mut self.html, text);
    }

    /// The value of an attribute in double quotes.
    fn attribute(&mut self, text: &str) {
        push_escaped(&mut self.html, text, &['&', '<', '"']);
    }
}

/// The class of a state's field.
fn class_of(state: ProcessState) -> &'static str {
    match state {
        ProcessState::Running => "statusrunning",
        ProcessState::Fatal | ProcessState::Backoff => "statuserror",
        _ => "statusnominal",
    }
}

/// What can be done in a state, beside what always can.
fn actions_of(state: ProcessState) -> &'static [(&'static str, &'static str)] {
    match state {
        ProcessState::Running => &[("restart", "Restart"), ("stop", "Stop")],
        ProcessState::Stopped | ProcessState::Exited | ProcessState::Fatal => &[("start", "Start")],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hrefs(page: &str) -> Vec<&str> {
        page.split("<a href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect()
    }

    fn between<'a>(page: &'a str, before: &str, after: &str) -> &'a str {
        page.split_once(before).and_then(|(_, rest)| rest.split_once(after)).map_or("nothing", |(inside, _)| inside)
    }

    fn one_row(state: ProcessState) -> String {
        index_page(
            &mut [Row { group: "g", name: "a", state, description: "Not started" }],
            None,
            ("4.3.0", 2026),
            false,
        )
    }

    #[test]
    fn each_state_has_its_class_and_its_actions() {
        use ProcessState::*;
        let rows: [(ProcessState, &str, &[&str]); 8] = [
            (Stopped, "statusnominal\">stopped<", &["start"]),
            (Starting, "statusnominal\">starting<", &[]),
            (Running, "statusrunning\">running<", &["restart", "stop"]),
            (Backoff, "statuserror\">backoff<", &[]),
            (Stopping, "statusnominal\">stopping<", &[]),
            (Exited, "statusnominal\">exited<", &["start"]),
            (Fatal, "statuserror\">fatal<", &["start"]),
            (Unknown, "statusnominal\">unknown<", &[]),
        ];
        for (state, class, actions) in rows {
            let page = one_row(state);
            assert!(page.contains(class), "{state:?}");
            let mut expected: Vec<String> =
                ["refresh", "restartall", "stopall"].map(|action| format!("index.html?action={action}")).into();
            expected.push("tail.html?processname=g%3Aa".to_owned());
            let all = actions.iter().chain(&["clearlog"]);
            expected.extend(all.map(|action| format!("index.html?processname=g%3Aa&amp;action={action}")));
            expected.extend(["logtail/g%3Aa", "logtail/g%3Aa/stderr", "http://supervisord.org"].map(str::to_owned));
            assert_eq!(hrefs(&page), expected, "{state:?}");
        }
    }

    #[test]
    fn rows_are_sorted_shaded_and_escaped() {
        let stopped = ProcessState::Stopped;
        let mut rows = [
            Row { group: "z", name: "z", state: stopped, description: "d" },
            Row { group: "a", name: "y", state: stopped, description: "<i>&\"'" },
            Row { group: "a", name: "<b>&\"", state: stopped, description: "d" },
        ];
        let page = index_page(&mut rows, Some("<script>alert(1)</script>&"), ("4.3.0", 2026), false);
        let names: Vec<&str> =
            page.split("rel=\"noopener\">").skip(1).filter_map(|rest| rest.split("</a>").next()).collect();
        assert_eq!(names, ["a:&lt;b>&amp;\"", "a:y", "z"]);
        let classes: Vec<&str> = page.split("<tr class=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(classes, ["", "shade", ""]);
        assert!(page.contains("tail.html?processname=a%3A%3Cb%3E%26%22\""));
        assert!(page.contains("<span>&lt;i>&amp;\"'</span>"));
        assert_eq!(
            between(&page, "<div class=\"status_msg\" role=\"status\">", "</div>"),
            "&lt;script>alert(1)&lt;/script>&amp;"
        );
        assert_eq!(page.matches("<script").count(), usize::from(HAS_PAGE), "only our own script");
    }

    #[test]
    fn an_empty_index_and_the_footer() {
        let page = index_page(&mut [], None, ("4.3.0", 2026), false);
        assert!(page.contains("No programs to manage") && !page.contains("<table"));
        assert!(!page.contains("status_msg"));
        assert_eq!(between(&page, "Supervisor</a> <span>", "</span>"), "4.3.0");
        assert_eq!(between(&page, "Stheno <span>", "</span>"), "2026");
    }

    #[test]
    fn what_is_read_as_text_has_a_line_for_each_cell() {
        let page = one_row(ProcessState::Running);
        let table = between(&page, "<tbody>", "</tbody>");
        let mut text = String::new();
        for part in table.split('<').skip(1) {
            text.push_str(part.split_once('>').map_or("", |(_, text)| text));
        }
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        let expected =
            ["running", "Not started", "g:a", "Restart", "Stop", "Clear Log", "Tail -f Stdout", "Tail -f Stderr"];
        assert_eq!(lines, expected);
    }

    #[test]
    fn what_a_link_does_a_button_does_by_post() {
        let page = one_row(ProcessState::Stopped);
        let targets: Vec<&str> =
            page.split("formaction=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let changes = hrefs(&page).into_iter().filter(|href| href.contains("action=") && !href.contains("=refresh"));
        assert_eq!(targets, changes.collect::<Vec<_>>());
        assert!(page.contains("<form action=\"index.html\" method=\"post\">"));
    }

    #[test]
    fn tail_pages() {
        let tail = Tail { name: Some("g:<a>"), channel: Channel::Stderr, limit: 16 << 10 };
        let page = tail.page("the <log> text\n");
        assert_eq!(between(&page, "<title>", "</title>"), "Supervisor tail of process g:&lt;a>");
        assert_eq!(between(&page, "<h1>", "</h1>"), "g:&lt;a>");
        assert_eq!(between(&page, "<pre tabindex=\"0\">", "</pre>"), "the &lt;log> text\n");
        let of = |limit: u64, rest: &str| format!("tail.html?processname=g%3A%3Ca%3E&amp;limit={limit}{rest}");
        let expected = [
            "index.html".to_string(),
            of(16384, ""),
            of(16384, "&amp;stream=stderr"),
            of(262_144, "&amp;stream=stderr"),
            of(4 << 20, "&amp;stream=stderr"),
            of(16384, "&amp;stream=stderr"),
        ];
        assert_eq!(hrefs(&page), expected);
        let nobody = Tail { name: None, channel: Channel::Stdout, limit: 1024 };
        let page = nobody.page("No process name found");
        assert_eq!(between(&page, "<title>", "</title>"), "Supervisor tail of process None");
        assert_eq!(hrefs(&page), ["index.html"]);
    }

    #[test]
    fn limits() {
        let rows = [
            (None, 1024),
            (Some("2000"), 2000),
            (Some("10"), 1024),
            (Some("-5"), 1024),
            (Some("x"), 1024),
            (Some("99999999"), TAIL_BYTES_MAX),
            (Some("99999999999999999999999"), TAIL_BYTES_MAX),
        ];
        for (limit, expected) in rows {
            assert_eq!(tail_limit(limit), expected, "{limit:?}");
        }
    }
}
