// The tests of the DAGs' views: node dags.mjs URL DIR PID [PART...].
import {check, client, equal, finish, newPage, open, runParts, sleep, within} from './kit.mjs';
import {rmSync, writeFileSync} from 'node:fs';

const [url, dir, , ...wanted] = process.argv.slice(2);
const {api, get, post, ended} = client(url);
const browser = await open();
const page = await newPage(browser, url);
const go = async (path) => {
    await page.goto(url + path);
    await page.locator('main h1').first().waitFor({timeout: 10000});
};
const text = (selector) => page.locator(selector).first().innerText();
const button = (name) => page.getByRole('button', {name});
const trigger = async (dag, body = {}) => (await post(`/dags/${dag}/runs`, body)).id;
const query = (name) => new URL(page.url()).searchParams.get(name);
const CELL = 16,
    ROW = 18,
    LEFT = 214,
    HEAD = 84;
const FAILED = ['failed', 'upstream_failed', 'cancelled'];

// A place of the grid: of the i-th column and k-th row; -1: the head, or the names.
async function cell(i, k, options = {}) {
    const x = i < 0 ? 40 : LEFT + i * CELL + 7,
        y = k < 0 ? 30 : HEAD + k * ROW + 9;
    await page.locator('.gridbox canvas').click({position: {x, y}, ...options});
}
// How many instances a dry run changes in the runs, and of which states they are.
async function changed(verb, runs, body) {
    const all = [];
    for (const run of runs)
        all.push(...(await post(`/runs/${run}/${verb}`, {...body, dry_run: true})).changed);
    return all;
}

const runs = [];
const parts = {
    async grid() {
        for (let i = 0; i < 4; i++) {
            runs.push(await trigger('groups'));
            await ended(runs[i]);
        }
        await go('/ui/dags/groups');
        await page.locator('.gridbox canvas').waitFor();
        const grid = await get('/dags/groups/grid?limit=50');
        await cell(0, -1);
        check(
            'a column head selects its run',
            await within(2000, () => query('run') === runs[0] && !query('task')),
        );
        // Rows: the group, then its two tasks, then the others.
        await cell(1, 2);
        check(
            'a cell selects task and run',
            await within(2000, () => query('run') === runs[1] && query('task') === 'clean'),
        );
        await cell(-1, 3);
        check(
            'a row head shows the task in past runs',
            await within(3000, () => page.getByText('list in past runs').isVisible()),
        );
        const k = grid.tasks.indexOf('list');
        equal(
            'as the API has them',
            await page
                .locator('.right tbody tr')
                .evaluateAll((l) =>
                    l.map(
                        (r) =>
                            `${r.children[0].innerText} ${r.children[1].innerText.replace(/^. */s, '')}`,
                    ),
                ),
            grid.items.map((r) => `${r.id} ${{s: 'success', f: 'failed'}[r.states[k]]}`),
        );
        await button('▾ intake (2)').click();
        check(
            'a group folds, which is in the address',
            await within(2000, () => query('folded') === 'intake'),
        );
        await cell(2, 1);
        check('rows move up', await within(2000, () => query('task') === 'list'));
        await button('▸ intake (2)').click();
        check('and unfolds', await within(2000, () => button('▾ intake (2)').isVisible()));
        check('shapes are explained', /○ manual/.test(await text('.left p.muted')));
    },
    async range() {
        await go('/ui/dags/groups');
        await page.locator('.gridbox canvas').waitFor();
        await cell(0, 1);
        await cell(2, 3, {modifiers: ['Shift']});
        check(
            'shift selects a range',
            await within(2000, () => query('to') !== null && query('run') === runs[0]),
        );
        const to = query('to').split('.')[1];
        const tasks = (await get('/dags/groups/grid?limit=1')).tasks;
        const names = tasks.slice(tasks.indexOf('raw'), tasks.indexOf(to) + 1);
        check(
            'it is counted',
            await within(
                3000,
                async () => (await text('.right h2')) === `${names.length * 3} tasks of 3 runs`,
            ),
            await text('.right h2'),
        );
        await page.locator('.gridbox canvas').focus();
        await page.keyboard.press('Shift+ArrowRight');
        check(
            'with the keyboard too',
            await within(
                3000,
                async () => (await text('.right h2')) === `${names.length * 4} tasks of 4 runs`,
            ),
        );
        await button('Clear…').click();
        const body = {tasks: names, downstream: true};
        const all = await changed('clear', runs, body);
        check(
            'clear says how many of how many runs',
            await within(5000, () => button(`Clear ${all.length} tasks of 4 runs`).isVisible()),
            all.length,
        );
        await page.getByLabel('only failed ones').check();
        const failed = all.filter((c) => FAILED.includes(c.before));
        check(
            'only failed ones are fewer',
            await within(5000, () => button(`Clear ${failed.length} tasks of 4 runs`).isVisible()),
            failed.length,
        );
        const before = await get(`/runs/${runs[0]}/tasks/bad/attempts`);
        await button(`Clear ${failed.length} tasks of 4 runs`).click();
        check(
            'all of them run again',
            await within(10000, async () => {
                for (const run of runs)
                    if (
                        (await get(`/runs/${run}/tasks/bad/attempts`)).items.length !==
                        before.items.length + 1
                    )
                        return false;
                return true;
            }),
        );
        for (const run of runs) await ended(run);
        equal(
            'what had not failed did not',
            (await get(`/runs/${runs[0]}/tasks/clean/attempts`)).items.length,
            1,
        );
        await page.keyboard.press('Escape');
        check('Escape leaves the range', await within(2000, () => query('to') === null));
    },
    async neighbours() {
        await go(`/ui/runs/${runs[2]}/tasks/bad`);
        await button('Clear…').click();
        const body = {tasks: ['bad'], downstream: true};
        const of = async (list) => (await changed('clear', list, body)).length;
        check(
            'clear is of one run',
            await within(5000, async () =>
                button(`Clear ${await of([runs[2]])} tasks`).isVisible(),
            ),
        );
        await page.getByLabel('in past runs too').check();
        const past = await of(runs.slice(0, 3));
        check(
            'past runs too',
            await within(5000, () => button(`Clear ${past} tasks of 3 runs`).isVisible()),
            past,
        );
        await page.getByLabel('in future runs too').check();
        const all = await of(runs);
        check(
            'and future ones',
            await within(5000, () => button(`Clear ${all} tasks of 4 runs`).isVisible()),
            all,
        );
        await page.keyboard.press('Escape');
        // Somebody is faster.
        await button('Mark…').click();
        const mark = button(/^Mark as success: \d+ tasks?$/);
        await within(5000, () => mark.isEnabled());
        await api('POST', `/runs/${runs[2]}/mark`, {tasks: ['bad'], state: 'success'});
        await within(
            3000,
            async () => (await get(`/runs/${runs[2]}/tasks/bad`)).state === 'success',
        );
        await mark.click();
        const box = page.locator('dialog .box.bad');
        check(
            'who was faster is named',
            await within(5000, async () => /run\.mark by anonymous/.test(await box.innerText())),
        );
        await box.getByRole('button', {name: 'Reload'}).click();
        check(
            'and one decides anew',
            await within(5000, () => page.getByText(/Nothing would change|already/).isVisible()),
            await text('dialog'),
        );
        await page.keyboard.press('Escape');
    },
    async graph() {
        const run = await trigger('groups');
        await ended(run);
        await go(`/ui/dags/groups/graph?run=${run}`);
        const node = (task) => page.locator(`.node[data-task="${task}"]`);
        const place = async (task) => (await node(task).boundingBox()) || {x: 0, y: 0};
        await node('raw').waitFor();
        check(
            'what nobody has turned runs so that its names can be read',
            (await within(3000, async () => (await node('raw').boundingBox()).width > 120)) &&
                (await place('list')).y > (await place('raw')).y + 20,
            await place('raw'),
        );
        await button('Top down').click();
        check(
            'it goes to the right',
            await within(3000, async () => (await place('list')).x > (await place('raw')).x + 20),
        );
        await button('Top down').click();
        check(
            'or down',
            await within(3000, async () => (await place('list')).y > (await place('raw')).y + 20),
        );
        await page.reload();
        await node('raw').waitFor();
        check(
            'which is remembered',
            await within(3000, async () => (await place('list')).y > (await place('raw')).y + 20),
        );
        await button('Top down').click();
        await within(3000, async () => (await place('list')).x > (await place('raw')).x + 20);
        const labels = await page.locator('.graph .label').allTextContents();
        check(
            'rules and datasets have labels',
            labels.includes('all done') && labels.includes('raw_data'),
            labels,
        );
        const counted = (await get(`/runs/${run}/counts`)).items.find(
            (t) => t.task === 'each',
        ).counts;
        check(
            'a mapped task says how many failed',
            /×12/.test(await node('each').innerHTML()) &&
                (await node('each').innerHTML()).includes(`${counted.failed} ✕`),
        );
        await node('each').click();
        await within(
            3000,
            async () => (await page.locator('.right .needs a').count()) === counted.failed,
        );
        equal('and beside it which', await page.locator('.right .needs a').allInnerTexts(), [
            'each[5]',
            'each[7]',
        ]);
        equal(
            'what is not above or below is dim',
            (
                await page.locator('.node.dim').evaluateAll((l) => l.map((n) => n.dataset.task))
            ).sort(),
            ['bad'],
        );
        await button('▾ intake').click();
        check('a group folds to one node', await within(3000, () => node('@intake').isVisible()));
        equal(
            'with the state of its tasks',
            await node('@intake').getAttribute('data-state'),
            'success',
        );
        await page.locator('.graph').focus();
        await page.keyboard.press('c');
        const dim = async (task) => (await node(task).getAttribute('class')).includes('dim');
        check(
            'c shows what the end waited for',
            await within(
                2000,
                async () => (await dim('bad')) && !(await dim('sum')) && !(await dim('each')),
            ),
        );
    },
    async many() {
        const lines = ['id: large', 'tasks:'];
        for (let i = 0; i < 400; i++)
            lines.push(
                `  t${i}: {run: "true", group: ${['load', 'clean', 'train', 'score'][Math.floor(i / 100)]}${i < 100 ? '' : `, needs: [t${i - 100}]`}}`,
            );
        writeFileSync(`${dir}/dags/large.yaml`, lines.join('\n') + '\n');
        await within(8000, async () => (await get('/dags/large')).valid);
        await go('/ui/dags/large/graph');
        check(
            'groups of many tasks are folded at first',
            await within(5000, async () => (await page.locator('.node').count()) === 4),
        );
        check('and there is no small map', (await page.locator('.minimap').count()) === 0);
        for (const name of ['load', 'clean', 'train', 'score']) await button(`▸ ${name}`).click();
        check(
            'which comes with many nodes',
            await within(5000, () => page.locator('.minimap').isVisible()),
        );
        const map = await page.locator('.minimap').boundingBox();
        const where = () => page.locator('.graph svg > g').first().getAttribute('transform');
        const before = await where();
        await page.mouse.click(map.x + map.width / 2, map.y + 4);
        check(
            'and leads somewhere else',
            await within(2000, async () => (await where()) !== before),
        );
        // A map of many: its failures are two clicks from the run.
        const list = Array.from({length: 1200}, (_, i) => i).join();
        const script = 'case $NEXUS_MAP_INDEX in 7|500|1100) exit 1;; esac';
        writeFileSync(
            `${dir}/dags/map.yaml`,
            `id: map\ntasks:\n  each: {for_each: [${list}], run: "${script}"}\n`,
        );
        await within(8000, async () => (await get('/dags/map')).valid);
        const run = await trigger('map');
        await ended(run);
        await go(`/ui/runs/${run}`);
        await page.locator('.counts .s-failed').click();
        const links = page.locator('[data-row] .main a');
        check(
            'one click shows the three failures of a large map',
            await within(
                5000,
                async () => (await links.allInnerTexts()).join() === 'each[7],each[500],each[1100]',
            ),
        );
        await links.nth(1).click();
        check(
            'the second leads to one',
            await within(3000, () => page.url().endsWith('/tasks/each.500')),
        );
        await go(`/ui/runs/${run}?view=graph`);
        const node = page.locator('.node[data-task=each]');
        check(
            'its node counts them all',
            await within(5000, async () => /×1200.*3 ✕/s.test(await node.textContent())),
            await node.textContent(),
        );
    },
    async gantt() {
        const run = await trigger('etl');
        await ended(run);
        await go(`/ui/runs/${run}?view=gantt`);
        const seg = page.locator('.gantt .line', {hasText: 'join'}).locator('.seg').last();
        const before = (await seg.boundingBox()).width;
        const box = await page.locator('.gantt .track').nth(1).boundingBox();
        await page.mouse.move(box.x + box.width * 0.3, box.y + 20);
        await page.mouse.down();
        await page.mouse.move(box.x + box.width * 0.95, box.y + 40, {steps: 4});
        await page.mouse.up();
        check(
            'what is drawn over is looked at closer',
            await within(
                2000,
                async () =>
                    query('span') !== null && (await seg.boundingBox()).width > before * 1.2,
            ),
        );
        await button('All of the run').click();
        check(
            'and all again',
            await within(2000, async () => Math.abs((await seg.boundingBox()).width - before) < 2),
        );
        const live = await trigger('ticks');
        await within(5000, async () => (await get(`/runs/${live}/tasks/tick`)).state === 'running');
        await go(`/ui/runs/${live}?view=gantt`);
        check(
            'now is a line',
            await within(3000, async () => (await page.locator('.gantt .track .now').count()) > 0),
        );
        await post(`/runs/${live}/cancel`);
        await ended(live);
    },
    async home() {
        await api('PATCH', '/dags/etl', {paused: false});
        const run = await trigger('etl');
        await ended(run);
        const ticks = await trigger('ticks');
        await go('/ui');
        const next = await get('/dags/etl/next?limit=130');
        const soon = next.items.filter((f) => new Date(f.fire_at) < Date.now() + 2 * 3600e3).length;
        check(
            'coming fires are ticks',
            await within(5000, async () => (await page.locator('.strip .fire').count()) === soon),
            soon,
        );
        const health = await (await fetch(url + '/health/ready')).json();
        const gib = Math.round(health.disk_free_bytes / 2 ** 30);
        check(
            'the disk is there',
            await within(5000, async () =>
                new RegExp(`disk (${gib}|${gib - 1}|${gib + 1}|[\\d.]+) [GT]iB free`).test(
                    await text('.footing'),
                ),
            ),
        );
        await post(`/runs/${ticks}/cancel`);
        await ended(ticks);
        const again = await trigger('ask');
        await within(5000, async () => (await get('/approvals?run=' + again)).items.length === 1);
        check(
            'what waits for a person is on top',
            await within(5000, () => page.getByText('waits for you').first().isVisible()),
        );
        const asked = (await get('/approvals')).items.length;
        check(
            'and is counted',
            await within(5000, async () => (await text('h1')).includes(`${asked} waiting for you`)),
        );
        await post(`/runs/${again}/cancel`);
        await ended(again);
        writeFileSync(
            `${dir}/dags/often.yaml`,
            'id: often\nschedule: {every: 1m}\ntasks: {t: {uses: flow.noop}}\n',
        );
        check(
            'what is due every minute is one band',
            await within(8000, async () =>
                /×1\d\d/.test(await page.locator('.strip .often').innerText()),
            ),
        );
        rmSync(`${dir}/dags/often.yaml`);
        // As it is when all is well.
        const quiet = await newPage(browser, url);
        for (const path of ['runs?state=failed*', 'dags?q=*', 'approvals'])
            await quiet.route(`${url}/api/v1/${path.replace('?', '\\?')}`, (r) =>
                r.fulfill({json: {items: [], next: null}}),
            );
        await quiet.goto(url + '/ui');
        check(
            'when nothing needs anybody it is said',
            await within(3000, () => quiet.getByText('Nothing needs you.').isVisible()),
        );
        await quiet.context().close();
    },
    async dags() {
        await go('/ui/dags');
        await page.getByRole('navigation', {name: 'Filters'}).getByText('failed').click();
        const dags = (await get('/dags?limit=1000')).items,
            bad = [];
        for (const d of dags) {
            const last = d.version ? (await get(`/dags/${d.id}/runs?limit=1`)).items[0] : null;
            if (last && last.state === 'failed') bad.push(d.id);
        }
        const shown = () => page.locator('[data-row] .main > a').allInnerTexts();
        check('a saved filter is a link', await within(2000, () => query('q') === 'state:failed'));
        check(
            'state: is that of the last run',
            await within(5000, async () => (await shown()).join() === bad.join()),
            [await shown(), bad],
        );
        const counts = await get('/runs/counts?dag=groups&since=720h');
        const rate = `${Math.round((100 * counts.success) / (counts.success + counts.failed))}%`;
        const row = page.locator('[data-row]', {hasText: 'groups'});
        check(
            'the rate of 30 days is that of the API',
            await within(4000, async () => (await row.locator('.w-s').innerText()) === rate),
            rate,
        );
        await page.getByRole('searchbox').fill('-paused:true tag:ml');
        check(
            'terms may be turned round',
            await within(3000, async () => (await shown()).join() === 'etl'),
        );
    },
    // What is not plain to see is said: instances, waits, earlier attempts, whose field is whose.
    async words() {
        const map = await trigger('maps');
        await ended(map);
        await go(`/ui/runs/${map}/tasks/each`);
        const of = (await get(`/runs/${map}/tasks?task=each`)).items.filter(
            (t) => t.map_index != null,
        );
        const rows = page.locator('main .needs').last().locator('li');
        check(
            'a mapped task shows its instances',
            await within(5000, async () => (await rows.count()) === of.length),
        );
        equal(
            'with their states',
            (await rows.locator('.muted').allInnerTexts()).sort(),
            of.map((t) => t.state).sort(),
        );
        const asks = [await trigger('ask'), await trigger('ask')];
        for (const id of asks)
            await within(5000, async () => (await get('/approvals?run=' + id)).items.length === 1);
        await go('/ui');
        const reason = (await get(`/runs/${asks[0]}/explain`)).items[0].reasons[0].text;
        check(
            'home says what a run waits for',
            await within(5000, async () =>
                (await text('main')).includes(`may deferred: ${reason}`),
            ),
        );
        await go('/ui/system/approvals');
        const fields = page.getByLabel(/^reason/);
        check(
            'each form has fields of its own',
            await within(3000, async () => (await fields.count()) === asks.length),
            await fields.count(),
        );
        await go(`/ui/runs/${asks[0]}/tasks/may`);
        check(
            'what waits need not have a log',
            await within(3000, () =>
                page.getByText('It waits, and has written nothing yet.').isVisible(),
            ),
        );
        for (const id of asks) await post(`/runs/${id}/cancel`);
        writeFileSync(
            `${dir}/dags/elsewhere.yaml`,
            'id: elsewhere\ntasks: {far: {run: "true", queue: nowhere}}\n',
        );
        await within(8000, async () => (await get('/dags/elsewhere')).valid);
        const far = await trigger('elsewhere');
        const why = async () => (await get(`/runs/${far}/explain`)).items[0].reasons[0];
        await within(5000, async () => (await why()).code === 'no_fitting_worker');
        await go('/ui/runs/' + far);
        const said = (await why()).text;
        check(
            'a queued task says what it waits for',
            await within(5000, async () => (await text('[data-row] .main')).includes(said)),
            said,
        );
        await post(`/runs/${far}/cancel`);
        rmSync(`${dir}/dags/elsewhere.yaml`);
        const failed = await trigger('fails');
        await ended(failed);
        await go(`/ui/runs/${failed}?view=events`);
        const events = () => page.locator('tbody tr td:last-child').allInnerTexts();
        const {items} = await get(`/runs/${failed}/tasks/train/attempts`);
        await within(3000, async () =>
            (await events()).some((e) => e.includes('attempt 1 failed')),
        );
        equal(
            'events tell of each attempt',
            (await events()).filter((e) => /^train began/.test(e)),
            items.map((a) => `train began, attempt ${a.number} on ${a.worker}`),
        );
        equal('and end with the end', (await events()).pop(), 'ended: failed');
        await go('/ui/dags/fails/calendar');
        await page.locator('.cal button.day').last().click();
        check(
            'a day of the calendar has a link',
            /[?&]day=\d{4}-\d\d-\d\d/.test(page.url()),
            page.url(),
        );
        await page.reload();
        check(
            'which leads to its runs',
            await within(3000, () => page.getByRole('link', {name: `Run ${failed}`}).isVisible()),
        );
    },
    async trigger() {
        const run = await trigger('etl', {params: {days: 77}});
        await ended(run);
        await go('/ui/dags/etl/trigger');
        await page.getByLabel('Values from').selectOption(run);
        equal('values of a chosen run', await page.locator('#param-days').inputValue(), '77');
        check(
            'have the mark of what is changed',
            (await page.locator('label[for=param-days]').getAttribute('class')) === 'changed',
        );
        await page.getByLabel('as JSON').check();
        const box = page.getByLabel('Params as JSON');
        equal('as JSON they are the same', JSON.parse(await box.inputValue()).days, 77);
        await box.fill('{"days": 12, "mode": "quick"}');
        await within(2000, async () => (await text('.command code')).includes('mode=quick'));
        equal(
            'what is typed there counts',
            await text('.command code'),
            'nexus trigger etl -p days=12 -p mode=quick',
        );
        await box.fill('{"dayz": 12}');
        check(
            'an unknown name is said',
            await within(2000, () => page.getByText("the DAG takes no param 'dayz'").isVisible()),
        );
    },
    async backfill() {
        await ended(await trigger('etl'));
        const day = new Date(Date.now() - 5 * 86400e3).toISOString().slice(0, 10);
        await go(`/ui/dags/etl/backfills?from=${day}T00:00:00Z&to=${day}T05:00:00Z`);
        check(
            'the plan says how long it takes',
            await within(5000, async () =>
                /6 intervals: 6 create; about .* at 16 at once/.test(await text('h3')),
            ),
        );
        await button('Begin: 6 runs').click();
        const cells = page.locator('.intervals > *');
        check(
            'each interval is a square',
            await within(5000, async () => (await cells.count()) === 6),
        );
        check(
            'of the state of its run',
            await within(
                20000,
                async () => (await page.locator('.intervals > .s-success').count()) === 6,
            ),
        );
    },
    async system() {
        const run = await trigger('ticks');
        await within(5000, async () => (await get(`/runs/${run}/tasks/tick`)).state === 'running');
        await go('/ui/system/workers');
        const slot = page.locator('.slots a').first();
        check(
            'a busy slot leads to its task',
            await within(
                5000,
                async () => (await slot.getAttribute('href')) === `/ui/runs/${run}/tasks/tick`,
            ),
        );
        const worker = (await get('/workers')).items[0];
        equal('every slot has a square', await page.locator('.slots > *').count(), worker.slots);
        await post(`/runs/${run}/cancel`);
        await ended(run);
        await go('/ui/system/settings');
        const settings = (await get('/settings')).items;
        await within(
            3000,
            async () => (await page.locator('tbody tr').count()) === settings.length,
        );
        equal(
            'settings and what said them are those of the API',
            await page
                .locator('tbody tr')
                .evaluateAll((l) =>
                    l.map((r) => `${r.children[0].innerText} ${r.children[2].innerText}`),
                ),
            settings.map((s) => `${s.name} ${s.source}`),
        );
        await api('PUT', '/pools/disk', {slots: 2});
        await api('PUT', '/pools/disk', {slots: 5});
        await go('/ui/system/audit');
        check(
            'the audit list says what changed',
            await within(3000, async () => /slots: 2 → 5/.test(await text('tbody tr'))),
            await text('tbody tr'),
        );
        await api('DELETE', '/pools/disk');
        await go('/ui/system/health');
        check(
            'health has its parts',
            await within(3000, async () => /disk\s+. ok/.test(await text('.facts'))),
            await text('.facts'),
        );
    },
    async palette() {
        await go('/ui/dags');
        const does = async (words) => {
            await page.keyboard.press('Control+k');
            await page.getByLabel('DAG, run, view or action').fill(words);
            await within(2000, () => page.getByRole('option').first().isVisible());
            await page.keyboard.press('Enter');
        };
        await does('pause etl');
        check(
            'the palette pauses',
            await within(3000, async () => (await get('/dags/etl')).paused),
        );
        await page.reload(); // what it knows is what it has seen
        await does('resume etl');
        check('and starts again', await within(3000, async () => !(await get('/dags/etl')).paused));
        await does('task groups clean');
        check(
            'and leads to a task',
            await within(
                3000,
                () =>
                    new URL(page.url()).pathname === '/ui/dags/groups' && query('task') === 'clean',
            ),
        );
    },
    // 10,000 DAGs, as the API would page them.
    async tenthousand() {
        const one = await get('/dags/hello'),
            page1 = 1000,
            n = 10000;
        await page.route(/\/api\/v1\/dags\?limit=1000/, (route) => {
            const from = Number(new URL(route.request().url()).searchParams.get('cursor') || 0);
            const items = Array.from({length: page1}, (_, i) => ({
                ...one,
                id: `dag_${from + i}`,
                tags: [`t${(from + i) % 7}`],
            }));
            route.fulfill({json: {items, next: from + page1 < n ? String(from + page1) : null}});
        });
        await go('/ui/dags');
        check(
            '10,000 DAGs are listed',
            await within(8000, () => page.getByText('10000 DAGs').isVisible()),
        );
        check(
            'with few elements',
            (await page.evaluate(() => document.querySelectorAll('*').length)) < 3000,
        );
        await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
        check(
            'the last one can be seen',
            await within(3000, () => page.getByText('dag_9999', {exact: true}).isVisible()),
        );
        const took = await page.evaluate(async () => {
            const box = document.querySelector('input[type=search]');
            const from = performance.now();
            box.value = 'tag:t3';
            box.dispatchEvent(new Event('input', {bubbles: true}));
            await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
            return performance.now() - from;
        });
        check(
            'a filter over them is quick',
            await within(2000, () => page.getByText(/^1429 of 10000 DAGs$/).isVisible()),
            took,
        );
        console.log(`a filter over 10,000 DAGs: ${Math.round(took)} ms`);
        await page.unroute(/\/api\/v1\/dags\?limit=1000/);
    },
    async gone() {
        await go('/ui/dags/etk');
        check(
            'what is gone has its nearest name',
            await within(3000, async () => (await text('main p')) === 'Did you mean etl?'),
            await text('main'),
        );
        await page.getByRole('link', {name: 'etl'}).click();
        check(
            'which leads there',
            await within(2000, () => new URL(page.url()).pathname === '/ui/dags/etl'),
        );
        const bar = page.getByRole('separator');
        equal('the split begins at 55', await bar.getAttribute('aria-valuenow'), '55');
        await bar.focus();
        await page.keyboard.press('ArrowRight');
        await page.reload();
        check(
            'and is remembered',
            await within(3000, async () => (await bar.getAttribute('aria-valuenow')) === '60'),
        );
    },
};

await runParts(parts, (name) => !wanted.length || wanted.includes(name) || name === 'grid', page);
await finish(browser, page.wrong);
