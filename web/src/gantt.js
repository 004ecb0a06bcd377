// A run over time: one row a task, segments for waiting and running. A span that is drawn with the
// pointer is what is looked at; it is in the address.
import {html, useState, useRef, clamp, clock} from './lib.js';
import {useApi, taskPath, taskName} from './api.js';
import {clockTime, duration, exactTime, zone} from './format.js';
import {Dot, isFinal, word, stateOf} from './state.js';
import {Empty} from './parts.js';
import {taskUrl, useQuery} from './route.js';

const SHOWN_ROWS = 300; // tasks
const SPAN_MIN = 0.01; // of the track: less is a click

// Round steps for an axis of so many seconds.
const STEPS = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600,
    900, 1800, 3600, 7200, 14400, 43200, 86400,
];
export function ticks(first, total, most = 6) {
    const step = STEPS.find((s) => total / s <= most) || Math.ceil(total / most / 86400) * 86400;
    const list = [];
    for (let t = Math.ceil(first / step) * step; t <= first + total + step / 1000; t += step)
        list.push(t);
    return list;
}
export const axisLabel = (s) => {
    if (s === 0) return '0';
    if (s < 1) return `${Math.round(s * 1000)} ms`;
    if (s < 60) return `${+s.toFixed(1)} s`;
    return s < 3600 ? `${+(s / 60).toFixed(1)} min` : `${+(s / 3600).toFixed(1)} h`;
};

// What a task did over time: [{wait} or {state}, a, b, text]; b: null is now.
function segmentsOf(t, attempts) {
    if (t.attempt > 1 && attempts) return ofAttempts(t, attempts);
    if (t.started_at) {
        const run = {state: t.state, a: t.started_at, b: t.finished_at, text: word(t.state)};
        const waited = t.ready_at && t.ready_at < t.started_at;
        return waited ? [{wait: true, a: t.ready_at, b: t.started_at, text: 'queued'}, run] : [run];
    }
    if (!t.ready_at || isFinal(t.state)) return [];
    return [
        {wait: true, a: t.ready_at, b: null, text: (t.reason && t.reason.text) || word(t.state)},
    ];
}
function ofAttempts(t, attempts) {
    const list = [];
    let last = t.ready_at;
    for (const a of attempts) {
        if (!a.started_at) continue;
        if (last && last < a.started_at)
            list.push({wait: true, a: last, b: a.started_at, text: 'waited'});
        const state = a.finished_at ? stateOf(a.state) : 'running';
        list.push({
            state,
            a: a.started_at,
            b: a.finished_at,
            text: `attempt ${a.number}: ${a.state}`,
        });
        last = a.finished_at;
    }
    return list;
}
function Segment({s, x, now}) {
    const end = s.b || now,
        took = (new Date(end) - new Date(s.a)) / 1000;
    return html`<span
        class=${`seg ${s.wait ? 'wait' : 's-' + s.state}`}
        title=${`${s.text}, ${duration(took)}, from ${exactTime(s.a)}`}
        style=${{left: x(s.a) + '%', width: `max(3px, ${x(end) - x(s.a)}%)`}}
    ></span>`;
}
function Row({run, t, x, now, live, selected, href}) {
    const name = taskName(t);
    const many = useApi(t.attempt > 1 ? taskPath(run.id, name) + '/attempts' : null, {
        on: (n, d) => n === 'task' && d.run === run.id && d.task === t.task,
    });
    const segments = segmentsOf(t, many.data && many.data.items);
    const why = (t.reason && t.reason.text) || word(t.state);
    return html`<div class=${'line' + (selected ? ' sel' : '')}>
        <a class="name" href=${href(name)} title=${name}><${Dot} state=${t.state} />${name}</a
        ><span class="track">
            ${segments.map((s) => html`<${Segment} s=${s} x=${x} now=${now} />`)}
            ${segments.length ? null : html`<span class="why">${why}</span>`}
            ${live ? html`<i class="now" style=${{left: x(now) + '%'}}></i>` : null}</span
        >
    </div>`;
}
// From when to when the run is: [ms, ms].
function extent(run, tasks, now) {
    const begins = tasks
        .map((t) => t.ready_at || t.started_at)
        .filter(Boolean)
        .concat(run.started_at || run.created_at);
    const from = Math.min(...begins.map((b) => +new Date(b)));
    const ends = tasks.map((t) => +new Date(t.finished_at || 0));
    return [from, now || Math.max(from + 1, ...ends, +new Date(run.finished_at || 0))];
}
// The span that is looked at, in seconds from the run's begin: [[a, b] or null, set].
function useSpan() {
    const [text, set] = useQuery('span');
    const [, a, b] = /^([\d.]+)-([\d.]+)$/.exec(text) || [];
    return [
        Number(b) > Number(a) ? [Number(a), Number(b)] : null,
        (s) => set(s ? `${s[0].toFixed(3)}-${s[1].toFixed(3)}` : ''),
    ];
}
// Draws a span over the tracks: what the pointer has gone over, in parts of their width.
function useBrush(done) {
    const [brush, setBrush] = useState(null),
        box = useRef(null);
    const down = (e) => {
        const track = box.current.querySelector('.track').getBoundingClientRect();
        if (e.button || e.clientX < track.left || e.target.closest('a')) return;
        const part = (m) => clamp((m.clientX - track.left) / track.width, 0, 1),
            from = part(e),
            el = e.currentTarget;
        let span = null;
        const move = (m) => {
            const to = part(m);
            span = [Math.min(from, to), Math.max(from, to)];
            setBrush({
                left: track.left - box.current.getBoundingClientRect().left + span[0] * track.width,
                width: (span[1] - span[0]) * track.width,
            });
        };
        el.setPointerCapture(e.pointerId);
        el.addEventListener('pointermove', move);
        el.addEventListener(
            'pointerup',
            () => {
                el.removeEventListener('pointermove', move);
                setBrush(null);
                if (span && span[1] - span[0] > SPAN_MIN) done(span);
            },
            {once: true},
        );
    };
    return {box, brush, down};
}
const Span = ({from, to, all}) =>
    html`<p class="toolbar">
        <button type="button" onClick=${all}>All of the run</button>
        <span class="muted">${axisLabel(from)} to ${axisLabel(to)}</span>
    </p>`;
export function Gantt({run, tasks, selected, href}) {
    const live = !isFinal(run.state),
        tick = clock.use(),
        now = live ? tick : Date.now();
    zone.use();
    const [span, setSpan] = useSpan();
    const [begin, end] = extent(run, tasks, live ? now : 0);
    const first = span ? span[0] : 0,
        total = span ? span[1] - span[0] : Math.max(0.001, (end - begin) / 1000) * 1.01;
    const {box, brush, down} = useBrush(([a, b]) =>
        setSpan([first + a * total, first + b * total]),
    );
    const x = (at) => (100 * ((new Date(at) - begin) / 1000 - first)) / total;
    const part = (s) => (100 * (s - first)) / total + '%';
    if (!tasks.length) return html`<${Empty}>The run has no tasks.</${Empty}>`;
    const row = (t) =>
        html`<${Row}
            key=${taskName(t)}
            run=${run}
            t=${t}
            x=${x}
            now=${now}
            live=${live}
            selected=${selected === taskName(t)}
            href=${link}
        />`;
    const link = href || ((n) => taskUrl(run.id, n));
    return html`<div
            class="gantt"
            role="group"
            aria-label="Tasks over time"
            ref=${box}
            onPointerDown=${down}
        >
            ${span ? html`<${Span} from=${first} to=${first + total} all=${() => setSpan(null)} />` : null}
            <div class="line axis">
                <span class="name muted">${clockTime(begin + first * 1000)}</span
                ><span class="track">
                    ${ticks(first, total).map((s) => html`<i style=${{left: part(s)}}>${axisLabel(s)}</i>`)}</span
                >
            </div>
            ${tasks.slice(0, SHOWN_ROWS).map(row)}
            ${tasks.length > SHOWN_ROWS ? html`<p class="muted">and ${tasks.length - SHOWN_ROWS} more tasks</p>` : null}
            ${brush ? html`<div class="brush" style=${{left: brush.left + 'px', width: brush.width + 'px'}}></div>` : null}
        </div>
        ${span ? null : html`<p class="muted">Draw over the bars to look closer.</p>`}`;
}
