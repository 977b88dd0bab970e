# SPDX-License-Identifier: Apache-2.0
"""The site under test, on the sandbox's own loopback: python3 server.py [COMMAND...]

Serves the pages of its directory and the answers below on port 8000, runs the command beside it, and
ends with the command's exit status.
"""
import http.cookies
import http.server
import subprocess
import sys
import threading
import time
import urllib.parse


class Site(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body, kind="text/html; charset=utf-8", status=200, headers=()):
        data = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def redirect(self, target, headers=()):
        self.answer("", status=303, headers=[("Location", target), *headers])

    def cookie(self, name):
        cookies = http.cookies.SimpleCookie(self.headers.get("Cookie", ""))
        return cookies[name].value if name in cookies else None

    def do_GET(self):
        path = urllib.parse.urlsplit(self.path).path
        handler = getattr(self, "get_" + path.strip("/").replace(".", "_"), None)
        if handler:
            handler()
        else:
            super().do_GET()

    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        form = dict(urllib.parse.parse_qsl(self.rfile.read(length).decode()))
        if self.path == "/form":
            self.answer(f"<title>Thanks</title><p id=thanks>Thank you, {form.get('name')}: "
                        f"{form.get('colour')}, {form.get('agree', 'off')}</p>")
        elif self.path == "/login":
            if form.get("password") == "correct horse":
                self.redirect("/account", [("Set-Cookie", "user=" + form["user"] + "; HttpOnly")])
            else:
                self.answer("<p>Wrong password</p>", status=403)
        else:
            self.answer("no", status=404)

    def get_account(self):
        user = self.cookie("user")
        if user:
            self.answer(f"<title>Account</title><p id=hello>Hello, {user}</p>")
        else:
            self.redirect("/login.html")

    def get_report_csv(self):
        self.answer("year,sum\n2025,42\n", "text/csv",
                    headers=[("Content-Disposition", 'attachment; filename="report 2025.csv"')])

    def get_items(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        first = int(query["from"][0])
        items = "".join(f"<li>Item {n}</li>" for n in range(first, min(first + 20, 100)))
        self.answer(items)

    def get_never(self):
        time.sleep(600)

    def get_endless(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        piece = b"x" * 65536
        try:
            while True:
                self.wfile.write(piece)
        except OSError:
            self.close_connection = True

    def get_around(self):
        self.redirect("/around")

    def get_tofile(self):
        self.redirect("file:///etc/passwd")

    def get_moved(self):
        self.redirect("/report.csv")

    def get_missing(self):
        self.answer("<title>Gone</title><p>Not here</p>", status=404)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


if __name__ == "__main__":
    server = Server(("127.0.0.1", 8000), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.exit(subprocess.call(sys.argv[1:]))
