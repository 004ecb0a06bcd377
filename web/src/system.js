// Workers, pools, variables, secrets, connections, approvals, notifications, audit, health, settings.
import {html, useState, useEffect, useRef, enc, plural} from './lib.js';
import {onEvent} from './live.js';
import {useApi, call, post, get, runPath, taskName} from './api.js';
import {Ago, Time, bytes, duration, clockTime, shortTime, exactTime, zone} from './format.js';
import {Dot, Pill, word} from './state.js';
import {
    Loaded,
    Empty,
    Head,
    Tabs,
    useTitle,
    useHealth,
    ErrorBox,
    Command,
    Facts,
    Json,
    Dialog,
    toast,
    Bar,
} from './parts.js';
import {useQuery, runUrl, dagUrl, taskUrl} from './route.js';
import {useParams, ParamFields} from './dags.js';

const TABS = [
    ['workers', 'Workers'],
    ['pools', 'Pools'],
    ['variables', 'Variables'],
    ['secrets', 'Secrets'],
    ['connections', 'Connections'],
    ['approvals', 'Approvals'],
    ['notifications', 'Notifications'],
    ['retention', 'Retention'],
    ['events', 'Events'],
    ['audit', 'Audit'],
    ['health', 'Health'],
    ['settings', 'Settings'],
];
export function System({view, id}) {
    const label = (TABS.find(([v]) => v === view) || [])[1];
    useTitle(label || 'System');
    const Part = {
        workers: Workers,
        pools: Pools,
        variables: Variables,
        secrets: Secrets,
        connections: Connections,
        approvals: Approvals,
        notifications: Notifications,
        retention: Retention,
        events: Events,
        audit: Audit,
        health: Health,
        settings: Settings,
    }[view];
    return html`<section class="pad">
        <${Head} title=${label || 'System'} /><${Tabs}
            current=${view}
            items=${TABS.map(([v, label]) => ({id: v, label, href: '/ui/system/' + v}))}
        />
        ${Part ? html`<${Part} id=${id} />` : html`<${NoPart} view=${view} />`}
    </section>`;
}
const NoPart = ({view}) =>
    html`<${Empty}>The system has no part ‘${view}’. <a href="/ui/system/workers">Workers</a></${Empty}>`;
const Title = ({t}) =>
    t
        ? html`<th class=${t.startsWith('>') ? 'r' : ''}>${t.replace('>', '')}</th>`
        : html`<td></td>`;
// A title that begins with > is of numbers; an empty one is of buttons.
const Table = ({titles, rows}) =>
    html`<table class="list">
        <thead>
            <tr>
                ${titles.map((t) => html`<${Title} t=${t} />`)}
            </tr>
        </thead>
        <tbody>
            ${rows}
        </tbody>
    </table>`;

// ---- Workers ----
function Workers() {
    const list = useApi('/workers', {
        on: (n) => n === 'worker' || n === 'task',
        gap: 500,
        every: 3000,
    });
    return html`<${Loaded} of=${list}>${(d) =>
        d.items.length
            ? html`<${Table}
                  titles=${['Worker', 'State', 'Slots', '>Busy', 'Queues', '>Memory', '>GPUs', 'Seen', '']}
                  rows=${d.items.map((w) => html`<${WorkerRow} key=${w.id} w=${w} reload=${list.reload} />`)}
              />`
            : html`<${NoWorkers} />`}</${Loaded}>
        <h2>Waiting</h2>
        <${Waiting} />`;
}
const NoWorkers = () =>
    html`<${Empty}>No worker has ever come. <${Command} text="nexus worker" label="Start one:" /></${Empty}>`;
function WorkerRow({w, reload}) {
    const drain = async () => {
        try {
            await call('PATCH', '/workers/' + enc(w.id), {drain: w.state !== 'draining'});
            reload();
        } catch (e) {
            toast(`${w.id}: ${e.message}`, {kind: 'error'});
        }
    };
    const here = w.state === 'online' || w.state === 'draining',
        what = w.state === 'draining' ? 'Resume' : 'Drain';
    return html`<tr>
        <td>
            ${w.id} ${w.host !== w.id ? html`<span class="muted">${w.host}</span>` : null}
            ${w.note ? html`<div class="muted">${w.note}</div>` : null}
        </td>
        <td><${Pill} state=${w.state === 'lost' ? 'failed' : w.state} word=${w.state} /></td>
        <td><${Slots} w=${w} /></td>
        <td class="r num">${w.busy}/${w.slots}</td>
        <td>${w.queues.join(', ')}</td>
        <td class="r num">${bytes(w.memory_bytes)}</td>
        <td class="r num">${w.gpus}</td>
        <td><${Ago} at=${w.last_seen_at} /></td>
        <td>${here ? html`<button type="button" onClick=${drain}>${what}</button>` : null}</td>
    </tr>`;
}
const SLOTS_SHOWN = 64;
const RUNS_ON = ['running', 'stopping'];
// One square a slot: what runs in it is a link.
function Slots({w}) {
    const busy = w.tasks.filter((t) => RUNS_ON.includes(t.state)),
        queued = w.tasks.length - busy.length;
    const free = Math.max(0, Math.min(w.slots, SLOTS_SHOWN) - busy.length),
        squares = busy
            .slice(0, SLOTS_SHOWN)
            .map((t) => html`<${Slot} key=${t.run + taskName(t)} t=${t} />`);
    return html`<span class="slots" role="group" aria-label=${`${w.busy} of ${w.slots} slots busy`}
            >${squares}${Array.from({length: free}, () => html`<i></i>`)}</span
        >
        ${busy.slice(0, 3).map((t) => html`<${Busy} t=${t} />`)}
        ${busy.length > 3 ? html`<div class="muted">and ${busy.length - 3} more</div>` : null}
        ${queued ? html`<div class="muted">${plural(queued, 'task')} given to it, not begun</div>` : null}`;
}
const Busy = ({t}) =>
    html`<div class="muted">
        <a href=${taskUrl(t.run, taskName(t))}>${t.dag} ${taskName(t)}</a>
    </div>`;
const Slot = ({t}) => {
    const text = `${t.dag} ${taskName(t)} of run ${t.run}: ${word(t.state)}`;
    return html`<a
        class="on"
        href=${taskUrl(t.run, taskName(t))}
        title=${text}
        aria-label=${text}
    ></a>`;
};
const LOOKED_AT = 20; // running runs whose waiting tasks are counted
// Why what waits does not run, most frequent first; by pool.
function Waiting() {
    const open = useApi('/runs?state=running&limit=' + LOOKED_AT, {
        on: (n) => n === 'run' || n === 'task',
        gap: 1000,
    });
    const [why, setWhy] = useState(null);
    const runs = open.data ? open.data.items.filter((r) => r.counts.queued).map((r) => r.id) : null;
    const key = runs && open.data.items.map((r) => `${r.id}:${r.counts.queued}`).join();
    useEffect(() => {
        if (!runs) return undefined;
        let gone = false;
        Promise.all(runs.map((id) => get(`${runPath(id)}/explain?state=queued&limit=1000`))).then(
            (answers) => gone || setWhy(reasonsOf(answers.flatMap((a) => a.items))),
            () => {},
        );
        return () => (gone = true);
    }, [key]);
    const total = why ? why.reduce((n, [, k]) => n + k, 0) : 0;
    if (!why) return null;
    if (!total) return html`<${Empty}>Nothing is queued.</${Empty}>`;
    return html`<${Table}
            titles=${['Why it does not run', '>Tasks']}
            rows=${why.map(
                ([text, n]) =>
                    html`<tr>
                        <td>${text}</td>
                        <td class="r num">${n}</td>
                    </tr>`,
            )}
        />
        <p class="muted">
            Queued tasks of the ${plural(runs.length, 'newest running run')} that have any.
            <a href="/ui/system/pools">Pools</a>
        </p>`;
}
function reasonsOf(items) {
    const counts = new Map();
    for (const t of items) {
        const text = t.reasons[0] ? t.reasons[0].text : 'not known';
        counts.set(text, (counts.get(text) || 0) + 1);
    }
    return [...counts].sort((a, b) => b[1] - a[1]);
}

// ---- Things with a name that people make, change and take away ----
const isEditable = (x) => x.source !== 'nexus.yaml' && x.source !== 'environment';
// What it is made of: path of the API, fields of the form, columns [title, show(x)], body(texts) that is
// sent; `what` happens when one is deleted; `extra` buttons of each.
function Kept({path, one, what, columns, fields, body, empty, extra}) {
    const list = useApi(path, {every: 5000});
    const [open, setOpen] = useState(null), // {isNew, texts}
        [gone, setGone] = useState(null), // a name
        [error, setError] = useState(null);
    const send = async (method, name, given, close) => {
        try {
            await call(method, `${path}/${enc(name)}`, given);
            close(null);
            setError(null);
            list.reload();
        } catch (x) {
            setError(x);
        }
    };
    const save = (e) => {
        e.preventDefault();
        send('PUT', open.texts.name, body(open.texts), setOpen);
    };
    const edit = (item) => {
        setError(null);
        const texts = Object.fromEntries(fields.map((f) => [f.name, item ? f.from(item) : '']));
        setOpen({isNew: !item, texts});
    };
    const remove = (name) => {
        setError(null);
        setGone(name);
    };
    const row = (x) =>
        html`<${KeptRow}
            key=${x.name}
            x=${x}
            columns=${columns}
            extra=${extra}
            edit=${edit}
            remove=${remove}
        />`;
    const form = html`<${KeptForm}
        one=${one}
        fields=${fields}
        open=${open}
        setOpen=${setOpen}
        save=${save}
        error=${error}
    />`;
    const question = html`<${KeptDelete}
        one=${one}
        name=${gone}
        what=${what}
        error=${error}
        doIt=${() => send('DELETE', gone, undefined, setGone)}
        onClose=${() => setGone(null)}
    />`;
    return html`<p><button type="button" onClick=${() => edit(null)}>New ${one}</button></p>
        <${Loaded} of=${list}>${(d) =>
            d.items.length
                ? html`<${Table}
                      titles=${['Name', ...columns.map((c) => c[0]), '']}
                      rows=${d.items.map(row)}
                  />`
                : html`<${Empty}>${empty}</${Empty}>`}</${Loaded}>
        ${open ? form : null}
        ${gone ? question : null}`;
}
function KeptRow({x, columns, extra, edit, remove}) {
    const deletable = x.exists !== false;
    const buttons = isEditable(x)
        ? html`<button type="button" onClick=${() => edit(x)}>Change…</button>
              ${deletable ? html`<button type="button" class="danger" onClick=${() => remove(x.name)}>Delete…</button>` : null}`
        : html`<span class="muted">set in ${x.source}</span>`;
    return html`<tr>
        <td>${x.name}</td>
        ${columns.map(([, show]) => html`<td>${show(x)}</td>`)}
        <td><div class="actions">${extra ? extra(x) : null}${buttons}</div></td>
    </tr>`;
}
function KeptForm({one, fields, open, setOpen, save, error}) {
    const set = (name, text) => setOpen({...open, texts: {...open.texts, [name]: text}});
    const close = () => setOpen(null);
    const field = (f) =>
        html`<${KeptField}
            f=${f}
            text=${open.texts[f.name]}
            set=${set}
            fixed=${f.name === 'name' && !open.isNew}
        />`;
    return html`<${Dialog} title=${open.isNew ? `New ${one}` : `Change ${one} ${open.texts.name}`} onClose=${close}>
        <form onSubmit=${save}>
            <div class="form">
                ${fields.map(field)}
            </div>
            ${error ? html`<${ErrorBox} error=${error} what="Not saved" />` : null}
            <p class="actions">
                <button type="submit" class="primary">Save ${one}</button>
                <button type="button" onClick=${close}>Leave it</button>
            </p>
        </form>
    </${Dialog}>`;
}
const KeptField = ({f, text, set, fixed}) =>
    html`<label for=${'k-' + f.name}>${f.label}</label>
        <div class="field">
            <input
                id=${'k-' + f.name}
                type=${f.type || 'text'}
                autocomplete="off"
                disabled=${fixed}
                value=${text}
                onInput=${(e) => set(f.name, e.target.value)}
            />
            <div class="help">${f.help}</div>
        </div>`;
const KeptDelete = ({one, name, what, error, doIt, onClose}) =>
    html`<${Dialog} title=${`Delete ${one} ${name}?`} onClose=${onClose}>
        <p>${what}</p>
        ${error ? html`<${ErrorBox} error=${error} what="Not deleted" />` : null}
        <p class="actions">
            <button type="button" class="danger" onClick=${doIt}>Delete 1 ${one}</button>
            <button type="button" onClick=${onClose}>Keep it</button>
        </p>
    </${Dialog}>`;
const fieldOf = (name, label, from, help = '', type = 'text') => ({name, label, from, help, type});
const WHAT_FOR = fieldOf('description', 'What for', (x) => x.description || '');
const NAME = {
    name: 'name',
    label: 'Name',
    from: (x) => x.name,
    help: 'small letters, digits, _ (pools and connections also -)',
};
const Pools = () =>
    html`<${Kept}
        path="/pools"
        one="pool"
        what="Tasks that name it wait until it is there again."
        empty="No pool yet: tasks that name none share the workers' slots alone."
        columns=${[
            ['Slots', (p) => html`<span class="num">${p.slots ?? '–'}</span>`],
            [
                'Used',
                (p) =>
                    html`<${Bar} value=${p.used} max=${p.slots} />
                        <span class="num">${p.used}</span>`,
            ],
            ['Waiting', (p) => html`<span class="num">${p.waiting}</span>`],
            [
                'What for',
                (p) =>
                    p.exists === false
                        ? html`<span class="err">it does not exist: tasks that name it wait</span>`
                        : p.description,
            ],
        ]}
        fields=${[NAME, fieldOf('slots', 'Slots', (p) => String(p.slots ?? 1), 'that its tasks share', 'number'), WHAT_FOR]}
        body=${(t) => ({slots: Number(t.slots), description: t.description})}
    />`;
const readValue = (text) => {
    try {
        return JSON.parse(text);
    } catch (e) {
        return text;
    }
};
const Variables = () =>
    html`<${Kept}
        path="/variables"
        one="variable"
        what="Expressions that name it fail."
        empty="No variable yet. Expressions read them as vars.NAME."
        columns=${[['Value', (v) => html`<code>${JSON.stringify(v.value)}</code>`]]}
        fields=${[NAME, fieldOf('value', 'Value', (v) => JSON.stringify(v.value), 'JSON, or plain text')]}
        body=${(t) => ({value: readValue(t.value)})}
    />`;
const Secrets = () =>
    html`<${Kept}
        path="/secrets"
        one="secret"
        what="Tasks that name it fail."
        empty="No secret yet. Expressions of tasks read them as secrets.NAME; nobody can read them here."
        columns=${[['Changed', (s) => html`<${Ago} at=${s.updated_at} />`]]}
        fields=${[NAME, fieldOf('value', 'Value', () => '', 'never to be read again', 'password')]}
        body=${(t) => ({value: t.value})}
    />`;
const URI_HELP =
    'such as postgres://USER:PASSWORD@HOST/DATABASE; what is secret is never shown again';
function Tried({t}) {
    if (!t) return null;
    if (t.busy) return 'trying …';
    if (t.error) return html`<span class="err">${t.error.message}</span>`;
    const {ok, said, error} = t.answer;
    return html`<span title=${JSON.stringify(t.answer)}
        >${ok ? `works${said ? ': ' + said : ''}` : html`<span class="err">${error}</span>`}</span
    >`;
}
function Connections() {
    const [tried, setTried] = useState({});
    const test = async (name) => {
        setTried((t) => ({...t, [name]: {busy: true}}));
        try {
            const answer = await post(`/connections/${enc(name)}/test`, {});
            setTried((t) => ({...t, [name]: {answer}}));
        } catch (error) {
            setTried((t) => ({...t, [name]: {error}}));
        }
    };
    return html`<${Kept}
        path="/connections"
        one="connection"
        what="Tasks that name it fail."
        empty="No connection yet. Operators name them with conn: NAME."
        columns=${[
            ['URI', (c) => html`<code>${c.uri}</code>`],
            ['What for', (c) => c.description],
            ['Tried', (c) => html`<${Tried} t=${tried[c.name]} />`],
        ]}
        fields=${[NAME, fieldOf('uri', 'URI', () => '', URI_HELP), WHAT_FOR]}
        body=${(t) => ({uri: t.uri, description: t.description})}
        extra=${(c) => html`<button type="button" onClick=${() => test(c.name)}>Test</button>`}
    />`;
}

// ---- Approvals ----
export function Answer({approval: a, onDone}) {
    const form = useParams(a.form || [], '-' + a.id);
    const [comment, setComment] = useState(''),
        [state, setState] = useState({});
    const answer = async (approved) => {
        setState({busy: true});
        try {
            await post('/approvals/' + enc(a.id), {approved, values: form.values, comment});
            setState({});
            toast(approved ? 'Approved' : 'Rejected');
            onDone();
        } catch (error) {
            setState({error});
        }
    };
    return html`<div class="box">
        <b>${a.message || `${a.task} waits for you`}</b>
        <p class="muted">
            ${a.dag} ·
            <a href=${taskUrl(a.run, a.map_index == null ? a.task : `${a.task}[${a.map_index}]`)}
                >${a.task}</a
            >
            of <a href=${runUrl(a.run)}>run ${a.run}</a>, asked
            <${Ago} at=${a.asked_at} />${a.due_at ? html`, until <${Time} at=${a.due_at} />` : null}
        </p>
        ${
            a.state === 'waiting'
                ? html`${a.form && a.form.length ? html`<${ParamFields} params=${a.form} form=${form} />` : null}
                      <div class="form">
                          <label for=${'comment-' + a.id}>Comment</label>
                          <div class="field">
                              <input
                                  id=${'comment-' + a.id}
                                  type="text"
                                  value=${comment}
                                  onInput=${(e) => setComment(e.target.value)}
                              />
                          </div>
                      </div>
                      ${state.error ? html`<${ErrorBox} error=${state.error} what="Not answered" />` : null}
                      <p class="actions">
                          <button
                              type="button"
                              class="primary"
                              disabled=${!form.ok || state.busy}
                              onClick=${() => answer(true)}
                          >
                              Approve</button
                          ><button
                              type="button"
                              class="danger"
                              disabled=${state.busy}
                              onClick=${() => answer(false)}
                          >
                              Reject
                          </button>
                      </p>
                      <${Command} text=${`nexus approve ${a.run} ${a.task}`} />`
                : html`<p>
                          <${Pill}
                              state=${a.state === 'approved' ? 'success' : 'failed'}
                              word=${a.state}
                          />
                          ${a.decided_by ? `by ${a.decided_by}` : ''}
                          <${Ago} at=${a.decided_at} /> ${a.comment ? html`· ${a.comment}` : null}
                      </p>
                      ${a.values ? html`<${Json} value=${a.values} />` : null}`
        }
    </div>`;
}
function Approvals({id}) {
    const [all, setAll] = useQuery('all');
    const list = useApi(`/approvals${all ? '?state=all' : ''}`, {
        on: (n) => n === 'task',
        gap: 500,
    });
    const one = useApi(id ? '/approvals/' + enc(id) : null, {on: (n) => n === 'task', gap: 500});
    if (id)
        return html`<${Loaded} of=${one}>${(a) =>
            html`<${Answer} approval=${a} onDone=${one.reload} />
                <p><a href="/ui/system/approvals">All approvals</a></p>`}</${Loaded}>`;
    const change = (e) => setAll(e.target.checked ? 'true' : '');
    return html`<label class="check"><input type="checkbox" checked=${!!all} onChange=${change} /> answered ones too</label>
        <${Loaded} of=${list}>${(d) => html`<${Answers} items=${d.items} onDone=${list.reload} />`}</${Loaded}>`;
}
const Answers = ({items, onDone}) =>
    items.length
        ? items.map((a) => html`<${Answer} key=${a.id} approval=${a} onDone=${onDone} />`)
        : html`<${Empty}>Nothing waits for you.</${Empty}>`;

// ---- What only grows ----
// A list by pages.
function Paged({path, titles, row, empty, options}) {
    const head = useApi(path, options);
    const [more, setMore] = useState({path, items: [], next: undefined});
    const mine = more.path === path ? more : {items: [], next: undefined};
    const next = mine.next !== undefined ? mine.next : head.data && head.data.next;
    const load = async () => {
        const page = await get(path + (path.includes('?') ? '&' : '?') + 'cursor=' + enc(next));
        setMore({path, items: [...mine.items, ...page.items], next: page.next});
    };
    return html`<${Loaded} of=${head}>${(d) => {
        const ids = new Set(d.items.map((x) => x.id)),
            items = [...d.items, ...mine.items.filter((x) => !ids.has(x.id))];
        return items.length
            ? html`<${Table}
                      titles=${titles}
                      rows=${items.map((x, i) => row(x, i, items))}
                  />${next ? html`<p><button type="button" onClick=${load}>Older</button></p>` : null}`
            : html`<${Empty}>${empty}</${Empty}>`;
    }}</${Loaded}>`;
}
const isPair = (v) => v && typeof v === 'object' && !Array.isArray(v);
// What a change made of what the change before it had said: [[key, before, after]]; the rest as it is.
function changesOf(now, before) {
    const keys = Object.keys(now).filter(
        (k) => JSON.stringify(now[k]) !== JSON.stringify(before[k]),
    );
    return keys.map((k) => [k, before[k], now[k]]);
}
function AuditDetail({a, before}) {
    if (!a.detail) return null;
    const changes =
        isPair(a.detail) && before && isPair(before.detail)
            ? changesOf(a.detail, before.detail)
            : null;
    if (!changes) return html`<code>${JSON.stringify(a.detail)}</code>`;
    if (!changes.length) return html`<span class="muted">as before</span>`;
    return changes.map(
        ([k, was, is]) =>
            html`<div>
                ${k}: <del>${JSON.stringify(was) ?? 'nothing'}</del> →
                <ins>${JSON.stringify(is)}</ins>
            </div>`,
    );
}
function AuditTarget({a}) {
    if (a.what.startsWith('run.')) return html`<a href=${runUrl(a.target)}>run ${a.target}</a>`;
    if (a.what === 'dag.edit')
        return html`<a href=${dagUrl(a.target, 'versions')}>${a.target}: what changed</a>`;
    if (a.what.startsWith('dag.')) return html`<a href=${dagUrl(a.target)}>${a.target}</a>`;
    return a.target;
}
// Things that are made and changed by the same words: what one said before is what it was.
const KEPT_WORDS = /^(pool|variable|connection)\./;
const Audit = () =>
    html`<${Paged}
        path="/audit?limit=100"
        options=${{on: (n) => n === 'run', gap: 1000, every: 10000}}
        titles=${['When', 'Who', 'What', 'About', 'Detail']}
        empty="Nobody has changed anything yet."
        row=${(a, i, items) => {
            const before = KEPT_WORDS.test(a.what)
                ? items.slice(i + 1).find((x) => x.what === a.what && x.target === a.target)
                : null;
            return html`<tr key=${a.id}>
                <td><${Ago} at=${a.at} /></td>
                <td>${a.who}</td>
                <td>${a.what}</td>
                <td><${AuditTarget} a=${a} /></td>
                <td><${AuditDetail} a=${a} before=${before} /></td>
            </tr>`;
        }}
    />`;
function Notifications() {
    const [, redraw] = useState(0);
    const again = async (n) => {
        try {
            await post(`/notifications/${enc(n.id)}/retry`, {});
            toast('It is sent again');
            redraw((x) => x + 1);
        } catch (e) {
            toast(e.message, {kind: 'error'});
        }
    };
    return html`<${Paged}
        path="/notifications?limit=100"
        options=${{on: (n) => n === 'run', gap: 1000, every: 5000}}
        titles=${['When', 'State', 'Event', 'About', 'To', 'Problem', '']}
        empty="Nothing was told to anybody. DAG files ask for it with on_failure and its like."
        row=${(n) =>
            html`<tr key=${n.id}>
                <td><${Ago} at=${n.created_at} /></td>
                <td><${Pill} state=${n.state} /></td>
                <td>${n.event}</td>
                <td>
                    ${n.run ? html`<a href=${runUrl(n.run)}>${n.dag} run ${n.run}</a>` : n.dag}
                    ${n.task}
                </td>
                <td>${n.to || n.target || n.kind}</td>
                <td class="err">${n.error}</td>
                <td>
                    ${n.state === 'failed' ? html`<button type="button" onClick=${() => again(n)}>Send again</button>` : null}
                </td>
            </tr>`}
    />`;
}
const Retention = () =>
    html`<${Paged}
        path="/retention"
        titles=${['DAG', 'Runs kept', 'For', 'Logs for', 'Set by', '>Due runs', '>Due logs']}
        empty="No DAG yet."
        row=${(r) =>
            html`<tr key=${r.dag}>
                <td><a href=${dagUrl(r.dag)}>${r.dag}</a></td>
                <td>${r.runs ?? 'all'}</td>
                <td>
                    ${r.keep == null ? 'ever' : typeof r.keep === 'number' ? duration(r.keep) : r.keep}
                </td>
                <td>
                    ${r.logs == null ? 'as long as the run' : typeof r.logs === 'number' ? duration(r.logs) : r.logs}
                </td>
                <td>${r.source}</td>
                <td class="r num">${r.due_runs}</td>
                <td class="r num">${r.due_logs}</td>
            </tr>`}
    />`;

// What happens while one looks, newest first; below it when the newest runs began and ended.
const PAST_RUNS = 50;
let eventNumber = 0;
function pastEvents(runs) {
    const of = (r, at, state) => ({
        id: ++eventNumber,
        at,
        name: 'run',
        data: {run: r.id, dag: r.dag, state},
    });
    const began = runs.filter((r) => r.started_at).map((r) => of(r, r.started_at, 'running'));
    const ended = runs.filter((r) => r.finished_at).map((r) => of(r, r.finished_at, r.state));
    return [...ended, ...began].sort((a, b) => b.at.localeCompare(a.at));
}
function When({at}) {
    zone.use();
    const old = Date.now() - new Date(at) > 12 * 3600e3;
    return html`<time datetime=${at} title=${exactTime(at)}
        >${old ? shortTime(at) : clockTime(at)}</time
    >`;
}
function Events() {
    const [past, setPast] = useState(null);
    const [fresh, setList] = useState([]),
        [rest, setRest] = useState(false);
    const resting = useRef(false);
    resting.current = rest;
    useEffect(
        () =>
            onEvent((name, data) => {
                if (resting.current || name === 'hello') return;
                setList((l) =>
                    [{id: ++eventNumber, at: new Date().toISOString(), name, data}, ...l].slice(
                        0,
                        200,
                    ),
                );
            }),
        [],
    );
    useEffect(() => {
        get(`/runs?limit=${PAST_RUNS}`).then(
            (page) => setPast(pastEvents(page.items)),
            () => setPast([]),
        );
    }, []);
    const list = [...fresh, ...(past || [])];
    const text = ({name, data: d}) =>
        name === 'run'
            ? html`<a href=${runUrl(d.run)}>${d.dag} run ${d.run}</a> ${d.state}`
            : name === 'task'
              ? html`<a
                        href=${taskUrl(d.run, d.map_index == null ? d.task : `${d.task}[${d.map_index}]`)}
                        >${d.dag} ${d.task}${d.map_index == null ? '' : `[${d.map_index}]`}</a
                    >
                    of run ${d.run}: ${word(d.state)}${d.attempt ? `, attempt ${d.attempt}` : ''}`
              : name === 'worker'
                ? html`<a href="/ui/system/workers">${d.worker}</a>
                      ${d.drain ? 'is drained' : 'takes work'}`
                : name === 'dataset'
                  ? html`<a href=${'/ui/data/' + enc(d.dataset)}>${d.dataset}</a> version
                        ${d.version}`
                  : name;
    return html`<p class="toolbar">
            <button type="button" aria-pressed=${rest} onClick=${() => setRest(!rest)}>
                ${rest ? 'Go on' : 'Hold'}</button
            ><span class="muted"
                >What happens from now on, and when the newest ${PAST_RUNS} runs began and ended;
                what people did is on the <a href="/ui/system/audit">audit list</a>.</span
            >
        </p>
        ${
            list.length
                ? html`<${Table}
                      titles=${['When', 'What', '']}
                      rows=${list.map(
                          (e) =>
                              html`<tr key=${e.id}>
                                  <td style=${{width: '130px'}}><${When} at=${e.at} /></td>
                                  <td style=${{width: '90px'}}>${e.name}</td>
                                  <td>
                                      ${e.data.state ? html`<${Dot} state=${e.data.state} /> ` : ''}${text(e)}
                                  </td>
                              </tr>`,
                      )}
                  />`
                : html`<${Empty}>${past ? 'Nothing has happened.' : 'Looking what has happened …'}</${Empty}>`
        }`;
}

function Health() {
    const [ready, setReady] = useState(null),
        [error, setError] = useState(null);
    const checks = useApi('/checks', {every: 5000});
    useHealth(setReady, setError);
    return html`${ready ? html`<${Parts} r=${ready} />` : html`<${ErrorBox} error=${error} />`}
        <${Loaded} of=${checks}>${(c) => html`<${Checks} c=${c} />`}</${Loaded}>
        <h2>For programs</h2>
        <p>
            <a href="/api/openapi.json" target="_blank" rel="noreferrer">The API (OpenAPI)</a> ·
            <a href="/metrics" target="_blank" rel="noreferrer">Figures for Prometheus</a> ·
            <a href="/health/ready" target="_blank" rel="noreferrer">Health</a>
        </p>
        <${Command} text="nexus doctor" />`;
}
function Parts({r}) {
    const parts = Object.entries(r.parts || {});
    return html`<p>
            <${Pill} state=${r.status === 'ok' ? 'success' : 'failed'} word=${r.status} />
        </p>
        <${Facts}
            items=${[
                ...parts.map(([k, v]) => [
                    k,
                    html`<${Dot} state=${v === 'ok' ? 'success' : 'retrying'} /> ${v}`,
                ]),
                ['Disk', `${bytes(r.disk_free_bytes)} free`],
                ['Workers', `${r.workers_online} online`],
                ['Runs', `${r.runs_active} under way`],
            ]}
        />`;
}
function Checks({c}) {
    const d = c.database;
    return html`<h2>The scheduler</h2>
        <${Facts}
            items=${[
                ['Version', c.version],
                ['Since', html`<${Ago} at=${c.started_at} />`],
                [
                    'Database',
                    `${bytes(d.bytes)}, ${bytes(d.free_bytes)} free in it, log ${bytes(d.log_bytes)}`,
                ],
                ['Schema', `${d.schema} of ${d.schema_known}`],
                ['Damage', d.damage || (d.checked ? 'none' : 'not looked for')],
            ]}
        />`;
}

// What the scheduler goes by, and which of flag, environment, file or default said so.
const SECONDS = /^(lost_after|grace|notify_delay|retention\.(runs|logs))$/;
function settingText({name, value}) {
    if (value == null) return html`<span class="muted">–</span>`;
    if (SECONDS.test(name)) return duration(value);
    return html`<code>${name === 'log_max' ? bytes(value) : String(value)}</code>`;
}
function Settings() {
    const list = useApi('/settings');
    return html`<p class="muted">
            A flag goes before the environment, that before <code>nexus.yaml</code>. They are read when the
            scheduler starts.
        </p>
        <${Loaded} of=${list}>${(d) =>
            html`<${Table}
                titles=${['Setting', 'Value', 'Set by', 'What it is']}
                rows=${d.items.map(
                    (s) =>
                        html`<tr key=${s.name}>
                            <td>${s.name}</td>
                            <td>${settingText(s)}</td>
                            <td>
                                ${s.source === 'default' ? html`<span class="muted">default</span>` : s.source}
                            </td>
                            <td class="muted">${s.help}</td>
                        </tr>`,
                )}
            />`}</${Loaded}>`;
}
