// The list of processes: groups that fold, many processes of one program that fold, and of all these only the rows that can be
// seen. A row that stays is changed in place; nothing is built anew for a new figure.

import { $, drawing, h, icon, mark, percent, put, size, span, swap } from "./base.js";
import { everyone, lastLine, now } from "./daemon.js";
import { age, filter, href, isOn, isUp, isWrong, kind, restartAll, since, startAll, startOrRestart, stop, word } from "./process.js";

/** Rows above and below what is seen. */
const MARGIN = 8;
const HOUR = 3_600_000;
/** Logs asked for their last lines in one round. */
const LINES_PER_ROUND = 16;

/** What of the processes is shown, and how. */
export const sight = { chip: "all", text: "", sort: "nm", isUp: true, at: null, open: null, picked: new Set() };
export const CHIPS = {
	all: ["All", () => true],
	bad: ["Failing", isWrong],
	run: ["Running", (it) => it.s === "RUNNING"],
	wait: ["Waiting", (it) => it.waits],
	off: ["Not running", (it) => !isOn(it) && !isWrong(it)],
};
const COLUMNS = { pick: "", st: "State", nm: "Name", up: "Uptime", rib: "Last hour", cpu: "CPU", mem: "Memory", rst: "Restarts", last: "Last line", act: "" };
const ORDER = ["bad", "warn", "go", "off", "done", "run"];
const rank = (it) => ORDER.indexOf(kind(it));
const SORTS = {
	st: (a, b) => rank(a) - rank(b),
	nm: (a, b) => a.g.localeCompare(b.g, "en", { numeric: true }) || a.n.localeCompare(b.n, "en", { numeric: true }),
	up: (a, b) => (a.start ?? 0) - (b.start ?? 0),
	cpu: (a, b) => b.cpu - a.cpu,
	mem: (a, b) => b.mem - a.mem,
	rst: (a, b) => (b.restarts ?? 0) - (a.restarts ?? 0),
};

const shut = new Set(JSON.parse(localStorage.getItem("shut") ?? "[]"));
const opened = new Set();
const rows = new Map();
let items = [];
let box, body, above, below, hooks;

/** Makes the empty table. `hooks`: open(process), picked(). */
export function makeTable(given) {
	hooks = given;
	const all = h("input", { type: "checkbox", "aria-label": "Select all that are shown", change: () => pick(shown(), all.checked) });
	const head = Object.entries(COLUMNS).map(([key, title]) => {
		const content = key === "pick" ? all : SORTS[key] ? h("button", title, () => sortBy(key)) : title || h("span.sr", "Actions");
		return h(`th.c-${key}`, { scope: "col" }, content);
	});
	[above, below] = [0, 1].map(() => h("tr.gap", { "aria-hidden": true }, h("td")));
	body = h("tbody", above, below);
	box = h("div.card.list", { tabindex: -1, scroll: () => requestAnimationFrame(paint) }, h("table", { "aria-label": "Processes" }, h("thead", h("tr", head)), body));
	new ResizeObserver(() => paint()).observe(box);
	return box;
}

function sortBy(key) {
	sight.isUp = sight.sort !== key || !sight.isUp;
	sight.sort = key;
	arrange();
}

export function pick(list, is = !sight.picked.has(list[0]?.id)) {
	for (const it of list) is ? sight.picked.add(it.id) : sight.picked.delete(it.id);
	hooks.picked();
	paint();
}

export function fold(key) {
	const set = key.startsWith("g/") ? shut : opened;
	if (!set.delete(key)) set.add(key);
	localStorage.setItem("shut", JSON.stringify([...shut].slice(-500)));
	arrange();
}

/** Whether new figures can change which rows there are, or their order. */
export const hangsOnFigures = () => /cpu|mem/.test(sight.sort + sight.text);

/** Finds out anew which rows there are, and paints them. */
export function arrange() {
	const [fits, [, chip]] = [filter(sight.text), CHIPS[sight.chip]];
	const isWhole = !sight.text && sight.chip === "all";
	const list = everyone().filter((it) => chip(it) && fits(it)).sort(SORTS[sight.sort]);
	if (!sight.isUp) list.reverse();
	items = [];
	const groups = new Map();
	if (sight.sort === "nm") for (const it of list) groups.get(it.g)?.push(it) ?? groups.set(it.g, [it]);
	else items = list.map((process) => ({ key: `p/${process.id}`, members: [process], process }));
	for (const [name, members] of groups) {
		const programs = new Map();
		for (const it of members) programs.get(it.p)?.push(it) ?? programs.set(it.p, [it]);
		// A program by itself is its own group, and needs no second line for that.
		const isGroup = programs.size > 1 || !programs.has(name);
		const key = `g/${name}`;
		if (isGroup) items.push({ key, name, members });
		if (isGroup && shut.has(key) && isWhole) continue;
		for (const [program, of] of programs) {
			const isMany = of.length > 1 && isWhole;
			const folded = `f/${name}/${program}`;
			if (isMany) items.push({ key: folded, name: program, members: of });
			if (!isMany || opened.has(folded)) for (const it of of) items.push({ key: `p/${it.id}`, members: [it], process: it, isSub: isMany });
		}
	}
	box.style.setProperty("--nm", `${Math.max(...items.map((it) => ((it.process ?? it).name + aside(it)).length)) * 0.9 + 5}ch`);
	box.classList.toggle("none", !items.length);
	for (const th of box.querySelectorAll("th[scope=col]")) mark(th, "aria-sort", th.className === `c-${sight.sort}` && (sight.isUp ? "ascending" : "descending"));
	mark($("table", box), "aria-rowcount", items.length + 1);
	paint();
}

/** Shows a process wherever it is folded away, and marks it. */
export function reveal(process) {
	shut.delete(`g/${process.g}`);
	opened.add(`f/${process.g}/${process.p}`);
	sight.at = `p/${process.id}`;
	arrange();
	move(0);
}

/** Moves the mark of the keyboard. */
export function move(step) {
	const at = Math.max(0, Math.min(items.length - 1, items.findIndex((it) => it.key === sight.at) + step));
	sight.at = items[at]?.key;
	const [height, head] = [rowHeight(), $("thead", box).offsetHeight];
	box.scrollTop = Math.min(at * height, Math.max(box.scrollTop, (at + 1) * height + head - box.clientHeight));
	paint();
}

const rowHeight = () => parseFloat(getComputedStyle(box).getPropertyValue("--row"));
/** What the keyboard's mark stands on. */
export const current = () => items.find((it) => it.key === sight.at);
export const shown = () => items.flatMap((it) => it.process ?? []);

/** Puts the rows that can be seen into the table. */
export function paint() {
	if (!box.isConnected) return;
	const height = rowHeight();
	const first = Math.max(0, Math.floor(box.scrollTop / height) - MARGIN);
	const seen = items.slice(first, Math.ceil((box.scrollTop + box.clientHeight) / height) + MARGIN);
	const after = items.length - first - seen.length;
	[above.hidden, below.hidden] = [!first, after <= 0];
	above.firstChild.style.height = `${first * height}px`;
	below.firstChild.style.height = `${after * height}px`;
	const keys = new Set(seen.map((it) => it.key));
	for (const [key, row] of rows) {
		if (keys.has(key)) continue;
		// The focus must not be lost with a row that scrolls away.
		if (row.tr.contains(document.activeElement)) box.focus({ preventScroll: true });
		row.tr.remove();
		rows.delete(key);
	}
	let before = above;
	seen.forEach((item, at) => {
		if (!rows.has(item.key)) rows.set(item.key, makeRow(item.key));
		const row = rows.get(item.key);
		if (before.nextSibling !== row.tr) before.after(row.tr);
		before = row.tr;
		mark(row.tr, "aria-rowindex", first + at + 2);
		row.update(item);
	});
}

/** What stands beside a name. */
function aside({ key, members, process }) {
	if (process) return ` ${process.waits ?? (process.outdated ? "older options" : process.listener ? "listener" : "")}`;
	const running = members.filter((it) => it.s === "RUNNING").length;
	if (key[0] === "f") return `× ${members.length}`;
	return (running < members.length ? `${running} of ` : "") + `${members.length} running`;
}

/** One row, of a process, a program's processes or a group, and how it is changed. */
function makeRow(key) {
	const [isOne, isGroup] = [key.startsWith("p/"), key.startsWith("g/")];
	let item;
	const act = (many, one) => () => (isOne ? one(item.process) : many(item.members, isGroup ? `the group ${item.name}` : item.name));
	const tick = h("input", { type: "checkbox", change: () => pick(item.members, tick.checked) });
	const shape = icon("off");
	const [state, label, more, cpu] = ["span", "span", "small", "span"].map((tag) => h(tag));
	const name = isOne ? h("a", label) : h("button.tw", icon("fold"), label, more, () => fold(key));
	const line = h("polyline");
	const strip = isOne ? drawing("svg.rib", 1000, 14) : h("span.dots");
	const go = h("button", act((all, what) => (all.some(isUp) ? restartAll(all, what) : startAll(all)), startOrRestart));
	const end = h("button.dng", "Stop", act(stop, (it) => stop([it])));
	const cells = { pick: tick, st: h("span.st", isGroup ? [] : [shape, state]), nm: isOne ? [name, more] : name, up: [], rib: strip, cpu: h("div", drawing("svg.spark", 60, 18, line), cpu), mem: [], rst: [], last: [], act: h("span.acts", go, end) };
	const made = {};
	for (const column in cells) made[column] = h(`${column === "nm" ? "th" : "td"}.c-${column}`, column === "nm" && { scope: isGroup ? "rowgroup" : "row" }, cells[column]);
	const tr = h("tr", Object.values(made), (event) => !event.target.closest("button,input,a") && (isOne ? hooks.open(item.process) : fold(key)));
	const sum = (what) => item.members.reduce((all, it) => all + (it[what] ?? 0), 0);

	function update(given) {
		item = given;
		const { members, process, isSub } = item;
		const running = members.filter((it) => it.s === "RUNNING");
		const isAll = running.length === members.length;
		const of = members.map(kind).sort((a, b) => ORDER.indexOf(a) - ORDER.indexOf(b))[0];
		const isShut = isGroup ? shut.has(key) : !opened.has(key);
		tr.className = [isOne ? "p" : isGroup ? "grp" : "fold", isGroup || of, isSub && "sub", isShut && !isOne && "shut", key === sight.at && "at", process && process.id === sight.open && "sel"].filter((it) => it && it !== true).join(" ");
		swap(shape, of);
		if (isOne) {
			put(state, word(process));
			put(label, sight.sort === "nm" ? process.n : process.name);
			put(more, aside(item));
			mark(name, "href", href(process.name));
			put(made.up, age(process));
			put(made.last, process.line ?? "");
			ribbon(strip, process);
		} else {
			put(state, isAll ? "Running" : `${running.length} of ${members.length}`);
			put(label, item.name);
			put(more, aside(item));
			mark(name, "aria-expanded", !isShut);
			if (!isGroup) put(made.last, members.reduce((last, it) => (it.heard > (last.heard ?? 0) ? it : last)).line ?? "");
			put(made.up, running.length ? `≥ ${span(now() - Math.max(...running.map((it) => it.start)))}` : "");
			if (!isGroup) dots(strip, members);
		}
		mark(tick, "aria-label", `Select ${process?.name ?? item.name}`);
		tick.checked = members.every((it) => sight.picked.has(it.id));
		const isAny = members.some(isUp);
		put(cpu, isAny ? percent(sum("cpu")) : "");
		put(made.mem, isAny ? size(sum("mem")) : "");
		put(made.rst, sum("restarts") ? `${sum("restarts")}` : "");
		const points = members[0].cpus.map((_, at, { length }) => members.reduce((all, it) => all + (it.cpus.at(at - length) ?? 0), 0));
		mark(line, "points", isAny && points.length > 1 && curve(points, 60, 18));
		put(go, isAny ? "Restart" : "Start");
		for (const it of [go, end]) mark(it, "aria-label", `${it.textContent} ${process?.name ?? item.name}`);
		end.hidden = !members.some(isOn);
	}
	return { tr, update, get writers() { return isGroup ? [] : item.members; } };
}

/** Points of a curve; its height goes by its own greatest value. */
export function curve(points, width, height) {
	const step = (height - 2) / Math.max(2, ...points);
	return points.map((it, at) => `${(width - (points.length - 1 - at) * (width / 59)).toFixed(1)},${(height - 1 - it * step).toFixed(1)}`).join(" ");
}

const FILLS = { 0: "off", 10: "go", 20: "run", 30: "warn", 40: "go", 100: "off", 200: "bad", 1000: "bad" };

/** The last hour: a bar of the states it was in. */
function ribbon(strip, process) {
	// Anew each minute, or when there is something new.
	const drawn = `${Math.floor(now() / 60_000)} ${since(process)}`;
	if (strip.drawn === drawn) return;
	strip.drawn = drawn;
	const x = (at) => Math.max(0, 1000 - ((now() - at) / HOUR) * 1000);
	strip.replaceChildren(...process.h.map(([at, code], index) => {
		const [from, to, is] = [x(at), x(process.h[index + 1]?.[0] ?? now()), code === 20];
		// What was short is still to be seen.
		const width = Math.max(to - from, is ? 0 : 10);
		return h(`rect.${FILLS[code]}`, { x: Math.min(from, 1000 - width), y: is ? 4 : 1, width, height: is ? 6 : 12 });
	}));
}

/** A dot a process, as far as there is room. */
function dots(strip, members) {
	const kinds = members.map(kind).join();
	if (strip.drawn === kinds) return;
	strip.drawn = kinds;
	const dot = (it) => h(`span.${kind(it)}`, { title: `${it.name} ${word(it)}` }, icon(kind(it)));
	strip.replaceChildren(...members.slice(0, 10).map(dot), members.length > 10 ? h("small", `+${members.length - 10}`) : "");
}

/** Asks for the last lines of what is seen and has written something since. */
export async function refreshLines() {
	if (!$("td.c-last", box)?.offsetParent) return;
	const stale = [...rows.values()].flatMap((row) => row.writers).filter((it) => it.out && it.lineAt !== it.bytes);
	await Promise.all(stale.slice(0, LINES_PER_ROUND).map(async (it) => {
		it.lineAt = it.bytes;
		it.heard = now();
		it.line = await lastLine(it.name, "stdout").catch(() => "");
	}));
	if (stale.length) paint();
}

export const wrongOnes = () => everyone().filter(isWrong).sort((a, b) => rank(a) - rank(b) || since(b) - since(a));
