// Times, durations, numbers and bytes as people read them.
import {html, remembered, clock} from './lib.js';

export const zone = remembered('zone', 'local'); // utc, local, dag
export const dagZone = {name: null}; // of the DAG that is looked at

function zoneName() {
    if (zone.get() === 'utc') return 'UTC';
    if (zone.get() === 'dag' && dagZone.name) return dagZone.name;
    return undefined;
}
const formats = new Map();
function formatter(options) {
    const key = JSON.stringify([zoneName(), options]);
    if (!formats.has(key))
        formats.set(
            key,
            new Intl.DateTimeFormat('en-GB', {timeZone: zoneName(), hourCycle: 'h23', ...options}),
        );
    return formats.get(key);
}
export function shortTime(at) {
    const d = new Date(at);
    return d.getFullYear() === new Date().getFullYear()
        ? formatter({day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit'})
              .format(d)
              .replace(',', '')
        : formatter({
              day: 'numeric',
              month: 'short',
              year: 'numeric',
              hour: '2-digit',
              minute: '2-digit',
          })
              .format(d)
              .replace(',', '');
}
export const clockTime = (at) =>
    formatter({hour: '2-digit', minute: '2-digit', second: '2-digit'}).format(new Date(at));
export const dayTime = (at) =>
    formatter({
        weekday: 'short',
        day: 'numeric',
        month: 'short',
        hour: '2-digit',
        minute: '2-digit',
    })
        .format(new Date(at))
        .replace(/,/g, '');
export function exactTime(at) {
    return formatter({
        year: 'numeric',
        month: 'short',
        day: 'numeric',
        hour: '2-digit',
        minute: '2-digit',
        second: '2-digit',
        fractionalSecondDigits: 3,
        timeZoneName: 'short',
    })
        .format(new Date(at))
        .replace(',', '');
}
export function duration(s) {
    if (s == null || Number.isNaN(s)) return '–';
    if (s < 1) return `${Math.max(0, Math.round(s * 1000))} ms`;
    if (s < 10) return `${s.toFixed(1)} s`;
    if (s < 60) return `${Math.round(s)} s`;
    const two = (n) => String(n).padStart(2, '0');
    if (s < 3600) return `${Math.floor(s / 60)} min ${two(Math.floor(s % 60))} s`;
    if (s < 86400) return `${Math.floor(s / 3600)} h ${two(Math.floor((s % 3600) / 60))} min`;
    return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}
function rough(s) {
    if (s < 60) return `${Math.floor(s)} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min`;
    if (s < 86400) return `${Math.floor(s / 3600)} h`;
    return `${Math.floor(s / 86400)} d`;
}
export function ago(at, now = Date.now()) {
    const s = (now - new Date(at)) / 1000;
    if (Math.abs(s) >= 86400) return shortTime(at);
    if (s < 0) return s > -1 ? 'now' : 'in ' + rough(-s);
    return s < 2 ? 'just now' : rough(s) + ' ago';
}
export function number(v) {
    if (v == null) return '–';
    if (Number.isInteger(v)) return v.toLocaleString('en-GB').replace(/,/g, '\u202f');
    return Number(v.toPrecision(4)).toString();
}
export function bytes(n) {
    if (n == null) return '–';
    const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
    let i = 0;
    for (; n >= 1024 && i < 4; i++) n /= 1024;
    return `${i && n < 10 ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
}
// "2 of 3": what workers lost counts as no try, so that there may be more attempts than tries.
export const attemptOf = ({attempt, max_attempts: max}, of = ' of ') =>
    attempt > max ? String(attempt) : `${attempt}${of}${max}`;
export const seconds = (from, to) =>
    from ? (new Date(to || Date.now()) - new Date(from)) / 1000 : null;

export function Ago({at}) {
    const now = clock.use();
    zone.use();
    if (!at) return html`<span class="muted">–</span>`;
    return html`<time datetime=${at} title=${exactTime(at)}>${ago(at, now)}</time>`;
}
export function Time({at}) {
    zone.use();
    if (!at) return html`<span class="muted">–</span>`;
    return html`<time datetime=${at} title=${exactTime(at)}>${shortTime(at)}</time>`;
}
// How long something took, or has taken until now.
export function Took({from, to}) {
    if (!from) return html`<span class="muted">–</span>`;
    return to
        ? html`<span class="num">${duration(seconds(from, to))}</span>`
        : html`<${Ticking} from=${from} />`;
}
function Ticking({from}) {
    const now = clock.use();
    return html`<span class="num"
        >${duration(Math.max(0, Math.floor((now - new Date(from)) / 1000)))}</span
    >`;
}
