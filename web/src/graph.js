// The tasks as a graph, laid out by the server: states live, wheel zooms, drag moves, arrows walk.
import {
    html,
    useState,
    useEffect,
    useRef,
    useMemo,
    clamp,
    enc,
    clock,
    plural,
    remembered,
} from './lib.js';
import {useApi, runPath} from './api.js';
import {duration, seconds} from './format.js';
import {Loaded, useKeys} from './parts.js';
import {ORDER, STATES, isFinal, word} from './state.js';
import {useQuery} from './route.js';

const MANY = 300; // nodes, from which groups are folded at first and a small map helps
const FAR = 400; // nodes in sight, from which they are boxes without names
const PHONE_MAX = 500; // lines of the list that a phone shows instead
const LEGIBLE = 0.75; // of the size of nodes, from which their names can be read
const direction = remembered('graph', 'auto');
const short = (text, n) => (text.length > n ? text.slice(0, n - 1) + '…' : text);

// ---- Groups ----
// Which groups are folded, in the address: [Set, toggle(group)]. None is said: all, of large DAGs.
export function useFolded(groups, n) {
    const [said, set] = useQuery('folded');
    const key = groups.join();
    const folded = useMemo(
        () =>
            new Set(
                said ? said.split(',').filter((g) => groups.includes(g)) : n > MANY ? groups : [],
            ),
        [said, key, n > MANY],
    );
    const toggle = (group) => {
        const next = groups.filter((g) => folded.has(g) !== (g === group));
        set(next.join() || 'none');
    };
    return [folded, toggle];
}

// ---- Ways ----
function way(e, nodes, size, down) {
    const a = nodes[e.from],
        b = nodes[e.to],
        {w, h} = size;
    const points = down ? [[a.x + w / 2, a.y + h]] : [[a.x + w, a.y + h / 2]];
    for (let i = 0; i < e.bends.length; i += 2) {
        const [x, y] = [e.bends[i], e.bends[i + 1]];
        points.push(
            ...(down
                ? [
                      [x, y - h / 2],
                      [x, y + h / 2],
                  ]
                : [
                      [x - w / 2, y],
                      [x + w / 2, y],
                  ]),
        );
    }
    points.push(down ? [b.x + w / 2, b.y] : [b.x, b.y + h / 2]);
    let d = `M${points[0]}`;
    for (let i = 1; i < points.length; i++) {
        const [x0, y0] = points[i - 1],
            [x1, y1] = points[i];
        if (down ? x0 === x1 : y0 === y1) d += `L${x1},${y1}`;
        else if (down) d += `C${x0},${(y0 + y1) / 2} ${x1},${(y0 + y1) / 2} ${x1},${y1}`;
        else d += `C${(x0 + x1) / 2},${y0} ${(x0 + x1) / 2},${y1} ${x1},${y1}`;
    }
    return d;
}
// All above and below a node.
function related(edges, task) {
    const set = new Set([task]);
    for (const [from, to] of [
        ['from', 'to'],
        ['to', 'from'],
    ]) {
        const next = [task],
            seen = new Set();
        while (next.length) {
            const t = next.pop();
            for (const e of edges)
                if (e[from] === t && !seen.has(e[to])) {
                    seen.add(e[to]);
                    set.add(e[to]);
                    next.push(e[to]);
                }
        }
    }
    return set;
}
// The chain of tasks that the end of a run waited for: back from what ended last, each time to the
// one above that ended last.
function criticalPath(g, states) {
    const ended = (t) => (states[t] && states[t].ended) || '';
    const list = g.nodes
        .map((n) => n.task)
        .filter(ended)
        .sort((a, b) => ended(b).localeCompare(ended(a)));
    const path = new Set();
    // What runs at the very end waited for all others.
    const finals = new Set(g.nodes.filter((n) => n.finally).map((n) => n.task));
    for (const t of list) if (finals.has(t)) path.add(t);
    for (let at = list.find((t) => !finals.has(t)); at && !path.has(at);) {
        path.add(at);
        at = g.edges
            .filter((e) => e.to === at && ended(e.from))
            .map((e) => e.from)
            .sort((a, b) => ended(b).localeCompare(ended(a)))[0];
    }
    return path;
}
// Tasks that one writes for and the other reads: which dataset passes along an edge.
function datasetsOf(edges, tasks) {
    const found = new Map(),
        of = new Map((tasks || []).map((t) => [t.id, t]));
    for (const e of edges) {
        const from = of.get(e.from),
            to = of.get(e.to);
        const both =
            from && to ? (from.produces || []).filter((d) => (to.consumes || []).includes(d)) : [];
        if (both.length) found.set(e, both.join(', '));
    }
    return found;
}

// ---- States of nodes ----
const worst = (list) => ORDER.find((s) => list.includes(s));
// The counts of each task of a run too large to come whole: {task: {state: n}}.
function useCounts(run) {
    const total = run ? Object.values(run.counts).reduce((a, b) => a + b, 0) : 0;
    const {data} = useApi(run && total > run.tasks.length ? `${runPath(run.id)}/counts` : null, {
        on: (n, d) => (n === 'run' || n === 'task') && d.run === run.id,
        gap: 1000,
    });
    return useMemo(
        () => (data ? Object.fromEntries(data.items.map((t) => [t.task, t.counts])) : {}),
        [data],
    );
}
function countsOf(state, counts) {
    if (counts) return counts;
    if (!state || !state.list || state.list[0].map_index == null) return null;
    const n = {};
    for (const t of state.list) n[t.state] = (n[t.state] || 0) + 1;
    return n;
}
// A node's state and what its second line says: {state, line, counts, since}.
function nodeState(n, states, counts) {
    if (n.tasks) {
        const list = n.tasks.map((t) => states[t] && states[t].state).filter(Boolean);
        const done = list.filter(isFinal).length;
        return {
            state: worst(list),
            line: list.length
                ? `${done} of ${plural(n.tasks.length, 'task')}`
                : plural(n.tasks.length, 'task'),
        };
    }
    const s = states[n.task];
    if (!s) return {line: n.uses || 'script'};
    const one = s.list && s.list.length === 1 && s.list[0];
    return {
        state: s.state,
        line: (s.line || word(s.state)).replace(/^\w+: it waits for /, 'waits: '),
        ended: s.ended,
        counts: n.mapped ? countsOf(s, counts[n.task]) : null,
        since: one && one.map_index == null && s.state === 'running' ? one.started_at : null,
        progress: one && one.progress ? one.progress.text : '',
    };
}

// ---- Which way ----
// A graph that nobody has turned runs to the right, unless that makes its names too small to read and
// top down does not.
function isTight(g, room, height) {
    const places = (axis) => new Set(g.nodes.map((n) => n[axis])).size;
    const layers = places('x'),
        widest = Math.max(
            ...[...new Set(g.nodes.map((n) => n.x))].map(
                (x) => g.nodes.filter((n) => n.x === x).length,
            ),
        );
    const right = room / g.width,
        down = Math.min(
            room / (widest * 1.15 * g.node_width),
            height / (layers * 1.9 * g.node_height),
        );
    return right < LEGIBLE && down > right * 1.2;
}
function useDown(path, height) {
    const said = direction.use(),
        box = useRef(null),
        [room, setRoom] = useState(0);
    const auto = said !== 'down' && said !== 'right' && innerWidth > 640;
    const right = useApi(auto ? path : null);
    useEffect(() => setRoom(box.current ? box.current.clientWidth - 48 : 0), []);
    const known = !auto || (right.data && room > 0);
    const g = right.data;
    return {
        box,
        known: known || right.error,
        down:
            said === 'down' || !!(auto && g && g.nodes.length <= MANY && isTight(g, room, height)),
    };
}

// states: {task: {state, line}}; run: whose they are, or none; selected: a task's id; choose(id).
export function Graph({dag, version, tasks, run, states = {}, selected, choose, height = 480}) {
    const pathOf = (way) =>
        `/dags/${enc(dag)}/graph?direction=${way}${version ? '&version=' + enc(version) : ''}`;
    const {box, known, down} = useDown(pathOf('right'), height);
    const path = pathOf(down ? 'down' : 'right');
    const whole = useApi(known ? path : null);
    const nodes = whole.data ? whole.data.nodes : [];
    const groups = useMemo(
        () => [...new Set(nodes.map((n) => n.group).filter(Boolean))],
        [whole.data],
    );
    const [folded, toggle] = useFolded(groups, nodes.length);
    const part = useApi(folded.size ? `${path}&folded=${enc([...folded].join())}` : null);
    const counts = useCounts(run);
    const data = folded.size ? part : whole;
    return html`<div ref=${box}>
        <${Loaded} of=${data} rows=${6} what="The graph could not be loaded">${(g) =>
            html`<${Drawn}
                g=${g}
                down=${down}
                tasks=${tasks}
                states=${states}
                counts=${counts}
                groups=${groups}
                folded=${folded}
                toggle=${toggle}
                selected=${selected}
                choose=${choose}
                height=${height}
            />`}</${Loaded}>
    </div>`;
}
export function Drawn(props) {
    const all = {states: {}, counts: {}, groups: [], folded: new Set(), ...props};
    return innerWidth <= 640 ? html`<${TaskLine} ...${all} />` : html`<${Picture} ...${all} />`;
}
// Where there is no room for a picture: the tasks in order, a line at the left.
function TaskLine({g, states, counts, selected, choose, toggle}) {
    const list = [...g.nodes].sort((a, b) => a.finally - b.finally || a.x - b.x || a.y - b.y);
    return html`<ol class="taskline">
        ${list.slice(0, PHONE_MAX).map((n) => {
            const s = nodeState(n, states, counts);
            return html`<li key=${n.task} class=${s.state ? 's-' + s.state : ''}>
                <button
                    type="button"
                    class="link"
                    aria-pressed=${n.task === selected}
                    onClick=${() => (n.tasks ? toggle(n.group) : choose(n.task))}
                >
                    ${s.state ? STATES[s.state][0] + ' ' : ''}${nodeName(n)}
                </button>
                <span class="muted">${s.line}</span>
            </li>`;
        })}
    </ol>`;
}
const nodeName = (n) => (n.tasks ? `▸ ${n.group}` : n.task + (n.mapped ? ' []' : ''));

// ---- The picture ----
// Where the picture is in its box, and what moves it: {view, fit, zoom, centre, drag}.
function useView(box, g) {
    const [view, setView] = useState({k: 1, x: 0, y: 0});
    const fit = () => {
        if (!box.current) return;
        const r = box.current.getBoundingClientRect(),
            pad = 24;
        const k = clamp(
            Math.min(
                (r.width - 2 * pad) / Math.max(1, g.width),
                (r.height - 2 * pad) / Math.max(1, g.height),
            ),
            0.05,
            1,
        );
        setView({
            k,
            x: Math.max(pad, (r.width - k * g.width) / 2),
            y: Math.max(pad, (r.height - k * g.height) / 2),
        });
    };
    const zoom = (by, cx, cy) =>
        setView((v) => {
            const k = clamp(v.k * by, 0.05, 3),
                f = k / v.k;
            return {k, x: cx - (cx - v.x) * f, y: cy - (cy - v.y) * f};
        });
    const centre = (x, y) => {
        const r = box.current.getBoundingClientRect();
        setView((v) => ({...v, x: r.width / 2 - x * v.k, y: r.height / 2 - y * v.k}));
    };
    useEffect(() => {
        fit();
        const watch = new ResizeObserver(fit);
        watch.observe(box.current);
        return () => watch.disconnect();
    }, [g]);
    useEffect(() => {
        const wheel = (e) => {
            e.preventDefault();
            const r = box.current.getBoundingClientRect();
            zoom(Math.exp(-e.deltaY / 400), e.clientX - r.left, e.clientY - r.top);
        };
        box.current.addEventListener('wheel', wheel, {passive: false});
        return () => box.current && box.current.removeEventListener('wheel', wheel);
    }, []);
    const drag = (e) => {
        if (e.target.closest('.node, .minimap')) return;
        const x = e.clientX,
            y = e.clientY,
            el = e.currentTarget;
        el.setPointerCapture(e.pointerId);
        const move = (m) =>
            setView({...view, x: view.x + m.clientX - x, y: view.y + m.clientY - y});
        el.addEventListener('pointermove', move);
        el.addEventListener('pointerup', () => el.removeEventListener('pointermove', move), {
            once: true,
        });
    };
    return {view, fit, zoom, centre, drag};
}
// Arrows walk along edges; across them within the layer.
function walk(key, {g, nodes, down, selected, choose}) {
    const n = nodes[selected] || g.nodes[0];
    if (!nodes[selected]) return choose(n.task);
    const [along, across] = down ? ['y', 'x'] : ['x', 'y'];
    const [forth, back, more] = down
        ? ['ArrowDown', 'ArrowUp', 'ArrowRight']
        : ['ArrowRight', 'ArrowLeft', 'ArrowDown'];
    let list;
    if (key === forth) list = g.edges.filter((e) => e.from === n.task).map((e) => nodes[e.to]);
    else if (key === back) list = g.edges.filter((e) => e.to === n.task).map((e) => nodes[e.from]);
    else
        list = g.nodes.filter(
            (m) =>
                m[along] === n[along] &&
                (key === more ? m[across] > n[across] : m[across] < n[across]),
        );
    list.sort((a, b) => Math.abs(a[across] - n[across]) - Math.abs(b[across] - n[across]));
    if (list[0]) choose(list[0].task);
    return undefined;
}
function useGraphKeys(box, props, setCritical) {
    const arrow = (k) => () => {
        if (!box.current.contains(document.activeElement)) return false;
        walk(k, props);
        return true;
    };
    useKeys({
        c: () => props.hasEnds && (setCritical((c) => !c), true),
        ...Object.fromEntries(
            ['ArrowRight', 'ArrowLeft', 'ArrowUp', 'ArrowDown'].map((k) => [k, arrow(k)]),
        ),
    });
}

function Picture({
    g,
    down,
    tasks,
    states,
    counts,
    groups,
    folded,
    toggle,
    selected,
    choose,
    height,
}) {
    const box = useRef(null);
    const {view: v, fit, zoom, centre, drag} = useView(box, g);
    const size = {w: g.node_width, h: g.node_height};
    const nodes = useMemo(() => Object.fromEntries(g.nodes.map((n) => [n.task, n])), [g]);
    const [critical, setCritical] = useState(false);
    const of = useMemo(
        () => Object.fromEntries(g.nodes.map((n) => [n.task, nodeState(n, states, counts)])),
        [g, states, counts],
    );
    const hasEnds = Object.values(of).some((s) => s.ended);
    const near = useMemo(
        () =>
            critical && hasEnds
                ? criticalPath(g, of)
                : selected && nodes[selected]
                  ? related(g.edges, selected)
                  : null,
        [g, selected, critical, of],
    );
    const data = useMemo(() => datasetsOf(g.edges, tasks), [g, tasks]);
    const pick = (task) =>
        nodes[task] && nodes[task].tasks ? toggle(nodes[task].group) : choose(task);
    useGraphKeys(box, {g, nodes, down, selected, choose, hasEnds}, setCritical);
    const seen = box.current ? box.current.getBoundingClientRect() : {width: 2000, height: 1000};
    const shown =
        g.nodes.length > MANY ? g.nodes.filter((n) => inSight(n, v, size, seen)) : g.nodes;
    const far = shown.length > FAR;
    const names = new Set(shown.map((n) => n.task));
    const hitFar = (e) => {
        if (!far) return;
        const r = box.current.getBoundingClientRect(),
            x = (e.clientX - r.left - v.x) / v.k,
            y = (e.clientY - r.top - v.y) / v.k;
        const n = shown.find((m) => x >= m.x && x <= m.x + size.w && y >= m.y && y <= m.y + size.h);
        if (n) pick(n.task);
    };
    const map = html`<${MiniMap}
        g=${g}
        of=${of}
        size=${size}
        view=${v}
        seen=${seen}
        centre=${centre}
    />`;
    const node = (n) =>
        html`<${Node}
            key=${n.task}
            n=${n}
            s=${of[n.task]}
            size=${size}
            selected=${n.task === selected}
            dim=${dim(n.task)}
            onClick=${() => pick(n.task)}
        />`;
    const dim = (...ends) => near && !ends.every((t) => near.has(t));
    const tools = {
        fit,
        zoom: (by) => zoom(by, seen.width / 2, seen.height / 2),
        down,
        hasEnds,
        critical,
        setCritical,
        groups,
        folded,
        toggle,
    };
    return html`<${Tools} ...${tools} n=${g.nodes.length} far=${far} />
        <div
            class="graph"
            ref=${box}
            style=${{height: Math.max(160, Math.min(height, g.height + 64)) + 'px'}}
            onPointerDown=${drag}
            tabindex="0"
            role="group"
            aria-label="Graph of the tasks; arrow keys walk"
        >
            <svg onClick=${hitFar}>
                <g transform=${`translate(${v.x},${v.y}) scale(${v.k})`}>
                    ${far ? html`<${FarAway} g=${g} nodes=${nodes} shown=${shown} of=${of} size=${size} down=${down} />` : null}
                    ${
                        far
                            ? null
                            : g.edges
                                  .filter((e) => names.has(e.from) || names.has(e.to))
                                  .map(
                                      (e) =>
                                          html`<${Edge}
                                              key=${e.from + '>' + e.to}
                                              e=${e}
                                              nodes=${nodes}
                                              from=${of[e.from].state}
                                              size=${size}
                                              down=${down}
                                              dim=${dim(e.from, e.to)}
                                              data=${data.get(e)}
                                          />`,
                                  )
                    }
                    ${far ? null : shown.map(node)}
                </g>
            </svg>
            ${g.nodes.length > MANY ? map : null}
        </div>`;
}
const inSight = (n, v, {w, h}, seen) =>
    (n.x + w) * v.k + v.x > -200 &&
    n.x * v.k + v.x < seen.width + 200 &&
    (n.y + h) * v.k + v.y > -200 &&
    n.y * v.k + v.y < seen.height + 200;

function Tools({fit, zoom, down, hasEnds, critical, setCritical, groups, folded, toggle, n, far}) {
    const path = html`<button
        type="button"
        aria-pressed=${critical}
        onClick=${() => setCritical(!critical)}
        title="What the end waited for (c)"
    >
        Critical path
    </button>`;
    return html`<div class="toolbar">
        <button type="button" onClick=${fit}>Fit</button>
        <button type="button" aria-label="Zoom in" onClick=${() => zoom(1.3)}>+</button>
        <button type="button" aria-label="Zoom out" onClick=${() => zoom(0.77)}>−</button>
        <button
            type="button"
            aria-pressed=${down}
            onClick=${() => direction.set(down ? 'right' : 'down')}
            title="From top to bottom"
        >
            Top down
        </button>
        ${hasEnds ? path : null}
        ${groups.map(
            (name) =>
                html`<button
                    type="button"
                    aria-expanded=${!folded.has(name)}
                    onClick=${() => toggle(name)}
                >
                    ${folded.has(name) ? '▸' : '▾'} ${name}
                </button>`,
        )}
        <span class="muted">${plural(n, 'node')}${far ? ': zoom in for their names' : ''}</span>
    </div>`;
}
// Boxes by state, few elements for however many tasks.
function boxesOf(list, of, {w, h}) {
    const boxes = {};
    for (const n of list) {
        const key = of[n.task].state || 'none';
        boxes[key] = (boxes[key] || '') + `M${n.x},${n.y}h${w}v${h}h${-w}z`;
    }
    return Object.entries(boxes).map(
        ([s, d]) =>
            html`<g class=${`node ${s === 'none' ? '' : 's-' + s}`}
                ><path class="far" d=${d}
            /></g>`,
    );
}
function FarAway({g, nodes, shown, of, size, down}) {
    const ways = useMemo(
        () => g.edges.map((e) => way({...e, bends: []}, nodes, size, down)).join(''),
        [g],
    );
    return html`<path class="edge dim" d=${ways} />${boxesOf(shown, of, size)}`;
}
const MINI = 140; // pixels, the longer side
function MiniMap({g, of, size, view, seen, centre}) {
    const k = MINI / Math.max(g.width, g.height, 1);
    const go = (e) => {
        const r = e.currentTarget.getBoundingClientRect();
        centre((e.clientX - r.left) / k, (e.clientY - r.top) / k);
    };
    const boxes = useMemo(() => boxesOf(g.nodes, of, size), [g, of]);
    return html`<svg
        class="minimap"
        role="img"
        aria-label="All of it; click to go there"
        style=${{width: Math.max(8, g.width * k) + 'px', height: Math.max(8, g.height * k) + 'px'}}
        viewBox=${`0 0 ${g.width} ${g.height}`}
        onClick=${go}
    >
        ${boxes}
        <rect
            class="sight"
            x=${-view.x / view.k}
            y=${-view.y / view.k}
            width=${seen.width / view.k}
            height=${seen.height / view.k}
        />
    </svg>`;
}
function Edge({e, nodes, from, size, down, dim, data}) {
    const rule = nodes[e.to].trigger_rule,
        ruled = rule !== 'all_success',
        to = nodes[e.to];
    const words = [ruled ? word(rule) : '', data || ''].filter(Boolean).join(', ');
    const at = down ? [to.x + size.w / 2 + 4, to.y - 6] : [to.x - 6, to.y + size.h / 2 - 5];
    return html`<path
            class=${`edge ${from ? 's-' + from : ''} ${ruled ? 'rule' : ''} ${data ? 'data' : ''} ${dim ? 'dim' : ''}`}
            d=${way(e, nodes, size, down)}
            ><title>${ruled ? word(rule) : ''}${data ? ` dataset ${data}` : ''}</title></path
        >
        ${
            words
                ? html`<text
                      class=${`label ${dim ? 'dim' : ''}`}
                      x=${at[0]}
                      y=${at[1]}
                      text-anchor=${down ? 'start' : 'end'}
                      >${short(words, down ? 40 : 10)}</text
                  >`
                : null
        }`;
}
function Node({n, s, size, selected, dim, onClick}) {
    return html`<g
        class=${`node ${s.state ? 's-' + s.state : ''} ${selected ? 'sel' : ''} ${dim ? 'dim' : ''} ${n.tasks ? 'group' : ''}`}
        transform=${`translate(${n.x},${n.y})`}
        role="button"
        tabindex="-1"
        data-task=${n.task}
        data-state=${s.state}
        onClick=${onClick}
    >
        <rect width=${size.w} height=${size.h} rx="4" /><title>
            ${n.tasks ? n.tasks.join(', ') : n.task}
        </title>
        <text x="10" y="18"
            >${s.state ? html`<tspan class="glyph">${STATES[s.state][0]} </tspan>` : null}${short(nodeName(n), s.state ? 20 : 23)}</text
        >
        ${s.counts ? html`<${MappedLine} counts=${s.counts} />` : html`<${Line} s=${s} />`}
    </g>`;
}
function Line({s}) {
    if (s.since) return html`<${RunningLine} s=${s} />`;
    return html`<text class="sub" x="10" y="35">${short(s.line, 25)}</text>`;
}
// What runs says for how long.
function RunningLine({s}) {
    const now = clock.use(),
        took = duration(Math.max(0, Math.floor(seconds(s.since, now))));
    return html`<text class="sub" x="10" y="35"
        >${short(`running ${took} ${s.progress || ''}`, 25)}</text
    >`;
}
const MAP_BAR = 56; // pixels
// ×120, how many are done, and how many failed.
function MappedLine({counts}) {
    const total = Object.values(counts).reduce((a, b) => a + b, 0),
        done = Object.keys(counts)
            .filter(isFinal)
            .reduce((n, s) => n + counts[s], 0),
        failed = counts.failed || 0;
    return html`<text class="sub" x="10" y="35">×${total}</text>
        <rect class="bar" x="52" y="28" width=${MAP_BAR} height="7" />
        <rect class="bar done" x="52" y="28" width=${(MAP_BAR * done) / total} height="7" />
        <text class=${failed ? 'sub failed' : 'sub'} x=${52 + MAP_BAR + 6} y="35"
            >${failed ? `${failed} ✕` : `${done} ✓`}</text
        >`;
}
