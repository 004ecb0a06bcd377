// Curves, by uPlot; loaded when a view has one.
import uPlot from 'uplot';
import {html, useEffect, useRef} from './lib.js';
import {shortTime, clockTime} from './format.js';

const sheet = document.createElement('link');
sheet.rel = 'stylesheet';
sheet.href = new URL('charts.css', import.meta.url).pathname;
document.head.append(sheet);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const BRIEF = 600; // seconds: what is shorter has seconds in its times
// What memory is divided by.
const BINARY = Array.from({length: 50}, (_, i) => 2 ** i);

// limit: a dashed line, e.g. what may be used. binary: y is bytes. xFormat: of x that is no time.
export function Line({
    x,
    y,
    label,
    format = String,
    height = 220,
    time = true,
    limit = null,
    binary = false,
    fromZero = false,
    xFormat = String,
    xLabel,
}) {
    const box = useRef(null);
    useEffect(() => {
        const brief = x.length > 1 && x[x.length - 1] - x[0] < BRIEF;
        const when = (v) => (brief ? clockTime : shortTime)(v * 1000);
        const make = () => {
            const axis = {
                stroke: colour('--muted'),
                grid: {stroke: colour('--line'), width: 0.5},
                ticks: {stroke: colour('--line')},
                font: '11px system-ui',
            };
            return new uPlot(
                {
                    width: box.current.clientWidth,
                    height,
                    scales: {
                        x: {time},
                        ...(fromZero ? {y: {range: (u, lo, hi) => [0, hi * 1.1 || 1]}} : {}),
                    },
                    legend: {show: true},
                    padding: [null, 40, null, null],
                    axes: [
                        time
                            ? {
                                  ...axis,
                                  values: (u, vs) => vs.map((v, i) => (i % 2 ? '' : when(v))),
                              }
                            : {...axis, values: (u, vs) => vs.map(xFormat)},
                        {
                            ...axis,
                            size: 70,
                            values: (u, vs) => vs.map(format),
                            ...(binary ? {incrs: BINARY} : {}),
                        },
                    ],
                    series: [
                        {
                            label: xLabel,
                            value: (u, v) => (v == null ? '–' : time ? when(v) : xFormat(v)),
                        },
                        {
                            label,
                            stroke: colour('--running'),
                            width: 1.5,
                            points: {show: x.length < 60, size: 5},
                            value: (u, v) => (v == null ? '–' : format(v)),
                        },
                        ...(limit == null
                            ? []
                            : [
                                  {
                                      label: 'limit',
                                      stroke: colour('--failed'),
                                      width: 1,
                                      dash: [6, 4],
                                      points: {show: false},
                                      value: () => format(limit),
                                  },
                              ]),
                    ],
                },
                limit == null ? [x, y] : [x, y, x.map(() => limit)],
                box.current,
            );
        };
        let plot = make();
        const again = () => {
            plot.destroy();
            plot = make();
        };
        const watch = new ResizeObserver(() =>
            plot.setSize({width: box.current.clientWidth, height}),
        );
        watch.observe(box.current);
        addEventListener('theme', again);
        return () => {
            removeEventListener('theme', again);
            watch.disconnect();
            plot.destroy();
        };
    }, [JSON.stringify([x, y, limit])]);
    return html`<div ref=${box} role="img" aria-label=${label}></div>`;
}
