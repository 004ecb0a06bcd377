// The browser's part of bench_browser: node browser.mjs URL [PART...]. Each part prints a line of figures.
import {sleep, within, client, open, newPage, browserProcesses} from '../browser/kit.mjs';
import {createInterface} from 'node:readline';

const [url, ...wanted] = process.argv.slice(2);
const {get, post} = client(url);
const browser = await open();
const input = createInterface({input: process.stdin})[Symbol.asyncIterator]();
const say = (name, text) => console.log(`${name.padEnd(9)} ${text}`);
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const share = (list, part) => [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(part * list.length))];
const must = (what, ok) => {
    if (!ok) throw new Error(what);
    return ok;
};
const ended = async (run) => must(`run ${run} ends`, await within(60000, async () => ['success', 'failed'].includes((await get('/runs/' + run)).state)));
const live = (page) => within(5000, async () => (await page.locator('.live').innerText()).includes('live'));

// Script of a trace by frames, in ms of CPU of the page's thread; the longest task that has script in it.
const SCRIPT = new Set(['FunctionCall', 'EvaluateScript', 'v8.run', 'RunMicrotasks', 'V8.GCScavenger', 'MajorGC', 'MinorGC']);
function read(events) {
    const count = new Map();
    for (const e of events) if (e.name === 'FunctionCall') count.set(`${e.pid}/${e.tid}`, (count.get(`${e.pid}/${e.tid}`) || 0) + 1);
    const main = [...count].sort((a, b) => b[1] - a[1])[0][0];
    const mine = events.filter((e) => `${e.pid}/${e.tid}` === main).sort((a, b) => a.ts - b.ts);
    const frames = mine.filter((e) => e.name === 'BeginMainThreadFrame' || e.name === 'FireAnimationFrame').map((e) => e.ts);
    const tasks = mine.filter((e) => e.ph === 'X' && /RunTask/.test(e.name));
    const script = new Array(frames.length).fill(0), ofTask = new Map();
    let end = 0, frame = -1, task = -1;
    for (const e of mine) {
        if (e.ph !== 'X' || !SCRIPT.has(e.name) || e.ts < end) continue; // within another
        end = e.ts + e.dur;
        while (frame + 1 < frames.length && frames[frame + 1] <= e.ts) frame++;
        while (task + 1 < tasks.length && tasks[task + 1].ts <= e.ts) task++;
        if (frame >= 0) script[frame] += (e.tdur ?? e.dur) / 1000;
        if (task >= 0) ofTask.set(task, (ofTask.get(task) || 0) + (e.tdur ?? e.dur) / 1000);
    }
    return {script, tasks: [...ofTask.values()], whole: [...ofTask.keys()].map((i) => (tasks[i].tdur ?? tasks[i].dur) / 1000)};
}
async function traced(page, fn) {
    const cdp = await browser.newBrowserCDPSession(), events = [];
    cdp.on('Tracing.dataCollected', (e) => events.push(...e.value));
    const complete = new Promise((done) => cdp.once('Tracing.tracingComplete', done));
    await cdp.send('Tracing.start', {transferMode: 'ReportEvents', traceConfig: {includedCategories: ['devtools.timeline', 'disabled-by-default-devtools.timeline', 'toplevel', 'v8']}});
    await fn();
    await cdp.send('Tracing.end');
    await complete;
    await cdp.detach();
    return read(events);
}

const parts = {
    async scroll(page) {
        await page.goto(url + '/ui/runs');
        await page.locator('[data-run]').first().waitFor();
        await page.mouse.move(700, 500);
        let elements = 0, most = 0;
        const cdp = await page.context().newCDPSession(page);
        await cdp.send('Performance.enable');
        const heap = async () => (await cdp.send('Performance.getMetrics')).metrics.find((m) => m.name === 'JSHeapUsedSize').value / 1e6;
        const seen = await traced(page, async () => {
            for (let had = -1, height = 0; height < 36 * 10000;) {
                height = await page.evaluate(() => document.querySelector('[role=list]').offsetHeight);
                for (let i = 0; i < 20; i++) {
                    await page.mouse.wheel(0, 900);
                    await sleep(16);
                }
                elements = Math.max(elements, await page.evaluate(() => document.querySelectorAll('*').length));
                most = Math.max(most, await heap());
                const at = await page.evaluate(() => scrollY + document.querySelector('main').scrollTop);
                if (at === had) await sleep(100);
                had = at;
            }
        });
        await cdp.send('HeapProfiler.collectGarbage');
        const scrolled = seen.script.filter((ms) => ms > 0.05);
        say('scroll', `${await page.evaluate(() => document.querySelector('[role=list]').offsetHeight / 36)} runs: script of a frame p50 ${median(scrolled).toFixed(1)} ms, p95 ${share(scrolled, 0.95).toFixed(1)} (${scrolled.length} frames; < 6); `
            + `longest script of a task ${Math.max(...seen.tasks).toFixed(0)} ms, longest task with script ${Math.max(...seen.whole).toFixed(0)} ms (< 50), ${seen.tasks.filter((ms) => ms > 50).length} over 50 ms; `
            + `${elements} elements (< 3,000); heap at most ${most.toFixed(0)} MB, ${(await heap()).toFixed(0)} MB after a collection (< 100)`);
    },
    async open(page) {
        const run = (await post('/dags/wide/runs')).id;
        await ended(run);
        await page.goto(url + '/ui');
        await live(page);
        const times = {};
        for (const [name, path, shown] of [['graph', '/ui/dags/wide/graph', '.node .far'], ['grid', '/ui/dags/wide', 'canvas'], ['run', `/ui/runs/${run}`, '[data-row]']]) {
            times[name] = [];
            for (let i = 0; i < 5; i++) {
                await page.goto(url + path, {waitUntil: 'commit'});
                await page.waitForFunction((s) => document.querySelector(s) && (window.shownAt ??= performance.now()), shown, {polling: 'raf', timeout: 20000});
                times[name].push(await page.evaluate(() => window.shownAt));
            }
        }
        say('open', `a DAG of 5,000 tasks, ms from the address to what it shows (< 1,000): ` + Object.entries(times).map(([name, list]) => `${name} ${list.map((t) => t.toFixed(0)).join(', ')}`).join('; '));
    },
    async map(page) {
        const run = (await post('/dags/map/runs')).id;
        await ended(run);
        await page.goto(url + '/ui');
        await page.locator('.need', {hasText: 'map'}).locator('a', {hasText: 'map'}).first().click();
        let clicks = 1;
        if (!(await within(2000, () => page.locator('.counts .s-failed').isVisible()))) {
            await page.goto(`${url}/ui/runs/${run}`);
            clicks = 0;
        }
        const from = Date.now();
        await page.locator('.counts .s-failed').click();
        clicks++;
        await within(5000, async () => (await page.locator('[data-row]').count()) === 3);
        const rows = await page.locator('[data-row] a').allInnerTexts();
        say('map', `${clicks} clicks to ${rows.length} failures of 10,000 (${rows.join(', ')}), the last in ${Date.now() - from} ms; from ${page.url().replace(url, '')}`);
    },
    async tabs(page) {
        const tabs = [page];
        while (tabs.length < 7) tabs.push(await page.context().newPage());
        for (const tab of tabs) {
            await tab.goto(url + '/ui/runs');
            await live(tab);
            await tab.mouse.move(5, 5);
            await tab.evaluate(() => {
                window.seen = {};
                new MutationObserver(() => document.querySelectorAll('[data-run]').forEach((e) => (window.seen[e.dataset.run] ??= Date.now()))).observe(document.body, {subtree: true, childList: true, attributes: true});
            });
        }
        const late = [];
        for (let i = 0; i < 10; i++) {
            const at = Date.now(), run = (await post('/dags/short/runs')).id;
            for (const tab of tabs) {
                await tab.waitForFunction((id) => window.seen[id], run, {timeout: 10000});
                late.push((await tab.evaluate((id) => window.seen[id], run)) - at);
            }
            await sleep(600);
        }
        say('tabs', `seven of a browser, ms from the request for a run to its row, 10 times in each: p50 ${median(late)}, max ${Math.max(...late)}`);
        for (const tab of tabs.slice(1)) await tab.close();
    },
    async stop(page) {
        const seconds = Number(process.env.BENCH_STOP_S || 60);
        await page.goto(url + '/ui/runs');
        await live(page);
        await page.mouse.move(5, 5);
        await page.evaluate(() => (window.mark = 1));
        const pids = browserProcesses();
        for (const pid of pids) process.kill(pid, 'SIGSTOP');
        let run;
        for (let end = Date.now() + seconds * 1000; Date.now() < end; await sleep(250)) run = (await post('/dags/short/runs')).id;
        await ended(run);
        const from = Date.now();
        for (const pid of pids) process.kill(pid, 'SIGCONT');
        await page.locator(`[data-run="${run}"] .s-success`).waitFor({timeout: 20000});
        const took = Date.now() - from;
        say('stop', `Chromium stopped for ${seconds} s: the newest of ${seconds * 4} runs as it ended after ${took} ms, ${(await page.evaluate(() => window.mark)) === 1 ? 'without' : 'WITH'} a reload; `
            + `the banner is ${(await page.locator('.banner').isVisible()) ? 'there' : 'gone'}`);
    },
    async restart(page) {
        await page.goto(url + '/ui/runs');
        await live(page);
        await page.mouse.move(5, 5);
        const down = page.locator('.banner').waitFor({timeout: 10000}).then(() => Date.now());
        const from = Date.now();
        console.log('restart');
        const banner = (await down) - from;
        await input.next();
        const back = Date.now(), run = (await post('/dags/short/runs')).id;
        await page.locator(`[data-run="${run}"]`).waitFor({timeout: 20000});
        await live(page);
        const right = Date.now() - back;
        await page.locator('.banner').waitFor({state: 'detached'});
        say('restart', `banner ${banner} ms after the scheduler was told to end; live and right ${right} ms after it is ready again (< 2,000)`);
    },
    async log(page) {
        const run = (await post('/dags/says/runs')).id;
        must('it writes', await within(10000, async () => (await get(`/runs/${run}/tasks/line`)).state === 'running'));
        await page.goto(`${url}/ui/runs/${run}/tasks/line`);
        await page.locator('.log .tx').first().waitFor();
        await page.evaluate(() => {
            window.late = [];
            const seen = new Set();
            const look = (first) => document.querySelectorAll('.log .tx').forEach((e) => {
                const at = /at (\d{13})/.exec(e.textContent);
                if (!at || seen.has(at[1])) return;
                seen.add(at[1]);
                if (!first) window.late.push(Date.now() - at[1]);
            });
            look(true);
            new MutationObserver(() => look(false)).observe(document.querySelector('.log'), {subtree: true, childList: true, characterData: true});
        });
        await page.waitForFunction(() => window.late.length >= 60, null, {timeout: 60000});
        const late = await page.evaluate(() => window.late);
        await post(`/runs/${run}/cancel`);
        say('log', `${late.length} lines, ms from the task's writing to the page: p50 ${median(late)}, p95 ${share(late, 0.95)}, max ${Math.max(...late)} (< 200)`);
    },
};

let failed = 0;
for (const [name, part] of Object.entries(parts)) {
    if (wanted.length && !wanted.includes(name)) continue;
    const page = await newPage(browser, url);
    try {
        await part(page);
    } catch (e) {
        failed++;
        say(name, 'FAILED: ' + e.message.split('\n').slice(0, 3).join(' '));
        if (process.env.NEXUS_SHOTS) await page.screenshot({path: `${process.env.NEXUS_SHOTS}/bench-${name}.png`}).catch(() => {});
    }
    if (page.wrong.length) say(name, 'noted: ' + page.wrong.slice(0, 3).join('; '));
    await page.context().close();
}
await browser.close();
process.exit(failed ? 1 : 0);
