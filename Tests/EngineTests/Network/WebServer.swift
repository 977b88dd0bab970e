// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// A web server on the host's loopback, for sandboxes to reach or not to reach.
final class WebServer {
    let port: Int
    private let program: Program

    /// Serves `/`, `/bytes/N`, `/header/NAME`, `/endless` and `/redirect?URL`.
    init() throws {
        let script = """
            import http.server, sys, urllib.parse
            class Pages(http.server.BaseHTTPRequestHandler):
                def do_GET(self):
                    path, _, query = self.path.partition('?')
                    if path == '/redirect':
                        self.send_response(302)
                        self.send_header('Location', urllib.parse.unquote(query))
                        self.end_headers()
                        return
                    self.send_response(200)
                    self.end_headers()
                    if path.startswith('/bytes/'):
                        self.wfile.write(b'x' * int(path[7:]))
                    elif path.startswith('/header/'):
                        self.wfile.write(self.headers.get(path[8:], '').encode())
                    elif path == '/endless':
                        while True: self.wfile.write(b'x' * 65536)
                    else:
                        host = self.headers['Host']
                        self.wfile.write(f'host {host}, from {self.client_address[0]}'.encode())
                def log_message(self, *words): pass
            server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Pages)
            print(server.server_address[1], flush=True)
            server.serve_forever()
            """
        let program = try Program(["/usr/bin/python3", "-c", script])
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
