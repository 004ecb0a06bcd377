// What an attempt used of processor and memory over time, with the numbers beside it.
import {html, useState, useEffect, enc, plural} from './lib.js';
import {useApi} from './api.js';
import {bytes, duration, number, seconds, Took} from './format.js';
import {Loaded, Empty, Facts} from './parts.js';

const EVERY = 1000; // ms at least between two looks at what still runs
const cores = (n) => plural(Number(number(n)), 'core');
const mean = (list) => list.reduce((a, b) => a + b, 0) / list.length;
const most = (list, ...known) => Math.max(...list, ...known.filter((v) => v != null));

// The limits of a task in the version that ran; null: not known, or it has changed since.
function useLimits(run, task) {
    const {data} = useApi('/dags/' + enc(run.dag));
    if (!data || data.version !== run.dag_version) return null;
    return data.tasks.find((t) => t.id === task) || null;
}
function useChart() {
    const [Line, setLine] = useState(null);
    useEffect(() => {
        import('./charts.js').then((m) => setLine(() => m.Line));
    }, []);
    return Line;
}
// Over a whole attempt the processor's time is known exactly; while it runs, from its samples.
function meanCores(attempt, samples) {
    const took = attempt.finished_at && seconds(attempt.started_at, attempt.finished_at);
    return took && attempt.cpu_s != null
        ? attempt.cpu_s / took
        : mean(samples.map((s) => s.cpu_cores));
}
function Curve({name, samples, of, format, from, limit, binary, facts}) {
    const Line = useChart();
    const since = (s) => (new Date(s.at) - new Date(from)) / 1000;
    const curve = () =>
        html`<${Line}
            x=${samples.map(since)}
            y=${samples.map(of)}
            label=${name}
            format=${format}
            limit=${limit || null}
            height=${180}
            time=${false}
            fromZero=${true}
            binary=${binary}
            xFormat=${duration}
            xLabel="after"
        />`;
    return html`<section class="usage">
        <h2>${name}</h2>
        <div>${Line ? curve() : null}</div>
        <${Facts} items=${facts} />
    </section>`;
}
// What ended before it was looked at is known by what it had used in all.
function Short({attempt}) {
    const said = [
        attempt.cpu_s != null && `CPU ${duration(attempt.cpu_s)}`,
        attempt.max_rss_bytes != null && `memory up to ${bytes(attempt.max_rss_bytes)}`,
    ].filter(Boolean);
    if (!attempt.finished_at)
        return html`<${Empty}>It is looked at once a second; nothing is known yet.</${Empty}>`;
    return html`<${Empty}>
        It ended before it was looked at the first time.${said.length ? ` In all: ${said.join(', ')}.` : ''}
    </${Empty}>`;
}
function Curves({samples, attempt, limits}) {
    const use = samples.map((s) => s.cpu_cores),
        held = samples.map((s) => s.rss_bytes);
    const {cpus, memory_bytes: memory} = limits || {};
    const limit = (v, text) => limits && ['Limit', v ? text(v) : 'none'];
    return html`<${Curve}
            name="Processor, cores"
            samples=${samples}
            of=${(s) => s.cpu_cores}
            format=${number}
            from=${attempt.started_at}
            facts=${[
                ['Peak', cores(most(use))],
                ['Mean', cores(meanCores(attempt, samples))],
                limits && ['Asked for', cpus ? cores(cpus) : 'nothing'],
                attempt.cpu_s != null && ['In all', duration(attempt.cpu_s)],
            ]}
        />
        <${Curve}
            name="Memory"
            samples=${samples}
            of=${(s) => s.rss_bytes}
            format=${bytes}
            from=${attempt.started_at}
            limit=${memory}
            binary=${true}
            facts=${[
                ['Peak', bytes(most(held, attempt.max_rss_bytes))],
                ['Mean', bytes(mean(held))],
                limit(memory, bytes),
                ['Processes', `up to ${most(samples.map((s) => s.processes))}`],
            ]}
        />`;
}
export function Usage({path, attempt, run, task}) {
    const running = !attempt.finished_at;
    const usage = useApi(path, {
        every: running ? EVERY : 0,
        on: (n, d) => n === 'task' && d.run === run.id && d.task === task,
    });
    const limits = useLimits(run, task);
    return html`<${Loaded} of=${usage}>${({samples, interval}) =>
        samples.length
            ? html`<${Curves} samples=${samples} attempt=${attempt} limits=${limits} />
                  <p class="muted">
                      ${plural(samples.length, 'sample')}, one every ${duration(interval)}, of the
                      task with all its processes;
                      <${Took} from=${attempt.started_at} to=${attempt.finished_at} /> in all.
                  </p>`
            : html`<${Short} attempt=${attempt} />`}</${Loaded}>`;
}
