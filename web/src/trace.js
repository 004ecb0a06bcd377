// Tracebacks of Python in what a task wrote. Lines of a log count from 1, `at` from 0.
const FRAME = /^\s+File "([^"]+)", line (\d+)/,
    LIBRARY = /\/(site|dist)-packages\/|\/lib\/python\d|^<frozen /,
    FRAME_LINES = 4; // a frame's place, its source, what is marked in it; and one to spare

export const FRAMES = '  File "';

// Of a line of a traceback: {file, line, library}.
function frameOf(text) {
    const m = FRAME.exec(text);
    return m && {file: m[1], line: Number(m[2]), library: LIBRARY.test(m[1])};
}
// The innermost place of one's own in what a traceback says: train.py:41.
export function ownPlace(text) {
    const own = text
        .split('\n')
        .map(frameOf)
        .filter((f) => f && !f.library)
        .pop();
    return own ? `${own.file.split('/').pop()}:${own.line}` : '';
}
// Of lines that have places (numbers and texts, in order): runs of frames of libraries that follow each
// other. `to`: where the next frame begins; null: no other frame follows.
export function libraryRuns(hits) {
    const frames = hits
        .map((h) => ({at: h.line - 1, ...frameOf(h.text)}))
        .filter((f) => f.file !== undefined);
    const runs = [];
    frames.forEach((f, i) => {
        const next = frames[i + 1],
            last = runs[runs.length - 1];
        if (!f.library) return;
        const to = next && next.at - f.at <= FRAME_LINES ? next.at : null;
        if (last && last.to === f.at) Object.assign(last, {to, n: last.n + 1, end: f.at});
        else runs.push({from: f.at, to, n: 1, end: f.at});
    });
    return runs;
}
