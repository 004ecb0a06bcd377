"""Where notifications go in tests: an HTTP server whose answer depends on the path, and SMTP servers
without TLS, with STARTTLS and with TLS from the start. What comes in is appended to FOLDER/http and
FOLDER/mail, a JSON object a line; FOLDER/ports has the ports once all listen.

    [PORT=HTTP-PORT] sinks.py FOLDER [CERTIFICATE KEY]

HTTP: /ok 200, /slow answers after 30 s, /fail 500, /gone 410, /redirect 302 to /elsewhere, /flaky
503 twice and then 200, /later 503 until FOLDER/open exists. SMTP takes the login ann:PASSWORD of
FOLDER/password; a mail to refused@example.com is refused for good, one to busy@example.com for now.
"""
import asyncio, base64, http.server, json, os, ssl, sys, threading, time

folder = sys.argv[1]
lock = threading.Lock()
seen = {}


def keep(name, record):
    with lock:
        with open(f"{folder}/{name}", "a") as file:
            file.write(json.dumps(record) + "\n")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        path = self.path.split("?")[0]
        keep("http", {"path": self.path, "body": body, "headers": dict(self.headers.items()), "at": time.time()})
        with lock:
            seen[path] = seen.get(path, 0) + 1
        status = {"/fail": 500, "/gone": 410, "/redirect": 302}.get(path, 200)
        if path == "/slow":
            time.sleep(30)
        if path == "/flaky" and seen[path] <= 2:
            status = 503
        if path == "/later" and not os.path.exists(f"{folder}/open"):
            status = 503
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "6")
        self.end_headers()
        try:
            self.wfile.write(b"taken\n")
        except OSError:
            pass

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 100

    def handle_error(self, *args):
        pass


async def smtp(reader, writer, tls, context):
    secure = tls == "from the start"
    mail = {"to": [], "user": None, "tls": secure}

    def say(line):
        writer.write(line.encode() + b"\r\n")

    say("220 sink")
    while line := (await reader.readline()).decode("latin-1"):
        words = line.strip().split(" ", 2)
        verb = words[0].upper()
        if verb == "EHLO":
            say("250-sink")
            if tls == "starttls" and not secure:
                say("250-STARTTLS")
            say("250 AUTH PLAIN")
        elif verb == "STARTTLS":
            say("220 go on")
            await writer.drain()
            await writer.start_tls(context)
            secure = mail["tls"] = True
        elif verb == "AUTH":
            token = words[2] if len(words) > 2 else None
            if token is None:
                say("334 ")
                token = (await reader.readline()).decode().strip()
            _, user, password = base64.b64decode(token).decode().split("\0")
            good = user == "ann" and password == open(f"{folder}/password").read().strip()
            mail["user"] = user if good else None
            say("235 welcome" if good else "535 no")
        elif verb == "MAIL":
            mail["from"] = line.strip().split(":", 1)[1].split(" ")[0]
            say("250 ok")
        elif verb == "RCPT":
            to = line.strip().split(":", 1)[1]
            mail["to"].append(to)
            say("550 nobody" if "refused@" in to else "451 later" if "busy@" in to else "250 ok")
        elif verb == "DATA":
            say("354 go on")
            text = []
            while (part := (await reader.readline()).decode("latin-1")) not in (".\r\n", ""):
                text.append(part[1:] if part.startswith(".") else part)
            keep("mail", dict(mail, text="".join(text)))
            mail["to"] = []
            say("250 kept")
        elif verb == "QUIT":
            say("221 bye")
            await writer.drain()
            break
        else:
            say("250 ok")
        await writer.drain()
    writer.close()


async def main():
    context = None
    if len(sys.argv) > 2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2], sys.argv[3])
    web = Server(("127.0.0.1", int(os.environ.get("PORT", 0))), Handler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    ports = {"http": web.server_port}
    if context:
        secure = Server(("127.0.0.1", 0), Handler)
        secure.socket = context.wrap_socket(secure.socket, server_side=True)
        threading.Thread(target=secure.serve_forever, daemon=True).start()
        ports["https"] = secure.server_port
    for name, tls in (("smtp", None), ("starttls", "starttls"), ("smtps", "from the start")):
        if tls and not context:
            continue
        server = await asyncio.start_server(
            lambda r, w, tls=tls: smtp(r, w, tls, context), "127.0.0.1", 0,
            ssl=context if name == "smtps" else None)
        ports[name] = server.sockets[0].getsockname()[1]
    with open(f"{folder}/ports.new", "w") as file:
        json.dump(ports, file)
    os.rename(f"{folder}/ports.new", f"{folder}/ports")
    await asyncio.Event().wait()


asyncio.run(main())
