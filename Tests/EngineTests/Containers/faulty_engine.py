# SPDX-License-Identifier: Apache-2.0
"""A real container engine behind a socket of the test's, which hits chosen calls with a fault.

    faulty_engine.py SOCKET ENGINE CONTROL

It runs as the daemon's user, for whoever listens at an engine's socket is asked of the kernel. One
request a connection: it reads the request and the file CONTROL, does the fault, and closes. CONTROL
is JSON: method, path (an expression that is found in it), fault, status, body, from, to, pid; without
it nothing happens to any call. Each call that is hit is a line in CONTROL.hits.
"""
import json
import os
import re
import signal
import socket
import sys
import threading


def request(connection):
    """The head, with the empty line at its end, and the body of a request with a length."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return None
        data += piece
    head, body = data.split(b"\r\n\r\n", 1)
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        piece = connection.recv(65536)
        if not piece:
            return None
        body += piece
    return head, body


def forward(engine, head, body, connection):
    """Has the engine answer; its answer goes to the connection, if any."""
    behind = socket.socket(socket.AF_UNIX)
    behind.connect(engine)
    behind.sendall(head + b"\r\nConnection: close\r\n\r\n" + body)
    while piece := behind.recv(65536):
        if connection:
            connection.sendall(piece)


def fault_of(control, head):
    try:
        with open(control) as file:
            wanted = json.load(file)
    except FileNotFoundError:
        return None
    method, path = head.split(b" ", 2)[:2]
    if method.decode() != wanted["method"] or not re.search(wanted["path"], path.decode()):
        return None
    with open(control + ".hits", "a") as file:
        file.write(path.decode() + "\n")
    return wanted


def serve(connection, engine, control, held):
    with connection:
        got = request(connection)
        if not got:
            return
        head, body = got
        wanted = fault_of(control, head)
        fault = wanted and wanted["fault"]
        if fault == "edit":
            assert wanted["from"].encode() in body, body
            body = body.replace(wanted["from"].encode(), wanted["to"].encode())
            head = re.sub(rb"(?i)(content-length: *)\d+", rb"\g<1>%d" % len(body), head)
            fault = None
        if fault == "kill":
            os.kill(wanted["pid"], signal.SIGKILL)
            return
        if fault in ("drop_answer", "hang_answer", "twice", "kill_after"):
            forward(engine, head, body, None)
        if fault == "kill_after":
            os.kill(wanted["pid"], signal.SIGKILL)
            return
        if fault is None or fault == "twice":
            forward(engine, head, body, connection)
        if fault in ("hang", "hang_answer"):
            held.wait(600)
        if fault == "answer":
            text = wanted["body"].encode()
            connection.sendall(
                b"HTTP/1.1 %d Fault\r\nContent-Type: application/json\r\nApi-Version: 1.41\r\n"
                b"Connection: close\r\nContent-Length: %d\r\n\r\n" % (wanted["status"], len(text))
                + text
            )
        if fault == "garbage":
            connection.sendall(b"\x07" * 200)


def main():
    path, engine, control = sys.argv[1:]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o600)
    listener.listen(64)
    held = threading.Event()
    while True:
        connection, _ = listener.accept()
        threading.Thread(
            target=serve, args=(connection, engine, control, held), daemon=True
        ).start()


main()
