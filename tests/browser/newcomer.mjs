// What test_newcomer does in the browser: node newcomer.mjs URL DIR. Nothing but the page is used to
// change anything; the API is asked whether the page says what is so.
import {check, client, equal, failed, finish, newPage, open, within} from './kit.mjs';
import {readFileSync} from 'node:fs';

const [url, dir] = process.argv.slice(2);
const {get} = client(url);
const browser = await open();
const page = await newPage(browser, url, {viewport: {width: 1100, height: 640}});
const picture = async (name) => {
    if (process.env.NEXUS_PICTURES)
        await page.screenshot({path: `${process.env.NEXUS_PICTURES}/newcomer-${name}.png`});
};
const runOf = () => new URL(page.url()).pathname.split('/')[3];
const state = () => page.locator('.head .pill').first().innerText();
const button = (name) => page.getByRole('button', {name});
const link = (name) => page.getByRole('link', {name, exact: true});

async function trigger() {
    await page.goto(url);
    await page.getByRole('navigation', {name: 'Main'}).getByText('DAGs').click();
    check('the flights DAG is on the list', await within(8000, () => link('flights').isVisible()));
    await picture('dags');
    await link('flights').click();
    await page.getByRole('link', {name: '▶ Trigger'}).click();
    await page.getByLabel('rounds').fill('25');
    equal(
        'the command says what was changed',
        await page.locator('.command code').first().innerText(),
        'nexus trigger flights -p rounds=25',
    );
    await picture('trigger');
    await button('Run').last().click();
    await within(5000, () => /\/ui\/runs\/\d+$/.test(page.url()));
    equal('its run has the changed param', (await get(`/runs/${runOf()}`)).params.rounds, 25);
    return runOf();
}
async function watch(run) {
    await page.locator('#tab-graph').click();
    const live = page.locator('.node[data-state=running]').first();
    check('the graph shows what runs', await within(20000, () => live.isVisible()));
    await within(20000, () =>
        page.locator('.node[data-task=features][data-state=success]').isVisible(),
    );
    await picture('graph');
    // A task that is chosen again opens: its log, while it is written.
    const train = page.locator('.node[data-task=train]');
    await within(20000, async () => (await train.getAttribute('data-state')) === 'running');
    await train.click();
    await train.click();
    const log = page.locator('.log');
    check('the log is there', await within(10000, async () => /\w/.test(await log.innerText())));
    await picture('log');
    check(
        'the task ends without a reload',
        await within(60000, async () => (await state()).includes('success')),
    );
    const text = String(await get(`/runs/${run}/tasks/train/attempts/1/log`));
    const last = text.trim().split('\n').pop();
    check(
        'its last line is that of the API',
        await within(5000, async () => (await log.innerText()).includes(last)),
        last,
    );
    await page.goBack();
    check(
        'the run ends without a reload',
        await within(60000, async () => (await state()).includes('success')),
    );
    const r = await get(`/runs/${run}`);
    check(
        'every node has the state of the API',
        await within(5000, async () => {
            const shown = await page
                .locator('.node')
                .evaluateAll((l) => l.map((n) => `${n.dataset.task} ${n.dataset.state}`));
            return (
                shown.sort().join() ===
                r.tasks
                    .map((t) => `${t.task} ${t.state}`)
                    .sort()
                    .join()
            );
        }),
    );
}
async function evaluation(run) {
    await page.locator('#tab-outputs').click();
    const task = await get(`/runs/${run}/tasks/evaluate`);
    const table = page.locator('h2', {hasText: /^evaluate$/}).locator('+ table');
    await table.waitFor();
    await table.scrollIntoViewIfNeeded();
    const shown = await table.innerText();
    const flat = (o) =>
        Object.values(o).flatMap((v) =>
            v && typeof v === 'object' && !v.artifact ? flat(v) : [v],
        );
    const numbers = flat(task.outputs).filter((v) => typeof v === 'number');
    check('the evaluation has numbers', numbers.length >= 5, task.outputs);
    equal(
        'all of them are on the page',
        numbers.filter((n) => !shown.includes(String(n))),
        [],
    );
    check(
        'one of them is the area under the curve',
        shown.includes(String(task.outputs.metrics.roc_auc)),
    );
    await picture('outputs');
}
async function broken() {
    await page.goto(`${url}/ui/dags/greeting/trigger`);
    await button('Run').last().click();
    await within(5000, () => /\/ui\/runs\/\d+$/.test(page.url()));
    const run = runOf();
    check('the run fails', await within(15000, async () => (await state()).includes('failed')));
    check(
        'the error is on the run',
        await within(5000, async () =>
            /count failed.*name: it is not set/s.test(
                await page.locator('.box.bad').first().innerText(),
            ),
        ),
    );
    await picture('failure');
    await page.getByRole('link', {name: 'Open log'}).first().click();
    check(
        'one click leads to its line',
        await within(5000, async () =>
            /it is not set/.test(await page.locator('.log').innerText()),
        ),
    );
    return run;
}
async function mend(run) {
    await page.goto(`${url}/ui/dags/greeting/code`);
    await button('Edit').click();
    const box = page.getByRole('textbox', {name: 'Text of greeting.yaml'});
    await box.fill((await box.inputValue()).replace('nmae=', 'name='));
    const save = button('Save greeting.yaml');
    await within(5000, () => save.isEnabled());
    await picture('edit');
    await save.click();
    check(
        'the file is saved',
        await within(5000, () =>
            readFileSync(`${dir}/dags/greeting.yaml`, 'utf8').includes('      name='),
        ),
    );
    await within(8000, async () => (await get('/dags/greeting')).version === '2');
    // A retry goes on with the version that the run began with, and says so.
    await page.goto(`${url}/ui/runs/${run}/tasks/count`);
    await button('Retry from here').click();
    const anew = button('Run again with version 2');
    check('a retry offers the new version', await within(5000, () => anew.isVisible()));
    await within(5000, () => button(/^Retry 2 tasks$/).isVisible());
    await picture('retry');
    await anew.click();
    check(
        'that is another run',
        await within(5000, () => /\/ui\/runs\/\d+$/.test(page.url()) && runOf() !== run),
    );
    check('which works', await within(15000, async () => (await state()).includes('success')));
    equal('of the new version', (await get(`/runs/${runOf()}`)).dag_version, '2');
    equal(
        'with the right answer',
        String((await get(`/runs/${runOf()}/tasks/count`)).outputs.letters),
        '3',
    );
    await picture('success');
}

try {
    const run = await trigger();
    await watch(run);
    await evaluation(run);
    await mend(await broken());
} catch (e) {
    await failed('the path goes to its end', e, page, 'newcomer');
}
await finish(browser, page.wrong);
