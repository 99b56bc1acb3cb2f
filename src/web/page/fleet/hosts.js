// The fleet as its stream tells of it: hosts, applications, tasks (processes as the whole fleet has them) and what has happened.
// When the instance that serves the page is gone, another one is looked for, and the page goes on there.

/** What is known, each by its id: hosts by their places in the list. */
export const hosts = new Map();
export const apps = new Map();
export const tasks = new Map();
export const moments = [];
/** The fleet as a whole. */
export const fleet = { skew: 0 };
export const now = () => Date.now() + fleet.skew;
/** Tasks that are up or have failed on a host, by host and application. */
const places = new Map();
/** Places of the matrix that have changed since it was painted. */
export const changed = new Set();

/** There is a beat each second. */
const SILENCE_MS = 3000;
const MOMENTS = 500;

const UP = /RUNNING|STARTING|BACKOFF|STOPPING/;
const FAILED = /FATAL|UNKNOWN|EXITED|BACKOFF/;
/** What of a task a host is shown with; what has ended well or never ran is not. */
const isSeen = ([, state]) => UP.test(state) || FAILED.test(state);
export const isUp = (state) => UP.test(state);
export const hasFailed = (state) => FAILED.test(state);
export const tasksAt = (host, app) => [...(places.get(`${host}/${app}`) ?? [])];
export const nameOf = (task) => {
	const group = apps.get(task.a)?.n ?? "";
	return group === task.n ? group : `${group}:${task.n}`;
};
export const running = (task) => task.on.filter(([, state]) => UP.test(state)).map(([host]) => host);
/** Whether it has failed and runs nowhere, so that no host has to be looked at but the rules. */
export const isNowhere = (task) => Boolean(task.why) && !running(task).length;
export const isTwice = (task) => fleet.phase === "CONCILIATION" && running(task).length > 1;

function place(task, is) {
	for (const one of task?.on ?? []) {
		if (!isSeen(one)) continue;
		const key = `${one[0]}/${task.a}`;
		if (!places.has(key)) places.set(key, new Set());
		is ? places.get(key).add(task) : places.get(key).delete(task);
		changed.add(key);
	}
}

/** Takes in a piece; what is not told of it stays as it is. */
function take(data, seen) {
	fleet.skew = data.now - Date.now();
	Object.assign(fleet, data.fleet && { master: "", degraded: false, ...data.fleet });
	for (const it of data.hosts ?? []) hosts.set(it.i, it);
	for (const it of data.apps ?? []) apps.set(it.i, it);
	for (const it of data.tasks ?? []) {
		place(tasks.get(it.i), false);
		tasks.set(it.i, it);
		place(it, true);
		seen?.add(it.i);
	}
	for (const id of data.gone ?? []) drop(id);
	for (const id of data.lost ?? []) apps.delete(id);
	for (const it of data.moments ?? []) if (!moments.length || it[0] > moments.at(-1)[0]) moments.push(it);
	moments.splice(0, moments.length - MOMENTS);
}

function drop(id) {
	place(tasks.get(id), false);
	tasks.delete(id);
}

let known, seen, stream, timer, tell;
let lostSince = 0;
let wait = 500;

const TAKE = {
	begin(data) {
		if (fleet.version && fleet.version !== data.fleet.version) location.reload();
		seen = new Set();
		moments.length = 0;
		apps.clear();
		take(data, seen);
	},
	rows: (data) => take(data, seen),
	end() {
		for (const id of tasks.keys()) if (!seen.has(id)) drop(id);
		seen = null;
		tell("all");
	},
	change(data) {
		take(data);
		tell("change", data);
	},
};

function message(text) {
	const parts = Object.fromEntries(text.split("\n").map((line) => line.split(/: (.*)/s)));
	TAKE[parts.event]?.(JSON.parse(parts.data));
	known = parts.id ?? known;
}

async function run() {
	const mine = (stream = new AbortController());
	const alive = () => (clearTimeout(timer), (timer = setTimeout(() => mine.abort(), SILENCE_MS)));
	let why = "";
	try {
		alive();
		const answer = await fetch("fleet/live", { headers: known ? { "Last-Event-ID": known } : {}, signal: mine.signal, cache: "no-store" });
		if (!answer.ok) {
			why = answer.status === 401 ? "The password is asked for again: reload the page." : `${answer.status} ${answer.statusText}`;
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
	clearTimeout(timer);
	// Itself first: a daemon that begins anew is there again at once.
	if (lostSince && !why) await goOn();
	lostSince ||= Date.now();
	wait = Math.min(wait * 1.6, 5000);
	tell("lost", { since: lostSince, again: wait, why });
	timer = setTimeout(run, wait);
}

/** Looks who else answers, three at a time, whoever leads first; the page goes on there, in the same view. */
async function goOn() {
	const others = [...hosts.values()].filter((it) => it.i !== fleet.own && it.s === "RUNNING").sort((a, b) => (b.n === fleet.master) - (a.n === fleet.master));
	for (let at = 0; at < Math.min(others.length, 15); at += 3) {
		const asked = others.slice(at, at + 3).map(async ({ id }) => {
			await fetch(`${location.protocol}//${id}/ok.html`, { mode: "no-cors", credentials: "omit", cache: "no-store", signal: AbortSignal.timeout(2000) });
			return id;
		});
		const id = await Promise.any(asked).catch(() => null);
		if (id) return location.replace(`${location.protocol}//${id}/fleet.html${location.hash}`);
	}
}

function pause() {
	clearTimeout(timer);
	const old = stream;
	stream = null;
	old?.abort();
}
export const retry = () => (pause(), run());

/** Begins; `hear(what, data)` hears `all`, `change`, `lost` and `found`. */
export function begin(hear) {
	tell = hear;
	document.addEventListener("visibilitychange", () => (document.hidden ? pause() : retry()));
	addEventListener("pagehide", pause);
	if (!document.hidden) run();
}
