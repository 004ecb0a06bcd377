// Ctrl K: jump to a DAG, a task, a run or a view, or do something. And the list of keys.
import {html, useState, useEffect, useMemo, useRef, enc, store} from './lib.js';
import {call, fetchKnown, peek} from './api.js';
import {go, dagUrl, runUrl} from './route.js';
import {Dialog, toast} from './parts.js';
import {retryRun} from './home.js';

export const palette = store(false);
export const help = store(false);

const VIEWS = [
    ['Home', '/ui'],
    ['DAGs', '/ui/dags'],
    ['Runs', '/ui/runs'],
    ['Data', '/ui/data'],
    ['Workers', '/ui/system/workers'],
    ['Pools', '/ui/system/pools'],
    ['Variables', '/ui/system/variables'],
    ['Connections', '/ui/system/connections'],
    ['Approvals', '/ui/system/approvals'],
    ['Notifications', '/ui/system/notifications'],
    ['Audit', '/ui/system/audit'],
    ['Health', '/ui/system/health'],
    ['Settings', '/ui/system/settings'],
    ['Secrets', '/ui/system/secrets'],
    ['Retention', '/ui/system/retention'],
    ['Events', '/ui/system/events'],
];

async function pause(dag) {
    const paused = !dag.paused;
    try {
        await call('PATCH', '/dags/' + enc(dag.id), {paused});
        toast(`${dag.id} is ${paused ? 'paused' : 'on again'}`, {href: dagUrl(dag.id)});
    } catch (e) {
        toast(`${dag.id}: ${e.message}`, {kind: 'error'});
    }
}
// Each leads somewhere (href) or does something (act).
function candidates(dags, runs) {
    const list = VIEWS.map(([name, href]) => ({kind: 'go to', name, href}));
    for (const d of dags) {
        list.push({kind: 'DAG', name: d.id, href: dagUrl(d.id), hint: d.description});
        if (!d.version) continue;
        list.push({kind: 'trigger', name: d.id, href: dagUrl(d.id, 'trigger')});
        list.push({kind: d.paused ? 'resume' : 'pause', name: d.id, act: () => pause(d)});
        for (const t of d.tasks)
            list.push({
                kind: 'task',
                name: `${d.id} ${t.id}`,
                href: `${dagUrl(d.id)}?task=${enc(t.id)}`,
            });
    }
    for (const r of runs) {
        const name = `${r.dag} ${r.id}`;
        list.push({kind: 'run', name, href: runUrl(r.id), hint: r.state});
        if (r.state === 'failed') list.push({kind: 'retry', name, act: () => retryRun(r.id)});
    }
    return list;
}
// Letters in order; words' beginnings count more, and short names; not the digits of an id, so that the
// newest run stays the first.
function score(text, query) {
    const t = text.toLowerCase();
    const at = t.indexOf(query);
    if (at >= 0) return 1000 - at - (t.replace(/\d+$/, '').length - query.length) / 100;
    let k = 0,
        points = 0;
    for (let i = 0; i < t.length && k < query.length; i++) {
        if (t[i] !== query[k]) continue;
        points += i === 0 || /[^a-z0-9]/.test(t[i - 1]) ? 10 : 1;
        k++;
    }
    return k === query.length ? points : 0;
}

export function Palette() {
    const open = palette.use();
    return open ? html`<${PaletteOpen} />` : null;
}
const NOTHING = {items: []};
function PaletteOpen() {
    const [query, setQuery] = useState('');
    const [at, setAt] = useState(0);
    const [loaded, setLoaded] = useState(false),
        [entered, setEntered] = useState(false);
    const box = useRef(null);
    useEffect(() => {
        box.current.focus();
        Promise.allSettled([fetchKnown('/dags'), fetchKnown('/runs?limit=100')]).then(() =>
            setLoaded(true),
        );
    }, []);
    const dags = (peek('/dags') || NOTHING).items,
        runs = (peek('/runs?limit=100') || NOTHING).items;
    const q = query.trim().toLowerCase();
    const all = useMemo(() => candidates(dags, runs), [dags, runs]);
    let found = all;
    if (q)
        found = found
            .map((c) => ({...c, points: score(`${c.kind} ${c.name}`, q)}))
            .filter((c) => c.points > 0)
            .sort((a, b) => b.points - a.points);
    found = found.slice(0, 12);
    if (/^\d+$/.test(q) && !found.some((c) => c.href === runUrl(q)))
        found.unshift({kind: 'run', name: q, href: runUrl(q)});
    const close = () => palette.set(false);
    const choose = (c) => {
        close();
        if (c.act) c.act();
        else go(c.href);
    };
    // Who was faster than the lists: what was meant is known when they are here.
    useEffect(() => {
        if (loaded && entered && found[at]) choose(found[at]);
    }, [loaded]);
    const key = (e) => {
        if (e.key === 'ArrowDown') setAt(Math.min(found.length - 1, at + 1));
        else if (e.key === 'ArrowUp') setAt(Math.max(0, at - 1));
        else if (e.key === 'Enter' && !loaded) setEntered(true);
        else if (e.key === 'Enter' && found[at]) choose(found[at]);
        else return;
        e.preventDefault();
    };
    return html`<${Dialog} title="Go to or do" onClose=${close}>
        <input ref=${box} type="search" role="combobox" aria-expanded="true" aria-controls="palette-list" aria-label="DAG, run, view or action"
            aria-activedescendant=${'palette-' + at} placeholder="DAG, run, view; or: trigger …" value=${query}
            onInput=${(e) => {
                setQuery(e.target.value);
                setAt(0);
            }} onKeyDown=${key} />
        <ul id="palette-list" role="listbox" aria-label="Found" class="palette">${found.map(
            (c, i) =>
                html`<li
                    id=${'palette-' + i}
                    role="option"
                    aria-selected=${i === at}
                    onMouseMove=${() => setAt(i)}
                    onClick=${() => choose(c)}
                >
                    <span class="muted">${c.kind}</span> ${c.name}
                    <span class="muted hint">${c.hint}</span>
                </li>`,
        )}</ul>
        ${found.length ? null : html`<p class="empty">Nothing has that name.</p>`}
    </${Dialog}>`;
}

const KEYS = [
    ['Ctrl K', 'jump or do'],
    ['g h · g d · g r', 'home, DAGs, runs'],
    ['g s · g a', 'system, data'],
    ['j k', 'next, previous row'],
    ['Enter', 'open'],
    ['/', 'filter or search'],
    ['1 … 9', 'tabs'],
    ['v', 'grid, graph, Gantt'],
    ['c', 'critical path in a graph'],
    ['arrows', 'move in grid and graph'],
    ['l', 'log'],
    ['e', 'explain'],
    ['n N', 'next, previous error in the log'],
    ['f', 'follow the log'],
    ['w', 'wrap the log'],
    ['t', 'trigger'],
    ['R', 'retry'],
    ['C', 'clear'],
    ['[ ]', 'older, newer run'],
    ['.', 'next attempt'],
    ['y', 'copy the link; in a log, the chosen lines with it'],
    ['Esc', 'back out'],
    ['?', 'this list'],
];
// children: what is set in the browser; seen where the top bar has no place for it.
export function Help({children}) {
    if (!help.use()) return null;
    return html`<${Dialog} title="Keys" onClose=${() => help.set(false)}>
        <p class="picks">${children}</p>
        <dl class="keys">${KEYS.map(
            ([k, what]) =>
                html`<dt><kbd>${k}</kbd></dt>
                    <dd>${what}</dd>`,
        )}</dl>
        <p><button type="button" onClick=${() => help.set(false)}>Close</button></p></${Dialog}>`;
}
