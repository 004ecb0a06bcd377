// Backfills of a DAG: those that there are, and the plan of a new one before anything is made.
import {html, useState, useEffect, useMemo, enc, plural} from './lib.js';
import {useApi, post, call} from './api.js';
import {Time, duration, exactTime} from './format.js';
import {Loaded, ErrorBox, Command, Empty, toast} from './parts.js';
import {runUrl, dagUrl, route} from './route.js';
import {Dot, Pill, CountsBar, stateOf, word} from './state.js';
import {mediansOf} from './home.js';
import {useParams, ParamFields, paramFlags, shellQuote} from './trigger.js';

const PLAN_SHOWN = 400; // intervals
const ACTIONS = {
    create: ['success', 'a new run'],
    reprocess: ['retrying', 'runs again'],
    exists: ['skipped', 'there is a run: it stays as it is'],
    in_flight: ['running', 'is under way: not touched'],
};

export function Backfill({dag}) {
    const list = useApi(`/dags/${enc(dag.id)}/backfills`, {
        on: (n, d) => n === 'run' && d.dag === dag.id,
        gap: 500,
    });
    if (!dag.schedule.length)
        return html`<${Empty}>A backfill runs past data intervals of a schedule; this DAG has none.
            <a href=${dagUrl(dag.id, 'trigger')}>Trigger it</a>.</${Empty}>`;
    return html`<section>
        <h2>Backfills</h2>
        <${Loaded} of=${list}>${(d) => html`<${List} dag=${dag.id} items=${d.items} reload=${list.reload} />`}</${Loaded}>
        <${NewOne} dag=${dag} onBegun=${list.reload} />
    </section>`;
}

// ---- Those that there are ----
const List = ({dag, items, reload}) =>
    items.length
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
                  ${items.map((b) => html`<${BackfillRow} key=${b.id} dag=${dag} b=${b} reload=${reload} />`)}
              </tbody>
          </table>`
        : html`<${Empty}>None yet.</${Empty}>`;
function leftOf(b, done) {
    const spent = (Date.now() - new Date(b.created_at)) / 1000;
    return b.state === 'running' && done > 0 && done < b.total
        ? (spent / done) * (b.total - done)
        : null;
}
function BackfillRow({dag, b, reload}) {
    const done = (b.counts.success || 0) + (b.counts.failed || 0) + (b.counts.cancelled || 0),
        left = leftOf(b, done);
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
            <${CountsBar} counts=${b.counts} />
            <${Intervals} dag=${dag} b=${b} />
            <span class="num"
                >${done} of ${b.total} ended${left ? `, about ${duration(left)} left` : ''}</span
            >
            ${b.dag_paused ? html` <span class="muted">(the DAG's schedule is paused)</span>` : null}
        </td>
        <td><${Change} b=${b} reload=${reload} /></td>
    </tr>`;
}
function Change({b, reload}) {
    const paused = b.state === 'paused';
    const change = async (method, body) => {
        try {
            await call(method, `/backfills/${enc(b.id)}`, body);
            reload();
        } catch (e) {
            toast(e.message, {kind: 'error'});
        }
    };
    if (b.state !== 'running' && !paused) return null;
    return html`<div class="actions">
        <button type="button" onClick=${() => change('PATCH', {paused: !paused})}>
            ${paused ? 'Go on' : 'Pause'}
        </button>
        <button type="button" class="danger" onClick=${() => change('DELETE')}>
            Cancel backfill ${b.id}
        </button>
    </div>`;
}
const STRIP_MAX = 400; // intervals
// One square an interval, in their order; those without a run yet are empty.
function Intervals({dag, b}) {
    const runs = useApi(`/dags/${enc(dag)}/runs?limit=1000`, {
        on: (n, d) => n === 'run' && d.dag === dag,
        gap: 1000,
    });
    const cells = useMemo(() => {
        const of = new Map();
        for (const r of runs.data ? runs.data.items : []) {
            const at = r.interval.start;
            if (at >= b.from && at <= b.to && r.cause !== 'manual' && !of.has(at)) of.set(at, r);
        }
        return [...of.values()].sort((x, y) => x.interval.start.localeCompare(y.interval.start));
    }, [runs.data, b.from, b.to]);
    const rest = Math.max(0, Math.min(STRIP_MAX, b.total + b.left_to_others) - cells.length);
    const begun = cells.slice(-STRIP_MAX).map((r) => html`<${Cell} key=${r.id} r=${r} />`);
    const empty = Array.from({length: rest}, () => html`<i title="no run yet"></i>`);
    return html`<span
        class="intervals"
        role="group"
        aria-label=${`${cells.length} of ${b.total} intervals have a run`}
    >
        ${b.backwards ? empty : null}${begun}${b.backwards ? null : empty}
    </span>`;
}
const Cell = ({r}) =>
    html`<a
        class=${'s-' + stateOf(r.state)}
        href=${runUrl(r.id)}
        title=${`${exactTime(r.interval.start)}: ${r.state}`}
        aria-label=${`run ${r.id}: ${r.state}`}
    ></a>`;

// ---- A new one ----
// The plan of a body, by a dry run: {plan, error}.
function usePlan(dag, body) {
    const [state, set] = useState({});
    const key = JSON.stringify(body);
    useEffect(() => {
        set({});
        if (!body.from) return undefined;
        let gone = false;
        const timer = setTimeout(
            () =>
                post(`/dags/${enc(dag)}/backfills`, {...body, dry_run: true}).then(
                    (plan) => gone || set({plan}),
                    (error) => gone || set({error}),
                ),
            300,
        );
        return () => {
            gone = true;
            clearTimeout(timer);
        };
    }, [key]);
    return state;
}
function NewOne({dag, onBegun}) {
    const q = route.use().query;
    const [from, setFrom] = useState(q.get('from') || ''),
        [to, setTo] = useState(q.get('to') || '');
    const [reprocess, setReprocess] = useState('none'),
        [active, setActive] = useState(''),
        [backwards, setBackwards] = useState(false);
    const [state, setState] = useState({});
    const form = useParams(dag.params);
    const at = active ? {max_active: Number(active)} : {};
    const body = {from, to: to || from, reprocess, backwards, params: form.values, ...at};
    const {plan, error} = usePlan(dag.id, body);
    const todo = plan
        ? plan.items.filter((i) => i.action === 'create' || i.action === 'reprocess').length
        : 0;
    const begin = async () => {
        setState({busy: true});
        try {
            await post(`/dags/${enc(dag.id)}/backfills`, body);
            toast('The backfill has begun');
            setFrom('');
            onBegun();
            setState({});
        } catch (e) {
            setState({error: e});
        }
    };
    const wrong = state.error || error;
    const range = `--from ${shellQuote(from || 'DATE')} --to ${shellQuote(to || from || 'DATE')}`;
    const options = [
        reprocess !== 'none' && ` --reprocess ${reprocess}`,
        active && ` --max-active ${active}`,
        backwards && ' --backwards',
    ];
    return html`<h2>A new one</h2>
        <div class="form">
            <${Day}
                id="from"
                label="From"
                value=${from}
                set=${setFrom}
                help=${`start of the first data interval; dates are local to ${dag.timezone}`}
            />
            <${Day} id="to" label="To" value=${to} set=${setTo} help="included" />
            <label for="reprocess">Runs that are there</label>
            <div class="field">
                <select
                    id="reprocess"
                    value=${reprocess}
                    onChange=${(e) => setReprocess(e.target.value)}
                >
                    <option value="none">stay</option>
                    <option value="failed">failed ones run again</option>
                    <option value="completed">all that ended run again</option>
                </select>
            </div>
            <label for="active">At once</label>
            <div class="field">
                <input
                    id="active"
                    type="number"
                    min="1"
                    value=${active}
                    placeholder=${String(dag.max_active_runs ?? '')}
                    onInput=${(e) => setActive(e.target.value)}
                />
            </div>
            <span>Order</span>
            <label class="check"
                ><input
                    type="checkbox"
                    checked=${backwards}
                    onChange=${(e) => setBackwards(e.target.checked)}
                />
                the newest first</label
            >
        </div>
        <${ParamFields} params=${dag.params} form=${form} />
        ${wrong ? html`<${ErrorBox} error=${wrong} what="Not possible" />` : null}
        ${plan ? html`<${Plan} dag=${dag} plan=${plan} todo=${todo} active=${Number(active) || dag.max_active_runs} />` : null}
        <p class="actions">
            <button
                type="button"
                class="primary"
                disabled=${!todo || state.busy || !form.ok}
                onClick=${begin}
            >
                Begin${todo ? `: ${plural(todo, 'run')}` : ''}
            </button>
        </p>
        <${Command}
            text=${`nexus backfill ${dag.id} ${range}${options.filter(Boolean).join('')}${paramFlags(form.values)}`}
        />`;
}
const Day = ({id, label, value, set, help}) =>
    html`<label for=${id}>${label}</label>
        <div class="field">
            <input
                id=${id}
                type="text"
                placeholder="2026-01-31"
                value=${value}
                onInput=${(e) => set(e.target.value)}
            />
            <div class="help">${help}</div>
        </div>`;
// "31 intervals: 28 create, 2 exists; about 47 min at 4 at once", and each of them.
function Plan({dag, plan, todo, active}) {
    const past = useApi(`/dags/${enc(dag.id)}/runs?state=success&limit=20`);
    const median = past.data && mediansOf(past.data.items)[dag.id];
    const counts = {};
    for (const i of plan.items) counts[i.action] = (counts[i.action] || 0) + 1;
    const parts = Object.entries(counts).map(([a, n]) => `${n} ${word(a)}`);
    const time =
        median && todo
            ? `; about ${duration(Math.ceil(todo / active) * median)} at ${active} at once`
            : '';
    return html`<h3>
            Plan: ${plural(plan.items.length, 'interval')}${plan.next ? ' and more' : ''}:
            ${parts.join(', ')}${time}
        </h3>
        <div class="scroller plan" tabindex="0" role="group" aria-label="Plan">
            <table class="list">
                <thead>
                    <tr>
                        <th>Interval</th>
                        <th>What</th>
                        <th>Run</th>
                    </tr>
                </thead>
                <tbody>
                    ${plan.items.slice(0, PLAN_SHOWN).map((i) => html`<${PlanRow} i=${i} />`)}
                </tbody>
            </table>
            ${plan.items.length > PLAN_SHOWN ? html`<p class="muted">and ${plan.items.length - PLAN_SHOWN} more</p>` : null}
        </div>`;
}
function PlanRow({i}) {
    const [state, why] = ACTIONS[i.action] || ['waiting', ''];
    return html`<tr>
        <td><${Time} at=${i.interval.start} /> – <${Time} at=${i.interval.finish} /></td>
        <td><${Dot} state=${state} /> ${word(i.action)}: ${why}</td>
        <td>${i.run ? html`<a href=${runUrl(i.run)}>${i.run}</a>` : ''}</td>
    </tr>`;
}
