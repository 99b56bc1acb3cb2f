// The daemon: its stream, the processes as that tells of them, calls by XML-RPC as every other client makes them, and parts of
// logs. While the page is hidden there is no stream; later it goes on where it was, also after the connection was lost.

import { $ } from "./base.js";

export const processes = new Map();
/** The daemon itself, as `begin` told. */
export const daemon = { skew: 0 };
export const now = () => Date.now() + daemon.skew;
export const everyone = () => [...processes.values()];
export const byName = (name) => everyone().find((it) => it.name === name);

/** Without a message for so long the connection is gone: there is one every two seconds. */
const SILENCE_MS = 7000;
/** Points kept of CPU and memory. */
const POINTS = 60;

let known, seen, stream, timer, lostSince, tell;
let wait = 500;

function take(rows) {
	return rows.map((row) => {
		const it = processes.get(row.id) ?? { told: [], cpu: 0, mem: 0, cpus: [], mems: [], bytes: 0 };
		const was = it.s;
		// What is not told is not so any more; what the page found out itself stays.
		for (const key of it.told) delete it[key];
		Object.assign(it, { h: [], was, told: Object.keys(row), name: row.g === row.n ? row.n : `${row.g}:${row.n}` }, row);
		if (!row.pid) it.cpu = it.mem = 0;
		processes.set(row.id, it);
		seen?.add(row.id);
		return it;
	});
}

const TAKE = {
	begin(data) {
		if (daemon.version && daemon.version !== data.version) location.reload();
		Object.assign(daemon, data, { skew: data.now - Date.now() });
		seen = new Set();
	},
	rows: (data) => void take(data.rows),
	end() {
		for (const id of processes.keys()) if (!seen.has(id)) processes.delete(id);
		seen = null;
		tell("all");
	},
	change(data) {
		for (const id of data.gone) processes.delete(id);
		daemon.skew = data.now - Date.now();
		const rows = take(data.rows);
		tell("change", rows);
		// Who came or went may have been a change that waited to be applied.
		if (data.gone.length || rows.some((it) => !it.was)) tell("files");
	},
	files: () => tell("files"),
	figures({ at, f }) {
		const told = new Map(f.map((it) => [it[0], it]));
		for (const it of processes.values()) {
			const [, used, mem, out, err] = told.get(it.id) ?? [];
			const passed = at - (it.at ?? at);
			if (used === undefined) it.cpu = 0;
			else {
				if (passed > 0 && used >= it.used) it.cpu = ((used - it.used) / passed) * 100;
				Object.assign(it, { used, mem, bytes: out + err });
			}
			it.at = at;
			it.cpus = [...it.cpus.slice(1 - POINTS), it.cpu];
			it.mems = [...it.mems.slice(1 - POINTS), it.mem];
		}
		tell("figures");
	},
};

function message(text) {
	const parts = Object.fromEntries(text.split("\n").map((line) => line.split(/: (.*)/s)));
	TAKE[parts.event]?.(JSON.parse(parts.data));
	// Only what was taken as a whole counts as known.
	known = parts.id ?? known;
}

async function run() {
	const mine = (stream = new AbortController());
	const alive = () => (clearTimeout(timer), (timer = setTimeout(() => mine.abort(), SILENCE_MS)));
	let why = "";
	try {
		alive();
		const answer = await fetch("stheno/events", { headers: known ? { "Last-Event-ID": known } : {}, signal: mine.signal, cache: "no-store" });
		if (!answer.ok) {
			why = answer.status === 401 ? "The password is asked for again: reload the page." : (await answer.text()).slice(0, 300);
			if (why.startsWith("<")) why = `${answer.status} ${answer.statusText}`;
			throw Error(why);
		}
		const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
		for (let text = ""; ; ) {
			const { value, done } = await reader.read();
			if (done) break;
			alive();
			const messages = (text + value).split("\n\n");
			text = messages.pop();
			messages.forEach(message);
			if (lostSince) tell("found");
			[lostSince, wait] = [0, 500];
		}
	} catch (error) {
		if (error instanceof SyntaxError) known = null;
	}
	if (mine !== stream) return;
	lostSince ||= Date.now();
	wait = Math.min(wait * 1.6, 5000);
	tell("lost", { since: lostSince, again: wait, why });
	clearTimeout(timer);
	timer = setTimeout(run, wait);
}

function pause() {
	clearTimeout(timer);
	const old = stream;
	stream = null;
	old?.abort();
}
export const retry = () => (pause(), run());

/** Begins; `hear(what, …)` hears `all`, `change`, `figures`, `lost` and `found`. */
export function begin(hear) {
	tell = hear;
	document.addEventListener("visibilitychange", () => (document.hidden ? pause() : retry()));
	addEventListener("pagehide", pause);
	if (!document.hidden) run();
}

const escape = (text) => `${text}`.replace(/[&<>]/g, (c) => `&#${c.charCodeAt()};`);

const within = (name, inner) => `<${name}>${inner}</${name}>`;
function encode(value) {
	const is = typeof value;
	const inner = is === "boolean" ? within(is, +value)
		: is === "number" ? within("int", value)
		: Array.isArray(value) ? within("array", within("data", value.map(encode).join("")))
		: is === "object" ? within("struct", Object.entries(value).map(([name, one]) => within("member", within("name", escape(name)) + encode(one))).join(""))
		: within("string", escape(value));
	return within("value", inner);
}

function decode(value) {
	const it = value.firstElementChild;
	switch (it?.tagName) {
		case "int": case "double": return Number(it.textContent);
		case "boolean": return it.textContent === "1";
		case "array": return [...it.firstElementChild.children].map(decode);
		case "struct": return Object.fromEntries([...it.children].map((member) => [member.children[0].textContent, decode(member.children[1])]));
	}
	return value.textContent;
}

/** Calls a method; a fault is thrown with the daemon's own words. */
export async function call(method, ...params) {
	const body = within("methodCall", within("methodName", method) + within("params", params.map((it) => within("param", encode(it))).join("")));
	const answer = await fetch("RPC2", { method: "POST", headers: { "Content-Type": "text/xml" }, body });
	const text = await answer.text();
	if (!answer.ok) throw Error(text.startsWith("<") ? `${answer.status} ${answer.statusText}` : text);
	const xml = new DOMParser().parseFromString(text, "text/xml");
	const value = decode($("value", xml));
	if ($("fault", xml)) throw Error(value.faultString);
	return value;
}

/** Parts of a log, or of both of a process in the order in which they came, and where they stand; nothing where there is no file. */
export async function part(name, stream, where) {
	const answer = await fetch(`stheno/log?${new URLSearchParams({ ...(name && { name }), stream, ...where })}`);
	if (!answer.ok) return null;
	const places = [...answer.headers.get("Stheno-Log").matchAll(/id=(\S+) from=(\d+) to=(\d+)/g)].map(([, id, from, to]) => ({ id, from: +from, to: +to }));
	const order = answer.headers.get("Stheno-Order")?.matchAll(/(\w+)=(\d+)/g);
	const bytes = await answer.arrayBuffer();
	let at = 0;
	return { places, pieces: order ? [...order].map(([, of, count]) => [of, bytes.slice(at, (at += +count))]) : [[stream, bytes]] };
}

/** The last line of a log, without its colours. */
export async function lastLine(name, stream) {
	const end = await part(name, stream, { bytes: 600 });
	const lines = new TextDecoder().decode(end?.pieces[0][1]).trimEnd().split("\n");
	return lines.pop().replace(/\x1b\[[0-9;?]*[A-Za-z]/g, "").slice(-200);
}
