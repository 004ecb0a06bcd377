// Datasets: who writes and reads them, what was written last, and what is made of what.
import {html, enc, plural, useMemo} from './lib.js';
import {useApi} from './api.js';
import {Ago, number} from './format.js';
import {Loaded, Empty, Head, useTitle, Facts, ErrorBox, Json} from './parts.js';
import {runUrl, dagUrl, taskUrl} from './route.js';
import {Dot} from './state.js';

const isData = (n) => n === 'dataset' || n === 'run';
const names = (list) => (list || []).map((p, i) => html`${i ? ', ' : ''}<a href=${dagUrl(p.dag || p)}>${p.dag || p}</a>${p.task ? '.' + p.task : ''}`);
export function Data() {
    useTitle('Data');
    const list = useApi('/datasets', {on: isData, gap: 1000, every: 5000});
    return html`<section class="pad"><${Head} title="Data" /><${Loaded} of=${list}>${(d) => (d.items.length ? html`<table class="list"><thead><tr><th>Dataset</th><th>Last written</th><th class="r">Version</th><th class="r">Rows</th><th>Written by</th><th>Read by</th></tr></thead><tbody>
        ${d.items.map((x) => {
            const e = x.last_event || x.event || x.last || {};
            return html`<tr><td><a href=${'/ui/data/' + enc(x.name)}><b>${x.name}</b></a></td><td><${Ago} at=${e.created_at || e.at} /></td><td class="r num">${e.version ?? '–'}</td><td class="r num">${number(e.rows)}</td><td>${names(x.producers || x.writers)}</td><td>${names(x.consumers || x.readers)}</td></tr>`;
        })}</tbody></table>` : html`<${Empty}>No dataset yet. A task that says <code>produces: NAME</code> makes one; a DAG with <code>schedule: {dataset: NAME}</code> starts when it is written.</${Empty}>`)}</${Loaded}></section>`;
}
export function Dataset({name}) {
    useTitle(name);
    const one = useApi('/datasets/' + enc(name), {on: isData, gap: 1000});
    const events = useApi(`/datasets/${enc(name)}/events?limit=50`, {on: isData, gap: 1000});
    const lineage = useApi(`/datasets/${enc(name)}/lineage`, {on: isData, gap: 2000});
    if (one.error && one.error.status === 404) return html`<section class="pad"><h1>There is no dataset ‘${name}’</h1><p>${one.error.message}</p><p><a href="/ui/data">All datasets</a></p></section>`;
    return html`<section class="pad"><${Head} title=${name} /><${Loaded} of=${one}>${(d) => html`<${Facts} items=${[['Written by', names(d.producers || d.writers)], ['Read by', names(d.consumers || d.readers)]]} />`}</${Loaded}>
        <h2>What it is made of, and what is made of it</h2><${Loaded} of=${lineage}>${(l) => html`<${Lineage} l=${l} name=${name} />`}</${Loaded}>
        <h2>Written</h2><${Loaded} of=${events}>${(d) => (d.items.length ? html`<table class="list"><thead><tr><th class="r">Version</th><th>When</th><th class="r">Rows</th><th>By</th><th>Hash</th><th>Note</th></tr></thead><tbody>${d.items.map((e) => html`<tr><td class="r num">${e.version}</td><td><${Ago} at=${e.created_at || e.at} /></td><td class="r num">${number(e.rows)}</td>
            <td>${e.run ? html`<a href=${runUrl(e.run)}>${e.dag} run ${e.run}</a>${e.task ? html` <a href=${taskUrl(e.run, e.task)}>${e.task}</a>` : null}` : e.who || 'somebody outside'}</td><td><code>${(e.hash || '').slice(0, 8)}</code></td><td>${e.note}</td></tr>`)}</tbody></table>` : html`<${Empty}>It was never written.</${Empty}>`)}</${Loaded}></section>`;
}
function Lineage({l, name}) {
    const edges = l.edges || l.items || [];
    if (!edges.length) return html`<${Empty}>Nothing is known: it is made of no other dataset, and none is made of it.</${Empty}>`;
    return html`<table class="list"><thead><tr><th>From</th><th>By</th><th>To</th></tr></thead><tbody>${edges.map((e) => html`<tr><td>${e.from === name ? html`<b>${e.from}</b>` : html`<a href=${'/ui/data/' + enc(e.from)}>${e.from}</a>`}</td><td>${e.dag ? html`<a href=${dagUrl(e.dag)}>${e.dag}</a>${e.task ? '.' + e.task : ''}` : JSON.stringify(e.by || '')}</td><td>${e.to === name ? html`<b>${e.to}</b>` : html`<a href=${'/ui/data/' + enc(e.to)}>${e.to}</a>`}</td></tr>`)}</tbody></table>`;
}
