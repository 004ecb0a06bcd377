// node pictures.mjs URL FOLDER HOME [VIEW...]
import {writeFileSync} from 'node:fs';
import {client, open, newPage, sleep, within} from './kit.mjs';

const [url, to, home] = process.argv.slice(2);
const {api, get, post, ended} = client(url);
const yesterday = (hour) =>
    new Date(Date.now() - 86400e3).toISOString().slice(0, 10) + `T0${hour}:00:00Z`;
const run = async (dag, params = {}) => (await post(`/dags/${dag}/runs`, {params})).id;
for (let i = 0; i < 12; i++) {
    const ids = [await run('etl', {days: 20 + i}), await run('hello')];
    if (i % 3 === 0) ids.push(await run('fails'), await run('maps'), await run('groups'));
    for (const id of ids) await ended(id);
}
await post('/dags/etl/backfills', {from: yesterday(0), to: yesterday(5)});
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
r.groups = (await get('/dags/groups/runs?limit=4')).items.map((x) => x.id);
const [newest, , older] = r.groups;
for (const slots of [2, 3])
    await api('PUT', '/pools/gpu', {slots, description: 'graphics cards of this machine'});
await within(10000, async () => (await get('/runs/' + r.retries)).state !== 'running');

const views = {
    home: '/ui',
    dags: '/ui/dags',
    grid: `/ui/dags/etl?run=${r.etl}`,
    selected: `/ui/dags/etl?run=${r.etl}&task=join`,
    range: `/ui/dags/groups?run=${older}&task=clean&to=${newest}.bad`,
    history: '/ui/dags/fails?task=train',
    graph: `/ui/dags/groups/graph?run=${newest}&task=each`,
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
    backfills: '/ui/dags/etl/backfills',
    details: '/ui/dags/groups/docs',
    gone: '/ui/dags/etk',
    durations: '/ui/dags/etl/durations',
    calendar: '/ui/dags/etl/calendar',
    data: '/ui/data/clean_flights',
    approval: '/ui/system/approvals',
    workers: '/ui/system/workers',
    pools: '/ui/system/pools',
    settings: '/ui/system/settings',
    events: '/ui/system/events',
    audit: '/ui/system/audit',
    health: '/ui/system/health',
    compare: `/ui/runs/compare?a=${r.etl}&b=${r.fails}`,
};
// What is selected lies over them on a phone.
const onPhone = {grid: '/ui/dags/etl', graph: `/ui/dags/groups/graph?run=${newest}`};
// The folder of the moment is called as it would be on a server.
function renameHome(home) {
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode())
        if (walk.currentNode.data.includes(home))
            walk.currentNode.data = walk.currentNode.data.replace(home, '/srv/nexus');
}
const browser = await open();
// Some of the views alone, if they are named.
const wanted = process.argv.slice(5);
for (const [name, options] of [
    ['', {}],
    ['-dark', {colorScheme: 'dark'}],
    ['-phone', {viewport: {width: 390, height: 780}}],
]) {
    const page = await newPage(browser, url, {viewport: {width: 1200, height: 720}, ...options});
    for (const [view, path] of Object.entries(views)) {
        if (wanted.length && !wanted.includes(view)) continue;
        await page.goto(url + ((name === '-phone' && onPhone[view]) || path));
        await page.locator('main h1').first().waitFor();
        await sleep(700);
        await page.evaluate(renameHome, home);
        await page.screenshot({path: `${to}/${view}${name}.png`});
    }
    if (page.wrong.length) console.log(page.wrong);
    await page.context().close();
}
await browser.close();
if (!wanted.length) {
    const row = (view) =>
        `| \`${view}\` | [light](${view}.png) | [dark](${view}-dark.png) | [phone](${view}-phone.png) |`;
    const lines = [
        '# Pictures of the page',
        '',
        'Each view, on a real scheduler and worker; made anew by `tests/browser/pictures`. [The page](../page.md) says what is where.',
        '',
        '| view | wide | wide | 390 px |',
        '|---|---|---|---|',
        ...Object.keys(views).map(row),
    ];
    writeFileSync(`${to}/README.md`, lines.join('\n') + '\n');
}
await post(`/runs/${r.ticks}/cancel`);
