// Requests to /api/v1, what is known from them, and the hook that keeps it fresh.
import {useState, useEffect, useRef, enc, store} from './lib.js';
import {onEvent} from './live.js';

export class ApiError extends Error {
    constructor(status, body, path, request = null) {
        const error = body && body.error ? body.error : {};
        super(
            error.message ||
                (status ? `the server answered ${status}` : 'the server cannot be reached'),
        );
        this.status = status;
        this.code = error.code || null;
        this.details = error.details || null;
        this.path = path;
        this.request = request; // its id in the server's log
    }
}

// Who one is: as GET /session says; null: not known yet. A refusal says that it is nobody (any more).
export const session = store(null);

export async function call(method, path, body, options = {}) {
    let answer;
    const headers = {...options.headers};
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    try {
        answer = await fetch('/api/v1' + path, {
            method,
            headers,
            body: body === undefined ? undefined : JSON.stringify(body),
            signal: options.signal,
        });
    } catch (e) {
        if (e.name === 'AbortError') throw e;
        throw new ApiError(0, null, path);
    }
    if (!answer.ok) {
        let said = null;
        try {
            said = await answer.json();
        } catch (e) {
            said = null;
        }
        if (answer.status === 401 && path !== '/session')
            session.set({auth: true, user: 'anonymous', role: 'anyone'});
        throw new ApiError(answer.status, said, path, answer.headers.get('X-Request-Id'));
    }
    if (answer.status === 204) return null;
    const type = answer.headers.get('Content-Type') || '';
    return type.startsWith('application/json') ? answer.json() : answer.text();
}
export const get = (path, options) => call('GET', path, undefined, options);
export const post = (path, body) => call('POST', path, body);

// An answer per path, so that a view that was seen is there at once.
const known = new Map();
const flying = new Map();
const KNOWN_MAX = 200;

export function fetchKnown(path) {
    if (flying.has(path)) return flying.get(path);
    const promise = get(path)
        .then((data) => {
            known.delete(path);
            known.set(path, data);
            if (known.size > KNOWN_MAX) known.delete(known.keys().next().value);
            return data;
        })
        .finally(() => flying.delete(path));
    flying.set(path, promise);
    return promise;
}
export const peek = (path) => known.get(path);
export function prefetch(path) {
    if (!known.has(path)) fetchKnown(path).catch(() => {});
}

// {data, error, loading, reload}. on(name, data): whether an event makes it stale. every: ms, for
// what has no events. A path of null: nothing.
export function useApi(path, {on = null, every = 0, gap = 250} = {}) {
    const [state, set] = useState({path: null});
    const use = useRef({});
    use.current.on = on;
    useEffect(() => {
        if (path == null) return undefined;
        let gone = false,
            timer = null,
            last = 0,
            took = 0,
            again = false,
            busy = false;
        const load = async () => {
            timer = null;
            if (busy) {
                again = true;
                return;
            }
            busy = true;
            last = Date.now();
            try {
                const data = await fetchKnown(path);
                if (!gone) set({path, data, error: null});
            } catch (error) {
                if (!gone)
                    set((s) => ({path, data: s.path === path ? s.data : known.get(path), error}));
            }
            busy = false;
            took = Date.now() - last;
            if (again && !gone) {
                again = false;
                soon();
            }
        };
        const soon = () => {
            // What takes long is asked for less often.
            if (timer === null)
                timer = setTimeout(load, Math.max(0, last + Math.max(gap, 6 * took) - Date.now()));
        };
        use.current.reload = soon;
        load();
        const off = onEvent((name, data) => {
            if (name === 'reset' || (use.current.on && use.current.on(name, data))) soon();
        });
        let slow = null;
        const poll = () => {
            if (!document.hidden) soon();
            slow = setTimeout(poll, Math.max(every, 100 * took));
        };
        if (every) slow = setTimeout(poll, every);
        return () => {
            gone = true;
            off();
            clearTimeout(timer);
            clearTimeout(slow);
        };
    }, [path]);
    const mine = state.path === path ? state : {};
    const data = mine.data !== undefined ? mine.data : path == null ? undefined : known.get(path);
    return {
        data,
        error: mine.error || null,
        loading: path != null && data === undefined && !mine.error,
        reload: () => use.current.reload && use.current.reload(),
    };
}

export const runPath = (run) => `/runs/${enc(run)}`;
export const taskName = (t) => (t.map_index == null ? t.task : `${t.task}[${t.map_index}]`);
export const taskPath = (run, name) => `/runs/${enc(run)}/tasks/${enc(name)}`;

// All pages of a list, up to `max` items.
export async function all(path, max = 10000) {
    const items = [];
    let next = null;
    do {
        const page = await get(
            path + (next ? (path.includes('?') ? '&' : '?') + 'cursor=' + enc(next) : ''),
        );
        items.push(...page.items);
        next = page.next;
    } while (next && items.length < max);
    return {items, next};
}
