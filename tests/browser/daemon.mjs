// Real daemons for the tests in a browser, and what drives it.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [, , supervisord, folder] = process.argv;
/** Where pictures go. */
export const pictures = folder ?? join(tmpdir(), "stheno-page");
// From where playwright-core and axe-core were installed.
const require = createRequire(join(process.env.BROWSER_MODULES ?? process.cwd(), "x.js"));
export const { chromium } = require("playwright-core");
export const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
export const PATIENCE_MS = 60_000;

// Below those that the system chooses from by itself, as for a browser's connections.
export const freePort = () => new Promise((done) => {
	const attempt = () => {
		const port = 12_000 + Math.floor(Math.random() * 20_000);
		const server = createServer().once("error", attempt).listen(port, "127.0.0.1", () => server.close(() => done(port)));
	};
	attempt();
});

export class Daemon {
	constructor(text, port, address = "127.0.0.1") {
		this.folder = mkdtempSync(join(tmpdir(), "stheno-browser-"));
		this.port = port;
		this.address = address;
		this.url = `http://${address}:${port}/`;
		this.write(text);
	}
	write(text) {
		writeFileSync(join(this.folder, "s.conf"), `[supervisord]\nnodaemon=true\nlogfile=${this.folder}/s.log\npidfile=${this.folder}/s.pid\nchildlogdir=${this.folder}\n` +
			`[inet_http_server]\nport=${this.address}:${this.port}\n[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n${text}`);
	}
	async start() {
		this.child = spawn(supervisord, ["-n", "-c", join(this.folder, "s.conf")], { stdio: "ignore" });
		await until("the daemon answers", () => fetch(this.url).then((it) => it.ok, () => false));
	}
	async stop(signal = "SIGTERM") {
		if (this.child.exitCode !== null || this.child.signalCode !== null) return;
		const ended = new Promise((done) => this.child.once("exit", done));
		this.child.kill(signal);
		await ended;
	}
	async call(method, name) {
		const body = `<?xml version="1.0"?><methodCall><methodName>${method}</methodName><params><param><value><string>${name.replace(/</g, "&lt;")}</string></value></param></params></methodCall>`;
		return (await fetch(`${this.url}RPC2`, { method: "POST", headers: { "Content-Type": "text/xml" }, body })).text();
	}
	async state(name) {
		const text = await this.call("supervisor.getProcessInfo", name);
		return { state: /<name>statename<\/name>\s*<value><string>(\w+)/.exec(text)?.[1], pid: +/<name>pid<\/name>\s*<value><int>(\d+)/.exec(text)?.[1] };
	}
	async remove() {
		await this.stop();
		rmSync(this.folder, { recursive: true, force: true });
	}
}

export async function until(what, look) {
	for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await new Promise((done) => setTimeout(done, 20))) if (await look()) return;
	throw Error(`waited in vain: ${what}`);
}
