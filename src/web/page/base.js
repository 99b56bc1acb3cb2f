// What all parts of the page use: elements, icons, words for numbers and states, what is said aside. Whatever comes from
// outside gets into the page as text, never as HTML.

export const $ = (selector, within = document) => within.querySelector(selector);

const DRAWN = /^(svg|path|polyline|rect)$/;

/** An element: h("button.btn.pri", act, {title: …}, "text", child…); a function is what a click does. */
export function h(what, ...rest) {
	const [tag, ...classes] = what.split(".");
	const it = DRAWN.test(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
	if (classes.length) mark(it, "class", classes.join(" "));
	for (const part of rest.flat(2)) {
		if (typeof part === "function") it.addEventListener("click", part);
		else if (part instanceof Node || typeof part === "string") it.append(part);
		else for (const [name, value] of Object.entries(part || {})) {
			if (typeof value === "function") it.addEventListener(name, value);
			else mark(it, name, value);
		}
	}
	return it;
}

/** Sets a text only where it differs: most stay the same from one update to the next. */
export function put(it, text) {
	if (it.said !== text) it.textContent = it.said = text;
}

/** The same for an attribute; false takes it away. */
export function mark(it, name, value) {
	if (value === false || value == null) it.removeAttribute(name);
	else if (it.getAttribute(name) !== `${value}`) it.setAttribute(name, value);
}

export const button = (label, act, more = "") => h(`button.btn${more}`, label, act);

/** A drawing that takes the room it gets; what it shows is said beside it. */
export const drawing = (what, width, height, ...parts) => h(what, { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": true }, parts);

// Shapes tell the states apart as well as colours do.
const PATHS = {
	run: "M8 3a5 5 0 1 0 0 10A5 5 0 0 0 8 3z",
	go: "M8 3a5 5 0 1 0 0 10A5 5 0 0 0 8 3zm0 2v6a3 3 0 0 1 0-6z",
	warn: "M8 2a6 6 0 0 1 4 2l2-2v5H9l2-2a4 4 0 1 0 1 4h2A6 6 0 1 1 8 2z",
	bad: "M8 1 16 15H0zM7 6v4h2V6zm0 5v2h2v-2z",
	off: "M8 3a5 5 0 1 0 0 10A5 5 0 0 0 8 3zm0 2a3 3 0 1 1 0 6 3 3 0 0 1 0-6z",
	done: "m6 10 7-7 1 1-8 8-4-4 1-1z",
	fold: "m5 3 5 5-5 5-1-1 4-4-4-4z",
	close: "m3 2 5 5 5-5 1 1-5 5 5 5-1 1-5-5-5 5-1-1 5-5-5-5z",
	moon: "M6 2a6 6 0 1 0 8 8 6 6 0 0 1-8-8z",
	bell: "M8 2a4 4 0 0 1 4 4v3l2 3H2l2-3V6a4 4 0 0 1 4-4zM6 13h4a2 2 0 0 1-4 0z",
};

/** An icon; `swap` makes another one of it. */
export const icon = (name) => swap(drawing("svg", 16, 16, h("path", { "fill-rule": "evenodd" })), name);
export function swap(it, name) {
	mark(it, "class", `i i-${name}`);
	mark(it.firstChild, "d", PATHS[name]);
	return it;
}

/** A button that is pressed or not, which the browser remembers under `key`. */
export function toggle(label, key, act) {
	const is = () => localStorage.getItem(key) === "1";
	const show = () => (mark(it, "aria-pressed", is()), act(is()));
	const it = button(label, () => (localStorage.setItem(key, is() ? "" : "1"), show()));
	show();
	return it;
}

// Numbers as people say them.

export function span(ms) {
	const two = (big, one, small, other) => (small ? `${big} ${one} ${small} ${other}` : `${big} ${one}`);
	const [s, m, hours] = [1000, 60_000, 3_600_000].map((unit) => Math.max(0, Math.floor(ms / unit)));
	if (s < 60) return `${s} s`;
	if (m < 60) return `${m} min`;
	return hours < 24 ? two(hours, "h", m % 60, "min") : two(Math.floor(hours / 24), "d", hours % 24, "h");
}
export function size(kib) {
	const mb = kib / 1024;
	if (kib < 1000) return `${kib} kB`;
	return mb < 1000 ? `${mb < 10 ? mb.toFixed(1) : Math.round(mb)} MB` : `${(mb / 1024).toFixed(1)} GB`;
}
export const percent = (number) => `${number < 10 ? number.toFixed(1) : Math.round(number)} %`;
export const many = (count, one = "process", more = one.endsWith("s") ? `${one}es` : `${one}s`) => `${count} ${count === 1 ? one : more}`;
export function clock(ms) {
	const date = new Date(ms);
	const day = date.toDateString() === new Date().toDateString() ? "" : `${date.toLocaleDateString("sv")} `;
	return day + date.toTimeString().slice(0, 8);
}

// What is said aside.

/** Tells it to who hears the page instead of seeing it. */
export const announce = (text) => put($("#aloud"), text);

/** A line at the edge that goes away by itself, with a way on if there is one; `label` of "!" is for what went wrong. */
export function toast(text, label, act) {
	const isBad = label === "!";
	const close = () => it.remove();
	const it = h(isBad ? "div.bad" : "div", h("span", text), act && h("button", label, () => (close(), act())), h("button", { "aria-label": "Dismiss" }, icon("close"), close));
	$("#toasts").append(it);
	while ($("#toasts").children.length > 4) $("#toasts").firstChild.remove();
	setTimeout(close, isBad ? 15_000 : 8000);
	announce(text);
}

/** Says what went wrong. */
export const complain = ({ message }) => toast(message, "!");

/** A dialog; its first button and Escape close it, and the focus goes back to where it was. */
export function dialog(title, body, back, ...buttons) {
	const before = document.activeElement;
	const it = h("dialog", { "aria-label": title || "Find" }, title && h("h2", title), body, back && h("div.b", button(back, () => it.close()), buttons),
		{ close: () => (it.remove(), before?.isConnected && before.focus()) }, (event) => event.target === it && it.close());
	document.body.append(it);
	it.showModal();
	return it;
}

/** Asks before many are stopped. The list says who; the focus is on the way back. */
export function confirm(title, text, names, verb, act, option) {
	const tick = option && h("input", { type: "checkbox" });
	const more = names.length > 60 ? [h("li", `and ${names.length - 60} more`)] : [];
	const body = h("div.pad", text && h("p", text), h("ul.victims", names.slice(0, 60).map((name) => h("li", name)), more), option && h("label", tick, ` ${option}`));
	const it = dialog(title, body, "Cancel", button(verb, () => (it.close(), act(tick?.checked)), ".pri.dng"));
	$("div.b button", it).focus();
}
