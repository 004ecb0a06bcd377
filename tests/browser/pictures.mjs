// node pictures.mjs URL FOLDER [VIEW...]
import {client, open, newPage, sleep, within} from './kit.mjs';

const [url, to] = process.argv.slice(2);
const {get, post, ended} = client(url);
const run = async (dag, params = {}) => (await post(`/dags/${dag}/runs`, {params})).id;
for (let i = 0; i < 12; i++) {
    const ids = [await run('etl', {days: 20 + i}), await run('hello')];
    if (i % 3 === 0) ids.push(await run('fails'), await run('maps'));
    for (const id of ids) await ended(id);
}
const r = {
    raw: await run('make_raw'),
    retries: await run('retries'),
    ask: await run('ask'),
    ticks: await run('ticks'),
    logs: await run('logs'),
    flights: await run('flights'),
};
for (const id of [r.raw, r.logs, r.flights]) await ended(id);
const last = async (dag) => (await get(`/dags/${dag}/runs?limit=1`)).items[0].id;
r.etl = await last('etl');
r.fails = await last('fails');
r.maps = await last('maps');
await within(10000, async () => (await get('/runs/' + r.retries)).state !== 'running');

const views = {
    home: '/ui',
    dags: '/ui/dags',
    grid: `/ui/dags/etl?run=${r.etl}&task=join`,
    graph: '/ui/dags/etl/graph?task=join',
    gantt: `/ui/runs/${r.etl}?view=gantt`,
    run: `/ui/runs/${r.fails}`,
    log: `/ui/runs/${r.fails}/tasks/train`,
    trace: `/ui/runs/${r.logs}/tasks/traces`,
    groups: `/ui/runs/${r.flights}/tasks/report`,
    runlog: `/ui/runs/${r.flights}?view=log`,
    usage: `/ui/runs/${r.flights}/tasks/report?tab=usage`,
    table: `/ui/runs/${r.flights}/tasks/delays?tab=artifacts`,
    report: `/ui/runs/${r.flights}/tasks/report?tab=artifacts&artifact=artifacts%2Freport.html`,
    model: `/ui/runs/${r.flights}/tasks/train?tab=artifacts&path=card.md`,
    live: `/ui/runs/${r.ticks}/tasks/tick`,
    trigger: '/ui/dags/etl/trigger?p.days=60',
    runs: '/ui/runs',
    edit: '/ui/dags/fails/code?edit=1',
    broken: '/ui/dags/broken/code',
    backfill: '/ui/dags/etl/backfills?from=2026-01-01&to=2026-01-02',
    durations: '/ui/dags/etl/durations',
    calendar: '/ui/dags/etl/calendar',
    data: '/ui/data/clean_flights',
    approval: '/ui/system/approvals',
    workers: '/ui/system/workers',
    audit: '/ui/system/audit',
    health: '/ui/system/health',
    compare: `/ui/runs/compare?a=${r.etl}&b=${r.fails}`,
};
const browser = await open();
// Some of the views alone, if they are named.
const wanted = process.argv.slice(4);
for (const [name, options] of [
    ['', {}],
    ['-dark', {colorScheme: 'dark'}],
    ['-phone', {viewport: {width: 390, height: 780}}],
]) {
    const page = await newPage(browser, url, {viewport: {width: 1200, height: 720}, ...options});
    for (const [view, path] of Object.entries(views)) {
        if (wanted.length && !wanted.includes(view)) continue;
        await page.goto(url + path);
        await page.locator('main h1').first().waitFor();
        await sleep(700);
        await page.screenshot({path: `${to}/${view}${name}.png`});
    }
    if (page.wrong.length) console.log(page.wrong);
    await page.context().close();
}
await browser.close();
await post(`/runs/${r.ticks}/cancel`);
