// What people do to runs: retry, clear, mark, cancel, note, run again, delete. Each says first, by a
// dry run, what it would change; of several runs one after the other.
import {html, useState, useEffect, useRef, plural, enc} from './lib.js';
import {useApi, call, get, post, runPath, taskName} from './api.js';
import {Dialog, ErrorBox, Command, toast, useKeys} from './parts.js';
import {Dot, word, isFinal} from './state.js';
import {go, runUrl, dagUrl, taskUrl} from './route.js';

const AT_ONCE = 6; // requests
const RUNS_MAX = 200; // that one dialog changes
const SHOWN_MAX = 500; // lines of a preview
const FAILED = ['failed', 'upstream_failed', 'cancelled'];

// fn of each, AT_ONCE at a time: [{item, value} or {item, error}], in order.
async function eachOf(items, fn, gone = () => false) {
    const out = Array(items.length);
    let next = 0;
    const work = async () => {
        while (next < items.length && !gone()) {
            const i = next++;
            try {
                out[i] = {item: items[i], value: await fn(items[i])};
            } catch (error) {
                out[i] = {item: items[i], error};
            }
        }
    };
    await Promise.all(Array.from({length: AT_ONCE}, work));
    return out;
}

// What `verb` would change: targets are [{run, body}]. {runs: [{run, body, changed}], n, without, error};
// `without`: runs that have no such task. Again whenever they change, or after again().
function usePlans(verb, targets, {onlyFailed = false} = {}) {
    const [state, set] = useState({}),
        [turn, setTurn] = useState(0);
    const key = JSON.stringify([verb, targets, onlyFailed, turn]);
    useEffect(() => {
        let gone = false;
        const dry = (t) => post(`${runPath(t.run)}/${verb}`, {...t.body, dry_run: true});
        const timer = setTimeout(async () => {
            const answers = await eachOf(targets, dry, () => gone);
            if (!gone) set({key, ...plansOf(answers, onlyFailed)});
        }, 80);
        return () => {
            gone = true;
            clearTimeout(timer);
        };
    }, [key]);
    return {...(state.key === key ? state : {}), again: () => setTurn(turn + 1)};
}
function plansOf(answers, onlyFailed) {
    const several = answers.length > 1,
        runs = [];
    let without = 0;
    for (const {item, value, error} of answers) {
        if (error && several && error.status === 404) without++;
        else if (error) return {error};
        else runs.push({...item, changed: value.changed});
    }
    const plans = onlyFailed ? runs.map(failedAlone) : runs;
    return {
        runs: plans.filter((p) => p.changed.length),
        n: plans.reduce((n, p) => n + p.changed.length, 0),
        without,
    };
}
function failedAlone(plan) {
    const changed = plan.changed.filter((c) => FAILED.includes(c.before));
    return {
        ...plan,
        changed,
        body: {...plan.body, tasks: changed.map(taskName), upstream: false, downstream: false},
    };
}

// Posts what a plan says. {busy, error}; error: of the first run that refused.
function useDo(verb, onDone) {
    const [state, set] = useState({});
    const doIt = async (plan) => {
        set({busy: true});
        const answers = await eachOf(plan.runs, (p) => post(`${runPath(p.run)}/${verb}`, p.body));
        const bad = answers.filter((a) => a.error);
        if (!bad.length) return onDone(plan);
        const rest =
            bad.length < answers.length
                ? ` (${plural(answers.length - bad.length, 'other run')} changed)`
                : '';
        set({
            error: bad[0].error,
            which: bad.length > 1 || rest ? `run ${bad[0].item.run}${rest}` : '',
        });
    };
    return [state, doIt, () => set({})];
}

function ChangedRow({run, c, several}) {
    return html`<tr>
        ${several ? html`<td><a href=${runUrl(run)}>${run}</a></td>` : null}
        <td>${taskName(c)}</td>
        <td><${Dot} state=${c.before} /> ${word(c.before)}</td>
        <td><${Dot} state=${c.after} /> ${word(c.after)}</td>
    </tr>`;
}
function Changed({plan}) {
    if (!plan.n) return html`<p class="empty">Nothing would change.</p>`;
    const several = plan.runs.length > 1;
    const rows = plan.runs.flatMap((p) => p.changed.map((c) => ({run: p.run, c})));
    return html`<div
        class="scroller preview"
        tabindex="0"
        role="group"
        aria-label="What would change"
    >
        <table class="list">
            <thead>
                <tr>
                    ${several ? html`<th>Run</th>` : null}
                    <th>Task</th>
                    <th>Is</th>
                    <th>Becomes</th>
                </tr>
            </thead>
            <tbody>
                ${rows.slice(0, SHOWN_MAX).map((r) => html`<${ChangedRow} ...${r} several=${several} />`)}
            </tbody>
        </table>
        ${rows.length > SHOWN_MAX ? html`<p class="muted">and ${rows.length - SHOWN_MAX} more</p>` : null}
    </div>`;
}
const affected = (plan) =>
    plan.n
        ? ` ${plural(plan.n, 'task')}${plan.runs.length > 1 ? ` of ${plural(plan.runs.length, 'run')}` : ''}`
        : '';

// The preview, what went wrong, and the button that says the number.
function Confirm({plan, state, verb, doIt, again, onClose}) {
    const error = state.error || plan.error;
    const reload = () => {
        again();
        plan.again();
    };
    const body = error
        ? html`<${ErrorBox}
              error=${error}
              what=${`Not possible${state.which ? ` in ${state.which}` : ''}`}
              retry=${reload}
              again="Reload"
          />`
        : plan.runs
          ? html`<${Changed} plan=${plan} />`
          : html`<p class="muted">Looking what would change …</p>`;
    return html`${body}
        ${plan.without ? html`<p class="muted">${plural(plan.without, 'run')} without such a task: left alone.</p>` : null}
        <p class="actions">
            <button
                type="button"
                class="primary"
                disabled=${!plan.n || error || state.busy}
                onClick=${() => doIt(plan)}
            >
                ${verb}${affected(plan)}
            </button>
            <button type="button" onClick=${onClose}>Leave it</button>
        </p>`;
}

function TaskChoice({tasks, chosen, set}) {
    if (!tasks) return null;
    const choose = (e) => set([...e.target.selectedOptions].map((o) => o.value));
    return html`<label
        >Tasks
        <select
            multiple
            class="all"
            size=${Math.min(6, tasks.length)}
            aria-label="Tasks"
            onChange=${choose}
        >
            ${tasks.map((t) => html`<option value=${t} selected=${chosen.includes(t)}>${t}</option>`)}
        </select></label
    >`;
}
const Check = ({label, value, set}) =>
    html`<label class="check"
        ><input type="checkbox" checked=${value} onChange=${(e) => set(e.target.checked)} />
        ${label}</label
    >`;
const flags = (o) =>
    Object.entries(o)
        .filter(([, v]) => v === true)
        .map(([k]) => ` --${k}`)
        .join('');
const forRuns = (runs, command) =>
    runs.length === 1
        ? command(runs[0])
        : `for run in ${runs.join(' ')}; do ${command('$run')}; done`;

// The runs of the DAG before and after one, by their data intervals: [ids], the nearest first.
function useNeighbours(dag, run, past, future) {
    const [state, set] = useState({before: [], after: []});
    useEffect(() => {
        if (!past && !future) return;
        get(`/dags/${enc(dag)}/runs?limit=1000`).then(
            (page) => set(neighboursOf(page.items, run)),
            (error) => set({before: [], after: [], error}),
        );
    }, [dag, run, past || future]);
    const chosen = [...(past ? state.before : []), ...(future ? state.after : [])];
    return {
        runs: chosen.slice(0, RUNS_MAX),
        left: Math.max(0, chosen.length - RUNS_MAX),
        error: state.error,
    };
}
function neighboursOf(list, run) {
    const when = (r) => `${r.interval.start || r.created_at} ${r.id.padStart(20, '0')}`;
    const order = [...list].sort((a, b) => when(a).localeCompare(when(b))).map((r) => r.id);
    const at = order.indexOf(run);
    return at < 0
        ? {before: [], after: order}
        : {before: order.slice(0, at).reverse(), after: order.slice(at + 1)};
}

const whose = (targets, run) => (targets ? plural(targets.length, 'run') : `run ${run}`);
// targets: [{run, tasks}] of a selection; or one run, of whose tasks some are chosen.
function Clear({targets, run, dag, task, tasks, onClose}) {
    const [chosen, setChosen] = useState(task ? [task] : tasks || []);
    const [up, setUp] = useState(false),
        [down, setDown] = useState(true),
        [failed, setFailed] = useState(false);
    const [past, setPast] = useState(false),
        [future, setFuture] = useState(false);
    const near = useNeighbours(dag, run, past, future);
    const list = targets || [run, ...near.runs].map((id) => ({run: id, tasks: chosen}));
    const body = (t) => ({tasks: t.tasks, upstream: up, downstream: down});
    const plan = usePlans(
        'clear',
        list.map((t) => ({run: t.run, body: body(t)})),
        {onlyFailed: failed},
    );
    const [state, doIt, again] = useDo('clear', (p) => {
        const one = p.runs.length === 1 && p.runs[0].run;
        toast(`Cleared${affected(p)}: decided again now`, {
            href: one ? (task ? taskUrl(one, task) : runUrl(one)) : dagUrl(dag),
        });
        onClose();
    });
    const names = targets ? [...new Set(targets.flatMap((t) => t.tasks))] : chosen;
    const command = (id) =>
        `nexus runs clear ${id} ${names.join(' ')}${flags({upstream: up, downstream: down})}`;
    return html`<${Dialog} title=${`Clear tasks of ${whose(targets, run)}`} onClose=${onClose}>
        <p class="muted">Their results are forgotten and they are decided again. Logs of former attempts stay.</p>
        ${targets ? null : html`<${TaskChoice} tasks=${tasks} chosen=${chosen} set=${setChosen} />`}
        <p class="switches">
            <${Check} label="and all upstream" value=${up} set=${setUp} />
            <${Check} label="and all downstream" value=${down} set=${setDown} />
            <${Check} label="only failed ones" value=${failed} set=${setFailed} />
            ${targets ? null : html`<${Check} label="in past runs too" value=${past} set=${setPast} />`}
            ${targets ? null : html`<${Check} label="in future runs too" value=${future} set=${setFuture} />`}
        </p>
        ${near.left ? html`<p class="muted">The ${RUNS_MAX} nearest runs; ${near.left} further away are left alone.</p>` : null}
        ${near.error ? html`<${ErrorBox} error=${near.error} what="The other runs could not be listed" />` : null}
        <${Confirm} plan=${plan} state=${state} verb="Clear" doIt=${doIt} again=${again} onClose=${onClose} />
        ${
            failed
                ? null
                : html`<${Command}
                      text=${forRuns(
                          list.map((t) => t.run),
                          command,
                      )}
                  />`
        }
    </${Dialog}>`;
}
function Mark({targets, run, task, tasks, onClose}) {
    const [chosen, setChosen] = useState(task ? [task] : []);
    const [to, setTo] = useState('success'),
        [down, setDown] = useState(false);
    const list = targets || (chosen.length ? [{run, tasks: chosen}] : []);
    const plan = usePlans(
        'mark',
        list.map((t) => ({run: t.run, body: {tasks: t.tasks, state: to, downstream: down}})),
    );
    const [state, doIt, again] = useDo('mark', (p) => {
        toast(
            `Marked as ${to}:${affected(p)}`,
            p.runs.length === 1 ? {href: runUrl(p.runs[0].run)} : {},
        );
        onClose();
    });
    const confirm = html`<${Confirm}
        plan=${plan}
        state=${state}
        verb=${`Mark as ${to}:`}
        doIt=${doIt}
        again=${again}
        onClose=${onClose}
    />`;
    const Choice = ({value}) =>
        html`<label class="check"
            ><input type="radio" name="to" checked=${to === value} onChange=${() => setTo(value)} />
            <${Dot} state=${value} /> ${value}</label
        >`;
    return html`<${Dialog} title=${`Mark tasks of ${whose(targets, run)}`} onClose=${onClose}>
        ${targets ? null : html`<${TaskChoice} tasks=${tasks} chosen=${chosen} set=${setChosen} />`}
        <p class="switches">
            <${Choice} value="success" /><${Choice} value="failed" />
            <${Check} label="and all downstream" value=${down} set=${setDown} />
        </p>
        ${list.length ? confirm : html`<p class="empty">Choose a task.</p>`}
    </${Dialog}>`;
}
function Retry({targets, run, dag, version, task, onClose}) {
    const list = targets ? targets.map((t) => t.run) : [run];
    const plan = usePlans(
        'retry',
        list.map((id) => ({run: id, body: task ? {from: task} : {failed: true}})),
    );
    const [state, doIt, again] = useDo('retry', (p) => {
        const one = p.runs.length === 1;
        toast(
            one ? `Run ${p.runs[0].run} goes on` : `${p.runs.length} runs go on`,
            one && task ? {href: taskUrl(p.runs[0].run, task)} : {},
        );
        onClose();
    });
    const title = task
        ? `Retry from ${task}`
        : `Retry what failed in ${list.length > 1 ? plural(list.length, 'run') : `run ${list[0]}`}`;
    return html`<${Dialog} title=${title} onClose=${onClose}>
        ${version ? html`<${NewerVersion} run=${run} dag=${dag} version=${version} onClose=${onClose} />` : null}
        <${Confirm} plan=${plan} state=${state} verb="Retry" doIt=${doIt} again=${again} onClose=${onClose} />
        <${Command} text=${forRuns(list, (id) => `nexus runs retry ${id} ${task ? '--from ' + task : '--failed'}`)} />
    </${Dialog}>`;
}
// A run keeps the version that it began with: who has mended the file since wants another run.
function NewerVersion({run, dag, version, onClose}) {
    const now = useApi(`/dags/${enc(dag)}`);
    const [state, rerun] = useRerun(run, onClose);
    if (!now.data || !now.data.version || now.data.version === version) return null;
    return html`<div class="box">
        The file has changed since: this run goes on with version ${version}. What version
        ${now.data.version} does is seen in a new run with the same params and data interval.
        ${state.error ? html`<${ErrorBox} error=${state.error} what="Not possible" />` : null}
        <p class="actions">
            <button type="button" disabled=${state.busy} onClick=${rerun}>
                Run again with version ${now.data.version}
            </button>
        </p>
    </div>`;
}

// ---- One run as a whole ----
// Posts once; errors are shown where they happened.
function useWrite(onDone) {
    const [state, set] = useState({});
    const write = async (method, path, body) => {
        set({busy: true});
        try {
            const answer = await call(method, path, body);
            set({});
            onDone(answer);
        } catch (error) {
            set({error});
        }
    };
    return [state, write];
}
// A question with one button that does it and one that does not.
function Ask({
    title,
    text,
    children,
    state,
    failed,
    verb,
    kind = 'primary',
    doIt,
    leave = 'Leave it',
    command,
    onClose,
}) {
    return html`<${Dialog} title=${title} onClose=${onClose}>
        ${text ? html`<p>${text}</p>` : null}${children}
        ${state.error ? html`<${ErrorBox} error=${state.error} what=${failed} />` : null}
        <p class="actions">
            <button type="button" class=${kind} disabled=${state.busy} onClick=${doIt}>${verb}</button>
            <button type="button" onClick=${onClose}>${leave}</button>
        </p>
        ${command ? html`<${Command} text=${command} />` : null}
    </${Dialog}>`;
}
function Cancel({run, onClose}) {
    const [state, write] = useWrite(() => {
        toast(`Run ${run} is being cancelled`);
        onClose();
    });
    return html`<${Ask}
        title=${`Cancel run ${run}?`}
        text="Running tasks are stopped; tasks that always run at the end still do."
        state=${state}
        failed="Not cancelled"
        verb="Cancel 1 run"
        kind="danger"
        leave="Let it run"
        doIt=${() => write('POST', runPath(run) + '/cancel', {})}
        command=${`nexus runs cancel ${run}`}
        onClose=${onClose}
    />`;
}
function Note({run, note, onClose}) {
    const [text, setText] = useState(note || '');
    const [state, write] = useWrite(onClose);
    const box = useRef(null);
    useEffect(() => box.current.focus(), []);
    return html`<${Ask}
        title=${`Note on run ${run}`}
        state=${state}
        failed="Not saved"
        verb="Save the note"
        doIt=${() => write('PATCH', runPath(run), {note: text})}
        onClose=${onClose}
    >
        <textarea
            ref=${box}
            rows="4"
            aria-label="Note"
            value=${text}
            onInput=${(e) => setText(e.target.value)}
        ></textarea>
    <//>`;
}
function useRerun(run, onClose) {
    const [state, write] = useWrite((made) => {
        toast(`Run ${made.id} was made`);
        onClose();
        go(runUrl(made.id));
    });
    return [state, () => write('POST', runPath(run) + '/rerun', {})];
}
function Rerun({run, onClose}) {
    const [state, rerun] = useRerun(run, onClose);
    return html`<${Ask}
        title=${`Run ${run} again`}
        text="A new run of the current version, with the same params and data interval. The old one stays."
        state=${state}
        failed="Not possible"
        verb="Run again"
        doIt=${rerun}
        onClose=${onClose}
    />`;
}
function Delete({run, dag, onClose}) {
    const [state, write] = useWrite(() => {
        toast(`Run ${run} was deleted`);
        onClose();
        go(dagUrl(dag));
    });
    return html`<${Ask}
        title=${`Delete run ${run}?`}
        text="Its results and logs are taken away for good."
        state=${state}
        failed="Not deleted"
        verb="Delete 1 run"
        kind="danger"
        leave="Keep it"
        doIt=${() => write('DELETE', runPath(run))}
        onClose=${onClose}
    />`;
}
const DIALOGS = {
    clear: Clear,
    mark: Mark,
    retry: Retry,
    cancel: Cancel,
    note: Note,
    rerun: Rerun,
    delete: Delete,
};

// The open dialog of a set of buttons: [start(name), the dialog].
function useDialog(props) {
    const [open, setOpen] = useState(null);
    const start = (name) => () => {
        setOpen(name);
        return true;
    };
    const Part = open && DIALOGS[open];
    return [start, Part ? html`<${Part} ...${props} onClose=${() => setOpen(null)} />` : null];
}
const Button = ({kind = '', onClick, children}) =>
    html`<button type="button" class=${kind} onClick=${onClick}>${children}</button>`;

// The buttons of a run, or of a task of it.
export function Actions({run, task, tasks, explain}) {
    const ended = isFinal(run.state),
        failed = (run.counts.failed || 0) + (run.counts.upstream_failed || 0) > 0;
    const names = tasks ? [...new Set(tasks)] : null;
    const [start, dialog] = useDialog({
        run: run.id,
        dag: run.dag,
        version: run.dag_version,
        note: run.note,
        task,
        tasks: names,
    });
    useKeys({R: start('retry'), C: start('clear')});
    return html`<div class="actions sticky">
        ${task ? html`<${Button} onClick=${start('retry')}>Retry from here<//>` : null}
        ${failed && !task ? html`<${Button} kind="primary" onClick=${start('retry')}>Retry failed<//>` : null}
        <${Button} onClick=${start('clear')}>Clear…<//>
        <${Button} onClick=${start('mark')}>Mark…<//>
        ${ended || task ? null : html`<${Button} kind="danger" onClick=${start('cancel')}>Cancel<//>`}
        ${task ? null : html`<${Button} onClick=${start('rerun')}>Run again…<//>`}
        ${task ? null : html`<${Button} onClick=${start('note')}>Note…<//>`}
        ${ended && !task ? html`<${Button} kind="danger" onClick=${start('delete')}>Delete…<//>` : null}
        ${explain ? html`<a class="button" href=${explain}>Explain</a>` : null} ${dialog}
    </div>`;
}
// The buttons of a selection of several runs: targets are [{run, tasks}].
export function ManyActions({dag, targets, failed}) {
    const [start, dialog] = useDialog({dag, targets});
    useKeys({R: start('retry'), C: start('clear')});
    return html`<div class="actions">
        ${failed ? html`<${Button} kind="primary" onClick=${start('retry')}>Retry failed…<//>` : null}
        <${Button} onClick=${start('clear')}>Clear…<//>
        <${Button} onClick=${start('mark')}>Mark…<//>
        ${dialog}
    </div>`;
}
