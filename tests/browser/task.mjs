// The tests of logs, runs and tasks: node task.mjs URL DIR [PART...].
import {existsSync, readFileSync, writeFileSync} from 'node:fs';
import {
    axeFinds,
    check,
    client,
    equal,
    finish,
    newPage,
    open,
    runParts,
    sleep,
    within,
} from './kit.mjs';

const [url, dir, ...wanted] = process.argv.slice(2);
const {get, post, ended} = client(url);
const browser = await open();
const page = await newPage(browser, url);
await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
const go = async (path) => {
    await page.goto(url + path);
    await page.locator('main h1').first().waitFor({timeout: 10000});
};
const text = (selector) => page.locator(selector).first().innerText();
const seen = (name, what, ms = 3000) =>
    within(ms, () => page.getByText(what).first().isVisible()).then((ok) =>
        check(name, ok, String(what)),
    );
const trigger = async (dag, body = {}) => (await post(`/dags/${dag}/runs`, body)).id;
const once = {}; // DAG -> a run of it that has ended
const runOf = async (dag) => {
    once[dag] = once[dag] || trigger(dag);
    await ended(await once[dag]);
    return once[dag];
};
const log = async (run, task, n = 1) => {
    const lines = (await get(`/runs/${run}/tasks/${task}/attempts/${n}/log`)).split('\n');
    return lines.slice(0, -1);
};
const drawn = () =>
    page
        .locator('.log .l')
        .evaluateAll((rows) =>
            rows.map((r) => [Number(r.dataset.n), r.querySelector('.tx').innerText.trim()]),
        );
const ready = (what) => within(3000, async () => (await drawn()).some(([, t]) => t.includes(what)));
const numbers = async () => (await drawn()).map(([n]) => n);

// What browsers say of a page that may do nothing, though it would like to.
const REFUSED =
    /^(console: (Blocked script execution|Loading the image .* violates)|elsewhere: http:\/\/192\.0\.2\.1\/)/;
const wrongOf = (one) => one.wrong.filter((w) => !REFUSED.test(w));

const parts = {
    async groups() {
        const run = await runOf('logs');
        await go(`/ui/runs/${run}/tasks/groups`);
        check('the log is there', await ready('before'));
        const lines = await log(run, 'groups');
        const line = (t) => lines.indexOf(t) + 1;
        const name = '<b>fetch</b> & "co"';
        const group = page.getByRole('button', {name});
        equal(
            'a group that ended well is folded',
            await group.getAttribute('aria-expanded'),
            'false',
        );
        check('its name is text', (await group.innerText()).includes(name));
        check(
            'what follows it comes after its head',
            (await numbers()).join().startsWith(`1,2,${line('between')}`),
            await numbers(),
        );
        check(
            'how many lines are inside is said',
            (await drawn())[1][1].includes(`${line('between') - 2 - 2} lines`),
            (await drawn())[1],
        );
        check('one with an error is open', (await numbers()).includes(line('::group::broken') + 1));
        check('whose end is quiet', (await page.locator('.log .l.end').count()) === 1);
        await group.click();
        check('a click opens it', (await numbers()).includes(3));
        await group.press('Enter');
        check('a key closes it', !(await numbers()).includes(3));
        await page.locator('#log-find').fill('part 30');
        await page.keyboard.press('Enter');
        check(
            'what is found inside opens it',
            await within(
                2000,
                async () => (await page.locator('.log .hit .tx').innerText()) === 'part 30',
            ),
        );
        await go(`/ui/runs/${run}/tasks/groups?find=needle`);
        check(
            'groups in groups too',
            await within(
                3000,
                async () => (await page.locator('.log .hit .tx').innerText()) === 'deep needle',
            ),
        );
        await go(`/ui/runs/${run}/tasks/groups#L${line('deep needle')}`);
        check(
            'a link to a line opens them',
            await within(
                3000,
                async () => (await page.locator('.log .mark .tx').innerText()) === 'deep needle',
            ),
        );
        await go(`/ui/runs/${run}/tasks/groups`);
        await ready('before');
        await page.locator('.log').evaluate((e) => (e.scrollTop = e.scrollHeight));
        check('its last line is the last', await ready('after'));
        equal('with its own number', (await drawn()).pop(), [lines.length, 'after']);
        equal(
            'no line is lost, none comes twice',
            (await numbers()).join(),
            [...new Set(await numbers())].sort((a, b) => a - b).join(),
        );
    },
    async traces() {
        const run = await runOf('logs');
        await go(`/ui/runs/${run}/tasks/traces`);
        const lines = await log(run, 'traces');
        check('the error is shown', await ready("KeyError: 'customer_id'"));
        check(
            'the header has the last line and one’s own place',
            await within(2000, async () =>
                /traces failed.*KeyError: 'customer_id'.*own\.py:7/s.test(await text('.box.bad')),
            ),
            await text('.box.bad'),
        );
        const frames = page.getByRole('button', {name: '2 frames of libraries'});
        check('frames of libraries are folded', await within(2000, () => frames.isVisible()));
        const shown = (await drawn()).map(([, t]) => t).join('\n');
        check(
            'one’s own are not',
            shown.includes('/home/me/train.py') && shown.includes('/home/me/own.py'),
            shown,
        );
        check('what is folded is not there', !shown.includes('sklearn/svm.py'));
        await frames.click();
        const open = (await drawn()).map(([n]) => lines[n - 1]).join('\n');
        check('a click shows them', open.includes('sklearn/svm.py') && open.includes('^^^^'));
    },
    async engine() {
        const run = await runOf('logs');
        await go(`/ui/runs/${run}/tasks/slow`);
        check('the log is there', await ready('begun'));
        const lines = await log(run, 'slow');
        const own = lines.filter((l) => l.startsWith('nexus: '));
        check('the engine wrote into it', own.length > 0, lines);
        await within(2000, async () => (await page.locator('.log .l.engine').count()) > 0);
        equal(
            'its lines are marked',
            await page.locator('.log .l.engine .tx').allInnerTexts(),
            own,
        );
        await page.getByLabel('engine’s lines').uncheck();
        equal(
            'and can be hidden',
            (await drawn()).map(([, t]) => t),
            lines.filter((l) => !l.startsWith('nexus: ')),
        );
        await page.reload();
        await ready('begun');
        await within(2000, async () => (await page.locator('.log .l').count()) === 1);
        check(
            'that is remembered',
            !(await page.getByLabel('engine’s lines').isChecked()) &&
                (await page.locator('.log .l.engine').count()) === 0,
        );
        await page.getByLabel('engine’s lines').check();
        check('and undone', (await page.locator('.log .l.engine').count()) === own.length);
        await go(`/ui/runs/${run}/tasks/silent`);
        const attempt = (await get(`/runs/${run}/tasks/silent/attempts`)).items[0];
        await seen(
            'a failure without a line has text',
            `It wrote nothing before it ended: ${attempt.error}.`,
        );
    },
    async copying() {
        const run = await runOf('etl');
        await go(`/ui/runs/${run}/tasks/check_b#L7`);
        await ready('line 7');
        await page.locator('.log .l[data-n="9"] .no').click({modifiers: ['Shift']});
        check('Shift marks up to a line', await within(1000, () => page.url().endsWith('#L7-L9')));
        check('they are marked', (await page.locator('.log .mark').count()) === 3);
        const copied = () => page.evaluate(() => navigator.clipboard.readText());
        await page.getByRole('button', {name: 'copy with the link'}).click();
        const lines = await log(run, 'check_b');
        const whole = `${lines.slice(6, 9).join('\n')}\n${url}/ui/runs/${run}/tasks/check_b#L7-L9`;
        check(
            'marked lines are copied with their link',
            await within(2000, async () => (await copied()) === whole),
            await copied(),
        );
        await page.locator('.log .l[data-n="12"] .tx').selectText();
        await page.keyboard.press('y');
        check(
            'and what is chosen with the pointer',
            await within(
                2000,
                async () =>
                    (await copied()) === `${lines[11]}\n${url}/ui/runs/${run}/tasks/check_b#L12`,
            ),
            await copied(),
        );
        await page.getByLabel('wrap').uncheck();
        await page.reload();
        check(
            'whether lines are wrapped is remembered',
            await within(2000, async () => (await page.locator('.log.nowrap').count()) === 1),
        );
        await page.locator('.log').focus();
        await page.keyboard.press('w');
        check('w wraps', (await page.locator('.log.nowrap').count()) === 0);
    },
    async times() {
        const run = await runOf('makes');
        await go(`/ui/runs/${run}/tasks/burn`);
        check('the log is there', await ready('warned 3'));
        const path = `/runs/${run}/tasks/burn/attempts/1/log/lines?from=1&limit=100`;
        const {items} = await get(path);
        equal(
            'lines of stderr have a bar, in their order',
            await page.locator('.log .l.stderr .tx').allInnerTexts(),
            items.filter((l) => l.stream === 'err').map((l) => l.text),
        );
        check(
            'which is no red text',
            await page.evaluate(() => {
                const colour = (s) => getComputedStyle(document.querySelector(s)).color;
                return colour('.log .stderr .tx') === colour('.log .l:not(.stderr) .tx');
            }),
        );
        const shown = () => page.locator('.log .at').allInnerTexts();
        const clock = await page.evaluate(
            (list) =>
                list.map((at) => new Date(at).toLocaleTimeString('en-GB', {hourCycle: 'h23'})),
            items.map((l) => l.at),
        );
        equal('times are those of the server', await shown(), clock);
        const start = new Date((await get(`/runs/${run}/tasks/burn/attempts`)).items[0].started_at);
        await page.getByLabel('Time of lines').selectOption('since');
        equal(
            'or since the start',
            (await shown()).map((t) => {
                const [minutes, seconds] = t.split(':');
                return Math.round((Number(minutes) * 60 + Number(seconds)) * 1000);
            }),
            items.map((l) => Math.max(0, new Date(l.at) - start)),
        );
        await page.reload();
        await ready('warned 3');
        check('that is remembered', /^\d+:\d\d\.\d{3}$/.test((await shown())[0]), await shown());
        await page.getByLabel('Time of lines').selectOption('off');
        check('or off', (await shown()).length === 0);
        await page.getByLabel('Time of lines').selectOption('clock');
    },
    async growing() {
        const run = await trigger('grows');
        await within(
            5000,
            async () => (await get(`/runs/${run}/tasks/halves`)).state === 'running',
        );
        await go(`/ui/runs/${run}/tasks/groups`);
        const group = page.getByRole('button', {name: 'slow'});
        await ready('part 1');
        equal('a group without an end is open', await group.getAttribute('aria-expanded'), 'true');
        await within(8000, () => existsSync(`${dir}/grown`));
        check(
            'it is folded when it has ended',
            await within(
                3000,
                async () =>
                    JSON.stringify((await drawn()).map(([n, t]) => [n, t.split(/\s/)[0]])) ===
                    '[[1,"▸"],[33,"rest"]]',
            ),
            await drawn(),
        );
        await go(`/ui/runs/${run}/tasks/halves`);
        check('a line without an end is there', await ready('begin'));
        writeFileSync(`${dir}/half`, '');
        check('and goes on', await ready('beginning'));
        equal('as the same line', await drawn(), [
            [1, 'first'],
            [2, 'beginning'],
        ]);
        writeFileSync(`${dir}/go`, '');
        await ended(run);
        check(
            'it is as the server has it when all has ended',
            await within(
                3000,
                async () => (await drawn()).length === 2 && (await numbers()).join() === '1,2',
            ),
        );
    },
    async live() {
        const run = await trigger('ticks');
        await within(5000, async () => (await get(`/runs/${run}/tasks/tick`)).state === 'running');
        await go(`/ui/runs/${run}/tasks/tick`);
        check(
            'lines that have just come get their times soon',
            await within(4000, async () => {
                const times = await page.locator('.log .at').allInnerTexts();
                return times.length > 8 && times.slice(0, -6).every((t) => /^\d\d:/.test(t));
            }),
        );
        await go(`/ui/runs/${run}?view=log`);
        const last = async () => {
            const list = await page.locator('.log .tx').allInnerTexts();
            return Number((/^tick (\d+)/.exec(list[list.length - 1] || '') || [])[1]);
        };
        const begun = await within(4000, last);
        check(
            'the log of a run is followed',
            await within(4000, async () => (await last()) > begun + 8),
        );
        await within(8000, async () => (await last()) > 60);
        await page.locator('.log').hover();
        await page.mouse.wheel(0, -400);
        check(
            'until one scrolls up',
            await within(4000, () => page.locator('.pillbtn').isVisible()),
        );
        await page.keyboard.press('f');
        check('f follows again', await within(3000, async () => (await last()) > 60));
        await post(`/runs/${run}/cancel`);
        await ended(run);
        const {items} = await get(`/runs/${run}/log?limit=1000`);
        check(
            'at its end it has all lines',
            await within(5000, () =>
                page.getByText(`${items.length} lines`, {exact: true}).isVisible(),
            ),
            `${items.length}; ${await text('.toolbar .num')}`,
        );
    },
    async merged() {
        const run = await runOf('makes');
        const {items} = await get(`/runs/${run}/log?limit=1000`);
        await go(`/ui/runs/${run}`);
        await page.locator('#tab-log').click();
        const rows = () =>
            page
                .locator('.log .l')
                .evaluateAll((l) =>
                    l.map((r) => [
                        r.querySelector('.who').innerText,
                        r.querySelector('.tx').innerText,
                        r.classList.contains('stderr'),
                    ]),
                );
        await within(3000, async () => (await rows()).length === items.length);
        equal(
            'lines of all tasks by time, each with its task',
            await rows(),
            items.map((l) => [l.task, l.text, l.stream === 'err']),
        );
        await page.getByLabel('Task', {exact: true}).selectOption('burn');
        check(
            'or of one',
            await within(
                3000,
                async () =>
                    (await rows()).length > 0 && (await rows()).every(([who]) => who === 'burn'),
            ),
        );
        check('which is in the address', page.url().includes('of=burn'));
        await page.locator('.log .who').first().click();
        check(
            'a task leads to its log',
            await within(2000, () => new URL(page.url()).pathname.endsWith('/tasks/burn')),
        );
        await page.setViewportSize({width: 390, height: 600});
        await go(`/ui/runs/${await runOf('etl')}?view=log`);
        const first = (await get(`/runs/${await runOf('etl')}/log?limit=1`)).items[0];
        await within(3000, async () => (await rows()).length > 10);
        equal('a low box begins with the first line', (await rows())[0].slice(0, 2), [
            first.task,
            first.text,
        ]);
        await page.setViewportSize({width: 1440, height: 900});
        // More lines than are drawn at once.
        const long = await runOf('logs');
        const all = await get(`/runs/${long}/log?limit=1000`);
        await go(`/ui/runs/${long}?view=log`);
        await within(3000, async () => (await rows()).length > 10);
        check('few lines are drawn', (await rows()).length < 120);
        await page.locator('.log').evaluate((e) => (e.scrollTop = e.scrollHeight));
        const end = all.items[all.items.length - 1];
        check(
            'its end is the end',
            await within(3000, async () => (await rows()).pop()[1] === end.text),
            (await rows()).pop(),
        );
        const at = await page
            .locator('.log .who')
            .evaluateAll((l) => new Set(l.map((a) => a.innerText)).size);
        check('it has the lines of several tasks', at >= 1);
    },
    async usage() {
        const run = await runOf('makes');
        await go(`/ui/runs/${run}/tasks/burn?tab=usage`);
        const path = `/runs/${run}/tasks/burn/attempts`;
        const [attempt] = (await get(path)).items,
            {samples} = await get(`${path}/1/usage`);
        await within(5000, async () => (await page.locator('.usage canvas').count()) === 2);
        equal('two curves', await page.locator('.usage canvas').count(), 2);
        const facts = async (i) => {
            const [names, values] = await Promise.all(
                ['dt', 'dd'].map((e) =>
                    page.locator(`.usage >> nth=${i}`).locator(`.facts ${e}`).allInnerTexts(),
                ),
            );
            return Object.fromEntries(names.map((n, k) => [n, values[k]]));
        };
        const mib = (n) => `${Math.round(n / 2 ** 20)} MiB`,
            short = (n) => String(Number(n.toPrecision(4)));
        const took = (new Date(attempt.finished_at) - new Date(attempt.started_at)) / 1000;
        const cpu = await facts(0),
            memory = await facts(1);
        equal(
            'the processor’s peak',
            parseFloat(cpu.Peak),
            Number(short(Math.max(...samples.map((s) => s.cpu_cores)))),
        );
        equal('its mean', parseFloat(cpu.Mean), Number(short(attempt.cpu_s / took)));
        equal('what was asked for', cpu['Asked for'], '1 core');
        equal(
            'the memory’s peak',
            memory.Peak,
            mib(Math.max(attempt.max_rss_bytes, ...samples.map((s) => s.rss_bytes))),
        );
        equal(
            'its mean',
            memory.Mean,
            mib(samples.reduce((a, s) => a + s.rss_bytes, 0) / samples.length),
        );
        equal('its limit', memory.Limit, '512 MiB');
        check(
            'the header has the peaks',
            (await text('.toolbar')).includes(`memory up to ${mib(attempt.max_rss_bytes)}`),
            await text('.toolbar'),
        );
        await go(`/ui/runs/${run}/tasks/files?tab=usage`);
        await seen('what is short says so', /It ended before it was looked at/);
    },
    async artifacts() {
        const run = await runOf('makes');
        const task = (t) => `/runs/${run}/tasks/${t}`;
        const list = async (t) => (await get(`${task(t)}/artifacts`)).items;
        await go(`/ui/runs/${run}?view=artifacts`);
        const made = [...(await list('table')), ...(await list('train')), ...(await list('files'))];
        const cells = () => page.locator('table.list tbody tr td:nth-child(2)').allInnerTexts();
        await within(3000, async () => (await cells()).length === made.length);
        equal(
            'a run has the artifacts of its tasks',
            (await cells()).sort(),
            made.map((a) => a.name).sort(),
        );
        await page.getByRole('link', {name: 'table', exact: true}).last().click();
        // Rows and types are those of the API.
        const table = await get(`${task('table')}/artifacts/table/rows?limit=20`);
        await within(
            5000,
            async () => (await page.locator('.cells tbody tr').count()) === table.rows.length,
        );
        equal(
            'columns with their types',
            await page
                .locator('.cells th')
                .evaluateAll((l) => l.map((t) => t.textContent.trim().split(/\s+/))),
            table.columns.map((c) => [c.name, c.type.toLowerCase()]),
        );
        equal(
            'the first rows',
            await page
                .locator('.cells tbody tr')
                .evaluateAll((l) => l.map((r) => [...r.cells].map((c) => c.innerText))),
            table.rows.map((r) => r.map(String)),
        );
        check(
            'how many there are',
            (await text('.toolbar >> nth=1')).includes(`rows 1 to 20 of ${table.n_rows}`),
            await text('.toolbar >> nth=1'),
        );
        await page.getByRole('button', {name: 'Further rows'}).click();
        check(
            'and the next ones',
            await within(
                3000,
                async () => (await page.locator('.cells tbody td').first().innerText()) === '20',
            ),
        );
        const show = (name) =>
            go(
                `/ui/runs/${run}/tasks/files?tab=artifacts&artifact=${encodeURIComponent('artifacts/' + name)}`,
            );
        await show('notes.txt');
        await seen('a text is text', 'plain <script>alert(1)</script> & "text"');
        await show('a "b" <i>c.txt');
        check(
            'an odd name too',
            await within(
                3000,
                async () =>
                    (await text('pre.json')) === 'odd\n' ||
                    (await text('pre.json')).trim() === 'odd',
            ),
        );
        await show('empty.txt');
        await seen('an empty one says so', /^It is empty\.$/);
        await show('long.txt');
        await seen('a long one is cut', /more in the file$/);
        await show('zeros');
        await seen('what has no view says so', /^There is no view for application\/octet-stream/);
        await show('rows.csv');
        check(
            'a CSV is a table, markup in it text',
            await within(5000, () => page.getByRole('cell', {name: '<i>x</i>'}).isVisible()),
        );
        await page.getByRole('button', {name: 'as text'}).click();
        await seen('or a text', /1,"<i>x<\/i>"/);
        await show('drawing.svg');
        check(
            'an image is seen',
            await within(3000, () =>
                page.locator('img.artifact').evaluate((i) => i.complete && i.naturalWidth === 80),
            ),
        );
        const refused = page.waitForEvent('requestfailed', (r) => r.url().includes('192.0.2.1'));
        await show('report.html');
        equal('what it wants of others is refused', (await refused).failure().errorText, 'csp');
        const frame = page.frameLocator('iframe.artifact');
        check(
            'a page is seen in a frame',
            await within(4000, () => frame.getByRole('heading').isVisible()),
        );
        equal('its scripts do not run', await frame.getByRole('heading').innerText(), 'Report');
        equal(
            'the frame may do nothing',
            await page.locator('iframe.artifact').getAttribute('sandbox'),
            '',
        );
        check('this page is as before', /files/.test(await page.title()), await page.title());
        await show('deep');
        await page.getByRole('button', {name: 'er dir/be#low?.txt'}).click();
        check(
            'a file of a folder',
            await within(3000, async () => (await text('pre.json')).trim() === 'below'),
        );
        check(
            'is in the address',
            new URL(page.url()).searchParams.get('path') === 'er dir/be#low?.txt',
        );
        const coming = page.waitForEvent('download');
        await page.getByRole('link', {name: 'download'}).last().click();
        const saved = await coming;
        equal('it can be downloaded', readFileSync(await saved.path(), 'utf8'), 'below\n');
        await go(`/ui/runs/${run}/tasks/train?tab=artifacts&path=MLmodel`);
        const files = (await get(`${task('train')}/artifacts/model/files`)).items;
        await within(3000, async () => (await page.locator('.files li').count()) === files.length);
        equal(
            'a model’s files',
            await page.locator('.files li .link').allInnerTexts(),
            files.map((f) => f.path),
        );
        await seen('and what is in one', /artifact_path|flavors/);
        await go(`/ui/runs/${run}/tasks/burn?tab=artifacts`);
        await seen('none says what to do', /Its outputs name no artifact/);
    },
    async access() {
        const run = await runOf('makes'),
            logs = await runOf('logs');
        const paths = [
            `/ui/runs/${logs}/tasks/groups`,
            `/ui/runs/${logs}/tasks/traces`,
            `/ui/runs/${run}?view=log`,
            `/ui/runs/${run}?view=artifacts`,
            `/ui/runs/${run}/tasks/burn`,
            `/ui/runs/${run}/tasks/burn?tab=usage`,
            `/ui/runs/${run}/tasks/table?tab=artifacts`,
            `/ui/runs/${run}/tasks/files?tab=artifacts&artifact=artifacts%2Freport.html`,
            `/ui/runs/${run}/tasks/train?tab=artifacts&path=card.md`,
        ];
        for (const look of [
            {colorScheme: 'light'},
            {colorScheme: 'dark'},
            {viewport: {width: 360, height: 740}},
        ]) {
            const one = await newPage(browser, url, {...look, bypassCSP: true});
            const how = look.colorScheme || 'a phone';
            for (const path of paths) {
                await one.goto(url + path);
                await one.locator('main h1').first().waitFor();
                await sleep(700);
                const found = await axeFinds(one, {iframes: false});
                check(`axe finds nothing in ${path}, ${how}`, !found.length, found);
                const width = await one.evaluate(() => document.documentElement.scrollWidth);
                check(`${path} fits, ${how}`, width <= (look.viewport ? 360 : 1440), width);
            }
            check(`nothing went wrong, ${how}`, !wrongOf(one).length, wrongOf(one));
            await one.context().close();
        }
    },
};

await runParts(parts, (name) => !wanted.length || wanted.includes(name), page);
await finish(browser, wrongOf(page));
