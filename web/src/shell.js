// The frame of every view: top bar, rail, live dot, and which view an address means.
import {html, render, useState, useEffect, useRef, remembered} from './lib.js';
import {route, go, startRoutes, dagUrl, runUrl} from './route.js';
import {connection, startLive, retryLive, onEvent} from './live.js';
import {zone, clockTime} from './format.js';
import {useKeys, startKeys, toasts, toast, spoken, copy, Guard, Skeleton} from './parts.js';
import {palette, help, Palette, Help} from './palette.js';
import {Home} from './home.js';
import {get, session} from './api.js';
import {SignIn, User} from './session.js';

const PARTS = [
    ['', 'Home', '⌂'],
    ['dags', 'DAGs', '⋔'],
    ['runs', 'Runs', '▶'],
    ['data', 'Data', '▤'],
    ['system', 'System', '⚙'],
];
const themeChoice = remembered('theme', 'system');

function applyTheme(choice) {
    const dark =
        choice === 'dark' ||
        (choice === 'system' && matchMedia('(prefers-color-scheme: dark)').matches);
    document.documentElement.dataset.theme = dark ? 'dark' : 'light';
    dispatchEvent(new Event('theme'));
}

// Views of other files, loaded when first wanted.
const LOADERS = {
    dags: () => import('./dags.js'),
    runs: () => import('./runs.js'),
    task: () => import('./task.js'),
    system: () => import('./system.js'),
    data: () => import('./data.js'),
};
const loaded = {};
function find(path) {
    const [part, id, sub] = path;
    if (!part) return ['home', Home, {}];
    if (part === 'dags')
        return id
            ? ['dags', 'Dag', {dag: id, view: sub || 'grid', rest: path.slice(3)}]
            : ['dags', 'Dags', {}];
    if (part === 'runs' && id === 'compare') return ['runs', 'Compare', {}];
    if (part === 'runs' && id && sub === 'tasks' && path[3])
        return ['task', 'Task', {run: id, task: path[3]}];
    if (part === 'runs') return id ? ['runs', 'Run', {run: id}] : ['runs', 'Runs', {}];
    if (part === 'data') return ['data', id ? 'Dataset' : 'Data', {name: id}];
    if (part === 'system') return ['system', 'System', {view: id || 'workers', id: sub}];
    return [null];
}
function NotHere() {
    return html`<section class="pad">
        <h1>There is nothing at this address</h1>
        <p class="muted">${location.pathname}</p>
        <p><a href="/ui">Home</a> · <a href="/ui/dags">DAGs</a> · <a href="/ui/runs">Runs</a></p>
    </section>`;
}

function View() {
    const {path} = route.use();
    const [, redraw] = useState(0);
    const [failed, setFailed] = useState(null);
    const [file, name, props] = find(path);
    // A new view is where keys and screen readers go on.
    const who = session.use();
    const first = useRef(true),
        place = path.join('/');
    useEffect(() => {
        if (!first.current && document.activeElement === document.body)
            document.getElementById('main').focus({preventScroll: true});
        first.current = false;
    }, [place]);
    const module = file && file !== 'home' ? loaded[file] : null;
    useEffect(() => {
        if (!file || file === 'home' || loaded[file]) return;
        LOADERS[file]().then((m) => {
            loaded[file] = m;
            redraw((n) => n + 1);
        }, setFailed);
    }, [file]);
    if (isNobody(who)) return html`<${SignIn} />`;
    if (!file) return html`<${NotHere} />`;
    if (failed)
        return html`<div class="box bad" role="alert">
            <b>A part of the page is not there any more</b> · Nexus may have been updated ·
            <button type="button" onClick=${() => location.reload()}>Reload the page</button>
        </div>`;
    if (file === 'home') return html`<${Guard} name="Home" key="home"><${Home} /></${Guard}>`;
    if (!module) return html`<section class="pad"><${Skeleton} rows=${8} /></section>`;
    const Part = module[name];
    return html`<${Guard} name=${name} key=${path.slice(0, 2).join('/') + name}><${Part} ...${props} /></${Guard}>`;
}

function crumbs(path) {
    const [part, id, sub, task] = path;
    const list = [];
    const known = PARTS.find(([p]) => p === part);
    if (part && known) list.push([known[1], '/ui/' + part]);
    if (part === 'dags' && id) list.push([id, dagUrl(id)]);
    if (part === 'runs' && id) list.push([id === 'compare' ? 'compare' : 'run ' + id, runUrl(id)]);
    if (part === 'runs' && sub === 'tasks' && task) list.push([task, null]);
    if (part === 'data' && id) list.push([id, null]);
    return list;
}

const isNobody = (who) => who !== null && who.role === 'anyone';
function LiveDot() {
    const {state, wait, lost} = connection.use();
    if (isNobody(session.use())) return null;
    const text =
        state === 'live'
            ? 'live'
            : state === 'reconnecting'
              ? `reconnecting ${Math.ceil((wait || 0) / 1000)} s`
              : state === 'offline'
                ? 'offline'
                : 'connecting';
    return html`<button
        type="button"
        class=${'live ' + state}
        onClick=${retryLive}
        title=${state === 'live' ? 'What you see is as it is now' : lost ? 'Since ' + clockTime(lost) : 'Connecting'}
    >
        <i aria-hidden="true"></i>${text}
    </button>`;
}
function Banner() {
    const {state, lost} = connection.use();
    const who = session.use();
    useEffect(() => {
        document.documentElement.classList.toggle('stale', state === 'offline' && !isNobody(who));
    }, [state, who]);
    if (isNobody(who)) return null;
    if (state !== 'offline' && state !== 'reconnecting') return null;
    return html`<div class=${'banner ' + state} role="status">
        ${
            state === 'offline'
                ? `Offline since ${clockTime(lost)}: what you see is old.`
                : 'The connection was lost; trying again …'
        } <button type="button" onClick=${retryLive}>Try now</button>
    </div>`;
}
const Crumb = ({text, href}) =>
    html`<span class="sep" aria-hidden="true">/</span>${
            href ? html`<a href=${href}>${text}</a>` : html`<span>${text}</span>`
        }`;
// How this browser shows times and colours: in the top bar, on a phone with the keys.
function Picks() {
    const z = zone.use(),
        theme = themeChoice.use();
    return html`<label class="pick"
            ><span>Time zone</span
            ><select value=${z} onChange=${(e) => zone.set(e.target.value)}>
                <option value="local">local time</option>
                <option value="utc">UTC</option>
                <option value="dag">DAG's zone</option>
            </select></label
        >
        <label class="pick"
            ><span>Theme</span
            ><select value=${theme} onChange=${(e) => themeChoice.set(e.target.value)}>
                <option value="system">system</option>
                <option value="light">light</option>
                <option value="dark">dark</option>
            </select></label
        >`;
}
function TopBar() {
    const {path} = route.use();
    const list = crumbs(path);
    return html`<header class="top">
        <a class="brand" href="/ui">Nexus</a>
        <nav class="crumbs" aria-label="Where you are">
            ${list.map(([text, href]) => html`<${Crumb} text=${text} href=${href} />`)}
        </nav>
        <div class="grow"></div>
        <button
            type="button"
            class="find"
            onClick=${() => palette.set(true)}
            title="Search: Ctrl K"
        >
            <span aria-hidden="true">⌕</span> <span class="wide-only">Search</span
            ><span class="hidden phone-only">Search</span> <kbd>Ctrl K</kbd>
        </button>
        <${LiveDot} />
        <${Picks} />
        <button
            type="button"
            class="plain"
            onClick=${() => help.set(true)}
            aria-label="Keys and settings"
        >
            ?</button
        ><${User} />
    </header>`;
}
const Rail = () => {
    const {path} = route.use();
    return html`<nav class="rail" aria-label="Main">
        ${PARTS.map(
            ([part, name, icon]) =>
                html`<a
                    href=${'/ui' + (part && '/' + part)}
                    aria-current=${(path[0] || '') === part ? 'page' : undefined}
                    ><i aria-hidden="true">${icon}</i><span>${name}</span></a
                >`,
        )}
    </nav>`;
};
function Toasts() {
    return html`<div class="toasts" role="status">
        ${toasts
            .use()
            .map(
                (t) =>
                    html`<div key=${t.id} class=${'toast ' + t.kind}>
                        ${t.text} ${t.href ? html` <a href=${t.href}>open</a>` : null}
                    </div>`,
            )}
    </div>`;
}
function Shell() {
    useKeys({
        'ctrl+k': () => palette.set(true),
        '?': () => help.set(true),
        y: () => copy(location.href),
        'g h': () => go('/ui'),
        'g d': () => go('/ui/dags'),
        'g r': () => go('/ui/runs'),
        'g s': () => go('/ui/system'),
        'g a': () => go('/ui/data'),
        Escape: () => {
            if (document.querySelector('dialog[open]')) return false;
            const {path} = route.get();
            if (path.length)
                go(
                    '/ui' +
                        (path.length > 1
                            ? '/' +
                              path
                                  .slice(0, path[2] === 'tasks' ? 2 : -1)
                                  .map(encodeURIComponent)
                                  .join('/')
                            : ''),
                );
            return true;
        },
    });
    return html`<a class="skip" href="#main">Skip to the content</a
        ><${TopBar} /><${Banner} /><${Rail} />
        <main id="main" tabindex="-1"><${View} /></main>
        <${Toasts} />
        <div class="hidden" role="status" aria-live="polite">${spoken.use()}</div>
        <${Palette} /><${Help}><${Picks} /></${Help}>`;
}

themeChoice.watch(applyTheme);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () =>
    applyTheme(themeChoice.get()),
);
startRoutes();
startKeys();
startLive(import.meta.url);
get('/session').then(
    (s) => session.set(s),
    () => {},
);
// A run's end is said, not each task's.
onEvent((name, data) => {
    if (name === 'run' && ['success', 'failed', 'cancelled'].includes(data.state))
        spoken.set(`Run ${data.run} of ${data.dag}: ${data.state}`);
});
addEventListener('unhandledrejection', (e) =>
    toast(String((e.reason && e.reason.message) || e.reason), {kind: 'error'}),
);
render(html`<${Shell} />`, document.getElementById('app'));
