// One task instance: what became of it, attempt by attempt, with its log.
import {html, useState, enc} from './lib.js';
import {useApi, get, post, runPath, taskPath, taskName} from './api.js';
import {Ago, Took, Time, duration, seconds, bytes, exactTime} from './format.js';
import {Dot, Pill, isFinal, word, glyph, stateOf} from './state.js';
import {
    Loaded,
    Empty,
    Head,
    Tabs,
    useTitle,
    useKeys,
    Facts,
    Json,
    lastLine,
    Command,
    ErrorBox,
} from './parts.js';
import {useQuery, route, go, withQuery, runUrl, taskUrl, dagUrl, taskOfUrl} from './route.js';
import {Actions} from './actions.js';
import {useLogEnd, errorLine} from './home.js';
import {Explain, OutputTable} from './runs.js';
import {Log} from './log.js';
import {Answer} from './system.js';

export function Task({run: id, task: inUrl}) {
    const name = taskOfUrl(inUrl);
    const [tab] = useQuery('tab', 'log'),
        [number, setNumber] = useQuery('attempt', '', {replace: false});
    const on = (n, d) =>
        (n === 'task' && d.run === id && name.startsWith(d.task)) || (n === 'run' && d.run === id);
    const t = useApi(taskPath(id, name), {on}),
        attempts = useApi(taskPath(id, name) + '/attempts', {on});
    const run = useApi(runPath(id), {on});
    const list = attempts.data ? attempts.data.items : [];
    const current = list.find((a) => String(a.number) === number) || list[list.length - 1];
    useTitle(t.data ? `${glyph(t.data.state)} ${name} · run ${id}` : name);
    const base = (q) => taskUrl(id, name, q);
    useKeys({
        '.': () =>
            list.length > 1 &&
            setNumber(String(list[(list.indexOf(current) + 1) % list.length].number)),
        l: () => go(base('')),
        e: () => go(base('?tab=explain')),
    });
    if ((t.error && t.error.status === 404) || (run.error && run.error.status === 404))
        return html`<section class="pad">
            <h1>There is no task ‘${name}’ in run ${id}</h1>
            <p>${(t.error || run.error).message}</p>
            <p><a href=${runUrl(id)}>Run ${id}</a> · <a href="/ui/runs">All runs</a></p>
        </section>`;
    return html`<${Loaded} of=${t} what="The task could not be loaded">${(
        task,
    ) => html`<section class="pad">
        <${Head} title=${html`${name} <span class="muted" style=${{fontWeight: 400}}>of <a href=${runUrl(id)}>run ${id}</a>${run.data ? html`, <a href=${dagUrl(run.data.dag)}>${run.data.dag}</a>` : null}</span>`}
            sub=${html`<${Pill} state=${task.state} />${task.reason && task.state !== 'success' ? html`<span class="muted">${task.reason.text}</span>` : null}`}>
            ${run.data ? html`<${Actions} run=${run.data} task=${task.task} tasks=${[task.task]} explain=${base('?tab=explain')} />` : null}</${Head}>
        <${Broken} id=${id} name=${name} task=${task} />
        ${task.state === 'deferred' ? html`<${Asked} run=${id} task=${task.task} />` : null}
        <div class="toolbar">${list.length ? html`<span class="actions" role="group" aria-label="Attempts">${list.map((a) => html`<button type="button" aria-pressed=${a === current} class=${a === current ? 'primary' : ''} onClick=${() => setNumber(a === list[list.length - 1] ? '' : String(a.number))} title=${`${word(a.state)}${a.started_at ? ', ' + exactTime(a.started_at) : ''}`}>${a.number} ${glyph(a.state)}</button>`)}</span>` : null}
            ${
                current
                    ? html`<span class="muted"
                          >${word(current.state)}${current.worker ? ` on ${current.worker}` : ''} ·
                          <${Took}
                              from=${current.started_at}
                              to=${current.finished_at}
                          />${current.signal != null ? ` · signal ${current.signal}` : current.exit_code != null ? ` · exit status ${current.exit_code}` : ''}
                          ${current.max_rss_bytes != null ? ` · ${bytes(current.max_rss_bytes)}` : ''}${current.cpu_s != null ? ` · CPU ${duration(current.cpu_s)}` : ''}</span
                      >`
                    : null
            }
            ${task.progress ? html`<span>${Math.round(100 * (task.progress.fraction || 0))}% ${task.progress.text}</span>` : null}</div>
        <${Tabs} current=${tab} items=${[
            ['log', 'Log'],
            ['resolved', 'Resolved'],
            ['outputs', 'Outputs'],
            ['explain', 'Explain'],
            ['history', 'History'],
        ].map(([v, label]) => ({
            id: v,
            label,
            href: base(
                (v === 'log' ? '' : '?tab=' + v) +
                    (number ? (v === 'log' ? '?' : '&') + 'attempt=' + number : ''),
            ),
        }))} />
        <${TaskTab} tab=${tab} id=${id} name=${name} task=${task} attempt=${current} run=${run.data} /></section>`}</${Loaded}>`;
}
function Broken({id, name, task}) {
    const end = useLogEnd(id, name, task.attempt, task.state === 'failed'),
        line = errorLine(end);
    if (task.state !== 'failed') return null;
    return html`<div class="box bad" role="status">
        <b>${name} failed</b
        >${task.attempt ? ` on attempt ${task.attempt} of ${task.max_attempts}` : ''}:
        ${line ? html`<code class="err">${line}</code> · ` : ''}${lastLine(task.error) || (task.reason && task.reason.text)}
    </div>`;
}
function Asked({run, task}) {
    const list = useApi(`/approvals?run=${enc(run)}`);
    const mine = list.data && list.data.items.find((a) => a.task === task);
    return mine ? html`<${Answer} approval=${mine} onDone=${list.reload} />` : null;
}
function TaskTab({tab, id, name, task, attempt, run}) {
    switch (tab) {
        case 'log':
            if (!attempt)
                return html`<${Empty}>${task.attempt ? 'Looking …' : `It has not begun, so there is no log: ${(task.reason && task.reason.text) || word(task.state)}.`}</${Empty}>`;
            return html`${attempt.error && attempt.state !== 'success' ? html`<p class="muted">Nexus: ${attempt.error}</p>` : null}<${Log}
                    key=${id + name + attempt.number}
                    run=${id}
                    task=${name}
                    attempt=${attempt.number}
                    running=${!attempt.finished_at}
                    failed=${stateOf(attempt.state) === 'failed'}
                />
                <${Command}
                    text=${`nexus logs ${id} ${name}${attempt.number === task.attempt ? '' : ' --attempt ' + attempt.number}`}
                />`;
        case 'resolved':
            return attempt
                ? html`<${Resolved}
                      path=${`${taskPath(id, name)}/attempts/${attempt.number}/resolved`}
                  />`
                : html`<${Empty}>It has not begun: nothing was resolved.</${Empty}>`;
        case 'outputs':
            return task.outputs && Object.keys(task.outputs).length
                ? html`<${OutputTable} outputs=${task.outputs} />`
                : html`<${Empty}>It has put nothing out${isFinal(task.state) ? '' : ' yet'}.</${Empty}>`;
        case 'explain':
            return run ? html`<${Explain} run=${run} task=${name} />` : null;
        case 'history':
            return run ? html`<${History} run=${run} name=${task.task} />` : null;
        default:
            return html`<${Empty}>A task has no part ‘${tab}’.</${Empty}>`;
    }
}
function Resolved({path}) {
    const data = useApi(path);
    if (data.error && data.error.status === 404)
        return html`<${Empty}>${data.error.message}.</${Empty}>`;
    return html`<${Loaded} of=${data}>${(d) => html`<${Json} value=${d} />`}</${Loaded}>`;
}
// This task in the runs before.
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
        <td>
            ${t ? html`<a href=${taskUrl(run.id, name)}><${Dot} state=${t.state} /> ${word(t.state)}</a> ${t.error ? html`<code class="err">${lastLine(t.error)}</code>` : null}` : ''}
        </td>
        <td><${Ago} at=${t && t.started_at} /></td>
        <td class="r">${t ? html`<${Took} from=${t.started_at} to=${t.finished_at} />` : ''}</td>
    </tr>`;
}
