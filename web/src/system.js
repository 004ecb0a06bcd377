// Workers, pools, variables, secrets, connections, approvals, notifications, tokens, audit, health.
import {html, useState, useEffect, useRef, enc, plural} from './lib.js';
import {onEvent} from './live.js';
import {useApi, call, post, get} from './api.js';
import {Ago, Time, bytes, duration, clockTime} from './format.js';
import {Dot, Pill, word} from './state.js';
import {
    Loaded,
    Empty,
    Head,
    Tabs,
    useTitle,
    ErrorBox,
    Command,
    Facts,
    Json,
    Dialog,
    toast,
    Bar,
    Search,
} from './parts.js';
import {useQuery, runUrl, dagUrl, taskUrl, go} from './route.js';
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
];
export function System({view, id}) {
    useTitle(`${view} · System`);
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
    }[view];
    return html`<section class="pad">
        <${Head} title="System" /><${Tabs}
            current=${view}
            items=${TABS.map(([v, label]) => ({id: v, label, href: '/ui/system/' + v}))}
        />
        ${Part ? html`<${Part} id=${id} />` : html`<${Empty}>The system has no part ‘${view}’. <a href="/ui/system/workers">Workers</a></${Empty}>`}
    </section>`;
}
const Table = ({titles, rows}) =>
    html`<table class="list">
        <thead>
            <tr>
                ${titles.map((t) => (t ? html`<th class=${t.startsWith('>') ? 'r' : ''}>${t.replace('>', '')}</th>` : html`<td></td>`))}
            </tr>
        </thead>
        <tbody>
            ${rows}
        </tbody>
    </table>`;

function Workers() {
    const list = useApi('/workers', {
        on: (n) => n === 'worker' || n === 'task',
        gap: 500,
        every: 3000,
    });
    const drain = async (w) => {
        try {
            await call('PATCH', '/workers/' + enc(w.id), {drain: w.state !== 'draining'});
            list.reload();
        } catch (e) {
            toast(`${w.id}: ${e.message}`, {kind: 'error'});
        }
    };
    return html`<${Loaded} of=${list}>${(d) =>
        d.items.length
            ? html`<${Table}
                  titles=${['Worker', 'State', 'Slots', '>Busy', 'Queues', '>Memory', '>GPUs', 'Seen', '']}
                  rows=${d.items.map(
                      (w) =>
                          html`<tr>
                              <td>
                                  ${w.id}${w.host !== w.id ? html` <span class="muted">${w.host}</span>` : null}${w.note ? html`<div class="muted">${w.note}</div>` : null}
                              </td>
                              <td>
                                  <${Pill}
                                      state=${w.state === 'lost' ? 'failed' : w.state}
                                      word=${w.state}
                                  />
                              </td>
                              <td>
                                  <span
                                      class="slots"
                                      role="img"
                                      aria-label=${`${w.busy} of ${w.slots} slots busy`}
                                      >${Array.from({length: Math.min(64, w.slots)}, (_, i) => html`<i class=${i < w.busy ? 'on' : ''}></i>`)}</span
                                  >
                              </td>
                              <td class="r num">${w.busy}/${w.slots}</td>
                              <td>${w.queues.join(', ')}</td>
                              <td class="r num">${bytes(w.memory_bytes)}</td>
                              <td class="r num">${w.gpus}</td>
                              <td><${Ago} at=${w.last_seen_at} /></td>
                              <td>
                                  ${w.state === 'online' || w.state === 'draining' ? html`<button type="button" onClick=${() => drain(w)}>${w.state === 'draining' ? 'Resume' : 'Drain'}</button>` : null}
                              </td>
                          </tr>`,
                  )}
              />`
            : html`<${Empty}>No worker has ever come. <${Command} text="nexus worker" label="Start one:" /></${Empty}>`}</${Loaded}>`;
}

// ---- Things with a name that people make, change and take away ----
function Kept({
    path,
    one,
    what,
    columns,
    fields,
    body,
    editable = (x) => x.source !== 'nexus.yaml' && x.source !== 'environment',
    empty,
    extra,
}) {
    const list = useApi(path, {every: 5000});
    const [open, setOpen] = useState(null); // {name, texts}
    const [gone, setGone] = useState(null),
        [error, setError] = useState(null);
    const save = async (e) => {
        e.preventDefault();
        try {
            await call('PUT', `${path}/${enc(open.texts.name)}`, body(open.texts));
            setOpen(null);
            setError(null);
            list.reload();
        } catch (x) {
            setError(x);
        }
    };
    const remove = async () => {
        try {
            await call('DELETE', `${path}/${enc(gone)}`);
            setGone(null);
            list.reload();
        } catch (x) {
            setError(x);
        }
    };
    const edit = (item) => {
        setError(null);
        setOpen({
            isNew: !item,
            texts: Object.fromEntries(fields.map((f) => [f.name, item ? f.from(item) : ''])),
        });
    };
    return html`<p><button type="button" onClick=${() => edit(null)}>New ${one}</button></p><${Loaded} of=${list}>${(
        d,
    ) =>
        d.items.length
            ? html`<${Table}
                  titles=${['Name', ...columns.map((c) => c[0]), '']}
                  rows=${d.items.map(
                      (x) =>
                          html`<tr>
                              <td>${x.name}</td>
                              ${columns.map(([, show]) => html`<td>${show(x)}</td>`)}
                              <td>
                                  <div class="actions">
                                      ${extra ? extra(x) : null}${
                                          editable(x)
                                              ? html`<button type="button" onClick=${() => edit(x)}>
                                                        Change…</button
                                                    >${
                                                        x.exists === false
                                                            ? null
                                                            : html`<button
                                                                  type="button"
                                                                  class="danger"
                                                                  onClick=${() => {
                                                                      setError(null);
                                                                      setGone(x.name);
                                                                  }}
                                                              >
                                                                  Delete…
                                                              </button>`
                                                    }`
                                              : html`<span class="muted">set in ${x.source}</span>`
                                      }
                                  </div>
                              </td>
                          </tr>`,
                  )}
              />`
            : html`<${Empty}>${empty}</${Empty}>`}</${Loaded}>
        ${
            open
                ? html`<${Dialog} title=${open.isNew ? `New ${one}` : `Change ${one} ${open.texts.name}`} onClose=${() => setOpen(null)}><form onSubmit=${save}><div class="form">${fields.map(
                      (f) =>
                          html`<label for=${'k-' + f.name}>${f.label}</label>
                              <div class="field">
                                  <input
                                      id=${'k-' + f.name}
                                      type=${f.type || 'text'}
                                      autocomplete="off"
                                      disabled=${f.name === 'name' && !open.isNew}
                                      value=${open.texts[f.name]}
                                      onInput=${(e) => setOpen({...open, texts: {...open.texts, [f.name]: e.target.value}})}
                                  />
                                  <div class="help">${f.help}</div>
                              </div>`,
                  )}</div>
            ${error ? html`<${ErrorBox} error=${error} what="Not saved" />` : null}<p class="actions"><button type="submit" class="primary">Save ${one}</button><button type="button" onClick=${() => setOpen(null)}>Leave it</button></p></form></${Dialog}>`
                : null
        }
        ${gone ? html`<${Dialog} title=${`Delete ${one} ${gone}?`} onClose=${() => setGone(null)}><p>${what}</p>${error ? html`<${ErrorBox} error=${error} what="Not deleted" />` : null}<p class="actions"><button type="button" class="danger" onClick=${remove}>Delete 1 ${one}</button><button type="button" onClick=${() => setGone(null)}>Keep it</button></p></${Dialog}>` : null}`;
}
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
        fields=${[NAME, {name: 'slots', label: 'Slots', type: 'number', from: (p) => String(p.slots ?? 1), help: 'that its tasks share'}, {name: 'description', label: 'What for', from: (p) => p.description || '', help: ''}]}
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
        fields=${[NAME, {name: 'value', label: 'Value', from: (v) => JSON.stringify(v.value), help: 'JSON, or plain text'}]}
        body=${(t) => ({value: readValue(t.value)})}
    />`;
const Secrets = () =>
    html`<${Kept}
        path="/secrets"
        one="secret"
        what="Tasks that name it fail."
        empty="No secret yet. Expressions of tasks read them as secrets.NAME; nobody can read them here."
        columns=${[['Changed', (s) => html`<${Ago} at=${s.updated_at} />`]]}
        fields=${[NAME, {name: 'value', label: 'Value', type: 'password', from: () => '', help: 'never to be read again'}]}
        body=${(t) => ({value: t.value})}
    />`;
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
            [
                'Tried',
                (c) => {
                    const t = tried[c.name];
                    return !t
                        ? ''
                        : t.busy
                          ? 'trying …'
                          : t.error
                            ? html`<span class="err">${t.error.message}</span>`
                            : html`<span title=${JSON.stringify(t.answer)}
                                  >${t.answer.ok ? `works${t.answer.said ? ': ' + t.answer.said : ''}` : html`<span class="err">${t.answer.error}</span>`}</span
                              >`;
                },
            ],
        ]}
        fields=${[NAME, {name: 'uri', label: 'URI', from: () => '', help: 'such as postgres://USER:PASSWORD@HOST/DATABASE; what is secret is never shown again'}, {name: 'description', label: 'What for', from: (c) => c.description || '', help: ''}]}
        body=${(t) => ({uri: t.uri, description: t.description})}
        extra=${(c) => html`<button type="button" onClick=${() => test(c.name)}>Test</button>`}
    />`;
}

// ---- Approvals ----
export function Answer({approval: a, onDone}) {
    const form = useParams(a.form || []);
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
    return html`<label class="check"><input type="checkbox" checked=${!!all} onChange=${(e) => setAll(e.target.checked ? 'true' : '')} /> answered ones too</label><${Loaded} of=${list}>${(d) => (d.items.length ? d.items.map((a) => html`<${Answer} key=${a.id} approval=${a} onDone=${list.reload} />`) : html`<${Empty}>Nothing waits for you.</${Empty}>`)}</${Loaded}>`;
}

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
                      rows=${items.map(row)}
                  />${next ? html`<p><button type="button" onClick=${load}>Older</button></p>` : null}`
            : html`<${Empty}>${empty}</${Empty}>`;
    }}</${Loaded}>`;
}
const Audit = () =>
    html`<${Paged}
        path="/audit?limit=100"
        options=${{on: (n) => n === 'run', gap: 1000, every: 10000}}
        titles=${['When', 'Who', 'What', 'About', 'Detail']}
        empty="Nobody has changed anything yet."
        row=${(a) =>
            html`<tr key=${a.id}>
                <td><${Ago} at=${a.at} /></td>
                <td>${a.who}</td>
                <td>${a.what}</td>
                <td>
                    ${a.what.startsWith('run.') ? html`<a href=${runUrl(a.target)}>run ${a.target}</a>` : a.what.startsWith('dag.') ? html`<a href=${dagUrl(a.target)}>${a.target}</a>` : a.target}
                </td>
                <td>${a.detail ? html`<code>${JSON.stringify(a.detail)}</code>` : ''}</td>
            </tr>`}
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
                    ${n.run ? html`<a href=${runUrl(n.run)}>${n.dag} run ${n.run}</a>` : n.dag}${n.task ? ' ' + n.task : ''}
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

// What happens while one looks, newest first.
let eventNumber = 0;
function Events() {
    const [list, setList] = useState([]),
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
                >What happens from now on; what people did is on the
                <a href="/ui/system/audit">audit list</a>.</span
            >
        </p>
        ${
            list.length
                ? html`<${Table}
                      titles=${['When', 'What', '']}
                      rows=${list.map(
                          (e) =>
                              html`<tr key=${e.id}>
                                  <td style=${{width: '130px'}}>${clockTime(e.at)}</td>
                                  <td style=${{width: '90px'}}>${e.name}</td>
                                  <td>
                                      ${e.data.state ? html`<${Dot} state=${e.data.state} /> ` : ''}${text(e)}
                                  </td>
                              </tr>`,
                      )}
                  />`
                : html`<${Empty}>Nothing has happened since you came.</${Empty}>`
        }`;
}

function Health() {
    const [state, setState] = useState({});
    const checks = useApi('/checks', {every: 5000});
    useEffect(() => {
        const load = () =>
            fetch('/health/ready')
                .then((r) => r.json())
                .then(
                    (ready) => setState({ready}),
                    (error) => setState({error}),
                );
        load();
        const timer = setInterval(() => document.hidden || load(), 5000);
        return () => clearInterval(timer);
    }, []);
    const r = state.ready;
    return html`${
        r
            ? html`<p>
                      <${Pill} state=${r.status === 'ok' ? 'success' : 'failed'} word=${r.status} />
                  </p>
                  <${Facts}
                      items=${Object.entries(r.parts || {}).map(([k, v]) => [k, html`<${Dot} state=${v === 'ok' ? 'success' : 'retrying'} /> ${v}`])}
                  />
                  <p class="muted">
                      ${plural(r.workers_online ?? 0, 'worker')} online,
                      ${plural(r.runs_active ?? 0, 'run')} under way
                  </p>`
            : state.error
              ? html`<${ErrorBox} error=${state.error} />`
              : null
    }
        <${Loaded} of=${checks}>${(c) =>
            html`<h2>The scheduler</h2>
                <${Facts}
                    items=${[
                        ['Version', c.version],
                        ['Since', html`<${Ago} at=${c.started_at} />`],
                        [
                            'Database',
                            `${bytes(c.database.bytes)}, ${bytes(c.database.free_bytes)} free, log ${bytes(c.database.log_bytes)}`,
                        ],
                        ['Schema', `${c.database.schema} of ${c.database.schema_known}`],
                        [
                            'Damage',
                            c.database.damage || (c.database.checked ? 'none' : 'not looked for'),
                        ],
                    ]}
                />
                <p>
                    <a href="/metrics" target="_blank" rel="noreferrer">Figures for Prometheus</a> ·
                    <a href="/api/openapi.json" target="_blank" rel="noreferrer">The API</a>
                </p>
                <${Command} text="nexus doctor" />`}</${Loaded}>`;
}
