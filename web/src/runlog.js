// The log of a run: the lines of all its tasks by time, each with the task that wrote it. While the run
// goes on its end is followed.
import {html, useState, useEffect, useRef, plural} from './lib.js';
import {get, runPath, taskName} from './api.js';
import {number, zone} from './format.js';
import {isFinal} from './state.js';
import {ErrorBox, Empty, Command, useKeys} from './parts.js';
import {useQuery, taskUrl} from './route.js';
import {ansi} from './ansi.js';
import {whenSeen, PAGE} from './lines.js';
import {useTall} from './tall.js';
import {Check, LogBox, Times, When, Wrap, times, flipWrap} from './log.js';

const KEPT = 50000, // lines; the earliest of more are left out
    AHEAD = 300, // rows before the end of what is known when more is asked for
    EVERY = 500, // ms between two looks at a run that goes on
    HUES = 8;

// Pages as they are wanted, and what comes. {items, dropped, complete, ready, error}; near: to be called when
// the end of what is known is near.
function useRunLines(path, live, draw) {
    const state = useRef({items: [], dropped: 0, complete: false}),
        wanted = useRef(null);
    const [ready, setReady] = useState(false),
        [error, setError] = useState(null);
    useEffect(() => {
        const stop = new AbortController(),
            signal = stop.signal;
        const mine = (state.current = {items: [], dropped: 0, complete: false});
        const take = (items) => {
            mine.items.push(...items);
            const over = mine.items.length - KEPT;
            if (over > 0) mine.dropped += mine.items.splice(0, over).length;
            setReady(true);
            draw.current();
        };
        const read = async () => {
            for (let next = ''; !signal.aborted;) {
                const page = await get(path + (next && '&cursor=' + next), {signal});
                next = page.next;
                mine.complete = next === null;
                take(page.items);
                if (mine.complete) return;
                if (!live)
                    await new Promise((done) => {
                        wanted.current = done;
                        draw.current();
                    });
                else if (page.items.length < PAGE)
                    await new Promise((done) => setTimeout(done, EVERY));
                await whenSeen(signal);
            }
        };
        setReady(false);
        setError(null);
        read().catch((e) => e.name === 'AbortError' || setError(e));
        return () => {
            stop.abort();
            if (wanted.current) wanted.current();
        };
    }, [path, live]);
    const near = () => {
        if (wanted.current) wanted.current();
        wanted.current = null;
    };
    return {...state.current, ready, error, near};
}

function Line({line, run, hue, start, how}) {
    const name = taskName(line),
        again = line.attempt > 1 ? ` (${line.attempt})` : '';
    const marks = [
        'l',
        line.stream === 'err' && 'stderr',
        line.stream === 'nexus' && 'engine',
        line.group === 'ends' && 'end',
    ].filter(Boolean);
    const shown = line.group === 'begins' ? line.text.replace(/^::group::/, '▾ ') : line.text;
    return html`<div class=${marks.join(' ')}>
        <${When} at=${line.at} start=${start} how=${how} />
        <a
            class=${'who hue' + hue}
            tabindex="-1"
            title=${`${name}, attempt ${line.attempt}`}
            href=${taskUrl(run, name, '?attempt=' + line.attempt)}
            >${name}${again}</a
        >
        <span class="tx">${line.group === 'begins' ? html`<b>${shown}</b>` : ansi(shown)}</span>
    </div>`;
}
function Which({tasks, of, setOf, all, setAll}) {
    return html`<label
            >task
            <select aria-label="Task" value=${of} onChange=${(e) => setOf(e.target.value)}>
                <option value="">all</option>
                ${tasks.map((t) => html`<option value=${t}>${t}</option>`)}
            </select></label
        ><${Check}
            label="all attempts"
            checked=${all === 'true'}
            onChange=${(on) => setAll(on ? 'true' : '')}
        />`;
}
function NoLines({run, of}) {
    const begun = run.tasks.some((t) => t.attempt);
    if (!begun) return html`<${Empty}>No task has begun, so there is no log.</${Empty}>`;
    const who = of || 'Its tasks';
    return html`<${Empty}>${who} wrote nothing${isFinal(run.state) ? '' : ' yet'}.</${Empty}>`;
}
export function RunLog({run}) {
    const live = !isFinal(run.state);
    const [of, setOf] = useQuery('of'),
        [all, setAll] = useQuery('all');
    const how = times.use();
    zone.use();
    const draw = useRef(null),
        known = useRef(null),
        seen = useRef(0);
    const query = new URLSearchParams({limit: PAGE});
    if (of) query.set('task', of);
    if (all) query.set('all', all);
    const lines = useRunLines(`${runPath(run.id)}/log?${query}`, live, draw);
    known.current = lines;
    const {items, dropped, complete, ready, error, near} = lines;
    const tall = useTall(() => known.current.items.length, live);
    draw.current = tall.draw;
    useEffect(() => {
        tall.follows.current = live;
        tall.draw();
    }, [run.id]);
    useEffect(() => {
        if (tall.to > items.length - AHEAD) near();
    });
    useKeys({f: tall.toEnd, w: flipWrap});
    if (tall.follows.current || !ready) seen.current = dropped + items.length;

    const tasks = [...new Set(run.tasks.map((t) => t.task))];
    const hue = new Map(tasks.map((t, i) => [t, i % HUES]));
    const start = new Date(run.started_at || run.created_at);
    const drawn = items
        .slice(tall.from, tall.to)
        .map(
            (line, i) =>
                html`<${Line}
                    key=${dropped + tall.from + i}
                    line=${line}
                    run=${run.id}
                    hue=${hue.get(line.task) || 0}
                    start=${start}
                    how=${how}
                />`,
        );
    const silent = ready && !items.length;
    return html`<div class="toolbar">
            <${Which} tasks=${tasks} of=${of} setOf=${setOf} all=${all} setAll=${setAll} />
            <div class="grow"></div>
            <${Times} /><${Wrap} />
            <span class="muted num"
                >${plural(dropped + items.length, 'line')}${complete ? '' : ' so far'}</span
            >
        </div>
        <${ErrorBox} error=${error} what="The log could not be loaded" />
        ${dropped ? html`<${LeftOut} n=${dropped} />` : null}
        ${
            silent
                ? html`<${NoLines} run=${run} of=${of} />`
                : html`<${LogBox}
                      tall=${tall}
                      label=${`Log of run ${run.id}`}
                      rows=${drawn}
                      unseen=${live ? dropped + items.length - seen.current : 0}
                  />`
        }
        <${Command} text=${`nexus logs ${run.id}${of ? ' ' + of : ''}`} />`;
}
const LeftOut = ({n}) =>
    html`<p class="muted">
        The first ${number(n)} lines are left out here; choose a task, or open its log.
    </p>`;
