// Runs x tasks on a canvas: columns are runs (the newest right), rows are tasks. A hidden table says
// the same to screen readers; arrows move, with shift they select a range, Enter opens.
import {
    html,
    useState,
    useEffect,
    useLayoutEffect,
    useRef,
    useMemo,
    clamp,
    enc,
    plural,
} from './lib.js';
import {useApi, get, taskPath} from './api.js';
import {Ago, duration, seconds, exactTime, zone, attemptOf} from './format.js';
import {Dot, LETTERS, ORDER, CountsBar, isFinal, word} from './state.js';
import {Loaded, Empty, lastLine, useKeys} from './parts.js';
import {go, dagUrl, taskUrl, runUrl} from './route.js';
import {useFolded} from './graph.js';
import {ManyActions} from './actions.js';
import {HEAD, SHAPES, drawGrid, roundMax, stateAt} from './grid_draw.js';

const SMALL_FROM = 200; // runs, from which cells are small
const PHONE = 640,
    PHONE_RUNS = 7;
const KEYS_HELP = 'Arrow keys move, with shift they select, Enter opens.';
const RANGE_RUNS = 200; // of a selection

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
    const all = useMemo(() => {
        if (!first) return {runs: [], tasks: []};
        const ids = new Set(first.items.map((r) => r.id));
        const runs = [...first.items, ...older.items.filter((r) => !ids.has(r.id))].reverse();
        return {runs, tasks: older.tasks.length > first.tasks.length ? older.tasks : first.tasks};
    }, [first, older]);
    return {head, ...all, next, more, busy};
}

// Tasks in their order; those of a group below its own row, or in it when it is folded.
function rowsOf(tasks, groupOf, folded) {
    const rows = [],
        seen = new Map();
    tasks.forEach((task, k) => {
        const group = groupOf.get(task);
        if (group && !seen.has(group)) {
            const row = {group, members: [], folded: folded.has(group)};
            seen.set(group, row);
            rows.push(row);
        }
        if (group) seen.get(group).members.push(k);
        if (!group) rows.push({task, label: task, members: [k]});
    });
    return rows.flatMap((row) => {
        if (row.task) return [row];
        row.label = `${row.folded ? '▸' : '▾'} ${row.group} (${row.members.length})`;
        const inside = row.members.map((k) => ({
            task: tasks[k],
            label: tasks[k],
            members: [k],
            inside: true,
        }));
        return row.folded ? [row] : [row, ...inside];
    });
}

// selected: {run, task, to}; `to` is the other corner of a range: RUN.TASK.
export function Grid({dag, selected, choose}) {
    const grid = useGrid(dag.id);
    return html`<${Loaded} of=${grid.head} rows=${8} what="The grid could not be loaded">${() =>
        grid.runs.length
            ? html`<${DrawnGrid}
                  key=${dag.id}
                  dag=${dag}
                  grid=${grid}
                  selected=${selected}
                  choose=${choose}
              />`
            : html`<${Empty}>It never ran. <a href=${dagUrl(dag.id, 'trigger')}>Run it now</a>.</${Empty}>`}</${Loaded}>`;
}

function rangeOf(selected, runs, rows) {
    if (!selected.to || !selected.run) return null;
    const at = selected.to.indexOf('.');
    const i = [
        runs.findIndex((r) => r.id === selected.run),
        runs.findIndex((r) => r.id === selected.to.slice(0, at)),
    ];
    const k = [selected.task, selected.to.slice(at + 1)].map((t) =>
        rows.findIndex((r) => r.task === t),
    );
    if ([...i, ...k].some((x) => x < 0)) return null;
    return [Math.min(...i), Math.max(...i), Math.min(...k), Math.max(...k)];
}

function DrawnGrid({dag, grid, selected, choose}) {
    const {tasks, next, more, busy} = grid;
    const phone = innerWidth <= PHONE;
    const runs = phone ? grid.runs.slice(-PHONE_RUNS) : grid.runs;
    const box = useRef(null),
        canvas = useRef(null),
        at = useRef({atEnd: true});
    const [hover, setHover] = useState(null),
        [, redraw] = useState(0);
    zone.use();
    const groupOf = useMemo(
        () => new Map(dag.tasks.filter((t) => t.group).map((t) => [t.id, t.group])),
        [dag.tasks],
    );
    const [folded, toggle] = useFolded([...new Set(groupOf.values())], tasks.length);
    const rows = useMemo(() => rowsOf(tasks, groupOf, folded), [tasks, groupOf, folded]);
    const size = runs.length >= SMALL_FROM ? 6 : 14,
        step = size + 2,
        rowStep = Math.max(18, step),
        left = (phone ? 110 : 170) + 44;
    const width = left + runs.length * step + 8,
        height = HEAD + rows.length * rowStep + 4;
    const longest = roundMax(
        Math.max(0.001, ...runs.map((r) => seconds(r.started_at, r.finished_at) || 0)),
    );
    const range = rangeOf(selected, runs, rows);
    const draw = () =>
        box.current &&
        drawGrid(canvas.current, box.current, {
            runs,
            rows,
            left,
            size,
            step,
            rowStep,
            longest,
            selected,
            range,
        });
    useLayoutEffect(() => void draw());
    // New runs come in at the right: who looks at the end stays there.
    useLayoutEffect(() => {
        const el = box.current;
        if (at.current.atEnd) el.scrollLeft = el.scrollWidth;
        else if (at.current.older) el.scrollLeft += Math.max(0, width - at.current.width);
        at.current.width = width;
        at.current.older = false;
        draw();
    }, [width]);
    useEffect(() => {
        const again = () => redraw((n) => n + 1);
        addEventListener('theme', again);
        const watch = new ResizeObserver(again);
        watch.observe(box.current);
        return () => {
            removeEventListener('theme', again);
            watch.disconnect();
        };
    }, []);
    const older = () => {
        at.current.older = true;
        more();
    };
    const scrolled = () => {
        const el = box.current;
        at.current.atEnd = el.scrollLeft + el.clientWidth >= el.scrollWidth - 4;
        if (el.scrollLeft < 40 && el.scrollWidth > el.clientWidth && next && !busy) older();
        draw();
    };
    const find = (e) => {
        const r = canvas.current.getBoundingClientRect(),
            x = e.clientX - r.left,
            y = e.clientY - r.top;
        const i = x < left ? -1 : Math.floor((x - left + box.current.scrollLeft) / step),
            k = y < HEAD ? -1 : Math.floor((y - HEAD + box.current.scrollTop) / rowStep);
        return {run: runs[i], row: rows[k], named: x < left, x: e.clientX, y: e.clientY};
    };
    const click = (e) => {
        const {run, row, named} = find(e);
        if (row && row.group && (named || !run)) toggle(row.group);
        else if (row && row.task && named) choose({run: null, task: row.task});
        else if (run && row && row.task && e.shiftKey && selected.run && selected.task)
            choose({...selected, to: `${run.id}.${row.task}`});
        else if (run) choose({run: run.id, task: row && row.task ? row.task : null});
    };
    const move = (e) => {
        const hit = find(e);
        setHover(hit.run && (!hit.row || stateAt(hit.run, hit.row)) ? hit : null);
    };
    useGridKeys({box, canvas, runs, rows, selected, choose, left, step});
    const groups = rows.filter((r) => r.group);
    return html`${groups.length ? html`<${Folds} groups=${groups} toggle=${toggle} />` : null}
        <div
            class="gridbox scroller"
            tabindex="-1"
            ref=${box}
            onScroll=${scrolled}
            style=${{height: Math.min(height + 14, 2000) + 'px'}}
        >
            <div style=${{width: width + 'px', height: height + 'px'}}>
                <canvas
                    ref=${canvas}
                    tabindex="0"
                    role="img"
                    aria-label=${`Grid of ${runs.length} runs and ${tasks.length} tasks. ${KEYS_HELP} ${wordsOf(selected, runs, tasks)}`}
                    onClick=${click}
                    onMouseMove=${move}
                    onMouseLeave=${() => setHover(null)}
                ></canvas>
            </div>
        </div>
        <${Legend} runs=${runs} next=${next} busy=${busy} older=${older} />
        ${hover ? html`<${Card} key=${hover.run.id + '/' + (hover.row ? hover.row.label : '')} hover=${hover} />` : null}
        <div class="hidden" aria-live="polite">${wordsOf(selected, runs, tasks)}</div>
        <${Twin} runs=${runs.slice(-10)} tasks=${tasks.slice(0, 100)} />`;
}
const Folds = ({groups, toggle}) =>
    html`<p class="toolbar">
        <span class="muted">Groups</span>
        ${groups.map(
            (r) =>
                html`<button
                    type="button"
                    aria-expanded=${!r.folded}
                    onClick=${() => toggle(r.group)}
                >
                    ${r.label}
                </button>`,
        )}
    </p>`;

function wordsOf(selected, runs, tasks) {
    const r = runs.find((x) => x.id === selected.run);
    if (!r) return '';
    const state = selected.task
        ? LETTERS[r.states[tasks.indexOf(selected.task)]] || 'no such task'
        : r.state;
    return `${selected.task || 'run'} ${r.id}: ${word(state)}`;
}
// Which shape is which cause, of those that are there; and the way to older runs.
function Legend({runs, next, busy, older}) {
    const causes = Object.keys(SHAPES).filter((c) => runs.some((r) => r.cause === c));
    return html`<p class="muted">
        ${causes.map((c) => `${SHAPES[c]} ${c}`).join(' · ')} · ${plural(runs.length, 'run')}
        ${next ? html`<button type="button" class="link" onClick=${older} disabled=${busy}>older</button>` : null}
    </p>`;
}
const Twin = ({runs, tasks}) =>
    html`<div class="hidden">
        <table class="twin">
            <caption>
                The last ${runs.length} runs and what became of their tasks
            </caption>
            <thead>
                <tr>
                    <th>Task</th>
                    ${runs.map((r) => html`<th>run ${r.id}, ${r.cause}: ${r.state}</th>`)}
                </tr>
            </thead>
            <tbody>
                ${tasks.map(
                    (t, k) =>
                        html`<tr>
                            <th>${t}</th>
                            ${runs.map((r) => html`<td>${word(LETTERS[r.states[k]] || 'none')}</td>`)}
                        </tr>`,
                )}
            </tbody>
        </table>
    </div>`;

// Arrows move, with shift they move the other corner of a range; [ and ] go from run to run.
function useGridKeys({box, canvas, runs, rows, selected, choose, left, step}) {
    const lines = rows.filter((r) => r.task);
    const show = (i) => {
        const el = box.current,
            px = left + i * step;
        if (px - el.scrollLeft < left + step) el.scrollLeft = px - left - step;
        if (px - el.scrollLeft > el.clientWidth - step)
            el.scrollLeft = px - el.clientWidth + 2 * step;
    };
    const corner = () => {
        const at = selected.to ? selected.to.indexOf('.') : 0;
        return selected.to
            ? [selected.to.slice(0, at), selected.to.slice(at + 1)]
            : [selected.run, selected.task];
    };
    const key = (dx, dy) => (e) => {
        if (!box.current.contains(document.activeElement)) return false;
        const wide = e.shiftKey && selected.run && selected.task;
        const [run, task] = wide ? corner() : [selected.run, selected.task];
        const i = run ? runs.findIndex((r) => r.id === run) : runs.length - 1,
            k = task ? lines.findIndex((r) => r.task === task) : -1;
        const ni = clamp(i + dx, 0, runs.length - 1),
            nk = clamp(k + dy, !wide && dy < 0 && k <= 0 ? -1 : 0, lines.length - 1);
        if (wide) choose({...selected, to: `${runs[ni].id}.${lines[nk].task}`});
        else
            choose({run: runs[ni].id, task: k < 0 && !dy ? null : nk >= 0 ? lines[nk].task : null});
        show(ni);
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
        Escape: () => !!selected.to && (choose({run: selected.run, task: selected.task}), true),
    });
}

// ---- What the pointer is over ----
function Card({hover}) {
    const {run, row, x, y} = hover;
    const [more, setMore] = useState(null);
    const state = row ? stateAt(run, row) : null;
    useEffect(() => {
        if (!row || !row.task) return undefined;
        const timer = setTimeout(
            () => get(taskPath(run.id, row.task)).then(setMore, () => {}),
            150,
        );
        return () => clearTimeout(timer);
    }, []);
    const place = {
        left: Math.min(x + 16, innerWidth - 350) + 'px',
        top: Math.min(y + 16, innerHeight - 150) + 'px',
    };
    const took = row ? '' : `, ${duration(seconds(run.started_at, run.finished_at))}`;
    return html`<div class="card" style=${place} aria-hidden="true">
        <b>${row ? row.task || row.group : `run ${run.id}`}</b> ·
        ${word(state || run.state)}${row ? ` · run ${run.id}` : ''}
        <div class="muted">${run.cause}, ${exactTime(run.started_at || run.created_at)}${took}</div>
        ${more ? html`<${Attempt} t=${more} />` : null}
        ${more && more.error ? html`<code class="err">${lastLine(more.error)}</code>` : null}
    </div>`;
}
function Attempt({t}) {
    const took = t.started_at ? `, ${duration(seconds(t.started_at, t.finished_at))}` : '';
    return html`<div>attempt ${attemptOf(t)}${took}${t.reason ? ` · ${t.reason.text}` : ''}</div>`;
}

// ---- The right half, for what only the grid can select ----
const usually = (t) =>
    `Median ${duration(t.median)}, p90 ${duration(t.p90)} of ${plural(t.runs, 'run')}`;
// A task in past runs.
export function TaskHistory({dag, task}) {
    const grid = useApi(`/dags/${enc(dag)}/grid?limit=50`, {
        on: (n, d) => (n === 'run' || n === 'task') && d.dag === dag,
        gap: 500,
    });
    const times = useApi(`/dags/${enc(dag)}/durations`);
    const usual = times.data && times.data.items.find((t) => t.task === task);
    return html`<section aria-label="Task in past runs">
        <header class="head"><h2 class="tight">${task} in past runs</h2></header>
        ${usual ? html`<p class="muted">${usually(usual)}</p>` : null}
        <${Loaded} of=${grid}>${(g) => html`<${HistoryTable} g=${g} task=${task} />`}</${Loaded}>
    </section>`;
}
function HistoryTable({g, task}) {
    const k = g.tasks.indexOf(task),
        runs = g.items.filter((r) => LETTERS[r.states[k]]);
    if (!runs.length) return html`<${Empty}>None of the last runs had it.</${Empty}>`;
    return html`<table class="list">
        <thead>
            <tr>
                <th>Run</th>
                <th>State</th>
                <th>Cause</th>
                <th>Began</th>
            </tr>
        </thead>
        <tbody>
            ${runs.map((r) => {
                const state = LETTERS[r.states[k]];
                return html`<tr key=${r.id}>
                    <td><a href=${taskUrl(r.id, task)}>${r.id}</a></td>
                    <td><${Dot} state=${state} /> ${word(state)}</td>
                    <td>${r.cause}</td>
                    <td><${Ago} at=${r.started_at || r.created_at} /></td>
                </tr>`;
            })}
        </tbody>
    </table>`;
}
// The tasks of a range of runs, and what can be done to them.
export function RangePane({dag, selected}) {
    const at = selected.to.indexOf('.'),
        runs = [selected.run, selected.to.slice(0, at)]
            .map(BigInt)
            .sort((a, b) => (a < b ? -1 : 1));
    const grid = useApi(`/dags/${enc(dag)}/grid?limit=${RANGE_RUNS}&cursor=${runs[1] + 1n}`, {
        on: (n, d) => (n === 'run' || n === 'task') && d.dag === dag,
        gap: 500,
    });
    return html`<${Loaded} of=${grid}>${(g) => {
        const k = [selected.task, selected.to.slice(at + 1)]
            .map((t) => g.tasks.indexOf(t))
            .sort((a, b) => a - b);
        if (k[0] < 0) return html`<${Empty}>These tasks are not there any more.</${Empty}>`;
        const items = g.items.filter((r) => BigInt(r.id) >= runs[0]);
        return html`<${Range}
            dag=${dag}
            runs=${items}
            tasks=${g.tasks}
            from=${k[0]}
            to=${k[1]}
            cut=${items.length === RANGE_RUNS}
        />`;
    }}</${Loaded}>`;
}
function Range({dag, runs, tasks, from, to, cut}) {
    const counts = {},
        targets = [];
    let failed = false;
    for (const r of runs) {
        const mine = [];
        for (let k = from; k <= to; k++) {
            const state = LETTERS[r.states[k]];
            if (!state) continue;
            mine.push(tasks[k]);
            counts[state] = (counts[state] || 0) + 1;
            failed = failed || state === 'failed' || state === 'upstream_failed';
        }
        if (mine.length) targets.push({run: r.id, tasks: mine});
    }
    const n = Object.values(counts).reduce((a, b) => a + b, 0),
        live = runs.filter((r) => !isFinal(r.state)).length;
    return html`<section aria-label="Selected range">
        <header class="head">
            <h2 class="tight">${plural(n, 'task')} of ${plural(targets.length, 'run')}</h2>
        </header>
        <p class="muted">
            ${tasks[from]}${to > from ? ` to ${tasks[to]}` : ''}${live ? `, ${plural(live, 'run')} under way` : ''}.
            ${cut ? `The newest ${RANGE_RUNS} runs of the range.` : ''} Esc leaves the range.
        </p>
        <${CountsBar} counts=${counts} />
        <p>
            ${ORDER.filter((s) => counts[s])
                .map((s) => `${counts[s]} ${word(s)}`)
                .join(' · ')}
        </p>
        <${ManyActions} dag=${dag} targets=${targets} failed=${failed} />
    </section>`;
}
