// An attempt's log. Only the lines that are seen are asked for and drawn, however long it is; while
// the attempt runs its end is followed.
import {html, useState, useEffect, useRef, plural, remembered} from './lib.js';
import {taskPath} from './api.js';
import {bytes, number, clockTime, exactTime, zone} from './format.js';
import {useKeys, ErrorBox, Empty, copy} from './parts.js';
import {route, go, withQuery} from './route.js';
import {ansi, plain} from './ansi.js';
import {Lines, follow, LATER} from './lines.js';
import {Folds, endsGroup, ENGINE_TEXT} from './folds.js';
import {libraryRuns, FRAMES} from './trace.js';
import {useTall} from './tall.js';

const LINE_MAX = 4000,
    HITS_MAX = 1000,
    COPIED_MAX = 500,
    ERRORS = 'error|exception|traceback|fatal|panic',
    ERROR = new RegExp(ERRORS, 'i');
const NOTHING = {q: '', items: [], more: false, errors: false};

const wraps = remembered('log-wrap', 'yes');
const engine = remembered('log-engine', 'yes');
// The time of a line: off, since (the attempt began), clock. A phone has no room for it unless it is wanted.
export const times = remembered('log-time', innerWidth <= 640 ? 'off' : 'clock');

// ---- What is known of a log ----
const textOf = (lines, i) => plain((lines.line(i) || {text: ''}).text);
// The line after a frame: below it are its source and what is marked in that.
async function endOfFrame(lines, at) {
    const below = [at + 1, at + 2, at + 3].filter((i) => i < lines.lines);
    await lines.need(below);
    const end = below.find((i) => !/^\s{4}/.test(textOf(lines, i)));
    return end === undefined ? at + 1 + below.length : end;
}
// Looks for what is put away, in one go through the log; returns the lines with errors.
async function lookInto({lines, folds}, failed, signal) {
    folds.addGroups(lines.groups);
    folds.arrange();
    const words = [ENGINE_TEXT];
    if (failed || lines.groups.length) words.push(ERRORS);
    if (failed) words.push(FRAMES);
    const found = await lines.search(words.join('|'), HITS_MAX, signal);
    for (const f of found.items) folds.noteEngine(f.line - 1, f.text);
    // Of a long line only its beginning comes.
    const others = (f) => f.text.includes(FRAMES) || folds.engine.has(f.line - 1);
    const errors = found.items.filter((f) => ERROR.test(f.text) || !others(f));
    folds.addErrors(errors.map((e) => e.line - 1));
    for (const run of libraryRuns(found.items))
        folds.addFrames(run.from, run.to ?? (await endOfFrame(lines, run.end)), run.n);
    folds.arrange();
    return {items: errors, more: found.more};
}
// {ready, error}; text becomes {lines, folds}. onReady(errors): what is put away is known.
function useText(text, path, {running, failed, tall, atEnd, onReady}) {
    const chosen = useRef(new Map());
    const [ready, setReady] = useState(false),
        [error, setError] = useState(null);
    useEffect(() => {
        const stop = new AbortController(),
            signal = stop.signal;
        const lines = new Lines(path),
            folds = new Folds(chosen.current);
        folds.showEngine(engine.get() === 'yes');
        lines.onLine = (at, line) => {
            if (ERROR.test(line)) folds.noteError(at);
            folds.note(at, plain(line), tall.current.follows.current);
        };
        const take = (piece) => {
            lines.append(piece);
            folds.arrange();
            tall.current.draw();
        };
        const open = async () => {
            await lines.index(signal);
            if (running) await lines.openEnd();
            text.current = {lines, folds};
            tall.current.follows.current = running && atEnd;
            setReady(true);
            onReady.current(await lookInto(text.current, failed, signal));
            const address = () => `${path}?offset=${lines.size}&follow=true`;
            if (running) await follow({address, begin: () => lines.cut(), take, signal});
        };
        setReady(false);
        setError(null);
        open().catch((e) => e.name === 'AbortError' || setError(e));
        return () => stop.abort();
    }, [path, running]);
    return {ready, error, setError};
}

// ---- Where one is ----
// The lines of the address: #L7, #L7-L9.
function markedLines(hash) {
    const m = /^L(\d+)(?:-L?(\d+))?$/.exec(hash);
    if (!m) return null;
    const a = Number(m[1]),
        b = Number(m[2] || a);
    return {from: Math.min(a, b), to: Math.max(a, b)};
}
const hashOf = (from, to) => (from === to ? `L${from}` : `L${from}-L${to}`);
const lineNumber = (node) => {
    const row = node && (node.closest ? node : node.parentElement).closest('[data-n]');
    return row ? Number(row.dataset.n) : null;
};
// What is chosen with the pointer, else the lines of the address: {text, from, to}; null: nothing.
async function chosenText(lines, marked) {
    const selection = getSelection(),
        from = lineNumber(selection.anchorNode),
        to = lineNumber(selection.focusNode),
        said = selection.toString().trim();
    if (said && from && to) return {text: said, from: Math.min(from, to), to: Math.max(from, to)};
    if (!marked) return null;
    const last = Math.min(marked.to, marked.from + COPIED_MAX - 1, lines.lines);
    const numbers = [];
    for (let n = marked.from; n <= last; n++) numbers.push(n - 1);
    await lines.need(numbers);
    return {text: numbers.map((i) => textOf(lines, i)).join('\n'), ...marked};
}
async function copyWithLink(lines, marked) {
    const what = await chosenText(lines, marked);
    if (!what) return copy(location.href);
    const hash = hashOf(what.from, what.to);
    return copy(`${what.text}\n${location.origin}${withQuery({}, {hash})}`);
}
// The lines that are walked with n and N: those that were searched for, else those with an error.
function useHits(show, setError) {
    const [hits, setHits] = useState(NOTHING),
        [at, setAt] = useState(-1);
    const set = (found, {q, errors = false, move = true}) => {
        setHits({...found, q, errors});
        setAt(found.items.length ? 0 : -1);
        if (found.items.length && move) show(found.items[0].line);
    };
    const find = (lines, q, errors) =>
        lines.search(q, HITS_MAX).then((found) => set(found, {q, errors}), setError);
    const step = (by) => {
        const n = (at + by + hits.items.length) % hits.items.length;
        setAt(n);
        show(hits.items[n].line);
    };
    return {...hits, at, current: hits.items[at] && hits.items[at].line, set, find, step};
}

// ---- How it looks ----
// When a line came: by the clock, or since the attempt began.
export function When({at, start, how}) {
    if (how === 'off') return null;
    const text = !at ? '' : how === 'clock' ? clockTime(at) : sinceText(new Date(at) - start);
    return html`<time class="at" datetime=${at} title=${at ? exactTime(at) : 'not known yet'}
        >${text}</time
    >`;
}
function sinceText(ms) {
    const two = (n) => String(n).padStart(2, '0'),
        s = Math.max(0, ms) / 1000,
        minutes = Math.floor(s / 60);
    const rest = (s % 60).toFixed(3).padStart(6, '0');
    return minutes < 60
        ? `${minutes}:${rest}`
        : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${rest}`;
}
function LineText({line}) {
    if (!line) return html`<span class="tx">…</span>`;
    const shown = line.text.slice(0, LINE_MAX).replace(/\r$/, ''),
        more = Math.max(line.text.length, line.bytes) - LINE_MAX;
    return html`<span class="tx"
        >${ansi(shown)}${more > 0 ? html`<${Cut} n=${more} />` : null}</span
    >`;
}
const Cut = ({n}) => html`<span class="cut"> … ${number(n)} more characters in the raw log</span>`;
function Row({n, line, fold, marks, start, how, onToggle, choose}) {
    const body = fold
        ? html`<${FoldHead} fold=${fold} text=${line ? line.text : ''} onToggle=${onToggle} />`
        : html`<${LineText} line=${line} />`;
    return html`<div class=${['l', ...marks].join(' ')} data-n=${n}>
        <a class="no" tabindex="-1" href=${withQuery({}, {hash: 'L' + n})} onClick=${choose}
            >${n}</a
        >
        <${When} at=${line && line.at} start=${start} how=${how} />
        ${body}
    </div>`;
}
function FoldHead({fold, text, onToggle}) {
    const {kind, open, from, to, n} = fold;
    const name = kind === 'group' ? fold.name || 'group' : `${plural(n, 'frame')} of libraries`;
    const inside = kind === 'group' && to !== null ? plural(to - from - 2, 'line') : '';
    return html`<span class="tx fold ${kind}">
        <button type="button" class="plain" aria-expanded=${open} onClick=${() => onToggle(from)}>
            <i aria-hidden="true">${open ? '▾' : '▸'}</i> ${name}
        </button>
        ${open ? null : html`<span class="muted">${inside}</span>`}
        ${open && kind === 'frames' ? html`<span class="pre">${ansi(text)}</span>` : null}
    </span>`;
}
function Find({search, hits, onStep}) {
    const change = (e) => go(withQuery({find: e.target.value}), {replace: true});
    return html`<label
            ><span class="hidden">Search the log</span
            ><input
                id="log-find"
                type="search"
                placeholder="search (a|b)"
                value=${search}
                onChange=${change}
        /></label>
        <${Found} search=${search} hits=${hits} onStep=${onStep} />`;
}
function Found({search, hits, onStep}) {
    if (!hits.items.length)
        return search && hits.q === search
            ? html`<span class="muted">no line has it</span>`
            : html`<button type="button" onClick=${() => onStep(1)}>First error</button>`;
    const what = plural(hits.items.length, hits.errors ? 'error line' : 'line');
    return html`<span class="num">${hits.at + 1} of ${hits.more ? 'more than ' : ''}${what}</span
        ><button type="button" aria-label="Previous (N)" onClick=${() => onStep(-1)}>↑</button
        ><button type="button" aria-label="Next (n)" onClick=${() => onStep(1)}>↓</button>`;
}
export const Check = ({label, checked, onChange}) =>
    html`<label class="check"
        ><input type="checkbox" checked=${checked} onChange=${(e) => onChange(e.target.checked)} />
        ${label}</label
    >`;
export const flipWrap = () => wraps.set(yes(wraps.get() !== 'yes'));
export function Wrap() {
    const wrap = wraps.use();
    return html`<${Check} label="wrap" checked=${wrap === 'yes'} onChange=${flipWrap} />`;
}
export function Times() {
    const how = times.use();
    return html`<label class="pick-time"
        >time
        <select
            aria-label="Time of lines"
            value=${how}
            onChange=${(e) => times.set(e.target.value)}
        >
            <option value="clock">by the clock</option>
            <option value="since">since the start</option>
            <option value="off">off</option>
        </select></label
    >`;
}
const yes = (on) => (on ? 'yes' : 'no');

function Toolbar({text, find, file, path, onEngine, onCopy}) {
    const own = engine.use();
    const {lines, folds} = text || {};
    const raw = '/api/v1' + path;
    return html`<div class="toolbar">
        ${find}
        <div class="grow"></div>
        <${Times} /><${Wrap} />
        ${
            folds && folds.engine.size
                ? html`<${Check}
                      label="engine’s lines"
                      checked=${own === 'yes'}
                      onChange=${onEngine}
                  />`
                : null
        }
        <span class="muted num"
            >${lines && lines.lines === 1 ? '1 line' : `${number(lines ? lines.lines : 0)} lines`},
            ${bytes(lines ? lines.size : 0)}</span
        ><a href=${raw} target="_blank" rel="noreferrer">raw</a
        ><a href=${raw} download=${file}>download</a>
        <button type="button" class="link" onClick=${onCopy}>copy with the link</button>
    </div>`;
}
// A log without a line: why.
function Silence({running, waits, error}) {
    if (waits) return html`<${Empty}>It waits, and has written nothing yet.</${Empty}>`;
    if (running) return html`<${Empty}>It has written nothing yet.</${Empty}>`;
    return html`<${Empty}>It wrote nothing${error ? ` before it ended: ${error}` : ''}.</${Empty}>`;
}
export function Unseen({n, onEnd}) {
    if (n <= 0) return null;
    return html`<button type="button" class="pillbtn primary" onClick=${onEnd}>
        ↓ ${plural(n, 'new line')}
    </button>`;
}

// The lines that are seen, which are asked for. The last ones of a log that grows have no times yet.
function useSeen(text, {ready, running, tall, setError}) {
    const numbers = [];
    for (let row = tall.from; text && row < tall.to; row++) numbers.push(text.folds.lineOf(row));
    useEffect(() => {
        if (!text || !ready) return undefined;
        const ask = () => text.lines.need(numbers, tall.draw).catch(setError);
        ask();
        const later = running ? setTimeout(ask, LATER) : null;
        return () => clearTimeout(later);
    }, [numbers[0], numbers[numbers.length - 1], numbers.length, ready]);
    return numbers;
}
// How a line is marked: by the address, by a search, and by who wrote it.
function marksOf(i, {lines, folds}, {marked, current, errorLines}) {
    const line = lines.line(i),
        stream = line && line.stream;
    return [
        marked && marked.from <= i + 1 && i + 1 <= marked.to && 'mark',
        current === i + 1 && 'hit',
        errorLines.has(i + 1) && 'bad',
        stream === 'err' && 'stderr',
        (stream ? stream === 'nexus' : folds.engine.has(i)) && 'engine',
        line && endsGroup(line.text) && 'end',
    ].filter(Boolean);
}
// A click on a number puts the line into the address; with Shift all from the one that is there.
function choose(e, marked) {
    const n = lineNumber(e.target);
    const from = e.shiftKey && marked ? Math.min(marked.from, n) : n,
        to = e.shiftKey && marked ? Math.max(marked.to, n) : n;
    e.preventDefault();
    go(withQuery({}, {hash: hashOf(from, to)}), {replace: true});
}

// waits: its task is deferred, and need not write anything.
export function Log({run, task, attempt, started, running, waits, failed, error: why}) {
    const path = `${taskPath(run, task)}/attempts/${attempt}/log`;
    const {query, hash} = route.use(),
        marked = markedLines(hash),
        search = query.get('find') || '';
    const how = times.use();
    zone.use();
    const now = useRef(null),
        tallNow = useRef(null),
        onReady = useRef(null),
        seen = useRef(0);
    const rows = () => (now.current ? now.current.folds.rows(now.current.lines.lines) : 0);
    const tall = (tallNow.current = useTall(rows, running));
    const {ready, error, setError} = useText(now, path, {
        running,
        failed,
        tall: tallNow,
        atEnd: !marked,
        onReady,
    });
    const text = now.current;
    const showLine = (n) => {
        const {folds} = now.current;
        folds.reveal(n - 1);
        tall.showRow(folds.rowOf(n - 1));
    };
    const hits = useHits(showLine, setError);
    // Where to look first.
    onReady.current = (errors) => {
        if (errors.items.length && failed && !search)
            hits.set(errors, {q: ERRORS, errors: true, move: false});
        requestAnimationFrame(() => {
            if (marked) showLine(marked.from);
            else if (failed && errors.items.length && !search) showLine(errors.items[0].line);
            else if ((failed && !search) || running) tall.toEnd();
            else tall.draw();
        });
    };
    useEffect(() => {
        if (marked && ready) showLine(marked.from);
    }, [hash, ready]);
    useEffect(() => {
        if (search && ready) hits.find(text.lines, search, false);
    }, [search, ready]);
    const step = (by) => {
        if (!text) return;
        if (hits.items.length) hits.step(by);
        else hits.find(text.lines, search || ERRORS, !search);
    };
    // What is at the top stays there when lines are put away.
    const keepTop = (change) => {
        const {folds} = text,
            line = folds.lineOf(Math.floor(tall.top()));
        change(folds);
        if (tall.follows.current) tall.draw();
        else tall.moveTo(folds.rowOf(line));
    };
    const showEngine = (on) => {
        engine.set(yes(on));
        keepTop((folds) => folds.showEngine(on));
    };
    useKeys({
        n: () => step(1),
        N: () => step(-1),
        f: tall.toEnd,
        w: flipWrap,
        y: () => text && copyWithLink(text.lines, marked),
        '/': () => document.getElementById('log-find').focus(),
    });
    const numbers = useSeen(text, {ready, running, tall, setError});
    if (tall.follows.current || !ready) seen.current = rows();
    const errorLines = new Set(hits.errors ? hits.items.map((h) => h.line) : []);
    const row = (i) =>
        html`<${Row}
            key=${i}
            n=${i + 1}
            line=${text.lines.line(i)}
            fold=${text.folds.heads.get(i)}
            marks=${marksOf(i, text, {marked, current: hits.current, errorLines})}
            start=${new Date(started)}
            how=${how}
            onToggle=${(from) => keepTop((folds) => folds.toggle(from))}
            choose=${(e) => choose(e, marked)}
        />`;
    const silent = ready && !text.lines.lines;
    return html`<${Toolbar}
            text=${text}
            find=${html`<${Find} search=${search} hits=${hits} onStep=${step} />`}
            file=${`${run}-${task}-${attempt}.log`}
            path=${path}
            onEngine=${showEngine}
            onCopy=${() => text && copyWithLink(text.lines, marked)}
        />
        <${ErrorBox} error=${error} what="The log could not be loaded" />
        ${
            silent && (!running || waits)
                ? null
                : html`<${LogBox}
                      tall=${tall}
                      label=${`Log of ${task}, attempt ${attempt}`}
                      rows=${numbers.map(row)}
                      unseen=${running ? rows() - seen.current : 0}
                  />`
        }
        ${silent ? html`<${Silence} running=${running} waits=${waits} error=${why} />` : null}`;
}
export function LogBox({tall, label, rows, unseen}) {
    const wrap = wraps.use();
    return html`<div class="logwrap">
        <div
            class=${'log' + (wrap === 'yes' ? '' : ' nowrap')}
            ref=${tall.box}
            onScroll=${tall.scrolled}
            tabindex="0"
            role="log"
            aria-live="off"
            aria-label=${label}
        >
            <div style=${{height: tall.height + 'px'}}></div>
            <div class="window" ref=${tall.win}>${rows}</div>
        </div>
        <${Unseen} n=${unseen} onEnd=${tall.toEnd} />
    </div>`;
}
