// Datasets: who writes and reads them, what was written last, and what is made of what.
import {html, enc, plural, useMemo} from './lib.js';
import {useApi} from './api.js';
import {Ago, number} from './format.js';
import {Loaded, Empty, Head, useTitle, Facts, NotThere} from './parts.js';
import {runUrl, dagUrl, taskUrl} from './route.js';

const isData = (n) => n === 'dataset' || n === 'run';
const names = (list) =>
    (list || []).map(
        (p, i) =>
            html`${i ? ', ' : ''}<a href=${dagUrl(p.dag || p)}>${p.dag || p}</a
                >${p.task ? '.' + p.task : ''}`,
    );
export function Data() {
    useTitle('Data');
    const list = useApi('/datasets', {on: isData, gap: 1000, every: 5000});
    return html`<section class="pad"><${Head} title="Data" /><${Loaded} of=${list}>${(d) =>
        d.items.length
            ? html`<table class="list">
                  <thead>
                      <tr>
                          <th>Dataset</th>
                          <th>Last written</th>
                          <th class="r">Version</th>
                          <th class="r">Rows</th>
                          <th>Written by</th>
                          <th>Read by</th>
                      </tr>
                  </thead>
                  <tbody>
                      ${d.items.map((x) => {
                          const e = x.last_event || {};
                          return html`<tr>
                              <td>
                                  <a href=${'/ui/data/' + enc(x.name)}><b>${x.name}</b></a>
                              </td>
                              <td><${Ago} at=${e.created_at} /></td>
                              <td class="r num">${e.version ?? '–'}</td>
                              <td class="r num">${number(e.rows)}</td>
                              <td>${names(x.produced_by)}</td>
                              <td>${names(x.consumed_by)}</td>
                          </tr>`;
                      })}
                  </tbody>
              </table>`
            : html`<${NoDataset} />`}</${Loaded}></section>`;
}
const NoDataset = () =>
    html`<${Empty}>No dataset yet. A task that says <code>produces: NAME</code> makes one; a DAG with
        <code>schedule: {dataset: NAME}</code> starts when it is written.</${Empty}>`;
export function Dataset({name}) {
    useTitle(name);
    const one = useApi('/datasets/' + enc(name), {on: isData, gap: 1000});
    const events = useApi(`/datasets/${enc(name)}/events?limit=50`, {on: isData, gap: 1000});
    const lineage = useApi(`/datasets/${enc(name)}/lineage`, {on: isData, gap: 2000});
    if (one.error && one.error.status === 404)
        return html`<${NotThere} what="dataset" name=${name} error=${one.error} near=${(n) => '/ui/data/' + enc(n)}>
            No DAG names it in <code>produces</code>, <code>consumes</code> or <code>schedule</code>.
            <a href="/ui/data">All datasets</a>
        </${NotThere}>`;
    return html`<section class="pad">
        <${Head} title=${name} />
        <${Loaded} of=${one}>${(d) => html`<${About} d=${d} />`}</${Loaded}>
        <h2>What it is made of, and what is made of it</h2>
        <${Loaded} of=${lineage}>${(l) => html`<${Lineage} l=${l} name=${name} />`}</${Loaded}>
        <h2>Written</h2><${Loaded} of=${events}>${(d) =>
            d.items.length
                ? html`<table class="list">
                      <thead>
                          <tr>
                              <th class="r">Version</th>
                              <th>When</th>
                              <th class="r">Rows</th>
                              <th>By</th>
                              <th>Hash</th>
                              <th>Note</th>
                          </tr>
                      </thead>
                      <tbody>
                          ${d.items.map(
                              (e) =>
                                  html`<tr>
                                      <td class="r num">${e.version}</td>
                                      <td><${Ago} at=${e.created_at} /></td>
                                      <td class="r num">${number(e.rows)}</td>
                                      <td>
                                          <${By} p=${e.producer} />
                                      </td>
                                      <td><code>${(e.hash || '').slice(0, 8)}</code></td>
                                      <td>${e.note}</td>
                                  </tr>`,
                          )}
                      </tbody>
                  </table>`
                : html`<${Empty}>It was never written.</${Empty}>`}</${Loaded}></section>`;
}
function About({d}) {
    const cycle =
        d.cycle && html`<span class="bad-text">it starts itself: ${d.cycle.join(' → ')}</span>`;
    return html`<${Facts}
        items=${[
            ['Written by', names(d.produced_by)],
            ['Read by', names(d.consumed_by)],
            ['Starts', names(d.starts)],
            cycle && ['Cycle', cycle],
        ]}
    />`;
}
// Who wrote it.
function By({p}) {
    if (!p || !p.run) return (p && p.who) || 'somebody outside';
    return html`<a href=${runUrl(p.run)}>${p.dag} run ${p.run}</a>
        ${p.task ? html`<a href=${taskUrl(p.run, p.task)}>${p.task}</a>` : null}`;
}
// Datasets in columns by how far they are away; between them the DAGs that make one of the other.
const WIDE = 180,
    HIGH = 32,
    GAP_X = 170,
    GAP_Y = 20;
function Lineage({l, name}) {
    const columns = useMemo(() => {
        const depth = new Map([[name, 0]]);
        for (const i of l.items) {
            const far = i.direction === 'upstream' ? i.from : i.to;
            if (far && !depth.has(far))
                depth.set(far, i.direction === 'upstream' ? -i.depth : i.depth);
        }
        return depth;
    }, [l]);
    const edges = new Map();
    for (const i of l.items) if (i.from) edges.set(`${i.from}>${i.to}>${i.dag}`, i);
    const sources = [
        ...new Set(
            l.items
                .filter((i) => !i.from)
                .map(
                    (i) =>
                        `${i.to} is written by ${i.dag}${i.writer ? '.' + i.writer : ''}, which names no dataset that it reads`,
                ),
        ),
    ];
    if (!edges.size)
        return html`<${Empty}>It is made of no other dataset, and none is made of it. ${sources.join('; ')}</${Empty}>`;
    const least = Math.min(...columns.values()),
        rows = new Map(),
        at = new Map();
    for (const [dataset, depth] of columns) {
        const row = rows.get(depth) || 0;
        rows.set(depth, row + 1);
        at.set(dataset, {x: (depth - least) * (WIDE + GAP_X) + 4, y: row * (HIGH + GAP_Y) + 24});
    }
    const width = (Math.max(...columns.values()) - least) * (WIDE + GAP_X) + WIDE + 8,
        height = Math.max(...rows.values()) * (HIGH + GAP_Y) + 24;
    return html`<div class="scroller" tabindex="0" role="group" aria-label="Lineage">
            <svg width=${width} height=${height}>
                ${[...edges.values()].map((e) => {
                    const a = at.get(e.from),
                        b = at.get(e.to);
                    if (!a || !b) return null;
                    const x0 = a.x + WIDE,
                        y0 = a.y + HIGH / 2,
                        y1 = b.y + HIGH / 2,
                        mid = (x0 + b.x) / 2;
                    return html`<path
                            class="edge"
                            d=${`M${x0},${y0}C${mid},${y0} ${mid},${y1} ${b.x},${y1}`}
                        /><a href=${dagUrl(e.dag)}
                            ><text class="via" x=${mid} y=${(y0 + y1) / 2 - 5} text-anchor="middle"
                                >${e.dag}</text
                            ></a
                        >`;
                })}
                ${[...at].map(
                    ([dataset, p]) =>
                        html`<a href=${'/ui/data/' + enc(dataset)}
                            ><g
                                class=${'node' + (dataset === name ? ' sel' : '')}
                                transform=${`translate(${p.x},${p.y})`}
                                ><rect width=${WIDE} height=${HIGH} rx="4" /><text x="10" y="20"
                                    >${dataset}</text
                                ></g
                            ></a
                        >`,
                )}
            </svg>
        </div>
        ${sources.length ? html`<p class="muted">${sources.join('; ')}.</p>` : null}
        ${l.cut ? html`<p class="muted">There is more, further away.</p>` : null}`;
}
