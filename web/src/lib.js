// What every module of the page is written with.
import {h, render, Fragment} from 'preact';
import {
    useState,
    useEffect,
    useLayoutEffect,
    useRef,
    useMemo,
    useErrorBoundary,
} from 'preact/hooks';
import htm from 'htm';

// Templates are HTML: where a line breaks is a space, as everywhere in HTML (htm alone would take it away),
// but for the edges of blocks, where a space shows nothing. \0 stands for a value.
const BLOCK =
    /^(article|aside|dd|details|dialog|div|dl|dt|fieldset|footer|form|h[1-6]|header|li|main|nav|ol|optgroup|option|p|pre|section|summary|svg|g|table|tbody|td|tfoot|th|thead|tr|ul)$/;
const BREAK = /(<\/?([\w-]+)[^<>]*>)?\s*\n\s*(?=(?:<\/?([\w-]+))?)/g;
const spaced = new WeakMap();
function withSpaces(strings) {
    const made = strings
        .join('\0')
        .replace(
            BREAK,
            (_, tag = '', before, after) =>
                tag + (BLOCK.test(before) || BLOCK.test(after) ? '' : ' '),
        )
        .split('\0');
    spaced.set(strings, made);
    return made;
}
const build = htm.bind(h);
export const html = (strings, ...values) =>
    build(spaced.get(strings) || withSpaces(strings), ...values);
export {render, Fragment, useState, useEffect, useLayoutEffect, useRef, useMemo, useErrorBoundary};

// A value that several components look at: get(), set(v), use() in a component.
export function store(value) {
    const users = new Set();
    return {
        get: () => value,
        set(next) {
            if (Object.is(next, value)) return;
            value = next;
            for (const user of [...users]) user(value);
        },
        watch(fn) {
            users.add(fn);
            return () => users.delete(fn);
        },
        use() {
            const [, redraw] = useState(0);
            useLayoutEffect(() => {
                const user = () => redraw((n) => n + 1);
                users.add(user);
                return () => users.delete(user);
            }, []);
            return value;
        },
    };
}

export function remembered(key, fallback) {
    let value = fallback;
    try {
        value = localStorage.getItem(key) ?? fallback;
    } catch (e) {
        value = fallback;
    }
    const kept = store(value);
    kept.watch((v) => {
        try {
            localStorage.setItem(key, v);
        } catch (e) {
            return;
        }
    });
    return kept;
}

export const enc = encodeURIComponent;
export const clamp = (v, lo, hi) => Math.max(lo, Math.min(hi, v));
export const plural = (n, one, many) => `${n} ${n === 1 ? one : many || one + 's'}`;

// The time, for what shows how long ago something was: ticks once a second while looked at.
export const clock = store(Date.now());
setInterval(() => {
    if (!document.hidden) clock.set(Date.now());
}, 1000);
