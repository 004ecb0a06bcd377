// A DAG's file with the marks of its errors; its versions and what changed between them.
import {html, useState, useEffect, useRef, useMemo, enc, plural} from './lib.js';
import {useApi, call, get} from './api.js';
import {Ago} from './format.js';
import {Loaded, Empty, Copy, Command, ErrorBox, toast} from './parts.js';
import {Split} from './pane.js';
import {Drawn} from './graph.js';
import {useQuery, dagUrl} from './route.js';

const messageOf = (e) => e.message + (e.hint ? ` — ${e.hint}` : '');
// Under the line, at the column.
const Mark = ({e}) =>
    html`<div class="msg" role="note">
        ${'\u00a0'.repeat(Math.max(0, (e.column || 1) - 1))}^ ${messageOf(e)}
    </div>`;
export function Source({text, errors = []}) {
    const byLine = new Map();
    for (const e of errors) if (e.line) byLine.set(e.line, [...(byLine.get(e.line) || []), e]);
    const lines = text.replace(/\n$/, '').split('\n');
    return html`<div class="code" tabindex="0" role="group" aria-label="Source">
        ${lines.map((line, i) => {
            const wrong = byLine.get(i + 1) || [];
            return html`<div class=${'l' + (wrong.length ? ' bad' : '')} id=${'L' + (i + 1)}>
                    <span>${i + 1}</span><span>${line || ' '}</span>
                </div>
                ${wrong.map((e) => html`<${Mark} e=${e} />`)}`;
        })}
    </div>`;
}
const Problem = ({e, jump}) =>
    html`<div>
        <button type="button" class="link" onClick=${() => jump(e)}>
            ${e.line ? `line ${e.line}` : 'the file'}
        </button>
        <code class=${e.severity === 'warning' ? '' : 'err'}>${messageOf(e)}</code>
    </div>`;

export function Code({dag}) {
    const [version, setVersion] = useQuery('version'),
        [editing, setEditing] = useQuery('edit', '', {replace: false});
    const source = useApi(version ? `/dags/${enc(dag.id)}/source?version=${enc(version)}` : null);
    const file = useApi(`/dags/${enc(dag.id)}/file`, {every: version || editing ? 0 : 3000});
    const versions = useApi(dag.version ? `/dags/${enc(dag.id)}/versions` : null);
    if (editing && file.data)
        return html`<${Edit}
            dag=${dag}
            file=${file.data}
            onDone=${() => {
                file.reload();
                setEditing('');
            }}
        />`;
    const items = versions.data ? versions.data.items : [],
        shown = version ? source.data : file.data && file.data.text;
    const first = dag.errors[0];
    return html`<p class="toolbar">
            <code>${file.data ? file.data.file : dag.file}</code>
            <label
                >shown
                <select value=${version} onChange=${(e) => setVersion(e.target.value)}>
                    <option value="" selected=${!version}>the file as it is</option>
                    ${items.map((v) => html`<${Option} v=${v.version} chosen=${version} text=${`version ${v.version}`} />`)}
                </select></label
            >
            ${file.data && !version ? html`<button type="button" onClick=${() => setEditing('1')}>Edit</button>` : null}
            <${Copy} text=${shown || ''} />
            <span class="muted">${whatRuns(dag)}</span>
        </p>
        ${version ? html`<${Version} of=${source} />` : html`<${File} of=${file} errors=${dag.errors} />`}
        <${Command} text=${`nexus dag validate ${(first && first.file) || dag.file}`} />`;
}
const Option = ({v, chosen, text}) =>
    html`<option value=${v} selected=${v === chosen}>${text}</option>`;
function whatRuns(dag) {
    if (dag.valid) return '';
    return dag.version
        ? `The file has errors; version ${dag.version} still runs.`
        : 'The file has errors and was never loaded.';
}
const Version = ({of}) =>
    html`<${Loaded} of=${of}>${(text) => html`<${Source} text=${text} />`}</${Loaded}>`;
const File = ({of, errors}) =>
    html`<${Loaded} of=${of} what="The file could not be read">${(f) => html`<${Source} text=${f.text} errors=${errors} />`}</${Loaded}>`;

// The file, checked while one types; saved only without errors.
function Edit({dag, file, onDone}) {
    const [text, setText] = useState(file.text),
        [checked, setChecked] = useState(null),
        [error, setError] = useState(null),
        [busy, setBusy] = useState(false);
    const [from, setFrom] = useState(file);
    const box = useRef(null),
        lines = useRef(null);
    const path = `/dags/${enc(dag.id)}/file`;
    useEffect(() => {
        let gone = false;
        const timer = setTimeout(
            () =>
                call('PUT', path, {text, dry_run: true}).then(
                    (c) => !gone && (setChecked({...c, text}), setError(null)),
                    (e) => !gone && setError(e),
                ),
            250,
        );
        return () => {
            gone = true;
            clearTimeout(timer);
        };
    }, [text]);
    useEffect(() => {
        const warn = (e) => text !== from.text && e.preventDefault();
        addEventListener('beforeunload', warn);
        return () => removeEventListener('beforeunload', warn);
    }, [text, from]);
    const save = async () => {
        setBusy(true);
        try {
            await call('PUT', path, {text, hash: from.hash});
            toast(`${file.file} is saved; it loads within a second`);
            onDone();
        } catch (e) {
            setError(e);
        }
        setBusy(false);
    };
    const reload = async () => {
        const now = await get(path);
        setFrom(now);
        setText(now.text);
        setError(null);
    };
    const jump = (e) => {
        const before = text.split('\n').slice(0, (e.line || 1) - 1),
            at = before.reduce((n, l) => n + l.length + 1, 0) + Math.max(0, (e.column || 1) - 1);
        box.current.focus();
        box.current.setSelectionRange(at, at);
        box.current.scrollTop = Math.max(0, (e.line - 5) * 18);
    };
    const problems = checked ? checked.problems : [],
        wrong = problems.filter((p) => p.severity === 'error'),
        current = checked && checked.text === text;
    const said = () => {
        if (!current) return 'checking …';
        if (wrong.length) return plural(wrong.length, 'error');
        if (problems.length) return plural(problems.length, 'warning');
        return text === from.text ? 'nothing changed' : 'no errors';
    };
    const marks = new Set(problems.map((p) => p.line)),
        n = text.split('\n').length;
    const shown =
        checked && checked.dags.length
            ? checked.dags.find((d) => d.id === dag.id) || checked.dags[0]
            : null;
    return html`<p class="toolbar">
            <code>${file.file}</code
            ><button
                type="button"
                class="primary"
                disabled=${busy || !current || wrong.length || text === from.text}
                onClick=${save}
            >
                Save ${file.file}</button
            ><button type="button" onClick=${onDone}>Leave without saving</button>
            <span role="status" class=${wrong.length ? 'bad-text' : 'muted'}>${said()}</span>
        </p>
        ${error ? html`<${NotSaved} error=${error} reload=${reload} />` : null}
        <${Split}
            left=${html`<div class="editor">
                <pre ref=${lines} aria-hidden="true">
${Array.from({length: n}, (_, i) => html`<span class=${marks.has(i + 1) ? 'bad' : ''}>${i + 1 + '\n'}</span>`)}</pre>
                <textarea
                    ref=${box}
                    aria-label=${'Text of ' + file.file}
                    spellcheck="false"
                    autocapitalize="off"
                    autocomplete="off"
                    wrap="off"
                    value=${text}
                    onInput=${(e) => setText(e.target.value)}
                    onScroll=${(e) => (lines.current.scrollTop = e.target.scrollTop)}
                ></textarea>
            </div>`}
            right=${html`<${Checked} problems=${problems} shown=${shown} text=${text} jump=${jump} />`}
        />`;
}

function NotSaved({error, reload}) {
    const late = error.status === 409;
    return html`<${ErrorBox}
            error=${error}
            what=${late ? 'Somebody else changed the file' : 'Not saved'}
        />
        ${late ? html`<p><button type="button" onClick=${reload}>Reload the file (what you typed is lost)</button></p>` : null}`;
}
// What is wrong with the text, and the graph that it makes.
function Checked({problems, shown, text, jump}) {
    const toTask = (task) => {
        const at = text.split('\n').findIndex((l) => new RegExp(`^\\s+${task}:`).test(l));
        jump({line: at + 1, column: 1});
    };
    const graph = shown
        ? html`<${Drawn} g=${shown.graph} selected=${null} choose=${toTask} height=${420} />`
        : html`<${Empty}>The graph comes back when the file has no errors.</${Empty}>`;
    return html`${problems.map((e) => html`<${Problem} e=${e} jump=${jump} />`)} ${graph}`;
}

// The lines of two texts, by their longest common subsequence, with what is alike at
// both ends taken off first.
export function diffLines(a, b) {
    let start = 0,
        endA = a.length,
        endB = b.length;
    while (start < endA && start < endB && a[start] === b[start]) start++;
    while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) {
        endA--;
        endB--;
    }
    const x = a.slice(start, endA),
        y = b.slice(start, endB),
        out = [];
    for (let i = 0; i < start; i++) out.push([' ', a[i]]);
    if (x.length * y.length > 4e6) {
        for (const l of x) out.push(['-', l]);
        for (const l of y) out.push(['+', l]);
    } else {
        const w = y.length + 1,
            t = new Uint32Array((x.length + 1) * w);
        for (let i = x.length - 1; i >= 0; i--)
            for (let j = y.length - 1; j >= 0; j--)
                t[i * w + j] =
                    x[i] === y[j]
                        ? t[(i + 1) * w + j + 1] + 1
                        : Math.max(t[(i + 1) * w + j], t[i * w + j + 1]);
        let i = 0,
            j = 0;
        while (i < x.length || j < y.length) {
            if (i < x.length && j < y.length && x[i] === y[j]) {
                out.push([' ', x[i++]]);
                j++;
            } else if (i < x.length && (j >= y.length || t[(i + 1) * w + j] >= t[i * w + j + 1]))
                out.push(['-', x[i++]]);
            else out.push(['+', y[j++]]);
        }
    }
    for (let i = endA; i < a.length; i++) out.push([' ', a[i]]);
    return out;
}
export function Diff({before, after}) {
    const lines = useMemo(() => diffLines(before.split('\n'), after.split('\n')), [before, after]);
    // Only what changed, with three lines around it.
    const near = lines.map((_, i) =>
        lines.slice(Math.max(0, i - 3), i + 4).some(([k]) => k !== ' '),
    );
    if (!lines.some(([k]) => k !== ' ')) return html`<${Empty}>They are the same.</${Empty}>`;
    return html`<div class="code" tabindex="0" role="group" aria-label="Difference">
        ${lines.map(([k, text], i) =>
            near[i]
                ? html`<div class=${'l' + (k === '+' ? ' add' : k === '-' ? ' del' : '')}>
                      <span>${k}</span><span>${text || ' '}</span>
                  </div>`
                : near[i - 1]
                  ? html`<div class="l"><span>⋯</span><span></span></div>`
                  : null,
        )}
    </div>`;
}
export function Versions({dag}) {
    const list = useApi(`/dags/${enc(dag.id)}/versions`);
    const [a, setA] = useQuery('a'),
        [b, setB] = useQuery('b');
    const items = list.data ? list.data.items : [];
    const newer = b || (items[0] && items[0].version),
        older = a || (items[1] && items[1].version);
    const one = useApi(older ? `/dags/${enc(dag.id)}/source?version=${enc(older)}` : null),
        two = useApi(newer ? `/dags/${enc(dag.id)}/source?version=${enc(newer)}` : null);
    const pick = (value, set, label) =>
        html`<label
            >${label}
            <select value=${value} onChange=${(e) => set(e.target.value)}>
                ${items.map((v) => html`<${Option} v=${v.version} chosen=${value} text=${v.version} />`)}
            </select></label
        >`;
    return html`<${Loaded} of=${list}>${() =>
        html`<table class="list">
                <thead>
                    <tr>
                        <th>Version</th>
                        <th>Since</th>
                        <th class="wide">Hash</th>
                        <td></td>
                    </tr>
                </thead>
                <tbody>
                    ${items.map(
                        (v) =>
                            html`<tr>
                                <td>${v.version}</td>
                                <td><${Ago} at=${v.created_at} /></td>
                                <td class="wide"><code>${v.hash.slice(0, 8)}</code></td>
                                <td>
                                    <a href=${dagUrl(dag.id, 'code') + '?version=' + v.version}
                                        >source</a
                                    >
                                </td>
                            </tr>`,
                    )}
                </tbody>
            </table>
            ${
                items.length > 1
                    ? html`<p class="toolbar">
                              ${pick(older, setA, 'What changed from')} ${pick(newer, setB, 'to')}
                          </p>
                          ${one.data != null && two.data != null ? html`<${Diff} before=${one.data} after=${two.data} />` : null}`
                    : html`<${Empty}>There is one version: nothing to compare.</${Empty}>`
            }`}</${Loaded}>`;
}
