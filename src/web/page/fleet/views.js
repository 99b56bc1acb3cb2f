// The other views of a fleet: its applications, one host, and what has happened.

import { clock, h, icon, many, mark, put, span, swap } from "./base.js";
import { apps, fleet, hosts, moments, nameOf, now, running, tasks } from "./hosts.js";
import { appHref, appKind, appWord, compare, hostHref, hostKind, KINDS, sortedApps, stateOn } from "./matrix.js";

const word = (state) => state[0] + state.slice(1).toLowerCase();
const said = (state) => [icon(KINDS[state] ?? "off"), ` ${word(state)}`];
const stateCell = (state) => h(`td.state.${KINDS[state] ?? "off"}`, said(state));
const byName = (a, b) => compare(nameOf(a), nameOf(b));

/** Where the pages of a host are; those of the one that serves this page are here. */
const site = (host) => (host.i === fleet.own ? "./" : `${location.protocol}//${host.id}/`);
/** The log of a process on a host, in the page of that host. */
const logOf = (task, host) => h("a", host.n, { href: `${site(host)}#processes/${encodeURIComponent(nameOf(task))}/log`, target: "_blank", rel: "noopener", "aria-label": `Log of ${nameOf(task)} on ${host.n}` });
const links = (list) => list.flatMap((it, at) => (at ? [", ", it] : [it]));
const whereOf = (task) => links(running(task).flatMap((at) => hosts.get(at) ?? []).map((host) => h("a", host.n, { href: hostHref(host) })));
const logsOf = (task) => links(task.on.filter(([, , , start, , logs]) => start && logs).flatMap(([at]) => hosts.get(at) ?? []).map((host) => logOf(task, host)));
const whyOf = (task) => task.why || (KINDS[task.s] === "bad" || KINDS[task.s] === "warn" ? task.on.find(([, , , , why]) => why)?.[4] : "") || "";

function table(label, head, rows) {
	return h("table.opt", { "aria-label": label }, h("thead", h("tr", head.map((it) => h("th", { scope: "col" }, it)))), h("tbody", rows));
}

/** Rows by their keys: one that stays as it is said is not made anew. */
function keyed(body, list, keyOf, textOf, make) {
	body.rowsByKey ??= new Map();
	const before = body.rowsByKey;
	body.rowsByKey = new Map(list.map((it) => {
		const [key, text] = [keyOf(it), textOf(it)];
		const old = before.get(key);
		if (old?.said === text) return [key, old];
		const row = make(it);
		row.said = text;
		return [key, row];
	}));
	const rows = [...body.rowsByKey.values()];
	if (rows.length !== body.children.length || rows.some((row, at) => row !== body.children[at])) body.replaceChildren(...rows);
}

/** Applications: one, or all of them, with their processes. */
export function applications(only) {
	const box = h("div.scroll");
	const sections = new Map();
	function section(app) {
		const [state, words, list] = [icon("off"), h("small"), table(app.n, ["Process", "State", "Where it runs", "Why", "Log on"], [])];
		const title = h("h2", state, " ", h("a", app.n, { href: appHref(app) }));
		const it = h("section.card", { "aria-label": app.n }, h("header", title, words), h("div.wide", { tabindex: 0 }, list));
		it.update = (now) => {
			swap(state, appKind(now));
			title.className = appKind(now);
			const of = [...tasks.values()].filter((task) => task.a === now.i).sort(byName);
			put(words, `${appWord(now)} · ${of.filter((task) => task.s === "RUNNING").length} of ${many(of.length)} running${now.managed ? ` · rank ${now.rank ?? 0}` : " · not managed"}`);
			keyed(list.lastChild, of, (task) => task.i, (task) => JSON.stringify(task), (task) => h("tr", h("th", { scope: "row" }, task.n, task.required && h("small", " required")), stateCell(task.s), h("td", whereOf(task)), h("td", whyOf(task)), h("td", logsOf(task))));
		};
		return it;
	}
	return { box: [box], update() {
		const list = sortedApps().filter((app) => !only || app.n === only);
		for (const app of list) if (!sections.has(app.i)) sections.set(app.i, section(app));
		const wanted = list.map((app) => sections.get(app.i));
		if (wanted.length !== box.children.length || wanted.some((it, at) => it !== box.children[at])) box.replaceChildren(...(wanted.length ? wanted : [h("p.pad", "There is no such application.")]));
		list.forEach((app) => sections.get(app.i).update(app));
	} };
}

/** One host, and a way to each other. */
export function hostView(nick) {
	const of = () => [...hosts.values()];
	const host = () => of().find((it) => it.n === nick) ?? hosts.get(fleet.own);
	const [state, words] = [icon("off"), h("span")];
	const list = table("Processes", ["Process", "State", "Since", "pid", "Why", "Log"], []);
	const choice = h("select", { "aria-label": "Host", change: () => (location.hash = hostHref(of().find((it) => it.n === choice.value))) });
	const step = (by) => {
		const all = of().map((it) => it.n);
		location.hash = hostHref(of()[(all.indexOf(host().n) + by + all.length) % all.length]);
	};
	const own = h("a.btn", "Its own page");
	const box = [h("div.tools", h("button.btn", "‹", { "aria-label": "The host before" }, () => step(-1)), choice, h("button.btn", "›", { "aria-label": "The next host" }, () => step(1)), state, words, h("span.sp"), own), h("div.card.scroll", { tabindex: 0 }, list)];
	return { box, update() {
		const it = host();
		if (!it) return;
		const names = of().map((one) => one.n);
		if (choice.said !== names.join()) choice.replaceChildren(...names.map((name) => h("option", name)));
		choice.said = names.join();
		choice.value = it.n;
		swap(state, hostKind(it));
		mark(own, "href", site(it));
		const here = [...tasks.values()].filter((task) => stateOn(task, it.i)).sort(byName);
		put(words, `${word(it.s)} · ${it.id} · expected load ${it.load ?? 0} %${it.kind ? ` · ${it.kind}` : ""} · ${many(here.filter((task) => stateOn(task, it.i) === "RUNNING").length)} running`);
		const record = (task) => task.on.find(([at]) => at === it.i);
		keyed(list.lastChild, here, (task) => task.i, (task) => `${it.i} ${nameOf(task)} ${record(task)}`, (task) => {
			const [, is, pid, start, why, logs] = record(task);
			return h("tr", h("th", { scope: "row" }, nameOf(task)), stateCell(is), h("td", pid ? h("span.since", { "data-start": start }) : ""), h("td", pid ? `${pid}` : ""), h("td", why), h("td", logs ? logOf(task, it) : ""));
		});
		for (const cell of list.querySelectorAll(".since")) put(cell, span(now() - cell.dataset.start));
	} };
}

const SAYS = {
	process: ([, , , who, on, what, why]) => [what, h("b", who), on && ` on ${on}`, why && ` · ${why}`],
	host: ([, , , who, , what]) => [{ FAILED: "FATAL", ISOLATED: "FATAL", STOPPED: "STOPPED", RUNNING: "RUNNING" }[what] ?? "STARTING", h("b", who), ` is ${what}`],
	fleet: ([, , , , , what]) => ["", "The fleet is in ", h("b", what)],
	master: ([, , , who]) => [who ? "RUNNING" : "STOPPED", h("b", who || "Nobody"), " leads"],
};

/** What has happened, the latest first. */
export function timeline() {
	const body = h("ol.timeline");
	const text = h("input", { type: "search", placeholder: "Filter: host, process, state", "aria-label": "Filter the timeline", input: () => self.update() });
	const box = [h("div.tools", text), h("div.card.scroll", { tabindex: 0 }, body)];
	const self = { box, update() {
		const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
		const list = moments.filter((it) => words.every((one) => it.slice(3).join(" ").toLowerCase().includes(one))).reverse();
		keyed(body, list, ([number]) => number, () => "", (it) => {
			const [state, ...rest] = SAYS[it[2]](it);
			return h(`li.${KINDS[state] ?? "off"}`, h("time", clock(it[1])), icon(KINDS[state] ?? "off"), h("span", it[2] === "process" ? `${word(state)} ` : "", rest));
		});
		if (!list.length) body.replaceChildren(h("li", "Nothing has happened."));
	} };
	return self;
}

/** What of the fleet needs a person: hosts that are gone, applications that lack something, what runs twice or nowhere. */
export function wrongOnes() {
	const all = [];
	const has = (number, what) => number && all.push(what);
	for (const host of hosts.values()) has(/bad/.test(hostKind(host)), { key: `h${host.i}`, kind: "bad", name: host.n, state: host.s, href: hostHref(host), why: `last heard of as ${host.id}` });
	for (const host of hosts.values()) has(host.s === "STOPPED", { key: `h${host.i}`, kind: "warn", name: host.n, state: "NOT THERE", href: hostHref(host), why: host.id });
	const failing = new Map();
	for (const task of tasks.values()) if (task.failed) failing.set(task.a, [...(failing.get(task.a) ?? []), task]);
	for (const app of sortedApps()) {
		const of = failing.get(app.i) ?? [];
		if (!app.major && !app.minor && !of.length) continue;
		const [first] = of;
		const why = first ? `${first.n} ${word(first.s)}${whyOf(first) ? ` · ${whyOf(first)}` : ""}${of.length > 1 ? ` · and ${of.length - 1} more` : ""}` : "something that it needs does not run";
		all.push({ key: `a${app.i}`, kind: app.major ? "bad" : "warn", name: app.n, state: app.major ? "NOT OPERATIONAL" : app.minor ? "DEGRADED" : "FAILING", href: appHref(app), why });
	}
	if (fleet.phase === "CONCILIATION") {
		const twice = [...tasks.values()].filter((task) => running(task).length > 1);
		has(twice.length, { key: "twice", kind: "warn", name: twice.slice(0, 3).map(nameOf).join(", "), state: "RUN TWICE", href: "#timeline", why: many(twice.length) });
	}
	return all.sort((a, b) => a.kind.localeCompare(b.kind));
}
