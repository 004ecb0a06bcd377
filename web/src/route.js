// Addresses: everything that a person can set is in them.
import {store, enc} from './lib.js';

function read() {
    const path = location.pathname
        .replace(/^\/ui\/?/, '')
        .split('/')
        .filter(Boolean)
        .map((s) => {
            try {
                return decodeURIComponent(s);
            } catch (e) {
                return s;
            }
        });
    return {
        path,
        query: new URLSearchParams(location.search),
        hash: location.hash.slice(1),
        href: location.pathname + location.search + location.hash,
    };
}
export const route = store(read());

export function go(to, {replace = false} = {}) {
    if (to === route.get().href) return;
    history[replace ? 'replaceState' : 'pushState'](null, '', to);
    const before = route.get().path.join('/');
    route.set(read());
    if (!replace && before !== route.get().path.join('/')) scrollTo(0, 0);
}
export function startRoutes() {
    addEventListener('popstate', () => route.set(read()));
    addEventListener('hashchange', () => route.set(read()));
    document.addEventListener('click', (e) => {
        const a = e.target.closest && e.target.closest('a[href]');
        if (
            !a ||
            e.defaultPrevented ||
            e.button ||
            e.metaKey ||
            e.ctrlKey ||
            e.shiftKey ||
            e.altKey ||
            a.target ||
            a.hasAttribute('download')
        )
            return;
        const url = new URL(a.href, location.href);
        if (url.origin !== location.origin || !/^\/ui(\/|$)/.test(url.pathname)) return;
        e.preventDefault();
        go(url.pathname + url.search + url.hash);
    });
    // The links that the mlflow client prints.
    if (location.hash.startsWith('#/'))
        history.replaceState(null, '', '/ui' + location.hash.slice(1));
    route.set(read());
}
// This address with other values; null takes one away.
export function withQuery(changes, {hash = ''} = {}) {
    const query = new URLSearchParams(route.get().query);
    for (const [key, value] of Object.entries(changes)) {
        if (value == null || value === '') query.delete(key);
        else query.set(key, value);
    }
    const text = query.toString();
    return location.pathname + (text ? '?' + text : '') + (hash ? '#' + hash : '');
}
// A value of the address: [value, set]. Typing replaces, choosing pushes.
export function useQuery(name, fallback = '', {replace = true} = {}) {
    const value = route.use().query.get(name) ?? fallback;
    return [value, (v) => go(withQuery({[name]: v === fallback ? null : v}), {replace})];
}
export const dagUrl = (dag, view) => `/ui/dags/${enc(dag)}${view ? '/' + view : ''}`;
export const runUrl = (run) => `/ui/runs/${enc(run)}`;
// task[3] is written task.3: brackets are escaped in addresses.
export const taskUrl = (run, name, query = '') =>
    `/ui/runs/${enc(run)}/tasks/${enc(name.replace(/\[(\d+)\]$/, '.$1'))}${query}`;
export const taskOfUrl = (text) => text.replace(/\.(\d+)$/, '[$1]');
