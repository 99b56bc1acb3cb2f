// The page of a fleet as a whole: its frame, which view is open by the address, keys, and what the stream sets off.

import { $, announce, button, clock, dialog, h, icon, many, mark, put, swap } from "./base.js";
import { apps, begin, fleet, hosts, nameOf, retry, tasks } from "./hosts.js";
import { appHref, hostHref, hostKind, makeMatrix, nowhere } from "./matrix.js";
import { applications, hostView, timeline, wrongOnes } from "./views.js";

const VIEWS = { fleet: ["Fleet", overview], apps: ["Applications", () => applications()], host: ["Host", hostView], timeline: ["Timeline", timeline] };
/** Views that have no tab of their own belong to one. */
const MORE = { app: ["apps", applications] };
let open = null;
let isThere = false;
const go = (hash) => (location.hash = hash);

function theme() {
	const { dataset } = document.documentElement;
	localStorage.setItem("theme", (dataset.theme = dataset.theme === "dark" ? "light" : "dark"));
}

const [name, about, count] = [h("h1", "Fleet"), h("small"), h("span.n.dng")];
const live = h("span.live", h("i"), h("span", "Connecting"));
const nav = h("nav.tabs", { "aria-label": "Views" }, Object.entries(VIEWS).map(([key, [title]]) => h("a", { href: `#${key}` }, title, key === "fleet" && count)), h("a", "This host", { href: "./" }));
const lost = h("div.lost", { role: "alert", hidden: "" });
const main = h("main");
document.body.append(h("div", { id: "app" },
	h("header.top", h("span.mark", "S", { "aria-hidden": true }), h("div.who", name, about), h("button.find", h("span", "Find a host, an application or a process"), h("kbd", "Ctrl K"), palette),
		live, h("button.icon", { "aria-label": "Dark or light" }, icon("moon"), theme)),
	nav, lost, main, h("div", { id: "toasts" }), h("div.sr", { id: "aloud", role: "status" })));

/** A part of an address as it was before; one that was written by hand may be none. */
function decoded(part) {
	try {
		return decodeURIComponent(part);
	} catch {
		return part;
	}
}

/** Shows what the address says. */
function show() {
	const [what, of] = location.hash.slice(1).split("/");
	const [tab, view] = Object.hasOwn(MORE, what) ? MORE[what] : Object.hasOwn(VIEWS, what) ? [what, VIEWS[what][1]] : ["fleet", overview];
	for (const link of nav.children) mark(link, "aria-current", link.hash === `#${tab}` && "page");
	open = view(of && decoded(of));
	main.replaceChildren(...open.box);
	update();
}

function update() {
	if (!isThere) return;
	const own = hosts.get(fleet.own)?.n ?? "";
	put(about, `${many(hosts.size, "host")}, ${many(tasks.size)} · served by ${own}`);
	const wrong = wrongOnes();
	document.title = `${wrong.length ? `(${wrong.length}) ` : ""}Fleet · ${own}`;
	const link = $("link[rel=icon]");
	link.removeAttribute("type");
	mark(link, "href", wrong.length ? "page/bad.svg" : "images/icon.png");
	put(count, `${wrong.length || ""}`);
	open?.update(wrong);
}

/** What needs a person, how the fleet is, and applications by hosts. */
function overview() {
	const need = h("section.card.need", { "aria-label": "Needs attention" });
	const facts = { State: h("b"), Master: h("b"), Hosts: h("b"), Load: h("b") };
	const strip = h("dl.card.facts", Object.entries(facts).map(([term, it]) => h("div", h("dt", term), h("dd", it))));
	const bars = h("div.bars", { "aria-hidden": true });
	facts.Load.parentNode.append(bars);
	const matrix = makeMatrix(need, strip);
	return { box: matrix.box, update(wrong) {
		needs(need, wrong);
		const all = [...hosts.values()];
		const up = all.filter((host) => host.s === "RUNNING");
		const loads = up.map((host) => host.load ?? 0);
		put(facts.State, fleet.phase + (fleet.degraded ? " · degraded" : ""));
		put(facts.Master, fleet.master || "nobody");
		put(facts.Hosts, `${up.length} of ${all.length} here`);
		put(facts.Load, loads.length ? `mean ${Math.round(loads.reduce((sum, it) => sum + it, 0) / loads.length)} %, most ${Math.max(...loads)} %` : "");
		while (bars.children.length < all.length) bars.append(h("i"));
		while (bars.children.length > all.length) bars.lastChild.remove();
		all.forEach((host, at) => {
			bars.children[at].style.height = `${Math.max(6, Math.min(100, host.load ?? 0))}%`;
			mark(bars.children[at], "class", hostKind(host));
		});
		matrix.update();
	} };
}

/** The strip of what is wrong; one line if nothing is. */
function needs(need, wrong) {
	const shown = wrong.slice(0, 5);
	const lone = nowhere().length;
	const text = JSON.stringify([shown, wrong.length, lone]);
	if (need.said === text) return;
	need.said = text;
	need.classList.toggle("well", !shown.length);
	const line = ({ kind, name: who, state, why, href }) => h(`li.${kind}`, icon(kind), h("div.t", h("b", who), " ", h("em", state), h("span", ` · ${why}`)), h("div.b", h("a.btn", "Look", { href, "aria-label": `Look at ${who}` })));
	const rest = wrong.length > shown.length || lone ? h("p.rest", [wrong.length > shown.length && `and ${wrong.length - shown.length} more`, lone && `${many(lone)} should run and ${lone === 1 ? "runs" : "run"} nowhere`].filter(Boolean).join(" · ")) : "";
	need.replaceChildren(shown.length ? h("ul", shown.map(line)) : h("p.well", icon("done"), "Nothing needs attention."), rest);
}

/** Finds any host, application and process. */
function palette() {
	if ($("dialog")) return;
	const all = [...Object.entries(VIEWS).map(([key, [title]]) => [title, "view", key]), ...[...hosts.values()].map((it) => [it.n, "host", hostHref(it)]), ...[...apps.values()].map((it) => [it.n, "application", appHref(it)]), ...[...tasks.values()].map((it) => [nameOf(it), it.s.toLowerCase(), appHref(apps.get(it.a))])];
	let [at, found] = [0, []];
	const options = h("ol", { role: "listbox", id: "found", "aria-label": "Found" });
	const input = h("input", { placeholder: "Name", "aria-label": "Find a host, an application or a process", role: "combobox", "aria-expanded": true, "aria-controls": "found", autocomplete: "off",
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
	const choose = ([, , hash]) => (box.close(), go(hash));
	const paint = () => {
		const words = input.value.toLowerCase().split(/\s+/);
		found = all.filter(([one]) => words.every((part) => one.toLowerCase().includes(part))).sort((a, b) => a[0].length - b[0].length).slice(0, 10);
		options.replaceChildren(...found.map((it, index) => h("li", { role: "option", id: `f${index}`, "aria-selected": index === at }, it[0], h("small", it[1]), () => choose(it))), found.length ? "" : h("li", "Nothing is called so."));
		mark(input, "aria-activedescendant", found.length && `f${at}`);
	};
	const box = dialog("", h("div", input, options));
	box.classList.add("pal");
	paint();
	input.focus();
}

const HELP = { "/": "filter", "Ctrl K": "find anything", "1 2 3 4": "views", Esc: "back to the fleet" };
const KEYS = {
	"/": () => $("main input")?.focus(),
	"?": () => dialog("Keys", h("dl.pad", Object.entries(HELP).map(([key, what]) => [h("dt", h("kbd", key)), h("dd", what)])), "Close"),
	Escape: () => go("fleet"),
	...Object.fromEntries(Object.keys(VIEWS).map((key, at) => [at + 1, () => go(key)])),
};

document.addEventListener("keydown", (event) => {
	const { key, target } = event;
	if ((event.ctrlKey || event.metaKey) && key === "k") return event.preventDefault(), palette();
	if (event.ctrlKey || event.metaKey || event.altKey || $("dialog")) return;
	if (target.matches("input,select")) return key === "Escape" && target.blur();
	if (!KEYS[key]) return;
	event.preventDefault();
	KEYS[key]();
});

let told = "";
const TELL = {
	all() {
		isThere = true;
		TELL.found();
		open ? update() : show();
	},
	change(data) {
		update();
		const gone = (data.hosts ?? []).filter((host) => hostKind(host) === "bad").map((host) => `${host.n} is ${host.s}`).join(", ");
		if (gone && gone !== told) announce((told = gone));
	},
	lost({ since, again, why }) {
		document.body.classList.add("stale");
		live.className = "live gone";
		put(live.lastChild, "No contact");
		lost.hidden = false;
		lost.replaceChildren(h("b", why || `No answer from ${hosts.get(fleet.own)?.n ?? "the daemon"} since ${clock(since)}.`), h("span.sp", `Trying again in ${Math.ceil(again / 1000)} s, then another host.`), button("Try now", retry));
	},
	found() {
		document.body.classList.remove("stale");
		live.className = "live";
		put(live.lastChild, "Live");
		lost.hidden = true;
	},
};

addEventListener("hashchange", () => {
	$("dialog")?.close();
	show();
});
addEventListener("load", () => document.querySelectorAll("body > :not(#app,dialog)").forEach((it) => it.remove()));
// What is said in times since then goes on.
setInterval(() => document.hidden || update(), 10_000);
begin((what, data) => TELL[what](data));
