// A DAG's file with the marks of its errors; its versions and what changed between them.
import {html, useState, useMemo, enc} from './lib.js';
import {useApi} from './api.js';
import {Ago} from './format.js';
import {Loaded, Empty, Copy, Command} from './parts.js';
import {useQuery, dagUrl} from './route.js';

export function Source({text, errors = []}) {
    const byLine = new Map();
    for (const e of errors) if (e.line) byLine.set(e.line, [...(byLine.get(e.line) || []), e]);
    return html`<div class="code" tabindex="0" role="group" aria-label="Source">${text.replace(/\n$/, '').split('\n').map((line, i) => {
        const wrong = byLine.get(i + 1);
        return html`<div class=${'l' + (wrong ? ' bad' : '')} id=${'L' + (i + 1)}><span>${i + 1}</span><span>${line || ' '}</span></div>
            ${wrong ? wrong.map((e) => html`<div class="msg" role="note">${'\u00a0'.repeat(Math.max(0, (e.column || 1) - 1))}^ ${e.message}${e.hint ? ` — ${e.hint}` : ''}</div>`) : null}`;
    })}</div>`;
}
export function Code({dag}) {
    const [version, setVersion] = useQuery('version');
    const source = useApi(dag.version ? `/dags/${enc(dag.id)}/source${version ? '?version=' + enc(version) : ''}` : null);
    const versions = useApi(dag.version ? `/dags/${enc(dag.id)}/versions` : null);
    if (!dag.version) return html`<p>The file has never been loaded, so there is no version of it to show. What is wrong:</p>
        ${dag.errors.map((e) => html`<div class="box bad"><code class="err">${[e.file, e.line, e.column].filter((x) => x != null).join(':')}: ${e.message}${e.hint ? ` — ${e.hint}` : ''}</code></div>`)}<${Command} text=${`nexus dag validate ${dag.errors[0] ? dag.errors[0].file : dag.file}`} />`;
    const current = !version || version === dag.version;
    return html`<p class="toolbar"><code>${dag.file}</code> <label>version <select value=${version || dag.version} onChange=${(e) => setVersion(e.target.value === dag.version ? '' : e.target.value)}>
            ${(versions.data ? versions.data.items : [{version: dag.version}]).map((v) => html`<option value=${v.version} selected=${v.version === (version || dag.version)}>${v.version}</option>`)}</select></label>
            ${source.data ? html`<${Copy} text=${source.data} />` : null} ${!dag.valid ? html`<span class="bad-text">The file is newer than this version, and has errors:</span>` : null}</p>
        ${dag.valid ? null : dag.errors.map((e) => html`<div><code class="err">${[e.file, e.line, e.column].filter((x) => x != null).join(':')}: ${e.message}${e.hint ? ` — ${e.hint}` : ''}</code></div>`)}
        <${Loaded} of=${source}>${(text) => html`<${Source} text=${text} errors=${[]} />`}</${Loaded}>`;
}

// The lines of two texts, by their longest common subsequence, with what is alike at
// both ends taken off first.
export function diffLines(a, b) {
    let start = 0, endA = a.length, endB = b.length;
    while (start < endA && start < endB && a[start] === b[start]) start++;
    while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) {
        endA--;
        endB--;
    }
    const x = a.slice(start, endA), y = b.slice(start, endB), out = [];
    for (let i = 0; i < start; i++) out.push([' ', a[i]]);
    if (x.length * y.length > 4e6) {
        for (const l of x) out.push(['-', l]);
        for (const l of y) out.push(['+', l]);
    } else {
        const w = y.length + 1, t = new Uint32Array((x.length + 1) * w);
        for (let i = x.length - 1; i >= 0; i--) for (let j = y.length - 1; j >= 0; j--)
            t[i * w + j] = x[i] === y[j] ? t[(i + 1) * w + j + 1] + 1 : Math.max(t[(i + 1) * w + j], t[i * w + j + 1]);
        let i = 0, j = 0;
        while (i < x.length || j < y.length) {
            if (i < x.length && j < y.length && x[i] === y[j]) {
                out.push([' ', x[i++]]);
                j++;
            } else if (i < x.length && (j >= y.length || t[(i + 1) * w + j] >= t[i * w + j + 1])) out.push(['-', x[i++]]);
            else out.push(['+', y[j++]]);
        }
    }
    for (let i = endA; i < a.length; i++) out.push([' ', a[i]]);
    return out;
}
export function Diff({before, after}) {
    const lines = useMemo(() => diffLines(before.split('\n'), after.split('\n')), [before, after]);
    // Only what changed, with three lines around it.
    const near = lines.map((_, i) => lines.slice(Math.max(0, i - 3), i + 4).some(([k]) => k !== ' '));
    if (!lines.some(([k]) => k !== ' ')) return html`<${Empty}>They are the same.</${Empty}>`;
    return html`<div class="code" tabindex="0" role="group" aria-label="Difference">${lines.map(([k, text], i) => (near[i] ? html`<div class=${'l' + (k === '+' ? ' add' : k === '-' ? ' del' : '')}><span>${k}</span><span>${text || ' '}</span></div>`
        : near[i - 1] ? html`<div class="l"><span>⋯</span><span></span></div>` : null))}</div>`;
}
export function Versions({dag}) {
    const list = useApi(`/dags/${enc(dag.id)}/versions`);
    const [a, setA] = useQuery('a'), [b, setB] = useQuery('b');
    const items = list.data ? list.data.items : [];
    const newer = b || (items[0] && items[0].version), older = a || (items[1] && items[1].version);
    const one = useApi(older ? `/dags/${enc(dag.id)}/source?version=${enc(older)}` : null), two = useApi(newer ? `/dags/${enc(dag.id)}/source?version=${enc(newer)}` : null);
    const pick = (value, set, label) => html`<label>${label} <select value=${value} onChange=${(e) => set(e.target.value)}>${items.map((v) => html`<option value=${v.version} selected=${v.version === value}>${v.version}</option>`)}</select></label>`;
    return html`<${Loaded} of=${list}>${() => html`<table class="list"><thead><tr><th>Version</th><th>Since</th><th class="wide">Hash</th><td></td></tr></thead><tbody>${items.map((v) => html`<tr><td>${v.version}</td><td><${Ago} at=${v.created_at} /></td>
            <td class="wide"><code>${v.hash.slice(0, 8)}</code></td><td><a href=${dagUrl(dag.id, 'code') + '?version=' + v.version}>source</a></td></tr>`)}</tbody></table>
        ${items.length > 1 ? html`<p class="toolbar">${pick(older, setA, 'What changed from')} ${pick(newer, setB, 'to')}</p>${one.data != null && two.data != null ? html`<${Diff} before=${one.data} after=${two.data} />` : null}` : html`<${Empty}>There is one version: nothing to compare.</${Empty}>`}`}</${Loaded}>`;
}
