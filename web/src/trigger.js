// Forms made from a DAG's params: to trigger a run, or a backfill.
import {html, useState, useEffect, useMemo, enc, plural} from './lib.js';
import {useApi, post, call} from './api.js';
import {Time, duration, seconds} from './format.js';
import {Loaded, ErrorBox, Command, Empty, Json, toast} from './parts.js';
import {go, runUrl, dagUrl, withQuery, route} from './route.js';
import {Dot, Pill, CountsBar, word} from './state.js';

// What a field's text means for its param: {value} or {error}.
export function readParam(p, text) {
    if (text === undefined || text === '') {
        if (p.required) return {error: `'${p.name}' is needed`};
        return {value: p.type === 'string' && text === '' ? '' : undefined};
    }
    const bounds = (n) =>
        p.min != null && n < p.min
            ? {error: `at least ${p.min}`}
            : p.max != null && n > p.max
              ? {error: `at most ${p.max}`}
              : {value: n};
    switch (p.type) {
        case 'integer':
            return /^-?\d+$/.test(text.trim()) ? bounds(Number(text)) : {error: 'a whole number'};
        case 'number':
            return text.trim() !== '' && Number.isFinite(Number(text))
                ? bounds(Number(text))
                : {error: 'a number'};
        case 'boolean':
            return {value: text === 'true'};
        case 'string':
        case 'date':
        case 'timestamp':
            return {value: text};
        default:
            try {
                return {value: JSON.parse(text)};
            } catch (e) {
                return {
                    error:
                        'JSON, such as ' +
                        (p.type === 'list' || p.type === 'array' ? '[1, 2]' : '{"a": 1}'),
                };
            }
    }
}
export const paramText = (p, v) => (v == null ? '' : typeof v === 'string' ? v : JSON.stringify(v));
const shellQuote = (s) => (/^[\w./:=,@%+-]+$/.test(s) ? s : `'${s.replace(/'/g, `'\\''`)}'`);

function Field({p, text, set, error}) {
    const id = 'param-' + p.name,
        changed = text !== paramText(p, p.default);
    const common = {id, 'aria-invalid': !!error, 'aria-describedby': id + '-help'};
    const input =
        p.type === 'boolean'
            ? html`<input
                  ...${common}
                  type="checkbox"
                  checked=${text === 'true'}
                  onChange=${(e) => set(String(e.target.checked))}
              />`
            : p.choices && p.choices.length
              ? html`<select ...${common} value=${text} onChange=${(e) => set(e.target.value)}>
                    ${p.choices.map((c) => html`<option value=${paramText(p, c)} selected=${text === paramText(p, c)}>${paramText(p, c)}</option>`)}
                </select>`
              : html`<input
                    ...${common}
                    type=${p.type === 'integer' || p.type === 'number' ? 'number' : 'text'}
                    step=${p.type === 'number' ? 'any' : undefined}
                    min=${p.min}
                    max=${p.max}
                    value=${text}
                    onInput=${(e) => set(e.target.value)}
                />`;
    return html`<label for=${id} class=${changed ? 'changed' : ''}
            >${p.name}${p.required ? ' *' : ''} <span class="muted">${p.type}</span></label
        >
        <div class="field">
            ${input}
            <div id=${id + '-help'}>
                ${error ? html`<div class="err">${error}</div>` : null}
                <div class="help">
                    ${[p.help, p.min != null || p.max != null ? `${p.min ?? '…'} to ${p.max ?? '…'}` : null, p.default != null ? `default ${paramText(p, p.default)}` : null].filter(Boolean).join(' · ')}
                </div>
            </div>
        </div>`;
}
// The state of a form over params: texts by name, from defaults and ?p.name=.
export function useParams(params) {
    const query = route.get().query;
    const initial = (from) =>
        Object.fromEntries(
            params.map((p) => [
                p.name,
                query.get('p.' + p.name) ??
                    paramText(p, from && p.name in from ? from[p.name] : p.default),
            ]),
        );
    const [texts, setTexts] = useState(() => initial(null));
    const read = Object.fromEntries(params.map((p) => [p.name, readParam(p, texts[p.name])]));
    const errors = Object.fromEntries(
        Object.entries(read)
            .filter(([, r]) => r.error)
            .map(([n, r]) => [n, r.error]),
    );
    const values = {};
    for (const p of params)
        if (
            !read[p.name].error &&
            read[p.name].value !== undefined &&
            JSON.stringify(read[p.name].value) !== JSON.stringify(p.default ?? undefined)
        )
            values[p.name] = read[p.name].value;
    return {
        texts,
        set: (name, text) => setTexts((t) => ({...t, [name]: text})),
        fill: (from) => setTexts(initial(from)),
        errors,
        values,
        ok: !Object.keys(errors).length,
    };
}
export const ParamFields = ({params, form}) =>
    html`<div class="form">
        ${params.map((p) => html`<${Field} key=${p.name} p=${p} text=${form.texts[p.name]} set=${(t) => form.set(p.name, t)} error=${form.errors[p.name]} />`)}
    </div>`;
const flags = (values) =>
    Object.entries(values)
        .map(
            ([n, v]) =>
                ` -p ${shellQuote(`${n}=${typeof v === 'string' ? v : JSON.stringify(v)}`)}`,
        )
        .join('');

export function Trigger({dag}) {
    const form = useParams(dag.params);
    const [more, setMore] = useState(false);
    const [date, setDate] = useState(''),
        [note, setNote] = useState('');
    const [json, setJson] = useState(false);
    const [state, setState] = useState({});
    const runs = useApi(`/dags/${enc(dag.id)}/runs?limit=10`);
    const last = runs.data ? runs.data.items : [];
    const body = {params: form.values, ...(date ? {date} : {}), ...(note ? {note} : {})};
    const submit = async (e) => {
        e.preventDefault();
        if (!form.ok || state.busy) return;
        setState({busy: true});
        try {
            const run = await post(`/dags/${enc(dag.id)}/runs`, body);
            toast(`Run ${run.id} of ${dag.id} was made`);
            go(runUrl(run.id));
        } catch (error) {
            setState({error});
        }
    };
    const command = `nexus trigger ${dag.id}${flags(form.values)}${date ? ' --date ' + shellQuote(date) : ''}${note ? ' --note ' + shellQuote(note) : ''}`;
    const curl = `curl -X POST ${location.origin}/api/v1/dags/${enc(dag.id)}/runs -H 'Content-Type: application/json' -d ${shellQuote(JSON.stringify(body))}`;
    return html`<form onSubmit=${submit} aria-label=${'Trigger ' + dag.id}>
        ${
            dag.params.length
                ? html`<p>
                      <label
                          >Values from
                          <select
                              aria-label="Values from"
                              onChange=${(e) => {
                                  const run = last.find((r) => r.id === e.target.value);
                                  form.fill(run ? run.params : null);
                              }}
                          >
                              <option value="">the defaults</option>
                              ${last.map((r, i) => html`<option value=${r.id}>${i ? '' : 'the last run, '}run ${r.id} (${r.state})</option>`)}
                          </select></label
                      >
                      <label class="check">
                          <input
                              type="checkbox"
                              checked=${json}
                              onChange=${(e) => setJson(e.target.checked)}
                          />
                          as JSON</label
                      >
                  </p>`
                : html`<${Empty}>The DAG takes no params.</${Empty}>`
        }
        ${json ? html`<${Json} value=${form.values} />` : html`<${ParamFields} params=${dag.params} form=${form} />`}
        <p>
            <button
                type="button"
                class="link"
                aria-expanded=${more}
                onClick=${() => setMore(!more)}
            >
                ${more ? '▾' : '▸'} More: data interval, note
            </button>
        </p>
        ${
            more
                ? html`<div class="form">
                      <label for="date">Data interval from</label>
                      <div class="field">
                          <input
                              id="date"
                              type="text"
                              value=${date}
                              placeholder="2026-01-31 or 2026-01-31T06:00:00Z"
                              onInput=${(e) => setDate(e.target.value)}
                          />
                          <div class="help">empty: the last complete interval</div>
                      </div>
                      <label for="note">Note</label>
                      <div class="field">
                          <input
                              id="note"
                              type="text"
                              value=${note}
                              onInput=${(e) => setNote(e.target.value)}
                          />
                      </div>
                  </div>`
                : null
        }
        ${state.error ? html`<${ErrorBox} error=${state.error} what="Not started" />` : null}
        <p class="actions sticky">
            <button type="submit" class="primary" disabled=${!form.ok || state.busy || !dag.valid}>
                Run
            </button>
            <span class="muted"
                >${
                    dag.valid
                        ? `${plural(dag.tasks.length, 'task')}: ${dag.tasks
                              .slice(0, 8)
                              .map((t) => t.id)
                              .join(', ')}${dag.tasks.length > 8 ? ' …' : ''}`
                        : 'The file has errors: mend them first.'
                }</span
            >
        </p>
        <${Command} text=${command} /><${Command} text=${curl} label="The same with curl" />
    </form>`;
}

// ---- Backfill ----
const ACTIONS = {
    create: ['success', 'a new run'],
    reprocess: ['retrying', 'runs again'],
    exists: ['skipped', 'stays as it is'],
    in_flight: ['running', 'is under way: not touched'],
};
export function Backfill({dag}) {
    const list = useApi(`/dags/${enc(dag.id)}/backfills`, {
        on: (n, d) => n === 'run' && d.dag === dag.id,
        gap: 500,
    });
    const next = useApi(dag.schedule.length ? `/dags/${enc(dag.id)}/next?limit=1` : null);
    const q = route.use().query;
    const [from, setFrom] = useState(q.get('from') || ''),
        [to, setTo] = useState(q.get('to') || '');
    const [reprocess, setReprocess] = useState('none'),
        [active, setActive] = useState(''),
        [backwards, setBackwards] = useState(false);
    const [plan, setPlan] = useState(null),
        [error, setError] = useState(null),
        [busy, setBusy] = useState(false);
    const form = useParams(dag.params);
    const body = {
        from,
        to: to || from,
        reprocess,
        backwards,
        params: form.values,
        ...(active ? {max_active: Number(active)} : {}),
    };
    const key = JSON.stringify(body);
    useEffect(() => {
        setPlan(null);
        if (!from) return undefined;
        let gone = false;
        const timer = setTimeout(
            () =>
                post(`/dags/${enc(dag.id)}/backfills`, {...body, dry_run: true}).then(
                    (p) => !gone && (setPlan(p), setError(null)),
                    (e) => !gone && setError(e),
                ),
            300,
        );
        return () => {
            gone = true;
            clearTimeout(timer);
        };
    }, [key]);
    const begin = async () => {
        setBusy(true);
        try {
            await post(`/dags/${enc(dag.id)}/backfills`, body);
            toast('The backfill has begun');
            setFrom('');
            list.reload();
        } catch (e) {
            setError(e);
        }
        setBusy(false);
    };
    const counts = {};
    if (plan) for (const i of plan.items) counts[i.action] = (counts[i.action] || 0) + 1;
    const todo = (counts.create || 0) + (counts.reprocess || 0);
    if (!dag.schedule.length)
        return html`<${Empty}>A backfill runs past data intervals of a schedule; this DAG has none. <a href=${dagUrl(dag.id, 'trigger')}>Trigger it</a>.</${Empty}>`;
    return html`<section><h2>Backfills</h2><${Loaded} of=${list}>${(d) =>
        d.items.length
            ? html`<table class="list">
                  <thead>
                      <tr>
                          <th>Id</th>
                          <th>State</th>
                          <th>From – to</th>
                          <th>Progress</th>
                          <td></td>
                      </tr>
                  </thead>
                  <tbody>
                      ${d.items.map((b) => html`<${BackfillRow} key=${b.id} b=${b} reload=${list.reload} />`)}
                  </tbody>
              </table>`
            : html`<${Empty}>None yet.</${Empty}>`}</${Loaded}>
        <h2>A new one</h2><div class="form"><label for="from">From</label><div class="field"><input id="from" type="text" placeholder="2026-01-01" value=${from} onInput=${(e) => setFrom(e.target.value)} /><div class="help">start of the first data interval; dates are local to ${dag.timezone}</div></div>
            <label for="to">To</label><div class="field"><input id="to" type="text" placeholder="2026-01-31" value=${to} onInput=${(e) => setTo(e.target.value)} /><div class="help">included</div></div>
            <label for="reprocess">Runs that are there</label><div class="field"><select id="reprocess" value=${reprocess} onChange=${(e) => setReprocess(e.target.value)}><option value="none">stay</option><option value="failed">failed ones run again</option><option value="completed">all that ended run again</option></select></div>
            <label for="active">At once</label><div class="field"><input id="active" type="number" min="1" value=${active} placeholder=${String(dag.max_active_runs ?? '')} onInput=${(e) => setActive(e.target.value)} /></div>
            <span>Order</span><label class="check"><input type="checkbox" checked=${backwards} onChange=${(e) => setBackwards(e.target.checked)} /> the newest first</label></div>
        <${ParamFields} params=${dag.params} form=${form} />
        ${error ? html`<${ErrorBox} error=${error} what="Not possible" />` : null}
        ${
            plan
                ? html`<h3>
                          Plan:
                          ${plural(plan.items.length, 'interval')}${plan.next ? ' and more' : ''}:
                          ${Object.entries(counts)
                              .map(([a, n]) => `${n} ${word(a)}`)
                              .join(', ')}
                      </h3>
                      <div
                          class="scroller"
                          tabindex="0"
                          role="group"
                          aria-label="Plan"
                          style=${{maxHeight: '300px'}}
                      >
                          <table class="list">
                              <thead>
                                  <tr>
                                      <th>Interval</th>
                                      <th>What</th>
                                      <th>Run</th>
                                  </tr>
                              </thead>
                              <tbody>
                                  ${plan.items.slice(0, 400).map(
                                      (i) =>
                                          html`<tr>
                                              <td>
                                                  <${Time} at=${i.interval.start} /> –
                                                  <${Time} at=${i.interval.finish} />
                                              </td>
                                              <td>
                                                  <${Dot}
                                                      state=${(ACTIONS[i.action] || ['waiting'])[0]}
                                                  />
                                                  ${word(i.action)}:
                                                  ${(ACTIONS[i.action] || ['', ''])[1]}
                                              </td>
                                              <td>
                                                  ${i.run ? html`<a href=${runUrl(i.run)}>${i.run}</a>` : ''}
                                              </td>
                                          </tr>`,
                                  )}
                              </tbody>
                          </table>
                      </div>`
                : null
        }
        <p class="actions"><button type="button" class="primary" disabled=${!todo || busy || !form.ok} onClick=${begin}>Begin${todo ? `: ${plural(todo, 'run')}` : ''}</button></p>
        <${Command} text=${`nexus backfill ${dag.id} --from ${shellQuote(from || 'DATE')} --to ${shellQuote(to || from || 'DATE')}${reprocess !== 'none' ? ' --reprocess ' + reprocess : ''}${active ? ' --max-active ' + active : ''}${backwards ? ' --backwards' : ''}${flags(form.values)}`} /></section>`;
}
function BackfillRow({b, reload}) {
    const change = async (method, body) => {
        try {
            await call(method, `/backfills/${enc(b.id)}`, body);
            reload();
        } catch (e) {
            toast(e.message, {kind: 'error'});
        }
    };
    const open = b.state === 'running' || b.state === 'paused';
    const done = (b.counts.success || 0) + (b.counts.failed || 0) + (b.counts.cancelled || 0),
        spent = (Date.now() - new Date(b.created_at)) / 1000;
    const left =
        b.state === 'running' && done > 0 && done < b.total
            ? (spent / done) * (b.total - done)
            : null;
    return html`<tr>
        <td>${b.id}</td>
        <td>
            <${Pill}
                state=${b.state}
            />${b.reason ? html` <span class="muted">${b.reason.text}</span>` : null}
        </td>
        <td>
            <${Time} at=${b.from} /> – <${Time} at=${b.to} />${b.backwards ? ', newest first' : ''}
        </td>
        <td>
            <${CountsBar} counts=${b.counts} /><span class="num"
                >${done} of ${b.total} ended${left ? `, about ${duration(left)} left` : ''}</span
            >${b.dag_paused ? html` <span class="muted">(the DAG's schedule is paused)</span>` : null}
        </td>
        <td>
            <div class="actions">
                ${open ? html`<button type="button" onClick=${() => change('PATCH', {paused: b.state !== 'paused'})}>${b.state === 'paused' ? 'Go on' : 'Pause'}</button><button type="button" class="danger" onClick=${() => change('DELETE')}>Cancel backfill ${b.id}</button>` : null}
            </div>
        </td>
    </tr>`;
}
