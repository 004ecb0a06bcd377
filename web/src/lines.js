// The lines of an attempt's log: where every n-th begins, and the pieces that were asked for. However long
// a log is, little of it is here.
import {enc} from './lib.js';
import {get} from './api.js';

const PIECES_MAX = 128,
    TIMES_EVERY = 1000, // ms: how often times of lines that have just come are asked for
    LOST_MAX = 20;
export const PAGE = 1000; // lines that the server lists at once
export const LATER = TIMES_EVERY + 100; // ms: when to look again for times of the last lines

export class Lines {
    constructor(path) {
        this.path = path;
        this.offsets = [0];
        this.every = 64;
        this.lines = 0;
        this.size = 0;
        this.groups = []; // that were there from the beginning, as the server has them
        this.pieces = new Map(); // number of the mark -> its lines: {text, bytes, at, stream}
        this.asked = new Map(); // the same -> when its times were asked for
        this.flying = new Map(); // the same -> what is awaited
        this.tail = ''; // an unfinished last line
        this.decoder = new TextDecoder();
        this.wide = new TextEncoder();
        this.onLine = null; // (number from 0, text) of each complete line that is appended
    }
    async index(signal) {
        const d = await get(this.path + '/lines', {signal});
        Object.assign(this, {
            offsets: d.offsets.length ? d.offsets : [0],
            every: d.every,
            lines: d.lines,
            size: d.bytes,
            groups: d.groups,
        });
        this.pieces.clear();
    }
    // What follows may go on with the last line.
    async openEnd() {
        if (!this.lines) return;
        const last = await get(`${this.path}?offset=${this.size - 1}&limit=1`);
        if (last === '\n') return;
        await this.need([this.lines - 1]);
        this.tail = (this.line(this.lines - 1) || {text: ''}).text;
    }
    // What was begun of a character is lost when what follows comes by another answer.
    cut() {
        this.decoder = new TextDecoder();
    }
    // What followed: lines are appended to the last piece.
    append(bytes) {
        const text = this.decoder.decode(bytes, {stream: true});
        let begin = this.size - this.wide.encode(this.tail).length;
        if (this.tail) {
            this.lines--;
            this.dropLast();
        }
        const parts = (this.tail + text).split('\n');
        this.tail = parts.pop();
        for (const line of parts) {
            this.push(line, begin);
            if (this.onLine) this.onLine(this.lines - 1, line);
            begin += this.wide.encode(line).length + 1;
        }
        if (this.tail) this.push(this.tail, begin);
        this.size += bytes.length;
    }
    push(text, offset) {
        const mark = Math.floor(this.lines / this.every);
        if (this.lines % this.every === 0) {
            this.offsets[mark] = offset;
            this.pieces.set(mark, []);
        }
        const piece = this.pieces.get(mark),
            at = this.lines % this.every;
        if (piece && piece.length === at)
            piece.push({text, bytes: text.length, at: null, stream: null});
        else if (piece && piece.length > at) piece[at].text = text; // listed before it came
        this.lines++;
    }
    dropLast() {
        const piece = this.pieces.get(Math.floor(this.lines / this.every));
        if (piece && piece.length === (this.lines % this.every) + 1) piece.pop();
    }
    line(i) {
        const piece = this.pieces.get(Math.floor(i / this.every));
        return piece ? piece[i % this.every] : undefined;
    }
    // The lines from a mark on. Of lines that have come by themselves times and streams are taken.
    async load(mark) {
        const listed = [];
        let from = mark * this.every + 1,
            offset = this.offsets[mark];
        while (offset != null && listed.length < this.every) {
            const limit = Math.min(PAGE, this.every - listed.length);
            const page = await get(
                `${this.path}/lines?from=${from}&offset=${offset}&limit=${limit}`,
            );
            listed.push(...page.items);
            from += page.items.length;
            offset = page.items.length ? page.next_offset : null;
        }
        const piece = this.pieces.get(mark) || [];
        listed.forEach((line, i) => {
            if (piece[i]) Object.assign(piece[i], {at: line.at, stream: line.stream});
            else piece[i] = line;
        });
        this.pieces.set(mark, piece);
        while (this.pieces.size > PIECES_MAX) this.pieces.delete(this.pieces.keys().next().value);
    }
    // Whether a piece is to be asked for: it is not there, or has not all, or of some only the text.
    lacks(mark, numbers) {
        if (mark >= this.offsets.length) return false;
        if (!this.pieces.has(mark)) return true;
        const lacking = numbers.some((i) => {
            if (Math.floor(i / this.every) !== mark || i >= this.lines) return false;
            const line = this.line(i);
            return !line || (line.at === null && line.offset === undefined);
        });
        return lacking && Date.now() - (this.asked.get(mark) || 0) >= TIMES_EVERY;
    }
    // Asks for what is missing of these lines; done: when some of it has come.
    need(numbers, done = () => {}) {
        const marks = [...new Set(numbers.map((i) => Math.floor(i / this.every)))];
        return Promise.all(
            marks
                .filter((mark) => this.flying.has(mark) || this.lacks(mark, numbers))
                .map((mark) => {
                    if (!this.flying.has(mark)) {
                        this.asked.set(mark, Date.now());
                        this.flying.set(
                            mark,
                            this.load(mark).finally(() => this.flying.delete(mark)),
                        );
                    }
                    return this.flying.get(mark).then(done);
                }),
        );
    }
    // Lines that have one of the texts in q (a|b), at most so many: {items, more}.
    async search(q, max, signal) {
        const items = [];
        let cursor = null;
        do {
            const page = await get(
                `${this.path}/search?q=${enc(q)}&limit=${PAGE}${cursor ? '&cursor=' + cursor : ''}`,
                {signal},
            );
            items.push(...page.items);
            cursor = page.next;
        } while (cursor && items.length < max);
        return {items, more: !!cursor};
    }
}

// Resolves when somebody sees the page, or nobody wants to know any more.
export function whenSeen(signal) {
    return new Promise((done) => {
        const look = () => {
            if (document.hidden && !signal.aborted) return;
            document.removeEventListener('visibilitychange', look);
            done();
        };
        document.addEventListener('visibilitychange', look);
        signal.addEventListener('abort', look);
        look();
    });
}
// Reads to the end of the answer: true. A tab that nobody sees gives its connection back (a browser
// has six for a server): false.
async function readWhileSeen(address, take, signal) {
    const pause = new AbortController();
    const hide = () => document.hidden && pause.abort();
    const stop = () => pause.abort();
    document.addEventListener('visibilitychange', hide);
    signal.addEventListener('abort', stop);
    try {
        const answer = await fetch('/api/v1' + address, {signal: pause.signal, cache: 'no-store'});
        if (!answer.ok) return true;
        const reader = answer.body.getReader();
        for (;;) {
            const {value, done} = await reader.read();
            if (done) return true;
            take(value);
        }
    } catch (e) {
        if (e.name !== 'AbortError') throw e;
        return false;
    } finally {
        document.removeEventListener('visibilitychange', hide);
        signal.removeEventListener('abort', stop);
    }
}
// Follows what grows until it has ended. address(): where to go on, after a pause or a cut too;
// begin(): before each time.
export async function follow({address, begin, take, signal}) {
    for (let lost = 0; !signal.aborted;) {
        await whenSeen(signal);
        if (signal.aborted) return;
        try {
            begin();
            if (await readWhileSeen(address(), take, signal)) return;
            lost = 0;
        } catch (e) {
            if (++lost > LOST_MAX) throw e;
            await new Promise((done) => setTimeout(done, Math.min(250 * lost, 2000)));
        }
    }
}
