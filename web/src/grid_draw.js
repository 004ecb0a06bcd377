// How a grid of runs x tasks is drawn on its canvas: only what is seen of it.
import {clamp} from './lib.js';
import {seconds} from './format.js';
import {LETTERS, ORDER, STATES, stateOf} from './state.js';
import {axisLabel} from './gantt.js';

export const HEAD = 84, // pixels above the first row: bars and shapes
    BARS = 56;
const TOP = 6;
export const SHAPES = {
    manual: '○',
    schedule: '▏',
    backfill: '◇',
    dataset: '⬡',
    drift: '△',
    dag: '↳',
};

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
function palette() {
    const colours = {};
    for (const name of ['line', 'muted', 'text', 'bg', 'sel', 'focus', 'on'])
        colours[name] = css('--' + name);
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
function outline(g, form, tint, x, y, s) {
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
}
function cell(g, state, x, y, size, c) {
    const [strong, tint] = c[state],
        form = FORMS[state],
        full = form === 'solid' || form === 'full';
    const inset = form === 'full' ? 0 : 1,
        s = size - 2 * inset;
    g.fillStyle = g.strokeStyle = strong;
    g.lineWidth = 1;
    if (full) g.fillRect(x + inset, y + inset, s, s);
    else outline(g, form, tint, x + inset, y + inset, s);
    g.fillStyle = full ? c.on : strong;
    if (size >= 10) g.fillText(STATES[state][0], x + size / 2, y + size / 2 + 1);
    else if (form === 'dot') g.fillRect(x + size / 2 - 1, y + size / 2 - 1, 2, 2);
}

// The state of a row in a run: a task's, or the worst of a group's. null: there is none.
export function stateAt(run, row) {
    let worst = null;
    for (const k of row.members) {
        const state = LETTERS[run.states[k]];
        if (state && (!worst || ORDER.indexOf(state) < ORDER.indexOf(worst))) worst = state;
    }
    return worst;
}

const ROUND = [
    1, 2, 4, 10, 20, 30, 60, 120, 240, 600, 1200, 1800, 3600, 7200, 14400, 28800, 43200, 86400,
];
export const roundMax = (s) => ROUND.find((x) => x >= s) || Math.ceil(s / 86400) * 86400;

// What stands where: p has runs, rows, left, size, step, rowStep, selected, range; el scrolls.
export function drawGrid(cv, el, p) {
    const w = el.clientWidth,
        h = Math.min(el.clientHeight, HEAD + p.rows.length * p.rowStep + 4);
    const g = sized(cv, w, h);
    const d = {
        g,
        w,
        h,
        c: palette(),
        x: (i) => p.left + i * p.step - el.scrollLeft,
        y: (k) => HEAD + k * p.rowStep - el.scrollTop,
        cell: (k) => HEAD + k * p.rowStep - el.scrollTop + (p.rowStep - p.size) / 2,
        first: Math.max(0, Math.floor((el.scrollLeft - p.step) / p.step)),
        last: Math.min(p.runs.length, Math.ceil((el.scrollLeft + w - p.left) / p.step) + 1),
        row0: Math.max(0, Math.floor(el.scrollTop / p.rowStep)),
        row1: Math.min(p.rows.length, Math.ceil((el.scrollTop + h - HEAD) / p.rowStep) + 1),
        row: p.rows.findIndex((r) => r.task && r.task === p.selected.task),
        col: p.runs.findIndex((r) => r.id === p.selected.run),
    };
    g.fillStyle = d.c.bg;
    g.fillRect(0, 0, w, h);
    drawCells(d, p);
    if (p.range) drawRange(d, p);
    drawHead(d, p);
    drawAxis(d, p);
    drawNames(d, p);
}
function sized(cv, w, h) {
    const ratio = devicePixelRatio || 1;
    if (cv.width !== Math.round(w * ratio) || cv.height !== Math.round(h * ratio)) {
        cv.width = Math.round(w * ratio);
        cv.height = Math.round(h * ratio);
        cv.style.width = w + 'px';
        cv.style.height = h + 'px';
    }
    const g = cv.getContext('2d');
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.textBaseline = 'middle';
    return g;
}
function drawCells(d, p) {
    const {g, c} = d;
    g.font = `${p.size >= 10 ? 10 : 8}px system-ui, sans-serif`;
    g.textAlign = 'center';
    g.fillStyle = c.sel;
    if (d.row >= 0) g.fillRect(0, d.y(d.row), d.w, p.rowStep);
    if (d.col >= 0) g.fillRect(d.x(d.col) - 1, 0, p.step, d.h);
    for (let i = d.first; i < d.last; i++) {
        for (let k = d.row0; k < d.row1; k++) {
            const state = stateAt(p.runs[i], p.rows[k]);
            if (state) cell(g, state, d.x(i), d.cell(k), p.size, c);
        }
    }
    if (d.row < 0 || d.col < 0) return;
    g.strokeStyle = c.focus;
    g.lineWidth = 2;
    g.strokeRect(d.x(d.col) - 1, d.cell(d.row) - 1, p.size + 2, p.size + 2);
}
function drawRange(d, p) {
    const [i0, i1, k0, k1] = p.range;
    d.g.strokeStyle = d.c.focus;
    d.g.lineWidth = 2;
    d.g.strokeRect(
        d.x(i0) - 2,
        d.cell(k0) - 2,
        (i1 - i0) * p.step + p.size + 4,
        (k1 - k0) * p.rowStep + p.size + 4,
    );
}
// Bars of durations and shapes of causes; it covers what is scrolled below it.
function drawHead(d, p) {
    const {g, c} = d;
    g.fillStyle = c.bg;
    g.fillRect(0, 0, d.w, HEAD - 2);
    g.fillStyle = c.sel;
    if (d.col >= 0) g.fillRect(d.x(d.col) - 1, 0, p.step, HEAD);
    for (let i = d.first; i < d.last; i++) {
        const r = p.runs[i],
            s = seconds(r.started_at, r.finished_at) || 0;
        const high = Math.max(2, (BARS * Math.min(s, p.longest)) / p.longest);
        g.fillStyle = c[stateOf(r.state)][0];
        g.fillRect(d.x(i), TOP + BARS - high, p.size, high);
        g.fillStyle = c.muted;
        if (p.size >= 10) g.fillText(SHAPES[r.cause] || '○', d.x(i) + p.size / 2, TOP + BARS + 10);
    }
}
function drawAxis(d, p) {
    const {g, c} = d;
    g.fillStyle = c.bg;
    g.fillRect(0, 0, p.left - 2, d.h);
    g.fillStyle = c.muted;
    g.strokeStyle = c.line;
    g.lineWidth = 1;
    g.textAlign = 'right';
    g.font = '11px system-ui, sans-serif';
    for (const part of [0, 0.5, 1]) {
        const y = TOP + BARS - part * BARS;
        g.fillText(axisLabel(p.longest * part), p.left - 6, clamp(y, 8, HEAD));
        g.beginPath();
        g.moveTo(p.left - 3, y + 0.5);
        g.lineTo(d.w, y + 0.5);
        g.globalAlpha = 0.5;
        g.stroke();
        g.globalAlpha = 1;
    }
}
// A text that fits, with its end cut away where it is too long.
function fitted(g, text, width) {
    if (g.measureText(text).width <= width) return text;
    let n = text.length;
    while (n > 1 && g.measureText(text.slice(0, n) + '…').width > width) n--;
    return text.slice(0, n) + '…';
}
function drawNames(d, p) {
    const {g, c} = d;
    g.textAlign = 'left';
    g.save();
    g.beginPath();
    g.rect(0, HEAD, p.left - 6, d.h - HEAD);
    g.clip();
    for (let k = d.row0; k < d.row1; k++) {
        const row = p.rows[k];
        if (k === d.row) {
            g.fillStyle = c.sel;
            g.fillRect(0, d.y(k), p.left, p.rowStep);
        }
        g.fillStyle = c.text;
        g.font = `${row.task ? '' : '600 '}12px system-ui, sans-serif`;
        const x = row.inside ? 16 : 4;
        g.fillText(fitted(g, row.label, p.left - 12 - x), x, d.y(k) + p.rowStep / 2 + 1);
    }
    g.restore();
}
