// Pieces that views are made of: errors, empty states, tables, dialogs, copying, keys.
import {exactTime} from './format.js';
import {
    html,
    store,
    useState,
    useEffect,
    useLayoutEffect,
    useRef,
    useErrorBoundary,
} from './lib.js';
import {retryLive} from './live.js';

// ---- Keys: the newest handler wins; off in inputs ----
const layers = [];
let pending = '';
export function useKeys(map) {
    const mine = useRef(map);
    mine.current = map;
    useLayoutEffect(() => {
        // what is seen takes keys
        layers.push(mine);
        return () => layers.splice(layers.indexOf(mine), 1);
    }, []);
}
export function startKeys() {
    document.addEventListener('keydown', (e) => {
        const ctrl = e.ctrlKey || e.metaKey;
        const typing =
            e.target.closest && e.target.closest('input, textarea, select, [contenteditable]');
        let key = ctrl ? 'ctrl+' + e.key.toLowerCase() : e.key;
        if (e.altKey || (typing && !ctrl && key !== 'Escape')) return;
        if (typing && key === 'Escape') typing.blur();
        const two = pending && pending + ' ' + key;
        pending = '';
        for (let i = layers.length - 1; i >= 0; i--) {
            const map = layers[i].current;
            const fn = (two && map[two]) || map[key];
            if (fn && fn(e) !== false) {
                e.preventDefault();
                return;
            }
            if (!two && Object.keys(map).some((k) => k.startsWith(key + ' '))) {
                pending = key;
                setTimeout(() => (pending = ''), 1200);
                return;
            }
        }
    });
}

// ---- Toasts and what is said to screen readers ----
export const toasts = store([]);
let toastId = 0;
export function toast(text, {href, kind = 'info', action} = {}) {
    const id = ++toastId;
    toasts.set([...toasts.get(), {id, text, href, kind, action}]);
    setTimeout(
        () => toasts.set(toasts.get().filter((t) => t.id !== id)),
        kind === 'error' ? 12000 : 6000,
    );
}
export const spoken = store('');

export async function copy(text) {
    try {
        await navigator.clipboard.writeText(text);
        toast('Copied');
    } catch (e) {
        toast('The browser did not allow copying: ' + text, {kind: 'error'});
    }
}
export const Copy = ({text, label = 'copy'}) =>
    html`<button
        class="link copy"
        type="button"
        onClick=${(e) => {
            e.preventDefault();
            e.stopPropagation();
            copy(text);
        }}
        title=${'Copy ' + text}
    >
        ${label}
    </button>`;
export const Command = ({text, label = 'Command'}) =>
    html`<div class="command">
        <span class="muted">${label}</span><code>${text}</code><${Copy} text=${text} />
    </div>`;

// ---- Errors and empty states ----
export function ErrorBox({
    error,
    retry,
    again: label = 'Try again',
    what = 'This could not be loaded',
}) {
    if (!error) return null;
    const todo =
        error.status === 0
            ? 'Is the scheduler running? The page tries again by itself.'
            : error.status === 401
              ? 'Sign in.'
              : error.status === 403
                ? 'Ask for the role that it needs.'
                : error.status === 409
                  ? error.details && error.details.who
                      ? `${error.details.what} by ${error.details.who}, ${exactTime(error.details.at)}: reload, then decide anew.`
                      : 'Somebody was faster: reload, then decide anew.'
                  : '';
    const again = () => {
        retryLive();
        if (retry) retry();
    };
    return html`<div class="box bad" role="alert">
        <b>${what}</b> · ${error.message}${todo && ` · ${todo}`}
        ${error.request ? html` <span class="muted">request ${error.request}</span>` : null}
        ${retry ? html` <button type="button" onClick=${again}>${label}</button>` : null}
    </div>`;
}
export function Guard({children, name}) {
    const [error, reset] = useErrorBoundary();
    if (!error) return children;
    return html`<div class="box bad" role="alert">
        <b>This part of the page failed</b> · ${name}: ${String(error.message || error)} · the rest
        goes on working <button type="button" onClick=${reset}>Try again</button>
    </div>`;
}
export const Empty = ({children}) => html`<p class="empty">${children}</p>`;
export const Skeleton = ({rows = 5}) =>
    html`<div class="skeleton" aria-busy="true" aria-label="Loading">
        ${Array.from({length: rows}, () => html`<div class="bone"></div>`)}
    </div>`;

// What is not there (any more), and the name that may have been meant.
export function NotThere({what, name, error, near, children}) {
    const [, meant] = /did you mean '([^']+)'/.exec(error.message) || [];
    return html`<section class="pad">
        <h1>There is no ${what} ‘${name}’</h1>
        ${
            meant
                ? html`<p>
                      Did you mean <a href=${near(meant)}><b>${meant}</b></a
                      >?
                  </p>`
                : null
        }
        <p>${children}</p>
    </section>`;
}

export const NoDags = () =>
    html`<div class="box">
        <b>No DAG yet.</b> Put a file in <code>dags/</code>: it is here within a second.
        <${Command} text="nexus init" label="An example:" />
    </div>`;

// Data, or why there is none.
export function Loaded({of, rows, children, what}) {
    if (of.data === undefined && of.error)
        return html`<${ErrorBox} error=${of.error} retry=${of.reload} what=${what} />`;
    if (of.data === undefined) return html`<${Skeleton} rows=${rows} />`;
    return html`${of.error ? html`<${ErrorBox} error=${of.error} retry=${of.reload} what="What you see is old" />` : null}${children(of.data)}`;
}

// ---- A page's frame ----
export function useTitle(title) {
    useEffect(() => {
        document.title = title ? `${title} · Nexus` : 'Nexus';
    }, [title]);
}
export const Head = ({title, children, sub}) =>
    html`<header class="head">
        <h1>${title}</h1>
        ${sub}
        <div class="grow"></div>
        ${children}
    </header>`;
export function Tabs({items, current}) {
    useKeys(
        Object.fromEntries(
            items
                .slice(0, 9)
                .map((item, i) => [
                    String(i + 1),
                    () => document.getElementById('tab-' + item.id).click(),
                ]),
        ),
    );
    return html`<nav class="tabs" aria-label="Parts">
        ${items.map(
            (item) =>
                html`<a
                    id=${'tab-' + item.id}
                    href=${item.href}
                    aria-current=${item.id === current ? 'page' : undefined}
                    >${item.label}${item.n ? html` <span class="badge">${item.n}</span>` : null}</a
                >`,
        )}
    </nav>`;
}

// ---- A dialog that confirms a write ----
export function Dialog({title, onClose, children, wide}) {
    const ref = useRef(null);
    useEffect(() => {
        const before = document.activeElement;
        ref.current.showModal();
        return () => before && before.focus && before.focus();
    }, []);
    return html`<dialog
        ref=${ref}
        class=${wide ? 'wide' : ''}
        aria-label=${title}
        onCancel=${(e) => {
            e.preventDefault();
            onClose();
        }}
        onClick=${(e) => e.target === ref.current && onClose()}
    >
        <div class="dialog">
            <h2>${title}</h2>
            ${children}
        </div>
    </dialog>`;
}

// ---- Lists ----
// Keys j, k, Enter over rows that are links.
export function useRows(ref) {
    const move = (by) => () => {
        const rows = [...ref.current.querySelectorAll('[data-row]')];
        if (!rows.length) return;
        const at = rows.indexOf(document.activeElement.closest('[data-row]'));
        const next = rows[Math.max(0, Math.min(rows.length - 1, at + by))];
        (next.querySelector('a[href]') || next).focus();
        next.scrollIntoView({block: 'nearest'});
    };
    useKeys({
        j: move(1),
        k: move(-1),
        '/': () => {
            const box = document.querySelector('main input[type=search]');
            if (box) box.focus();
            return !!box;
        },
    });
}
export function Search({value, onInput, label, hint}) {
    return html`<label class="search"
        ><span class="hidden">${label}</span>
        <input
            type="search"
            value=${value}
            placeholder=${hint || label}
            onInput=${(e) => onInput(e.target.value)}
    /></label>`;
}
// A long list of rows of one height: only what is seen is there.
export function Rows({items, height, render, label, className = ''}) {
    const ref = useRef(null),
        made = useRef({render: null, rows: new Map()});
    const [range, set] = useState([0, 60]);
    // A row that stays is the same as before, so that scrolling draws only what comes in.
    if (made.current.render !== render) made.current = {render, rows: new Map()};
    const row = (item, i) => {
        const rows = made.current.rows;
        if (!rows.has(item)) rows.set(item, render(item, i));
        if (rows.size > 500) rows.delete(rows.keys().next().value);
        return rows.get(item);
    };
    useEffect(() => {
        const look = () => {
            if (!ref.current) return;
            const top = ref.current.getBoundingClientRect().top;
            const first = Math.max(0, Math.floor(-top / height) - 6);
            const last = first + Math.ceil(innerHeight / height) + 12;
            set((r) => (r[0] === first && r[1] === last ? r : [first, last]));
        };
        look();
        addEventListener('scroll', look, {passive: true, capture: true});
        addEventListener('resize', look);
        return () => {
            removeEventListener('scroll', look, {capture: true});
            removeEventListener('resize', look);
        };
    }, [items.length, height]);
    const from = Math.min(range[0], Math.max(0, items.length - 1)),
        to = Math.min(items.length, range[1]);
    return html`<div
        ref=${ref}
        class=${'rows ' + className}
        role="list"
        aria-label=${label}
        style=${{height: items.length * height + 'px'}}
    >
        <div style=${{transform: `translateY(${from * height}px)`}}>
            ${items.slice(from, to).map((item, i) => row(item, from + i))}
        </div>
    </div>`;
}
// A button that presses itself when it comes into view.
export function More({onMore, children}) {
    const ref = useRef(null),
        fn = useRef(onMore);
    fn.current = onMore;
    useEffect(() => {
        const watch = new IntersectionObserver(
            (seen) => seen.some((s) => s.isIntersecting) && fn.current(),
            {rootMargin: '600px'},
        );
        watch.observe(ref.current);
        return () => watch.disconnect();
    });
    return html`<p><button ref=${ref} type="button" onClick=${onMore}>${children}</button></p>`;
}
export const Bar = ({value, max}) =>
    html`<span class="meter" role="img" aria-label="${value} of ${max}"
        ><span style=${{width: `${max ? Math.min(100, (100 * value) / max) : 0}%`}}></span
    ></span>`;
// Name and value, one a line.
export const Facts = ({items}) =>
    html`<dl class="facts">
        ${items.filter(Boolean).map(
            ([name, value]) =>
                html`<dt>${name}</dt>
                    <dd>${value ?? '–'}</dd>`,
        )}
    </dl>`;
export const Json = ({value}) =>
    html`<pre class="json">
${typeof value === 'string' ? value : JSON.stringify(value, null, 2)}</pre>`;
// The number, and the interval the mouse or screen reader asks for.
export const lastLine = (text) => (text || '').trim().split('\n').pop();

// What /health/ready says, every few seconds: to set, an error to fail.
export function useHealth(set, fail = () => {}) {
    useEffect(() => {
        const load = () =>
            fetch('/health/ready')
                .then((r) => r.json())
                .then(set, fail);
        load();
        const timer = setInterval(() => document.hidden || load(), 5000);
        return () => clearInterval(timer);
    }, []);
}
