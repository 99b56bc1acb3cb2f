// What a state means for people: its shape, its word, and why it is as it is; and what people do to processes. Each of that is
// a call like that of any other client, and what comes of it the stream tells.

import { button, confirm, dialog, h, many, span, toast } from "./base.js";
import { call, everyone, now } from "./daemon.js";

const KINDS = { RUNNING: "run", STARTING: "go", STOPPING: "go", BACKOFF: "warn", FATAL: "bad", UNKNOWN: "bad", STOPPED: "off" };

/** Whether what it waits for has failed, so that it waits in vain. */
const isStuck = (it) => /\((FATAL|EXITED|removed)/.test(it.waits);

/** run, go, warn, bad, off or done. */
export function kind(it) {
	if (it.waits) return isStuck(it) ? "warn" : "go";
	if (it.s === "EXITED") return it.expected ? "done" : "bad";
	return it.ill && it.s === "RUNNING" ? "warn" : KINDS[it.s];
}
export function word(it) {
	if (it.waits) return "Waiting";
	if (it.ill && it.s === "RUNNING") return "Unhealthy";
	return kind(it) === "done" ? "Done" : it.s[0] + it.s.slice(1).toLowerCase();
}
export const isWrong = (it) => /bad|warn/.test(kind(it));
/** Whether it is up, or about to be again. */
export const isUp = (it) => it.pid || it.s === "BACKOFF";
/** Whether there is something to be stopped: a wait for others is, too. */
export const isOn = (it) => isUp(it) || it.waits;
/** When it came into its state. */
export const since = (it) => it.h.at(-1)?.[0] ?? 0;
export const href = (name, tab) => `#processes/${encodeURIComponent(name)}${tab ? `/${tab}` : ""}`;

export function age(it) {
	if (it.next) return `retry in ${span(it.next - now())}`;
	if (it.pid) return span(now() - it.start);
	return since(it) ? `${span(now() - since(it))} ago` : "";
}

const [STARTING, BACKOFF] = [10, 30];

/** Why it is in its state: how it ended, how often, what comes next. */
export function reason(it) {
	if (it.waits) return it.waits;
	if (it.s === "RUNNING") return it.ill ?? it.says ?? "";
	const parts = [];
	// Tries before the last time that it was anything else belong to another failure.
	const first = it.h.slice(0, -1).findLastIndex(([, code]) => code !== STARTING && code !== BACKOFF) + 1;
	const failures = it.h.slice(first).filter(([, code]) => code === BACKOFF).length;
	const starts = it.h.filter(([at, code]) => code === STARTING && now() - at < 600_000).length;
	if (it.s === "FATAL" && failures) parts.push(`gave up after ${many(failures, "try", "tries")}`);
	if (it.s === "BACKOFF" && starts > 1) parts.push(`${starts} starts in 10 min`);
	const last = it.h.findLastIndex(([, , exit]) => exit);
	if (last > 0 && it.s !== "STOPPED") {
		const ran = (it.h[last][0] - (it.h.slice(0, last).findLast(([, code]) => code === STARTING)?.[0] ?? NaN)) / 1000;
		parts.push(it.h[last][2].replace("terminated", "killed") + (ran < 60 ? ` after ${ran.toFixed(1)} s` : ""));
	}
	if (it.err && !(last > 0 && /^(Exited too quickly|Bad exit code)/.test(it.err))) parts.push(it.err);
	if (it.next) parts.push(`next try in ${span(it.next - now())}`);
	return parts.join(" · ");
}

/** A test for the words of a filter: text, a state, `cpu>50`, `mem>500`, `restarts>3`. All have to hold. */
export function filter(text) {
	const tests = text.toLowerCase().split(/\s+/).filter(Boolean).map((part) => {
		const [, what, sign, number] = /^(cpu|mem|restarts)([<>])([\d.]+)$/.exec(part) ?? [];
		if (!what) return (it) => `${it.name} ${it.p} ${it.s} ${word(it)}`.toLowerCase().includes(part);
		const value = (it) => (what === "mem" ? it.mem / 1024 : it[what] ?? 0);
		return sign === ">" ? (it) => value(it) > number : (it) => value(it) < number;
	});
	return (it) => tests.every((test) => test(it));
}

/** What is being done: a second click does nothing twice, and a start that takes long can be stopped. */
const busy = new Set();

async function one(method, it, ...params) {
	const key = method + it.id;
	if (busy.has(key)) return false;
	busy.add(key);
	try {
		await call(`supervisor.${method}`, it.name, ...params);
		return true;
	} catch (error) {
		toast(`${it.name}: ${error.message}`, "!");
		return false;
	} finally {
		busy.delete(key);
	}
}

export const start = (it) => one("startProcess", it, false);
export const startAll = (list) => list.filter((it) => !it.pid).forEach(start);

async function stopMany(list) {
	const done = await Promise.all(list.map((it) => one("stopProcess", it)));
	const stopped = list.filter((_, at) => done[at]);
	if (stopped.length) toast(`${named(stopped)} stopped`, "Start again", () => stopped.forEach(start));
}

const restart = async (it) => (!isUp(it) || (await one("stopProcess", it))) && one("startProcess", it);

/** All at once, or each once the one before it runs; that ends at the first which does not come up. */
async function restartMany(list, isRolling) {
	if (!isRolling) return list.forEach(restart);
	for (const [at, it] of list.entries()) {
		if (!(await restart(it))) return toast(`${it.name} did not come up; ${many(list.length - at - 1)} left as they are`, "!");
	}
	toast(`${many(list.length)} restarted, one after another`);
}

/** Asks where more than one is meant; `what` names a group or everything. */
function ask(verb, is, list, what, act, option) {
	const on = list.filter(is);
	if (!on.length) toast("Nothing of that runs.");
	else if (on.length === 1 && !what) act(on);
	else confirm(`${verb} ${what ?? many(on.length)}?`, "", on.map((it) => it.name), `${verb} ${on.length}`, (ticked) => act(on, ticked), option);
}
export const stop = (list, what) => ask("Stop", isOn, list, what, stopMany);
export const restartAll = (list, what) => ask("Restart", isUp, list, what, restartMany, "one after another");
/** Start or restart, whichever it lacks. */
export const startOrRestart = (it) => (isUp(it) ? restart(it) : start(it));
const everything = () => everyone().filter((it) => !it.listener);
/** What concerns everything, each by a command's name. */
export const ALL = { "Restart all": () => restartAll(everything(), "everything"), "Start all": () => startAll(everything()), "Stop all": () => stop(everything(), "everything") };

const named = (list) => (list.length > 1 ? many(list.length) : list[0].name);

/** Does it to each; `what` is said if all went well. */
async function each(list, what, method, ...params) {
	if ((await Promise.all(list.map((it) => one(method, it, ...params)))).every(Boolean)) toast(`${what} ${named(list)}`);
}

export function askSignal(list) {
	const send = (signal) => button(signal, () => (box.close(), each(list, `SIG${signal} sent to`, "signalProcess", signal)));
	const box = dialog(`Signal to ${named(list)}`, h("div.pad.b", ["HUP", "USR1", "USR2", "INT", "TERM", "QUIT", "CONT", "STOP", "KILL"].map(send)), "Cancel");
}
export const askClear = (list) => confirm("Clear the logs?", "", list.map((it) => it.name), "Clear", () => each(list, "Cleared the logs of", "clearProcessLogs"));
