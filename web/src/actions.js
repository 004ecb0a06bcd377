// What people do to runs: retry, clear, mark, cancel, note, run again, delete. Each says first, by a
// dry run, what it would change.
import {html, useState, useEffect, useRef, plural} from './lib.js';
import {call, post, runPath} from './api.js';
import {Dialog, ErrorBox, Command, toast, useKeys} from './parts.js';
import {Dot, word, isFinal} from './state.js';
import {go, runUrl, dagUrl} from './route.js';

// The answer of a dry run of `path` with `body`; again whenever they change.
function usePlan(path, body) {
    const [state, set] = useState({});
    const key = JSON.stringify([path, body]);
    useEffect(() => {
        let gone = false;
        const timer = setTimeout(() => {
            post(path, {...body, dry_run: true}).then(
                (plan) => gone || set({key, plan}),
                (error) => gone || set({key, error}),
            );
        }, 80);
        return () => {
            gone = true;
            clearTimeout(timer);
        };
    }, [key]);
    return state.key === key ? state : {};
}
function Changed({plan}) {
    const list = plan.changed || [];
    if (!list.length) return html`<p class="empty">Nothing would change.</p>`;
    return html`<div
        class="scroller"
        tabindex="0"
        role="group"
        aria-label="What would change"
        style=${{maxHeight: '240px'}}
    >
        <table class="list">
            <thead>
                <tr>
                    <th>Task</th>
                    <th>Is</th>
                    <th>Becomes</th>
                </tr>
            </thead>
            <tbody>
                ${list.slice(0, 500).map(
                    (c) =>
                        html`<tr>
                            <td>${c.task}${c.map_index == null ? '' : `[${c.map_index}]`}</td>
                            <td><${Dot} state=${c.before} /> ${word(c.before)}</td>
                            <td><${Dot} state=${c.after} /> ${word(c.after)}</td>
                        </tr>`,
                )}
            </tbody>
        </table>
        ${list.length > 500 ? html`<p class="muted">and ${list.length - 500} more</p>` : null}
    </div>`;
}
function Confirm({plan, error, verb, onClose, doIt, danger, busy}) {
    const n = plan && plan.changed ? plan.changed.length : 0;
    return html`${error ? html`<${ErrorBox} error=${error} what="Not possible" />` : plan ? html`<${Changed} plan=${plan} />` : html`<p class="muted">Looking what would change …</p>`}
        <p class="actions">
            <button
                type="button"
                class=${danger ? 'danger' : 'primary'}
                disabled=${!plan || !n || busy}
                onClick=${doIt}
            >
                ${verb} ${n ? plural(n, 'task') : ''}
            </button>
            <button type="button" onClick=${onClose}>Leave it</button>
        </p>`;
}
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

function TaskChoice({tasks, chosen, set}) {
    if (!tasks) return null;
    return html`<label
        >Tasks
        <select
            multiple
            size=${Math.min(6, tasks.length)}
            style=${{width: '100%'}}
            aria-label="Tasks"
            onChange=${(e) => set([...e.target.selectedOptions].map((o) => o.value))}
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

function Clear({run, task, tasks, onClose}) {
    const [chosen, setChosen] = useState(task ? [task] : tasks || []);
    const [up, setUp] = useState(false);
    const [down, setDown] = useState(true);
    const body = {tasks: chosen, upstream: up, downstream: down};
    const plan = usePlan(runPath(run) + '/clear', body);
    const [state, write] = useWrite(() => {
        toast('Cleared: decided again now', {href: runUrl(run)});
        onClose();
    });
    return html`<${Dialog} title=${`Clear tasks of run ${run}`} onClose=${onClose}>
        <p class="muted">Their results are forgotten and they are decided again. Logs of former attempts stay.</p>
        <${TaskChoice} tasks=${tasks} chosen=${chosen} set=${setChosen} />
        <p><${Check} label="and all upstream" value=${up} set=${setUp} /><${Check} label="and all downstream" value=${down} set=${setDown} /></p>
        <${Confirm} plan=${plan.plan} error=${state.error || plan.error} busy=${state.busy} verb="Clear" onClose=${onClose} doIt=${() => write('POST', runPath(run) + '/clear', body)} />
        <${Command} text=${`nexus runs clear ${run} ${chosen.join(' ')}${flags({upstream: up, downstream: down})}`} />
    </${Dialog}>`;
}
function Mark({run, task, tasks, onClose}) {
    const [chosen, setChosen] = useState(task ? [task] : []);
    const [to, setTo] = useState('success');
    const [down, setDown] = useState(false);
    const body = {tasks: chosen, state: to, downstream: down};
    const plan = usePlan(runPath(run) + '/mark', body);
    const [state, write] = useWrite(() => {
        toast(`Marked as ${to}`, {href: runUrl(run)});
        onClose();
    });
    return html`<${Dialog} title=${`Mark tasks of run ${run}`} onClose=${onClose}>
        <${TaskChoice} tasks=${tasks} chosen=${chosen} set=${setChosen} />
        <p>${['success', 'failed'].map((s) => html`<label class="check"><input type="radio" name="to" checked=${to === s} onChange=${() => setTo(s)} /> <${Dot} state=${s} /> ${s}</label>`)}
            <${Check} label="and all downstream" value=${down} set=${setDown} /></p>
        ${chosen.length ? html`<${Confirm} plan=${plan.plan} error=${state.error || plan.error} busy=${state.busy} verb=${`Mark as ${to}:`} onClose=${onClose} doIt=${() => write('POST', runPath(run) + '/mark', body)} />` : html`<p class="empty">Choose a task.</p>`}
    </${Dialog}>`;
}
function Retry({run, task, onClose}) {
    const body = task ? {from: task} : {failed: true};
    const plan = usePlan(runPath(run) + '/retry', body);
    const [state, write] = useWrite(() => {
        toast(`Run ${run} goes on`);
        onClose();
    });
    return html`<${Dialog} title=${task ? `Retry from ${task}` : `Retry what failed in run ${run}`} onClose=${onClose}>
        <${Confirm} plan=${plan.plan} error=${state.error || plan.error} busy=${state.busy} verb="Retry" onClose=${onClose} doIt=${() => write('POST', runPath(run) + '/retry', body)} />
        <${Command} text=${`nexus runs retry ${run} ${task ? '--from ' + task : '--failed'}`} /></${Dialog}>`;
}
function Cancel({run, onClose}) {
    const [state, write] = useWrite(() => {
        toast(`Run ${run} is being cancelled`);
        onClose();
    });
    return html`<${Dialog} title=${`Cancel run ${run}?`} onClose=${onClose}><p>Running tasks are stopped; tasks that always run at the end still do.</p>
        ${state.error ? html`<${ErrorBox} error=${state.error} what="Not cancelled" />` : null}
        <p class="actions"><button type="button" class="danger" disabled=${state.busy} onClick=${() => write('POST', runPath(run) + '/cancel', {})}>Cancel 1 run</button>
        <button type="button" onClick=${onClose}>Let it run</button></p><${Command} text=${`nexus runs cancel ${run}`} /></${Dialog}>`;
}
function Note({run, note, onClose}) {
    const [text, setText] = useState(note || '');
    const [state, write] = useWrite(onClose);
    const box = useRef(null);
    useEffect(() => box.current.focus(), []);
    return html`<${Dialog} title=${`Note on run ${run}`} onClose=${onClose}><textarea ref=${box} rows="4" aria-label="Note" value=${text} onInput=${(e) => setText(e.target.value)}></textarea>
        ${state.error ? html`<${ErrorBox} error=${state.error} what="Not saved" />` : null}
        <p class="actions"><button type="button" class="primary" disabled=${state.busy} onClick=${() => write('PATCH', runPath(run), {note: text})}>Save the note</button>
        <button type="button" onClick=${onClose}>Leave it</button></p></${Dialog}>`;
}
function Rerun({run, onClose}) {
    const [state, write] = useWrite((made) => {
        toast(`Run ${made.id} was made`);
        onClose();
        go(runUrl(made.id));
    });
    return html`<${Dialog} title=${`Run ${run} again`} onClose=${onClose}><p>A new run of the current version, with the same params and data interval. The old one stays.</p>
        ${state.error ? html`<${ErrorBox} error=${state.error} what="Not possible" />` : null}
        <p class="actions"><button type="button" class="primary" disabled=${state.busy} onClick=${() => write('POST', runPath(run) + '/rerun', {})}>Run again</button>
        <button type="button" onClick=${onClose}>Leave it</button></p></${Dialog}>`;
}
function Delete({run, dag, onClose}) {
    const [state, write] = useWrite(() => {
        toast(`Run ${run} was deleted`);
        onClose();
        go(dagUrl(dag));
    });
    return html`<${Dialog} title=${`Delete run ${run}?`} onClose=${onClose}><p>Its results and logs are taken away for good.</p>
        ${state.error ? html`<${ErrorBox} error=${state.error} what="Not deleted" />` : null}
        <p class="actions"><button type="button" class="danger" disabled=${state.busy} onClick=${() => write('DELETE', runPath(run))}>Delete 1 run</button>
        <button type="button" onClick=${onClose}>Keep it</button></p></${Dialog}>`;
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

// The buttons of a run, or of a task of it.
export function Actions({run, task, tasks, explain}) {
    const [open, setOpen] = useState(null);
    const ended = isFinal(run.state),
        failed = (run.counts.failed || 0) + (run.counts.upstream_failed || 0) > 0;
    const close = () => setOpen(null);
    const start = (name) => () => {
        setOpen(name);
        return true;
    };
    useKeys({R: start('retry'), C: start('clear')});
    const names = tasks ? [...new Set(tasks)] : null;
    const Part = open && DIALOGS[open];
    return html`<div class="actions sticky">
        ${task ? html`<button type="button" onClick=${start('retry')}>Retry from here</button>` : failed ? html`<button type="button" class="primary" onClick=${start('retry')}>Retry failed</button>` : null}
        <button type="button" onClick=${start('clear')}>Clear…</button>
        <button type="button" onClick=${start('mark')}>Mark…</button>
        ${ended || task ? null : html`<button type="button" class="danger" onClick=${start('cancel')}>Cancel</button>`}
        ${task ? null : html`<button type="button" onClick=${start('rerun')}>Run again…</button><button type="button" onClick=${start('note')}>Note…</button>`}
        ${ended && !task ? html`<button type="button" class="danger" onClick=${start('delete')}>Delete…</button>` : null}
        ${explain ? html`<a class="button" href=${explain}>Explain</a>` : null}
        ${Part ? html`<${Part} run=${run.id} dag=${run.dag} note=${run.note} task=${task} tasks=${names} onClose=${close} />` : null}
    </div>`;
}
