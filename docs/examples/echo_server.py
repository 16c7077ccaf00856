"""
A server for C{echo_pass}: sends back what it gets.  It takes the port to listen on.
"""

import socketserver
import sys


class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)


if __name__ == "__main__":
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    socketserver.ThreadingTCPServer.daemon_threads = True
    address = ("127.0.0.1", int(sys.argv[1]))
    with socketserver.ThreadingTCPServer(address, Echo) as server:
        server.serve_forever()
