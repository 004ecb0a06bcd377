// What tasks made: files, folders, tables and models, with a look into them. What is in them is shown as
// text, as an image, or in a frame that may run and load nothing.
import {html, useState, useEffect, enc, plural} from './lib.js';
import {useApi, all, runPath, taskPath, taskName, ApiError} from './api.js';
import {number, bytes} from './format.js';
import {Loaded, Empty, Skeleton, ErrorBox, More} from './parts.js';
import {route, go, withQuery, taskUrl} from './route.js';

const TEXT_MAX = 64 * 1024, // bytes of a text that are shown
    ROWS = 20,
    FILES = 100,
    TASKS_MAX = 200; // tasks of a run whose artifacts are listed

const artifactPath = (task, name) => `${task}/artifacts/${enc(name)}`;
const query = (values) =>
    new URLSearchParams(Object.entries(values).filter(([, v]) => v != null && v !== ''));
// The address of a file's bytes, which never change under it.
const fileUrl = (of, more) =>
    `/api/v1${of.base}/file?${query({artifact: of.address, path: of.path, ...more})}`;
const isFolder = (a) => a.media_type == null;
const sizeOf = (a) =>
    [
        a.n_rows != null && plural(a.n_rows, 'row'),
        a.columns && plural(a.columns.length, 'column'),
        isFolder(a) && a.n_files != null && plural(a.n_files, 'file'),
        a.n_bytes != null && bytes(a.n_bytes),
    ]
        .filter(Boolean)
        .join(' · ');

// ---- A look into a file ----
const TABLE =
    /^(text\/(csv|tab-separated-values)|application\/(vnd\.apache\.parquet|json|x-ndjson))/;
const TEXT = /^(text\/|application\/(json|x-ndjson|xml|yaml|toml|javascript|sql))/;

// of: {base, address, path, kind, type, n_bytes}.
function Preview({of}) {
    const table = of.kind === 'table' || TABLE.test(of.type);
    const [plain, setPlain] = useState(false);
    if (table && !plain)
        return html`<${Table}
            of=${of}
            onPlain=${TEXT.test(of.type) ? () => setPlain(true) : null}
        />`;
    if (/^image\//.test(of.type)) return html`<${Picture} of=${of} />`;
    if (/^text\/html/.test(of.type)) return html`<${Page} of=${of} />`;
    if (TEXT.test(of.type)) return html`<${Text} of=${of} />`;
    if (/^application\/pdf/.test(of.type))
        return html`<p>
            <a href=${fileUrl(of)} target="_blank" rel="noreferrer">Open the document</a>
        </p>`;
    return html`<${Empty}>There is no view for ${of.type || 'such files'}; it can be downloaded.</${Empty}>`;
}
const Picture = ({of}) =>
    html`<p><img class="artifact" src=${fileUrl(of)} alt=${of.path || of.name} /></p>`;
// It may show itself and nothing else: no scripts, no forms, nothing of this page's.
const Page = ({of}) =>
    html`<iframe
        class="artifact"
        sandbox=""
        referrerpolicy="no-referrer"
        loading="lazy"
        src=${fileUrl(of)}
        title=${`${of.path || of.name}, as a page`}
    ></iframe>`;
async function beginning(of) {
    const answer = await fetch(fileUrl(of), {headers: {Range: `bytes=0-${TEXT_MAX - 1}`}});
    if (!answer.ok) {
        const said = await answer.json().catch(() => null);
        throw new ApiError(answer.status, said, of.base);
    }
    return answer.text();
}
function Text({of}) {
    const [text, setText] = useState(null),
        [error, setError] = useState(null);
    useEffect(() => {
        let gone = false;
        setText(null);
        const ask = of.n_bytes === 0 ? Promise.resolve('') : beginning(of);
        ask.then(
            (t) => gone || setText(t),
            (e) => gone || setError(e),
        );
        return () => (gone = true);
    }, [fileUrl(of)]);
    if (error) return html`<${ErrorBox} error=${error} what="The file could not be read" />`;
    if (text === null) return html`<${Skeleton} rows=${3} />`;
    if (text === '') return html`<${Empty}>It is empty.</${Empty}>`;
    const rest = of.n_bytes - TEXT_MAX;
    return html`<pre class="json" tabindex="0">${text}</pre>
        ${rest > 0 ? html`<p class="muted">… and ${bytes(rest)} more in the file</p>` : null}`;
}

// ---- A table ----
function Cell({v}) {
    if (v === null) return html`<td class="muted">null</td>`;
    if (typeof v === 'number') return html`<td class="r num" title=${v}>${number(v)}</td>`;
    if (typeof v === 'object' && 'cut' in v)
        return html`<td>${text(v.cut)}<span class="muted"> … ${number(v.n)} in all</span></td>`;
    return html`<td>${text(v)}</td>`;
}
const text = (v) => (typeof v === 'string' ? v : JSON.stringify(v));
const NUMERIC = /^(u?int|float|double|decimal|real|.*int$)/i;
function TableRows({data}) {
    const side = data.columns.map((c) => (NUMERIC.test(c.type) ? 'r' : ''));
    return html`<div class="scroller" tabindex="0" role="region" aria-label="Rows">
        <table class="list cells">
            <thead>
                <tr>
                    ${data.columns.map(
                        (c, i) =>
                            html`<th class=${side[i]}>
                                ${c.name} <span class="type">${c.type.toLowerCase()}</span>
                            </th>`,
                    )}
                </tr>
            </thead>
            <tbody>
                ${data.rows.map(
                    (r) =>
                        html`<tr>
                            ${r.map((v) => html`<${Cell} v=${v} />`)}
                        </tr>`,
                )}
            </tbody>
        </table>
    </div>`;
}
function Steps({what, from, n, total, more, step, onMove}) {
    const of = total == null ? '' : ` of ${number(total)}`;
    if (from === 0 && !more) return html`<span class="muted">${plural(n, what)}</span>`;
    return html`<span class="muted num">${what}s ${from + 1} to ${from + n}${of}</span>
        <button type="button" disabled=${from === 0} onClick=${() => onMove(from - step)}>
            Earlier ${what}s
        </button>
        <button type="button" disabled=${!more} onClick=${() => onMove(from + step)}>
            Further ${what}s
        </button>`;
}
function Table({of, onPlain}) {
    const [offset, setOffset] = useState(0),
        [column, setColumn] = useState(0);
    const asked = {artifact: of.address, path: of.path, limit: ROWS, offset, first_column: column};
    const rows = useApi(`${of.base}/rows?${query(asked)}`);
    const asText = onPlain
        ? html`<button type="button" class="link" onClick=${onPlain}>as text</button>`
        : null;
    if (rows.error)
        return html`<${ErrorBox} error=${rows.error} what="No rows can be shown" />${asText}`;
    return html`<${Loaded} of=${rows} rows=${8}>${(d) =>
        html`<div class="toolbar">
                <${Steps}
                    what="row"
                    from=${d.offset}
                    n=${d.rows.length}
                    total=${d.n_rows}
                    more=${d.more}
                    step=${ROWS}
                    onMove=${setOffset}
                />
                <${Steps}
                    what="column"
                    from=${d.first_column}
                    n=${d.columns.length}
                    total=${d.n_columns}
                    more=${d.first_column + d.columns.length < d.n_columns}
                    step=${100}
                    onMove=${setColumn}
                />
                ${asText}
            </div>
            <${TableRows} data=${d} />`}</${Loaded}>`;
}

// ---- A folder ----
function useFiles(of) {
    const path = `${of.base}/files?${query({artifact: of.address, limit: FILES})}`;
    const first = useApi(path);
    const [more, setMore] = useState({path, items: [], next: null});
    const [error, setError] = useState(null);
    const mine = more.path === path ? more : {items: [], next: null};
    const next = mine.items.length ? mine.next : first.data && first.data.next;
    const load = async () => {
        try {
            const page = await all(`${path}&cursor=${enc(next)}`, FILES);
            setMore({path, items: [...mine.items, ...page.items], next: page.next});
        } catch (e) {
            setError(e);
        }
    };
    const items = first.data ? [...first.data.items, ...mine.items] : [];
    return {first, items, next, load, error};
}
function Folder({of, path, choose}) {
    const {first, items, next, load, error} = useFiles(of);
    const chosen = items.find((f) => f.path === path);
    const line = (f) =>
        html`<${File} key=${f.path} of=${of} file=${f} chosen=${f === chosen} choose=${choose} />`;
    return html`<${Loaded} of=${first}>${() =>
        html`<ul class="files" aria-label=${`Files of ${of.name}`}>
                ${items.map(line)}
            </ul>
            <${ErrorBox} error=${error} what="The other files could not be listed" />
            ${next && !error ? html`<${More} onMore=${load}>More files</${More}>` : null}
            ${chosen ? html`<${FilePreview} of=${of} file=${chosen} />` : null}`}</${Loaded}>`;
}
function File({of, file, chosen, choose}) {
    return html`<li aria-current=${chosen ? 'true' : undefined}>
        <button type="button" class="link" onClick=${() => choose(file.path)}>${file.path}</button>
        <span class="muted">${file.media_type} · ${bytes(file.n_bytes)}</span>
        <a href=${fileUrl({...of, path: file.path}, {download: true})} download>download</a>
    </li>`;
}
const FilePreview = ({of, file}) =>
    html`<h3>${file.path}</h3>
        <${Preview}
            key=${file.sha256 + file.path}
            of=${{...of, path: file.path, kind: 'file', type: file.media_type, n_bytes: file.n_bytes}}
        />`;

// ---- What a task made ----
const About = ({a}) =>
    html`<td>${a.kind}</td>
        <td>${a.gone ? html`<span class="bad-text">gone</span>` : sizeOf(a)}</td>
        <td class="wide">
            <code class="muted" title=${a.address}>${a.address.slice(0, 15)}</code>
        </td>`;
function Row({a, task, chosen, href}) {
    const of = {base: artifactPath(task, a.name), address: a.address};
    return html`<tr aria-current=${chosen ? 'true' : undefined}>
        <td><a href=${href}>${a.name}</a></td>
        <${About} a=${a} />
        <td>
            ${a.gone || isFolder(a) ? null : html`<a href=${fileUrl(of, {download: true})} download>download</a>`}
        </td>
    </tr>`;
}
function ArtifactTable({children, first}) {
    return html`<table class="list">
        <thead>
            <tr>
                ${first ? html`<th>${first}</th>` : null}
                <th>Artifact</th>
                <th>Kind</th>
                <th>Size</th>
                <th class="wide">Address</th>
                <td></td>
            </tr>
        </thead>
        <tbody>
            ${children}
        </tbody>
    </table>`;
}
function Chosen({a, task, path}) {
    const choose = (p) => go(withQuery({path: p === path ? null : p}), {replace: true});
    const of = {
        name: a.name,
        base: artifactPath(task, a.name),
        address: a.address,
        kind: a.kind,
        type: a.media_type || '',
        n_bytes: a.n_bytes,
    };
    if (a.gone)
        return html`<${Empty}>
            ‘${a.name}’ was removed from the artifacts of this home; run the task again to make it anew.
        </${Empty}>`;
    return html`<h2>${a.name}</h2>
        ${isFolder(a) ? html`<${Folder} of=${of} path=${path} choose=${choose} />` : html`<${Preview} of=${of} />`}`;
}
export function Artifacts({run, name, done}) {
    const task = taskPath(run, name);
    const list = useApi(`${task}/artifacts?limit=1000`, {
        on: (n, d) => n === 'task' && d.run === run,
    });
    const asked = route.use().query;
    return html`<${Loaded} of=${list}>${({items}) => {
        if (!items.length)
            return html`<${Empty}>
                Its outputs name no artifact${done ? '' : ' yet'}. What a script puts into the folder
                <code>$NEXUS_ARTIFACTS</code> is kept, and seen here.
            </${Empty}>`;
        const chosen = items.find((a) => a.name === asked.get('artifact')) || items[0];
        const href = (a) => withQuery({artifact: a.name, path: null});
        const row = (a) =>
            html`<${Row}
                key=${a.name}
                a=${a}
                task=${task}
                chosen=${a === chosen}
                href=${href(a)}
            />`;
        return html`<${ArtifactTable}>
                ${items.map(row)}
            </${ArtifactTable}>
            <${Chosen} key=${chosen.address} a=${chosen} task=${task} path=${asked.get('path')} />`;
    }}</${Loaded}>`;
}

// ---- What the tasks of a run made ----
function OfTask({run, t}) {
    const name = taskName(t),
        task = taskPath(run, name);
    const {data} = useApi(`${task}/artifacts?limit=1000`, {
        on: (n, d) => n === 'task' && d.run === run && d.task === t.task,
    });
    if (!data || !data.items.length) return null;
    const href = (a) => taskUrl(run, name, '?' + query({tab: 'artifacts', artifact: a.name}));
    return data.items.map(
        (a) => html`<${RunRow} key=${a.name} a=${a} name=${name} run=${run} href=${href(a)} />`,
    );
}
const RunRow = ({a, name, run, href}) =>
    html`<tr>
        <td><a href=${taskUrl(run, name)}>${name}</a></td>
        <td><a href=${href}>${a.name}</a></td>
        <${About} a=${a} />
        <td></td>
    </tr>`;
const names = (v) =>
    v && typeof v === 'object' && (typeof v.artifact === 'string' || Object.values(v).some(names));
export function RunArtifacts({run}) {
    const makers = run.tasks.filter((t) => t.outputs && names(t.outputs));
    if (!makers.length)
        return html`<${Empty}>No task has made an artifact${run.finished_at ? '' : ' yet'}.</${Empty}>`;
    return html`<${ArtifactTable} first="Task">
            ${makers.slice(0, TASKS_MAX).map((t) => html`<${OfTask} key=${taskName(t)} run=${run.id} t=${t} />`)}
        </${ArtifactTable}>
        ${makers.length > TASKS_MAX ? html`<${Rest} n=${makers.length} />` : null}`;
}
const Rest = ({n}) =>
    html`<p class="muted">The first ${TASKS_MAX} of ${n} tasks that made any.</p>`;
