// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// A web server on the host's loopback, for sandboxes to reach or not to reach.
final class WebServer {
    let port: Int
    private let program: Program

    /// Serves `/`, `/bytes/N`, `/header/NAME`, `/endless` and `/redirect?URL`, and says hello on a
    /// WebSocket at `/socket`; `/elsewhere/PORT` says that HTTP/3 is spoken on that port. Over TLS
    /// when it has a certificate.
    init(_ certificate: Certificates.Server? = nil) throws {
        let script = """
            import base64, hashlib, http.server, ssl, sys, urllib.parse
            class Pages(http.server.BaseHTTPRequestHandler):
                def do_GET(self):
                    path, _, query = self.path.partition('?')
                    if path == '/redirect':
                        self.send_response(302)
                        self.send_header('Location', urllib.parse.unquote(query))
                        self.end_headers()
                        return
                    if path == '/socket' and self.headers.get('Upgrade') == 'websocket':
                        self.talk()
                        return
                    body = None
                    if path.startswith('/bytes/'):
                        body = b'x' * int(path[7:])
                    elif path.startswith('/header/'):
                        body = self.headers.get(path[8:], '').encode()
                    elif path != '/endless':
                        host = self.headers['Host']
                        body = f'host {host}, from {self.client_address[0]}'.encode()
                    self.send_response(200)
                    if path.startswith('/elsewhere/'):
                        self.send_header('Alt-Svc', f'h3=":{path[11:]}"; ma=600')
                    # Over TLS, an answer that is as long as its connection might be cut off.
                    if body is not None: self.send_header('Content-Length', str(len(body)))
                    self.end_headers()
                    if body is not None: self.wfile.write(body)
                    while body is None: self.wfile.write(b'x' * 65536)
                def talk(self):
                    key = self.headers['Sec-WebSocket-Key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
                    self.protocol_version = 'HTTP/1.1'
                    self.send_response(101)
                    self.send_header('Upgrade', 'websocket')
                    self.send_header('Connection', 'Upgrade')
                    digest = hashlib.sha1(key.encode()).digest()
                    self.send_header('Sec-WebSocket-Accept', base64.b64encode(digest).decode())
                    self.end_headers()
                    self.wfile.write(b'\\x81\\x05hello')
                    self.rfile.read(1)
                def log_message(self, *words): pass
            server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Pages)
            server.daemon_threads = True
            if len(sys.argv) > 1:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(*sys.argv[1:])
                # The handshake is its thread's to do: a bad one must not keep others waiting.
                server.socket = context.wrap_socket(
                    server.socket, server_side=True, do_handshake_on_connect=False)
            print(server.server_address[1], flush=True)
            server.serve_forever()
            """
        let files = certificate.map { [$0.path, $0.key] } ?? []
        let program = try Program(["/usr/bin/python3", "-c", script] + files)
        self.program = program
        let isUp = Host.waits(upTo: .seconds(20)) {
            program.outputSoFar.contains(10) || program.ends(within: .zero)
        }
        try #require(isUp, "\(program.errorsSoFar)")
        let text = String(decoding: program.outputSoFar, as: UTF8.self)
        port = try #require(Int(text.trimmingCharacters(in: .whitespacesAndNewlines)))
    }

    deinit {
        kill(program.pid, SIGKILL)
        _ = program.ends(within: .seconds(10))
    }
}
