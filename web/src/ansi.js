// Text with the colours that a terminal would give it.
import {html} from './lib.js';

const CODES = /\x1b\[([0-9;]*)([A-Za-z])/g;
const COLOUR = /^a3\d$/;

export const plain = (text) => text.replace(CODES, '');

function change(classes, code) {
    const others = () => classes.filter((c) => !COLOUR.test(c));
    if (code === 0) return [];
    if (code === 22) return classes.filter((c) => c !== 'a1' && c !== 'a2');
    if (code === 39) return others();
    if (code >= 30 && code <= 37) return [...others(), 'a' + code];
    if (code >= 90 && code <= 97) return [...others(), 'a' + (code - 60)];
    if (code >= 1 && code <= 4) return [...classes, 'a' + code];
    return classes;
}
export function ansi(text) {
    const parts = [];
    let classes = [],
        at = 0;
    const add = (piece) =>
        parts.push(classes.length ? html`<span class=${classes.join(' ')}>${piece}</span>` : piece);
    for (const m of text.matchAll(CODES)) {
        if (m.index > at) add(text.slice(at, m.index));
        at = m.index + m[0].length;
        if (m[2] === 'm')
            for (const code of (m[1] || '0').split(';').map(Number))
                classes = change(classes, code);
    }
    if (at < text.length) add(text.slice(at));
    return parts;
}
