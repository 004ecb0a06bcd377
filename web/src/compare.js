// Two runs side by side.
import {html} from './lib.js';
import {useApi, runPath, taskName} from './api.js';
import {Took, duration, seconds} from './format.js';
import {Dot, Pill, runWord, word} from './state.js';
import {Loaded, Empty, useTitle} from './parts.js';
import {useQuery, runUrl, dagUrl, taskUrl} from './route.js';

const TASKS_MAX = 500;
const took = (x) => (x && x.started_at ? seconds(x.started_at, x.finished_at) : null);

function Line({name, a, b, children}) {
    return html`<tr>
        <td>${name}</td>
        <td>${a}</td>
        <td>${b}</td>
        <td class="r num">${children}</td>
    </tr>`;
}
function TaskCell({run, task}) {
    if (!task) return html`<span class="muted">no such task</span>`;
    return html`<${Dot} state=${task.state} />
        <a href=${taskUrl(run, taskName(task))}>${word(task.state)}</a>
        <span class="num muted">${task.started_at ? duration(took(task)) : ''}</span>`;
}
function ParamLine({name, a, b}) {
    const one = JSON.stringify(a),
        two = JSON.stringify(b);
    return html`<${Line} name=${'param ' + name} a=${html`<code>${one}</code>`} b=${html`<code>${two}</code>`}>
        ${one === two ? '' : html`<b>differs</b>`}
    </${Line}>`;
}
function TaskLine({name, runs, tasks: [a, b]}) {
    const cell = (i, task) => html`<${TaskCell} run=${runs[i]} task=${task} />`;
    const by = took(a) != null && took(b) != null ? took(b) - took(a) : null;
    return html`<${Line} name=${name} a=${cell(0, a)} b=${cell(1, b)}>
        ${by == null ? '' : (by >= 0 ? '+' : '−') + duration(Math.abs(by))}
    </${Line}>`;
}
function TookLine({a, b}) {
    const by = a.finished_at && b.finished_at ? took(b) - took(a) : null;
    const cell = (run) => html`<${Took} from=${run.started_at} to=${run.finished_at} />`;
    return html`<${Line} name="Took" a=${cell(a)} b=${cell(b)}>
        ${by == null ? '' : duration(Math.abs(by)) + (by > 0 ? ' longer' : ' shorter')}
    </${Line}>`;
}
function Both({a, b}) {
    const params = [...new Set([...Object.keys(a.params), ...Object.keys(b.params)])];
    const tasks = [...new Set([...a.tasks, ...b.tasks].map(taskName))].slice(0, TASKS_MAX);
    const find = (run, name) => run.tasks.find((t) => taskName(t) === name);
    const line = (name) =>
        html`<${TaskLine}
            key=${'t' + name}
            name=${name}
            runs=${[a.id, b.id]}
            tasks=${[find(a, name), find(b, name)]}
        />`;
    const state = (run) => html`<${Pill} state=${run.state} word=${runWord(run)} />`;
    const dag = (run) => html`<a href=${dagUrl(run.dag)}>${run.dag}</a> version ${run.dag_version}`;
    return html`<table class="list">
        <thead>
            <tr>
                <td></td>
                <th><a href=${runUrl(a.id)}>Run ${a.id}</a></th>
                <th><a href=${runUrl(b.id)}>Run ${b.id}</a></th>
                <th class="r">Difference</th>
            </tr>
        </thead>
        <tbody>
            <${Line} name="State" a=${state(a)} b=${state(b)} />
            <${Line} name="DAG" a=${dag(a)} b=${dag(b)} />
            <${TookLine} a=${a} b=${b} />
            ${params.map(
                (n) =>
                    html`<${ParamLine}
                        key=${'p' + n}
                        name=${n}
                        a=${a.params[n]}
                        b=${b.params[n]}
                    />`,
            )}
            ${tasks.map(line)}
        </tbody>
    </table>`;
}
export function Compare() {
    const [a] = useQuery('a'),
        [b] = useQuery('b');
    useTitle('Compare runs');
    const one = useApi(a ? runPath(a) : null),
        two = useApi(b ? runPath(b) : null);
    if (!a || !b)
        return html`<section class="pad">
            <h1>Compare runs</h1>
            <${Empty}>Choose two runs in <a href="/ui/runs">the list</a>.</${Empty}>
        </section>`;
    return html`<section class="pad">
        <h1>Run ${a} and run ${b}</h1>
        <${Loaded} of=${one}>${(x) =>
            html`<${Loaded} of=${two}>${(y) => html`<${Both} a=${x} b=${y} />`}</${Loaded}>`}</${Loaded}>
    </section>`;
}
