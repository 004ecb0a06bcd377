// Signing in: sign_in.mjs URL TOKEN-OF-AN-ADMIN TOKEN-OF-A-VIEWER FOLDER
import {check, equal, failed, finish, newPage, open, within} from './kit.mjs';

const [url, admin, viewer, dir] = process.argv.slice(2);
const browser = await open();
const page = await newPage(browser, url);
const token = () => page.locator('#token');
const user = () =>
    page
        .locator('.user')
        .innerText()
        .catch(() => '');

async function signIn(text) {
    await token().fill(text);
    await page.locator('.sign-in button').click();
}
try {
    await page.goto(url + '/ui/runs');
    check('one is asked to sign in, at any address', await within(3000, () => token().isVisible()));
    check('and sees no data', !(await page.locator('body').innerText()).includes('etl'));
    check('nothing is said of a lost connection', !(await page.locator('.banner').isVisible()));
    await page.screenshot({path: `${process.env.NEXUS_SHOTS || dir}/sign-in.png`});
    await signIn('nxt_wrong');
    check(
        'a wrong token is told',
        await within(3000, async () =>
            (await page.locator('.sign-in .err').innerText()).includes('is no token'),
        ),
    );
    await signIn(viewer);
    check(
        'a right one lets in',
        await within(5000, async () => (await user()).includes('eve · viewer')),
    );
    equal('at the address that was wanted', new URL(page.url()).pathname, '/ui/runs');
    check(
        'no script sees the token or the cookie',
        await page.evaluate(
            (t) =>
                !document.cookie &&
                !JSON.stringify({...localStorage, ...sessionStorage}).includes(t),
            viewer,
        ),
    );
    check('nor is it in the address', !page.url().includes('nxt_'));
    check(
        'the page is live',
        await within(5000, async () => (await page.locator('.live').innerText()).includes('live')),
    );
    await page.goto(url + '/ui/dags/etl/trigger');
    await page.locator('button.primary', {hasText: 'Run'}).click();
    check(
        'what a viewer may not is told where it is, with the role',
        await within(4000, async () =>
            (await page.locator('main').innerText()).includes('takes the role operator'),
        ),
    );
    await page.reload();
    check(
        'a session outlives a reload',
        await within(4000, async () => (await user()).includes('eve')),
    );
    await page.locator('.user button').click();
    check('one signs out', await within(4000, () => token().isVisible()));
    await signIn(admin);
    check(
        'and in as another',
        await within(5000, async () => (await user()).includes('ann · admin')),
    );
    await page.locator('button.primary', {hasText: 'Run'}).click();
    check('who may', await within(6000, async () => /\/ui\/runs\/\d+/.test(page.url())));
} catch (e) {
    await failed('it ends', e, page, 'sign_in');
}
await finish(browser, page.wrong);
