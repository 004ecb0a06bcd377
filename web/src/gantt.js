// A run over time: one row a task, segments for waiting and running.
import {html, useMemo, clock} from './lib.js';
import {useApi, taskPath, taskName} from './api.js';
import {clockTime, duration, seconds, exactTime, zone} from './format.js';
import {Dot, isFinal, word, stateOf} from './state.js';
import {Empty} from './parts.js';
import {taskUrl} from './route.js';

// Round steps for an axis of so many seconds.
const STEPS = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600,
    900, 1800, 3600, 7200, 14400, 43200, 86400,
];
export function ticks(total, most = 6) {
    const step = STEPS.find((s) => total / s <= most) || Math.ceil(total / most / 86400) * 86400;
    const list = [];
    for (let t = 0; t <= total + step / 1000; t += step) list.push(t);
    return list;
}
const label = (s) =>
    s === 0
        ? '0'
        : s < 1
          ? `${Math.round(s * 1000)} ms`
          : s < 60
            ? `${+s.toFixed(1)} s`
            : s < 3600
              ? `${+(s / 60).toFixed(1)} min`
              : `${+(s / 3600).toFixed(1)} h`;

function Row({run, t, from, width, now, selected, href}) {
    const name = taskName(t);
    const many = useApi(t.attempt > 1 ? taskPath(run.id, name) + '/attempts' : null, {
        on: (n, d) => n === 'task' && d.run === run.id && d.task === t.task,
    });
    const x = (at) => (100 * (new Date(at) - from)) / width;
    const segments = [];
    const end = (at) => (at ? new Date(at) : now);
    if (t.attempt > 1 && many.data) {
        let last = t.ready_at;
        for (const a of many.data.items) {
            if (!a.started_at) continue;
            if (last && new Date(last) < new Date(a.started_at))
                segments.push({wait: true, a: last, b: a.started_at, text: 'waited'});
            segments.push({
                state: a.finished_at ? stateOf(a.state) : 'running',
                a: a.started_at,
                b: end(a.finished_at),
                text: `attempt ${a.number}: ${a.state}`,
            });
            last = a.finished_at;
        }
    } else if (t.started_at) {
        if (t.ready_at && t.ready_at < t.started_at)
            segments.push({wait: true, a: t.ready_at, b: t.started_at, text: 'queued'});
        segments.push({
            state: t.state,
            a: t.started_at,
            b: end(t.finished_at),
            text: word(t.state),
        });
    } else if (t.ready_at && !isFinal(t.state)) {
        segments.push({
            wait: true,
            a: t.ready_at,
            b: now,
            text: (t.reason && t.reason.text) || word(t.state),
        });
    }
    return html`<div class=${'line' + (selected ? ' sel' : '')}>
        <a class="name" href=${href(name)} title=${name}><${Dot} state=${t.state} />${name}</a
        ><span class="track">
            ${segments.map(
                (s) =>
                    html`<span
                        class=${`seg ${s.wait ? 'wait' : 's-' + s.state}`}
                        title=${`${s.text}, ${duration((new Date(s.b) - new Date(s.a)) / 1000)}, from ${exactTime(s.a)}`}
                        style=${{left: x(s.a) + '%', width: `max(3px, ${x(s.b) - x(s.a)}%)`}}
                    ></span>`,
            )}
            ${segments.length ? null : html`<span class="why">${(t.reason && t.reason.text) || word(t.state)}</span>`}</span
        >
    </div>`;
}
export function Gantt({run, tasks, selected, href}) {
    const live = !isFinal(run.state),
        tick = clock.use();
    zone.use();
    const now = live ? tick : Date.now();
    const begins = tasks
        .map((t) => t.ready_at || t.started_at)
        .filter(Boolean)
        .concat(run.started_at || run.created_at);
    const from = Math.min(...begins.map((b) => +new Date(b)));
    const to = live
        ? now
        : Math.max(
              from + 1,
              ...tasks.map((t) => +new Date(t.finished_at || 0)),
              +new Date(run.finished_at || 0),
          );
    const width = Math.max(1, to - from) * 1.01;
    if (!tasks.length) return html`<${Empty}>The run has no tasks.</${Empty}>`;
    return html`<div class="gantt" role="group" aria-label="Tasks over time">
        <div class="line axis">
            <span class="name muted">${clockTime(from)}</span
            ><span class="track">
                ${ticks(width / 1000).map((s) => html`<i style=${{left: (100 * s * 1000) / width + '%'}}>${label(s)}</i>`)}</span
            >
        </div>
        ${tasks.slice(0, 300).map((t) => html`<${Row} key=${taskName(t)} run=${run} t=${t} from=${from} width=${width} now=${now} selected=${selected === taskName(t)} href=${href || ((n) => taskUrl(run.id, n))} />`)}
        ${tasks.length > 300 ? html`<p class="muted">and ${tasks.length - 300} more tasks</p>` : null}
    </div>`;
}
