// Is all well, what broke, what waits, what comes next.
import {html, useState, clock, enc, plural} from './lib.js';
import {useApi, post, runPath, taskPath, taskName} from './api.js';
import {Ago, Took, ago, bytes, duration, seconds, exactTime, shortTime, zone} from './format.js';
import {Dot, isFinal, word} from './state.js';
import {
    Loaded,
    Empty,
    NoDags,
    useTitle,
    useHealth,
    toast,
    ErrorBox,
    Bar,
    lastLine,
} from './parts.js';
import {dagUrl, runUrl, taskUrl} from './route.js';

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

// ---- What needs somebody ----
const Need = ({state, text, aside, children}) =>
    html`<li class="need" data-row>
        <${Dot} state=${state} />
        <div class="text">${text}</div>
        ${aside ? html`<span class="muted">${aside}</span>` : null}${children}
    </li>`;
function FailedRow({run, more}) {
    const failure = useFailure(run);
    const others = `/ui/runs?q=${enc(`state:failed dag:${run.dag} since:24h`)}`;
    const what = failure
        ? html` · <a href=${taskUrl(run.id, failure.task)}>${failure.task}</a> failed:
              <code class="err">${failure.error}</code>`
        : html` · run ${run.id} failed`;
    return html`<${Need}
        state="failed"
        text=${html`<a href=${runUrl(run.id)}><b>${run.dag}</b></a
            >${what} ${more ? html`<a href=${others}>and ${more} more</a>` : null}`}
        aside=${html`<${Ago} at=${run.finished_at} />`}
        ><button type="button" onClick=${() => retryRun(run.id)}>Retry</button>
        ${failure ? html`<a class="button" href=${taskUrl(run.id, failure.task)}>Open log</a>` : null}<//
    >`;
}
const placeOf = (e, file) => [e.file || file, e.line, e.column].filter((x) => x != null).join(':');
const BrokenRow = ({dag}) =>
    dag.errors
        .slice(0, 3)
        .map(
            (e) =>
                html`<${Need}
                    state="failed"
                    text=${html`<a href=${dagUrl(dag.id, 'code')}><b>${dag.id}</b></a> ·
                        <code class="err"
                            >${placeOf(e, dag.file)}:
                            ${e.message}${e.hint ? ` — ${e.hint}` : ''}</code
                        >`}
                    ><a class="button" href=${dagUrl(dag.id, 'code')}>Open code</a><//
                >`,
        );
function ApprovalRow({a}) {
    const href = '/ui/system/approvals/' + a.id;
    return html`<${Need}
        state="deferred"
        text=${html`<a href=${href}><b>${a.dag}</b> · ${a.task}</a> waits for you: ${a.message}`}
        aside=${html`<${Ago} at=${a.asked_at || a.created_at} />`}
        ><a class="button" href=${href}>Answer</a><//
    >`;
}
const LostRow = ({w}) =>
    html`<${Need}
        state="failed"
        text=${html`worker <a href="/ui/system/workers"><b>${w.id}</b></a> is lost`}
        aside=${html`<${Ago} at=${w.last_seen_at} />`}
    />`;
const LateRow = ({r}) =>
    html`<${Need}
        state="retrying"
        text=${html`<a href=${runUrl(r.id)}><b>${r.dag}</b></a> is late: it was to end
            <${Ago} at=${r.deadline_at} />`}
        ><a class="button" href=${runUrl(r.id) + '?view=explain'}>Explain</a><//
    >`;
// A paused DAG whose schedule would have fired: nothing, unless it did within the last 24 hours.
function MissedRow({dag}) {
    const [yesterday] = useState(() => new Date(Date.now() - DAY).toISOString());
    const versions = useApi(`/dags/${enc(dag.id)}/versions?limit=1000`);
    const first = versions.data && versions.data.items[versions.data.items.length - 1];
    const since = first && first.created_at > yesterday ? first.created_at : yesterday;
    const due = useApi(first ? `/dags/${enc(dag.id)}/next?from=${enc(since)}&limit=1000` : null, {
        every: 60000,
    });
    const ran = useApi(`/dags/${enc(dag.id)}/runs?since=24h&limit=1000`);
    if (!first || !due.data || !ran.data) return null;
    const now = new Date().toISOString(),
        done = new Set(ran.data.items.map((r) => r.interval.start));
    const missed = due.data.items.filter(
        (f) => f.fire_at <= now && !done.has(f.interval.start),
    ).length;
    if (!missed) return null;
    return html`<${Need}
        state="stopping"
        text=${html`<a href=${dagUrl(dag.id)}><b>${dag.id}</b></a> is paused: ${plural(missed, 'fire')} missed in 24 h`}
        ><a class="button" href=${dagUrl(dag.id, 'backfills')}>Backfill</a><//
    >`;
}

const DAY = 24 * 3600e3;
const FIRST = 8, // failed DAGs before one asks for more
    PAUSED_MAX = 10; // paused DAGs that are looked at
function Needs({failed, broken, resting, approvals, late, workers}) {
    const gone = workers.filter((w) => w.state === 'lost');
    const paused = resting.filter((d) => d.valid && d.schedule.length).slice(0, PAUSED_MAX);
    const [all, setAll] = useState(false);
    // The newest of each DAG stands for those before it.
    const newest = failed.filter((r, i) => failed.findIndex((x) => x.dag === r.dag) === i),
        shown = all ? newest : newest.slice(0, FIRST);
    const hidden = newest.length - shown.length,
        showAll = () => setAll(true),
        before = (r) => failed.filter((x) => x.dag === r.dag).length - 1;
    const n = broken.length + failed.length + approvals.length + late.length + gone.length;
    return html`<ul class="needs">
            ${approvals.map((a) => html`<${ApprovalRow} key=${a.id} a=${a} />`)}
            ${broken.map((d) => html`<${BrokenRow} key=${d.id} dag=${d} />`)}
            ${gone.map((w) => html`<${LostRow} key=${w.id} w=${w} />`)}
            ${late.map((r) => html`<${LateRow} key=${r.id} r=${r} />`)}
            ${shown.map((r) => html`<${FailedRow} key=${r.id} run=${r} more=${before(r)} />`)}
            ${hidden ? html`<li><button type="button" onClick=${showAll}>Show ${plural(hidden, 'DAG')} more</button></li>` : null}
            ${paused.map((d) => html`<${MissedRow} key=${d.id} dag=${d} />`)}
        </ul>
        ${n ? null : html`<p class="empty else">Nothing needs you.</p>`}`;
}

// ---- What runs ----
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
// What a run in which nothing runs waits for: the first reason that is not another task.
function Waits({run}) {
    const why = useApi(`${runPath(run)}/explain?limit=100`, {
        on: (n, d) => d.run === run,
        gap: 1000,
    });
    const items = why.data ? why.data.items : [];
    const first = items.find((t) => t.state !== 'waiting') || items[0];
    if (!first || !first.reasons.length) return null;
    const name = taskName(first);
    return html`<span class="muted">
        · <a href=${taskUrl(run, name, '?tab=explain')}>${name}</a> ${word(first.state)}:
        ${first.reasons[0].text}
    </span>`;
}
const IDLE = ['queued', 'waiting', 'deciding', 'deferred', 'retrying'];
const isIdle = (counts) => Object.keys(counts).every((s) => isFinal(s) || IDLE.includes(s));
// How far a run is, and when it may end by the medians of the past.
function RunningRow({run}) {
    const now = clock.use();
    const past = useApi(`/dags/${enc(run.dag)}/runs?state=success&limit=20`);
    const total = Object.values(run.counts).reduce((a, b) => a + b, 0);
    const done = Object.keys(run.counts)
        .filter(isFinal)
        .reduce((n, s) => n + run.counts[s], 0);
    const median = past.data && mediansOf(past.data.items)[run.dag],
        left = median && run.started_at ? median - (now - new Date(run.started_at)) / 1000 : null;
    const when =
        left == null
            ? ''
            : left > 0
              ? `, about ${duration(Math.ceil(left))} left`
              : `, ${duration(-left)} over`;
    const of = median ? ` of ~${duration(median)}${when}` : '';
    return html`<li class="need" data-row>
        <${Dot} state=${run.state} />
        <div class="text">
            <a href=${runUrl(run.id)}><b>${run.dag}</b></a> · run ${run.id}
            ${total && isIdle(run.counts) ? html`<${Waits} run=${run.id} />` : null}
        </div>
        <${Bar} value=${done} max=${total} /><span class="num">${done}/${total}</span>
        <span class="num muted"
            >${run.started_at ? html`<${Took} from=${run.started_at} />` : 'queued'}${of}</span
        >
    </li>`;
}

// ---- The last 24 hours, and the next two ----
const AHEAD = 2 * 3600e3;
const LANES_MAX = 30,
    TICKS_MAX = 12; // future fires of a lane that are drawn one by one
function Strip({runs, dags}) {
    const now = Math.floor(clock.use() / 10000) * 10000;
    zone.use();
    const from = now - DAY,
        width = DAY + AHEAD;
    const x = (t) => `${Math.max(0, (100 * (new Date(t) - from)) / width)}%`;
    const lanes = new Map();
    for (const r of runs) lanes.set(r.dag, [...(lanes.get(r.dag) || []), r]);
    const soon = dags
        .filter((d) => d.next_fire_at && new Date(d.next_fire_at) < now + AHEAD)
        .map((d) => d.id);
    for (const id of soon) if (!lanes.has(id)) lanes.set(id, []);
    if (!lanes.size)
        return html`<${Empty}>Nothing ran in the last 24 hours, and nothing is due soon.</${Empty}>`;
    const lane = ([id, list]) =>
        html`<${Lane}
            key=${id}
            id=${id}
            runs=${list}
            soon=${soon.includes(id)}
            x=${x}
            now=${now}
            width=${width}
        />`;
    const label = `The last 24 hours: ${plural(runs.length, 'run')} of ${plural(lanes.size, 'DAG')}`;
    return html`<div class="strip" role="group" aria-label=${label}>
        <div class="lane axis">
            <span class="name"></span
            ><span class="track"
                >${[-24, -18, -12, -6, 0].map((h) => html`<${Hour} h=${h} now=${now} x=${x} />`)}</span
            >
        </div>
        ${[...lanes].slice(0, LANES_MAX).map(lane)}
        ${lanes.size > LANES_MAX ? html`<p class="muted">and ${lanes.size - LANES_MAX} more DAGs</p>` : null}
    </div>`;
}
function Hour({h, now, x}) {
    const at = now + h * 3600e3;
    return html`<i class="tick" style=${{left: x(at)}}>${h ? shortTime(at).slice(-5) : 'now'}</i>`;
}
function Lane({id, runs, soon, x, now, width}) {
    const next = useApi(soon ? `/dags/${enc(id)}/next?limit=130` : null, {every: 60000});
    const fires = next.data ? next.data.items.filter((f) => new Date(f.fire_at) < now + AHEAD) : [];
    const ahead =
        fires.length > TICKS_MAX
            ? html`<${Often} fires=${fires} x=${x} />`
            : fires.map((f) => html`<${Fire} at=${f.fire_at} x=${x} />`);
    return html`<div class="lane">
        <a class="name" href=${dagUrl(id)}>${id}</a>
        <span class="track">
            ${runs.map((r) => html`<${Blip} key=${r.id} r=${r} x=${x} now=${now} width=${width} />`)}
            ${ahead}
            <i class="now" style=${{left: x(now)}}></i
        ></span>
    </div>`;
}
const Fire = ({at, x}) =>
    html`<i class="fire" style=${{left: x(at)}} title=${'next: ' + exactTime(at)}></i>`;
// What is due so often that ticks would run together: one band, and how often.
function Often({fires, x}) {
    const title = `next: ${exactTime(fires[0].fire_at)}; ${plural(fires.length, 'time')} in two hours`;
    return html`<i class="often" style=${{left: x(fires[0].fire_at)}} title=${title}
        >×${fires.length}</i
    >`;
}
function Blip({r, x, now, width}) {
    const from = r.started_at || r.created_at;
    const wide = (100 * (new Date(r.finished_at || now) - new Date(from))) / width;
    return html`<a
        class=${'blip s-' + r.state}
        href=${runUrl(r.id)}
        title=${`run ${r.id}: ${r.state}, ${exactTime(from)}`}
        style=${{left: x(from), width: `max(4px, ${wide}%)`}}
    ></a>`;
}

// ---- The page ----
function useHome() {
    const day = useApi('/runs?since=24h&limit=300', {on: isRun, gap: 500});
    const counts = useApi('/runs/counts?since=24h', {on: isRun, gap: 500});
    const bad = useApi('/runs?state=failed&since=24h&limit=100', {on: isRun, gap: 500});
    const open = useApi('/runs?state=running&limit=100', {on: isRun});
    const files = {on: isRun, every: 5000, gap: 2000};
    const dags = useApi('/dags', files),
        broken = useApi('/dags?q=state:broken', files),
        paused = useApi('/dags?q=paused:true', files);
    const workers = useApi('/workers', {on: (n) => n === 'worker', every: 5000});
    const asks = (n, d) =>
        n === 'task' && (d.state === 'deferred' || d.attempt === 0 || d.state === 'success');
    const approvals = useApi('/approvals', {on: asks, gap: 500});
    const items = (of) => (of.data ? of.data.items : []);
    const live = items(open),
        runs = items(day);
    return {
        loads: {day, counts, bad, open, dags, broken, paused, approvals, workers},
        runs,
        counts: counts.data || {},
        dags: items(dags),
        broken: items(broken),
        paused: items(paused),
        workers: items(workers),
        approvals: items(approvals),
        failed: items(bad),
        running: [
            ...live,
            ...runs.filter((r) => RUNNING.includes(r.state) && !live.some((o) => o.id === r.id)),
        ],
    };
}
const NextFire = ({dag}) =>
    html`<a href=${dagUrl(dag.id)}>${dag.id}</a> <${Ago} at=${dag.next_fire_at} />`;
function Sentence({home, late, next}) {
    const n = home.counts,
        {counts, open, dags} = home.loads;
    if (!counts.data || !open.data || !dags.data) return html`<h1 class="sentence">Nexus</h1>`;
    const part = (href, text, kind) => html`<a href=${href} class=${kind || ''}>${text}</a>`;
    const dot = ' · ';
    return html`<h1 class="sentence">
        ${part('/ui/runs?q=state:running', `${home.running.length}${open.data.next ? '+' : ''} running`)}${dot}
        ${part('/ui/runs?q=state:failed+since:24h', `${n.failed} failed`, n.failed ? 'bad-text' : '')}${dot}
        ${late.length ? html`${part('/ui/runs?q=late:true+state:running', `${late.length} late`)}${dot}` : null}
        ${part('/ui/system/approvals', `${home.approvals.length} waiting for you`)}${dot}
        ${part('/ui/runs?q=state:success+since:24h', `${n.success} ok in 24 h`)}
        ${next ? html`${dot}next <${NextFire} dag=${next} />` : null}
    </h1>`;
}
function Running({running, next}) {
    const now = clock.use();
    if (running.length)
        return html`<ul class="needs">
            ${running.slice(0, 20).map((r) => html`<${RunningRow} key=${r.id} run=${r} />`)}
        </ul>`;
    const then = next
        ? html`Next: <a href=${dagUrl(next.id)}>${next.id}</a> ${ago(next.next_fire_at, now)}.`
        : html`<a href="/ui/dags">Start a DAG</a>.`;
    return html`<${Empty}>Nothing is running. ${then}</${Empty}>`;
}
const NoWorker = () =>
    html`<span class="bad-text">nothing can run: start one with <code>nexus worker</code></span>`;
const Disk = ({health}) =>
    html`<a href="/ui/system/health" class=${health.parts.disk === 'low' ? 'bad-text' : ''}
        >disk ${bytes(health.disk_free_bytes)} free</a
    >`;
// Workers, slots and disk in a row.
function Machine({workers, known}) {
    const [health, setHealth] = useState(null);
    useHealth(setHealth);
    const online = workers.filter((w) => w.state === 'online' || w.state === 'draining');
    const slots = online.reduce((n, w) => n + w.slots, 0),
        busy = online.reduce((n, w) => n + w.busy, 0);
    return html`<p class="footing">
        <a href="/ui/system/workers">${plural(online.length, 'worker')}</a
        >${known && !online.length ? html` · <${NoWorker} />` : null} ${' · '}slots
        <${Bar} value=${busy} max=${slots} />
        <span class="num">${busy}/${slots}</span>
        ${health ? html` · <${Disk} health=${health} />` : null}
    </p>`;
}
export function Home() {
    const home = useHome(),
        {loads} = home;
    const late = home.running.filter((r) => r.late_at);
    const next = home.dags
        .filter((d) => d.next_fire_at)
        .sort((a, b) => a.next_fire_at.localeCompare(b.next_fire_at))[0];
    useTitle(home.counts.failed ? `✕ ${home.counts.failed} failed` : '');
    const wrong = Object.values(loads).find((x) => x.error);
    const needs = () =>
        html`<${Needs}
            failed=${home.failed}
            broken=${home.broken}
            resting=${home.paused}
            approvals=${home.approvals}
            late=${late}
            workers=${home.workers}
        />`;
    return html`<section class="pad home">
        <${Sentence} home=${home} late=${late} next=${next} />
        ${wrong ? html`<${ErrorBox} error=${wrong.error} retry=${wrong.reload} />` : null}
        ${loads.dags.data && !home.dags.length ? html`<${NoDags} />` : null}
        <h2>Needs attention</h2>
        <${Loaded} of=${loads.bad} rows=${3}>${needs}</${Loaded}>
        <h2>Running now</h2>
        <${Running} running=${home.running} next=${next} />
        <h2>Last 24 hours</h2>
        ${loads.day.data ? html`<${Strip} runs=${home.runs} dags=${home.dags} />` : null}
        <${Machine} workers=${home.workers} known=${loads.workers.data} />
    </section>`;
}
