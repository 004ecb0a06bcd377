// The right half of a DAG or run: what is selected, in short, with the way on. And the split itself.
import {html, useRef, useMemo, remembered, clamp, enc, plural} from './lib.js';
import {useApi, runPath, taskPath, taskName} from './api.js';
import {Ago, Took, Time, duration, seconds, attemptOf} from './format.js';
import {Dot, Pill, CountsBar, runWord, isFinal, word, ORDER, LETTERS} from './state.js';
import {Loaded, Empty, Facts, Json, lastLine, useKeys} from './parts.js';
import {runUrl, taskUrl, dagUrl} from './route.js';
import {Actions} from './actions.js';
import {useLogEnd, errorLine} from './home.js';
import {ownPlace} from './trace.js';

const INSTANCES_MAX = 200; // of a mapped task that are listed
const splitAt = remembered('split', '55');
const narrow = matchMedia('(max-width: 1024px)');
// close: something is selected, and this selects nothing. On a narrow screen the right half is then
// a sheet over the left one; without it it stands below.
export function Split({left, right, close}) {
    const at = splitAt.use(),
        box = useRef(null);
    const drag = (e) => {
        const bar = e.currentTarget;
        bar.setPointerCapture(e.pointerId);
        const move = (m) => {
            const r = box.current.getBoundingClientRect();
            splitAt.set(String(Math.round(clamp((100 * (m.clientX - r.left)) / r.width, 20, 80))));
        };
        bar.addEventListener('pointermove', move);
        bar.addEventListener('pointerup', () => bar.removeEventListener('pointermove', move), {
            once: true,
        });
    };
    const key = (e) => {
        const by = {ArrowLeft: -5, ArrowRight: 5}[e.key];
        if (!by) return;
        splitAt.set(String(clamp(Number(at) + by, 20, 80)));
        e.preventDefault();
        e.stopPropagation();
    };
    useKeys({Escape: () => !!close && narrow.matches && (close(), true)});
    return html`<div
        class=${close ? 'split over' : 'split'}
        ref=${box}
        style=${{'--left': at + '%'}}
    >
        <div class="left">${left}</div>
        <div
            class="bar"
            role="separator"
            tabindex="0"
            aria-orientation="vertical"
            aria-label="Width of the left part"
            aria-valuenow=${at}
            aria-valuemin="20"
            aria-valuemax="80"
            onPointerDown=${drag}
            onKeyDown=${key}
        ></div>
        <div class="right">
            ${close ? html`<button type="button" class="back" onClick=${close}>← Back</button>` : null}
            ${right}
        </div>
    </div>`;
}

// What an upstream_failed task owes it to: (task) => "because train failed", as far as the DAG of now tells.
const BLAMED_MAX = 3;
export function useBlame(run) {
    const dag = useApi(run && run.counts.upstream_failed ? '/dags/' + enc(run.dag) : null).data;
    const roots = useMemo(
        () => (dag && run ? failedAbove(dag.tasks, run.tasks) : null),
        [dag, run],
    );
    return (t) => {
        const names = t.state === 'upstream_failed' && roots ? roots(t.task) : [];
        const more = names.length > BLAMED_MAX ? ` and ${names.length - BLAMED_MAX} more` : '';
        return names.length
            ? `because ${names.slice(0, BLAMED_MAX).join(', ')}${more} failed`
            : undefined;
    };
}
// The names of the tasks above one that failed themselves.
function failedAbove(tasks, instances) {
    const needs = new Map(tasks.map((t) => [t.id, t.needs]));
    const is = (state) => new Set(instances.filter((t) => t.state === state).map((t) => t.task));
    const failed = is('failed'),
        spread = is('upstream_failed');
    return (id) => {
        const found = new Set(),
            seen = new Set([id]);
        for (const at of seen)
            // which grows
            for (const up of needs.get(at) || []) {
                if (failed.has(up)) found.add(up);
                else if (spread.has(up)) seen.add(up);
            }
        return [...found];
    };
}

// "train failed on attempt 3 of 3: KeyError: customer_id · train.py:41"
export function FailedBox({run}) {
    const {data} = useApi(
        run.counts.failed ? runPath(run.id) + '/tasks?state=failed&limit=3' : null,
        {on: (n, d) => n === 'run' && d.run === run.id},
    );
    if (!data) return null;
    return data.items.map(
        (t) => html`<${FailedTask} key=${taskName(t)} run=${run.id} t=${t} open=${true} />`,
    );
}
// open: with a button that leads to the log.
export function FailedTask({run, t, open}) {
    const name = taskName(t),
        end = useLogEnd(run, name, t.attempt, true);
    const line = errorLine(end),
        place = ownPlace(end),
        why = lastLine(t.error) || (t.reason && t.reason.text);
    return html`<div class="box bad" role="status">
        <b>${name} failed</b>${t.attempt ? ` on attempt ${attemptOf(t)}` : ''}:
        ${line ? html`<code class="err">${line}</code> · ` : ''}
        ${place ? html`<code>${place}</code> · ` : ''}${why}
        ${open ? html`<${OpenLog} href=${taskUrl(run, name)} begun=${t.attempt} />` : null}
    </div>`;
}
const OpenLog = ({href, begun}) =>
    html`<span class="actions"
        ><a class="button" href=${href}>${begun ? 'Open log' : 'Open'}</a></span
    >`;

function RunTook({run, median}) {
    const took = seconds(run.started_at, run.finished_at);
    const off =
        median && run.finished_at && took ? Math.round((100 * (took - median)) / median) : null;
    const by = off == null ? '' : ` (${off >= 0 ? '+' : ''}${off}%)`;
    return html`<${Took} from=${run.started_at} to=${run.finished_at} />
        ${median ? html`<span class="muted">median ${duration(median)}${by}</span>` : null}`;
}
export function RunFacts({run, median}) {
    const by = (run.triggered_by || []).map((x) => x.dataset || x).join(', ');
    const {start, finish} = run.interval;
    const late = run.late_at ? html` <span class="bad-text">late</span>` : null;
    return html`<${Facts}
        items=${[
            ['DAG', html`<a href=${dagUrl(run.dag)}>${run.dag}</a> version ${run.dag_version}`],
            ['Cause', run.cause + (by ? ': ' + by : '')],
            start && ['Interval', html`<${Time} at=${start} /> – <${Time} at=${finish} />`],
            ['Created', html`<${Ago} at=${run.created_at} />`],
            ['Took', html`<${RunTook} run=${run} median=${median} />`],
            run.deadline_at && ['Deadline', html`<${Ago} at=${run.deadline_at} />${late}`],
            run.note && ['Note', run.note],
        ]}
    />`;
}
export const Params = ({params, defaults}) => {
    const names = Object.keys(params);
    if (!names.length) return html`<${Empty}>The DAG takes no params.</${Empty}>`;
    return html`<${Facts}
        items=${names.map((n) => {
            const text = JSON.stringify(params[n]),
                was = defaults && n in defaults ? JSON.stringify(defaults[n]) : undefined;
            return [
                n,
                was !== undefined && was !== text
                    ? html`<b>${text}</b> <span class="muted">default ${was}</span>`
                    : html`<code>${text}</code>`,
            ];
        })}
    />`;
};

// What is told of a task in a line.
function lineOf({state, list}) {
    const t = list[0];
    if (t.map_index != null) {
        const count = (holds) => list.filter((x) => holds(x.state)).length;
        const failed = count((s) => s === 'failed');
        return `×${list.length} ${count(isFinal)} done${failed ? `, ${failed} failed` : ''}`;
    }
    if (t.started_at) return `${word(state)} ${duration(seconds(t.started_at, t.finished_at))}`;
    return t.reason && !isFinal(t.state) ? `${word(state)}: ${t.reason.text}` : word(state);
}
// Worst state of each task of a run, and a line about it.
export function statesOf(tasks) {
    const out = {};
    for (const t of tasks) {
        const o = out[t.task] || (out[t.task] = {state: t.state, list: []});
        o.list.push(t);
        if (ORDER.indexOf(t.state) < ORDER.indexOf(o.state)) o.state = t.state;
    }
    for (const o of Object.values(out)) {
        o.ended = o.list
            .map((x) => x.finished_at || '')
            .sort()
            .pop();
        o.line = lineOf(o);
    }
    return out;
}
// Of a run that is too large to come whole: by its letters.
export function useStates(run) {
    const total = run ? Object.values(run.counts).reduce((a, b) => a + b, 0) : 0,
        large = run && total > run.tasks.length;
    const grid = useApi(
        large ? `/dags/${enc(run.dag)}/grid?limit=1&cursor=${BigInt(run.id) + 1n}` : null,
        {on: (n, d) => (n === 'run' || n === 'task') && d.run === run.id, gap: 1000},
    );
    return useMemo(() => {
        if (!run) return {};
        if (!large) return statesOf(run.tasks);
        const one = grid.data && grid.data.items[0];
        return one
            ? Object.fromEntries(
                  grid.data.tasks
                      .map((t, i) => [t, {state: LETTERS[one.states[i]], line: ''}])
                      .filter(([, s]) => s.state),
              )
            : {};
    }, [run, grid.data]);
}

export function RunPane({id, href}) {
    const run = useApi(runPath(id), {on: (n, d) => n === 'run' && d.run === id});
    return html`<${Loaded} of=${run} what=${`Run ${id} could not be loaded`}>${(r) =>
        html`<section aria-label="Selected run">
            <header class="head">
                <h2 style=${{margin: 0}}><a href=${runUrl(id)}>Run ${id}</a></h2>
                <${Pill} state=${r.state} word=${runWord(r)} />
                <div class="grow"></div>
                <a class="button" href=${runUrl(id)}>Open</a>
            </header>
            <${FailedBox} run=${r} /><${CountsBar}
                counts=${r.counts}
                href=${(s) => `${runUrl(id)}?state=${s}`}
            />
            <${RunFacts} run=${r} />
            <h3>Params</h3>
            <${Params} params=${r.params} />
            <${Actions} run=${r} tasks=${r.tasks.map((t) => t.task)} />
        </section>`}</${Loaded}>`;
}
// A mapped task as a whole: how many of its instances are where, and those that failed.
export function MappedPane({run, task}) {
    return html`<section aria-label="Selected task">
        <header class="head">
            <h2 class="tight"><a href=${taskUrl(run, task)}>${task}</a></h2>
        </header>
        <${Instances} run=${run} task=${task} />
    </section>`;
}
export function Instances({run, task, all}) {
    const mine = {on: (n, d) => (n === 'run' || n === 'task') && d.run === run, gap: 500};
    const counts = useApi(`${runPath(run)}/counts`, mine);
    const failed = useApi(`${runPath(run)}/tasks?task=${enc(task)}&state=failed&limit=20`, mine);
    const one = counts.data && counts.data.items.find((t) => t.task === task);
    const n = one ? Object.values(one.counts).reduce((a, b) => a + b, 0) : 0;
    return html`<p class="muted">${plural(n, 'instance')} in <a href=${runUrl(run)}>run ${run}</a></p>
        ${one ? html`<${CountsBar} counts=${one.counts} href=${(s) => `${runUrl(run)}?state=${s}`} />` : null}
        <h3>Failed</h3>
        <${Loaded} of=${failed}>${(d) => html`<${FailedOnes} run=${run} items=${d.items} more=${d.next} />`}</${Loaded}>
        ${all ? html`<${AllOnes} run=${run} task=${task} />` : null}`;
}
function AllOnes({run, task}) {
    const list = useApi(`${runPath(run)}/tasks?task=${enc(task)}&limit=${INSTANCES_MAX}`, {
        on: (n, d) => n === 'task' && d.run === run,
        gap: 500,
    });
    const one = (t) =>
        html`<li class="need" key=${taskName(t)}>
            <${Dot} state=${t.state} /><a href=${taskUrl(run, taskName(t))}>${taskName(t)}</a>
            <span class="muted">${word(t.state)}</span>
            <${Took} from=${t.started_at} to=${t.finished_at} />
        </li>`;
    const more = `The first ${INSTANCES_MAX}; the bar above filters by state.`;
    return html`<h3>All</h3>
        <${Loaded} of=${list}>${(d) =>
            html`<ul class="needs">
                    ${d.items.filter((t) => t.map_index != null).map(one)}
                </ul>
                ${d.next ? html`<p class="muted">${more}</p>` : null}`}</${Loaded}>`;
}
const FailedOnes = ({run, items, more}) =>
    items.length
        ? html`<ul class="needs">
              ${items.map(
                  (t) =>
                      html`<li class="need" key=${taskName(t)}>
                          <${Dot} state="failed" /><a href=${taskUrl(run, taskName(t))}
                              >${taskName(t)}</a
                          >
                          <code class="err"
                              >${lastLine(t.error) || (t.reason && t.reason.text)}</code
                          >
                      </li>`,
              )}
              ${more ? html`<li><a href=${runUrl(run) + '?state=failed'}>all of them</a></li>` : null}
          </ul>`
        : html`<${Empty}>None of them.</${Empty}>`;
const progressText = ({fraction, text}) => `${Math.round(100 * (fraction ?? 0))}% ${text || ''}`;
export function TaskPane({run, name}) {
    const t = useApi(taskPath(run, name), {
        on: (n, d) => (n === 'task' && d.run === run) || (n === 'run' && d.run === run),
    });
    const r = useApi(runPath(run), {on: (n, d) => n === 'run' && d.run === run});
    return html`<${Loaded} of=${t} what=${`${name} could not be loaded`}>${(task) =>
        html`<section aria-label="Selected task">
            <header class="head">
                <h2 style=${{margin: 0}}><a href=${taskUrl(run, name)}>${name}</a></h2>
                <${Pill} state=${task.state} /><span class="muted">run ${run}</span>
                <div class="grow"></div>
                <a class="button" href=${taskUrl(run, name)}>Open log</a>
            </header>
            ${task.state === 'failed' ? html`<${FailedTask} run=${run} t=${task} open=${true} />` : null}
            <${TaskFacts} task=${task} run=${r.data} />
            ${task.outputs ? html`<${TaskOutputs} outputs=${task.outputs} />` : null}
            <${LogEnd} run=${run} name=${name} attempt=${task.attempt} />
            ${r.data ? html`<${TaskActions} run=${r.data} name=${name} />` : null}
        </section>`}</${Loaded}>`;
}
function TaskFacts({task, run}) {
    const blame = useBlame(run)(task);
    return html`<${Facts}
        items=${[
            task.reason && task.state !== 'failed' && ['Why', blame || task.reason.text],
            ['Attempt', attemptOf(task)],
            ['Worker', task.worker],
            task.pool && ['Pool', task.pool],
            ['Started', html`<${Ago} at=${task.started_at} />`],
            ['Took', html`<${Took} from=${task.started_at} to=${task.finished_at} />`],
            task.progress && ['Progress', progressText(task.progress)],
        ]}
    />`;
}
const TaskOutputs = ({outputs}) =>
    html`<h3>Outputs</h3>
        <${Json} value=${outputs} />`;
function LogEnd({run, name, attempt}) {
    const end = useLogEnd(run, name, attempt, attempt > 0);
    if (!end) return null;
    return html`<h3>End of the log</h3>
        <pre class="json">${end.split('\n').slice(-12).join('\n')}</pre>`;
}
function TaskActions({run, name}) {
    const task = name.replace(/\[.*/, '');
    return html`<${Actions}
        run=${run}
        task=${task}
        tasks=${[task]}
        explain=${taskUrl(run.id, name, '?tab=explain')}
    />`;
}
