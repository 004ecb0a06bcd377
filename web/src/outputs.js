// What a task put out, and why it is where it is.
import {html, enc, plural} from './lib.js';
import {useApi, runPath, taskName} from './api.js';
import {Ago, number, bytes} from './format.js';
import {Dot, isFinal, word} from './state.js';
import {Loaded, Command, Json, Copy} from './parts.js';
import {taskUrl} from './route.js';

export function Columns({columns}) {
    return html`<table class="list">
        <thead>
            <tr>
                <th>Column</th>
                <th>Type</th>
            </tr>
        </thead>
        <tbody>
            ${columns.map(
                (c) =>
                    html`<tr>
                        <td>${c.name}</td>
                        <td>${c.type}</td>
                    </tr>`,
            )}
        </tbody>
    </table>`;
}
// An artifact in a line, with all that is known of it behind it.
function Artifact({v}) {
    const line = [
        v.kind,
        v.rows != null && `${number(v.rows)} rows`,
        v.columns && plural(v.columns.length, 'column'),
        v.bytes != null && bytes(v.bytes),
    ]
        .filter(Boolean)
        .join(' · ');
    return html`<details>
        <summary>${line} <code class="muted">${v.artifact.slice(0, 15)}</code></summary>
        <p><code>${v.artifact}</code> <${Copy} text=${v.artifact} /></p>
        ${v.columns ? html`<${Columns} columns=${v.columns} />` : html`<${Json} value=${v} />`}
    </details>`;
}
function Value({v}) {
    if (v && typeof v.artifact === 'string') return html`<${Artifact} v=${v} />`;
    if (typeof v === 'object' && v) return html`<${Json} value=${v} />`;
    return typeof v === 'number' ? html`<span title=${String(v)}>${v}</span>` : String(v);
}
export function OutputTable({outputs}) {
    return html`<table class="list">
        <tbody>
            ${Object.entries(outputs).map(
                ([k, v]) =>
                    html`<tr>
                        <td style=${{width: '200px'}}>${k}</td>
                        <td><${Value} v=${v} /></td>
                    </tr>`,
            )}
        </tbody>
    </table>`;
}

function Reasons({run, t}) {
    const name = taskName(t);
    return t.reasons.map(
        (reason, i) =>
            html`<tr>
                <td>${i ? '' : html`<a href=${taskUrl(run, name)}>${name}</a>`}</td>
                <td>${i ? '' : html`<${Dot} state=${t.state} /> ${word(t.state)}`}</td>
                <td>${reason.text}</td>
                <td><${Ago} at=${reason.since} /></td>
            </tr>`,
    );
}
export function Explain({run, task}) {
    const why = useApi(`${runPath(run.id)}/explain${task ? '?task=' + enc(task) : ''}`, {
        on: (n, d) => (n === 'task' || n === 'run') && d.run === run.id,
        gap: 500,
        every: isFinal(run.state) ? 0 : 2000,
    });
    const command = `nexus explain ${run.id}${task ? ' ' + task : ''}`;
    return html`<${Loaded} of=${why}>${(d) =>
        html`<table class="list">
                <thead>
                    <tr>
                        <th>Task</th>
                        <th>State</th>
                        <th>Why</th>
                        <th>Since</th>
                    </tr>
                </thead>
                <tbody>
                    ${d.items.map((t) => html`<${Reasons} key=${taskName(t)} run=${run.id} t=${t} />`)}
                </tbody>
            </table>
            <${Command} text=${command} />`}</${Loaded}>`;
}
