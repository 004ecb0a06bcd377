// The tests of the page: node page.mjs URL DIR PID [PART...]. PID restarts the scheduler on SIGUSR1.
import {
    axeFinds,
    browserProcesses,
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
import {readFileSync, writeFileSync, appendFileSync} from 'node:fs';

const [url, dir, pid, ...wanted] = process.argv.slice(2);
const {api, get, post, ended} = client(url);
const browser = await open();
const page = await newPage(browser, url);
const go = async (path) => {
    await page.goto(url + path);
    await page.locator('main h1').first().waitFor({timeout: 10000});
};
const text = (selector) => page.locator(selector).first().innerText();
const shows = (name, what, ms = 5000) =>
    within(ms, () => page.getByText(what).first().isVisible()).then((ok) =>
        check(`shows ${name}`, ok, String(what)),
    );
// Headless tabs are never hidden by themselves.
const hide = (tab, hidden) =>
    tab.evaluate((h) => {
        Object.defineProperty(document, 'hidden', {configurable: true, get: () => h});
        document.dispatchEvent(new Event('visibilitychange'));
    }, hidden);
const trigger = async (dag, body = {}) => (await post(`/dags/${dag}/runs`, body)).id;

const parts = {
    async weight() {
        const requests = [];
        const note = (r) => requests.push(r);
        page.on('requestfinished', note);
        await go('/ui');
        await shows('the live dot', /^\s*live\s*$/);
        await sleep(300);
        page.off('requestfinished', note);
        const files = [];
        for (const r of requests)
            if (!r.url().includes('/api/'))
                files.push({url: r.url(), bytes: (await r.sizes()).responseBodySize});
        const bytes = files.reduce((n, f) => n + f.bytes, 0);
        check(
            'the first page has at most 6 files',
            files.length <= 6,
            files.map((f) => f.url),
        );
        check('of at most 70 KB', bytes <= 70 * 1024, bytes);
        console.log(`first page: ${files.length} files, ${(bytes / 1024).toFixed(1)} KB`);
        const paint = await page.evaluate(
            () => performance.getEntriesByName('first-contentful-paint')[0]?.startTime,
        );
        console.log(`first paint: ${Math.round(paint)} ms`);
        check('it is painted soon', paint < 4000, paint);
        check(
            'the theme is set before the first paint',
            await page.evaluate(() =>
                ['dark', 'light'].includes(document.documentElement.dataset.theme),
            ),
        );
    },
    async home() {
        const fails = await trigger('fails'),
            ok = await trigger('etl');
        await ended(fails);
        await ended(ok);
        await go('/ui');
        const runs = (await get('/runs?since=24h&limit=1000')).items;
        const n = (s) => runs.filter((r) => r.state === s).length;
        await within(3000, async () => (await text('h1')).includes(`${n('success')} ok`));
        const line = await text('h1');
        check(
            'the numbers of the first line are those of the API',
            line.includes(`${n('failed')} failed`) &&
                line.includes(`${n('success')} ok in 24 h`) &&
                line.includes(`${n('running')} running`),
            line,
        );
        check('it says what comes next', /next etl in/.test(line), line);
        await shows(
            'the broken file with place and remedy',
            /dags\/broken\.yaml:3:20: unknown key 'neeeds' in task 'a' — did you mean 'needs'\?/,
        );
        await shows('the failed task with the last line of its error', /^KeyError: customer_id$/);
        await page.getByRole('link', {name: 'Open log'}).first().click();
        check(
            'one click leads to the log',
            await within(3000, async () => /KeyError: customer_id/.test(await text('.log'))),
        );
        equal('its address', new URL(page.url()).pathname, `/ui/runs/${fails}/tasks/train`);
    },
    async dags() {
        await go('/ui/dags');
        const dags = (await get('/dags')).items;
        await within(3000, async () => (await page.locator('[data-row]').count()) === dags.length);
        equal(
            'all DAGs are there',
            await page.locator('[data-row] .main > a').allInnerTexts(),
            dags.map((d) => d.id),
        );
        check(
            'markup in a description is text',
            await page.getByText('<b>today</b> & "yesterday"').isVisible(),
        );
        await page.getByRole('searchbox').fill('tag:ml');
        check('a filter is in the address', await within(1000, () => page.url().includes('q=tag')));
        equal(
            'it filters',
            await page.locator('[data-row] .main > a').allInnerTexts(),
            dags.filter((d) => d.tags.includes('ml')).map((d) => d.id),
        );
        await page.getByRole('searchbox').fill('nothing-has-this');
        await page.getByRole('button', {name: 'Clear the filter'}).click();
        await page.getByRole('switch', {name: 'Schedule of etl'}).click();
        check('the switch pauses', await within(2000, async () => (await get('/dags/etl')).paused));
        check(
            'and shows it',
            await within(
                5000,
                async () =>
                    (await page
                        .getByRole('switch', {name: 'Schedule of etl'})
                        .getAttribute('aria-checked')) === 'false',
            ),
        );
        await page.getByRole('switch', {name: 'Schedule of etl'}).click();
        check(
            'and starts it again',
            await within(2000, async () => !(await get('/dags/etl')).paused),
        );
        writeFileSync(`${dir}/dags/fresh.yaml`, 'id: fresh\ntasks:\n  a: {run: "true"}\n');
        await shows('a new file by itself', /^fresh$/, 8000);
        await page.keyboard.press('Escape');
        await page.keyboard.press('g');
        await page.keyboard.press('r');
        check('g r leads to the runs', await within(1000, () => page.url().endsWith('/ui/runs')));
    },
    async trigger() {
        await go('/ui/dags/etl/trigger');
        await page.locator('#param-days').fill('0');
        await shows('an error while typing', /^at least 1$/);
        check(
            'and does not run',
            await page.getByRole('button', {name: 'Run', exact: true}).isDisabled(),
        );
        await page.locator('#param-days').fill('60');
        check(
            'the command is there',
            (await page.locator('.command code').first().innerText()) ===
                'nexus trigger etl -p days=60',
        );
        await page.getByRole('button', {name: 'Run', exact: true}).click();
        await within(3000, () => /\/ui\/runs\/\d+$/.test(page.url()));
        const run = page.url().split('/').pop();
        equal('the run has the changed param', (await get('/runs/' + run)).params.days, 60);
        check(
            'its end is seen without a reload',
            await within(10000, async () => (await text('.head .pill')).includes('success')),
        );
        const r = await get('/runs/' + run);
        await within(
            2000,
            async () => (await page.locator('[data-row]').count()) === r.tasks.length,
        );
        const rows = await page
            .locator('[data-row]')
            .evaluateAll((list) =>
                list.map((row) => [
                    row.querySelector('.main a').innerText,
                    row.querySelector('.w-l').innerText,
                ]),
            );
        equal(
            'tasks and states are those of the API',
            rows,
            r.tasks.map((t) => [t.task, t.state]),
        );
        await page.locator('#tab-params').click();
        check(
            'a changed param is bold with its default',
            await within(2000, async () =>
                /^60 default 30$/.test((await text('.facts dd')).replace(/\s+/g, ' ')),
            ),
            await text('.facts'),
        );
        await page.goBack();
        check('back undoes the tab', await within(1000, () => !page.url().includes('view=')));
        await page.locator('#tab-graph').click();
        await within(3000, async () => (await page.locator('.node').count()) === 5);
        equal(
            'the graph has their states',
            (
                await page
                    .locator('.node')
                    .evaluateAll((l) => l.map((n) => `${n.dataset.task}, ${n.dataset.state}`))
            ).sort(),
            r.tasks.map((t) => `${t.task}, ${t.state}`).sort(),
        );
        await page.locator('#tab-gantt').click();
        equal(
            'and the Gantt their rows',
            await page
                .locator('.gantt .line:not(.axis) .name')
                .evaluateAll((l) => l.map((n) => n.title)),
            r.tasks.map((t) => t.task),
        );
        await page.locator('#tab-outputs').click();
        check(
            'markup in outputs is text',
            await within(2000, () => page.getByText('<img src=x onerror=alert(2)>').isVisible()),
        );
    },
    async log() {
        const run = (await get('/dags/etl/runs?limit=1')).items[0].id;
        await go(`/ui/runs/${run}/tasks/fetch`);
        check(
            'the log is as the API has it',
            await within(3000, async () =>
                /^days=\d+$/.test((await page.locator('.log .tx').first().innerText()).trim()),
            ),
        );
        equal(
            'colours become classes and markup stays text',
            await page.locator('.log .tx').nth(1).innerHTML(),
            '<span class="a32">green</span> and &lt;script&gt;alert(1)&lt;/script&gt;',
        );
        await go(`/ui/runs/${run}/tasks/check_b#L250`);
        check(
            'a link leads to its line',
            await within(
                3000,
                async () => (await page.locator('.log .mark .tx').innerText()) === 'line 250',
            ),
        );
        await page.locator('#log-find').fill('line 29');
        await page.keyboard.press('Enter');
        const found = await get(`/runs/${run}/tasks/check_b/attempts/1/log/search?q=line%2029`);
        check(
            'a search counts what the server found',
            await within(3000, async () =>
                page.getByText(`1 of ${found.items.length} lines`).isVisible(),
            ),
        );
        check(
            'and shows the first',
            await within(
                2000,
                async () => (await page.locator('.log .hit .tx').innerText()) === 'line 29',
            ),
        );
        check('few lines are drawn', (await page.locator('.log .l').count()) < 120);
    },
    async live() {
        const run = await trigger('ticks');
        await within(5000, async () => (await get(`/runs/${run}/tasks/tick`)).state === 'running');
        await go(`/ui/runs/${run}/tasks/tick`);
        await within(3000, async () => /tick/.test(await text('.log')));
        const lags = await page.evaluate(
            () =>
                new Promise((done) => {
                    const seen = new Set(),
                        lags = [];
                    const watch = new MutationObserver(() => {
                        for (const el of document.querySelectorAll('.log .tx')) {
                            const m = /^tick (\d+) at (\d+)$/.exec(el.innerText);
                            if (!m || seen.has(m[1])) continue;
                            seen.add(m[1]);
                            if (seen.size > 40) lags.push(Date.now() - Number(m[2]));
                        }
                        if (lags.length >= 20) {
                            watch.disconnect();
                            done(lags.sort((a, b) => a - b));
                        }
                    });
                    watch.observe(document.querySelector('.log'), {
                        childList: true,
                        subtree: true,
                        characterData: true,
                    });
                    setTimeout(() => done(lags.sort((a, b) => a - b)), 20000);
                }),
        );
        console.log(
            `a line is on the page after ${lags[Math.floor(lags.length / 2)]} ms (median of ${lags.length}), at most ${lags[lags.length - 1]} ms`,
        );
        check(
            'lines come while they are written',
            lags.length >= 20 && lags[Math.floor(lags.length / 2)] < 1000,
            lags,
        );
        await page.locator('.log').hover();
        await page.mouse.wheel(0, -400);
        check(
            'scrolling up stops following',
            await within(3000, () => page.locator('.pillbtn').isVisible()),
        );
        await page.keyboard.press('f');
        check(
            'f follows again',
            await within(2000, async () => !(await page.locator('.pillbtn').isVisible())),
        );
        await go(`/ui/runs/${run}`);
        await page.getByRole('button', {name: 'Cancel', exact: true}).click();
        await page.getByRole('button', {name: 'Cancel 1 run'}).click();
        check('cancel cancels', (await ended(run))?.state === 'cancelled');
        check(
            'and the page says so',
            await within(3000, async () => (await text('.head .pill')).includes('cancelled')),
        );
    },
    async operate() {
        const run = await trigger('fails');
        await ended(run);
        await go(`/ui/runs/${run}`);
        check(
            'the red box has the error',
            await within(3000, async () =>
                /train failed on attempt 2 of 2: KeyError: customer_id/.test(
                    await text('.box.bad'),
                ),
            ),
        );
        await shows('who made a task fail upstream', 'because train failed');
        await go(`/ui/runs/${run}/tasks/report`);
        check(
            'and so says the task',
            await within(3000, async () => /because train failed/.test(await text('.head'))),
        );
        await go(`/ui/runs/${run}/tasks/train`);
        check(
            'a failed task says why once',
            await within(
                5000,
                async () =>
                    (await text('main')).split('the script ended with exit status 3').length === 2,
            ),
            await text('main'),
        );
        await go(`/ui/runs/${run}`);
        await page.getByRole('button', {name: 'Clear…'}).first().click();
        const plan = await post(`/runs/${run}/clear`, {
            tasks: ['load', 'train', 'report'],
            downstream: true,
            dry_run: true,
        });
        check(
            'clear says how many',
            await within(3000, () =>
                page.getByRole('button', {name: `Clear ${plan.changed.length} tasks`}).isVisible(),
            ),
        );
        await page.keyboard.press('Escape');
        await page.getByRole('button', {name: 'Note…'}).click();
        await page.getByRole('textbox', {name: 'Note'}).fill('<i>looked at</i>');
        await page.getByRole('button', {name: 'Save the note'}).click();
        check(
            'a note is kept',
            await within(2000, async () => (await get('/runs/' + run)).note === '<i>looked at</i>'),
        );
        await go(`/ui/runs/${run}/tasks/train`);
        await page.getByRole('button', {name: 'Retry from here'}).click();
        await page.getByRole('button', {name: 'Retry 2 tasks'}).click();
        check(
            'retry makes new attempts',
            await within(
                8000,
                async () => (await get(`/runs/${run}/tasks/train/attempts`)).items.length === 4,
            ),
        );
        await ended(run);
        check(
            'and the page has them',
            await within(
                3000,
                async () =>
                    (await page
                        .getByRole('group', {name: 'Attempts'})
                        .getByRole('button')
                        .count()) === 4,
            ),
        );
        await page.getByRole('button', {name: 'Mark…'}).click();
        await page.getByRole('button', {name: /^Mark as success: \d+ tasks?$/}).click();
        check(
            'mark marks',
            await within(
                3000,
                async () => (await get(`/runs/${run}/tasks/train`)).state === 'success',
            ),
        );
        const ask = await trigger('ask');
        await within(5000, async () => (await get('/approvals?run=' + ask)).items.length === 1);
        await go('/ui');
        await page.getByRole('link', {name: 'Answer'}).first().click();
        await page.getByLabel(/^reason/).fill('tested');
        await page.getByRole('button', {name: 'Approve'}).click();
        check('an approval lets its run go on', (await ended(ask))?.state === 'success');
    },
    // See a task fail, mend its file in the page, run it anew.
    async edit() {
        await go('/ui/dags/fails/code');
        await page.getByRole('button', {name: 'Edit'}).click();
        const box = page.getByRole('textbox', {name: 'Text of fails.yaml'});
        const text = await box.inputValue();
        equal('the file is there', text, readFileSync(`${dir}/dags/fails.yaml`, 'utf8'));
        await box.fill(text.replace('needs: load', 'neeeds: load'));
        await shows(
            'the error while typing',
            /unknown key 'neeeds' in task 'train' — did you mean 'needs'\?/,
        );
        check(
            'what has errors cannot be saved',
            await page.getByRole('button', {name: 'Save fails.yaml'}).isDisabled(),
        );
        await box.fill(
            text.replace('exit 3', 'exit 0').replace('"echo report"', '"echo \'<b>\' report"'),
        );
        await within(3000, () => page.getByRole('button', {name: 'Save fails.yaml'}).isEnabled());
        check('the graph is shown', (await page.locator('.node').count()) === 3);
        await page.getByRole('button', {name: 'Save fails.yaml'}).click();
        check(
            'the file is saved',
            await within(3000, () =>
                readFileSync(`${dir}/dags/fails.yaml`, 'utf8').includes('exit 0'),
            ),
        );
        check(
            'and is a new version',
            await within(5000, async () => (await get('/dags/fails')).version === '2'),
        );
        check(
            'its writer is on the audit list',
            (await get('/audit?limit=20')).items.some(
                (a) => a.what === 'dag.edit' && a.target === 'fails',
            ),
        );
        const run = await trigger('fails');
        equal('which works', (await ended(run)).state, 'success');
        await go('/ui/dags/fails/versions');
        check(
            'the difference is shown',
            await within(
                3000,
                async () =>
                    (await page.locator('.code .add').count()) === 2 &&
                    (await page.locator('.code .del').count()) === 2,
            ),
        );
        // Somebody else is faster.
        await go('/ui/dags/maps/code?edit=1');
        const other = page.getByRole('textbox', {name: 'Text of maps.yaml'});
        await other.fill((await other.inputValue()) + '# mine\n');
        writeFileSync(
            `${dir}/dags/maps.yaml`,
            readFileSync(`${dir}/dags/maps.yaml`, 'utf8') + '# theirs\n',
        );
        await within(3000, () => page.getByRole('button', {name: 'Save maps.yaml'}).isEnabled());
        await page.getByRole('button', {name: 'Save maps.yaml'}).click();
        await shows('that the file has changed', /has changed since it was read/);
        check('what was typed is still there', (await other.inputValue()).endsWith('# mine\n'));
        await page.getByRole('button', {name: /Reload the file/}).click();
        check(
            'and the other text can be had',
            await within(2000, async () => (await other.inputValue()).endsWith('# theirs\n')),
        );
    },
    async grid() {
        const m = await trigger('maps');
        await ended(m);
        await ended(await trigger('fails'));
        await go('/ui/dags/fails');
        const grid = await get('/dags/fails/grid?limit=50');
        const letters = {s: 'success', f: 'failed', u: 'upstream failed'};
        await page.locator('table.twin').waitFor({state: 'attached'});
        const cells = await page
            .locator('table.twin tbody tr')
            .evaluateAll((rows) =>
                rows.map((r) => [...r.querySelectorAll('td')].map((c) => c.innerText)),
            );
        equal(
            'the hidden table is the grid of the API',
            cells,
            grid.tasks.map((t, k) =>
                [...grid.items]
                    .slice(0, 10)
                    .reverse()
                    .map((r) => letters[r.states[k]] || 'none'),
            ),
        );
        await page.locator('canvas').focus();
        await page.keyboard.press('ArrowRight');
        await page.keyboard.press('ArrowDown');
        await page.keyboard.press('ArrowDown');
        check(
            'arrows choose a cell, which is in the address',
            await within(2000, () => page.url().includes('task=')),
            page.url(),
        );
        check(
            'whose details are on the right',
            await within(3000, async () => (await page.locator('.right section').count()) === 1),
        );
        await page.keyboard.press('v');
        check('v leads to the graph', await within(2000, () => page.url().includes('/graph')));
        await page.keyboard.press('Control+k');
        await page.keyboard.type('trigger etl');
        await page.keyboard.press('Enter');
        check(
            'the palette does',
            await within(2000, () => page.url().endsWith('/ui/dags/etl/trigger')),
        );
        for (let n = (await get('/dags/etl/runs?limit=20')).items.length; n < 12; n++)
            await ended(await trigger('etl')); // their ids have one digit and two
        const newest = (await get('/dags/etl/runs?limit=1')).items[0].id;
        await go('/ui');
        await page.keyboard.press('Control+k');
        await page.locator('dialog input').waitFor();
        await page.keyboard.type('run etl');
        check(
            'the newest run is the first that it finds',
            await within(5000, async () => (await text('.palette li')).includes(`etl ${newest}`)),
            await text('.palette'),
        );
        await page.keyboard.press('Escape');
        await go('/ui/dags/maps');
        await page.locator('canvas').waitFor();
        const drawn = await page.locator('canvas').evaluate((c) => {
            const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data,
                colours = new Set();
            for (let i = 0; i < d.length; i += 4)
                colours.add(d[i] + ',' + d[i + 1] + ',' + d[i + 2]);
            return [...colours];
        });
        check(
            'the canvas has the colours of failed and success',
            drawn.includes('207,34,46') && drawn.includes('26,127,55'),
        );
        check(
            'one failed index makes a mapped task failed',
            (await get('/dags/maps/grid?limit=1')).items[0].states === 'sfs',
        );
        await go(`/ui/runs/${m}`);
        await page.locator('.counts .s-failed').click();
        await page.getByRole('link', {name: 'each[5]'}).first().click();
        check(
            'two clicks from a mapped run to what failed',
            await within(2000, () => page.url().endsWith('/tasks/each.5')),
        );
    },
    // Every pair of colours that text is drawn in.
    async narrow() {
        const run = (await get('/dags/etl/runs?limit=1')).items[0].id;
        const sheet = page.locator('.split > .right');
        const box = async () => (await sheet.boundingBox()) || {};
        await page.setViewportSize({width: 900, height: 700});
        await go(`/ui/dags/etl?run=${run}&task=join`);
        check(
            'details slide over on a narrow screen',
            await within(5000, async () => {
                const b = await box();
                return b.width === 520 && b.x === 380 && b.y === 40;
            }),
            JSON.stringify(await box()),
        );
        await page.keyboard.press('Escape');
        check('Esc takes them away', await within(5000, async () => (await box()).width > 700));
        equal('and selects nothing', new URL(page.url()).search, '');
        await page.setViewportSize({width: 390, height: 780});
        await go(`/ui/dags/etl?run=${run}&task=join`);
        check(
            'on a phone they are all there is',
            await within(5000, async () => (await box()).width === 390),
            JSON.stringify(await box()),
        );
        await page.getByRole('button', {name: '← Back'}).click();
        check('until one goes back', await within(5000, async () => (await box()).y > 100));
        await page.getByRole('button', {name: 'Keys and settings'}).click();
        const theme = page.getByRole('dialog').getByLabel('Theme');
        await theme.selectOption('dark');
        equal(
            'a phone can be dark',
            await page.evaluate(() => document.documentElement.dataset.theme),
            'dark',
        );
        await theme.selectOption('system');
        await page.getByRole('dialog').getByLabel('Time zone').selectOption('utc');
        equal('and in UTC', await page.evaluate(() => localStorage.getItem('zone')), 'utc');
        await page.getByRole('dialog').getByLabel('Time zone').selectOption('local');
        await page.setViewportSize({width: 1440, height: 900});
    },
    async contrast() {
        await go('/ui');
        for (const theme of ['light', 'dark']) {
            const bad = await page.evaluate((theme) => {
                document.documentElement.dataset.theme = theme;
                const css = getComputedStyle(document.documentElement),
                    value = (n) => css.getPropertyValue(n).trim();
                const light = (hex) => {
                    const [r, g, b] = [1, 3, 5]
                        .map((i) => parseInt(hex.slice(i, i + 2), 16) / 255)
                        .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
                    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
                };
                const ratio = (a, b) => {
                    const [x, y] = [light(value(a)), light(value(b))].sort((p, q) => q - p);
                    return (x + 0.05) / (y + 0.05);
                };
                const bad = [],
                    least = (a, b, n) =>
                        ratio(a, b) < n && bad.push(`${a} on ${b}: ${ratio(a, b).toFixed(2)}`);
                const states = [
                    'success',
                    'failed',
                    'upstream_failed',
                    'skipped',
                    'cancelled',
                    'removed',
                    'running',
                    'leased',
                    'queued',
                    'waiting',
                    'deciding',
                    'deferred',
                    'retrying',
                    'stopping',
                    'paused',
                ];
                for (const s of states) {
                    least('--' + s, '--bg', 4.5);
                    least('--' + s, '--t-' + s, 4.5);
                    least('--on', '--' + s, 4.5);
                }
                for (const b of ['--bg', '--bg-sub', '--sel'])
                    for (const t of ['--text', '--muted', '--accent']) least(t, b, 4.5);
                for (const b of ['--bg', '--bg-sub']) least('--line-ctl', b, 3);
                least('--on', '--accent', 4.5);
                return bad;
            }, theme);
            check(`texts stand out in the ${theme} theme`, !bad.length, bad);
        }
    },
    async views() {
        const run = await trigger('etl'),
            bad = await trigger('fails');
        const first = await trigger('groups'),
            last = await trigger('groups');
        for (const id of [run, bad, first, last, await trigger('maps'), await trigger('fails')])
            await ended(id);
        const paths = [
            '/ui',
            '/ui/dags',
            '/ui/dags/nope',
            `/ui/dags/groups?run=${first}&task=clean&to=${last}.sum`,
            '/ui/dags/groups?task=bad',
            `/ui/dags/groups/graph?run=${last}&task=each`,
            '/ui/dags/groups/graph?folded=intake',
            '/ui/dags/etl',
            '/ui/dags/etl/graph',
            '/ui/dags/etl/gantt',
            '/ui/dags/etl/durations',
            '/ui/dags/etl/calendar',
            '/ui/dags/etl/code',
            '/ui/dags/broken/code',
            '/ui/dags/etl/versions',
            '/ui/dags/etl/code?edit=1',
            '/ui/dags/etl/backfills?from=2026-01-01',
            '/ui/dags/etl/docs',
            '/ui/dags/etl/trigger',
            '/ui/runs',
            `/ui/runs/${run}`,
            `/ui/runs/${run}?view=explain`,
            `/ui/runs/${run}?view=events`,
            `/ui/runs/${bad}?view=log`,
            `/ui/runs/${run}?view=code`,
            `/ui/runs/${bad}/tasks/train`,
            `/ui/runs/${bad}/tasks/train?tab=resolved`,
            `/ui/runs/${bad}/tasks/train?tab=history`,
            `/ui/runs/compare?a=${run}&b=${bad}`,
            '/ui/data',
            ...[
                'workers',
                'pools',
                'variables',
                'secrets',
                'connections',
                'approvals',
                'notifications',
                'retention',
                'events',
                'audit',
                'health',
                'settings',
            ].map((s) => '/ui/system/' + s),
        ];
        for (const dark of [false, true]) {
            const one = await newPage(browser, url, {
                colorScheme: dark ? 'dark' : 'light',
                bypassCSP: true,
            });
            for (const path of paths) {
                await one.goto(url + path);
                await one.locator('main h1').first().waitFor();
                await sleep(250);
                const found = await axeFinds(one);
                check(`axe finds nothing in ${path}${dark ? ', dark' : ''}`, !found.length, found);
                check(`${path} has one h1`, (await one.locator('h1').count()) === 1);
                check(
                    `${path} has few nodes`,
                    (await one.evaluate(() => document.querySelectorAll('*').length)) < 3000,
                );
            }
            for (const [key, what] of [
                ['C', 'the clear dialog'],
                ['Control+k', 'the palette'],
                ['?', 'the keys'],
            ]) {
                await one.goto(`${url}/ui/runs/${bad}`);
                await one.getByRole('button', {name: 'Clear…'}).waitFor();
                await one.keyboard.press(key);
                await one.locator('dialog').waitFor();
                await sleep(300);
                const found = await axeFinds(one);
                check(`axe finds nothing in ${what}${dark ? ', dark' : ''}`, !found.length, found);
                await one.keyboard.press('Escape');
                check(
                    `Escape closes ${what}`,
                    await within(1000, async () => (await one.locator('dialog').count()) === 0),
                );
            }
            check('nothing went wrong in any view', !one.wrong.length, one.wrong);
            await one.context().close();
        }
        const phone = await newPage(browser, url, {viewport: {width: 360, height: 740}});
        for (const path of paths) {
            await phone.goto(url + path);
            await phone.locator('main h1').first().waitFor();
            await sleep(150);
            const width = await phone.evaluate(() => document.documentElement.scrollWidth);
            check(`${path} fits a phone`, width <= 360, width);
        }
        await phone.context().close();
    },
    async backfill() {
        await go('/ui/dags/etl/backfills');
        const day = new Date(Date.now() - 2 * 86400e3).toISOString().slice(0, 10);
        await page.locator('#from').fill(day + 'T00:00:00Z');
        await page.locator('#to').fill(day + 'T03:00:00Z');
        const plan = await post('/dags/etl/backfills', {
            from: day + 'T00:00:00Z',
            to: day + 'T03:00:00Z',
            dry_run: true,
        });
        await shows(
            'the plan',
            new RegExp(`Plan: ${plan.items.length} intervals: ${plan.items.length} create`),
        );
        equal(
            'the plan is that of the API',
            await page.locator('.scroller tbody tr').count(),
            plan.items.length,
        );
        await page.getByRole('button', {name: `Begin: ${plan.items.length} runs`}).click();
        await shows(
            'how far it is',
            new RegExp(`^${plan.items.length} of ${plan.items.length} ended`),
            15000,
        );
        check(
            'its runs are there',
            (await get('/dags/etl/runs?limit=50')).items.filter((r) => r.cause === 'backfill')
                .length === plan.items.length,
        );
    },
    async system() {
        await go('/ui/system/pools');
        await page.getByRole('button', {name: 'New pool'}).click();
        await page.getByLabel('Name').fill('gpu');
        await page.getByLabel('Slots').fill('2');
        await page.getByRole('button', {name: 'Save pool'}).click();
        check(
            'a pool is made',
            await within(3000, async () => (await get('/pools/gpu')).slots === 2),
        );
        await page.getByRole('button', {name: 'Change…'}).click();
        await page.getByLabel('Slots').fill('3');
        await page.getByRole('button', {name: 'Save pool'}).click();
        check('changed', await within(3000, async () => (await get('/pools/gpu')).slots === 3));
        await page.getByRole('button', {name: 'Delete…'}).click();
        await page.getByRole('button', {name: 'Delete 1 pool'}).click();
        check(
            'and deleted',
            await within(3000, async () => (await get('/pools')).items.every((p) => !p.exists)),
        );
        await go('/ui/system/secrets');
        await page.getByRole('button', {name: 'New secret'}).click();
        await page.getByLabel('Name').fill('key');
        await page.getByLabel('Value').fill('hush');
        await page.getByRole('button', {name: 'Save secret'}).click();
        await shows('a secret by its name', /^key$/);
        check('and not its value', !(await page.content()).includes('hush'));
        await go('/ui/system/workers');
        await page.getByRole('button', {name: 'Drain'}).click();
        check(
            'a worker is drained',
            await within(3000, async () => (await get('/workers')).items[0].state === 'draining'),
        );
        await page.getByRole('button', {name: 'Resume'}).click();
        check(
            'and resumed',
            await within(3000, async () => (await get('/workers')).items[0].state === 'online'),
        );
        const before = (await get('/runs?limit=1')).items[0];
        await go('/ui/system/events');
        await shows('events of before', `${before.dag} run ${before.id}`);
        const seen = await trigger('etl');
        await shows('events as they happen', `etl run ${seen}`);
        await ended(seen);
        await go('/ui/system/audit');
        const audit = (await get('/audit?limit=100')).items;
        await within(2000, async () => (await page.locator('tbody tr').count()) === audit.length);
        equal(
            'the audit list is that of the API',
            await page
                .locator('tbody tr')
                .evaluateAll((l) => l.map((r) => r.children[2].innerText)),
            audit.map((a) => a.what),
        );
    },
    async large() {
        // A log of 200 MB, and a graph of 3,000 tasks.
        const run = (await get('/dags/etl/runs?limit=1')).items[0].id;
        const block = Array.from(
            {length: 10000},
            (_, i) =>
                `${String(i).padStart(7, '0')} a line of a log that has some text in it and goes on for a while, as lines do\n`,
        ).join('');
        const log = `${dir}/home/logs/${run}/check_a/1.log`,
            n = Math.ceil(200e6 / block.length);
        writeFileSync(log, '');
        for (let i = 0; i < n; i++) appendFileSync(log, block);
        appendFileSync(log, 'the very last line\n');
        let from = Date.now();
        await page.goto(`${url}/ui/runs/${run}/tasks/check_a`);
        check(
            'a log of 200 MB opens',
            await within(5000, async () => /a line of a log/.test(await text('.log'))),
        );
        console.log(`a log of 200 MB: ${Date.now() - from} ms`);
        await page.locator('.log').evaluate((e) => (e.scrollTop = e.scrollHeight));
        check(
            'its end is there',
            await within(
                3000,
                async () =>
                    (await page.locator('.log .tx').last().innerText()) === 'the very last line',
            ),
        );
        await page.goto(`${url}/ui/runs/${run}/tasks/check_a#L1234567`);
        check(
            'and any line by its number',
            await within(3000, async () =>
                (await page.locator('.log .mark .tx').innerText()).startsWith(
                    String(1234566 % 10000).padStart(7, '0'),
                ),
            ),
        );
        await page.locator('.log').hover();
        await page.mouse.wheel(0, 180);
        check(
            'the wheel goes by lines, not by pixels of a bar',
            await within(2000, async () => {
                const numbers = await page.locator('.log .no').allInnerTexts();
                return Number(numbers[0]) > 1234500 && Number(numbers[0]) < 1234600;
            }),
            await page.locator('.log .no').first().innerText(),
        );
        check(
            'few elements are drawn',
            (await page.evaluate(() => document.querySelectorAll('*').length)) < 600,
        );
        const lines = ['id: wide', 'tasks:'];
        for (let i = 0; i < 3000; i++)
            lines.push(
                `  t${i}: {run: "true"${i < 40 ? '' : `, needs: [t${i - 1 - ((i * 7919) % 40)}]`}}`,
            );
        writeFileSync(`${dir}/dags/wide.yaml`, lines.join('\n') + '\n');
        await within(8000, async () => (await get('/dags/wide')).valid);
        from = Date.now();
        await page.goto(`${url}/ui/dags/wide/graph`);
        check(
            'a graph of 3,000 tasks opens',
            await within(5000, () => page.locator('.node .far').first().isVisible()),
        );
        console.log(`a graph of 3,000 tasks: ${Date.now() - from} ms`);
        check(
            'with few elements',
            (await page.evaluate(() => document.querySelectorAll('*').length)) < 3000,
        );
    },
    async gone() {
        for (const path of ['/ui/dags/nope', '/ui/runs/99999', '/ui/nothing']) {
            const answer = await page.goto(url + path);
            equal(`${path} is 404`, answer.status(), 404);
            check(
                'and says so',
                await within(
                    3000,
                    async () =>
                        /There is no/.test(await text('h1')) ||
                        /nothing at this address/.test(await text('h1')),
                ),
            );
        }
        await page.goto(url + '/#/models/churn');
        check(
            'links of the mlflow client are read',
            await within(2000, () => new URL(page.url()).pathname === '/ui/models/churn'),
        );
    },
    async tabs() {
        await go('/ui');
        const others = [];
        for (let i = 0; i < 6; i++) {
            const tab = await page.context().newPage();
            await tab.goto(url + '/ui/runs');
            others.push(tab);
        }
        const run = await trigger('etl');
        let all = true;
        for (const tab of others)
            all = (await within(4000, () => tab.locator(`[data-run="${run}"]`).isVisible())) && all;
        check('seven tabs stay live', all);
        // Live logs in seven tabs: those that are not seen hold no connection.
        const long = await trigger('ticks');
        await within(5000, async () => (await get(`/runs/${long}/tasks/tick`)).state === 'running');
        for (const tab of [...others, page]) {
            await tab.goto(`${url}/ui/runs/${long}/tasks/tick`);
            check(
                'each has the live log',
                await within(4000, async () =>
                    /tick \d+/.test(await tab.locator('.log').innerText()),
                ),
            );
            await hide(tab, true);
        }
        await hide(page, false);
        const lines = () => page.locator('.log .l').last().locator('.no').innerText().then(Number);
        const before = await lines();
        check(
            'one that is seen again goes on',
            await within(4000, async () => (await lines()) > before + 3),
        );
        for (const tab of others) await tab.close();
        await post(`/runs/${long}/cancel`);
        await ended(run);
    },
    async map() {
        // Three failures of 10,000: the run, then the red part of its bar.
        const items = Array.from({length: 10000}, (_, i) =>
            [17, 5000, 9999].includes(i) ? 'nothing' : '0',
        );
        writeFileSync(
            `${dir}/dags/many.yaml`,
            `id: many\ntasks:\n  each: {for_each: [${items}], uses: flow.sleep, with: {duration: "\${{ item }}"}}\n`,
        );
        await within(5000, async () => (await get('/dags/many')).valid);
        const run = await trigger('many');
        equal('it fails', (await ended(run)).counts.failed, 3);
        await go('/ui/runs');
        await page
            .locator(`[data-run="${run}"]`)
            .getByRole('link', {name: 'many', exact: true})
            .click();
        await page.locator('.counts .s-failed').click();
        check(
            'two clicks lead to its failures',
            await within(3000, async () => (await page.locator('[data-row]').count()) === 3),
        );
        equal('which are these', await page.locator('[data-row] a').allInnerTexts(), [
            'each[17]',
            'each[5000]',
            'each[9999]',
        ]);
    },
    async list() {
        // Runs that new ones push out of the first page stay; a search that has found nothing yet goes on.
        writeFileSync(
            `${dir}/dags/tiny.yaml`,
            'id: tiny\nmax_active_runs: 1000\ntasks: {t: {uses: flow.noop}}\n',
        );
        await within(5000, async () => (await get('/dags/tiny')).valid);
        const n = () => page.locator('[role=list]').evaluate((e) => e.offsetHeight / 36);
        for (let i = 0; i < 120; i++) await trigger('tiny');
        await go('/ui/runs?q=dag:tiny');
        await page.mouse.move(5, 5);
        await within(3000, async () => (await n()) === 100);
        await page.locator('main').evaluate(() => scrollTo(0, 1e6));
        check('older runs come', await within(3000, async () => (await n()) === 120));
        for (let i = 0; i < 20; i++) await trigger('tiny');
        check(
            'none is lost when new ones come',
            await within(3000, async () => (await n()) === 140),
        );
        await sleep(1000);
        equal('and stays so', await n(), 140);
        for (let i = 0; i < 110; i++) await trigger('tiny');
        await page.locator('main').evaluate(() => scrollTo(0, 1e6));
        check(
            'nor when more come than a page has',
            await within(5000, async () => {
                await page.locator('main').evaluate(() => scrollTo(0, 1e6));
                return (await n()) === 250;
            }),
            await n(),
        );
        await page.route(/\/runs\?limit=100&q=/, (route) =>
            route.fulfill({json: {items: [], next: '1000'}}),
        );
        await go('/ui/runs?q=dag:tiny%20state:success');
        check('an empty page is not the end', await within(3000, async () => (await n()) === 250));
        await page.unroute(/\/runs\?limit=100&q=/);
    },
    async stopped() {
        // A laptop that slept: the browser stands still while runs come and go.
        await go('/ui/runs');
        await within(3000, async () => (await text('.live')).includes('live'));
        await page.mouse.move(5, 5);
        await page.evaluate(() => (window.mark = 'the same page'));
        const pids = browserProcesses();
        for (const id of pids) process.kill(id, 'SIGSTOP');
        let run;
        try {
            for (let i = 0; i < 5; i++) run = await trigger('etl');
            await ended(run);
            await sleep(2000);
        } finally {
            for (const id of pids) process.kill(id, 'SIGCONT');
        }
        check(
            'it catches up',
            await within(3000, () => page.locator(`[data-run="${run}"] .s-success`).isVisible()),
        );
        equal('without a reload', await page.evaluate(() => window.mark), 'the same page');
        check('and is live', (await text('.live')).includes('live'));
    },
    async restart() {
        await go('/ui/runs');
        await within(3000, async () => (await text('.live')).includes('live'));
        await page.mouse.move(5, 5); // rows under the pointer would not move
        process.kill(Number(pid), 'SIGUSR1');
        check(
            'a banner says that the connection is lost',
            await within(4000, () => page.locator('.banner').isVisible()),
        );
        await within(15000, () =>
            fetch(url + '/health/ready').then(
                (r) => r.ok,
                () => false,
            ),
        );
        const from = Date.now();
        const run = await trigger('etl');
        check(
            'after a restart it is live again and right within 2 s',
            await within(
                2000,
                async () =>
                    (await text('.live')).includes('live') &&
                    (await page.locator(`[data-run="${run}"]`).isVisible()),
            ),
        );
        console.log(`after a restart: right after ${Date.now() - from} ms`);
        check('the banner has gone', !(await page.locator('.banner').isVisible()));
    },
};

await runParts(parts, (name) => (wanted.length ? wanted.includes(name) : name !== 'views'), page);
await finish(browser, page.wrong);
