// Programs that are added, changed, resized and removed at run time, by forms. What is wrong with a value only the daemon knows:
// its words stand beside the field that they are about.

import { $, button, complain, confirm, dialog, h, mark, put, toast } from "./base.js";
import { call, everyone } from "./daemon.js";

const USUAL = ["command", "numprocs", "process_name", "directory", "user", "autostart", "autorestart"];
/** They decide which processes there are, and are not changed in passing. */
const NAMING = ["numprocs", "numprocs_start", "process_name"];

const members = (program) => everyone().filter((it) => it.p === program);
const allOptions = (it) => (it ? call("stheno.getOptions", it.name) : []);

/** A form of fields with these values; `more` are names that can be added. The section that would come of it stands below. */
function form(title, verb, values, more, section, send) {
	const fields = {};
	const field = (name) => {
		const input = h("input", { name, value: values[name] ?? "", "aria-describedby": `e-${name}` });
		fields[name] = input;
		return h("label", name, input, h("small.bad", { id: `e-${name}` }));
	};
	const filled = () => Object.fromEntries(Object.entries(fields).flatMap(([name, input]) => (input.value === (values[name] ?? "") ? [] : [[name, input.value]])));
	const show = () => put(result, section(filled()));
	const add = more.length ? h("select", { "aria-label": "One more option", change: () => add.value && (grid.append(field(add.value)), add.selectedOptions[0].remove(), show()) }, h("option", "One more option…", { value: "" }), more.map((name) => h("option", name))) : "";
	const grid = h("div.fields", Object.keys(values).map(field));
	const [wrong, result] = [h("p.bad", { role: "alert" }), h("pre")];
	const go = h("button.btn.pri", verb);
	const body = h("form.pad", grid, add, wrong, result, h("div.b", h("button.btn", "Cancel", { type: "button" }, () => box.close()), go), { input: show, async submit(event) {
		event.preventDefault();
		go.disabled = true;
		try {
			await send(filled());
			box.close();
		} catch ({ message }) {
			const [name, input] = blamed(message, fields) ?? [];
			for (const [key, it] of Object.entries(fields)) {
				mark(it, "aria-invalid", key === name);
				put(it.nextSibling, key === name ? message : "");
			}
			put(wrong, name ? "" : message);
			input?.focus();
		}
		go.disabled = false;
	} });
	const box = dialog(title, body);
	show();
	$("input", body).focus();
}

/** The field that a message is about: the one whose value it quotes, else the first that it names. */
function blamed(message, fields) {
	const text = message.replace(/ in section .*/, "");
	const at = ([name]) => text.search(RegExp(`\\b${name}\\b`));
	const all = Object.entries(fields);
	return all.find(([, { value }]) => value && text.includes(`'${value}'`)) ?? all.filter((it) => at(it) >= 0).sort((a, b) => at(a) - at(b))[0] ?? (/^BAD_NAME/.test(text) && all[0]);
}

const ini = (program, options) => [`[program:${program}]`, ...Object.entries(options).map(([name, value]) => `${name}=${value}`)].join("\n");

export async function addProgram() {
	const [one] = everyone();
	const others = (await allOptions(one)).map((it) => it.name).filter((name) => !USUAL.includes(name));
	const values = Object.fromEntries(["name", "group", ...USUAL].map((name) => [name, ""]));
	form("Add a program", "Add", values, others, ({ name = "", group, ...options }) => ini(name, options), async ({ name = "", group = name, ...options }) => {
		const isNew = !everyone().some((it) => it.g === group);
		if (isNew) await call("stheno.addGroup", group);
		try {
			toast(`Added: ${(await call("stheno.addProgram", group, name, options)).join(", ")}`);
		} catch (error) {
			if (isNew) await call("stheno.removeGroup", group);
			throw error;
		}
	});
}

async function editProgram(it) {
	const all = (await allOptions(it)).filter(({ name }) => !NAMING.includes(name));
	const [near, far] = [all.filter(({ name, file }) => file || USUAL.includes(name)), all.filter(({ name, file }) => !file && !USUAL.includes(name))];
	form(`Change ${it.p}`, "Change and restart", Object.fromEntries(near.map(({ name, value }) => [name, value])), far.map(({ name }) => name), (options) => ini(it.p, options), async (options) => {
		await call("stheno.updateProgram", it.g, it.p, options);
		toast(`${it.p} changed`);
	});
}

function scaleProgram(it) {
	form(`How many of ${it.p}?`, "Resize", { numprocs: `${members(it.p).length}` }, [], (options) => ini(it.p, options), async ({ numprocs }) => {
		if (numprocs) await call("stheno.setNumprocs", it.p, Number(numprocs));
	});
}

function removeProgram(it) {
	// A group that would be left empty goes with it.
	const isAlone = everyone().every((one) => one.g !== it.g || one.p === it.p);
	confirm(`Remove ${it.p}?`, "", members(it.p).map((one) => one.name), "Remove", () =>
		(isAlone ? call("stheno.removeGroup", it.g, true) : call("stheno.removeProgram", it.g, it.p)).then(() => toast(`${it.p} removed`), complain));
}

/** What can be done with the program of a process. */
export const programButtons = (it) => h("p.b", button("Change…", () => editProgram(it)), button("Resize…", () => scaleProgram(it)), button("Remove…", () => removeProgram(it), ".dng"));
