// Drives the live page in headless Chromium against the real daemon: each action is checked by its effect through XML-RPC,
// and pictures of the views are left where a person can look at them. `make browser-test` runs it.
//
//     node tests/browser/run.mjs target/debug/supervisord [folder for pictures]

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { axe, chromium, Daemon, freePort, PATIENCE_MS, pictures, until } from "./daemon.mjs";

const PROGRAMS = `[stheno]
mutation=true
metrics=true
[program:flood]
command=sh -c 'while :; do head -c 1000000 /dev/zero | tr "\\0" x | fold -w 99; sleep 0.1; done'
autostart=false
startsecs=0
[program:web]
command=sh -c 'i=0; while :; do i=$((i+1)); echo "GET /item/$i 200"; sleep 0.2; done'
numprocs=4
process_name=web_%(process_num)02d
startsecs=0
[program:db]
command=sleep 1000
startsecs=0
[group:site]
programs=web,db
[program:beat]
command=sh -c 'echo no connection >&2; exit 1'
startretries=0
[program:idle]
command=sleep 1000
autostart=false
startsecs=0
[program:<script>alert(1)<b>]
command=sleep 1000
startsecs=0
`;

const daemon = new Daemon(PROGRAMS, await freePort());
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--host-resolver-rules=MAP foreign.example 127.0.0.1"] });
const errors = [];

async function open(hash = "", options = {}) {
	const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
	const page = await context.newPage();
	page.setDefaultTimeout(PATIENCE_MS);
	page.on("pageerror", (error) => errors.push(error.stack));
	page.on("console", (line) => line.type() === "error" && !/Failed to load resource|ERR_/.test(line.text()) && errors.push(line.text()));
	page.on("dialog", (it) => (errors.push(`a dialog: ${it.message()}`), it.dismiss()));
	await page.goto(daemon.url + hash);
	return page;
}

const row = (page, name) => page.locator(`tr.p:has(a[href="#processes/${encodeURIComponent(name)}"])`);
/** What the streams of open pages and all else have open. */
const connections = async () => +/^stheno_connections (\d+)/m.exec(await (await fetch(`${daemon.url}metrics`)).text())[1];
const said = (page, text) => page.waitForFunction((it) => document.body.innerText.includes(it), text);
const press = (page, label, within = page) => within.getByRole("button", { name: label }).first().click();

const TESTS = {
	async "what is wrong stands on top, with why and its last line"() {
		const page = await open();
		await said(page, "no connection");
		const need = await page.locator(".need").innerText();
		assert.match(need, /beat\s+Fatal · .*exit status 1/);
		assert.match(await page.title(), /^\(1\) /);
		await page.context().close();
	},
	async "who waits says so, is found, and its wait ends"() {
		const other = new Daemon("[program:beat]\ncommand=/nonexistent\nstartretries=0\n[program:patient]\ncommand=sleep 1000\nstartsecs=0\ndepends_on=beat\n", await freePort());
		await other.start();
		const page = await open();
		await page.goto(other.url);
		const it = row(page, "patient");
		await it.getByText("Waiting for beat (FATAL)").waitFor();
		assert.match(await page.locator(".need").innerText(), /patient\s+Waiting · .*beat \(FATAL\)/);
		await press(page, "Waiting", page.locator(".chips"));
		assert.equal(await page.locator("tr.p").count(), 1);
		await press(page, "All", page.locator(".chips"));
		await page.getByLabel("Filter the processes").fill("waiting");
		await page.waitForFunction(() => document.querySelectorAll("tr.p").length === 1);
		await page.getByLabel("Filter the processes").fill("");
		await it.hover();
		await it.getByRole("button", { name: "Start patient" }).waitFor();
		await it.getByRole("button", { name: "Stop patient" }).click();
		await it.getByText("Stopped").waitFor();
		await page.waitForFunction(() => !document.querySelector(".need").innerText.includes("patient"));
		await page.keyboard.press("Control+k");
		await page.getByPlaceholder("Name or command").fill("stop patient");
		await page.locator(".pal").getByText("Nothing to do.").waitFor();
		await page.context().close();
		// The plain page does not wait for who waits in vain.
		const plain = await open("", { javaScriptEnabled: false });
		await plain.goto(other.url);
		await plain.getByText("Restart All …").click();
		await plain.getByRole("button", { name: "Restart All now" }).click();
		await plain.getByText("All restarted at").waitFor();
		await plain.context().close();
		await other.remove();
	},
	async "names are whole while another column has room"() {
		for (const width of [1300, 1100, 800]) {
			const page = await open("", { viewport: { width, height: 900 } });
			await row(page, "idle").waitFor();
			const cut = await page.evaluate(() => [...document.querySelectorAll("tbody th")].filter((it) => it.firstChild.getBoundingClientRect().right > it.getBoundingClientRect().right || it.firstChild.scrollWidth > it.firstChild.clientWidth + 1 && it.firstChild.matches("button")).map((it) => it.innerText));
			assert.deepEqual(cut, [], `${width}`);
			await page.context().close();
		}
	},
	async "a dialog goes with its view, and the server's table with the page"() {
		const page = await open();
		await press(page, "Add program");
		await page.locator("dialog").waitFor();
		await page.evaluate(() => (location.hash = "activity"));
		await page.locator("dialog").waitFor({ state: "detached" });
		assert.equal(await page.locator("body > :not(#app)").count(), 0);
		await page.context().close();
	},
	async "start, stop and start again"() {
		const page = await open();
		await row(page, "idle").hover();
		await press(page, "Start idle");
		await until("it runs", async () => (await daemon.state("idle")).state === "RUNNING");
		await press(page, "Stop idle");
		await until("it is stopped", async () => (await daemon.state("idle")).state === "STOPPED");
		await press(page, "Start again", page.locator("#toasts"));
		await until("it runs again", async () => (await daemon.state("idle")).state === "RUNNING");
		await page.context().close();
	},
	async "a restart gives another pid"() {
		const page = await open("#processes/site%3Adb");
		const before = (await daemon.state("site:db")).pid;
		await press(page, "Restart", page.locator(".detail"));
		await until("another pid", async () => ((it) => it.state === "RUNNING" && it.pid !== before)(await daemon.state("site:db")));
		await page.context().close();
	},
	async "stopping many asks first, with the focus on Cancel"() {
		const page = await open();
		await press(page, "Stop site");
		await page.waitForSelector("dialog");
		assert.equal(await page.evaluate(() => document.activeElement.textContent), "Cancel");
		assert.equal(await page.locator(".victims li").count(), 5);
		await page.keyboard.press("Enter");
		await page.waitForSelector("dialog", { state: "detached" });
		assert.equal((await daemon.state("site:db")).state, "RUNNING");
		await press(page, "Stop site");
		await press(page, "Stop 5");
		await until("all are stopped", async () => (await daemon.state("site:db")).state === "STOPPED" && (await daemon.state("site:web_03")).state === "STOPPED");
		await press(page, "Start again", page.locator("#toasts"));
		await until("all run", async () => (await daemon.state("site:web_03")).state === "RUNNING");
		await page.context().close();
	},
	async "what others do is seen at once"() {
		const page = await open();
		await row(page, "idle").waitFor();
		const other = await open();
		await row(other, "idle").hover();
		await press(other, "Stop idle");
		await row(page, "idle").getByText("Stopped").waitFor();
		await Promise.all([page, other].map((it) => it.context().close()));
	},
	async "filter, chips, sort and fold"() {
		const page = await open();
		await row(page, "idle").waitFor();
		await page.getByLabel("Filter the processes").fill("web running");
		await page.waitForFunction(() => document.querySelectorAll("tr.p").length === 4);
		await page.getByLabel("Filter the processes").fill("");
		await press(page, /^Failing/);
		await page.waitForFunction(() => document.querySelectorAll("tr.p").length === 1);
		await press(page, /^All/);
		await page.locator(".list thead").getByText("Memory").click();
		await page.waitForFunction(() => document.querySelectorAll("tr.p").length === 9);
		await page.locator(".list thead").getByText("Name").click();
		await page.getByRole("button", { name: /^web/ }).click();
		await row(page, "site:web_02").waitFor();
		await page.context().close();
	},
	async "what is compact, and what uses more than so much"() {
		const page = await open();
		await row(page, "idle").waitFor();
		const height = () => row(page, "idle").evaluate((it) => it.offsetHeight);
		const before = await height();
		await press(page, "Compact");
		assert.ok((await height()) < before);
		await page.reload();
		await row(page, "idle").waitFor();
		assert.ok((await height()) < before, "it is remembered");
		await press(page, "Compact");
		const filter = page.getByLabel("Filter the processes");
		for (const [text, is] of [["mem>0.1 site:db", 1], ["mem>500", 0], ["cpu>50 idle", 0], ["cpu<50 restarts<1000 idle", 1], ["nobody", 0]]) {
			await filter.fill(text);
			await page.waitForFunction((count) => document.querySelectorAll("tr.p").length === count, is);
		}
		await page.locator(".list.none").waitFor();
		await page.context().close();
	},
	async "a failure is told aloud, and by the browser if that is wished"() {
		const page = await open("", { permissions: ["notifications"] });
		await page.evaluate(() => {
			globalThis.told = [];
			globalThis.Notification = class {
				static permission = "granted";
				static requestPermission() {}
				constructor(title) {
					told.push(title);
				}
			};
		});
		await said(page, "no connection");
		await press(page, "Start again", page.locator(".need"));
		await page.waitForFunction(() => document.querySelector("#aloud").textContent.startsWith("beat is FATAL: "));
		assert.deepEqual(await page.evaluate(() => told), []);
		await press(page, "Notify of failures");
		await press(page, "Start again", page.locator(".need"));
		await page.waitForFunction(() => told.join() === "beat is FATAL");
		assert.match(await page.locator(".need").innerText(), /gave up after 1 try /);
		await page.context().close();
	},
	async "each view has an address, and goes on there after a reload"() {
		const page = await open();
		const VIEWS = { "#logs/supervisord": "supervisord started", "#activity": "Why, or who asked", "#config": "The files say what is in force.", "#processes/idle/details": "sleep 1000", "#processes/idle/history": "Why, or who asked" };
		for (const [hash, text] of Object.entries(VIEWS)) {
			await page.goto(daemon.url + hash);
			await page.reload();
			await said(page, text);
			assert.equal(new URL(page.url()).hash, hash);
		}
		await page.context().close();
	},
	async "changed files are told of while one looks"() {
		const page = await open();
		await row(page, "idle").waitFor();
		daemon.write(`${PROGRAMS}[program:soon]\ncommand=sleep 1000\nautostart=false\n`);
		await page.locator('nav a[href="#config"]').filter({ hasText: "Configuration1" }).waitFor();
		daemon.write(PROGRAMS);
		await page.locator('nav a[href="#config"]').filter({ hasText: /^Configuration$/ }).waitFor();
		await page.context().close();
	},
	async "the list by keys alone"() {
		const page = await open();
		await row(page, "idle").waitFor();
		await page.getByLabel("Filter the processes").fill("idle");
		await page.keyboard.press("Escape");
		await page.keyboard.press("j");
		await page.locator("tr.at").waitFor();
		await daemon.call("supervisor.stopProcess", "idle");
		await row(page, "idle").getByText("Stopped").waitFor();
		await page.keyboard.press("s");
		await until("it runs", async () => (await daemon.state("idle")).state === "RUNNING");
		await page.keyboard.press("x");
		await page.locator(".bulk").getByText("1 selected").waitFor();
		await press(page, "Clear logs", page.locator(".bulk"));
		await press(page, "Clear", page.locator("dialog"));
		await said(page, "Cleared the logs of idle");
		const { pid } = await daemon.state("idle");
		await press(page, "Signal", page.locator(".bulk"));
		await press(page, "KILL", page.locator("dialog"));
		await until("another one runs", async () => ((it) => it.state === "RUNNING" && it.pid !== pid)(await daemon.state("idle")));
		await page.keyboard.press("x");
		await page.keyboard.press("Enter");
		await page.locator(".detail h2").getByText("idle").waitFor();
		await page.keyboard.press("f");
		await page.getByRole("button", { name: "Follow", pressed: false }).waitFor();
		await page.keyboard.press("Escape");
		await page.locator(".detail").waitFor({ state: "detached" });
		await page.keyboard.press("?");
		await page.locator("dialog").getByText("find anything").waitFor();
		await page.context().close();
	},
	async "keys and the palette"() {
		const page = await open();
		await row(page, "idle").waitFor();
		await page.keyboard.press("/");
		assert.equal(await page.evaluate(() => document.activeElement.type), "search");
		await page.keyboard.press("Escape");
		await page.keyboard.press("Control+k");
		await page.keyboard.type("start idle");
		await page.keyboard.press("Enter");
		await until("it runs", async () => (await daemon.state("idle")).state === "RUNNING");
		// Enter chooses and no more: the question that it opens is not answered by the same key.
		await page.keyboard.press("Control+k");
		await page.keyboard.type("stop all");
		await page.keyboard.press("Enter");
		await page.locator("dialog .victims").waitFor();
		await page.keyboard.press("Enter");
		await page.locator("dialog").waitFor({ state: "detached" });
		await page.keyboard.press("3");
		await said(page, "supervisord started");
		assert.equal(new URL(page.url()).hash, "#activity");
		await page.keyboard.press("Escape");
		await row(page, "idle").waitFor();
		await page.context().close();
	},
	async "a log is followed, searched, and rests while one reads"() {
		const page = await open("#processes/site%3Aweb_00");
		await page.locator(".lines div").nth(3).waitFor();
		await page.getByLabel("Search in the log").fill("item");
		await page.waitForFunction(() => /\d+ finds/.test(document.querySelector(".log .tools small").textContent));
		await page.waitForFunction(() => document.querySelectorAll(".lines div").length > 60);
		await page.locator(".lines").hover();
		await page.mouse.wheel(0, -400);
		await page.locator(".more").filter({ hasText: "new line" }).waitFor();
		await page.locator(".more").click();
		await page.locator(".more").waitFor({ state: "hidden" });
		await page.context().close();
	},
	async "logs of several processes come line by line"() {
		const page = await open("#logs/site%3Aweb_00,site%3Aweb_01");
		// How many of the last twenty lines are of another process than the line before: a look at each log brings what came since, a few lines.
		const turns = () => {
			const whose = [...document.querySelectorAll(".lines div b")].slice(-20).map((it) => it.textContent);
			return whose.length === 20 && whose.filter((name, at) => at && name !== whose[at - 1]).length >= 5;
		};
		await page.waitForFunction(turns);
		await page.context().close();
	},
	async "options, history, activity and configuration"() {
		const page = await open("#processes/beat/options");
		await said(page, "s.conf:");
		await page.goto(`${daemon.url}#processes/beat/history`);
		await said(page, "exit status 1");
		daemon.write(PROGRAMS.replace("command=sleep 1000\nautostart", "command=sleep 2000\nautostart") + "[program:fresh]\ncommand=sleep 1000\nstartsecs=0\n");
		await page.goto(`${daemon.url}#config`);
		await said(page, "+ fresh");
		await said(page, "sleep 2000");
		await press(page, "Apply");
		await press(page, "Apply", page.locator("dialog"));
		await until("it runs", async () => (await daemon.state("fresh")).state === "RUNNING");
		await said(page, "The files say what is in force.");
		await page.context().close();
	},
	async "a daemon that goes and comes back"() {
		const page = await open();
		await row(page, "idle").waitFor();
		await daemon.stop();
		await page.locator(".lost").getByText("No answer").waitFor();
		await daemon.start();
		await page.locator(".lost").waitFor({ state: "hidden" });
		await row(page, "idle").getByText("Stopped").waitFor();
		await page.context().close();
	},
	async "without JavaScript there is the table, and its links act"() {
		const page = await open("", { javaScriptEnabled: false });
		assert.match(await page.locator("table").innerText(), /site:web_03/);
		await page.getByRole("button", { name: "Start idle" }).click();
		await until("it runs", async () => (await daemon.state("idle")).state === "RUNNING");
		await page.getByText("Process idle started").waitFor();
		await page.goto(`${daemon.url}tail.html?processname=beat`);
		await page.getByRole("link", { name: "stderr" }).click();
		assert.match(await page.locator("pre").innerText(), /no connection/);
		await page.getByRole("link", { name: "All processes" }).click();
		// One press does not stop everything.
		await page.getByText("Stop All …").click();
		assert.equal((await daemon.state("idle")).state, "RUNNING");
		await page.getByRole("button", { name: "Stop All now" }).click();
		await until("all are stopped", async () => (await daemon.state("site:db")).state === "STOPPED");
		await page.getByText("Restart All …").click();
		await page.getByRole("button", { name: "Restart All now" }).click();
		await until("all run", async () => (await daemon.state("site:web_03")).state === "RUNNING");
		await page.context().close();
	},
	async "programs are added, changed, resized and removed by forms"() {
		const page = await open();
		await press(page, "Add program");
		const field = (name) => page.locator(`dialog input[name=${name}]`);
		await field("name").fill("made");
		await field("command").fill("sleep 1000");
		await field("numprocs").fill("two");
		await press(page, "Add", page.locator("dialog"));
		await page.locator("dialog label:has(input[name=numprocs]) .bad").filter({ hasText: "expected a whole number" }).waitFor();
		await field("numprocs").fill("1");
		await page.getByLabel("One more option").selectOption("startsecs");
		await field("startsecs").fill("0");
		assert.equal(await page.locator("dialog pre").innerText(), "[program:made]\ncommand=sleep 1000\nnumprocs=1\nstartsecs=0");
		await press(page, "Add", page.locator("dialog .b"));
		await until("it runs", async () => (await daemon.state("made")).state === "RUNNING");
		const { pid } = await daemon.state("made");
		await page.goto(`${daemon.url}#processes/made/options`);
		await press(page, "Change…");
		await field("command").fill("sleep 2000");
		await press(page, "Change and restart");
		await until("another pid", async () => ((it) => it.state === "RUNNING" && it.pid !== pid)(await daemon.state("made")));
		await page.goto(`${daemon.url}#config`);
		await said(page, "sleep 2000");
		await page.goto(`${daemon.url}#processes/made/options`);
		await press(page, "Remove…");
		await press(page, "Remove", page.locator("dialog"));
		await until("it is gone", async () => !(await daemon.state("made")).state);
		await page.goto(`${daemon.url}#processes/site%3Aweb_00/options`);
		for (const count of ["5", "4"]) {
			await press(page, "Resize…");
			await field("numprocs").fill(count);
			await press(page, "Resize", page.locator("dialog .b"));
			await until(`${count} of them`, async () => Boolean((await daemon.state("site:web_04")).state) === (count === "5"));
		}
		await page.context().close();
	},
	async "a name that is markup is a name"() {
		const name = "<script>alert(1)<b>";
		const page = await open();
		await row(page, name).hover();
		await press(page, `Stop ${name}`);
		await until("it is stopped", async () => (await daemon.state(name)).state === "STOPPED");
		await page.goto(`${daemon.url}#processes/${encodeURIComponent(name)}/details`);
		await page.locator(".detail h2").getByText(name).waitFor();
		await press(page, "Start", page.locator(".detail"));
		await until("it runs", async () => (await daemon.state(name)).state === "RUNNING");
		await page.context().close();
	},
	async "a log of 10 MB/s is followed"() {
		const page = await open("#processes/flood");
		await press(page, "Start", page.locator(".detail"));
		await said(page, "bytes were too many to show");
		for (let at = 0; at < 10; at += 1) {
			const begin = Date.now();
			assert.ok((await page.locator(".lines div").count()) <= 3000, "it holds no more");
			await page.waitForTimeout(300);
			assert.ok(Date.now() - begin < PATIENCE_MS, "it answers");
		}
		await press(page, "Stop", page.locator(".detail"));
		await until("it is stopped", async () => (await daemon.state("flood")).state === "STOPPED");
		await page.context().close();
	},
	async "a page that nobody sees has no stream"() {
		const page = await open();
		await row(page, "idle").waitFor();
		await page.waitForTimeout(100);
		const before = await connections();
		const turn = (is) => page.evaluate((to) => {
			Object.defineProperty(document, "hidden", { get: () => to, configurable: true });
			document.dispatchEvent(new Event("visibilitychange"));
		}, is);
		await turn(true);
		await until("it is closed", async () => (await connections()) < before);
		await turn(false);
		await page.locator(".live").getByText("Live").waitFor();
		await page.context().close();
	},
	async "a foreign host is refused, and told the cure"() {
		const page = await open();
		await page.goto(`http://foreign.example:${daemon.port}/`);
		assert.match(await page.locator("body").innerText(), /does not know itself as foreign\.example[\s\S]*\[stheno\] hosts=foreign\.example/);
		await page.context().close();
	},
	async "nothing that axe-core finds, in any view and theme"() {
		for (const colorScheme of ["light", "dark"]) {
			for (const view of ["", "#processes/beat/log", "#processes/site%3Adb/details", "#processes/beat/options", "#logs/supervisord,site%3Adb", "#activity", "#config"]) {
				const page = await open(view, { colorScheme, bypassCSP: true });
				await row(page, "idle").or(page.locator("main .card")).first().waitFor();
				await page.waitForTimeout(800);
				await page.evaluate(axe);
				const { violations } = await page.evaluate(() => axe.run());
				const told = violations.map((it) => `${it.id}: ${it.nodes.slice(0, 3).map((node) => `${node.html.slice(0, 160)} ${node.any[0]?.message ?? ""}`).join(" | ")}`);
				assert.deepEqual(told, [], `${colorScheme} ${view}`);
				await page.context().close();
			}
		}
	},
	async "pictures"() {
		mkdirSync(pictures, { recursive: true });
		const VIEWS = { list: "", log: "#processes/site%3Aweb_00", options: "#processes/beat/options", history: "#processes/beat/history", logs: "#logs/supervisord,site%3Aweb_00,site%3Aweb_01", activity: "#activity", config: "#config" };
		for (const [size, viewport] of Object.entries({ wide: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } })) {
			for (const colorScheme of ["light", "dark"]) {
				for (const [name, hash] of Object.entries(VIEWS)) {
					const page = await open(hash, { viewport, colorScheme });
					await page.waitForTimeout(2500);
					await page.screenshot({ path: join(pictures, `${name}-${size}-${colorScheme}.png`) });
					assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} ${size}: no scrolling sideways`);
					await page.context().close();
				}
			}
		}
	},
	async "pictures without JavaScript"() {
		for (const [size, viewport] of Object.entries({ wide: { width: 1200, height: 800 }, phone: { width: 390, height: 844 } })) {
			for (const [name, path] of Object.entries({ plain: "", tail: "tail.html?processname=site:web_00" })) {
				const page = await open(path, { viewport, javaScriptEnabled: false, colorScheme: size === "wide" ? "light" : "dark" });
				await page.screenshot({ path: join(pictures, `${name}-${size}.png`) });
				await page.context().close();
			}
		}
	},
	async "two thousand processes"() {
		await daemon.stop();
		daemon.write("[program:p]\ncommand=sleep 1000\nautostart=false\nstartsecs=0\nnumprocs=1990\nprocess_name=p%(process_num)04d\n" + PROGRAMS);
		await daemon.start();
		const page = await open();
		await row(page, "idle").waitFor();
		const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime);
		await page.getByLabel("Filter the processes").fill("p1");
		await page.waitForFunction(() => document.querySelectorAll("tr.p").length > 20);
		assert.ok((await page.locator("tr.p").count()) < 100, "only what is seen is there");
		console.log(`    first paint after ${Math.round(paint)} ms`);
		await page.getByLabel("Filter the processes").fill("");
		await page.waitForTimeout(500);
		const metrics = await page.context().newCDPSession(page);
		await metrics.send("Performance.enable");
		const spent = async () => {
			const all = Object.fromEntries((await metrics.send("Performance.getMetrics")).metrics.map((it) => [it.name, it.value]));
			return all.ScriptDuration + all.LayoutDuration + all.RecalcStyleDuration;
		};
		const [before, UPDATES] = [await spent(), 40];
		for (let at = 0; at < UPDATES; at += 1) {
			await daemon.call(`supervisor.${at % 2 ? "start" : "stop"}Process`, "idle");
			await page.waitForTimeout(30);
		}
		console.log(`    an update takes ${(((await spent()) - before) / UPDATES * 1000).toFixed(1)} ms`);
		await page.context().close();
	},
};

let failed = 0;
await daemon.start();
for (const [name, test] of Object.entries(TESTS)) {
	if (process.env.ONLY && !name.includes(process.env.ONLY)) continue;
	try {
		await test();
		assert.deepEqual(errors.splice(0), [], "the page has no errors");
		console.log(`ok    ${name}`);
	} catch (error) {
		failed += 1;
		console.log(`FAIL  ${name}\n${error.stack}`);
	}
}
await browser.close();
await daemon.remove();
console.log(failed ? `${failed} failed` : `all pass; pictures in ${pictures}`);
process.exit(failed ? 1 : 0);
