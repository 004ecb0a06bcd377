// One run: what failed, its tasks, and all that belongs to it.
import {html, useState, useEffect, enc, plural} from './lib.js';
import {useApi, get, runPath, taskPath, taskName} from './api.js';
import {Ago, Took, exactTime, attemptOf} from './format.js';
import {Dot, Pill, CountsBar, runWord, isFinal, word, STATES} from './state.js';
import {Loaded, Empty, Head, Tabs, Rows, Bar, useTitle, useKeys, lastLine} from './parts.js';
import {useQuery, route, go, withQuery, runUrl, dagUrl, taskUrl} from './route.js';
import {mediansOf} from './home.js';
import {Actions} from './actions.js';
import {FailedBox, Params, RunFacts, useBlame, useStates} from './pane.js';
import {Graph} from './graph.js';
import {Gantt} from './gantt.js';
import {OutputTable, Explain} from './outputs.js';
import {RunArtifacts} from './artifacts.js';
import {RunLog} from './runlog.js';

const EXPLAINED_MAX = 100, // queued tasks that say what they wait for
    EVENTS_MAX = 300, // tasks whose events are listed
    RETRIED_MAX = 30; // of them, those whose earlier attempts are
const totalOf = (run) => Object.values(run.counts).reduce((a, b) => a + b, 0);

const VIEWS = [
    ['tasks', 'Tasks'],
    ['log', 'Log'],
    ['graph', 'Graph'],
    ['gantt', 'Gantt'],
    ['params', 'Params'],
    ['outputs', 'Outputs'],
    ['artifacts', 'Artifacts'],
    ['explain', 'Explain'],
    ['events', 'Events'],
    ['code', 'Code'],
];
const viewUrl = (id, view) => runUrl(id) + (view === 'tasks' ? '' : '?view=' + view);
// The task that one wants to see first.
const firstTask = (tasks) =>
    tasks.find((t) => t.state === 'failed') || tasks.find((t) => t.state === 'running') || tasks[0];

function NoRun({id, error}) {
    return html`<section class="pad">
        <h1>There is no run ${id}</h1>
        <p>
            ${error.message}. Runs are taken away by hand or by retention; the
            <a href="/ui/system/audit">audit list</a> says which.
        </p>
        <p><a href="/ui/runs">All runs</a></p>
    </section>`;
}
export function Run({run: id}) {
    const [view, setView] = useQuery('view', 'tasks', {replace: false});
    const run = useApi(runPath(id), {on: (n, d) => (n === 'run' || n === 'task') && d.run === id});
    const r = run.data;
    const near = useApi(r ? `/dags/${enc(r.dag)}/runs?limit=50` : null, {
        on: (n, d) => n === 'run' && r && d.dag === r.dag,
        gap: 1000,
    });
    useTitle(r ? `${STATES[r.state] ? STATES[r.state][0] : '○'} ${r.dag} ${id}` : `run ${id}`);
    const others = near.data ? near.data.items.map((x) => x.id) : [];
    const neighbour = (n) => (others.includes(id) ? others[others.indexOf(id) + n] : undefined);
    const move = (n) => () => neighbour(n) && go(runUrl(neighbour(n)) + location.search);
    useKeys({
        '[': move(1),
        ']': move(-1),
        e: () => setView('explain'),
        t: () => r && go(dagUrl(r.dag, 'trigger')),
        l: () => r && r.tasks[0] && go(taskUrl(id, taskName(firstTask(r.tasks)))),
    });
    if (run.error && run.error.status === 404)
        return html`<${NoRun} id=${id} error=${run.error} />`;
    const median = r && near.data ? mediansOf(near.data.items)[r.dag] : null;
    const views = VIEWS.map(([v, label]) => ({id: v, label, href: viewUrl(id, v)}));
    return html`<${Loaded} of=${run} what="The run could not be loaded">${() =>
        html`<section class="pad">
            <${RunHead}
                run=${r}
                older=${neighbour(1) && move(1)}
                newer=${neighbour(-1) && move(-1)}
            />
            <${FailedBox} run=${r} />
            ${r.note ? html`<p class="box">${r.note}</p>` : null}
            <div class="toolbar">
                <${CountsBar} counts=${r.counts} href=${(s) => runUrl(id) + '?state=' + s} />
                <div class="grow"></div>
                <${Actions} run=${r} tasks=${r.tasks.map((t) => t.task)} />
            </div>
            <${Tabs} current=${view} items=${views} />
            <${RunView} view=${view} run=${r} median=${median} />
        </section>`}</${Loaded}>`;
}
function RunHead({run, older, newer}) {
    const title = html`<a href=${dagUrl(run.dag)}>${run.dag}</a> · run ${run.id}`;
    const sub = html`<${Pill} state=${run.state} word=${runWord(run)} />
        <span class="muted"
            ><${Ago} at=${run.started_at || run.created_at} /> ·
            <${Took} from=${run.started_at} to=${run.finished_at}
        /></span>`;
    return html`<${Head} title=${title} sub=${sub}>
        <span class="pair"><button
            type="button"
            aria-label="Older run"
            title="Older run ([)"
            disabled=${!older}
            onClick=${older}
        >
            ←
        </button>
        <button
            type="button"
            aria-label="Newer run"
            title="Newer run (])"
            disabled=${!newer}
            onClick=${newer}
        >
            →
        </button></span>
    </${Head}>`;
}
function RunView({view, run, median}) {
    const {query} = route.use();
    switch (view) {
        case 'tasks':
            return html`<div class="runbody">
                <${TaskList} run=${run} state=${query.get('state')} />
                <h2>About it</h2>
                <${RunFacts} run=${run} median=${median} />
            </div>`;
        case 'log':
            return html`<${RunLog} run=${run} />`;
        case 'graph':
            return html`<${RunGraph} run=${run} selected=${query.get('task')} />`;
        case 'gantt':
            return html`<${Gantt} run=${run} tasks=${run.tasks} selected=${query.get('task')} />`;
        case 'params':
            return html`<${RunParams} run=${run} />`;
        case 'outputs':
            return html`<${Outputs} run=${run} />`;
        case 'artifacts':
            return html`<${RunArtifacts} run=${run} />`;
        case 'explain':
            return html`<${Explain} run=${run} />`;
        case 'events':
            return html`<${Events} run=${run} />`;
        case 'code':
            return html`<${RunCode} run=${run} />`;
        default:
            return html`<${Empty}>A run has no part ‘${view}’. <a href=${runUrl(run.id)}>Its tasks</a></${Empty}>`;
    }
}
function RunGraph({run, selected}) {
    const choose = (task) => {
        if (selected === task) go(taskUrl(run.id, task));
        else go(withQuery({task}), {replace: true});
    };
    return html`<${Graph}
            run=${run}
            dag=${run.dag}
            version=${run.dag_version}
            states=${useStates(run)}
            selected=${selected}
            choose=${choose}
            height=${520}
        />
        ${
            selected
                ? html`<p><a href=${taskUrl(run.id, selected)}>Open ${selected}</a></p>`
                : html`<p class="muted">Choose a task; choose it again to open it.</p>`
        }`;
}

// ---- Its tasks ----
// What exactly a queued task waits for, beside its name.
function useWaits(run) {
    const some = run.counts.queued > 0;
    const path = `${runPath(run.id)}/explain?state=queued&limit=${EXPLAINED_MAX}`;
    const {data} = useApi(some ? path : null, {
        on: (n, d) => n === 'task' && d.run === run.id,
        gap: 1000,
        every: some ? 5000 : 0,
    });
    const reasons = new Map(
        (some && data ? data.items : []).map((t) => [
            taskName(t),
            t.reasons[0] && t.reasons[0].text,
        ]),
    );
    return (t) => (t.state === 'queued' ? reasons.get(taskName(t)) : undefined);
}
function TaskList({run, state}) {
    const many = useApi(state ? `${runPath(run.id)}/tasks?state=${enc(state)}` : null, {
        on: (n, d) => n === 'task' && d.run === run.id,
        gap: 500,
    });
    const waits = useWaits(run),
        blame = useBlame(run);
    const tasks = state ? (many.data ? many.data.items : []) : run.tasks;
    return html`<${Which} run=${run} state=${state} n=${tasks.length} />
        <div class="row titles" aria-hidden="true">
            <span class="main">task</span><span class="w-l">state</span
            ><span class="w-s wide right">attempt</span><span class="w-m wide">worker</span
            ><span class="w-m wide">began</span><span class="w-m right">took</span>
        </div>
        <${Rows}
            items=${tasks}
            height=${innerWidth <= 640 ? 56 : 36}
            label="Tasks"
            render=${(t) => html`<${TaskRow} key=${taskName(t)} run=${run.id} t=${t} why=${waits(t) || blame(t)} />`}
        />`;
}
function Which({run, state, n}) {
    const total = totalOf(run);
    if (state)
        return html`<p>
            Only ${word(state)}: ${plural(n, 'task')}. <a href=${runUrl(run.id)}>All ${total}</a>
        </p>`;
    if (total <= run.tasks.length) return null;
    return html`<p class="muted">
        The first ${run.tasks.length} of ${total}; the bar above filters by state.
    </p>`;
}
function TaskRow({run, t, why}) {
    return html`<div class="row" role="listitem" data-row>
        <span class="main"
            ><${Dot} state=${t.state} /> <a href=${taskUrl(run, taskName(t))}>${taskName(t)}</a>
            <${TaskNote}
                t=${t}
                why=${why}
            />${t.progress && t.state === 'running' ? html`<${Progress} of=${t.progress} />` : null}</span
        >
        <span class="w-l">${word(t.state)}</span
        ><span class="w-s wide right num">${t.attempt ? attemptOf(t, '/') : ''}</span
        ><span class="w-m wide muted">${t.worker}</span
        ><span class="w-m wide"><${Ago} at=${t.started_at} /></span
        ><span class="w-m right"><${Took} from=${t.started_at} to=${t.finished_at} /></span>
    </div>`;
}
function TaskNote({t, why}) {
    if (t.error) return html`<code class="err">${lastLine(t.error)}</code>`;
    if (!t.reason || t.state === 'success') return null;
    return html`<span class="muted">${why || t.reason.text}</span>`;
}
const Progress = ({of}) =>
    html` <${Bar} value=${Math.round(100 * (of.fraction || 0))} max=${100} />
        <span class="muted">${of.text}</span>`;

// ---- What it was given, what it put out ----
function RunParams({run}) {
    const dag = useApi('/dags/' + enc(run.dag));
    const defaults = dag.data
        ? Object.fromEntries(dag.data.params.map((p) => [p.name, p.default]))
        : null;
    const given = Object.entries(run.params).map(([k, v]) => [
        'p.' + k,
        typeof v === 'string' ? v : JSON.stringify(v),
    ]);
    const link = `${dagUrl(run.dag, 'trigger')}?${new URLSearchParams(given)}`;
    return html`<${Params} params=${run.params} defaults=${defaults} />
        ${given.length ? html`<p><a href=${link}>Trigger with these</a></p>` : null}`;
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

// ---- What was done to it, and what became of its tasks, in order ----
function taskEvents(t) {
    const name = taskName(t),
        list = [];
    const on = t.worker ? ' on ' + t.worker : '',
        why = t.reason ? ', ' + t.reason.text : '';
    if (t.ready_at) list.push({at: t.ready_at, text: `${name} was ready`});
    if (t.started_at)
        list.push({at: t.started_at, text: `${name} began, attempt ${t.attempt}${on}`});
    if (t.finished_at) list.push({at: t.finished_at, text: `${name}: ${word(t.state)}${why}`});
    return list;
}
// What became of the attempts before the last one.
function earlierEvents(t, attempts) {
    return attempts
        .filter((a) => a.number < t.attempt && a.started_at)
        .flatMap((a) => [
            {at: a.started_at, text: `${taskName(t)} began, attempt ${a.number} on ${a.worker}`},
            a.finished_at && {
                at: a.finished_at,
                text: `${taskName(t)}: attempt ${a.number} ${word(a.state)}${a.error ? ', ' + lastLine(a.error) : ''}`,
            },
        ])
        .filter(Boolean);
}
function useEarlier(run) {
    const [list, set] = useState([]);
    const again = run.tasks.filter((t) => t.attempt > 1).slice(0, RETRIED_MAX);
    useEffect(() => {
        let gone = false;
        const of = (t) =>
            get(`${taskPath(run.id, taskName(t))}/attempts`).then((d) => earlierEvents(t, d.items));
        Promise.all(again.map(of)).then(
            (found) => gone || set(found.flat()),
            () => {},
        );
        return () => (gone = true);
    }, [again.map((t) => taskName(t) + t.attempt).join()]);
    return list;
}
function runEvents(run) {
    const list = [{at: run.created_at, text: `made: ${run.cause}`}];
    if (run.started_at) list.push({at: run.started_at, text: 'began'});
    if (run.late_at) list.push({at: run.late_at, text: 'was late'});
    return list;
}
const auditEvent = (a) => ({
    at: a.at,
    text: `${a.who}: ${a.what} ${a.detail ? JSON.stringify(a.detail) : ''}`,
});
function Events({run}) {
    const earlier = useEarlier(run);
    const audit = useApi('/audit?limit=500', {
        on: (n, d) => n === 'run' && d.run === run.id,
        gap: 1000,
    });
    const done = (audit.data ? audit.data.items : []).filter(
        (a) => a.what.startsWith('run.') && a.target === run.id,
    );
    const list = [
        ...runEvents(run),
        ...earlier,
        ...run.tasks.slice(0, EVENTS_MAX).flatMap(taskEvents),
        ...done.map(auditEvent),
        ...(run.finished_at ? [{at: run.finished_at, text: `ended: ${runWord(run)}`}] : []),
    ].sort((a, b) => a.at.localeCompare(b.at));
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
    const since = (text) => {
        if (!now.data) return null;
        if (now.data === text) return html`<p>Nothing has changed since.</p>`;
        return html`<h2>What has changed since</h2>
            <${Parts.Diff} before=${text} after=${now.data} />`;
    };
    return html`<${Loaded} of=${then}>${(text) =>
        html`<p class="muted">Version ${run.dag_version}, as it ran.</p>
            ${since(text)}
            <h2>Source</h2>
            <${Parts.Source} text=${text} />`}</${Loaded}>`;
}
