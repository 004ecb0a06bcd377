// An attempt's log. Only the lines that are seen are asked for and drawn, however long it is; while
// the attempt runs its end is followed.
import {html, useState, useEffect, useLayoutEffect, useRef, clamp, plural, enc} from './lib.js';
import {get, taskPath} from './api.js';
import {bytes, number} from './format.js';
import {useKeys, ErrorBox, Empty, copy} from './parts.js';
import {route, go, withQuery} from './route.js';

const LINE = 18,
    ROWS_MAX = 400,
    LINE_MAX = 4000,
    TALL = 4e6,
    ERRORS = 'error|exception|traceback|fatal|panic';

// ---- Text with colours ----
export function ansi(text) {
    const parts = [];
    let classes = [],
        at = 0;
    const re = /\x1b\[([0-9;]*)([A-Za-z])/g;
    for (let m; (m = re.exec(text));) {
        if (m.index > at) parts.push([classes.join(' '), text.slice(at, m.index)]);
        at = re.lastIndex;
        if (m[2] !== 'm') continue;
        for (const code of (m[1] || '0').split(';').map(Number)) {
            if (code === 0) classes = [];
            else if (code === 22) classes = classes.filter((c) => c !== 'a1' && c !== 'a2');
            else if (code === 39) classes = classes.filter((c) => !/^a3\d$/.test(c));
            else if (code >= 30 && code <= 37)
                classes = [...classes.filter((c) => !/^a3\d$/.test(c)), 'a' + code];
            else if (code >= 90 && code <= 97)
                classes = [...classes.filter((c) => !/^a3\d$/.test(c)), 'a' + (code - 60)];
            else if (code >= 1 && code <= 4) classes = [...classes, 'a' + code];
        }
    }
    if (at < text.length) parts.push([classes.join(' '), text.slice(at)]);
    return parts.map(([c, t]) => (c ? html`<span class=${c}>${t}</span>` : t));
}

// ---- Where the lines are: offsets of every n-th, and pieces of text by mark ----
class Lines {
    constructor(path) {
        this.path = path;
        this.offsets = [0];
        this.every = 64;
        this.lines = 0;
        this.size = 0;
        this.pieces = new Map(); // number of the mark -> its lines
        this.flying = new Set();
        this.tail = ''; // an unfinished last line
        this.decoder = new TextDecoder();
        this.wide = new TextEncoder();
    }
    async index(signal) {
        const d = await get(this.path + '/lines', {signal});
        Object.assign(this, {
            offsets: d.offsets.length ? d.offsets : [0],
            every: d.every,
            lines: d.lines,
            size: d.bytes,
        });
        this.pieces.clear();
    }
    // What followed: lines are appended to the last piece.
    append(text, n_bytes) {
        let begin = this.size - this.wide.encode(this.tail).length;
        if (this.tail) {
            this.lines--;
            this.dropLast();
        }
        const parts = (this.tail + text).split('\n');
        this.tail = parts.pop();
        for (const line of parts) {
            this.push(line, begin);
            begin += this.wide.encode(line).length + 1;
        }
        if (this.tail) this.push(this.tail, begin);
        this.size += n_bytes;
    }
    push(line, offset) {
        const mark = Math.floor(this.lines / this.every);
        if (this.lines % this.every === 0) {
            this.offsets[mark] = offset;
            this.pieces.set(mark, []);
        }
        const piece = this.pieces.get(mark);
        if (piece && piece.length === this.lines % this.every) piece.push(line);
        this.lines++;
    }
    dropLast() {
        const piece = this.pieces.get(Math.floor(this.lines / this.every));
        if (piece && piece.length) piece.pop();
    }
    line(i) {
        const piece = this.pieces.get(Math.floor(i / this.every));
        return piece ? piece[i % this.every] : undefined;
    }
    async need(from, to, done) {
        for (
            let mark = Math.floor(from / this.every);
            mark <= Math.floor(Math.max(from, to - 1) / this.every);
            mark++
        ) {
            if (mark >= this.offsets.length || this.pieces.has(mark) || this.flying.has(mark))
                continue;
            this.flying.add(mark);
            const start = this.offsets[mark],
                end = mark + 1 < this.offsets.length ? this.offsets[mark + 1] : this.size;
            try {
                // Very long lines are cut here and whole in the raw log.
                const text =
                    end > start
                        ? await get(
                              `${this.path}?offset=${start}&limit=${Math.min(end - start, 8e6)}`,
                          )
                        : '';
                const lines = text.split('\n');
                if (lines[lines.length - 1] === '' && text) lines.pop();
                this.pieces.set(mark, lines.slice(0, this.every));
                while (this.pieces.size > 64) this.pieces.delete(this.pieces.keys().next().value);
                done();
            } finally {
                this.flying.delete(mark);
            }
        }
    }
}

export function Log({run, task, attempt, running, failed}) {
    const path = `${taskPath(run, task)}/attempts/${attempt}/log`;
    const [error, setError] = useState(null),
        [ready, setReady] = useState(false);
    const [, redraw] = useState(0);
    const lines = useRef(null);
    const box = useRef(null),
        win = useRef(null);
    const place = useRef({line: 0, px: 0}); // the line at the top, with its fraction; where that scrolls to
    const [wrap, setWrap] = useState(true);
    const follows = useRef(running),
        [unseen, setUnseen] = useState(0);
    const {query, hash} = route.use();
    const marked = /^L\d+$/.test(hash) ? Number(hash.slice(1)) : null;
    const search = query.get('find') || '';
    const [hits, setHits] = useState({q: '', items: []}),
        [hit, setHit] = useState(-1);
    const draw = () => redraw((n) => n + 1);

    const L = lines.current;
    const total = L ? L.lines : 0;
    const scale = total * LINE > TALL ? TALL / (total * LINE) : 1;
    const tall = Math.max(1, Math.round(total * LINE * scale));
    const shown = box.current
        ? Math.min(ROWS_MAX, Math.ceil(box.current.clientHeight / LINE) + 4)
        : 60;

    // Where a log is too tall for a browser a pixel is many lines: then the line is what counts.
    const moveTo = (line) => {
        const el = box.current,
            l = lines.current;
        if (!el || !l) return;
        const per = LINE * (l.lines * LINE > TALL ? TALL / (l.lines * LINE) : 1);
        place.current.line = clamp(line, 0, Math.max(0, l.lines - 1));
        el.scrollTop = place.current.line * per;
        place.current.px = el.scrollTop;
        draw();
    };
    const showLine = (n) => {
        follows.current = false;
        if (box.current) moveTo(n - 1 - Math.floor(box.current.clientHeight / LINE / 3));
    };
    useEffect(() => {
        const el = box.current;
        if (!el || scale === 1) return undefined;
        const wheel = (e) => {
            if (e.ctrlKey || e.shiftKey) return;
            e.preventDefault();
            follows.current = false;
            moveTo(place.current.line + (e.deltaMode ? e.deltaY * 3 : e.deltaY / LINE));
        };
        const key = (e) => {
            const page = Math.floor(el.clientHeight / LINE) - 2,
                by = {ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, ' ': page}[e.key];
            if (!by) return;
            e.preventDefault();
            moveTo(place.current.line + by);
        };
        el.addEventListener('wheel', wheel, {passive: false});
        el.addEventListener('keydown', key);
        return () => {
            el.removeEventListener('wheel', wheel);
            el.removeEventListener('keydown', key);
        };
    }, [scale, ready]);
    const toEnd = () => {
        follows.current = true;
        setUnseen(0);
        if (box.current) box.current.scrollTop = box.current.scrollHeight;
    };
    const find = async (q, onFound) => {
        try {
            const items = [];
            let cursor = null;
            do {
                const page = await get(
                    `${path}/search?q=${enc(q)}&limit=1000${cursor ? '&cursor=' + cursor : ''}`,
                );
                items.push(...page.items);
                cursor = page.next;
            } while (cursor && items.length < 1000);
            onFound(items, !!cursor);
        } catch (e) {
            setError(e);
        }
    };
    // The beginning: the index, then where to look first, then what follows.
    useEffect(() => {
        const stop = new AbortController();
        const l = (lines.current = new Lines(path));
        follows.current = running && !marked;
        setReady(false);
        setError(null);
        // A tab that nobody sees gives its connection back: a browser has six for a server.
        const seen = () =>
            new Promise((done) => {
                const look = () => {
                    if (document.hidden && !stop.signal.aborted) return;
                    document.removeEventListener('visibilitychange', look);
                    done();
                };
                document.addEventListener('visibilitychange', look);
                stop.signal.addEventListener('abort', look);
                look();
            });
        const followOnce = async () => {
            const pause = new AbortController();
            const hide = () => document.hidden && pause.abort();
            document.addEventListener('visibilitychange', hide);
            stop.signal.addEventListener('abort', () => pause.abort());
            try {
                return await read(pause.signal);
            } catch (e) {
                if (e.name !== 'AbortError') throw e;
                return false;
            } finally {
                document.removeEventListener('visibilitychange', hide);
            }
        };
        // True: the attempt has ended. What is read after a pause or a cut begins where it ended.
        const follow = async () => {
            for (let lost = 0; !stop.signal.aborted;) {
                await seen();
                try {
                    if (stop.signal.aborted || (await followOnce())) return;
                    lost = 0;
                } catch (e) {
                    if (++lost > 20) throw e;
                    await new Promise((done) => setTimeout(done, Math.min(250 * lost, 2000)));
                }
                l.decoder = new TextDecoder();
            }
        };
        const read = async (signal) => {
            const answer = await fetch(`/api/v1${path}?offset=${l.size}&follow=true`, {
                signal,
                cache: 'no-store',
            });
            if (!answer.ok) return true;
            const reader = answer.body.getReader();
            for (;;) {
                const {value, done} = await reader.read();
                if (done) return true;
                const before = l.lines;
                l.append(l.decoder.decode(value, {stream: true}), value.length);
                if (!follows.current) setUnseen((n) => n + l.lines - before);
                draw();
            }
        };
        (async () => {
            await l.index(stop.signal);
            setReady(true);
            if (marked) setReady(true);
            else if (failed)
                find(ERRORS, (items) => {
                    // The first error of the last burst: nearest to where it gave up.
                    requestAnimationFrame(() => (items.length ? showLine(items[0].line) : toEnd()));
                    setHits({q: ERRORS, items, errors: true});
                    setHit(items.length ? 0 : -1);
                });
            else if (running) requestAnimationFrame(toEnd);
            if (running) await follow();
        })().catch((e) => e.name === 'AbortError' || setError(e));
        return () => stop.abort();
    }, [path, running]);
    useEffect(() => {
        if (marked && ready) showLine(marked);
    }, [marked, ready]);
    useEffect(() => {
        if (!search || !ready) return;
        find(search, (items, more) => {
            setHits({q: search, items, more});
            setHit(items.length ? 0 : -1);
            if (items.length) showLine(items[0].line);
        });
    }, [search, ready]);
    useLayoutEffect(() => {
        if (follows.current && box.current) box.current.scrollTop = box.current.scrollHeight;
    });
    // The window sits where the scroll is: the first line by the part of it that is scrolled away; at
    // the very end it ends with the log.
    useLayoutEffect(() => {
        const el = box.current,
            w = win.current;
        if (!el || !w) return;
        const end = el.scrollTop + el.clientHeight >= el.scrollHeight - 1;
        const top = w.querySelector('.l'),
            part = place.current.line % 1;
        const y =
            end && w.offsetHeight > el.clientHeight
                ? el.scrollTop + el.clientHeight - w.offsetHeight
                : el.scrollTop - part * (top ? top.offsetHeight : LINE);
        w.style.transform = `translateY(${Math.max(end ? -1e9 : 0, y)}px)`;
    });
    const scrolled = () => {
        const el = box.current,
            end = el.scrollTop + el.clientHeight >= el.scrollHeight - 4;
        if (running) {
            if (!end) follows.current = false;
            else if (!follows.current) toEnd();
        }
        if (Math.abs(el.scrollTop - place.current.px) >= 1) {
            place.current.line = el.scrollTop / (LINE * scale);
            place.current.px = el.scrollTop;
        }
        draw();
    };
    const step = (by) => () => {
        const list = hits.items;
        if (!list.length)
            return find(search || ERRORS, (items) => {
                setHits({q: search || ERRORS, items, errors: !search});
                setHit(0);
                if (items.length) showLine(items[0].line);
            });
        const n = (hit + by + list.length) % list.length;
        setHit(n);
        showLine(list[n].line);
        return true;
    };
    useKeys({
        n: step(1),
        N: step(-1),
        f: toEnd,
        w: () => setWrap(!wrap),
        '/': () => document.getElementById('log-find').focus(),
    });

    const atEnd =
        box.current &&
        box.current.scrollTop + box.current.clientHeight >= box.current.scrollHeight - 1;
    let from = clamp(Math.floor(place.current.line), 0, Math.max(0, total - 1));
    if (atEnd || follows.current) from = Math.max(0, total - shown);
    const to = Math.min(total, from + shown);
    useEffect(() => {
        if (L && ready) L.need(from, to, draw).catch(setError);
    }, [from, to, ready, total]);

    const rows = [],
        at = new Set(hits.items.map((h) => h.line));
    for (let i = from; i < to; i++) {
        const text = L.line(i),
            n = i + 1,
            long = text && text.length > LINE_MAX;
        rows.push(
            html`<div
                key=${n}
                class=${`l${marked === n ? ' mark' : ''}${hits.items[hit] && hits.items[hit].line === n ? ' hit' : ''}${hits.errors && at.has(n) ? ' bad' : ''}`}
            >
                <a
                    class="no"
                    tabindex="-1"
                    href=${withQuery({}, {hash: 'L' + n})}
                    onClick=${(e) => {
                        e.preventDefault();
                        go(withQuery({}, {hash: 'L' + n}), {replace: true});
                    }}
                    >${n}</a
                >
                <span class="tx"
                    >${text === undefined ? '…' : ansi(long ? text.slice(0, LINE_MAX) : text.replace(/\r$/, ''))}${long ? html`<span class="cut"> … ${number(text.length - LINE_MAX)} more characters in the raw log</span>` : null}</span
                >
            </div>`,
        );
    }
    const raw = '/api/v1' + path;
    return html`<div class="toolbar">
            <label
                ><span class="hidden">Search the log</span
                ><input
                    id="log-find"
                    type="search"
                    placeholder="search (a|b)"
                    value=${search}
                    onChange=${(e) => go(withQuery({find: e.target.value}), {replace: true})}
            /></label>
            ${
                hits.items.length
                    ? html`<span class="num"
                              >${hit + 1} of
                              ${hits.more ? 'more than ' : ''}${plural(hits.items.length, hits.errors ? 'error line' : 'line')}</span
                          ><button type="button" aria-label="Previous (N)" onClick=${step(-1)}>
                              ↑</button
                          ><button type="button" aria-label="Next (n)" onClick=${step(1)}>
                              ↓
                          </button>`
                    : search && hits.q === search
                      ? html`<span class="muted">no line has it</span>`
                      : html`<button type="button" onClick=${step(1)}>First error</button>`
            }
            <div class="grow"></div>
            <label class="check"
                ><input
                    type="checkbox"
                    checked=${wrap}
                    onChange=${(e) => setWrap(e.target.checked)}
                />
                wrap</label
            >
            <span class="muted num">${number(total)} lines, ${bytes(L ? L.size : 0)}</span
            ><a href=${raw} target="_blank" rel="noreferrer">raw</a
            ><a href=${raw} download=${`${run}-${task}-${attempt}.log`}>download</a>
            <button type="button" class="link" onClick=${() => copy(location.href)}>
                copy link
            </button>
        </div>
        <${ErrorBox} error=${error} what="The log could not be loaded" />
        ${
            ready && !total && !running
                ? null
                : html`<div class="logwrap">
                      <div
                          class=${'log' + (wrap ? '' : ' nowrap')}
                          ref=${box}
                          onScroll=${scrolled}
                          tabindex="0"
                          role="log"
                          aria-live="off"
                          aria-label=${`Log of ${task}, attempt ${attempt}`}
                      >
                          <div style=${{height: tall + 'px'}}></div>
                          <div class="window" ref=${win}>${rows}</div>
                      </div>
                      ${running && unseen > 0 && !follows.current ? html`<button type="button" class="pillbtn primary" onClick=${toEnd}>↓ ${plural(unseen, 'new line')}</button>` : null}
                  </div>`
        }
        ${ready && !total ? html`<${Empty}>${running ? 'It has written nothing yet.' : 'It wrote nothing.'}</${Empty}>` : null}`;
}
