// States: glyph, letter, word. The colours are in style.css, by the same names.
import {html} from './lib.js';

export const STATES = {
    success: ['✓', 's'],
    failed: ['✕', 'f'],
    upstream_failed: ['⇣', 'u'],
    skipped: ['»', 'k'],
    cancelled: ['⊘', 'c'],
    removed: ['–', 'x'],
    running: ['▶', 'r'],
    leased: ['▷', 'l'],
    queued: ['≡', 'q'],
    waiting: ['○', 'w'],
    deciding: ['?', 'd'],
    deferred: ['◷', 'z'],
    retrying: ['↻', 't'],
    stopping: ['■', 'p'],
};
export const ORDER = [
    'failed',
    'upstream_failed',
    'stopping',
    'retrying',
    'running',
    'leased',
    'deferred',
    'queued',
    'deciding',
    'waiting',
    'cancelled',
    'skipped',
    'removed',
    'success',
];
export const LETTERS = Object.fromEntries(
    Object.entries(STATES).map(([name, [, letter]]) => [letter, name]),
);
const OUTCOMES = {
    timeout: 'failed',
    memory: 'failed',
    lost: 'failed',
    paused: 'deferred',
    pending: 'queued',
    sent: 'success',
    online: 'success',
    offline: 'cancelled',
    draining: 'stopping',
    done: 'success',
    open: 'deferred',
    ok: 'success',
};
export const stateOf = (name) => (STATES[name] ? name : OUTCOMES[name] || 'waiting');
export const isFinal = (s) =>
    ['success', 'failed', 'upstream_failed', 'skipped', 'cancelled', 'removed'].includes(s);
export const glyph = (name) => STATES[stateOf(name)][0];
export const word = (name) => name.replace(/_/g, ' ');

export const Pill = ({state, word: text, title}) =>
    html`<span class="pill s-${stateOf(state)}" title=${title}
        ><i aria-hidden="true">${glyph(state)}</i> ${text || word(state)}</span
    >`;
export const Dot = ({state}) =>
    html`<span
        class="dot s-${stateOf(state)}"
        role="img"
        aria-label=${word(state)}
        title=${word(state)}
        >${glyph(state)}</span
    >`;

// "success, 1 task failed" is written, not hidden.
export function runWord(run) {
    const n = (run.counts || {}).failed;
    return run.state === 'success' && n ? `success, ${n} failed` : run.state;
}

export function CountsBar({counts, href}) {
    const total = Object.values(counts).reduce((a, b) => a + b, 0);
    if (!total) return null;
    const parts = ORDER.filter((s) => counts[s]);
    return html`<div
        class="counts"
        role="group"
        aria-label=${parts.map((s) => `${counts[s]} ${word(s)}`).join(', ')}
    >
        ${parts.map(
            (s) =>
                html`<a
                    class="s-${s} part"
                    href=${href ? href(s) : undefined}
                    style=${{flexGrow: counts[s]}}
                    title="${counts[s]} ${word(s)}"
                    ><i>${STATES[s][0]}</i> ${counts[s]} ${word(s)}</a
                >`,
        )}
    </div>`;
}
