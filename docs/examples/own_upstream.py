"""
Two protocols to learn from; docs/own_protocol.md walks through them.

Put this file into a folder C{twisted/plugins/} on Python's path, without an
C{__init__.py}.  Then C{echo_pass} and C{search_pass} may stand in C{location{}}.
"""

from urllib.parse import quote, unquote_to_bytes

from twisted_upstream.plugins import (
    Dialect,
    Exchange,
    InvalidBody,
    InvalidHead,
    ResponseHead,
    parseResponse,
)


# ---- echo: the response is what the server sends back ----
class Echo(Exchange):
    scheme = b"echo://"
    reusable = True

    def createRequest(self):
        self.text = self.client.variable("args") + b"\n"
        return self.text

    def processHeader(self, data):
        if not self.text.startswith(data[: len(self.text)]):
            raise InvalidHead("upstream sent something else back")
        return ResponseHead(200, contentLength=len(self.text))


echo = Dialect("echo", Echo, methods=[b"GET", b"HEAD"])


# ---- search: a query for an HTTP server, and only the lines that match ----
class Search(Exchange):
    scheme = b"search://"

    def createRequest(self):
        self.word = unquote_to_bytes(self.client.variable("arg_q"))
        return b"GET /find?text=%b HTTP/1.0\r\n\r\n" % quote(self.word).encode()

    def processHeader(self, data):
        found = parseResponse(data, limit=4096)
        if found is None:
            return None
        self.length = found.contentLength
        return ResponseHead(found.status, consumed=found.consumed)

    def inputFilterInit(self, head):
        return Matching(self.word, self.length)


class Matching:
    def __init__(self, word, length):
        self.word, self.remaining, self.rest, self.excess = word, length, b"", b""

    def inputFilter(self, data):
        if self.remaining is not None:
            data, self.excess = data[: self.remaining], data[self.remaining :]
            self.remaining -= len(data)
        lines = (self.rest + data).splitlines(keepends=True)
        self.rest = b""
        if self.remaining != 0 and lines and not lines[-1].endswith(b"\n"):
            self.rest = lines.pop()
            if len(self.rest) > 65536:
                raise InvalidBody("upstream sent too long a line")
        return b"".join(line for line in lines if self.word in line)


search = Dialect("search", Search, methods=[b"GET"])
