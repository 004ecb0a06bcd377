// The list of DAGs: filter as you type, pause, what the last runs were, when the next one is.
import {html, useState, useEffect, useRef, enc, plural} from './lib.js';
import {useApi, all, call, prefetch} from './api.js';
import {Ago, duration, seconds, exactTime} from './format.js';
import {Dot, stateOf, runWord} from './state.js';
import {Loaded, Empty, Head, NoDags, Search, Rows, useRows, useTitle, toast} from './parts.js';
import {dagUrl, runUrl, useQuery} from './route.js';
import {useFailure} from './home.js';

const DAGS_MAX = 20000;
const SAVED = [
    ['all', ''],
    ['failed', 'state:failed'],
    ['broken', 'state:broken'],
    ['running', 'state:running'],
    ['paused', 'paused:true'],
    ['by hand', 'schedule:none'],
];

// One term, as a function of a DAG. What the page does not know (the state of a last run that it
// has not seen) the server has looked at.
function termTest(word) {
    const at = word.indexOf(':'),
        key = word.slice(0, Math.max(0, at)),
        value = word.slice(at + 1);
    if (key === 'tag') return (d) => d.tags.some((t) => t.toLowerCase() === value);
    if (key === 'paused') return (d) => String(d.paused) === value;
    if (key === 'valid') return (d) => String(d.valid) === value;
    if (key === 'schedule')
        return (d) =>
            value === 'none'
                ? !d.schedule.length
                : d.schedule.join(' ').toLowerCase().includes(value);
    if (key === 'state') return (d) => lastState(d, value) === value;
    if (key) return () => true;
    return (d) =>
        d.id.includes(word) ||
        (d.description || '').toLowerCase().includes(word) ||
        d.tags.some((t) => t.toLowerCase().includes(word));
}
// What is not known here is as the server has found it.
function lastState(d, found) {
    if (!d.valid && found === 'broken') return found;
    return d.version ? (lastStates.get(d.id) ?? found) : 'never ran';
}
// "tag:ml -paused:true text" as a function of a DAG.
export function dagFilter(query) {
    const words = query.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const tests = words.map((w) => {
        const test = termTest(w.replace(/^-/, ''));
        return w.startsWith('-') ? (d) => !test(d) : test;
    });
    return (d) => tests.every((t) => t(d));
}
const lastStates = new Map(); // of DAGs whose runs were seen

export function PauseSwitch({dag, onDone}) {
    const [shown, set] = useState(null);
    const paused = shown ?? dag.paused;
    const change = async () => {
        set(!paused);
        try {
            await call('PATCH', '/dags/' + enc(dag.id), {paused: !paused});
            if (onDone) onDone();
        } catch (e) {
            toast(`${dag.id} was not ${paused ? 'started again' : 'paused'}: ${e.message}`, {
                kind: 'error',
            });
            set(null);
        }
    };
    useEffect(() => set(null), [dag.paused]);
    return html`<button
        type="button"
        class="switch"
        role="switch"
        aria-checked=${!paused}
        aria-label=${`Schedule of ${dag.id}`}
        title=${paused ? 'Paused: its schedule rests' : 'Its schedule is on'}
        onClick=${change}
    ></button>`;
}
export function Bars({runs}) {
    const max = Math.max(0.001, ...runs.map((r) => seconds(r.started_at, r.finished_at) || 0));
    return html`<span
        class="bars"
        role="group"
        aria-label=${`The last ${plural(runs.length, 'run')}: ${runs.map((r) => r.state).join(', ')}`}
    >
        ${[...runs]
            .reverse()
            .map(
                (r) =>
                    html`<a
                        tabindex="-1"
                        key=${r.id}
                        class=${'s-' + stateOf(r.state)}
                        href=${runUrl(r.id)}
                        title=${`run ${r.id}: ${r.state}, ${duration(seconds(r.started_at, r.finished_at))}`}
                        style=${{height: Math.max(3, (24 * (seconds(r.started_at, r.finished_at) || 0)) / max) + 'px'}}
                    ></a>`,
            )}</span
    >`;
}
// All DAGs that the server finds, page after page; again and again, since files come and go.
function useDags(q) {
    const [state, set] = useState({q: null});
    const again = useRef(null);
    useEffect(() => {
        let gone = false,
            timer = null;
        const path = `/dags?limit=1000${q ? '&q=' + enc(q) : ''}`;
        const load = async () => {
            const begun = Date.now();
            clearTimeout(timer);
            try {
                const data = await all(path, DAGS_MAX);
                if (!gone) set({q, data});
            } catch (error) {
                if (!gone) set((s) => ({...s, error}));
            }
            // What takes long is asked for less often.
            if (!gone) timer = setTimeout(load, Math.max(3000, 20 * (Date.now() - begun)));
        };
        again.current = load;
        load();
        return () => {
            gone = true;
            clearTimeout(timer);
        };
    }, [q]);
    return {data: state.data, error: state.error, reload: () => again.current()};
}

// How the newer half of some durations stands to the older one: "↗ 20%" when it is off by a tenth.
function trendOf(times) {
    const half = Math.floor(times.length / 2);
    if (half < 3) return null;
    const [now, before] = [middle(times.slice(0, half)), middle(times.slice(-half))];
    const by = Math.round((100 * (now - before)) / before);
    return Math.abs(by) < 10 || !Number.isFinite(by)
        ? {glyph: '→', by}
        : {glyph: by > 0 ? '↗' : '↘', by};
}
const middle = (list) => [...list].sort((a, b) => a - b)[Math.floor((list.length - 1) / 2)];

function Row({dag, reload}) {
    const mine = {on: (n, d) => n === 'run' && d.dag === dag.id, gap: 500};
    const {data} = useApi(dag.version ? `/dags/${enc(dag.id)}/runs?limit=20` : null, mine);
    const month = useApi(dag.version ? `/runs/counts?dag=${enc(dag.id)}&since=720h` : null, {
        ...mine,
        gap: 3000,
    });
    const runs = data ? data.items : [],
        last = runs[0];
    if (data) lastStates.set(dag.id, last ? last.state : 'never ran');
    const times = runs
        .filter((r) => r.state === 'success')
        .map((r) => seconds(r.started_at, r.finished_at));
    return html`<div
        class="row"
        role="listitem"
        data-row
        onMouseEnter=${() => prefetch(`/dags/${enc(dag.id)}`)}
    >
        ${dag.version ? html`<${PauseSwitch} dag=${dag} onDone=${reload} />` : html`<${NotLoaded} />`}
        <${Name} dag=${dag} />
        <span class="wide low"><${Bars} runs=${runs} /></span>
        <${Last} run=${last} known=${data} loaded=${dag.version} />
        <${Next} dag=${dag} />
        <${Usual} times=${times} />
        <${Rate} counts=${month.data} />
        ${dag.version && dag.valid ? html`<${TriggerLink} id=${dag.id} />` : html`<${NotRunnable} />`}
    </div>`;
}
function Name({dag}) {
    const e = dag.errors[0];
    const where = e && [e.file, e.line, e.column].filter((x) => x != null).join(':');
    const what = e
        ? html`<span class="err" title=${e.message}
              >${where}: ${e.message}${e.hint ? ` — ${e.hint}` : ''}
              ${dag.version ? `(version ${dag.version} still runs)` : '(never loaded)'}</span
          >`
        : html`<span class="muted">${dag.description}</span>`;
    return html`<span class="main"
        ><a href=${dagUrl(dag.id, dag.version ? '' : 'code')}><b>${dag.id}</b></a>
        ${dag.tags.map((t) => html`<span class="tag">${t}</span> `)} ${what}</span
    >`;
}
function Last({run, known, loaded}) {
    const failure = useFailure(run && run.state === 'failed' ? run : null);
    if (!loaded) return html`<span class="w-l last muted">never loaded</span>`;
    if (!run) return html`<span class="w-l last muted">${known ? 'never ran' : ''}</span>`;
    const title = failure ? `${failure.task}: ${failure.error}` : run.state;
    return html`<span class="w-l last">
        <${Dot} state=${run.state} />
        ${failure ? null : html`<span class="muted">${runWord(run)}</span> `}
        <a href=${runUrl(run.id)} title=${title}
            ><${Ago} at=${run.finished_at || run.started_at || run.created_at}
        /></a>
        ${failure ? html` <span class="err" title=${title}>${failure.error}</span>` : null}</span
    >`;
}
// Why the clock will not start a DAG.
function whyNoFire(dag) {
    if (!dag.version) return '';
    if (!dag.schedule.length) return 'by hand';
    if (dag.schedule.some((s) => s.startsWith('dataset'))) return 'with data';
    return dag.end && new Date(dag.end) < new Date() ? 'ended' : '–';
}
function Next({dag}) {
    const at = dag.next_fire_at;
    const text = dag.paused
        ? html`<span class="muted">paused</span>`
        : at
          ? html`<${Ago} at=${at} />`
          : html`<span class="muted">${whyNoFire(dag)}</span>`;
    return html`<span class="w-m wide" title=${at ? exactTime(at) : dag.schedule.join(', ')}
        >${text}</span
    >`;
}
function Usual({times}) {
    const trend = trendOf(times);
    const change = trend ? `; the newer half took ${trend.by >= 0 ? '+' : ''}${trend.by}%` : '';
    return html`<span
        class="w-m right num wide low"
        title=${`median of the last ${plural(times.length, 'run')} that succeeded${change}`}
        >${times.length ? duration(middle(times)) : ''}${trend ? html` <span class="muted">${trend.glyph}</span>` : null}</span
    >`;
}
function Rate({counts}) {
    const ended = counts ? counts.success + counts.failed : 0;
    return html`<span
        class="w-s right num wide low"
        title=${`${counts ? counts.success : 0} of ${ended} runs that ended in 30 days succeeded`}
        >${ended ? Math.round((100 * counts.success) / ended) + '%' : ''}</span
    >`;
}
const Titles = () =>
    html`<div class="row titles" aria-hidden="true">
        <span class="switched"></span><span class="main">DAG</span>
        <span class="low bars-title">last 20 runs</span><span class="w-l last">last</span>
        <span class="w-m">next</span><span class="w-m right low">median</span>
        <span class="w-s right low">30 days</span><span class="go"></span>
    </div>`;

const HINT = 'name, tag:ml state:failed paused:true';
const Saved = ({saved: [name, terms], q}) =>
    html`<a
        href=${'/ui/dags' + (terms ? '?q=' + enc(terms) : '')}
        aria-current=${q.trim() === terms ? 'page' : undefined}
        >${name}</a
    >`;
const NotLoaded = () => html`<span class="switched"><${Dot} state="failed" /></span>`;
const NotRunnable = () => html`<span class="wide go"></span>`;
const TriggerLink = ({id}) =>
    html`<a
        class="button wide"
        href=${dagUrl(id, 'trigger')}
        aria-label=${'Trigger ' + id}
        title="Trigger"
        >▶</a
    >`;
export function Dags() {
    useTitle('DAGs');
    const [q, setQ] = useQuery('q');
    const box = useRef(null);
    // The page filters what it knows; what only the server knows it is asked for.
    const words = q
        .trim()
        .split(/\s+/)
        .filter((w) => /^-?(state|operator|task|dag):./.test(w));
    const dags = useDags(words.join(' '));
    useRows(box);
    const found = (data) =>
        html`<${Found} data=${data} q=${q} setQ=${setQ} reload=${dags.reload} />`;
    return html`<section class="pad" ref=${box}>
        <${Head} title="DAGs"><${Search} value=${q} onInput=${setQ} label="Filter DAGs" hint=${HINT} /></${Head}>
        <nav class="saved" aria-label="Filters">${SAVED.map((saved) => html`<${Saved} saved=${saved} q=${q} />`)}</nav>
        <${Loaded} of=${dags} rows=${10}>${found}</${Loaded}>
    </section>`;
}
function Found({data, q, setQ, reload}) {
    const items = data.items.filter(dagFilter(q));
    if (!data.items.length && !q.trim()) return html`<${NoDags} />`;
    if (!items.length)
        return html`<${Empty}>No DAG fits ‘${q}’.
            <button type="button" onClick=${() => setQ('')}>Clear the filter</button></${Empty}>`;
    const n =
        items.length === data.items.length
            ? plural(items.length, 'DAG')
            : `${items.length} of ${data.items.length} DAGs`;
    return html`<p class="muted">${n}</p>
        <${Titles} />
        <${Rows}
            items=${items}
            height=${innerWidth <= 640 ? 56 : 36}
            label="DAGs"
            render=${(d) => html`<${Row} key=${d.id} dag=${d} reload=${reload} />`}
        />`;
}
