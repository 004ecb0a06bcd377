// All runs, by terms; several at once are retried, cancelled or compared.
import {html, useState, useEffect, useMemo, useRef, enc, plural} from './lib.js';
import {useApi, get, post, runPath} from './api.js';
import {Ago, Time, Took} from './format.js';
import {Dot, runWord} from './state.js';
import {
    Loaded,
    Empty,
    Head,
    Search,
    Rows,
    More,
    useRows,
    useTitle,
    useKeys,
    toast,
} from './parts.js';
import {useQuery, runUrl, taskUrl} from './route.js';
import {useFailure} from './home.js';

const QUICK = [
    ['all', ''],
    ['failed', 'state:failed since:24h'],
    ['running', 'state:running'],
    ['late', 'late:true since:168h'],
];

function RunRow({run, picked, pick}) {
    return html`<div class="row" role="listitem" data-row data-run=${run.id}>
        <input
            class="wide"
            type="checkbox"
            aria-label=${'Choose run ' + run.id}
            checked=${picked}
            onChange=${(e) => pick(run.id, e.target.checked)}
        />
        <span class="w-l"
            ><${Dot} state=${run.state} /> <a href=${runUrl(run.id)}>${run.dag}</a></span
        ><span class="w-s muted"><a href=${runUrl(run.id)}>${run.id}</a></span>
        <span class="main"><${Became} run=${run} /></span>
        <span class="w-m wide muted low">${run.cause}</span
        ><span class="w-l wide low"><${Time} at=${run.interval.start} /></span>
        <span class="w-m"><${Ago} at=${run.started_at || run.created_at} /></span
        ><span class="w-m right wide"
            ><${Took} from=${run.started_at} to=${run.finished_at}
        /></span>
    </div>`;
}
// What became of it: the first error, else its state and note.
function Became({run}) {
    const failure = useFailure(run);
    if (!failure)
        return html`<span class="muted">${runWord(run)}${run.note ? ' · ' + run.note : ''}</span>`;
    return html`<a href=${taskUrl(run.id, failure.task)}>${failure.task}</a>:
        <code class="err">${failure.error}</code>`;
}
// What is done with several runs at once.
function Chosen({ids, onDone}) {
    const n = plural(ids.length, 'run');
    const bulk = async (what) => {
        const body = what === 'retry' ? {failed: true} : {};
        const done = await Promise.allSettled(
            ids.map((id) => post(runPath(id) + '/' + what, body)),
        );
        const bad = done.filter((d) => d.status === 'rejected');
        const why = bad.length ? `; ${bad[0].reason.message}` : '';
        toast(`${done.length - bad.length} of ${n}: ${what} accepted${why}`, {
            kind: bad.length ? 'error' : 'info',
        });
        onDone();
    };
    const both = `/ui/runs/compare?a=${ids[0]}&b=${ids[1]}`;
    return html`<p class="toolbar">
        <b>${n} chosen</b><button type="button" onClick=${() => bulk('retry')}>Retry ${n}</button
        ><button type="button" class="danger" onClick=${() => bulk('cancel')}>Cancel ${n}</button>
        ${ids.length === 2 ? html`<a class="button" href=${both}>Compare</a>` : null}
        <button type="button" class="link" onClick=${onDone}>none</button>
    </p>`;
}
const Titles = () =>
    html`<div class="row titles" aria-hidden="true">
        <span style=${{width: '16px'}}></span><span class="w-l">DAG</span
        ><span class="w-s">run</span><span class="main">what became of it</span
        ><span class="w-m low">cause</span><span class="w-l low">interval from</span
        ><span class="w-m">began</span><span class="w-m right">took</span>
    </div>`;
function NoRuns({q, next, onMore, onClear}) {
    if (next)
        return html`<p class="muted">
                None of the newest runs fits ‘${q}’; those before them are looked at …
            </p>
            <${More} onMore=${onMore}>Older runs</${More}>`;
    if (q)
        return html`<${Empty}>
            No run fits ‘${q}’. <button type="button" onClick=${onClear}>Clear the filter</button>
        </${Empty}>`;
    return html`<${Empty}>
        Nothing ran yet. <a href="/ui/dags">Start a DAG</a>, or <code>nexus trigger DAG</code>.
    </${Empty}>`;
}
const NONE = [];
// What new runs have pushed out of the first page: it lies between that page and the older ones. `gap`: more
// came at once than a page has, so that what was loaded before does not follow on it.
function keepPushed(pushed, path, page, next) {
    if (pushed.path !== path) Object.assign(pushed, {path, items: [], page: [], gap: false});
    const last = page.length ? page[page.length - 1].id : next;
    const end = next ? Number(last) : 0;
    const below = (r) => Number(r.id) < end;
    if (pushed.page !== page) {
        pushed.gap = pushed.page.length > 0 && pushed.page.every(below);
        pushed.items = pushed.gap ? [] : [...pushed.page, ...pushed.items].filter(below);
        pushed.page = page;
    }
    return below;
}
// The newest runs, which come by themselves, and older ones as they are asked for. Rows never jump under
// the pointer: while `over`, new ones wait until they are asked for.
function useRuns(path, over) {
    const head = useApi(path, {on: (n) => n === 'run'});
    const [older, setOlder] = useState({path, items: [], next: undefined}),
        [shown, setShown] = useState({path: null, ids: null});
    const flying = useRef(false);
    const more = older.path === path ? older : {items: [], next: undefined};
    const next = more.next !== undefined ? more.next : head.data && head.data.next;
    const fresh = head.data ? head.data.items : NONE;
    const known = shown.path === path && shown.ids;
    const waiting = known && over.current ? fresh.filter((r) => !known.has(r.id)) : [];
    const pushed = useRef({}).current;
    const list = useMemo(() => {
        const below = keepPushed(pushed, path, fresh, head.data && head.data.next);
        const held = new Set(waiting.map((r) => r.id)),
            had = new Set(more.items.map((r) => r.id));
        return [
            ...fresh.filter((r) => !held.has(r.id)),
            ...pushed.items.filter((r) => !had.has(r.id)),
            ...more.items.filter(below),
        ];
    }, [head.data, older, waiting.length, path]);
    useEffect(() => {
        if (pushed.gap) setOlder({path, items: [], next: undefined});
    }, [head.data]);
    const showAll = () => setShown({path, ids: new Set(fresh.map((r) => r.id))});
    useEffect(() => {
        if (head.data && !waiting.length) showAll();
    }, [head.data, waiting.length]);
    const load = async () => {
        if (flying.current) return;
        flying.current = true;
        const page = await get(
            `${path.replace('limit=100', 'limit=500')}&cursor=${enc(next)}`,
        ).finally(() => (flying.current = false));
        setOlder({path, items: [...more.items, ...page.items], next: page.next});
    };
    return {head, list, next, waiting, showAll, load};
}
export function Runs() {
    useTitle('Runs');
    const [q, setQ] = useQuery('q');
    const [picked, setPicked] = useState(new Set());
    const box = useRef(null),
        over = useRef(false);
    useRows(box);
    const {head, list, next, waiting, showAll, load} = useRuns(
        `/runs?limit=100${q.trim() ? '&q=' + enc(q.trim()) : ''}`,
        over,
    );
    const pick = (id, on) =>
        setPicked((before) => {
            const after = new Set(before);
            after[on ? 'add' : 'delete'](id);
            return after;
        });
    useKeys({
        x: () => {
            const row = document.activeElement.closest('[data-run]');
            if (!row) return false;
            pick(row.dataset.run, !picked.has(row.dataset.run));
            return true;
        },
    });
    const showNew = () => {
        over.current = false;
        showAll();
    };
    const row = (r) =>
        html`<${RunRow} key=${r.id} run=${r} picked=${picked.has(r.id)} pick=${pick} />`;
    const rows = () =>
        html`<div
                onMouseEnter=${() => (over.current = true)}
                onMouseLeave=${() => (over.current = false)}
            >
                <${Titles} />
                <${Rows}
                    items=${list}
                    height=${innerWidth <= 640 ? 56 : 36}
                    label="Runs"
                    render=${row}
                />
            </div>
            ${next ? html`<${More} onMore=${load}>Older runs</${More}>` : null}`;
    return html`<section class="pad" ref=${box}>
        <${Head} title="Runs">
            <${Quick} q=${q} setQ=${setQ} />
            <${Search}
                value=${q}
                onInput=${setQ}
                label="Filter runs"
                hint="state:failed operator:ml.* since:24h"
            />
        </${Head}>
        ${picked.size ? html`<${Chosen} ids=${[...picked]} onDone=${() => setPicked(new Set())} />` : null}
        ${waiting.length ? html`<${NewRuns} n=${waiting.length} onShow=${showNew} />` : null}
        <${Loaded} of=${head} rows=${12}>${() =>
            list.length
                ? rows()
                : html`<${NoRuns}
                      q=${q}
                      next=${next}
                      onMore=${load}
                      onClear=${() => setQ('')}
                  />`}</${Loaded}>
    </section>`;
}
const Quick = ({q, setQ}) =>
    QUICK.map(
        ([name, value]) =>
            html`<button
                type="button"
                class="link"
                aria-pressed=${q === value}
                onClick=${() => setQ(value)}
            >
                ${name}
            </button>`,
    );
const NewRuns = ({n, onShow}) =>
    html`<p><button type="button" onClick=${onShow}>${plural(n, 'new run')}</button></p>`;
