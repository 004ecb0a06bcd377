// Runs x tasks on a canvas: columns are runs (the newest right), rows are tasks. A hidden table says
// the same to screen readers; arrows move, Enter opens.
import {html, useState, useEffect, useLayoutEffect, useRef, clamp, enc} from './lib.js';
import {useApi, get, taskPath} from './api.js';
import {onEvent} from './live.js';
import {duration, seconds, exactTime, shortTime, zone} from './format.js';
import {LETTERS, STATES, stateOf, word} from './state.js';
import {Loaded, Empty, lastLine, useKeys} from './parts.js';
import {go, withQuery, dagUrl, taskUrl, runUrl} from './route.js';

const HEAD = 84,
    BARS = 56;
const SHAPES = {manual: '○', schedule: '▏', backfill: '◇', dataset: '⬡', drift: '△', dag: '↳'};
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
function palette() {
    const colours = {
        line: css('--line'),
        muted: css('--muted'),
        text: css('--text'),
        bg: css('--bg'),
        sel: css('--sel'),
        focus: css('--focus'),
        on: css('--on'),
    };
    for (const name of Object.keys(STATES)) colours[name] = [css('--' + name), css('--t-' + name)];
    return colours;
}
// How a cell of a state looks: see the table of states in the design.
const FORMS = {
    success: 'solid',
    failed: 'full',
    upstream_failed: 'dot',
    skipped: 'tint',
    cancelled: 'stripe',
    removed: 'dash',
    running: 'solid',
    leased: 'outline',
    queued: 'solid',
    waiting: 'outline',
    deciding: 'outline',
    deferred: 'tint',
    retrying: 'solid',
    stopping: 'outline',
};
function cell(g, state, x, y, size, c) {
    const [strong, tint] = c[state],
        form = FORMS[state];
    const inset = form === 'full' ? 0 : 1,
        s = size - 2 * inset;
    x += inset;
    y += inset;
    g.fillStyle = g.strokeStyle = strong;
    g.lineWidth = 1;
    if (form === 'solid' || form === 'full') {
        g.fillRect(x, y, s, s);
    } else {
        if (form === 'tint') {
            g.fillStyle = tint;
            g.fillRect(x, y, s, s);
        }
        if (form === 'dash') g.setLineDash([2, 2]);
        g.strokeRect(x + 0.5, y + 0.5, s - 1, s - 1);
        g.setLineDash([]);
        if (form === 'stripe') {
            g.beginPath();
            g.moveTo(x, y + s);
            g.lineTo(x + s, y);
            g.stroke();
        }
        g.fillStyle = strong;
        if (form === 'dot' && size < 10) g.fillRect(x + s / 2 - 1, y + s / 2 - 1, 2, 2);
    }
    if (size < 10) return;
    g.fillStyle = form === 'solid' || form === 'full' ? c.on : strong;
    g.fillText(STATES[state][0], x + s / 2, y + s / 2 + 1);
}
function niceMax(s) {
    const steps = [
        1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 43200, 86400,
    ];
    return steps.find((x) => x >= s) || Math.ceil(s / 86400) * 86400;
}

// All loaded runs, the oldest first; live ones change by events.
function useGrid(dag) {
    const head = useApi(`/dags/${enc(dag)}/grid?limit=50`, {
        on: (n, d) => (n === 'run' || n === 'task') && d.dag === dag,
        gap: 300,
    });
    const [older, setOlder] = useState({items: [], tasks: [], next: undefined});
    const [busy, setBusy] = useState(false),
        flying = useRef(false);
    const first = head.data;
    const next = older.next !== undefined ? older.next : first && first.next;
    const more = async () => {
        if (flying.current || !next) return;
        flying.current = true;
        setBusy(true);
        try {
            const page = await get(`/dags/${enc(dag)}/grid?limit=200&cursor=${enc(next)}`);
            setOlder((o) => ({
                items: [...o.items, ...page.items],
                tasks: page.tasks,
                next: page.next,
            }));
        } finally {
            flying.current = false;
            setBusy(false);
        }
    };
    let runs = [],
        tasks = [];
    if (first) {
        const ids = new Set(first.items.map((r) => r.id));
        runs = [...first.items, ...older.items.filter((r) => !ids.has(r.id))].reverse();
        tasks = older.tasks.length > first.tasks.length ? older.tasks : first.tasks;
    }
    return {head, runs, tasks, next, more, busy};
}

export function Grid({dag, medians, selected, choose}) {
    const grid = useGrid(dag);
    return html`<${Loaded} of=${grid.head} rows=${8} what="The grid could not be loaded">${() =>
        grid.runs.length
            ? html`<${DrawnGrid}
                  key=${dag}
                  dag=${dag}
                  grid=${grid}
                  selected=${selected}
                  choose=${choose}
              />`
            : html`<${Empty}>It never ran. <a href=${dagUrl(dag, 'trigger')}>Run it now</a>.</${Empty}>`}</${Loaded}>`;
}

function DrawnGrid({dag, grid, selected, choose}) {
    const {runs, tasks, next, more, busy} = grid;
    const box = useRef(null),
        canvas = useRef(null),
        at = useRef({x: null, atEnd: true});
    const [hover, setHover] = useState(null);
    const [, redraw] = useState(0);
    zone.use();
    const size = runs.length >= 200 ? 6 : 14,
        step = size + 2,
        rowStep = Math.max(18, step);
    const names = innerWidth <= 640 ? 110 : 170,
        axis = 44;
    const left = names + axis;
    const width = left + runs.length * step + 8,
        height = HEAD + tasks.length * rowStep + 4;
    const longest = niceMax(
        Math.max(0.001, ...runs.map((r) => seconds(r.started_at, r.finished_at) || 0)),
    );

    const draw = () => {
        const el = box.current,
            cv = canvas.current;
        if (!el || !cv) return;
        const w = el.clientWidth,
            h = Math.min(el.clientHeight, height),
            ratio = devicePixelRatio || 1;
        if (cv.width !== Math.round(w * ratio) || cv.height !== Math.round(h * ratio)) {
            cv.width = Math.round(w * ratio);
            cv.height = Math.round(h * ratio);
            cv.style.width = w + 'px';
            cv.style.height = h + 'px';
        }
        const g = cv.getContext('2d'),
            c = palette(),
            dx = el.scrollLeft,
            dy = el.scrollTop;
        g.setTransform(ratio, 0, 0, ratio, 0, 0);
        g.fillStyle = c.bg;
        g.fillRect(0, 0, w, h);
        g.font = `${size >= 10 ? 10 : 8}px system-ui, sans-serif`;
        g.textAlign = 'center';
        g.textBaseline = 'middle';
        const first = Math.max(0, Math.floor((dx - step) / step)),
            last = Math.min(runs.length, Math.ceil((dx + w - left) / step) + 1);
        const row0 = Math.max(0, Math.floor(dy / rowStep)),
            row1 = Math.min(tasks.length, Math.ceil((dy + h - HEAD) / rowStep) + 1);
        const X = (i) => left + i * step - dx,
            Y = (k) => HEAD + k * rowStep - dy;
        const row = tasks.indexOf(selected.task),
            col = runs.findIndex((r) => r.id === selected.run);
        g.fillStyle = c.sel;
        if (row >= 0) g.fillRect(0, Y(row), w, rowStep);
        if (col >= 0) g.fillRect(X(col) - 1, 0, step, h);
        for (let i = first; i < last; i++) {
            for (let k = row0; k < row1; k++) {
                const state = LETTERS[runs[i].states[k]];
                if (state) cell(g, state, X(i), Y(k) + (rowStep - size) / 2, size, c);
            }
        }
        if (row >= 0 && col >= 0) {
            g.strokeStyle = c.focus;
            g.lineWidth = 2;
            g.strokeRect(X(col) - 1, Y(row) + (rowStep - size) / 2 - 1, size + 2, size + 2);
        }
        // The head covers what is scrolled below it.
        g.fillStyle = c.bg;
        g.fillRect(0, 0, w, HEAD - 2);
        if (col >= 0) {
            g.fillStyle = c.sel;
            g.fillRect(X(col) - 1, 0, step, HEAD);
        }
        for (let i = first; i < last; i++) {
            const r = runs[i],
                s = seconds(r.started_at, r.finished_at) || 0;
            const high = Math.max(2, (BARS * Math.min(s, longest)) / longest);
            g.fillStyle = c[stateOf(r.state)][0];
            g.fillRect(X(i), 6 + BARS - high, size, high);
            g.fillStyle = c.muted;
            if (size >= 10) g.fillText(SHAPES[r.cause] || '○', X(i) + size / 2, 6 + BARS + 10);
        }
        g.fillStyle = c.bg;
        g.fillRect(0, 0, left - 2, h);
        g.fillStyle = c.muted;
        g.strokeStyle = c.line;
        g.textAlign = 'right';
        g.font = '11px system-ui, sans-serif';
        for (const part of [0, 0.5, 1]) {
            const y = 6 + BARS - part * BARS;
            g.fillText(
                part
                    ? duration(longest * part)
                          .replace(' 00 s', '')
                          .replace('.0', '')
                    : '0',
                left - 6,
                clamp(y, 8, HEAD),
            );
            g.beginPath();
            g.moveTo(left - 3, y + 0.5);
            g.lineTo(w, y + 0.5);
            g.globalAlpha = 0.5;
            g.stroke();
            g.globalAlpha = 1;
        }
        g.textAlign = 'left';
        g.font = '12px system-ui, sans-serif';
        g.save();
        g.beginPath();
        g.rect(0, HEAD, left - 6, h - HEAD);
        g.clip();
        for (let k = row0; k < row1; k++) {
            if (k === row) {
                g.fillStyle = c.sel;
                g.fillRect(0, Y(k), left, rowStep);
            }
            g.fillStyle = c.text;
            g.fillText(tasks[k], 4, Y(k) + rowStep / 2 + 1);
        }
        g.restore();
    };
    useLayoutEffect(draw);
    // New runs come in at the right: who looks at the end stays there.
    useLayoutEffect(() => {
        const el = box.current;
        if (at.current.atEnd) el.scrollLeft = el.scrollWidth;
        else if (at.current.width)
            el.scrollLeft += Math.max(0, width - at.current.width) * (at.current.older ? 1 : 0);
        at.current.width = width;
        at.current.older = false;
        draw();
    }, [width]);
    useEffect(() => {
        const again = () => redraw((n) => n + 1);
        addEventListener('theme', again);
        const watch = new ResizeObserver(draw);
        watch.observe(box.current);
        return () => {
            removeEventListener('theme', again);
            watch.disconnect();
        };
    }, []);
    const scrolled = () => {
        const el = box.current;
        at.current.atEnd = el.scrollLeft + el.clientWidth >= el.scrollWidth - 4;
        if (el.scrollLeft < 40 && el.scrollWidth > el.clientWidth && next && !busy) {
            at.current.older = true;
            more();
        }
        draw();
    };
    const find = (e) => {
        const r = canvas.current.getBoundingClientRect(),
            el = box.current;
        const x = e.clientX - r.left,
            y = e.clientY - r.top;
        const i = x < left ? -1 : Math.floor((x - left + el.scrollLeft) / step),
            k = y < HEAD ? -1 : Math.floor((y - HEAD + el.scrollTop) / rowStep);
        return {
            run: i >= 0 ? runs[i] : undefined,
            task: k >= 0 ? tasks[k] : undefined,
            row: k,
            x: e.clientX,
            y: e.clientY,
        };
    };
    const click = (e) => {
        const hit = find(e);
        if (hit.run || hit.task)
            choose({
                run: hit.run ? hit.run.id : hit.task && x0(e) ? null : selected.run,
                task: hit.task || null,
            });
    };
    const x0 = (e) => e.clientX - canvas.current.getBoundingClientRect().left < left;
    const move = (e) => {
        const hit = find(e);
        setHover(hit.run ? hit : null);
    };
    const key = (dx, dy) => () => {
        if (!box.current.contains(document.activeElement)) return false;
        const i = selected.run ? runs.findIndex((r) => r.id === selected.run) : runs.length - 1;
        const k = selected.task ? tasks.indexOf(selected.task) : -1;
        const ni = clamp(i + dx, 0, runs.length - 1),
            nk = clamp(k + dy, dy < 0 && k <= 0 ? -1 : 0, tasks.length - 1);
        choose({run: runs[ni].id, task: nk >= 0 ? tasks[nk] : null});
        const el = box.current,
            px = left + ni * step;
        if (px - el.scrollLeft < left + step) el.scrollLeft = px - left - step;
        if (px - el.scrollLeft > el.clientWidth - step)
            el.scrollLeft = px - el.clientWidth + 2 * step;
        return true;
    };
    const byRun = (by) => () => {
        const i = runs.findIndex((r) => r.id === selected.run);
        choose({
            run: runs[clamp((i < 0 ? runs.length : i) + by, 0, runs.length - 1)].id,
            task: selected.task || null,
        });
    };
    useKeys({
        ArrowLeft: key(-1, 0),
        ArrowRight: key(1, 0),
        ArrowUp: key(0, -1),
        ArrowDown: key(0, 1),
        '[': byRun(-1),
        ']': byRun(1),
        Enter: () => {
            if (document.activeElement !== canvas.current || !selected.run) return false;
            go(selected.task ? taskUrl(selected.run, selected.task) : runUrl(selected.run));
            return true;
        },
    });
    const words = (() => {
        const r = runs.find((x) => x.id === selected.run);
        if (!r) return '';
        const state = selected.task
            ? LETTERS[r.states[tasks.indexOf(selected.task)]] || 'no such task'
            : r.state;
        return `${selected.task || 'run'} ${r.id}: ${word(state)}`;
    })();
    const twin = runs.slice(-10);
    return html`<div
            class="gridbox scroller"
            tabindex="-1"
            ref=${box}
            onScroll=${scrolled}
            style=${{maxHeight: 'calc(100vh - 190px)', height: Math.min(height + 14, 2000) + 'px', position: 'relative'}}
        >
            <div style=${{width: width + 'px', height: height + 'px'}}>
                <canvas
                    ref=${canvas}
                    tabindex="0"
                    role="img"
                    aria-label=${`Grid of ${runs.length} runs and ${tasks.length} tasks. Arrow keys move, Enter opens. ${words}`}
                    style=${{position: 'sticky', left: 0, top: 0, cursor: 'pointer'}}
                    onClick=${click}
                    onMouseMove=${move}
                    onMouseLeave=${() => setHover(null)}
                ></canvas>
            </div>
        </div>
        ${
            next
                ? html`<p class="muted">
                      ${runs.length} runs;
                      <button
                          type="button"
                          class="link"
                          onClick=${() => {
                              at.current.older = true;
                              more();
                          }}
                          disabled=${busy}
                      >
                          older
                      </button>
                  </p>`
                : null
        }
        ${hover ? html`<${Card} key=${hover.run.id + '/' + hover.task} hover=${hover} />` : null}
        <div class="hidden" aria-live="polite">${words}</div>
        <table class="hidden">
            <caption>
                The last ${twin.length} runs and what became of their tasks
            </caption>
            <thead>
                <tr>
                    <th>Task</th>
                    ${twin.map((r) => html`<th>run ${r.id}: ${r.state}</th>`)}
                </tr>
            </thead>
            <tbody>
                ${tasks.slice(0, 100).map(
                    (t, k) =>
                        html`<tr>
                            <th>${t}</th>
                            ${twin.map((r) => html`<td>${word(LETTERS[r.states[k]] || 'none')}</td>`)}
                        </tr>`,
                )}
            </tbody>
        </table>`;
}

function Card({hover}) {
    const {run, task, row, x, y} = hover;
    const [more, setMore] = useState(null);
    const state = task ? LETTERS[run.states[row]] : null;
    useEffect(() => {
        if (!state) return undefined;
        const timer = setTimeout(() => get(taskPath(run.id, task)).then(setMore, () => {}), 150);
        return () => clearTimeout(timer);
    }, []);
    if (task && !state) return null;
    const place = {
        left: Math.min(x + 16, innerWidth - 350) + 'px',
        top: Math.min(y + 16, innerHeight - 150) + 'px',
    };
    return html`<div class="card" style=${place} aria-hidden="true">
        <b>${task || `run ${run.id}`}</b> ·
        ${word(state || run.state)}${task ? ` · run ${run.id}` : ''}
        <div class="muted">
            ${run.cause},
            ${exactTime(run.started_at || run.created_at)}${task ? '' : `, ${duration(seconds(run.started_at, run.finished_at))}`}
        </div>
        ${more ? html`<div>attempt ${more.attempt} of ${more.max_attempts}${more.started_at ? `, ${duration(seconds(more.started_at, more.finished_at))}` : ''}${more.reason ? ` · ${more.reason.text}` : ''}</div>` : null}
        ${more && more.error ? html`<code class="err">${lastLine(more.error)}</code>` : null}
    </div>`;
}
