// Is all well, what broke, what waits, what comes next.
import {html, useState, useEffect, clock, plural} from './lib.js';
import {useApi, fetchKnown, peek, post, runPath, taskPath, taskName} from './api.js';
import {Ago, Took, ago, duration, seconds, exactTime, shortTime, zone} from './format.js';
import {Dot, Pill, CountsBar, runWord} from './state.js';
import {Loaded, Empty, useTitle, toast, ErrorBox, Bar, lastLine} from './parts.js';
import {dagUrl, runUrl, taskUrl, go} from './route.js';

export const isRun = (name) => name === 'run';
const RUNNING = ['running', 'queued', 'stopping'];

// The end of an attempt's log, for the last error line.
export function useLogEnd(run, name, attempt, wanted) {
    const path =
        wanted && attempt ? `${taskPath(run, name)}/attempts/${attempt}/log?offset=-2000` : null;
    const {data} = useApi(path);
    return typeof data === 'string' ? data.replace(/\x1b\[[0-9;]*[A-Za-z]/g, '') : '';
}
const ERROR_LINE = /error|exception|fatal|panic|failed|traceback/i;
export function errorLine(text) {
    const lines = text
        .trim()
        .split('\n')
        .filter((l) => l.trim());
    for (let i = lines.length - 1; i >= Math.max(0, lines.length - 20); i--)
        if (ERROR_LINE.test(lines[i])) return lines[i].trim();
    return lines.length ? lines[lines.length - 1].trim() : '';
}

// The first failed task of a run: its name and its error's last line. Ended runs keep theirs.
export function useFailure(run) {
    const path =
        run && run.counts && run.counts.failed
            ? runPath(run.id) + '/tasks?state=failed&limit=1'
            : null;
    const {data} = useApi(path, {on: (name, d) => name === 'run' && run && d.run === run.id});
    const t = data && data.items[0],
        name = t && taskName(t),
        end = useLogEnd(run && run.id, name, t && t.attempt, !!t);
    return t
        ? {
              task: name,
              error: errorLine(end) || lastLine(t.error) || (t.reason && t.reason.text) || 'failed',
              attempt: t.attempt,
              of: t.max_attempts,
          }
        : null;
}
export async function retryRun(run) {
    try {
        await post(runPath(run) + '/retry', {failed: true});
        toast(`Run ${run} goes on`, {href: runUrl(run)});
    } catch (e) {
        toast(`Run ${run} was not retried: ${e.message}`, {kind: 'error'});
    }
}

function FailedRow({run, more}) {
    const failure = useFailure(run);
    return html`<li class="need" data-row>
        <${Dot} state="failed" />
        <div class="text">
            <a href=${runUrl(run.id)}><b>${run.dag}</b></a>
            ${failure ? html` · <a href=${taskUrl(run.id, failure.task)}>${failure.task}</a> failed: <code class="err">${failure.error}</code>` : html` · run ${run.id} failed`}${more ? html` <a href=${`/ui/runs?q=state:failed+dag:${run.dag}+since:24h`}>and ${more} more</a>` : null}
        </div>
        <span class="muted"><${Ago} at=${run.finished_at} /></span>
        <button type="button" onClick=${() => retryRun(run.id)}>Retry</button>
        ${failure ? html`<a class="button" href=${taskUrl(run.id, failure.task)}>Open log</a>` : null}
    </li>`;
}
const BrokenRow = ({dag}) =>
    dag.errors.slice(0, 3).map(
        (e) =>
            html`<li class="need" data-row>
                <${Dot} state="failed" />
                <div class="text">
                    <a href=${dagUrl(dag.id, 'code')}><b>${dag.id}</b></a> ·
                    <code class="err"
                        >${[e.file || dag.file, e.line, e.column].filter((x) => x != null).join(':')}:
                        ${e.message}${e.hint ? ` — ${e.hint}` : ''}</code
                    >
                </div>
                <a class="button" href=${dagUrl(dag.id, 'code')}>Open code</a>
            </li>`,
    );

function Needs({failed, dags, approvals, late, workers}) {
    const broken = dags.filter((d) => !d.valid);
    const gone = workers.filter((w) => w.state === 'lost');
    const [all, setAll] = useState(false);
    // The newest of each DAG stands for those before it.
    const newest = failed.filter((r, i) => failed.findIndex((x) => x.dag === r.dag) === i),
        shown = all ? newest : newest.slice(0, 8);
    if (!broken.length && !failed.length && !approvals.length && !late.length && !gone.length)
        return html`<${Empty}>Nothing needs you.</${Empty}>`;
    return html`<ul class="needs">
        ${approvals.map(
            (a) =>
                html`<li class="need" data-row>
                    <${Dot} state="deferred" />
                    <div class="text">
                        <a href=${'/ui/system/approvals/' + a.id}><b>${a.dag}</b> · ${a.task}</a>
                        waits for you: ${a.message}
                    </div>
                    <span class="muted"><${Ago} at=${a.asked_at || a.created_at} /></span
                    ><a class="button" href=${'/ui/system/approvals/' + a.id}>Answer</a>
                </li>`,
        )}
        ${broken.map((d) => html`<${BrokenRow} key=${d.id} dag=${d} />`)}
        ${gone.map(
            (w) =>
                html`<li class="need" data-row>
                    <${Dot} state="failed" />
                    <div class="text">
                        <a href="/ui/system/workers"><b>${w.id}</b></a> is lost
                    </div>
                    <span class="muted"><${Ago} at=${w.last_seen_at} /></span>
                </li>`,
        )}
        ${late.map(
            (r) =>
                html`<li class="need" data-row>
                    <${Dot} state="retrying" />
                    <div class="text">
                        <a href=${runUrl(r.id)}><b>${r.dag}</b></a> is late: due
                        <${Ago} at=${r.deadline_at} />
                    </div>
                </li>`,
        )}
        ${shown.map((r) => html`<${FailedRow} key=${r.id} run=${r} more=${failed.filter((x) => x.dag === r.dag).length - 1} />`)}
        ${newest.length > shown.length ? html`<li><button type="button" onClick=${() => setAll(true)}>Show ${plural(newest.length - shown.length, 'DAG')} more</button></li>` : null}
    </ul>`;
}

// How far a run is, and when it may end by the medians of the past.
function RunningRow({run, medians}) {
    clock.use();
    const total = Object.values(run.counts).reduce((a, b) => a + b, 0);
    const done = ['success', 'failed', 'upstream_failed', 'skipped', 'cancelled', 'removed'].reduce(
        (n, s) => n + (run.counts[s] || 0),
        0,
    );
    const median = medians[run.dag],
        took = seconds(run.started_at);
    return html`<li class="need" data-row>
        <${Dot} state=${run.state} />
        <div class="text">
            <a href=${runUrl(run.id)}><b>${run.dag}</b></a> · run ${run.id}
        </div>
        <${Bar} value=${done} max=${total} /><span class="num">${done}/${total}</span>
        <span class="num muted"
            >${took == null ? 'queued' : html`<${Took} from=${run.started_at} />`}${median ? ` of ~${duration(median)}` : ''}</span
        >
    </li>`;
}

// One lane a DAG: what ran in the last 24 hours, and what will in the next two.
function Strip({runs, dags}) {
    const now = clock.use() - (clock.use() % 10000);
    zone.use();
    const from = now - 24 * 3600e3,
        to = now + 2 * 3600e3,
        width = to - from;
    const x = (t) => `${Math.max(0, (100 * (new Date(t) - from)) / width)}%`;
    const lanes = new Map();
    for (const r of runs) {
        if (!lanes.has(r.dag)) lanes.set(r.dag, []);
        lanes.get(r.dag).push(r);
    }
    const next = new Map(
        dags
            .filter((d) => d.next_fire_at && new Date(d.next_fire_at) < to)
            .map((d) => [d.id, d.next_fire_at]),
    );
    for (const id of next.keys()) if (!lanes.has(id)) lanes.set(id, []);
    if (!lanes.size)
        return html`<${Empty}>Nothing ran in the last 24 hours, and nothing is due soon.</${Empty}>`;
    const hours = [-24, -18, -12, -6, 0];
    return html`<div
        class="strip"
        role="group"
        aria-label=${`The last 24 hours: ${plural(runs.length, 'run')} of ${plural(lanes.size, 'DAG')}`}
    >
        <div class="lane axis">
            <span class="name"></span
            ><span class="track"
                >${hours.map((h) => html`<i class="tick" style=${{left: x(now + h * 3600e3)}}>${h ? shortTime(now + h * 3600e3).slice(-5) : 'now'}</i>`)}</span
            >
        </div>
        ${[...lanes].slice(0, 30).map(
            ([id, list]) =>
                html`<div class="lane" key=${id}>
                    <a class="name" href=${dagUrl(id)}>${id}</a
                    ><span class="track">
                        ${list.map(
                            (r) =>
                                html`<a
                                    key=${r.id}
                                    class=${'blip s-' + r.state}
                                    href=${runUrl(r.id)}
                                    title=${`run ${r.id}: ${r.state}, ${exactTime(r.started_at || r.created_at)}`}
                                    style=${{left: x(r.started_at || r.created_at), width: `max(4px, ${(100 * (new Date(r.finished_at || now) - new Date(r.started_at || r.created_at))) / width}%)`}}
                                ></a>`,
                        )}
                        ${next.has(id) ? html`<i class="fire" style=${{left: x(next.get(id))}} title=${'next: ' + exactTime(next.get(id))}></i>` : null}
                        <i class="now" style=${{left: x(now)}}></i
                    ></span>
                </div>`,
        )}
        ${lanes.size > 30 ? html`<p class="muted">and ${lanes.size - 30} more DAGs</p>` : null}
    </div>`;
}

// Medians of successful runs by DAG.
export function mediansOf(runs) {
    const lists = {};
    for (const r of runs)
        if (r.state === 'success' && r.started_at)
            (lists[r.dag] = lists[r.dag] || []).push(seconds(r.started_at, r.finished_at));
    for (const dag of Object.keys(lists))
        lists[dag] = lists[dag].sort((a, b) => a - b)[Math.floor((lists[dag].length - 1) / 2)];
    return lists;
}

export function Home() {
    const day = useApi('/runs?since=24h&limit=300', {on: isRun, gap: 500});
    const counts = useApi('/runs/counts?since=24h', {on: isRun, gap: 500});
    const bad = useApi('/runs?state=failed&since=24h&limit=100', {on: isRun, gap: 500});
    const open = useApi('/runs?state=running&limit=100', {on: isRun});
    const dags = useApi('/dags', {on: isRun, every: 5000, gap: 2000});
    const approvals = useApi('/approvals', {
        on: (n, d) =>
            n === 'task' && (d.state === 'deferred' || d.attempt === 0 || d.state === 'success'),
        gap: 500,
    });
    const workers = useApi('/workers', {on: (n) => n === 'worker', every: 5000});
    clock.use();
    const runs = day.data ? day.data.items : [],
        list = dags.data ? dags.data.items : [],
        ws = workers.data ? workers.data.items : [];
    const waiting = approvals.data ? approvals.data.items : [];
    const live = open.data ? open.data.items : [];
    const running = [
        ...live,
        ...runs.filter((r) => RUNNING.includes(r.state) && !live.some((o) => o.id === r.id)),
    ];
    const failed = bad.data ? bad.data.items : [],
        n = counts.data || {};
    const late = running.filter((r) => r.late_at);
    const next = list
        .filter((d) => d.next_fire_at)
        .sort((a, b) => a.next_fire_at.localeCompare(b.next_fire_at))[0];
    useTitle(n.failed ? `✕ ${n.failed} failed` : '');
    const error = [day, counts, bad, open, dags, workers].map((x) => x.error).find(Boolean);
    const online = ws.filter((w) => w.state === 'online' || w.state === 'draining');
    const slots = online.reduce((n, w) => n + w.slots, 0),
        busy = online.reduce((n, w) => n + w.busy, 0);
    return html`<section class="pad home"><h1 class="sentence">${
        counts.data && open.data && dags.data
            ? html`<a href="/ui/runs?q=state:running">${running.length} running</a>${' · '}<a
                      href="/ui/runs?q=state:failed+since:24h"
                      class=${n.failed ? 'bad-text' : ''}
                      >${n.failed} failed</a
                  >${' · '}<a href="/ui/system/approvals">${waiting.length} waiting for you</a> ·
                  <a href="/ui/runs?q=state:success+since:24h">${n.success} ok in 24 h</a>
                  ${next ? html` · next <a href=${dagUrl(next.id)}>${next.id}</a> <span title=${exactTime(next.next_fire_at)}>${ago(next.next_fire_at, clock.get())}</span>` : null}`
            : 'Nexus'
    }</h1>
        ${error ? html`<${ErrorBox} error=${error} retry=${day.reload} />` : null}
        ${dags.data && !list.length ? html`<div class="box"><b>No DAG yet.</b> Put a file in <code>dags/</code>: it is here within a second. <code>nexus init</code> writes an example.</div>` : null}
        <h2>Needs attention</h2>
        <${Loaded} of=${bad} rows=${3}>${() => html`<${Needs} failed=${failed} dags=${list} approvals=${waiting} late=${late} workers=${ws} />`}</${Loaded}>
        <h2>Running now</h2>
        ${
            running.length
                ? html`<ul class="needs">
                      ${running.slice(0, 20).map((r) => html`<${RunningRow} key=${r.id} run=${r} medians=${mediansOf(runs)} />`)}
                  </ul>`
                : html`<${Empty}>Nothing is running.${next ? html` Next: <a href=${dagUrl(next.id)}>${next.id}</a> ${ago(next.next_fire_at, clock.get())}.` : html` <a href="/ui/dags">Start a DAG</a>.`}</${Empty}>`
        }
        <h2>Last 24 hours</h2>
        ${day.data ? html`<${Strip} runs=${runs} dags=${list} />` : null}
        <p class="footing"><a href="/ui/system/workers">${plural(online.length, 'worker')}</a>${workers.data && !online.length ? html` · <span class="bad-text">nothing can run: start one with <code>nexus worker</code></span>` : null}
            ${' · '}slots <${Bar} value=${busy} max=${slots} /> <span class="num">${busy}/${slots}</span></p>
    </section>`;
}
