// What the browser tests share: a browser, checks that count, requests to the API.
import {createRequire} from 'node:module';
import {readFileSync, readdirSync} from 'node:fs';
const require = createRequire(import.meta.url);
const {chromium} = require('playwright-core');

export const counts = {passed: 0, failed: 0};
export function check(name, ok, more = '') {
    if (ok) counts.passed++;
    else {
        counts.failed++;
        console.log(
            `FAILED: ${name}${more === '' ? '' : `: ${typeof more === 'string' ? more : JSON.stringify(more)}`}`,
        );
    }
    return ok;
}
export const equal = (name, got, wanted) =>
    check(
        name,
        JSON.stringify(got) === JSON.stringify(wanted),
        `${JSON.stringify(got)}, not ${JSON.stringify(wanted)}`,
    );
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
// True as soon as fn is. The time is for a machine that has nothing else to do: others get more.
const SLOWER = Number(process.env.NEXUS_SLOWER || 4);
export async function within(ms, fn) {
    const end = Date.now() + ms * SLOWER;
    for (;;) {
        let value = false;
        try {
            value = await fn();
        } catch (e) {
            value = false;
        }
        if (value) return value;
        if (Date.now() > end) return false;
        await sleep(30);
    }
}
export function client(url) {
    const api = async (method, path, body) => {
        const answer = await fetch(url + '/api/v1' + path, {
            method,
            headers: body ? {'Content-Type': 'application/json'} : {},
            body: body && JSON.stringify(body),
        });
        const text = await answer.text();
        try {
            return JSON.parse(text);
        } catch (e) {
            return text;
        }
    };
    const ended = async (run) =>
        within(20000, async () => {
            const r = await api('GET', '/runs/' + run);
            return ['success', 'failed', 'cancelled'].includes(r.state) && r;
        });
    return {
        api,
        get: (path) => api('GET', path),
        post: (path, body = {}) => api('POST', path, body),
        ended,
    };
}
export async function open() {
    return chromium.launch({
        executablePath: process.env.NEXUS_CHROMIUM || '/usr/bin/chromium',
        args: [
            '--headless',
            '--no-sandbox',
            '--disable-gpu',
            '--disable-background-networking',
            '--disable-dev-shm-usage',
        ],
    });
}
// A page that notes what must not happen: errors of scripts, dialogs, requests to others.
export async function newPage(browser, url, options = {}) {
    const context = await browser.newContext({viewport: {width: 1440, height: 900}, ...options});
    const page = await context.newPage();
    page.wrong = [];
    page.on('pageerror', (e) => page.wrong.push('error: ' + e.message));
    page.on('dialog', (d) => {
        page.wrong.push('dialog: ' + d.message());
        d.dismiss();
    });
    page.on(
        'console',
        (m) =>
            m.type() === 'error' &&
            !/Failed to load resource/.test(m.text()) &&
            page.wrong.push('console: ' + m.text()),
    );
    page.on(
        'request',
        (r) =>
            r.url().startsWith(url) ||
            /^(data|blob):/.test(r.url()) ||
            page.wrong.push('elsewhere: ' + r.url()),
    );
    return page;
}
// Chromium's processes: descendants of this one.
export function browserProcesses() {
    const parents = new Map();
    for (const pid of readdirSync('/proc').filter((p) => /^\d+$/.test(p))) {
        try {
            parents.set(
                Number(pid),
                Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')[1]),
            );
        } catch (e) {
            continue;
        }
    }
    const mine = (pid) => pid > 1 && (pid === process.pid || mine(parents.get(pid) || 0));
    return [...parents.keys()].filter((pid) => pid !== process.pid && mine(pid));
}

// What axe-core has against the page as it is: what is wrong, and where.
const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
export async function axeFinds(page, options = {}) {
    await page.evaluate(AXE);
    return page.evaluate(async (options) => {
        const found = await window.axe.run(document, {resultTypes: ['violations'], ...options});
        const places = (v) => v.nodes.slice(0, 3).map((n) => n.html.slice(0, 140));
        return found.violations.map((v) => `${v.id}: ${places(v).join(' | ')}`);
    }, options);
}

// Runs the parts of a test that are wanted; what one throws is its failure. NEXUS_SHOTS: a folder for
// pictures of the page as it was then.
export async function runParts(parts, wanted, page) {
    for (const [name, part] of Object.entries(parts)) {
        if (!wanted(name)) continue;
        try {
            await part();
        } catch (e) {
            await failed(`${name} ends`, e, page, name);
        }
    }
}
export async function failed(what, error, page, name) {
    check(what, false, error.message.split('\n').slice(0, 6).join(' '));
    const shots = process.env.NEXUS_SHOTS;
    if (shots) await page.screenshot({path: `${shots}/failed-${name}.png`}).catch(() => {});
}
export async function finish(browser, wrong) {
    check('no script failed, no dialog came, nothing was asked of others', !wrong.length, wrong);
    await browser.close();
    console.log(`${counts.passed} passed, ${counts.failed} failed`);
}
