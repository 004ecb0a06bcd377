// One DAG: its runs as a grid, its tasks as a graph, its last run over time, and all else about it.
import {html, useState, useEffect, useMemo, enc, plural} from './lib.js';
import {useApi, all, runPath, taskName} from './api.js';
import {Ago, Time, duration, seconds, dagZone, zone} from './format.js';
import {Dot, Pill, CountsBar, word, runWord, stateOf} from './state.js';
import {
    Loaded,
    Empty,
    Head,
    Tabs,
    useTitle,
    useKeys,
    Facts,
    ErrorBox,
    lastLine,
    NotThere,
} from './parts.js';
import {route, go, withQuery, useQuery, dagUrl, runUrl, taskUrl} from './route.js';
import {Split, RunPane, TaskPane, MappedPane, useStates} from './pane.js';
import {Graph} from './graph.js';
import {Gantt} from './gantt.js';
import {Grid, TaskHistory, RangePane} from './grid.js';
import {PauseSwitch} from './dags.js';
import {Trigger} from './trigger.js';
import {Backfill} from './backfill.js';
import {Code, Versions} from './code.js';

const TABS = [
    ['grid', 'Grid'],
    ['graph', 'Graph'],
    ['gantt', 'Gantt'],
    ['durations', 'Durations'],
    ['calendar', 'Calendar'],
    ['code', 'Code'],
    ['versions', 'Versions'],
    ['backfills', 'Backfills'],
    ['docs', 'Details'],
    ['trigger', 'Trigger'],
];

export function Dag({dag: id, view}) {
    const {query} = route.use();
    const dag = useApi('/dags/' + enc(id), {
        on: (n, d) => n === 'run' && d.dag === id,
        gap: 2000,
        every: 3000,
    });
    const selected = {run: query.get('run'), task: query.get('task'), to: query.get('to')};
    if (view === 'backfill') view = 'backfills';
    const d = dag.data;
    dagZone.name = d ? d.timezone : null;
    useTitle(`${d && !d.valid ? '✕ ' : ''}${id}`);
    const choose = (s) => go(withQuery({run: s.run, task: s.task, to: s.to}), {replace: true});
    useKeys({
        v: () =>
            go(
                dagUrl(id, {grid: 'graph', graph: 'gantt', gantt: ''}[view] ?? '') +
                    location.search,
            ),
        t: () => go(dagUrl(id, 'trigger')),
        l: () => selected.run && selected.task && go(taskUrl(selected.run, selected.task)),
        e: () =>
            selected.run &&
            go(
                selected.task
                    ? taskUrl(selected.run, selected.task, '?tab=explain')
                    : runUrl(selected.run) + '?view=explain',
            ),
    });
    if (dag.error && dag.error.status === 404)
        return html`<${NotThere} what="DAG" name=${id} error=${dag.error} near=${(n) => dagUrl(n)}>
            Its file may have been renamed or deleted. Runs of DAGs that are gone stay in the
            <a href=${`/ui/runs?q=dag:${enc(id)}`}>list of runs</a>. <a href="/ui/dags">All DAGs</a>
        </${NotThere}>`;
    return html`<${Loaded} of=${dag} what="The DAG could not be loaded">${(d) =>
        html`<section class="pad">
            <${Header} d=${d} reload=${dag.reload} />
            <${Tabs} current=${view} items=${tabsOf(d)} />
            <${DagView} view=${view} dag=${d} selected=${selected} choose=${choose} />
        </section>`}</${Loaded}>`;
}
const SHARED = ['grid', 'graph', 'gantt']; // views of one selection
const tabsOf = (d) =>
    TABS.filter(([v]) => d.version || v === 'code').map(([v, label]) => ({
        id: v,
        label,
        href: dagUrl(d.id, v === 'grid' ? '' : v) + (SHARED.includes(v) ? location.search : ''),
    }));
function When({d}) {
    const plan = !d.version ? '' : d.schedule.length ? d.schedule.join(', ') : 'by hand';
    const next = d.paused
        ? ' · paused'
        : d.next_fire_at
          ? html` · next <${Ago} at=${d.next_fire_at} />`
          : '';
    return html`<span class="muted">${plan}${next}</span>`;
}
function Header({d, reload}) {
    const sub = html`${d.version ? html`<${PauseSwitch} dag=${d} onDone=${reload} />` : null}
        <span class="tags"
            >${d.tags.map((t) => html`<a class="tag" href=${'/ui/dags?q=tag:' + enc(t)}>${t}</a>`)}</span
        >
        <${When} d=${d} />`;
    const trigger = d.version
        ? html`<a class="button" href=${dagUrl(d.id, 'trigger')}>▶ Trigger</a>`
        : null;
    return html`<${Head} title=${d.id} sub=${sub}>${trigger}</${Head}>
        ${d.description ? html`<p class="muted about">${d.description}</p>` : null}
        ${d.valid ? null : html`<${Broken} d=${d} />`}`;
}
function Broken({d}) {
    const where = (e) => [e.file, e.line, e.column].filter((x) => x != null).join(':');
    const what = (e) => `${where(e)}: ${e.message}${e.hint ? ` — ${e.hint}` : ''}`;
    return html`<div class="box bad" role="alert">
        <b
            >The file has errors;
            ${d.version ? `version ${d.version} still runs` : 'it was never loaded'}</b
        >
        ${d.errors.map((e) => html`<div><code class="err">${what(e)}</code></div>`)}
        <a href=${dagUrl(d.id, 'code')}>Open code</a>
    </div>`;
}
function DagView({view, dag, selected, choose}) {
    const id = dag.id;
    if (!dag.version && view !== 'code')
        return html`<${Empty}>Nothing to show until its file loads. <a href=${dagUrl(id, 'code')}>See what is wrong</a>.</${Empty}>`;
    switch (view) {
        case 'grid':
            return html`<${Split}
                close=${(selected.run || selected.task) && (() => choose({}))}
                left=${html`<${Grid} dag=${dag} selected=${selected} choose=${choose} />`}
                right=${html`<${Selected} dag=${dag} selected=${selected} grid />`}
            />`;
        case 'graph':
            return html`<${Split}
                close=${selected.task && (() => choose({}))}
                left=${html`<${LiveGraph} dag=${dag} selected=${selected} choose=${choose} />`}
                right=${html`<${Selected} dag=${dag} selected=${selected} />`}
            />`;
        case 'gantt':
            return html`<${LastGantt} dag=${dag} selected=${selected} />`;
        case 'durations':
            return html`<${Durations} dag=${dag} />`;
        case 'calendar':
            return html`<${Calendar} dag=${dag} />`;
        case 'code':
            return html`<${Code} dag=${dag} />`;
        case 'versions':
            return html`<${Versions} dag=${dag} />`;
        case 'backfills':
            return html`<${Backfill} dag=${dag} />`;
        case 'docs':
            return html`<${Details} dag=${dag} />`;
        case 'trigger':
            return html`<${Trigger} dag=${dag} />`;
        default:
            return html`<${Empty}>A DAG has no part ‘${view}’. <a href=${dagUrl(id)}>Its grid</a></${Empty}>`;
    }
}
function useLastRun(id) {
    const {data} = useApi(`/dags/${enc(id)}/runs?limit=1`, {
        on: (n, d) => n === 'run' && d.dag === id,
    });
    return data ? data.items[0] || null : undefined;
}
function Selected({dag, selected, grid}) {
    const last = useLastRun(dag.id);
    if (grid && selected.run && selected.task && selected.to)
        return html`<${RangePane} dag=${dag.id} selected=${selected} />`;
    if (grid && selected.task && !selected.run)
        return html`<${TaskHistory} key=${selected.task} dag=${dag.id} task=${selected.task} />`;
    const run = selected.run || (selected.task ? last && last.id : null);
    const mapped = dag.tasks.some((t) => t.id === selected.task && t.mapped);
    if (run && mapped)
        return html`<${MappedPane} key=${run + selected.task} run=${run} task=${selected.task} />`;
    if (run && selected.task)
        return html`<${TaskPane} key=${run + selected.task} run=${run} name=${selected.task} />`;
    if (run) return html`<${RunPane} key=${run} id=${run} />`;
    if (last)
        return html`<p class="muted">The last run; choose another in the grid.</p>
            <${RunPane} key=${last.id} id=${last.id} />`;
    return last === null ? html`<${NeverRan} dag=${dag} />` : null;
}
function NeverRan({dag}) {
    const next = dag.next_fire_at ? html`Next: <${Time} at=${dag.next_fire_at} />.` : '';
    return html`<${Empty}>It never ran. ${next} <a href=${dagUrl(dag.id, 'trigger')}>Run it now</a>.</${Empty}>`;
}
function LiveGraph({dag, selected, choose}) {
    const last = useLastRun(dag.id);
    const id = selected.run || (last && last.id);
    const run = useApi(id ? runPath(id) : null, {
        on: (n, d) => (n === 'run' || n === 'task') && d.run === id,
    });
    const states = useStates(run.data);
    return html`<p class="muted">
            ${run.data ? html`States of <a href=${runUrl(id)}>run ${id}</a>` : 'It never ran'}
        </p>
        <${Graph}
            dag=${dag.id}
            tasks=${dag.tasks}
            run=${run.data}
            version=${run.data ? run.data.dag_version : null}
            states=${states}
            selected=${selected.task}
            choose=${(task) => choose({run: id || null, task: task === selected.task ? null : task})}
        />`;
}
function LastGantt({dag, selected}) {
    const last = useLastRun(dag.id);
    const id = selected.run || (last && last.id);
    const run = useApi(id ? runPath(id) : null, {
        on: (n, d) => (n === 'run' || n === 'task') && d.run === id,
    });
    if (last === null)
        return html`<${Empty}>It never ran. <a href=${dagUrl(dag.id, 'trigger')}>Run it now</a>.</${Empty}>`;
    return html`<${Loaded} of=${run}>${(r) =>
        html`<p class="muted">
                <a href=${runUrl(id)}>Run ${id}</a> ·
                <${Pill} state=${r.state} word=${runWord(r)} />
            </p>
            <${Gantt} run=${r} tasks=${r.tasks} selected=${selected.task} />`}</${Loaded}>`;
}

// ---- Durations ----
function Durations({dag}) {
    const data = useApi(`/dags/${enc(dag.id)}/durations`, {
        on: (n, d) => n === 'run' && d.dag === dag.id,
        gap: 2000,
    });
    const runs = useApi(`/dags/${enc(dag.id)}/runs?limit=100`, {
        on: (n, d) => n === 'run' && d.dag === dag.id,
        gap: 2000,
    });
    const [uplot, setUplot] = useState(null);
    useEffect(() => {
        import('./charts.js').then((m) => setUplot(() => m.Line));
    }, []);
    const Chart = uplot;
    const ended = runs.data
        ? runs.data.items.filter((r) => r.started_at && r.finished_at).reverse()
        : [];
    return html`<h2>Runs</h2>${
        ended.length > 1 && Chart
            ? html`<${Chart}
                  label="Duration of runs"
                  x=${ended.map((r) => +new Date(r.started_at) / 1000)}
                  y=${ended.map((r) => seconds(r.started_at, r.finished_at))}
                  format=${duration}
              />`
            : html`<${Empty}>${runs.data && ended.length < 2 ? 'Two runs that ended make a curve.' : ''}</${Empty}>`
    }
        <h2>Tasks, in the latest runs</h2><${Loaded} of=${data}>${(d) => {
            const max = Math.max(0.001, ...d.items.map((t) => t.max)),
                x = (v) => (100 * v) / max + '%';
            if (!d.items.length) return html`<${Empty}>No task has succeeded yet.</${Empty}>`;
            return html`<table class="list">
                <thead>
                    <tr>
                        <th>Task</th>
                        <th class="r">Runs</th>
                        <th class="r">Min</th>
                        <th class="r">Median</th>
                        <th class="r">p90</th>
                        <th class="r">Max</th>
                        <th class="wide">min · median · p90 · max</th>
                    </tr>
                </thead>
                <tbody>
                    ${d.items.map(
                        (t) =>
                            html`<tr>
                                <td>${t.task}</td>
                                <td class="r num">${t.runs}</td>
                                <td class="r num">${duration(t.min)}</td>
                                <td class="r num">${duration(t.median)}</td>
                                <td class="r num">${duration(t.p90)}</td>
                                <td class="r num">${duration(t.max)}</td>
                                <td class="wide">
                                    <div class="boxplot" aria-hidden="true">
                                        <i
                                            style=${{left: x(t.min), width: `max(2px, ${(100 * (t.p90 - t.min)) / max}%)`}}
                                        ></i
                                        ><b style=${{left: x(t.median)}}></b
                                        ><b
                                            style=${{left: `min(calc(100% - 2px), ${x(t.max)})`, opacity: 0.4}}
                                        ></b>
                                    </div>
                                </td>
                            </tr>`,
                    )}
                </tbody>
            </table>`;
        }}</${Loaded}>`;
}

// ---- Calendar: a year of days, each by its worst run; the days on which it is due ----
const WORST = ['failed', 'running', 'queued', 'stopping', 'cancelled', 'success'];
function dayOf(at, tz) {
    return new Intl.DateTimeFormat('en-CA', {
        timeZone: tz,
        year: 'numeric',
        month: '2-digit',
        day: '2-digit',
    }).format(new Date(at));
}
// A week is headed by the month that begins in it.
function monthOf(week) {
    const first = week.find((d) => d.endsWith('-01'));
    const name =
        first &&
        new Date(first + 'T12:00:00Z').toLocaleString('en-GB', {month: 'short', timeZone: 'UTC'});
    return name || '';
}
function Calendar({dag}) {
    const [runs, setRuns] = useState(null),
        [error, setError] = useState(null);
    const next = useApi(dag.schedule.length ? `/dags/${enc(dag.id)}/next?limit=400` : null);
    const [day, setDay] = useQuery('day');
    useEffect(() => {
        all(`/dags/${enc(dag.id)}/runs?since=8760h&limit=1000`, 20000).then(
            (r) => setRuns(r.items),
            setError,
        );
    }, [dag.id]);
    const days = useMemo(() => {
        const map = new Map();
        for (const r of runs || []) {
            const key = dayOf(r.interval.start || r.created_at, dag.timezone);
            if (!map.has(key)) map.set(key, []);
            map.get(key).push(r);
        }
        return map;
    }, [runs]);
    const due = useMemo(
        () =>
            new Set((next.data ? next.data.items : []).map((n) => dayOf(n.fire_at, dag.timezone))),
        [next.data],
    );
    if (error) return html`<${ErrorBox} error=${error} />`;
    if (!runs) return html`<p class="muted">Loading a year of runs …</p>`;
    const today = new Date(dayOf(Date.now(), dag.timezone) + 'T12:00:00Z'),
        start = new Date(today - 364 * 86400e3);
    start.setUTCDate(start.getUTCDate() - ((start.getUTCDay() + 6) % 7));
    const weeks = [];
    for (let at = +start; at <= +today + 28 * 86400e3; at += 7 * 86400e3)
        weeks.push(
            Array.from({length: 7}, (_, i) =>
                new Date(at + i * 86400e3).toISOString().slice(0, 10),
            ),
        );
    const chosen = day && days.get(day);
    return html`<p class="muted">
            Days of data intervals in ${dag.timezone}, by the worst run; dashed: due.
        </p>
        <div class="cal">
            <div class="col" aria-hidden="true">
                <b></b
                >${['Mon', '', 'Wed', '', 'Fri', '', 'Sun'].map((name) => html`<b>${name}</b>`)}
            </div>
            ${weeks.map(
                (week) =>
                    html`<div class="col">
                        <b aria-hidden="true">${monthOf(week)}</b>
                        ${week.map((d) => {
                            const list = days.get(d),
                                worst = list && WORST.find((s) => list.some((r) => r.state === s));
                            const what = list
                                ? `${plural(list.length, 'run')}, worst ${worst}`
                                : due.has(d)
                                  ? 'due'
                                  : 'no run';
                            const text = `${d}: ${what}`;
                            return list
                                ? html`<button
                                      type="button"
                                      class=${'day s-' + stateOf(worst)}
                                      title=${text}
                                      aria-label=${text}
                                      aria-pressed=${d === day}
                                      onClick=${() => setDay(d)}
                                  ></button>`
                                : html`<span
                                      class=${'day' + (due.has(d) ? ' due' : '')}
                                      title=${text}
                                  ></span>`;
                        })}
                    </div>`,
            )}
        </div>
        ${
            chosen
                ? html`<h2>${day}</h2>
                      <ul class="needs">
                          ${chosen.slice(0, 100).map(
                              (r) =>
                                  html`<li class="need">
                                      <${Dot} state=${r.state} /><a href=${runUrl(r.id)}
                                          >Run ${r.id}</a
                                      >
                                      <span class="muted"
                                          >${runWord(r)} ·
                                          <${Time} at=${r.interval.start || r.created_at}
                                      /></span>
                                  </li>`,
                          )}
                      </ul>`
                : null
        }
        <h2>Next</h2>
        ${
            next.data && next.data.items.length
                ? html`<ul class="needs">
                      ${next.data.items.slice(0, 10).map(
                          (n) =>
                              html`<li class="need">
                                  <${Time} at=${n.fire_at} />
                                  <span class="muted"
                                      >data interval <${Time} at=${n.interval.start} /> –
                                      <${Time} at=${n.interval.finish}
                                  /></span>
                              </li>`,
                      )}
                  </ul>`
                : html`<${Empty}>${dag.schedule.length ? 'Nothing is due.' : 'It has no schedule.'}</${Empty}>`
        }`;
}

// ---- Details ----
const names = (list) =>
    (list || []).map((n, i) => html`${i ? ', ' : ''}<a href=${'/ui/data/' + enc(n)}>${n}</a>`);
function Details({dag}) {
    zone.use();
    return html`<${Facts}
            items=${[
                ['File', html`<code>${dag.file}</code>`],
                ['Version', html`<a href=${dagUrl(dag.id, 'versions')}>${dag.version}</a>`],
                ['Schedule', dag.schedule.join(', ') || 'none'],
                ['Time zone', dag.timezone],
                ['Runs at once', dag.max_active_runs],
                dag.timeout && ['Timeout', duration(dag.timeout)],
                dag.deadline && ['Deadline', duration(dag.deadline)],
            ]}
        />
        <h2>Tasks</h2>
        <table class="list">
            <thead>
                <tr>
                    <th>Task</th>
                    <th>Does</th>
                    <th>Needs</th>
                    <th class="wide">Rule</th>
                    <th class="wide">Pool, queue</th>
                    <th class="wide">Reads, writes</th>
                    <th class="wide r">Retries</th>
                </tr>
            </thead>
            <tbody>
                ${dag.tasks.map(
                    (t) =>
                        html`<tr>
                            <td>${t.id}${t.mapped ? ' []' : ''}</td>
                            <td>${t.uses || 'script'}</td>
                            <td>${t.needs.join(', ')}</td>
                            <td class="wide">
                                ${word(t.trigger_rule)}${t.finally ? ', at the very end' : ''}
                                ${t.if ? html`<br /><code>if ${t.if}</code>` : null}
                            </td>
                            <td class="wide">${[t.pool, t.queue].filter(Boolean).join(', ')}</td>
                            <td class="wide">
                                ${names(t.consumes)}${t.consumes.length && t.produces.length ? ' → ' : ''}
                                ${names(t.produces)}
                            </td>
                            <td class="wide r">${t.retries}</td>
                        </tr>`,
                )}
            </tbody>
        </table>
        <h2>Params</h2>
        ${
            dag.params.length
                ? html`<table class="list">
                      <thead>
                          <tr>
                              <th>Param</th>
                              <th>Type</th>
                              <th>Default</th>
                              <th class="wide">Help</th>
                          </tr>
                      </thead>
                      <tbody>
                          ${dag.params.map(
                              (p) =>
                                  html`<tr>
                                      <td>${p.name}${p.required ? ' *' : ''}</td>
                                      <td>${p.type}</td>
                                      <td>
                                          <code
                                              >${p.default == null ? '' : JSON.stringify(p.default)}</code
                                          >
                                      </td>
                                      <td class="wide">${p.help}</td>
                                  </tr>`,
                          )}
                      </tbody>
                  </table>`
                : html`<${Empty}>None.</${Empty}>`
        }`;
}
