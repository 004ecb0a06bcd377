// The tests of logs, runs and tasks: node task.mjs URL DIR [PART...].
import {createRequire} from 'node:module';
import {readFileSync} from 'node:fs';
import {counts, check, equal, sleep, within, client, open, newPage} from './kit.mjs';

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
};

for (const [name, part] of Object.entries(parts)) {
    if (wanted.length && !wanted.includes(name)) continue;
    try {
        await part();
    } catch (e) {
        check(`${name} ends`, false, e.message.split('\n').slice(0, 6).join(' '));
        if (process.env.NEXUS_SHOTS)
            await page
                .screenshot({path: `${process.env.NEXUS_SHOTS}/failed-${name}.png`})
                .catch(() => {});
    }
}
check(
    'no script failed, no dialog came, nothing was asked of others',
    !page.wrong.length,
    page.wrong,
);
await browser.close();
console.log(`${counts.passed} passed, ${counts.failed} failed`);
