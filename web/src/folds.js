// Which lines of a log are put away, and what is seen where: groups that ended well, frames of
// libraries in tracebacks, and the engine's own lines when they are not wanted. Lines count from 0.
const GROUP = /^::group::(.*)/,
    END = /^::endgroup::/,
    ENGINE = /^nexus: /;

export const ENGINE_TEXT = 'nexus: ';
export const endsGroup = (text) => END.test(text);

export class Folds {
    // chosen: head -> whether it is open, as somebody wanted it.
    constructor(chosen) {
        this.chosen = chosen;
        this.heads = new Map(); // line -> {from, to, name, n, kind, open, bad}; to: the line after it
        this.group = null; // the last one, while it has no end
        this.engine = new Set();
        this.withEngine = true;
        this.hidden = []; // {from, to, before}: disjoint, in order; before: lines hidden before it
    }
    beginGroup(at, name) {
        this.group = {from: at, to: null, name: name.trim(), kind: 'group', open: true, bad: false};
        this.heads.set(at, this.group);
    }
    // folds: whether it is put away if nothing went wrong in it.
    endGroup(to, folds) {
        const group = this.group;
        this.group = null;
        if (!group) return;
        group.to = to;
        group.open = this.chosen.get(group.from) ?? !(folds && !group.bad);
    }
    // As the server has them.
    addGroups(groups) {
        for (const g of groups) {
            this.beginGroup(g.line - 1, g.name);
            if (!g.open) this.endGroup(g.end_line, true);
        }
    }
    // A complete line, in order; then arrange(). A group ends with its mark, or where the next begins.
    note(at, text, folds) {
        const name = GROUP.exec(text);
        if (name) {
            this.endGroup(at, folds);
            this.beginGroup(at, name[1]);
        } else if (END.test(text)) {
            this.endGroup(at + 1, folds);
        } else {
            this.noteEngine(at, text);
        }
    }
    noteEngine(at, text) {
        if (ENGINE.test(text)) this.engine.add(at);
    }
    // A line says that something went wrong: groups around it stay open.
    noteError(at) {
        for (const g of this.heads.values())
            if (g.kind === 'group' && g.from < at && (g.to === null || at < g.to)) g.bad = true;
    }
    addErrors(lines) {
        lines.forEach((at) => this.noteError(at));
        for (const g of this.heads.values())
            if (g.bad && g.to !== null) g.open = this.chosen.get(g.from) ?? true;
    }
    addFrames(from, to, n) {
        if (to - from < 2 || this.heads.has(from)) return;
        const open = this.chosen.get(from) ?? false;
        this.heads.set(from, {from, to, name: '', n, kind: 'frames', open});
    }
    toggle(from) {
        const fold = this.heads.get(from);
        fold.open = !fold.open;
        this.chosen.set(from, fold.open);
        this.arrange();
    }
    showEngine(on) {
        this.withEngine = on;
        this.arrange();
    }
    // Opens what a line is put away in.
    reveal(at) {
        const around = [...this.heads.values()].filter((f) => !f.open && f.from < at && at < f.to);
        around.forEach((f) => this.chosen.set(f.from, (f.open = true)));
        if (around.length) this.arrange();
    }
    arrange() {
        const ranges = [...this.heads.values()]
            .filter((f) => !f.open && f.to !== null)
            .map((f) => ({from: f.from + 1, to: f.to}));
        if (!this.withEngine) this.engine.forEach((at) => ranges.push({from: at, to: at + 1}));
        ranges.sort((a, b) => a.from - b.from || b.to - a.to);
        this.hidden = [];
        let sum = 0;
        for (const r of ranges) {
            const last = this.hidden[this.hidden.length - 1];
            const from = last ? Math.max(r.from, last.to) : r.from;
            if (from >= r.to) continue;
            if (last && last.to === from) last.to = r.to;
            else this.hidden.push({from, to: r.to, before: sum});
            sum += r.to - from;
        }
        this.sum = sum;
    }
    // The last hidden range that holds(range), of which all before it hold too; -1: none.
    last(holds) {
        let lo = 0,
            hi = this.hidden.length;
        while (lo < hi) {
            const mid = (lo + hi) >> 1;
            if (holds(this.hidden[mid])) lo = mid + 1;
            else hi = mid;
        }
        return lo - 1;
    }
    rows(lines) {
        return lines - (this.hidden.length ? this.sum : 0);
    }
    lineOf(row) {
        const i = this.last((r) => r.from - r.before <= row);
        if (i < 0) return row;
        const r = this.hidden[i];
        return row + r.before + (r.to - r.from);
    }
    // Of a line that is put away: the row before it.
    rowOf(line) {
        const i = this.last((r) => r.from <= line);
        if (i < 0) return line;
        const r = this.hidden[i];
        return line < r.to ? Math.max(0, r.from - r.before - 1) : line - r.before - (r.to - r.from);
    }
}
