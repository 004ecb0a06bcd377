// The list of DAGs: filter as you type, pause, what the last runs were, when the next one is.
import {html, useState, useEffect, useRef, enc, plural} from './lib.js';
import {useApi, call, prefetch} from './api.js';
import {Ago, duration, seconds, ago, exactTime} from './format.js';
import {Dot, stateOf} from './state.js';
import {Loaded, Empty, Head, Search, Rows, useRows, useTitle, toast} from './parts.js';
import {dagUrl, runUrl, useQuery} from './route.js';
import {useFailure} from './home.js';

// "tag:ml paused:true text" as a function of a DAG and its last run.
export function dagFilter(query) {
    const tests = query
        .trim()
        .toLowerCase()
        .split(/\s+/)
        .filter(Boolean)
        .map((w) => {
            const [key, value] = w.includes(':')
                ? [w.slice(0, w.indexOf(':')), w.slice(w.indexOf(':') + 1)]
                : ['', w];
            if (key === 'tag') return (d) => d.tags.some((t) => t.toLowerCase() === value);
            if (key === 'paused') return (d) => String(d.paused) === value;
            if (key === 'schedule')
                return (d) =>
                    value === 'none'
                        ? !d.schedule.length
                        : d.schedule.join(' ').toLowerCase().includes(value);
            if (key === 'state')
                return (d) => (value === 'broken' ? !d.valid : d.last_state === value);
            return (d) =>
                d.id.includes(w) ||
                (d.description || '').toLowerCase().includes(w) ||
                d.tags.some((t) => t.toLowerCase().includes(w));
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
function Row({dag, reload}) {
    const {data} = useApi(dag.version ? `/dags/${enc(dag.id)}/runs?limit=20` : null, {
        on: (n, d) => n === 'run' && d.dag === dag.id,
        gap: 500,
    });
    const runs = data ? data.items : [],
        last = runs[0];
    if (last) lastStates.set(dag.id, last.state);
    const ended = runs.filter((r) => ['success', 'failed'].includes(r.state)),
        ok = ended.filter((r) => r.state === 'success');
    const times = ok.map((r) => seconds(r.started_at, r.finished_at)).sort((a, b) => a - b);
    const failure = useFailure(last && last.state === 'failed' ? last : null);
    const error = dag.errors[0];
    return html`<div
        class="row"
        role="listitem"
        data-row
        onMouseEnter=${() => prefetch(`/dags/${enc(dag.id)}`)}
    >
        ${dag.version ? html`<${PauseSwitch} dag=${dag} onDone=${reload} />` : html`<span style=${{width: '32px'}}><${Dot} state="failed" /></span>`}
        <span class="main"
            ><a href=${dagUrl(dag.id, dag.version ? '' : 'code')}><b>${dag.id}</b></a>
            ${dag.tags.map((t) => html`<span class="tag">${t}</span> `)}
            ${
                error
                    ? html`<span class="err" title=${error.message}
                          >${[error.file, error.line, error.column].filter((x) => x != null).join(':')}:
                          ${error.message}${error.hint ? ` — ${error.hint}` : ''}
                          ${dag.version ? `(version ${dag.version} still runs)` : '(never loaded)'}</span
                      >`
                    : html`<span class="muted">${dag.description}</span>`
            }</span
        >
        <span class="wide low"><${Bars} runs=${runs} /></span>
        <span class="w-l"
            >${
                last
                    ? html`<${Dot} state=${last.state} />
                          <a
                              href=${runUrl(last.id)}
                              title=${failure ? `${failure.task}: ${failure.error}` : last.state}
                              ><${Ago} at=${last.finished_at || last.started_at || last.created_at}
                          /></a>
                          ${failure ? html` <span class="err">${failure.task}</span>` : null}`
                    : html`<span class="muted">${data ? 'never ran' : ''}</span>`
            }</span
        >
        <span class="w-m wide" title=${dag.next_fire_at ? exactTime(dag.next_fire_at) : ''}
            >${dag.paused ? html`<span class="muted">paused</span>` : dag.next_fire_at ? html`<${Ago} at=${dag.next_fire_at} />` : html`<span class="muted">${dag.schedule.length ? '–' : 'by hand'}</span>`}</span
        >
        <span class="w-m right num wide low" title="median of the last 20 runs that succeeded"
            >${times.length ? duration(times[Math.floor((times.length - 1) / 2)]) : ''}</span
        >
        <span
            class="w-s right num wide low"
            title=${`${ok.length} of the last ${ended.length} ended runs succeeded`}
            >${ended.length ? Math.round((100 * ok.length) / ended.length) + '%' : ''}</span
        >
        ${dag.version && dag.valid ? html`<a class="button wide" href=${dagUrl(dag.id, 'trigger')} aria-label=${'Trigger ' + dag.id} title="Trigger">▶</a>` : html`<span class="wide" style=${{width: '34px'}}></span>`}
    </div>`;
}

export function Dags() {
    useTitle('DAGs');
    const [q, setQ] = useQuery('q');
    const box = useRef(null);
    const dags = useApi('/dags', {on: (n) => n === 'run', gap: 3000, every: 3000});
    useRows(box);
    return html`<section class="pad" ref=${box}><${Head} title="DAGs"><${Search} value=${q} onInput=${setQ} label="Filter DAGs" hint="name, tag:ml state:failed paused:true" /></${Head}>
        <${Loaded} of=${dags} rows=${10}>${(data) => {
            const test = dagFilter(q),
                items = data.items.filter((d) => test({...d, last_state: lastStates.get(d.id)}));
            if (!data.items.length)
                return html`<div class="box">
                    <b>No DAG yet.</b> Put a file in <code>dags/</code>: it is here within a second.
                    <code>nexus init</code> writes an example.
                </div>`;
            if (!items.length)
                return html`<${Empty}>No DAG fits ‘${q}’; it hides ${data.items.length}. <button type="button" onClick=${() => setQ('')}>Clear the filter</button></${Empty}>`;
            return html`<p class="muted">
                    ${items.length === data.items.length ? plural(items.length, 'DAG') : `${items.length} of ${data.items.length} DAGs`}
                </p>
                <div class="row titles" aria-hidden="true">
                    <span style=${{width: '32px'}}></span><span class="main">DAG</span
                    ><span class="low" style=${{width: '140px', textAlign: 'right'}}
                        >last 20 runs</span
                    ><span class="w-l">last</span><span class="w-m">next</span
                    ><span class="w-m right low">median</span
                    ><span class="w-s right low">success</span
                    ><span style=${{width: '34px'}}></span>
                </div>
                <${Rows}
                    items=${items}
                    height=${innerWidth <= 640 ? 56 : 36}
                    label="DAGs"
                    render=${(d) => html`<${Row} key=${d.id} dag=${d} reload=${dags.reload} />`}
                />`;
        }}</${Loaded}></section>`;
}
