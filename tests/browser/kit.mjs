// What the browser tests share: a browser, checks that count, requests to the API.
import {createRequire} from 'node:module';
import {readFileSync, readdirSync} from 'node:fs';
const {chromium} = createRequire(import.meta.url)('playwright-core');

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
