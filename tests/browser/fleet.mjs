// Drives the pages of a fleet in headless Chromium against three real daemons, two of which are killed; and against the stream of
// a fleet of three hundred hosts, which is made up. `make browser-test` runs it.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { axe, chromium, Daemon, freePort, PATIENCE_MS, pictures, until } from "./daemon.mjs";

const ports = [await freePort(), await freePort(), await freePort()];
const list = ports.map((port, at) => `127.0.0.${at + 1}:${port}`);
const config = (at) => `[rpcinterface:supvisors]
supervisor.rpcinterface_factory=supvisors.plugin:make_supvisors_rpcinterface
supvisors_list=${list.map((it, of) => `<${["paris", "lyon", "nice"][of]}>${it}`).join(",")}
stereotypes=${["web", "web", "data"][at]}
synchro_options=STRICT
[program:web]
command=sh -c 'while :; do echo "GET /${at}"; sleep 0.5; done'
numprocs=2
process_name=web_${at}%(process_num)d
startsecs=0
[program:db]
command=sleep 1000
autostart=${at === 2}
startsecs=0
[group:shop]
programs=web,db
[program:beat${at}]
command=sh -c 'exit 1'
startretries=0
autostart=${at === 1}
`;
const daemons = ports.map((port, at) => new Daemon(config(at), port, `127.0.0.${at + 1}`));
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const errors = [];

async function open(daemon, path, options = {}) {
	const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
	const page = await context.newPage();
	page.setDefaultTimeout(PATIENCE_MS);
	page.on("pageerror", (error) => errors.push(error.stack));
	page.on("console", (line) => line.type() === "error" && !/Failed to load resource|ERR_/.test(line.text()) && errors.push(line.text()));
	await page.goto(daemon.url + path);
	return page;
}

const hostsHere = (page, count) => page.locator(".facts").getByText(`${count} of 3 here`).waitFor();

/** The stream of a fleet of so many hosts. */
function made(count) {
	const KINDS = ["data", "edge", "gpu", "web"];
	const hosts = Array.from({ length: count }, (_, i) => ({ i, n: `host-${i}`, id: `10.0.${i >> 8}.${i & 255}:9001`, s: i === 7 ? "FAILED" : "RUNNING", load: (i * 37) % 100, kind: KINDS[i % 4] }));
	const apps = ["api", "cache", "data", "edge", "mail", "media", "ops", "pay", "queue", "report", "search", "site"].map((n, i) => ({ i: i + 1, n, managed: true, s: "RUNNING", rank: 1, ...(n === "queue" && { major: true }) }));
	const tasks = hosts.flatMap((host) => apps.map((app, at) => ({ i: 100 + host.i * 12 + at, a: app.i, n: `${app.n}_${host.i}`, p: app.n, s: "RUNNING", on: [[host.i, host.i === 7 ? "FATAL" : "RUNNING", 1000 + at, 1_700_000_000_000, host.i === 7 ? "Supervisor host-7 lost" : "", 3]] })));
	tasks[8] = { ...tasks[8], s: "FATAL", failed: true, required: true, on: [[0, "FATAL", 0, 0, "exit status 1", 3]] };
	const one = (event, data, id = "") => `${id}event: ${event}\ndata: ${JSON.stringify({ now: Date.now(), ...data })}\n\n`;
	const fleet = { own: 0, phase: "OPERATION", master: "host-1", version: "0" };
	const pieces = Array.from({ length: Math.ceil(tasks.length / 400) }, (_, at) => one("rows", { tasks: tasks.slice(at * 400, at * 400 + 400) }));
	return one("begin", { fleet, hosts, apps, moments: [[1, Date.now(), "host", "host-7", "host-7", "FAILED", ""]] }) + pieces.join("") + one("end", {}, "id: 1-1\n");
}

const TESTS = {
	async "three hosts, what runs on each, and who leads"() {
		const page = await open(daemons[0], "fleet.html");
		await hostsHere(page, 3);
		await page.locator(".facts").getByText("OPERATION").waitFor();
		assert.match(await page.locator(".matrix thead").innerText(), /paris[\s\S]*here[\s\S]*lyon[\s\S]*nice/);
		assert.match(await page.locator("tr:has(th.app a[href='#app/shop'])").innerText(), /web × 2[\s\S]*web × 2[\s\S]*db/);
		assert.match(await page.locator(".need").innerText(), /beat1/);
		assert.match(await page.title(), /^\(1\) /);
		await page.getByRole("link", { name: "This host" }).click();
		await page.locator("tr.p").first().waitFor();
		await page.getByRole("link", { name: "Fleet" }).click();
		await hostsHere(page, 3);
		await page.context().close();
	},
	async "a change on one host is seen through another"() {
		const page = await open(daemons[0], "fleet.html#host/nice");
		await page.getByText("shop:db").waitFor();
		const row = page.locator("tr").filter({ hasText: "shop:db" });
		await row.getByText("Running").waitFor();
		const before = Date.now();
		await daemons[2].call("supervisor.stopProcess", "shop:db");
		await row.getByText("Stopped").waitFor();
		console.log(`    seen ${Date.now() - before} ms after it was asked for`);
		await daemons[2].call("supervisor.startProcess", "shop:db");
		await row.getByText("Running").waitFor();
		await page.goto(`${daemons[0].url}fleet.html#timeline`);
		await page.locator(".timeline").getByText("Running shop:db on nice").first().waitFor();
		await page.context().close();
	},
	async "applications, hosts, and the log of a process where it runs"() {
		const page = await open(daemons[0], "fleet.html#app/shop");
		await page.getByRole("row").filter({ hasText: "web_10" }).getByRole("link", { name: "lyon", exact: true }).waitFor();
		const [log] = await Promise.all([page.context().waitForEvent("page"), page.getByRole("link", { name: "Log of shop:web_10 on lyon" }).click()]);
		await log.locator(".lines").getByText("GET /1").first().waitFor();
		assert.ok(log.url().startsWith(daemons[1].url));
		await page.getByRole("link", { name: "Host", exact: true }).click();
		await page.getByLabel("Host", { exact: true }).selectOption("lyon");
		await page.getByText("beat1").waitFor();
		assert.equal(new URL(page.url()).hash, "#host/lyon");
		await page.getByRole("button", { name: "The next host" }).click();
		// The last one has a process of that name, too.
		await page.waitForFunction(() => location.hash !== "#host/lyon");
		await page.locator("td, th").filter({ hasText: "shop:db" }).first().waitFor();
		await page.keyboard.press("Control+k");
		await page.getByPlaceholder("Name").fill("web_01");
		await page.getByPlaceholder("Name").press("Enter");
		await page.locator("section.card h2").getByText("shop").waitFor();
		await page.context().close();
	},
	async "without JavaScript there are tables, from any of them"() {
		for (const daemon of daemons) {
			const page = await open(daemon, "fleet.html", { javaScriptEnabled: false });
			assert.match(await page.locator("body").innerText(), /OPERATION[\s\S]*paris[\s\S]*running[\s\S]*shop\t/);
			await page.getByRole("link", { name: "nice" }).first().click();
			await page.getByRole("row").filter({ hasText: "shop:db" }).waitFor();
			await page.getByLabel("Host").selectOption("lyon");
			await page.getByRole("button", { name: "Show" }).click();
			await page.getByRole("row").filter({ hasText: "shop:web_10" }).getByRole("link", { name: "stdout" }).waitFor();
			await page.getByRole("link", { name: "Applications" }).click();
			assert.match(await page.getByRole("row").filter({ hasText: "web_10" }).innerText(), /lyon/);
			await page.getByRole("link", { name: "Timeline" }).click();
			await page.getByRole("row").filter({ hasText: "Master" }).first().waitFor();
			await page.context().close();
		}
	},
	async "nothing that axe-core finds, in any view and theme, with JavaScript and without"() {
		for (const colorScheme of ["light", "dark"]) {
			for (const view of ["fleet.html", "fleet.html#apps", "fleet.html#host/lyon", "fleet.html#timeline"]) {
				const page = await open(daemons[0], view, { colorScheme, bypassCSP: true });
				await page.locator("main tbody tr, main li").first().waitFor();
				await page.evaluate(axe);
				const { violations } = await page.evaluate(() => axe.run());
				const told = violations.map((it) => `${it.id}: ${it.nodes.slice(0, 3).map((node) => `${node.html.slice(0, 160)} ${node.any[0]?.message ?? ""}`).join(" | ")}`);
				assert.deepEqual(told, [], `${colorScheme} ${view}`);
				await page.context().close();
			}
		}
	},
	async "three hundred hosts, folded by their kinds"() {
		const page = await browser.newContext({ viewport: { width: 1440, height: 900 } }).then((it) => it.newPage());
		page.on("pageerror", (error) => errors.push(error.stack));
		await page.route("**/fleet/live", (route) => route.fulfill({ contentType: "text/event-stream", body: made(300) }));
		await page.goto(`${daemons[0].url}fleet.html`);
		await page.getByRole("button", { name: /^gpu/ }).waitFor();
		assert.ok((await page.locator(".matrix tbody tr").count()) <= 4);
		const took = await page.evaluate(() => {
			const begin = performance.now();
			document.querySelectorAll(".kind.shut button")[0].click();
			document.body.offsetHeight;
			return performance.now() - begin;
		});
		assert.equal(await page.locator(".matrix tbody tr").count(), 79);
		await page.getByLabel("Filter the hosts").fill("host-7 failed");
		await page.waitForFunction(() => document.querySelectorAll(".matrix tbody tr").length === 1);
		await page.getByLabel("Filter the hosts").fill("");
		console.log(`    75 hosts are unfolded in ${took.toFixed(0)} ms`);
		mkdirSync(pictures, { recursive: true });
		await page.screenshot({ path: join(pictures, "fleet-300.png") });
		await page.context().close();
	},
	async "pictures"() {
		mkdirSync(pictures, { recursive: true });
		for (const [size, viewport] of Object.entries({ wide: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } })) {
			for (const colorScheme of ["light", "dark"]) {
				for (const view of ["fleet", "apps", "host", "timeline"]) {
					const page = await open(daemons[0], `fleet.html#${view}`, { viewport, colorScheme });
					await page.locator("main tbody tr, main li").first().waitFor();
					await page.screenshot({ path: join(pictures, `fleet-${view}-${size}-${colorScheme}.png`) });
					assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${view} ${size}: no scrolling sideways`);
					await page.context().close();
				}
			}
		}
		const page = await open(daemons[0], "fleet.html", { javaScriptEnabled: false });
		await page.screenshot({ path: join(pictures, "fleet-plain.png") });
		await page.context().close();
	},
	async "one that is killed is seen at once; when the one that serves is killed, the page goes on with another"() {
		const page = await open(daemons[0], "fleet.html");
		await hostsHere(page, 3);
		await daemons[2].stop("SIGKILL");
		await hostsHere(page, 2);
		await page.locator(".need").getByText("nice").waitFor();
		await page.evaluate(() => (location.hash = "host/lyon"));
		await page.getByText("beat1").waitFor();
		await daemons[0].stop("SIGKILL");
		await page.waitForURL(`${daemons[1].url}fleet.html#host/lyon`);
		await page.getByText("beat1").waitFor();
		await page.evaluate(() => (location.hash = "fleet"));
		await hostsHere(page, 1);
		await page.context().close();
	},
};

let failed = 0;
await Promise.all(daemons.map((it) => it.start()));
for (const [name, test] of Object.entries(TESTS)) {
	if (process.env.ONLY && !name.includes(process.env.ONLY)) continue;
	try {
		await test();
		assert.deepEqual(errors.splice(0), [], "the page has no errors");
		console.log(`ok    fleet: ${name}`);
	} catch (error) {
		failed += 1;
		console.log(`FAIL  fleet: ${name}\n${error.stack}`);
	}
}
await browser.close();
for (const it of daemons) await it.remove();
console.log(failed ? `${failed} failed` : `all pass; pictures in ${pictures}`);
process.exit(failed ? 1 : 0);
