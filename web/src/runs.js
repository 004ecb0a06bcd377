// All runs; one run; two runs compared.
import {html, useState, useEffect, useMemo, useRef, enc, plural} from './lib.js';
import {useApi, get, post, runPath, taskPath, taskName} from './api.js';
import {Ago, Time, Took, duration, seconds, exactTime, number, bytes} from './format.js';
import {Dot, Pill, CountsBar, runWord, isFinal, word, STATES} from './state.js';
import {
    Loaded,
    Empty,
    Head,
    Tabs,
    Search,
    Rows,
    useRows,
    useTitle,
    useKeys,
    ErrorBox,
    Command,
    Facts,
    Json,
    toast,
    lastLine,
    Bar,
    More,
    Copy,
} from './parts.js';
import {useQuery, route, go, withQuery, runUrl, dagUrl, taskUrl} from './route.js';
import {useFailure, mediansOf} from './home.js';
import {Actions} from './actions.js';
import {FailedBox, Params, RunFacts, useStates} from './pane.js';
import {Graph} from './graph.js';
import {Gantt} from './gantt.js';

function RunRow({run, picked, pick, medians}) {
    const failure = useFailure(run);
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
        <span class="main"
            >${failure ? html`<a href=${taskUrl(run.id, failure.task)}>${failure.task}</a>: <code class="err">${failure.error}</code>` : html`<span class="muted">${runWord(run)}${run.note ? ' · ' + run.note : ''}</span>`}</span
        >
        <span class="w-m wide muted low">${run.cause}</span
        ><span class="w-l wide low"><${Time} at=${run.interval.start} /></span>
        <span class="w-m"><${Ago} at=${run.started_at || run.created_at} /></span
        ><span class="w-m right wide"
            ><${Took} from=${run.started_at} to=${run.finished_at}
        /></span>
    </div>`;
}
export function Runs() {
    useTitle('Runs');
    const [q, setQ] = useQuery('q');
    const path = `/runs?limit=100${q.trim() ? '&q=' + enc(q.trim()) : ''}`;
    const head = useApi(path, {on: (n) => n === 'run'});
    const [older, setOlder] = useState({path, items: [], next: undefined});
    const [shown, setShown] = useState({path: null, ids: null});
    const [picked, setPicked] = useState(new Set());
    const box = useRef(null),
        over = useRef(false),
        flying = useRef(false);
    useRows(box);
    const more = older.path === path ? older : {items: [], next: undefined};
    const next = more.next !== undefined ? more.next : head.data && head.data.next;
    const fresh = head.data ? head.data.items : [];
    // Rows never jump under the pointer: new ones wait until they are asked for.
    const known = shown.path === path && shown.ids;
    const waiting = known && over.current ? fresh.filter((r) => !known.has(r.id)) : [];
    // What new runs have pushed out of the first page lies between it and the older ones.
    const pushed = useRef({});
    const list = useMemo(() => {
        const held = new Set(waiting.map((r) => r.id)),
            had = new Set(more.items.map((r) => r.id));
        const last = fresh.length ? fresh[fresh.length - 1].id : head.data && head.data.next;
        const end = head.data && head.data.next ? Number(last) : 0;
        const below = (r) => Number(r.id) < end;
        if (pushed.current.path !== path) pushed.current = {path, items: [], page: []};
        const p = pushed.current;
        if (p.data !== head.data) {
            p.gap = p.page.length > 0 && p.page.every(below);
            p.items = p.gap ? [] : [...p.page, ...p.items].filter(below);
            p.page = fresh;
            p.data = head.data;
        }
        return [
            ...fresh.filter((r) => !held.has(r.id)),
            ...p.items.filter((r) => !had.has(r.id)),
            ...more.items.filter(below),
        ];
    }, [head.data, older, waiting.length, q]);
    useEffect(() => {
        // More came at once than a page has: what was loaded does not follow on it.
        if (pushed.current.gap) setOlder({path, items: [], next: undefined});
    }, [head.data]);
    useEffect(() => {
        if (head.data && !waiting.length) setShown({path, ids: new Set(fresh.map((r) => r.id))});
    }, [head.data, waiting.length]);
    const load = async () => {
        if (flying.current) return;
        flying.current = true;
        const page = await get(
            `${path.replace('limit=100', 'limit=500')}&cursor=${enc(next)}`,
        ).finally(() => (flying.current = false));
        setOlder({path, items: [...more.items, ...page.items], next: page.next});
    };
    const bulk = async (what) => {
        const done = await Promise.allSettled(
            [...picked].map((id) =>
                post(runPath(id) + '/' + what, what === 'retry' ? {failed: true} : {}),
            ),
        );
        const bad = done.filter((d) => d.status === 'rejected');
        toast(
            `${done.length - bad.length} of ${plural(done.length, 'run')}: ${what} accepted${bad.length ? `; ${bad[0].reason.message}` : ''}`,
            {kind: bad.length ? 'error' : 'info'},
        );
        setPicked(new Set());
    };
    const pick = (id, on) =>
        setPicked((s) => {
            const n = new Set(s);
            n[on ? 'add' : 'delete'](id);
            return n;
        });
    useKeys({
        x: () => {
            const row = document.activeElement.closest('[data-run]');
            if (!row) return false;
            pick(row.dataset.run, !picked.has(row.dataset.run));
            return true;
        },
    });
    const quick = [
        ['all', ''],
        ['failed', 'state:failed since:24h'],
        ['running', 'state:running'],
        ['late', 'late:true since:168h'],
    ];
    const chosen = [...picked];
    return html`<section class="pad" ref=${box}><${Head} title="Runs">${quick.map(([name, value]) => html`<button type="button" class="link" aria-pressed=${q === value} onClick=${() => setQ(value)}>${name}</button>`)}
            <${Search} value=${q} onInput=${setQ} label="Filter runs" hint="state:failed operator:ml.* since:24h -dag:test_*" /></${Head}>
        ${
            chosen.length
                ? html`<p class="toolbar">
                      <b>${plural(chosen.length, 'run')} chosen</b
                      ><button type="button" onClick=${() => bulk('retry')}>
                          Retry ${plural(chosen.length, 'run')}</button
                      ><button type="button" class="danger" onClick=${() => bulk('cancel')}>
                          Cancel ${plural(chosen.length, 'run')}
                      </button>
                      ${chosen.length === 2 ? html`<a class="button" href=${`/ui/runs/compare?a=${chosen[0]}&b=${chosen[1]}`}>Compare</a>` : null}<button
                          type="button"
                          class="link"
                          onClick=${() => setPicked(new Set())}
                      >
                          none
                      </button>
                  </p>`
                : null
        }
        ${
            waiting.length
                ? html`<p>
                      <button
                          type="button"
                          onClick=${() => {
                              over.current = false;
                              setShown({path, ids: new Set(fresh.map((r) => r.id))});
                          }}
                      >
                          ${plural(waiting.length, 'new run')}
                      </button>
                  </p>`
                : null
        }
        <${Loaded} of=${head} rows=${12}>${() =>
            list.length
                ? html`<div
                          onMouseEnter=${() => (over.current = true)}
                          onMouseLeave=${() => (over.current = false)}
                      >
                          <div class="row titles" aria-hidden="true">
                              <span style=${{width: '16px'}}></span><span class="w-l">DAG</span
                              ><span class="w-s">run</span
                              ><span class="main">what became of it</span
                              ><span class="w-m low">cause</span
                              ><span class="w-l low">interval from</span
                              ><span class="w-m">began</span><span class="w-m right">took</span>
                          </div>
                          <${Rows}
                              items=${list}
                              height=${innerWidth <= 640 ? 56 : 36}
                              label="Runs"
                              render=${(r) => html`<${RunRow} key=${r.id} run=${r} picked=${picked.has(r.id)} pick=${pick} />`}
                          />
                      </div>
                      ${next ? html`<${More} onMore=${load}>Older runs</${More}>` : null}`
                : next
                  ? html`<p class="muted">None of the newest runs fits ‘${q}’; those before them are looked at …</p>
                        <${More} onMore=${load}>Older runs</${More}>`
                  : q
                    ? html`<${Empty}>No run fits ‘${q}’. <button type="button" onClick=${() => setQ('')}>Clear the filter</button></${Empty}>`
                    : html`<${Empty}>Nothing ran yet. <a href="/ui/dags">Start a DAG</a>, or <code>nexus trigger DAG</code>.</${Empty}>`}</${Loaded}></section>`;
}

// ---- One run ----
const VIEWS = [
    ['tasks', 'Tasks'],
    ['logs', 'Logs'],
    ['graph', 'Graph'],
    ['gantt', 'Gantt'],
    ['params', 'Params'],
    ['outputs', 'Outputs'],
    ['explain', 'Explain'],
    ['events', 'Events'],
    ['code', 'Code'],
];
export function Run({run: id}) {
    const [view, setView] = useQuery('view', 'tasks', {replace: false});
    const run = useApi(runPath(id), {on: (n, d) => (n === 'run' || n === 'task') && d.run === id});
    const near = useApi(run.data ? `/dags/${enc(run.data.dag)}/runs?limit=50` : null, {
        on: (n, d) => n === 'run' && run.data && d.dag === run.data.dag,
        gap: 1000,
    });
    const r = run.data;
    useTitle(r ? `${STATES[r.state] ? STATES[r.state][0] : '○'} ${r.dag} ${id}` : `run ${id}`);
    const others = near.data ? near.data.items.map((x) => x.id) : [];
    const by = (n) => () => {
        const at = others.indexOf(id),
            to = others[at + n];
        if (at >= 0 && to) go(runUrl(to) + location.search);
    };
    useKeys({
        '[': by(1),
        ']': by(-1),
        e: () => setView('explain'),
        t: () => r && go(dagUrl(r.dag, 'trigger')),
        l: () =>
            r &&
            r.tasks[0] &&
            go(
                taskUrl(
                    id,
                    taskName(
                        r.tasks.find((t) => t.state === 'failed') ||
                            r.tasks.find((t) => t.state === 'running') ||
                            r.tasks[0],
                    ),
                ),
            ),
    });
    if (run.error && run.error.status === 404)
        return html`<section class="pad">
            <h1>There is no run ${id}</h1>
            <p>
                ${run.error.message}. Runs are taken away by hand or by retention; the
                <a href="/ui/system/audit">audit list</a> says which.
            </p>
            <p><a href="/ui/runs">All runs</a></p>
        </section>`;
    return html`<${Loaded} of=${run} what="The run could not be loaded">${(
        r,
    ) => html`<section class="pad">
        <${Head} title=${html`<a href=${dagUrl(r.dag)}>${r.dag}</a> · run ${id}`} sub=${html`<${Pill} state=${r.state} word=${runWord(r)} /> <span class="muted"><${Ago} at=${r.started_at || r.created_at} /> · <${Took} from=${r.started_at} to=${r.finished_at} /></span>`}>
            <button type="button" aria-label="Older run" title="Older run ([)" disabled=${!others[others.indexOf(id) + 1]} onClick=${by(1)}>←</button><button type="button" aria-label="Newer run" title="Newer run (])" disabled=${others.indexOf(id) <= 0} onClick=${by(-1)}>→</button></${Head}>
        <${FailedBox} run=${r} />
        ${r.note ? html`<p class="box">${r.note}</p>` : null}
        <div class="toolbar"><${CountsBar} counts=${r.counts} href=${(s) => runUrl(id) + '?state=' + s} /><div class="grow"></div><${Actions} run=${r} tasks=${r.tasks.map((t) => t.task)} /></div>
        <${Tabs} current=${view} items=${VIEWS.map(([v, label]) => ({id: v, label, href: runUrl(id) + (v === 'tasks' ? '' : '?view=' + v)}))} />
        <${RunView} view=${view} run=${r} median=${near.data ? mediansOf(near.data.items)[r.dag] : null} /></section>`}</${Loaded}>`;
}
function RunView({view, run, median}) {
    const {query} = route.use();
    const id = run.id,
        states = useStates(run);
    switch (view) {
        case 'tasks':
            return html`<div class="runbody">
                <${TaskList} run=${run} state=${query.get('state')} />
                <h2>About it</h2>
                <${RunFacts} run=${run} median=${median} />
            </div>`;
        case 'logs':
            return html`<${Logs} run=${run} />`;
        case 'graph':
            return html`<${Graph}
                    dag=${run.dag}
                    version=${run.dag_version}
                    states=${states}
                    selected=${query.get('task')}
                    choose=${(t) => (query.get('task') === t ? go(taskUrl(id, t)) : go(withQuery({task: t}), {replace: true}))}
                    height=${520}
                />
                ${query.get('task') ? html`<p><a href=${taskUrl(id, query.get('task'))}>Open ${query.get('task')}</a></p>` : html`<p class="muted">Choose a task; choose it again to open it.</p>`}`;
        case 'gantt':
            return html`<${Gantt} run=${run} tasks=${run.tasks} selected=${query.get('task')} />`;
        case 'params':
            return html`<${RunParams} run=${run} />`;
        case 'outputs':
            return html`<${Outputs} run=${run} />`;
        case 'explain':
            return html`<${Explain} run=${run} />`;
        case 'events':
            return html`<${Events} run=${run} />`;
        case 'code':
            return html`<${RunCode} run=${run} />`;
        default:
            return html`<${Empty}>A run has no part ‘${view}’. <a href=${runUrl(id)}>Its tasks</a></${Empty}>`;
    }
}
function TaskList({run, state}) {
    const live = !isFinal(run.state);
    const many = useApi(state ? `${runPath(run.id)}/tasks?state=${enc(state)}` : null, {
        on: (n, d) => n === 'task' && d.run === run.id,
        gap: 500,
    });
    const tasks = state ? (many.data ? many.data.items : []) : run.tasks;
    const total = Object.values(run.counts).reduce((a, b) => a + b, 0);
    return html`${state ? html`<p>Only ${word(state)}: ${plural(tasks.length, 'task')}. <a href=${runUrl(run.id)}>All ${total}</a></p>` : total > run.tasks.length ? html`<p class="muted">The first ${run.tasks.length} of ${total}; the bar above filters by state.</p>` : null}
        <div class="row titles" aria-hidden="true">
            <span class="main">task</span><span class="w-l">state</span
            ><span class="w-s wide right">attempt</span><span class="w-m wide">worker</span
            ><span class="w-m wide">began</span><span class="w-m right">took</span>
        </div>
        <${Rows}
            items=${tasks}
            height=${innerWidth <= 640 ? 56 : 36}
            label="Tasks"
            render=${(t) =>
                html`<div class="row" role="listitem" data-row key=${taskName(t)}>
                    <span class="main"
                        ><${Dot} state=${t.state} />
                        <a href=${taskUrl(run.id, taskName(t))}>${taskName(t)}</a>
                        ${t.error ? html` <code class="err">${lastLine(t.error)}</code>` : t.reason && t.state !== 'success' ? html` <span class="muted">${t.reason.text}</span>` : null}
                        ${t.progress && t.state === 'running' ? html` <${Bar} value=${Math.round(100 * (t.progress.fraction || 0))} max=${100} /> <span class="muted">${t.progress.text}</span>` : null}</span
                    >
                    <span class="w-l">${word(t.state)}</span
                    ><span class="w-s wide right num"
                        >${t.attempt ? `${t.attempt}/${t.max_attempts}` : ''}</span
                    ><span class="w-m wide muted">${t.worker}</span
                    ><span class="w-m wide"><${Ago} at=${t.started_at} /></span
                    ><span class="w-m right"
                        ><${Took} from=${t.started_at} to=${t.finished_at}
                    /></span>
                </div>`}
        />`;
}
// The ends of all logs, in the order in which the tasks began.
function Logs({run}) {
    const begun = run.tasks
        .filter((t) => t.attempt && t.started_at)
        .sort((a, b) => a.started_at.localeCompare(b.started_at));
    if (!begun.length) return html`<${Empty}>No task has begun, so there is no log.</${Empty}>`;
    const shown = begun.slice(-40);
    return html`${begun.length > shown.length ? html`<p class="muted">The last ${shown.length} of ${begun.length} tasks that began.</p>` : null}${shown.map((t) => html`<${LogEnd} key=${taskName(t) + '/' + t.attempt} run=${run.id} t=${t} />`)}`;
}
function LogEnd({run, t}) {
    const name = taskName(t),
        {data} = useApi(`${taskPath(run, name)}/attempts/${t.attempt}/log?offset=-3000`, {
            every: isFinal(t.state) ? 0 : 1000,
            on: (n, d) => n === 'task' && d.run === run && d.task === t.task,
        });
    const lines = (data || '')
        .replace(/\x1b\[[0-9;]*[A-Za-z]/g, '')
        .trimEnd()
        .split('\n')
        .slice(-20);
    return html`<h2>
            <${Dot} state=${t.state} /> <a href=${taskUrl(run, name)}>${name}</a>
            <span class="muted">attempt ${t.attempt}</span>
        </h2>
        ${data ? html`<pre class="json">${lines.join('\n')}</pre>` : html`<${Empty}>${data === '' ? 'It wrote nothing.' : ''}</${Empty}>`}`;
}
function RunParams({run}) {
    const dag = useApi('/dags/' + enc(run.dag));
    const defaults = dag.data
        ? Object.fromEntries(dag.data.params.map((p) => [p.name, p.default]))
        : null;
    const link =
        dagUrl(run.dag, 'trigger') +
        '?' +
        new URLSearchParams(
            Object.entries(run.params).map(([k, v]) => [
                'p.' + k,
                typeof v === 'string' ? v : JSON.stringify(v),
            ]),
        );
    return html`<${Params}
            params=${run.params}
            defaults=${defaults}
        />${Object.keys(run.params).length ? html`<p><a href=${link}>Trigger with these</a></p>` : null}`;
}
function Outputs({run}) {
    const list = run.tasks.filter((t) => t.outputs && Object.keys(t.outputs).length);
    if (!list.length)
        return html`<${Empty}>No task has put anything out${isFinal(run.state) ? '' : ' yet'}.</${Empty}>`;
    return list.map(
        (t) =>
            html`<h2><a href=${taskUrl(run.id, taskName(t))}>${taskName(t)}</a></h2>
                <${OutputTable} outputs=${t.outputs} />`,
    );
}
// An artifact in a line, with all that is known of it behind it.
function Artifact({v}) {
    const line = [
        v.kind,
        v.rows != null && `${number(v.rows)} rows`,
        v.columns && plural(v.columns.length, 'column'),
        v.bytes != null && bytes(v.bytes),
    ]
        .filter(Boolean)
        .join(' · ');
    return html`<details>
        <summary>${line} <code class="muted">${v.artifact.slice(0, 15)}</code></summary>
        <p><code>${v.artifact}</code> <${Copy} text=${v.artifact} /></p>
        ${
            v.columns
                ? html`<table class="list">
                      <thead>
                          <tr>
                              <th>Column</th>
                              <th>Type</th>
                          </tr>
                      </thead>
                      <tbody>
                          ${v.columns.map(
                              (c) =>
                                  html`<tr>
                                      <td>${c.name}</td>
                                      <td>${c.type}</td>
                                  </tr>`,
                          )}
                      </tbody>
                  </table>`
                : html`<${Json} value=${v} />`
        }
    </details>`;
}
export function OutputTable({outputs}) {
    return html`<table class="list">
        <tbody>
            ${Object.entries(outputs).map(
                ([k, v]) =>
                    html`<tr>
                        <td style=${{width: '200px'}}>${k}</td>
                        <td>
                            ${v && typeof v.artifact === 'string' ? html`<${Artifact} v=${v} />` : typeof v === 'object' && v ? html`<${Json} value=${v} />` : typeof v === 'number' ? html`<span title=${String(v)}>${v}</span>` : String(v)}
                        </td>
                    </tr>`,
            )}
        </tbody>
    </table>`;
}
export function Explain({run, task}) {
    const why = useApi(`${runPath(run.id)}/explain${task ? '?task=' + enc(task) : ''}`, {
        on: (n, d) => (n === 'task' || n === 'run') && d.run === run.id,
        gap: 500,
        every: isFinal(run.state) ? 0 : 2000,
    });
    return html`<${Loaded} of=${why}>${(d) =>
        html`<table class="list">
                <thead>
                    <tr>
                        <th>Task</th>
                        <th>State</th>
                        <th>Why</th>
                        <th>Since</th>
                    </tr>
                </thead>
                <tbody>
                    ${d.items.map((t) =>
                        t.reasons.map(
                            (x, i) =>
                                html`<tr>
                                    <td>
                                        ${i ? '' : html`<a href=${taskUrl(run.id, taskName(t))}>${taskName(t)}</a>`}
                                    </td>
                                    <td>
                                        ${i ? '' : html`<${Dot} state=${t.state} /> ${word(t.state)}`}
                                    </td>
                                    <td>${x.text}</td>
                                    <td><${Ago} at=${x.since} /></td>
                                </tr>`,
                        ),
                    )}
                </tbody>
            </table>
            <${Command}
                text=${`nexus explain ${run.id}${task ? ' ' + task : ''}`}
            />`}</${Loaded}>`;
}
// What was done to the run, and what became of its tasks, in order.
function Events({run}) {
    const audit = useApi('/audit?limit=500', {
        on: (n, d) => n === 'run' && d.run === run.id,
        gap: 1000,
    });
    const list = [{at: run.created_at, text: `made: ${run.cause}`}];
    if (run.started_at) list.push({at: run.started_at, text: 'began'});
    if (run.late_at) list.push({at: run.late_at, text: 'was late'});
    if (run.finished_at) list.push({at: run.finished_at, text: `ended: ${runWord(run)}`});
    for (const t of run.tasks.slice(0, 300)) {
        if (t.ready_at) list.push({at: t.ready_at, text: `${taskName(t)} was ready`});
        if (t.started_at)
            list.push({
                at: t.started_at,
                text: `${taskName(t)} began, attempt ${t.attempt}${t.worker ? ' on ' + t.worker : ''}`,
            });
        if (t.finished_at)
            list.push({
                at: t.finished_at,
                text: `${taskName(t)}: ${word(t.state)}${t.reason ? ', ' + t.reason.text : ''}`,
            });
    }
    for (const a of audit.data ? audit.data.items : [])
        if (a.what.startsWith('run.') && a.target === run.id)
            list.push({
                at: a.at,
                text: `${a.who}: ${a.what} ${a.detail ? JSON.stringify(a.detail) : ''}`,
            });
    list.sort((a, b) => a.at.localeCompare(b.at));
    return html`<table class="list">
        <tbody>
            ${list.map(
                (e) =>
                    html`<tr>
                        <td style=${{width: '220px'}}>${exactTime(e.at)}</td>
                        <td>${e.text}</td>
                    </tr>`,
            )}
        </tbody>
    </table>`;
}
function RunCode({run}) {
    const [Parts, setParts] = useState(null);
    const then = useApi(`/dags/${enc(run.dag)}/source?version=${enc(run.dag_version)}`),
        now = useApi(`/dags/${enc(run.dag)}/source`);
    useEffect(() => {
        import('./dags.js').then((m) => setParts({Source: m.Source, Diff: m.Diff}));
    }, []);
    if (!Parts) return null;
    return html`<${Loaded} of=${then}>${(text) =>
        html`<p class="muted">Version ${run.dag_version}, as it ran.</p>
            ${
                now.data && now.data !== text
                    ? html`<h2>What has changed since</h2>
                          <${Parts.Diff} before=${text} after=${now.data} />`
                    : now.data
                      ? html`<p>Nothing has changed since.</p>`
                      : null
            }
            <h2>Source</h2>
            <${Parts.Source} text=${text} />`}</${Loaded}>`;
}

// ---- Two runs ----
export function Compare() {
    const [a] = useQuery('a'),
        [b] = useQuery('b');
    useTitle('Compare runs');
    const one = useApi(a ? runPath(a) : null),
        two = useApi(b ? runPath(b) : null);
    if (!a || !b)
        return html`<section class="pad"><h1>Compare runs</h1><${Empty}>Choose two runs in <a href="/ui/runs">the list</a>.</${Empty}></section>`;
    return html`<section class="pad"><h1>Run ${a} and run ${b}</h1><${Loaded} of=${one}>${(x) =>
        html`<${Loaded} of=${two}>${(y) => {
            const names = [...new Set([...Object.keys(x.params), ...Object.keys(y.params)])];
            const tasks = [...new Set([...x.tasks, ...y.tasks].map(taskName))].slice(0, 500),
                find = (r, n) => r.tasks.find((t) => taskName(t) === n);
            const took = (t) => (t && t.started_at ? seconds(t.started_at, t.finished_at) : null);
            const cell = (t) =>
                t
                    ? html`<${Dot} state=${t.state} /> ${word(t.state)}
                          <span class="num muted">${t.started_at ? duration(took(t)) : ''}</span>`
                    : html`<span class="muted">no such task</span>`;
            return html`<table class="list">
                <thead>
                    <tr>
                        <td></td>
                        <th><a href=${runUrl(a)}>Run ${a}</a></th>
                        <th><a href=${runUrl(b)}>Run ${b}</a></th>
                        <th class="r">Difference</th>
                    </tr>
                </thead>
                <tbody>
                    <tr>
                        <td>State</td>
                        <td><${Pill} state=${x.state} word=${runWord(x)} /></td>
                        <td><${Pill} state=${y.state} word=${runWord(y)} /></td>
                        <td></td>
                    </tr>
                    <tr>
                        <td>DAG</td>
                        <td>${x.dag} version ${x.dag_version}</td>
                        <td>${y.dag} version ${y.dag_version}</td>
                        <td></td>
                    </tr>
                    <tr>
                        <td>Took</td>
                        <td><${Took} from=${x.started_at} to=${x.finished_at} /></td>
                        <td><${Took} from=${y.started_at} to=${y.finished_at} /></td>
                        <td class="r num">
                            ${x.finished_at && y.finished_at ? duration(Math.abs(took(y) - took(x))) + (took(y) > took(x) ? ' longer' : ' shorter') : ''}
                        </td>
                    </tr>
                    ${names.map(
                        (n) =>
                            html`<tr>
                                <td>param ${n}</td>
                                <td><code>${JSON.stringify(x.params[n])}</code></td>
                                <td><code>${JSON.stringify(y.params[n])}</code></td>
                                <td class="r">
                                    ${JSON.stringify(x.params[n]) === JSON.stringify(y.params[n]) ? '' : html`<b>differs</b>`}
                                </td>
                            </tr>`,
                    )}
                    ${tasks.map(
                        (n) =>
                            html`<tr>
                                <td>${n}</td>
                                <td>${cell(find(x, n))}</td>
                                <td>${cell(find(y, n))}</td>
                                <td class="r num">
                                    ${took(find(x, n)) != null && took(find(y, n)) != null ? (took(find(y, n)) - took(find(x, n)) >= 0 ? '+' : '−') + duration(Math.abs(took(find(y, n)) - took(find(x, n)))) : ''}
                                </td>
                            </tr>`,
                    )}
                </tbody>
            </table>`;
        }}</${Loaded}>`}</${Loaded}></section>`;
}
