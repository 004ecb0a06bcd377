// The tasks as a graph, laid out by the server: states live, wheel zooms, drag moves, arrows walk.
import {html, useState, useEffect, useRef, useMemo, clamp} from './lib.js';
import {useApi, enc} from './api.js';
import {Loaded, useKeys} from './parts.js';
import {STATES, word} from './state.js';

const short = (text, n) => (text.length > n ? text.slice(0, n - 1) + '…' : text);
function way(e, nodes, w, h) {
    const a = nodes[e.from],
        b = nodes[e.to];
    const points = [[a.x + w, a.y + h / 2]];
    for (let i = 0; i < e.bends.length; i += 2)
        points.push([e.bends[i] - w / 2, e.bends[i + 1]], [e.bends[i] + w / 2, e.bends[i + 1]]);
    points.push([b.x, b.y + h / 2]);
    let d = `M${points[0]}`;
    for (let i = 1; i < points.length; i++) {
        const [x0, y0] = points[i - 1],
            [x1, y1] = points[i],
            mid = (x0 + x1) / 2;
        d += y0 === y1 ? `L${x1},${y1}` : `C${mid},${y0} ${mid},${y1} ${x1},${y1}`;
    }
    return d;
}
// All above and below a task.
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

// states: {task: {state, line}}; selected: a task's id; choose(id).
export function Graph({dag, version, states = {}, selected, choose, height = 480}) {
    const data = useApi(`/dags/${enc(dag)}/graph${version ? '?version=' + version : ''}`);
    return html`<${Loaded} of=${data} rows=${6} what="The graph could not be loaded">${(g) => html`<${Drawn} g=${g} states=${states} selected=${selected} choose=${choose} height=${height} />`}</${Loaded}>`;
}
// Where there is no room for a picture: the tasks in order, a line at the left.
function TaskLine({g, states, selected, choose}) {
    const list = [...g.nodes].sort((a, b) => a.finally - b.finally || a.x - b.x || a.y - b.y);
    return html`<ol class="taskline">
        ${list.slice(0, 500).map((n) => {
            const s = states[n.task];
            return html`<li key=${n.task} class=${s ? 's-' + s.state : ''}>
                <button
                    type="button"
                    class="link"
                    aria-pressed=${n.task === selected}
                    onClick=${() => choose(n.task)}
                >
                    ${s ? STATES[s.state][0] + ' ' : ''}${n.task}${n.mapped ? ' []' : ''}
                </button>
                <span class="muted">${(s && s.line) || n.uses || 'script'}</span>
            </li>`;
        })}
    </ol>`;
}
export function Drawn(props) {
    return innerWidth <= 640 ? html`<${TaskLine} ...${props} />` : html`<${Picture} ...${props} />`;
}
function Picture({g, states, selected, choose, height}) {
    const box = useRef(null);
    const [view, setView] = useState(null);
    const w = g.node_width,
        h = g.node_height;
    const nodes = useMemo(() => Object.fromEntries(g.nodes.map((n) => [n.task, n])), [g]);
    const [critical, setCritical] = useState(false),
        hasEnds = Object.values(states).some((s) => s.ended);
    const near = useMemo(
        () =>
            critical && hasEnds
                ? criticalPath(g, states)
                : selected && nodes[selected]
                  ? related(g.edges, selected)
                  : null,
        [g, selected, critical, states],
    );
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
    useEffect(() => {
        fit();
        const watch = new ResizeObserver(fit);
        watch.observe(box.current);
        return () => watch.disconnect();
    }, [g]);
    const zoom = (by, cx, cy) =>
        setView((v) => {
            const k = clamp(v.k * by, 0.05, 3),
                f = k / v.k;
            return {k, x: cx - (cx - v.x) * f, y: cy - (cy - v.y) * f};
        });
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
        if (e.target.closest('.node')) return;
        const x = e.clientX,
            y = e.clientY,
            from = view,
            el = e.currentTarget;
        el.setPointerCapture(e.pointerId);
        const move = (m) =>
            setView({...from, x: from.x + m.clientX - x, y: from.y + m.clientY - y});
        el.addEventListener('pointermove', move);
        el.addEventListener('pointerup', () => el.removeEventListener('pointermove', move), {
            once: true,
        });
    };
    // Arrows walk along edges; up and down within the layer.
    const walk = (key) => {
        const n = nodes[selected] || g.nodes[0];
        if (!nodes[selected]) return choose(n.task);
        let list = [];
        if (key === 'ArrowRight')
            list = g.edges.filter((e) => e.from === n.task).map((e) => nodes[e.to]);
        else if (key === 'ArrowLeft')
            list = g.edges.filter((e) => e.to === n.task).map((e) => nodes[e.from]);
        else
            list = g.nodes.filter(
                (m) => m.x === n.x && (key === 'ArrowDown' ? m.y > n.y : m.y < n.y),
            );
        list.sort((a, b) => Math.abs(a.y - n.y) - Math.abs(b.y - n.y));
        if (list[0]) choose(list[0].task);
        return true;
    };
    useKeys({c: () => hasEnds && setCritical(!critical)});
    useKeys(
        Object.fromEntries(
            ['ArrowRight', 'ArrowLeft', 'ArrowUp', 'ArrowDown'].map((k) => [
                k,
                () => (box.current.contains(document.activeElement) ? (walk(k), true) : false),
            ]),
        ),
    );
    const v = view || {k: 1, x: 0, y: 0};
    const seen = box.current ? box.current.getBoundingClientRect() : {width: 2000, height: 1000};
    const visible = (n) =>
        (n.x + w) * v.k + v.x > -200 &&
        n.x * v.k + v.x < seen.width + 200 &&
        (n.y + h) * v.k + v.y > -200 &&
        n.y * v.k + v.y < seen.height + 200;
    const shown = g.nodes.length > 300 ? g.nodes.filter(visible) : g.nodes;
    const names = g.nodes.length > 300 ? new Set(shown.map((n) => n.task)) : null;
    // From far away: nothing but boxes by state, few elements for however many tasks.
    const far = shown.length > 400;
    const boxes = {};
    if (far)
        for (const n of shown) {
            const key = (states[n.task] && states[n.task].state) || 'none';
            boxes[key] = (boxes[key] || '') + `M${n.x},${n.y}h${w}v${h}h${-w}z`;
        }
    const hitFar = (e) => {
        if (!far) return;
        const r = box.current.getBoundingClientRect(),
            x = (e.clientX - r.left - v.x) / v.k,
            y = (e.clientY - r.top - v.y) / v.k;
        const n = shown.find((m) => x >= m.x && x <= m.x + w && y >= m.y && y <= m.y + h);
        if (n) choose(n.task);
    };
    const edges = far
        ? []
        : names
          ? g.edges.filter((e) => names.has(e.from) || names.has(e.to))
          : g.edges;
    return html`<div class="toolbar">
            <button type="button" onClick=${fit}>Fit</button
            ><button
                type="button"
                aria-label="Zoom in"
                onClick=${() => zoom(1.3, seen.width / 2, seen.height / 2)}
            >
                +
            </button>
            <button
                type="button"
                aria-label="Zoom out"
                onClick=${() => zoom(0.77, seen.width / 2, seen.height / 2)}
            >
                −</button
            >${hasEnds ? html`<button type="button" aria-pressed=${critical} onClick=${() => setCritical(!critical)} title="What the end waited for (c)">Critical path</button>` : null}<span
                class="muted"
                >${g.nodes.length} tasks${far ? ': zoom in for their names' : ''}</span
            >
        </div>
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
                    ${far ? html`<path class="edge dim" d=${g.edges.map((e) => way({...e, bends: []}, nodes, w, h)).join('')} />${Object.entries(boxes).map(([s, d]) => html`<g class=${`node ${s === 'none' ? '' : 's-' + s}`}><path class="far" d=${d} /></g>`)}` : null}
                    ${edges.map((e) => {
                        const from = states[e.from] && states[e.from].state,
                            rule = nodes[e.to].trigger_rule;
                        return html`<path
                            key=${e.from + '>' + e.to}
                            class=${`edge ${from ? 's-' + from : ''} ${rule !== 'all_success' ? 'rule' : ''} ${near && !(near.has(e.from) && near.has(e.to)) ? 'dim' : ''}`}
                            d=${way(e, nodes, w, h)}
                            ><title>${rule !== 'all_success' ? word(rule) : ''}</title></path
                        >`;
                    })}
                    ${(far ? [] : shown).map((n) => {
                        const s = states[n.task],
                            state = s && s.state;
                        return html`<g
                            key=${n.task}
                            class=${`node ${state ? 's-' + state : ''} ${n.task === selected ? 'sel' : ''} ${near && !near.has(n.task) ? 'dim' : ''}`}
                            transform=${`translate(${n.x},${n.y})`}
                            role="button"
                            tabindex="-1"
                            data-task=${n.task}
                            data-state=${state}
                            onClick=${() => choose(n.task)}
                        >
                            <rect width=${w} height=${h} rx="4" /><title>${n.task}</title>
                            <text x="10" y="18"
                                >${state ? html`<tspan class="glyph">${STATES[state][0]} </tspan>` : null}${short(n.task, state ? 20 : 23)}${n.mapped ? ' []' : ''}</text
                            >
                            <text class="sub" x="10" y="35"
                                >${short((s && s.line) || n.uses || 'script', 25)}</text
                            ></g
                        >`;
                    })}
                </g>
            </svg>
        </div>`;
}
