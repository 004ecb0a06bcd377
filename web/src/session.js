// Who one is, when the server asks: signing in and out. The token goes into one request and is kept by
// nobody here; the answer's cookie is out of the reach of scripts.
import {html, useState} from './lib.js';
import {call, session} from './api.js';

// Everything is asked for anew as whoever one is now.
async function change(method, body) {
    await call(method, '/session', body);
    location.reload();
}

export function SignIn() {
    const [token, setToken] = useState(''),
        [wrong, setWrong] = useState(null),
        [busy, setBusy] = useState(false);
    const submit = async (e) => {
        e.preventDefault();
        setBusy(true);
        try {
            await change('POST', {token: token.trim()});
        } catch (error) {
            setWrong(error);
            setBusy(false);
        }
    };
    return html`<section class="pad sign-in">
        <h1>Sign in</h1>
        <p class="muted">
            This server asks who you are. <code>nexus token create --role ROLE</code> makes a token;
            who owns the server can give you one.
        </p>
        <form onSubmit=${submit}>
            <label for="token">Token</label>
            <input
                id="token"
                type="password"
                autocomplete="off"
                spellcheck="false"
                autofocus
                required
                value=${token}
                aria-invalid=${wrong ? 'true' : undefined}
                onInput=${(e) => setToken(e.target.value)}
            />
            <button type="submit" class="primary" disabled=${busy || !token.trim()}>Sign in</button>
        </form>
        ${wrong ? html`<p class="err" role="alert">${wrong.message}</p>` : null}
    </section>`;
}

export function User() {
    const s = session.use();
    if (!s || !s.auth || s.role === 'anyone') return null;
    return html`<span class="user" title=${`Your token has the role ${s.role}`}
        ><span class="wide-only">${s.user} · ${s.role}</span>
        <button type="button" class="plain" onClick=${() => change('DELETE')}>
            Sign out
        </button></span
    >`;
}
