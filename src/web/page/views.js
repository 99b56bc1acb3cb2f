// The process beside the list, and the other views: logs of several, what happened, what is configured.

import { button, clock, complain, confirm, drawing, h, icon, mark, percent, put, size, span, swap, toast } from "./base.js";
import { byName, call, daemon, everyone, now } from "./daemon.js";
import { programButtons } from "./forms.js";
import { curve } from "./list.js";
import { makeLog } from "./log.js";
import { age, askClear, askSignal, href, isOn, isUp, kind, reason, startOrRestart, stop, word } from "./process.js";

/** Which of its outputs are kept. */
const streamOf = (it) => (it.out && it.errlog ? "both" : it.out ? "stdout" : it.errlog && "stderr");
/** A part that scrolls, by keys too. */
const page = (...parts) => h("div.pad", { tabindex: 0 }, parts);
const failed = (error) => h("p.bad", error.message);
const code = (text) => h("code", text || "");
const terms = (pairs) => h("dl", Object.entries(pairs).filter(([, it]) => it).map(([term, it]) => [h("dt", term), h("dd", it)]));
const table = (head, body) => h("table.opt", h("thead", h("tr", head.map((it) => h("th", { scope: "col" }, it)))), body);
const whoDid = (it) => (it.by ? `${it.by} by ${it.method}` : it.cause);

/** The panel of a process. */
export function panel(it, tab) {
	const [shape, state, why, content] = [icon("off"), h("span"), h("p"), h("div.content")];
	const go = button("", () => startOrRestart(it));
	const end = button("Stop", () => stop([it]), ".dng");
	const tabs = Object.keys(TABS).map((key) => h("a", { href: href(it.name, key), "aria-current": key === tab && "page" }, key[0].toUpperCase() + key.slice(1)));
	const box = h("section.card.detail", { "aria-label": it.name },
		h("header", h("a.icon", { href: "#processes", "aria-label": "Close" }, icon("close")), h("div.who", h("h2", it.name), h("p", shape, state), why),
			h("div.b", go, end, button("Signal", () => askSignal([it])), button("Clear log", () => askClear([it])))),
		h("nav.tabs", { "aria-label": "Views of the process" }, tabs), content);
	const self = { box, process: it };
	self.update = () => {
		swap(shape, kind(it));
		put(state, [word(it), it.pid && `pid ${it.pid}`, age(it), it.pid && percent(it.cpu), it.pid && size(it.mem)].filter(Boolean).join(" · "));
		put(why, reason(it));
		put(go, isUp(it) ? "Restart" : "Start");
		end.hidden = !isOn(it);
		self.draw?.();
	};
	self.changed = () => {
		self.log?.tell(it.s === "STARTING" ? "started" : word(it).toLowerCase() + (it.exit && !it.pid ? `, ${it.exit}` : ""), kind(it) === "bad");
		if (tab === "history") show();
	};
	const show = () => TABS[tab](it, self).catch(failed).then((shown) => content.replaceChildren(shown));
	show();
	self.update();
	return self;
}

const TABS = {
	async log(it, self) {
		const most = streamOf(it);
		if (!most) return h("p.pad", "No log of it is kept.");
		const open = (chosen) => {
			self.log = makeLog([[it.name, chosen]], most === "both" && h("span.seg", ["both", "stdout", "stderr"].map((of) => h("button", of === most ? "Both" : of, { "aria-pressed": of === chosen }, () => self.log.box.replaceWith(open(of))))));
			return self.log.box;
		};
		return open(most);
	},
	async details(it, self) {
		const chart = (title) => {
			const [line, value] = [h("polyline"), h("b")];
			return [h("div.chart", h("span", title), value, drawing("svg", 300, 50, line)), (text, points) => (put(value, text), mark(line, "points", curve(points, 300, 50)))];
		};
		const [[cpuBox, cpu], [memBox, mem]] = [chart("CPU"), chart("Memory")];
		self.draw = () => (cpu(percent(it.cpu), it.cpus), mem(size(it.mem), it.mems));
		self.draw();
		const info = await call("stheno.getProcessInfo", it.name);
		const { command, directory, user } = info.options;
		const at = (secs) => secs && clock(secs * 1000);
		return page(h("div.charts", cpuBox, memBox), terms({
			Program: it.p, Group: it.g, Command: code(command), Directory: directory && code(directory), User: user, Started: at(info.start), "Last end": at(info.stop), "How it ended": it.exit,
			Restarts: `${it.restarts ?? 0}`, Problem: it.err, "Says of itself": it.says, Health: it.ill, stdout: code(info.stdout_logfile || "none"), stderr: code(info.stderr_logfile || "none"),
			Options: it.outdated && "changed since it was started",
		}));
	},
	async options(it) {
		const all = await call("stheno.getOptions", it.name);
		const row = ({ name, value, file, line }) => h(file ? "tr" : "tr.def", h("th", { scope: "row" }, name), h("td", code(value)), h("td", file ? `${file.split("/").pop()}:${line}` : "default"));
		return page(daemon.mutation && programButtons(it), table(["Option", "Value", "From"], h("tbody", all.sort((a, b) => !a.file - !b.file).map(row))));
	},
	async history(it) {
		const all = (await call("stheno.getHistory", it.name)).reverse();
		const row = (one, at) => h("tr", h("td", clock(one.at * 1000)), h("th", { scope: "row" }, one.statename.toLowerCase()), h("td", whoDid(one)), h("td", at ? span((all[at - 1].at - one.at) * 1000) : ""));
		return page(table(["When", "State", "Why, or who asked", "For"], h("tbody", all.map(row))));
	},
};

/** What happened lately, of all. */
export function activity() {
	const body = h("tbody");
	const box = h("div.card.scroll", table(["When", "What", "Process", "Why, or who asked"], body));
	const row = (it) => h("tr", h("td", clock(it.at * 1000)), h("td", /[a-z]/.test(it.what) ? it.what : it.what.toLowerCase()), h("td", it.name && h("a", { href: href(it.name, "history") }, it.name)), h("td", whoDid(it)));
	const changed = () => call("stheno.getActivity").then((all) => body.replaceChildren(...all.reverse().map(row)), (error) => box.replaceChildren(failed(error)));
	changed();
	return { box, changed };
}

const HUES = ["a34", "a32", "a35", "a33", "a31"];
export const logsOf = (names) => `#logs/${names.map(encodeURIComponent)}`;

/** Logs of several processes, and the daemon's, together. */
export function logs(names) {
	const chosen = names.length ? names.slice(0, 12) : ["supervisord"];
	const sources = chosen.flatMap((name, at) => {
		const [it, colour] = [byName(name), HUES[at % HUES.length]];
		if (!it) return [["", "main", name, colour]];
		return streamOf(it) ? [[name, streamOf(it), name, colour]] : [];
	});
	const others = ["supervisord", ...everyone().map((it) => it.name).sort()].filter((it) => !chosen.includes(it));
	const add = h("select", { "aria-label": "Add a log", change: () => (location.hash = logsOf([...chosen, add.value])) }, ["Add a log…", ...others].map((it) => h("option", it)));
	const chips = chosen.map((name) => h("button.chip", name, icon("close"), { "aria-label": `Without ${name}` }, () => (location.hash = logsOf(chosen.filter((it) => it !== name)))));
	const made = makeLog(sources, [...chips, add]);
	return { box: h("div.card.fill", made.box), log: made };
}

const SIGNS = { added: "+", removed: "−", changed: "~" };

/** What a reread would change, before it does. */
export function config() {
	const changes = h("div.pad", "Reading the files…");
	const section = (title, content) => h("section.card", h("header", h("h2", title)), content);
	const read = async () => {
		const { changes: all, starts, stops, restarts } = await call("stheno.getChanges");
		if (!all.length) return changes.replaceChildren(h("p.well", icon("done"), "The files say what is in force."));
		const effect = `${starts} start, ${stops} stop, ${restarts} restart`;
		const what = (it) => `${SIGNS[it.kind]} ${it.name}`;
		const apply = () => confirm("Apply what the files say?", effect, all.map(what), "Apply", async () => {
			await call("stheno.update", []).then(() => toast(`Applied: ${effect}`), complain);
			show();
		});
		const option = ({ name, before, after }) => h("div", code(name), " ", h("del", before), " → ", h("ins", after));
		changes.replaceChildren(h("ul.changes", all.map((it) => h(`li.${it.kind}`, h("b", what(it)), it.options.map(option)))), h("p.b", h("span.sp", effect), button("Apply", apply, ".pri")));
	};
	const show = () => read().catch((error) => changes.replaceChildren(failed(error)));
	show();
	const atRunTime = section("Changed at run time", h("div.pad", "…"));
	call("stheno.dynamic").then(({ path, text }) => atRunTime.lastChild.replaceChildren(path && h("p", "Kept in ", code(path)), h("pre", text.replace(/^;.*\n*/gm, "") || "Nothing.")), (error) => atRunTime.append(failed(error)));
	return { read: show, box: h("div.scroll", section("What the files would change", changes), daemon.mutation && atRunTime, section("In force", h("div.pad", terms({
		Identifier: daemon.identifier, Version: `Stheno ${daemon.version}, as Supervisor ${daemon.supervisor}`, Process: `pid ${daemon.pid}`, "Changes at run time": daemon.mutation ? "allowed" : "not allowed: [stheno] mutation=true allows them",
	})))) };
}
