// One task instance: what became of it, attempt by attempt, with its log.
import {html, enc} from './lib.js';
import {useApi, runPath, taskPath} from './api.js';
import {Ago, Took, duration, bytes, exactTime} from './format.js';
import {Dot, Pill, isFinal, word, glyph, stateOf} from './state.js';
import {Loaded, Empty, Head, Tabs, useTitle, useKeys, Json, lastLine, Command} from './parts.js';
import {useQuery, go, runUrl, taskUrl, dagUrl, taskOfUrl} from './route.js';
import {Actions} from './actions.js';
import {FailedTask, Instances, useBlame} from './pane.js';
import {Explain, OutputTable} from './outputs.js';
import {Artifacts} from './artifacts.js';
import {Log} from './log.js';
import {Usage} from './usage.js';
import {Answer} from './system.js';

const TABS = [
    ['log', 'Log'],
    ['resolved', 'Resolved'],
    ['outputs', 'Outputs'],
    ['artifacts', 'Artifacts'],
    ['usage', 'Usage'],
    ['explain', 'Explain'],
    ['history', 'History'],
];

function NoTask({run, name, error}) {
    return html`<section class="pad">
        <h1>There is no task ‘${name}’ in run ${run}</h1>
        <p>${error.message}</p>
        <p><a href=${runUrl(run)}>Run ${run}</a> · <a href="/ui/runs">All runs</a></p>
    </section>`;
}
export function Task({run: id, task: inUrl}) {
    const name = taskOfUrl(inUrl);
    const [tab] = useQuery('tab', 'log'),
        [number, setNumber] = useQuery('attempt', '', {replace: false});
    const on = (n, d) =>
        (n === 'task' && d.run === id && name.startsWith(d.task)) || (n === 'run' && d.run === id);
    const t = useApi(taskPath(id, name), {on}),
        attempts = useApi(taskPath(id, name) + '/attempts', {on}),
        run = useApi(runPath(id), {on});
    const list = attempts.data ? attempts.data.items : [];
    const current = list.find((a) => String(a.number) === number) || list[list.length - 1];
    const url = (query) => taskUrl(id, name, query);
    const choose = (a) => setNumber(a === list[list.length - 1] ? '' : String(a.number));
    useTitle(t.data ? `${glyph(t.data.state)} ${name} · run ${id}` : name);
    useKeys({
        '.': () => list.length > 1 && choose(list[(list.indexOf(current) + 1) % list.length]),
        l: () => go(url('')),
        e: () => go(url('?tab=explain')),
    });
    const missing = [t.error, run.error].find((e) => e && e.status === 404);
    if (missing) return html`<${NoTask} run=${id} name=${name} error=${missing} />`;
    const tabs = TABS.map(([v, label]) => {
        const query = new URLSearchParams();
        if (v !== 'log') query.set('tab', v);
        if (number) query.set('attempt', number);
        if (v === 'log' && t.data && isMapped(t.data)) label = 'Instances';
        return {id: v, label, href: url(query.size ? '?' + query : '')};
    });
    return html`<${Loaded} of=${t} what="The task could not be loaded">${(task) =>
        html`<section class="pad">
            <${TaskHead} id=${id} name=${name} task=${task} run=${run.data} />
            ${task.state === 'failed' ? html`<${FailedTask} run=${id} t=${task} />` : null}
            ${task.state === 'deferred' ? html`<${Asked} run=${id} task=${task.task} />` : null}
            <div class="toolbar">
                <${Attempts} list=${list} current=${current} choose=${choose} />
                ${current ? html`<${AttemptLine} a=${current} />` : null}
                ${task.progress ? html`<${ProgressLine} of=${task.progress} />` : null}
            </div>
            <${Tabs} current=${tab} items=${tabs} />
            <${TaskTab}
                tab=${tab}
                id=${id}
                name=${name}
                task=${task}
                attempt=${current}
                run=${run.data}
            />
        </section>`}</${Loaded}>`;
}
// What stands for the instances of a mapped task.
const isMapped = (task) => !!task.reason && task.reason.code === 'mapped';
function TaskHead({id, name, task, run}) {
    const dag = run ? html`, <a href=${dagUrl(run.dag)}>${run.dag}</a>` : null;
    const title = html`${name}
        <span class="muted light">of <a href=${runUrl(id)}>run ${id}</a>${dag}</span>`;
    const blame = useBlame(run)(task);
    const silent = ['success', 'failed']; // what failed says so in its box
    const why =
        task.reason && !silent.includes(task.state)
            ? html`<span class="muted">${blame || task.reason.text}</span>`
            : null;
    const sub = isMapped(task) ? why : html`<${Pill} state=${task.state} /> ${why}`;
    const explain = taskUrl(id, name, '?tab=explain');
    return html`<${Head} title=${title} sub=${sub}>
        ${run ? html`<${Actions} run=${run} task=${task.task} tasks=${[task.task]} explain=${explain} />` : null}
    </${Head}>`;
}
function Attempts({list, current, choose}) {
    if (!list.length) return null;
    return html`<span class="actions" role="group" aria-label="Attempts">
        ${list.map(
            (a) =>
                html`<button
                    type="button"
                    aria-pressed=${a === current}
                    class=${a === current ? 'primary' : ''}
                    onClick=${() => choose(a)}
                    title=${word(a.state) + (a.started_at ? ', ' + exactTime(a.started_at) : '')}
                >
                    ${a.number} ${glyph(a.state)}
                </button>`,
        )}
    </span>`;
}
// How an attempt ended, and what it used.
function AttemptLine({a}) {
    const parts = [
        a.signal != null && `signal ${a.signal}`,
        a.signal == null && a.exit_code != null && `exit status ${a.exit_code}`,
        a.cpu_s != null && `CPU ${duration(a.cpu_s)}`,
        a.max_rss_bytes != null && `memory up to ${bytes(a.max_rss_bytes)}`,
    ].filter(Boolean);
    return html`<span class="muted"
        >${word(a.state)}${a.worker ? ` on ${a.worker}` : ''} ·
        <${Took} from=${a.started_at} to=${a.finished_at} />${parts.map((p) => ' · ' + p)}</span
    >`;
}
const ProgressLine = ({of}) =>
    html`<span>${Math.round(100 * (of.fraction || 0))}% ${of.text}</span>`;
function Asked({run, task}) {
    const list = useApi(`/approvals?run=${enc(run)}`);
    const mine = list.data && list.data.items.find((a) => a.task === task);
    return mine ? html`<${Answer} approval=${mine} onDone=${list.reload} />` : null;
}

function TaskTab({tab, id, name, task, attempt, run}) {
    const path = attempt && `${taskPath(id, name)}/attempts/${attempt.number}`;
    switch (tab) {
        case 'log':
            if (isMapped(task))
                return html`<${Instances} run=${id} task=${task.task} all=${true} />`;
            return attempt
                ? html`<${LogTab} id=${id} name=${name} task=${task} attempt=${attempt} />`
                : html`<${NoLog} task=${task} />`;
        case 'resolved':
            return attempt
                ? html`<${Resolved} path=${path + '/resolved'} />`
                : html`<${Empty}>It has not begun: nothing was resolved.</${Empty}>`;
        case 'outputs':
            return task.outputs && Object.keys(task.outputs).length
                ? html`<${OutputTable} outputs=${task.outputs} />`
                : html`<${Empty}>It has put nothing out${isFinal(task.state) ? '' : ' yet'}.</${Empty}>`;
        case 'artifacts':
            return html`<${Artifacts} run=${id} name=${name} done=${isFinal(task.state)} />`;
        case 'usage':
            if (!attempt)
                return html`<${Empty}>It has not begun, so it has used nothing.</${Empty}>`;
            return run
                ? html`<${Usage}
                      path=${path + '/usage'}
                      attempt=${attempt}
                      run=${run}
                      task=${task.task}
                  />`
                : null;
        case 'explain':
            return run ? html`<${Explain} run=${run} task=${name} />` : null;
        case 'history':
            return run ? html`<${History} run=${run} name=${task.task} />` : null;
        default:
            return html`<${Empty}>A task has no part ‘${tab}’.</${Empty}>`;
    }
}
function NoLog({task}) {
    const why = (task.reason && task.reason.text) || word(task.state);
    const text = task.attempt
        ? 'Looking …'
        : `It has not begun, so there is no log: ${task.error || why}.`;
    return html`<${Empty}>${text}</${Empty}>`;
}
function LogTab({id, name, task, attempt}) {
    const {number, error, finished_at: ended, state} = attempt;
    const which = number === task.attempt ? '' : ' --attempt ' + number;
    const told = number === task.attempt && task.state === 'failed'; // by the box above
    return html`${error && state !== 'success' && !told ? html`<p class="muted">Nexus: ${error}</p>` : null}
        <${Log}
            key=${`${id}/${name}/${number}`}
            run=${id}
            task=${name}
            attempt=${number}
            started=${attempt.started_at}
            running=${!ended}
            waits=${stateOf(state) === 'deferred'}
            failed=${stateOf(state) === 'failed'}
            error=${error}
        />
        <${Command} text=${`nexus logs ${id} ${name}${which}`} />`;
}
function Resolved({path}) {
    const data = useApi(path);
    if (data.error && data.error.status === 404)
        return html`<${Empty}>${data.error.message}.</${Empty}>`;
    return html`<${Loaded} of=${data}>${(d) => html`<${Json} value=${d} />`}</${Loaded}>`;
}

// ---- This task in the runs before ----
function History({run, name}) {
    const grid = useApi(`/dags/${enc(run.dag)}/grid?limit=30`);
    return html`<${Loaded} of=${grid}>${(g) =>
        html`<table class="list">
            <thead>
                <tr>
                    <th>Run</th>
                    <th>Task</th>
                    <th>Began</th>
                    <th class="r">Took</th>
                </tr>
            </thead>
            <tbody>
                ${g.items.map((r) => html`<${Past} key=${r.id} run=${r} name=${name} />`)}
            </tbody>
        </table>`}</${Loaded}>`;
}
function Past({run, name}) {
    const {data: t} = useApi(taskPath(run.id, name));
    return html`<tr>
        <td><a href=${runUrl(run.id)}>${run.id}</a> <span class="muted">${run.cause}</span></td>
        <td>${t ? html`<${PastState} run=${run.id} name=${name} t=${t} />` : ''}</td>
        <td><${Ago} at=${t && t.started_at} /></td>
        <td class="r">${t ? html`<${Took} from=${t.started_at} to=${t.finished_at} />` : ''}</td>
    </tr>`;
}
const PastState = ({run, name, t}) =>
    html`<a href=${taskUrl(run, name)}><${Dot} state=${t.state} /> ${word(t.state)}</a>
        ${t.error ? html`<code class="err">${lastLine(t.error)}</code>` : null}`;
