// The one stream of events, shared by all tabs (or, where there are no shared workers, a tab's own).
// Messages to the page: {type: 'state', state, since}, {type: 'event', name, data}.
const ports = new Set();
const SILENCE_MS = 40000;
let state = {type: 'state', state: 'connecting', since: Date.now()};
let lastId = null,
    attempt = 0,
    running = false,
    retryNow = null;

function tell(message) {
    for (const port of ports) port.postMessage(message);
}
function setState(name, extra) {
    if (name === state.state && name !== 'reconnecting') return;
    const lost = name !== 'live' && state.lost ? state.lost : Date.now();
    state = {type: 'state', state: name, lost: name === 'live' ? null : lost, ...extra};
    tell(state);
}
function take(block) {
    let name = 'message',
        data = '';
    for (const line of block.split('\n')) {
        if (line.startsWith('id: ')) lastId = line.slice(4);
        else if (line.startsWith('event: ')) name = line.slice(7);
        else if (line.startsWith('data: ')) data += line.slice(6);
    }
    if (!data) return;
    tell({type: 'event', name, data: JSON.parse(data)});
}
async function listen() {
    const stop = new AbortController();
    let timer = setTimeout(() => stop.abort(), 10000);
    const headers = lastId ? {'Last-Event-ID': lastId} : {};
    try {
        const answer = await fetch('/api/v1/events', {
            headers,
            signal: stop.signal,
            cache: 'no-store',
        });
        if (!answer.ok)
            throw Object.assign(new Error('events: ' + answer.status), {status: answer.status});
        // What was missed without an id is not known: everything is loaded anew.
        if (attempt && !lastId) tell({type: 'event', name: 'reset', data: {}});
        attempt = 0;
        setState('live');
        const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
        let text = '';
        for (;;) {
            clearTimeout(timer);
            timer = setTimeout(() => stop.abort(), SILENCE_MS);
            const {value, done} = await reader.read();
            if (done) break;
            text += value;
            for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2))
                take(text.slice(0, end));
        }
    } finally {
        clearTimeout(timer);
    }
}
async function run() {
    if (running) return;
    running = true;
    while (ports.size) {
        let refused = false;
        try {
            await listen();
        } catch (e) {
            refused = e.status === 401 || e.status === 403;
        }
        if (!ports.size) break;
        attempt++;
        const wait = refused ? 10000 : Math.min(250 * attempt, attempt > 60 ? 4000 : 750);
        setState(attempt > 3 ? 'offline' : 'reconnecting', {wait});
        await new Promise((done) => {
            retryNow = done;
            setTimeout(done, wait);
        });
    }
    running = false;
}
function join(port) {
    ports.add(port);
    port.onmessage = (e) => {
        if (e.data === 'bye') ports.delete(port);
        if (e.data === 'retry' && retryNow) retryNow();
    };
    port.postMessage(state);
    run();
}
if (typeof SharedWorkerGlobalScope !== 'undefined' && self instanceof SharedWorkerGlobalScope)
    self.onconnect = (e) => join(e.ports[0]);
else join(self);
