// Events of the server, by the worker that all tabs share.
import {store} from './lib.js';

export const connection = store({state: 'connecting'});
const listeners = new Set();
let port = null;

export function onEvent(fn) {
    listeners.add(fn);
    return () => listeners.delete(fn);
}
function take(message) {
    if (message.type === 'state') connection.set(message);
    else for (const fn of [...listeners]) fn(message.name, message.data);
}
export function startLive(base) {
    const url = new URL('live.js', base).pathname;
    if (typeof SharedWorker !== 'undefined') {
        const shared = new SharedWorker(url, {name: 'nexus'});
        port = shared.port;
        port.onmessage = (e) => take(e.data);
    } else {
        port = new Worker(url);
        port.onmessage = (e) => take(e.data);
    }
    addEventListener('pagehide', () => port.postMessage('bye'));
    // A page that comes back from the browser's cache was cut off.
    addEventListener('pageshow', (e) => e.persisted && location.reload());
}
export const retryLive = () => port && port.postMessage('retry');
