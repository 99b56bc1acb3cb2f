// The page as a whole: its frame, which view is open by the address, keys, and what the stream sets off.

import { $, announce, button, clock, dialog, h, icon, many, mark, put, span, swap, toast, toggle } from "./base.js";
import { begin, byName, call, daemon, everyone, lastLine, now, processes, retry } from "./daemon.js";
import { arrange, CHIPS, current, fold, hangsOnFigures, makeTable, move, paint, pick, refreshLines, reveal, sight, wrongOnes } from "./list.js";
import { addProgram } from "./forms.js";
import { ALL, askClear, askSignal, href, isOn, isUp, kind, reason, restartAll, since, start, startAll, startOrRestart, stop, word } from "./process.js";
import { activity, config, logs, logsOf, panel } from "./views.js";

const VIEWS = { processes: ["Processes"], logs: ["Logs", logs], activity: ["Activity", activity], config: ["Configuration", config] };
let open = null;
let view = "processes";
let isFirst = true;
const go = (hash) => (location.hash = hash);

function theme() {
	const { dataset } = document.documentElement;
	localStorage.setItem("theme", (dataset.theme = dataset.theme === "dark" ? "light" : "dark"));
}
const bell = toggle(icon("bell"), "bell", (is) => is && globalThis.Notification?.requestPermission());
bell.className = "icon";
mark(bell, "aria-label", "Notify of failures");

const [name, about, count, pending] = [h("h1"), h("small"), h("span.n.dng"), h("span.n")];
const live = h("span.live", h("i"), h("span", "Connecting"));
const nav = h("nav.tabs", { "aria-label": "Views" }, Object.entries(VIEWS).map(([key, [title]]) => h("a", { href: `#${key}` }, title, { processes: count, config: pending }[key])));
if ($("link[rel=up]")) nav.append(h("a", "Fleet", { href: "fleet.html" }));
const lost = h("div.lost", { role: "alert", hidden: "" });
const main = h("main");
const need = h("section.card.need", { "aria-label": "Needs attention" });
const text = h("input", { type: "search", placeholder: "Filter: name, state, cpu>50", "aria-label": "Filter the processes", input: () => ((sight.text = text.value), arrange()) });
const chips = Object.entries(CHIPS).map(([key, [title]]) => h("button.chip", `${title} `, h("b"), () => chip(key)));
const listBox = makeTable({ open: (it) => go(href(it.name)), picked });
const adding = button("Add program", addProgram);
const tools = h("div.tools", text, h("span.chips", { role: "group", "aria-label": "Show" }, chips), h("span.sp"),
	toggle("Compact", "compact", (is) => (document.body.classList.toggle("compact", is), paint())),
	adding, button("Restart all", ALL["Restart all"]), button("Stop all", ALL["Stop all"], ".dng"));
const split = h("div.split", listBox);
const bulk = h("div.bulk", { role: "group", "aria-label": "Selected processes", hidden: "" });
document.body.append(h("div", { id: "app" },
	h("header.top", h("span.mark", "S", { "aria-hidden": true }), h("div.who", name, about), h("button.find", h("span", "Find a process or a command"), h("kbd", "Ctrl K"), palette),
		live, bell, h("button.icon", { "aria-label": "Dark or light" }, icon("moon"), theme)),
	nav, lost, main, bulk, h("div", { id: "toasts" }), h("div.sr", { id: "aloud", role: "status" })));

/** Shows what the address says. */
function show() {
	const [what, of, tab] = location.hash.slice(1).split("/");
	lookAtFiles();
	view = VIEWS[what] ? what : "processes";
	for (const link of nav.children) mark(link, "aria-current", link.hash === `#${view}` && "page");
	open = null;
	if (view !== "processes") {
		open = VIEWS[view][1]((of ?? "").split(",").filter(Boolean).map(decodeURIComponent));
		return main.replaceChildren(open.box);
	}
	const it = of && byName(decodeURIComponent(of));
	const hadFocus = split.contains(document.activeElement) && document.activeElement.closest(".detail");
	if (!listBox.isConnected) main.replaceChildren(need, tools, split);
	split.replaceChildren(listBox);
	split.classList.toggle("open", Boolean(it));
	sight.open = it?.id;
	if (!it) return arrange();
	open = panel(it, tab || "log");
	split.append(open.box);
	reveal(it);
	if (hadFocus) $("[aria-current]", open.box).focus();
}

function chip(key) {
	sight.chip = key;
	arrange();
	refresh();
}

/** What stands around the list. */
function refresh() {
	const host = daemon.host || daemon.identifier || "Supervisor";
	put(name, host);
	adding.hidden = !daemon.mutation;
	put(about, `${daemon.identifier} · up ${span(now() - daemon.up)} · ${many(processes.size)}`);
	const all = everyone();
	Object.entries(CHIPS).forEach(([key, [, is]], at) => {
		put(chips[at].lastChild, `${all.filter(is).length}`);
		mark(chips[at], "aria-pressed", sight.chip === key);
	});
	const wrong = wrongOnes();
	document.title = (wrong.length ? `(${wrong.length}) ` : "") + host;
	const tab = $("link[rel=icon]");
	tab.removeAttribute("type");
	mark(tab, "href", wrong.length ? "page/bad.svg" : "images/icon.png");
	put(count, `${wrong.length || ""}`);
	needs(wrong);
}

/** The strip of what is wrong; one line if nothing is. */
function needs(wrong) {
	const shown = wrong.slice(0, 5);
	const ids = `${shown.map((it) => it.id)}/${wrong.length}`;
	if (need.shown !== ids) {
		need.shown = ids;
		need.classList.toggle("well", !shown.length);
		const rest = wrong.length > 5 ? h("button.rest", `and ${wrong.length - 5} more`, () => chip("bad")) : "";
		need.replaceChildren(shown.length ? h("ul", shown.map(needed)) : h("p.well", icon("done"), "Nothing needs attention."), rest);
	}
	need.querySelectorAll("li").forEach((li) => li.update());
}

function needed(it) {
	const [shape, state, why, line] = [icon("bad"), h("em"), h("span"), h("code")];
	const first = button("", () => startOrRestart(it), ".pri");
	const end = button("Stop", () => stop([it]));
	const li = h("li", shape, h("div.t", h("b", it.name), " ", state, why), line, h("div.b", first, end, h("a.btn", "Log", { href: href(it.name, "log") })));
	let asked;
	li.update = () => {
		li.className = kind(it);
		swap(shape, kind(it));
		put(state, word(it));
		put(why, [!it.next && since(it) && span(now() - since(it)), reason(it)].filter(Boolean).map((part) => ` · ${part}`).join(""));
		put(first, it.s === "BACKOFF" ? "Try now" : isUp(it) ? "Restart" : it.waits ? "Start now" : "Start again");
		end.hidden = !isOn(it);
		if (asked === (asked = since(it))) return;
		const last = async () => (it.errlog && (await lastLine(it.name, "stderr"))) || (it.out && (await lastLine(it.name, "stdout"))) || "";
		last().then((said) => put(line, said), () => {});
	};
	return li;
}

/** Tells of failures aloud, and by the browser if that is wished. */
function alarm(it) {
	if (it.s !== "FATAL" || !it.was || it.was === it.s) return;
	announce(`${it.name} is FATAL: ${reason(it)}`);
	if (bell.getAttribute("aria-pressed") !== "true" || globalThis.Notification?.permission !== "granted") return;
	try {
		new Notification(`${it.name} is FATAL`, { body: reason(it), tag: it.name });
	} catch {
		// Browsers of phones have them for installed pages alone.
	}
}

/** What can be done with those that are selected. */
function picked() {
	const chosen = [...sight.picked].flatMap((id) => processes.get(id) ?? []);
	bulk.hidden = !chosen.length;
	bulk.replaceChildren(h("b", `${chosen.length} selected`), button("Start", () => startAll(chosen)), button("Restart", () => restartAll(chosen)), button("Logs together", () => go(logsOf(chosen.map((it) => it.name)))),
		button("Signal", () => askSignal(chosen)), button("Clear logs", () => askClear(chosen)), button("Stop", () => stop(chosen)), h("button.icon", { "aria-label": "Select none" }, icon("close"), () => pick(chosen, false)));
}

/** Finds any process and any command. */
function palette() {
	if ($("dialog")) return;
	const all = everyone().flatMap((it) => [[it.name, word(it), () => go(href(it.name))], [`${isUp(it) ? "restart" : "start"} ${it.name}`, "command", () => startOrRestart(it)],
		...(isOn(it) ? [[`stop ${it.name}`, "command", () => stop([it])]] : [])]);
	all.push(...Object.entries(VIEWS).map(([key, [title]]) => [title, "view", () => go(key)]), ["Keys", "help", help], ...Object.entries(ALL).map(([title, act]) => [title, "command", act]));
	let [at, found] = [0, []];
	const options = h("ol", { role: "listbox", id: "found", "aria-label": "Found" });
	const input = h("input", { placeholder: "Name or command", "aria-label": "Find a process or a command", role: "combobox", "aria-expanded": true, "aria-controls": "found", autocomplete: "off",
		input: () => ((at = 0), paint()),
		keydown(event) {
			const step = { ArrowDown: 1, ArrowUp: -1, Enter: 0 }[event.key];
			if (step == null) return;
			// Else Enter would also press what has the focus by then.
			event.preventDefault();
			if (!step && found[at]) choose(found[at]);
			at = Math.max(0, Math.min(found.length - 1, at + step));
			paint();
		} });
	const choose = ([, , act]) => (box.close(), act());
	const paint = () => {
		const words = input.value.toLowerCase().split(/\s+/);
		found = all.filter(([one]) => words.every((part) => one.toLowerCase().includes(part))).sort((a, b) => a[0].length - b[0].length).slice(0, 10);
		options.replaceChildren(...found.map((it, index) => h("li", { role: "option", id: `f${index}`, "aria-selected": index === at }, it[0], h("small", it[1]), () => choose(it))), found.length ? "" : h("li", "Nothing to do."));
		mark(input, "aria-activedescendant", found.length && `f${at}`);
	};
	const box = dialog("", h("div", input, options));
	box.classList.add("pal");
	paint();
	input.focus();
}

const HELP = { "/": "filter", "Ctrl K": "find anything", "j k ↓ ↑": "move", Enter: "open or fold", r: "restart", s: "start or stop", x: "select", f: "follow the log", "1 2 3 4": "views", Esc: "back" };
function help() {
	dialog("Keys", h("dl.pad", Object.entries(HELP).map(([key, what]) => [h("dt", h("kbd", key)), h("dd", what)])), "Close");
}

const KEYS = {
	"/": () => text.focus(), j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1), Escape: () => go("processes"), "?": help, f: () => open?.log?.follow(),
	Enter: ({ key, process }) => (process ? go(href(process.name)) : fold(key)), r: ({ members }) => restartAll(members), x: ({ members }) => pick(members),
	s: ({ members, process }) => (process && !isOn(process) ? start(process) : stop(members)),
	...Object.fromEntries(Object.keys(VIEWS).map((key, at) => [at + 1, () => go(key)])),
};

function keys(event) {
	const { key, target } = event;
	if ((event.ctrlKey || event.metaKey) && key === "k") return event.preventDefault(), palette();
	if (event.ctrlKey || event.metaKey || event.altKey || $("dialog")) return;
	if (target.matches("input:not([type=checkbox]),select")) return key === "Escape" && target.blur();
	const [act, item] = [KEYS[key], current()];
	if (!act || (act.length && !item) || (key === "Enter" && target.closest("button,a")) || (key.startsWith("Arrow") && target.closest(".lines"))) return;
	event.preventDefault();
	act(item);
}

/** How much the files would change, beside the name of that view. */
async function lookAtFiles() {
	const { changes } = await call("stheno.getChanges").catch(() => ({ changes: [] }));
	put(pending, `${changes.length || ""}`);
}

const TELL = {
	lost({ since: from, again, why }) {
		document.body.classList.add("stale");
		live.className = "live gone";
		put(live.lastChild, "No contact");
		lost.hidden = false;
		lost.replaceChildren(h("b", why || `No answer from ${daemon.host || "the daemon"} since ${clock(from)}.`), h("span.sp", `Trying again in ${Math.ceil(again / 1000)} s.`), button("Try now", retry));
	},
	found() {
		document.body.classList.remove("stale");
		live.className = "live";
		put(live.lastChild, "Live");
		lost.hidden = true;
	},
	all() {
		TELL.found();
		refresh();
		lookAtFiles();
		// What the address names is known only now.
		if (isFirst || !open || open.process) show();
		isFirst = false;
	},
	change(changed) {
		changed.forEach(alarm);
		refresh();
		arrange();
		if (!open?.process || changed.includes(open.process)) open?.changed?.();
		if (open?.process && !processes.has(open.process.id)) go("processes");
	},
	files() {
		lookAtFiles();
		open?.read?.();
	},
	figures() {
		refresh();
		hangsOnFigures() ? arrange() : paint();
		refreshLines();
	},
};

addEventListener("hashchange", () => {
	// A dialog belongs to the view that it was opened from.
	$("dialog")?.close();
	show();
});
// The server's table may have thousands of rows, and nobody sees them any more.
addEventListener("load", () => document.querySelectorAll("body > :not(#app,dialog)").forEach((it) => it.remove()));
document.addEventListener("keydown", keys);
const said = new URLSearchParams(location.search).get("message");
if (said) {
	toast(said);
	history.replaceState(null, "", location.pathname + location.hash);
}
show();
begin((what, data) => (TELL[what](data), open?.update?.()));
