// A window onto very many rows of text: only those that are seen are there. Where they would be too tall
// for a browser a pixel is many rows: then the row at the top is what counts.
import {useState, useEffect, useLayoutEffect, useRef, clamp} from './lib.js';

const ROW = 18,
    ROWS_MAX = 400,
    TALL = 4e6;

const scaleOf = (rows) => (rows * ROW > TALL ? TALL / (rows * ROW) : 1);
const atEnd = (el, slack) => el.scrollTop + el.clientHeight >= el.scrollHeight - slack;

// Wheel and keys move by rows where a pixel is many of them.
function useSteps(box, scale, place, moveTo) {
    useEffect(() => {
        const el = box.current;
        if (!el || scale === 1) return undefined;
        const wheel = (e) => {
            if (e.ctrlKey || e.shiftKey) return;
            e.preventDefault();
            moveTo(place.current.row + (e.deltaMode ? e.deltaY * 3 : e.deltaY / ROW));
        };
        const key = (e) => {
            const page = Math.floor(el.clientHeight / ROW) - 2,
                by = {ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, ' ': page}[e.key];
            if (!by) return;
            e.preventDefault();
            moveTo(place.current.row + by);
        };
        el.addEventListener('wheel', wheel, {passive: false});
        el.addEventListener('keydown', key);
        return () => {
            el.removeEventListener('wheel', wheel);
            el.removeEventListener('keydown', key);
        };
    }, [scale, box.current]);
}

// count(): how many rows there are. live: they may become more, and the end is followed when asked to.
export function useTall(count, live) {
    const box = useRef(null),
        win = useRef(null);
    const place = useRef({row: 0, px: 0}); // the row at the top, with its fraction; where that scrolls to
    const follows = useRef(false);
    const [, redraw] = useState(0);
    const draw = () => redraw((n) => n + 1);
    const rows = count(),
        scale = scaleOf(rows);

    const moveTo = (row) => {
        const el = box.current,
            n = count();
        if (!el) return;
        follows.current = false;
        place.current.row = clamp(row, 0, Math.max(0, n - 1));
        el.scrollTop = place.current.row * ROW * scaleOf(n);
        place.current.px = el.scrollTop;
        draw();
    };
    const showRow = (row) => {
        if (box.current) moveTo(row - Math.floor(box.current.clientHeight / ROW / 3));
    };
    const toEnd = () => {
        follows.current = true;
        if (box.current) box.current.scrollTop = box.current.scrollHeight;
        draw();
    };
    useSteps(box, scale, place, moveTo);
    useLayoutEffect(() => {
        if (follows.current && box.current) box.current.scrollTop = box.current.scrollHeight;
    });
    // The window sits where the scroll is: the first row by the part of it that is scrolled away; at
    // the very end it ends with the rows.
    useLayoutEffect(() => {
        const el = box.current,
            w = win.current;
        if (!el || !w) return;
        const end = atEnd(el, 1),
            top = w.firstElementChild,
            part = place.current.row % 1;
        const y =
            end && w.offsetHeight > el.clientHeight
                ? el.scrollTop + el.clientHeight - w.offsetHeight
                : el.scrollTop - part * (top ? top.offsetHeight : ROW);
        w.style.transform = `translateY(${Math.max(end ? -1e9 : 0, y)}px)`;
    });
    const scrolled = () => {
        const el = box.current;
        if (live) follows.current = atEnd(el, 4);
        if (Math.abs(el.scrollTop - place.current.px) >= 1) {
            place.current.row = el.scrollTop / (ROW * scale);
            place.current.px = el.scrollTop;
        }
        draw();
    };
    const el = box.current,
        height = Math.max(1, Math.round(rows * ROW * scale));
    const shown = el ? Math.min(ROWS_MAX, Math.ceil(el.clientHeight / ROW) + 4) : 60;
    let from = clamp(Math.floor(place.current.row), 0, Math.max(0, rows - 1));
    // The box has the height of the rows that were there before.
    const last = el && atEnd(el, 1) && el.scrollTop + el.clientHeight >= height - 1;
    if (follows.current || last) from = Math.max(0, rows - shown);
    return {
        box,
        win,
        from,
        to: Math.min(rows, from + shown),
        height,
        top: () => place.current.row,
        follows,
        moveTo,
        showRow,
        toEnd,
        scrolled,
        draw,
    };
}
