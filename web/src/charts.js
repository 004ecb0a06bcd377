// Curves, by uPlot; loaded when a view has one.
import uPlot from 'uplot';
import {html, useEffect, useRef} from './lib.js';
import {shortTime} from './format.js';

const sheet = document.createElement('link');
sheet.rel = 'stylesheet';
sheet.href = new URL('charts.css', import.meta.url).pathname;
document.head.append(sheet);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function Line({x, y, label, format = String, height = 220, time = true}) {
    const box = useRef(null);
    useEffect(() => {
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
                    scales: {x: {time}},
                    legend: {show: true},
                    axes: [
                        time
                            ? {
                                  ...axis,
                                  values: (u, vs) =>
                                      vs.map((v, i) => (i % 2 ? '' : shortTime(v * 1000))),
                              }
                            : axis,
                        {...axis, size: 70, values: (u, vs) => vs.map(format)},
                    ],
                    series: [
                        {value: (u, v) => (v == null ? '–' : time ? shortTime(v * 1000) : v)},
                        {
                            label,
                            stroke: colour('--running'),
                            width: 1.5,
                            points: {show: x.length < 60, size: 5},
                            value: (u, v) => (v == null ? '–' : format(v)),
                        },
                    ],
                },
                [x, y],
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
    }, [JSON.stringify([x, y])]);
    return html`<div ref=${box} role="img" aria-label=${label}></div>`;
}
