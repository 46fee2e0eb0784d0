#!/usr/bin/env python3
"""odd_server.py PORT HOW: what answers where an SSH server was meant.
silent: takes the connection and says nothing; http: speaks first, something else;
close: takes it and hangs up; endless: says SSH's first line without end."""
import socket
import sys
import threading
import time

HOW = sys.argv[2]


def serve(c):
    try:
        if HOW == "http":
            c.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            time.sleep(1)
        elif HOW == "endless":
            while True:
                c.sendall(b"SSH-2.0-x" * 1000)
        elif HOW == "silent":
            time.sleep(600)
    except OSError:
        pass
    c.close()


s = socket.create_server(("", int(sys.argv[1])))
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
