// A log that is followed: lines of one or of many sources, in the order in which they come. Whoever scrolls up reads in peace,
// and is told how many lines are new.

import { button, clock, h, many, mark, put, toggle } from "./base.js";
import { part } from "./daemon.js";

/** Lines kept; older ones go. */
const LINES = 3000;
const EVERY_MS = 700;
// Colours; what else moves a terminal's cursor, and is left out.
const ANSI = /\x1b\[([0-9;]*)m|\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07?|[\x00-\x08\x0b-\x1f\x7f]/g;

function colours(line, text) {
	let [at, bold, colour] = [0, "", ""];
	const piece = (end) => end > at && line.append(bold + colour ? h("span", { class: `${bold} ${colour}` }, text.slice(at, end)) : text.slice(at, end));
	for (const match of text.matchAll(ANSI)) {
		piece(match.index);
		at = match.index + match[0].length;
		for (const code of match[1]?.split(";").map(Number) ?? []) {
			if (!code) bold = colour = "";
			else if (code < 3) bold = `a${code}`;
			else if (code >= 30 && code < 98) colour = code % 10 < 8 ? `a3${code % 10}` : "";
		}
	}
	piece(text.length);
}

/** Makes the view of sources [name, stream, label, class]; `tools` stand at its head. */
export function makeLog(sources, tools) {
	const lines = h("div.lines", { tabindex: 0, role: "log", "aria-label": "Log", scroll: () => follow(lines.scrollHeight - lines.scrollTop - lines.clientHeight < 24) });
	const more = h("button.more", { hidden: "" }, () => follow(true));
	const found = h("small", { "aria-live": "polite" });
	const find = h("input", { type: "search", placeholder: "Search in the log", "aria-label": "Search in the log", input: () => search(0), keydown: (event) => event.key === "Enter" && search(event.shiftKey ? -1 : 1) });
	const following = button("Follow", () => follow(!follows));
	const wrap = toggle("Wrap", "wrap", (is) => lines.classList.toggle("wrapped", is));
	const box = h("div.log", h("div.tools", tools, find, found, following, wrap, button("Download", download)), h("div.hold", lines, more));
	const places = sources.map(() => ({}));
	let [follows, fresh, hit, wasShown] = [true, 0, -1, false];

	function follow(is) {
		if (is && !follows) fresh = 0;
		follows = is;
		mark(following, "aria-pressed", is);
		more.hidden = is || !fresh;
		if (is) lines.scrollTop = lines.scrollHeight;
	}

	function add(built) {
		if (!built.length) return;
		lines.append(...built);
		while (lines.childElementCount > LINES) lines.firstChild.remove();
		if (!follows) put(more, `↓ ${many((fresh += built.length), "new line")}`);
		follow(follows);
		if (find.value) search(0);
	}

	async function readOn([name, stream, label, colour], logs) {
		const of = stream === "both" ? ["stdout", "stderr"] : [stream];
		const all = (what) => of.map((it) => logs[it][what]).join();
		const read = await part(name, stream, logs[of[0]] ? { id: all("id"), from: all("to"), skip: 1 } : {}).catch(() => null);
		const built = [];
		const cut = (text) => built.push(h("div.cut", text));
		read?.places.forEach(({ id, from, to }, at) => {
			const log = logs[of[at]];
			const isNew = log && (id !== log.id || from < log.to);
			const skipped = log && !isNew && from - log.to;
			if (isNew) cut("The file was begun anew: rotated, truncated or cleared");
			if (skipped) cut(`${skipped.toLocaleString()} bytes were too many to show`);
			// A character may come in two parts. Of a part from the middle of a file the first line is not whole.
			if (!log || isNew || skipped) logs[of[at]] = { decoder: new TextDecoder(), rest: "", isTorn: skipped || (!log && from) };
			Object.assign(logs[of[at]], { id, to });
		});
		for (const [one, bytes] of read?.pieces ?? []) {
			const log = logs[one];
			const texts = (log.rest + log.decoder.decode(bytes, { stream: true })).split("\n");
			log.rest = texts.pop();
			if (log.isTorn && texts.length) log.isTorn = texts.shift() === null;
			for (const text of texts.slice(-LINES)) {
				const line = h(one === "stderr" ? "div.e" : "div", label && h("b", { class: colour }, label));
				colours(line, text.trimEnd().replace(/^.*\r/, ""));
				built.push(line);
			}
		}
		return built;
	}

	async function poll() {
		if (!box.isConnected && wasShown) return;
		wasShown = box.isConnected;
		const built = document.hidden ? [] : (await Promise.all(sources.map((source, at) => readOn(source, places[at])))).flat();
		add(built);
		// While little comes at a time, lines of several logs stand nearly in the order in which they came.
		setTimeout(poll, EVERY_MS / (built.length && built.length < 99 ? 5 : 1));
	}
	poll();

	/** Marks what is found, and goes to the next of them. */
	function search(step) {
		const [text, ranges] = [find.value.toLowerCase(), []];
		const walker = document.createTreeWalker(lines, NodeFilter.SHOW_TEXT);
		while (text && walker.nextNode()) {
			const node = walker.currentNode;
			const within = node.data.toLowerCase();
			for (let at = within.indexOf(text); at >= 0; at = within.indexOf(text, at + text.length)) {
				ranges.push(new Range());
				ranges.at(-1).setStart(node, at);
				ranges.at(-1).setEnd(node, at + text.length);
			}
		}
		CSS.highlights?.set("find", new Highlight(...ranges));
		put(found, text ? many(ranges.length, "find") : "");
		if (!step || !ranges.length) return;
		hit = (hit + step + ranges.length) % ranges.length;
		follow(false);
		ranges[hit].startContainer.parentElement.scrollIntoView({ block: "center" });
		put(found, `${hit + 1} of ${ranges.length}`);
	}

	async function download() {
		const [[name, stream], pieces] = [sources[0], []];
		for (let from = "0,0", read; (read = await part(name, stream, { from, bytes: 262144 }))?.pieces.some(([, bytes]) => bytes.byteLength); from = read.places.map((it) => it.to).join()) pieces.push(...read.pieces.map(([, bytes]) => bytes));
		const link = h("a", { href: URL.createObjectURL(new Blob(pieces)), download: `${name || "supervisord"}-${stream}.log` });
		link.click();
		setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
	}

	/** `tell` says between the lines that a process ended or was started. */
	return { box, follow: () => follow(!follows), tell: (text, isBad) => add([h(isBad ? "div.cut.bad" : "div.cut", `${text} · ${clock(Date.now())}`)]) };
}
