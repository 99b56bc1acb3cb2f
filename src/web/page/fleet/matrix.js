// Applications by hosts: a table of cells, each with what runs of one application on one host. Of few hosts each is a column; many
// are rows, by their kinds, which fold. A cell is made anew only when what it shows has changed.

import { h, icon, many, mark, put, swap, toggle } from "./base.js";
import { apps, changed, fleet, hasFailed, hosts, isNowhere, isTwice, nameOf, tasks, tasksAt } from "./hosts.js";

/** So many hosts stand beside each other, with names in their cells. */
const COLUMNS = 6;
/** From so many on, kinds are folded. */
const FOLDED = 40;
/** Marks in a cell; of more there is a number. */
const DOTS = 12;

export const KINDS = { RUNNING: "run", STARTING: "go", STOPPING: "go", BACKOFF: "warn", FATAL: "bad", UNKNOWN: "bad", EXITED: "bad", STOPPED: "off", DONE: "done" };
const ORDER = ["bad", "warn", "go", "run", "done", "off"];
const HOST_KINDS = { RUNNING: "run", CHECKING: "go", CHECKED: "go", FAILED: "bad", ISOLATED: "bad", STOPPED: "off" };
export const hostKind = (host) => HOST_KINDS[host.s];
export const isTroubled = (host) => host.s !== "RUNNING" || [...apps.keys()].some((app) => tasksAt(host.i, app).some((task) => hasFailed(stateOn(task, host.i))));
export const stateOn = (task, host) => task.on.find(([on]) => on === host)?.[1];
export const appKind = (app) => (app.major ? "bad" : app.minor ? "warn" : app.s === "RUNNING" ? "run" : app.s === "STOPPED" ? "off" : "go");
export const appWord = (app) => (app.major ? "Not operational" : app.minor ? "Degraded" : app.s === "RUNNING" ? "Operational" : app.s[0] + app.s.slice(1).toLowerCase());
export const hostHref = (host) => `#host/${encodeURIComponent(host.n)}`;
export const appHref = (app) => `#app/${encodeURIComponent(app.n)}`;
export const { compare } = new Intl.Collator("en", { numeric: true });
const byNick = (a, b) => compare(a.n, b.n);
export const sortedApps = () => [...apps.values()].sort(byNick);

export const sight = { text: "", troubled: false };
const opened = new Set();
const cells = new Map();
let box, shape;

const shown = () => [...hosts.values()].filter((host) => (!sight.troubled || isTroubled(host)) && fits(host)).sort((a, b) => (b.i === fleet.own) - (a.i === fleet.own) || byNick(a, b));

/** Whether a host is what the filter asks for: by its name, kind or state, or by what runs on it. */
function fits(host) {
	const words = sight.text.toLowerCase().split(/\s+/).filter(Boolean);
	if (!words.length) return true;
	const of = [...apps.keys()].flatMap((app) => tasksAt(host.i, app).map(nameOf));
	const text = [host.n, host.kind, host.s, host.id, ...of].join(" ").toLowerCase();
	return words.every((word) => text.includes(word));
}

/** Counts of kinds, the worst first. */
function counts(kinds) {
	const all = {};
	for (const kind of kinds) all[kind] = (all[kind] ?? 0) + 1;
	return ORDER.filter((kind) => all[kind]).map((kind) => [kind, all[kind]]);
}

const marked = (kind, ...rest) => h(`span.${kind}`, icon(kind), rest);

/** What runs of an application on some hosts; with names where there is room for them. */
function fill(cell, on, app, isWide) {
	const all = on.flatMap((host) => tasksAt(host.i, app.i).map((task) => [task, isTwice(task) ? "warn" : KINDS[stateOn(task, host.i)] ?? "off"]));
	const drawn = all.map(([task, kind]) => task.n + kind).join();
	if (cell.drawn === drawn) return;
	cell.drawn = drawn;
	if (isWide) {
		const programs = new Map();
		for (const [task, kind] of all) {
			const key = task.p || task.n;
			programs.set(key, [...(programs.get(key) ?? []), [task, kind]]);
		}
		const line = ([program, of]) => h("li", of.slice(0, DOTS).map(([task, kind]) => h(`span.${kind}`, { title: `${task.n} ${stateOn(task, on[0].i)}` }, icon(kind))), of.length > 1 ? `${program} × ${of.length}` : of[0][0].n);
		return cell.replaceChildren(h("ul.names", [...programs].map(line)));
	}
	const kinds = counts(all.map(([, kind]) => kind));
	const dots = all.length <= DOTS && on.length === 1 ? all.map(([task, kind]) => h(`span.${kind}`, { title: `${nameOf(task)} ${kind}` }, icon(kind))) : kinds.map(([kind, count]) => marked(kind, `${count}`));
	const words = all.length ? `${many(all.length)}${kinds.filter(([kind]) => kind !== "run").map(([kind, count]) => `, ${count} ${kind}`).join("")}` : "";
	cell.replaceChildren(h("span.dots", dots), words && h("span.sr", words));
}

function hostHead(host, tag) {
	const [state, name, more] = [icon("off"), h("a", host.n, { href: hostHref(host) }), h("small")];
	const meter = h("span.meter", h("i"));
	const th = h(`${tag}.host`, { scope: tag === "th" && (shape.isWide ? "col" : "row") }, h("div.b", state, name, host.n === fleet.master && h("span.tag", "Master"), host.i === fleet.own && h("span.tag", "here")), h("div.b", meter, more));
	th.update = (it) => {
		swap(state, hostKind(it));
		th.className = `host ${hostKind(it)}`;
		meter.firstChild.style.width = `${Math.min(100, it.load ?? 0)}%`;
		const count = [...apps.keys()].reduce((sum, app) => sum + tasksAt(it.i, app).length, 0);
		put(more, `${it.load ?? 0} % · ${count}${it.s === "RUNNING" ? "" : ` · ${it.s}`}${it.stream ? " · no UDP" : ""}`);
	};
	return th;
}

/** The rows that there are: each host, or kinds of them that are folded or not. */
function groups(list) {
	const kinds = new Map();
	for (const host of list) kinds.set(host.kind ?? "", [...(kinds.get(host.kind ?? "") ?? []), host]);
	if (hosts.size < FOLDED || sight.troubled || sight.text) return list.map((host) => ({ key: `h/${host.i}`, on: [host], host }));
	return [...kinds].sort(([a], [b]) => a.localeCompare(b)).flatMap(([kind, of]) => {
		const rows = [{ key: `k/${kind}`, on: of, kind }];
		return opened.has(kind) ? [...rows, ...of.map((host) => ({ key: `h/${host.i}`, on: [host], host }))] : rows;
	});
}

/** Makes the table anew where its rows or columns are other ones, and paints what has changed. */
export function paintMatrix() {
	const list = shown();
	const isWide = hosts.size <= COLUMNS && !document.body.classList.contains("across");
	const [rows, columns] = [groups(list), sortedApps()];
	const key = JSON.stringify([isWide, rows.map((it) => it.key), columns.map((it) => it.i), fleet.master]);
	if (shape?.key !== key) {
		shape = { key, isWide };
		cells.clear();
		changed.clear();
		isWide ? appsDown(list, columns) : hostsDown(rows, columns);
	}
	const keys = new Set(changed);
	changed.clear();
	for (const it of cells.values()) if (!it.isPainted || it.keys.some((one) => keys.has(one))) it.paint();
	for (const it of box.querySelectorAll(".host,.app,.kind")) it.update?.(it.dataset.app ? apps.get(+it.dataset.app) : hosts.get(+it.dataset.host));
}

function cellOf(key, on, app, isWide) {
	const td = h("td");
	cells.set(`${key}/${app.i}`, { keys: on.map((host) => `${host.i}/${app.i}`), paint() {
		this.isPainted = true;
		fill(td, on, apps.get(app.i) ?? app, isWide);
	} });
	return td;
}

function appHead(app, scope) {
	const [state, more] = [icon("off"), h("small")];
	const th = h("th.app", { scope, "data-app": app.i }, h("div.b", state, h("a", app.n, { href: appHref(app) })), more);
	th.update = (it) => {
		if (!it) return;
		const all = [...tasks.values()].filter((task) => task.a === it.i);
		const kind = !/bad|warn/.test(appKind(it)) && all.some((task) => task.failed) ? "warn" : appKind(it);
		swap(state, kind);
		th.className = `app ${kind}`;
		put(more, `${all.filter((task) => task.s === "RUNNING").length} of ${all.length}${scope === "row" ? ` · ${appWord(it)}` : ""}`);
		mark(th, "title", appWord(it));
	};
	return th;
}

const withHost = (th, host) => (mark(th, "data-host", host.i), th);

function appsDown(list, columns) {
	const head = h("thead", h("tr", h("th", { scope: "col" }, "Application"), list.map((host) => withHost(hostHead(host, "th"), host))));
	const body = columns.map((app) => h("tr", appHead(app, "row"), list.map((host) => cellOf(`h/${host.i}`, [host], app, true))));
	box.replaceChildren(matrixTable(head, body));
}

function hostsDown(rows, columns) {
	const head = h("thead", h("tr", h("th", { scope: "col" }, "Host"), columns.map((app) => appHead(app, "col"))));
	const row = ({ key, on, host, kind }) => h(host ? "tr" : "tr.grp", host ? withHost(hostHead(host, "th"), host) : kindHead(kind, on), columns.map((app) => cellOf(key, on, app, false)));
	box.replaceChildren(matrixTable(head, rows.map(row)));
}

function kindHead(kind, on) {
	const [states, label] = [h("span.dots"), kind || "other hosts"];
	const name = h("button.tw", { "aria-expanded": opened.has(kind) }, icon("fold"), label, h("small", many(on.length, "host")), () => {
		if (!opened.delete(kind)) opened.add(kind);
		paintMatrix();
	});
	const th = h(opened.has(kind) ? "th.kind" : "th.kind.shut", { scope: "row" }, h("div.b", name, states));
	th.update = () => {
		const all = counts(on.map((host) => hostKind(hosts.get(host.i) ?? host)));
		const drawn = all.join();
		if (states.drawn !== drawn) states.replaceChildren(...all.map(([one, count]) => marked(one, `${count}`)));
		states.drawn = drawn;
	};
	return th;
}

const matrixTable = (head, body) => h("table.matrix", { "aria-label": "Applications by hosts" }, head, h("tbody", body));

/** The view of the fleet: what is above the table is given. */
export function makeMatrix(...above) {
	box = h("div.card.scroll", { tabindex: 0, role: "region", "aria-label": "Applications by hosts" });
	shape = null;
	const text = h("input", { type: "search", value: sight.text, placeholder: "Filter: host, kind, process", "aria-label": "Filter the hosts", input: () => ((sight.text = text.value), paintMatrix()) });
	const troubled = h("button.chip", "Troubled ", h("b"), { "aria-pressed": sight.troubled }, () => {
		sight.troubled = !sight.troubled;
		mark(troubled, "aria-pressed", sight.troubled);
		paintMatrix();
	});
	const across = toggle("Hosts down", "across", (is) => {
		document.body.classList.toggle("across", is);
		if (box.isConnected) paintMatrix();
	});
	const legend = h("p.legend", [["run", "running"], ["go", "starting"], ["warn", "backoff, or twice"], ["bad", "failed"]].map(([kind, word]) => marked(kind, ` ${word}`)));
	return { box: [...above, h("div.tools", text, troubled, h("span.sp"), hosts.size <= COLUMNS && across), box, legend], update() {
		put(troubled.lastChild, `${[...hosts.values()].filter(isTroubled).length}`);
		paintMatrix();
	} };
}

/** Tasks that should run and run nowhere. */
export const nowhere = () => [...tasks.values()].filter(isNowhere);
