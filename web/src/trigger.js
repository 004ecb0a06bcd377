// Forms made from a DAG's params, and the one that triggers a run.
import {html, useState, enc, plural} from './lib.js';
import {useApi, post} from './api.js';
import {ErrorBox, Command, Empty, toast} from './parts.js';
import {go, runUrl, route} from './route.js';

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
export const shellQuote = (s) => (/^[\w./:=,@%+-]+$/.test(s) ? s : `'${s.replace(/'/g, `'\\''`)}'`);

function Input({p, id, text, set, error}) {
    const common = {id, 'aria-invalid': !!error, 'aria-describedby': id + '-help'};
    if (p.type === 'boolean')
        return html`<input
            ...${common}
            type="checkbox"
            checked=${text === 'true'}
            onChange=${(e) => set(String(e.target.checked))}
        />`;
    if (p.choices && p.choices.length)
        return html`<select ...${common} value=${text} onChange=${(e) => set(e.target.value)}>
            ${p.choices
                .map((c) => paramText(p, c))
                .map((c) => html`<option value=${c} selected=${text === c}>${c}</option>`)}
        </select>`;
    return html`<input
        ...${common}
        type=${p.type === 'integer' || p.type === 'number' ? 'number' : 'text'}
        step=${p.type === 'number' ? 'any' : undefined}
        min=${p.min}
        max=${p.max}
        value=${text}
        onInput=${(e) => set(e.target.value)}
    />`;
}
function Field({p, form}) {
    const text = form.texts[p.name],
        error = form.errors[p.name];
    const id = `param-${p.name}${form.suffix}`,
        changed = text !== paramText(p, p.default);
    const help = [
        p.help,
        p.min != null || p.max != null ? `${p.min ?? '…'} to ${p.max ?? '…'}` : null,
        p.default != null ? `default ${paramText(p, p.default)}` : null,
    ];
    return html`<label
            for=${id}
            class=${changed ? 'changed' : ''}
            title=${changed ? 'not the default' : undefined}
            >${p.name}${p.required ? ' *' : ''} <span class="muted">${p.type}</span></label
        >
        <div class="field">
            <${Input}
                p=${p}
                id=${id}
                text=${text}
                set=${(t) => form.set(p.name, t)}
                error=${error}
            />
            <div id=${id + '-help'}>
                ${error ? html`<div class="err">${error}</div>` : null}
                <div class="help">${help.filter(Boolean).join(' · ')}</div>
            </div>
        </div>`;
}
// The state of a form over params: texts by name, from defaults and ?p.name=. suffix: of the ids of
// its fields, where a page has several forms.
export function useParams(params, suffix = '') {
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
        suffix,
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
        ${params.map((p) => html`<${Field} key=${p.name} p=${p} form=${form} />`)}
    </div>`;
export const paramFlags = (values) =>
    Object.entries(values)
        .map(
            ([n, v]) =>
                ` -p ${shellQuote(`${n}=${typeof v === 'string' ? v : JSON.stringify(v)}`)}`,
        )
        .join('');

// The same values as text, to be changed at once.
function JsonForm({params, form}) {
    const all = {};
    for (const p of params) all[p.name] = readParam(p, form.texts[p.name]).value ?? p.default;
    const [text, setText] = useState(JSON.stringify(all, null, 2)),
        [error, setError] = useState('');
    const change = (t) => {
        setText(t);
        try {
            const values = JSON.parse(t);
            const other = Object.keys(values).find((n) => !params.some((p) => p.name === n));
            setError(other ? `the DAG takes no param '${other}'` : '');
            if (!other) form.fill(values);
        } catch (e) {
            setError(e.message);
        }
    };
    return html`<textarea
            class="all mono"
            rows=${Math.min(20, params.length + 3)}
            aria-label="Params as JSON"
            aria-invalid=${error ? 'true' : undefined}
            spellcheck="false"
            value=${text}
            onInput=${(e) => change(e.target.value)}
        ></textarea>
        ${error ? html`<div class="err">${error}</div>` : null}
        ${Object.entries(form.errors).map(([n, e]) => html`<div class="err">${n}: ${e}</div>`)}`;
}
// Where the values come from: the defaults, the last run, a chosen one.
function Values({runs, form, json, setJson}) {
    const fill = (e) => {
        const run = runs.find((r) => r.id === e.target.value);
        form.fill(run ? run.params : null);
    };
    return html`<p class="toolbar">
        <label
            >Values from
            <select aria-label="Values from" onChange=${fill} disabled=${json}>
                <option value="">the defaults</option>
                ${runs.map((r, i) => html`<option value=${r.id}>${i ? '' : 'the last run, '}run ${r.id} (${r.state})</option>`)}
            </select></label
        >
        <label class="check"
            ><input type="checkbox" checked=${json} onChange=${(e) => setJson(e.target.checked)} />
            as JSON</label
        >
    </p>`;
}
const Text = ({id, label, value, set, hint, help}) =>
    html`<label for=${id}>${label}</label>
        <div class="field">
            <input
                id=${id}
                type="text"
                value=${value}
                placeholder=${hint}
                onInput=${(e) => set(e.target.value)}
            />
            ${help ? html`<div class="help">${help}</div>` : null}
        </div>`;
const NAMED = 8; // tasks
function WillRun({dag}) {
    if (!dag.valid) return html`<span class="muted">The file has errors: mend them first.</span>`;
    const names = dag.tasks.slice(0, NAMED).map((t) => t.id);
    return html`<span class="muted"
        >${plural(dag.tasks.length, 'task')}:
        ${names.join(', ')}${dag.tasks.length > NAMED ? ' …' : ''}</span
    >`;
}

export function Trigger({dag}) {
    const form = useParams(dag.params);
    const [more, setMore] = useState(false),
        [json, setJson] = useState(false);
    const [date, setDate] = useState(''),
        [note, setNote] = useState('');
    const [state, setState] = useState({});
    const runs = useApi(`/dags/${enc(dag.id)}/runs?limit=10`);
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
    const when = date ? ' --date ' + shellQuote(date) : '',
        why = note ? ' --note ' + shellQuote(note) : '';
    const place = `${location.origin}/api/v1/dags/${enc(dag.id)}/runs`,
        data = shellQuote(JSON.stringify(body));
    const curl = `curl -X POST ${place} -H 'Content-Type: application/json' -d ${data}`;
    const last = runs.data ? runs.data.items : [];
    const values = html`<${Values} runs=${last} form=${form} json=${json} setJson=${setJson} />`;
    const fields = json
        ? html`<${JsonForm} params=${dag.params} form=${form} />`
        : html`<${ParamFields} params=${dag.params} form=${form} />`;
    return html`<form onSubmit=${submit} aria-label=${'Trigger ' + dag.id}>
        ${dag.params.length ? values : html`<${Empty}>The DAG takes no params.</${Empty}>`}
        ${fields}
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
                      <${Text}
                          id="date"
                          label="Data interval from"
                          value=${date}
                          set=${setDate}
                          hint="2026-01-31 or 2026-01-31T06:00:00Z"
                          help="empty: the last complete interval"
                      />
                      <${Text} id="note" label="Note" value=${note} set=${setNote} />
                  </div>`
                : null
        }
        ${state.error ? html`<${ErrorBox} error=${state.error} what="Not started" />` : null}
        <p class="actions sticky">
            <button type="submit" class="primary" disabled=${!form.ok || state.busy || !dag.valid}>
                Run
            </button>
            <${WillRun} dag=${dag} />
        </p>
        <${Command} text=${`nexus trigger ${dag.id}${paramFlags(form.values)}${when}${why}`} />
        <${Command} text=${curl} label="The same with curl" />
    </form>`;
}
