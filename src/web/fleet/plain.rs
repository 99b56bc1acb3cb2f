//! The pages of a fleet as plain tables, for browsers without JavaScript and for scripts.

use std::collections::BTreeMap;

use super::rows::{has_failed, kind};
use crate::clock::Now;
use crate::fleet::Fleet;
use crate::fleet::members::Member;
use crate::fleet::timeline::What;
use crate::id::PeerId;
use crate::model::fleet::instance::InstanceState;
use crate::model::fleet::view::{Task, TaskId};
use crate::state::ProcessState;
use crate::web::files::HAS_PAGE;
use crate::web::page::{NEW_WINDOW, Page};
use crate::wire::form::{Form, quote};

/// Hosts that stand beside each other as columns; more of them are columns by their kinds.
const COLUMNS_MAX: usize = 12;

/// Cells of that table: a page is made in one piece, and each takes some 30 bytes of it.
const CELLS_MAX: usize = 20_000;

/// The page that a form asks for: `host`, `app`, `view=timeline`, or the fleet; `fold=none` shows each host.
pub fn page(fleet: &Fleet, form: &Form, policy: &str, now: Now, local: &mut dyn FnMut(i64) -> String) -> String {
    let own = fleet.own().map_or("", |own| &own.nick);
    let mut page = Page::begin_with(&format!("Fleet: {own}"), policy);
    if HAS_PAGE {
        for sheet in ["page.css", "fleet.css"] {
            page.raw(&format!("<link href=\"page/{sheet}\" rel=\"stylesheet\" media=\"not all\">\n"));
        }
        page.raw("<link href=\"page/fleet.js\" rel=\"modulepreload\">\n<script src=\"page/fleet-boot.js\"></script>\n");
    }
    page.raw("</head>\n<body>\n<h1>Fleet</h1>\n<nav aria-label=\"Views\"><ul id=\"buttons\">\n");
    for (href, label) in [
        ("fleet.html", "Fleet"),
        ("fleet.html?view=apps", "Applications"),
        ("fleet.html?view=timeline", "Timeline"),
        ("index.html", "This host"),
    ] {
        page.raw("<li class=\"action-button\">");
        page.link(href, label, "");
        page.raw("</li>\n");
    }
    page.raw("</ul></nav>\n");
    let named = |name: &str| fleet.members().find(|(_, member)| member.who.nick == name);
    match (form.get("host").and_then(named), form.get("app"), form.get("view")) {
        (Some((peer, member)), _, _) => host(&mut page, fleet, peer, member, local),
        (_, Some(name), _) => applications(&mut page, fleet, Some(name)),
        (_, _, Some("apps")) => applications(&mut page, fleet, None),
        (_, _, Some("timeline")) => timeline(&mut page, fleet, local),
        _ => overview(&mut page, fleet, form.get("fold") == Some("none")),
    }
    page.raw("<p>As seen by ");
    page.text(own);
    page.raw(" at ");
    page.text(&local(now.wall.secs()));
    page.raw("</p>\n");
    page.end()
}

fn heads(page: &mut Page, names: &[&str]) {
    page.raw("<table>\n<thead><tr>");
    for name in names {
        page.raw("<th scope=\"col\">");
        page.text(name);
        page.raw("</th>");
    }
    page.raw("</tr></thead>\n<tbody>\n");
}

fn cell(page: &mut Page, text: &str) {
    page.raw("<td>");
    page.text(text);
    page.raw("</td>\n");
}

fn row_head(page: &mut Page, href: &str, text: &str) {
    page.raw("<tr><th scope=\"row\">");
    page.link(href, text, "");
    page.raw("</th>\n");
}

fn state(page: &mut Page, class: &str, text: &str) {
    page.raw("<td class=\"status\"><span class=\"");
    page.raw(class);
    page.raw("\">");
    page.text(&text.to_ascii_lowercase());
    page.raw("</span></td>\n");
}

fn class_of(state: ProcessState, expected: bool) -> &'static str {
    match state {
        ProcessState::Running => "statusrunning",
        _ if has_failed(state, expected) => "statuserror",
        _ => "statusnominal",
    }
}

/// Where pages of an instance are; those of this one are here.
fn site(fleet: &Fleet, peer: PeerId, member: &Member) -> String {
    if peer == fleet.own_id() { String::new() } else { format!("http://{}/", member.who.identifier) }
}

fn host_href(nick: &str) -> String {
    format!("fleet.html?host={}", quote(nick))
}

fn app_href(name: &str) -> String {
    format!("fleet.html?app={}", quote(name))
}

/// How many run, and how many have failed: `3`, `3, 1 failed`, or nothing.
#[derive(Clone, Copy, Default)]
struct Counts {
    running: usize,
    failed: usize,
}

impl Counts {
    fn text(self) -> String {
        match (self.running, self.failed) {
            (0, 0) => String::new(),
            (running, 0) => running.to_string(),
            (running, failed) => format!("{running}, {failed} failed"),
        }
    }
}

fn sum(all: impl Iterator<Item = Counts>) -> Counts {
    all.fold(Counts::default(), |sum, one| Counts {
        running: sum.running + one.running,
        failed: sum.failed + one.failed,
    })
}

/// What runs of each application on each host, in one look at all tasks.
fn counts(fleet: &Fleet) -> BTreeMap<(u32, PeerId), Counts> {
    let mut all: BTreeMap<(u32, PeerId), Counts> = BTreeMap::new();
    for known in fleet.view().tasks().flat_map(|(_, task)| task.known().iter().map(move |known| (task.app, known))) {
        let (app, known) = known;
        let of = all.entry((app.0, known.peer)).or_default();
        of.running += usize::from(known.record.state == ProcessState::Running);
        of.failed += usize::from(has_failed(known.record.state, known.record.expected));
    }
    all
}

fn overview(page: &mut Page, fleet: &Fleet, is_unfolded: bool) {
    page.raw("<p>State <strong>");
    page.text(fleet.phase().name());
    page.raw("</strong>, Master <strong>");
    page.text(fleet.master().map_or("nobody", |master| &master.who.nick));
    page.raw("</strong>");
    page.raw(if fleet.is_degraded() { ", degraded: not all are there that were waited for</p>\n" } else { "</p>\n" });
    let counts = counts(fleet);
    let mut by_host: BTreeMap<PeerId, Counts> = BTreeMap::new();
    for ((_, peer), one) in &counts {
        let of = by_host.entry(*peer).or_default();
        *of = sum([*of, *one].into_iter());
    }
    page.raw("<h2>Hosts</h2>\n");
    heads(page, &["Host", "State", "Kind", "Load", "Running"]);
    for (peer, member) in fleet.members() {
        row_head(page, &host_href(&member.who.nick), &member.who.nick);
        let class = match member.state {
            InstanceState::Running => "statusrunning",
            InstanceState::Failed | InstanceState::Isolated | InstanceState::Stopped => "statuserror",
            _ => "statusnominal",
        };
        state(page, class, member.state.name());
        cell(page, &kind(member));
        cell(page, &format!("{} %", fleet.view().load(peer)));
        cell(page, &by_host.get(&peer).copied().unwrap_or_default().text());
        page.raw("</tr>\n");
    }
    page.raw("</tbody></table>\n<h2>Applications by hosts</h2>\n");
    let hosts = fleet.members().count();
    let is_folded = hosts > COLUMNS_MAX && (!is_unfolded || hosts * fleet.view().apps().count() > CELLS_MAX);
    let mut columns: BTreeMap<(String, u32), Vec<PeerId>> = BTreeMap::new();
    for (peer, member) in fleet.members() {
        let name = if is_folded { (kind(member), 0) } else { (member.who.nick.clone(), peer.0) };
        columns.entry(name).or_default().push(peer);
    }
    let names = columns.keys().map(|(name, _)| if name.is_empty() { "other hosts" } else { name });
    heads(page, &["Application"].into_iter().chain(names).collect::<Vec<_>>());
    for (id, app) in fleet.view().apps() {
        row_head(page, &app_href(&app.name), &app.name);
        for peers in columns.values() {
            let of = peers.iter().filter_map(|peer| counts.get(&(id.0, *peer)).copied());
            cell(page, &sum(of).text());
        }
        page.raw("</tr>\n");
    }
    page.raw("</tbody></table>\n");
    if is_folded {
        page.raw("<p>");
        page.link("fleet.html?fold=none", "Each host", "");
        page.raw("</p>\n");
    }
}

fn applications(page: &mut Page, fleet: &Fleet, only: Option<&str>) {
    let all = fleet.view().apps().filter(|(_, app)| only.is_none_or(|name| name == app.name));
    let mut is_any = false;
    for (id, app) in all {
        is_any = true;
        page.raw("<h2>");
        page.text(&app.name);
        if let Some(status) = fleet.status(id) {
            page.text(&format!(" · {}", status.state.name().to_ascii_lowercase()));
            page.raw(if status.major {
                " · not operational"
            } else if status.minor {
                " · degraded"
            } else {
                ""
            });
        }
        page.raw("</h2>\n");
        heads(page, &["Process", "State", "Where", "Why", "Log"]);
        for id in app.tasks.values() {
            if let Some(one) = fleet.view().task(*id) {
                process(page, fleet, *id, one);
            }
        }
        page.raw("</tbody></table>\n");
    }
    if !is_any {
        page.raw("<p>There is no such application.</p>\n");
    }
}

/// A process wherever it runs.
fn process(page: &mut Page, fleet: &Fleet, id: TaskId, task: &Task) {
    let nick = |peer: PeerId| fleet.member(peer).map_or("", |member| &member.who.nick);
    page.raw("<tr><th scope=\"row\">");
    page.text(&task.name);
    page.raw("</th>\n");
    state(page, class_of(task.shown(), task.expected()), task.shown().name());
    page.raw("<td>");
    for peer in task.running() {
        page.link(&host_href(nick(peer)), nick(peer), "");
        page.raw(" ");
    }
    page.raw("</td>\n");
    let forced = task.forced.as_ref().map(|forced| &forced.reason);
    cell(page, forced.or(task.deciding().map(|known| &known.record.spawnerr)).map_or("", |why| why));
    page.raw("<td>");
    let name = fleet.view().namespec(id).unwrap_or_default();
    for known in task.known().iter().filter(|known| known.record.start > 0 && known.record.has_stdout) {
        if let Some(member) = fleet.member(known.peer) {
            let href = format!("{}tail.html?processname={}", site(fleet, known.peer, member), quote(&name));
            page.link(&href, nick(known.peer), NEW_WINDOW);
            page.raw(" ");
        }
    }
    page.raw("</td></tr>\n");
}

fn host(page: &mut Page, fleet: &Fleet, peer: PeerId, member: &Member, local: &mut dyn FnMut(i64) -> String) {
    page.raw("<form action=\"fleet.html\"><label>Host <select name=\"host\">");
    for (_, other) in fleet.members() {
        page.raw(if other.who.nick == member.who.nick { "<option selected>" } else { "<option>" });
        page.text(&other.who.nick);
        page.raw("</option>");
    }
    page.raw("</select></label> <input type=\"submit\" value=\"Show\"></form>\n<h2>");
    page.text(&member.who.nick);
    page.text(&format!(" · {} · {}", member.state.name().to_ascii_lowercase(), member.who.identifier));
    page.raw("</h2>\n<p>");
    let site = site(fleet, peer, member);
    page.link(&format!("{site}index.html"), "Start and stop on its own page", "");
    page.raw("</p>\n");
    heads(page, &["Process", "State", "Started", "Why", "Log"]);
    let here = fleet.view().tasks().filter_map(|(id, task)| Some((fleet.view().namespec(id)?, task.on(peer)?)));
    let mut here: Vec<_> = here.collect();
    crate::sort::by(&mut here, |a, b| a.0.cmp(&b.0));
    for (name, known) in here {
        let record = &known.record;
        page.raw("<tr><th scope=\"row\">");
        page.text(&name);
        page.raw("</th>\n");
        state(page, class_of(record.state, record.expected), record.state.name());
        cell(page, &if record.pid > 0 { local(record.start) } else { String::new() });
        cell(page, &record.spawnerr);
        page.raw("<td>");
        for (has, label, stream) in [(record.has_stdout, "stdout", ""), (record.has_stderr, "stderr", "&stream=stderr")]
        {
            if has {
                page.link(&format!("{site}tail.html?processname={}{stream}", quote(&name)), label, NEW_WINDOW);
                page.raw(" ");
            }
        }
        page.raw("</td></tr>\n");
    }
    page.raw("</tbody></table>\n");
}

fn timeline(page: &mut Page, fleet: &Fleet, local: &mut dyn FnMut(i64) -> String) {
    heads(page, &["When", "What", "Host", "State", "Why"]);
    let nick = |peer: PeerId| fleet.member(peer).map_or("", |member| &member.who.nick);
    let mut all: Vec<_> = fleet.timeline().since(0).collect();
    all.reverse();
    for (_, moment) in all {
        page.raw("<tr>");
        cell(page, &local(moment.at.secs()));
        let (who, on, what, why) = match &moment.what {
            What::Process { name, peer, state, why, .. } => (name.as_str(), nick(*peer), state.name(), why.as_str()),
            What::Member(peer, state) => ("host", nick(*peer), state.name(), ""),
            What::Phase(phase) => ("fleet", "", phase.name(), ""),
            What::Master(master) => ("Master", master.map_or("nobody", nick), "", ""),
        };
        for text in [who, on, what, why] {
            cell(page, text);
        }
        page.raw("</tr>\n");
    }
    page.raw("</tbody></table>\n");
}
