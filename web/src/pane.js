// The right half of a DAG or run: what is selected, in short, with the way on. And the split itself.
import {html, useState, useEffect, useRef, useMemo, remembered, clamp, enc} from './lib.js';
import {useApi, get, runPath, taskPath, taskName} from './api.js';
import {Ago, Took, Time, duration, seconds} from './format.js';
import {Pill, Dot, CountsBar, runWord, isFinal, word, ORDER, LETTERS} from './state.js';
import {Loaded, Empty, Facts, Json, lastLine, Copy} from './parts.js';
import {runUrl, taskUrl, dagUrl} from './route.js';
import {Actions} from './actions.js';
import {useLogEnd, errorLine} from './home.js';

const splitAt = remembered('split', '55');
export function Split({left, right}) {
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
    return html`<div class="split" ref=${box} style=${{'--left': at + '%'}}>
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
        <div class="right">${right}</div>
    </div>`;
}

// "train failed on attempt 3 of 3: KeyError: customer_id"
export function FailedBox({run, dag, onRetry}) {
    const {data} = useApi(
        run.counts.failed ? runPath(run.id) + '/tasks?state=failed&limit=3' : null,
        {on: (n, d) => n === 'run' && d.run === run.id},
    );
    if (!data) return null;
    return data.items.map((t) => html`<${FailedTask} key=${taskName(t)} run=${run.id} t=${t} />`);
}
export function FailedTask({run, t}) {
    const name = taskName(t),
        end = useLogEnd(run, name, t.attempt, true),
        line = errorLine(end);
    return html`<div class="box bad" role="status">
        <b>${name} failed</b>${t.attempt ? ` on attempt ${t.attempt} of ${t.max_attempts}` : ''}:
        ${line ? html`<code class="err">${line}</code> · ` : ''}${lastLine(t.error) || (t.reason && t.reason.text)}
        <span class="actions"
            ><a class="button" href=${taskUrl(run, name)}
                >${t.attempt ? 'Open log' : 'Open'}</a
            ></span
        >
    </div>`;
}

export function RunFacts({run, median}) {
    const took = seconds(run.started_at, run.finished_at);
    const off =
        median && run.finished_at && took ? Math.round((100 * (took - median)) / median) : null;
    return html`<${Facts}
        items=${[
            ['DAG', html`<a href=${dagUrl(run.dag)}>${run.dag}</a> version ${run.dag_version}`],
            [
                'Cause',
                run.cause +
                    (run.triggered_by && run.triggered_by.length
                        ? ': ' + run.triggered_by.map((x) => x.dataset || x).join(', ')
                        : ''),
            ],
            run.interval.start && [
                'Interval',
                html`<${Time} at=${run.interval.start} /> – <${Time} at=${run.interval.finish} />`,
            ],
            ['Created', html`<${Ago} at=${run.created_at} />`],
            [
                'Took',
                html`<${Took}
                        from=${run.started_at}
                        to=${run.finished_at}
                    />${median ? html` <span class="muted">median ${duration(median)}${off == null ? '' : ` (${off >= 0 ? '+' : ''}${off}%)`}</span>` : null}`,
            ],
            run.deadline_at && [
                'Deadline',
                html`<${Ago}
                        at=${run.deadline_at}
                    />${run.late_at ? html` <span class="bad-text">late</span>` : null}`,
            ],
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

// Worst state of each task of a run, and a line about it.
export function statesOf(tasks) {
    const out = {};
    for (const t of tasks) {
        const o = out[t.task] || (out[t.task] = {state: t.state, list: []});
        o.list.push(t);
        if (ORDER.indexOf(t.state) < ORDER.indexOf(o.state)) o.state = t.state;
    }
    for (const o of Object.values(out)) {
        const t = o.list[0];
        o.ended = o.list
            .map((x) => x.finished_at || '')
            .sort()
            .pop();
        const failed = o.list.filter((x) => x.state === 'failed').length;
        o.line =
            t.map_index != null
                ? `×${o.list.length} ${o.list.filter((x) => isFinal(x.state)).length} done${failed ? `, ${failed} failed` : ''}`
                : t.started_at
                  ? `${word(o.state)} ${duration(seconds(t.started_at, t.finished_at))}`
                  : t.reason && !isFinal(t.state)
                    ? `${word(o.state)}: ${t.reason.text}`
                    : word(o.state);
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
            <${FailedBox} run=${r} /><${CountsBar} counts=${r.counts} />
            <p></p>
            <${RunFacts} run=${r} />
            <h3>Params</h3>
            <${Params} params=${r.params} />
            <${Actions} run=${r} tasks=${r.tasks.map((t) => t.task)} />
        </section>`}</${Loaded}>`;
}
export function TaskPane({run, name}) {
    const t = useApi(taskPath(run, name), {
        on: (n, d) => (n === 'task' && d.run === run) || (n === 'run' && d.run === run),
    });
    const r = useApi(runPath(run), {on: (n, d) => n === 'run' && d.run === run});
    const end = useLogEnd(run, name, t.data && t.data.attempt, t.data && t.data.attempt > 0);
    return html`<${Loaded} of=${t} what=${`${name} could not be loaded`}>${(task) =>
        html`<section aria-label="Selected task">
            <header class="head">
                <h2 style=${{margin: 0}}><a href=${taskUrl(run, name)}>${name}</a></h2>
                <${Pill} state=${task.state} /><span class="muted">run ${run}</span>
                <div class="grow"></div>
                <a class="button" href=${taskUrl(run, name)}>Open log</a>
            </header>
            ${task.state === 'failed' ? html`<${FailedTask} run=${run} t=${task} />` : null}
            <${Facts}
                items=${[
                    task.reason && ['Why', task.reason.text],
                    ['Attempt', `${task.attempt} of ${task.max_attempts}`],
                    ['Worker', task.worker],
                    task.pool && ['Pool', task.pool],
                    ['Started', html`<${Ago} at=${task.started_at} />`],
                    ['Took', html`<${Took} from=${task.started_at} to=${task.finished_at} />`],
                    task.progress && [
                        'Progress',
                        `${Math.round(100 * (task.progress.fraction ?? 0))}% ${task.progress.text || ''}`,
                    ],
                ]}
            />
            ${
                task.outputs
                    ? html`<h3>Outputs</h3>
                          <${Json} value=${task.outputs} />`
                    : null
            }
            ${
                end
                    ? html`<h3>End of the log</h3>
                          <pre class="json">${end.split('\n').slice(-12).join('\n')}</pre>`
                    : null
            }
            ${r.data ? html`<${Actions} run=${r.data} task=${name.replace(/\[.*/, '')} tasks=${[name.replace(/\[.*/, '')]} explain=${taskUrl(run, name, '?tab=explain')} />` : null}
        </section>`}</${Loaded}>`;
}
