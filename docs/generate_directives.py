"""
Writes C{directives.md}, the reference of all directives, from their declarations::

    python docs/generate_directives.py

A test compares the page with what this makes.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
PAGE = CHECKOUT / "docs" / "directives.md"
# Run as a program, python looks beside this file; the checkout comes first.
sys.path.insert(0, str(CHECKOUT))

from twisted_upstream.config.directive import Directive, Where  # noqa: E402
from twisted_upstream.config.known import notSupported  # noqa: E402
from twisted_upstream.process.grammar import makeGrammar  # noqa: E402
from twisted_upstream.process.modules import NGINX_VERSION  # noqa: E402
from twisted_upstream.upstream.retry import HTTP_WORDS  # noqa: E402

TOP = f"""\
# Directives

<!-- Made by generate_directives.py: change the declarations instead. -->

Every directive that a configuration may contain, in alphabetical order; a name with
two meanings comes once for each place. Names and meanings are those of nginx
{NGINX_VERSION} (origin: nginx) unless the entry says otherwise. How this differs from
nginx as a whole is told in [configuration.md](configuration.md). `include` works
everywhere and is part of the language itself.

[The last section](#not-supported) lists the directives of stock nginx that are not
here yet: each is an error in a configuration, never passed over in silence.
"""

BOTTOM = f"""\
## Not supported

Directives of nginx {NGINX_VERSION} that are known and refused, by module. The message
names the module. Directives of nginx's mail module are not listed: `mail` is refused
as a whole.
"""

#: Defaults that depend on other directives, or that a value does not show.
_DEFAULTS = {
    "pass": "",
    "busy_buffers_size": "twice the larger of `{}_buffer_size` and one of `{}_buffers`",
    "temp_file_write_size": (
        "twice the larger of `{}_buffer_size` and one of `{}_buffers`"
    ),
    "temp_path": "`{}_temp`",
    "redirect": "`default`",
    "ssl_certificate_cache": "`off`",
}
#: Balancers are plugins, whose words nobody declares: syntax and text of our own.
_BALANCERS = {
    "consistent_hash": (
        "consistent_hash key;",
        "Of Tengine. Requests with the same key go to the same server of a ring that is"
        " other than that of `hash key consistent`: by the servers' `id=` (a number up"
        " to 65535) or their addresses. A server is out after more than `max_fails`"
        " failures, for `fail_timeout`; its keys go to those that follow. Servers after"
        " it cannot have `backup`, `max_conns` or `slow_start`.",
    ),
    "hash": (
        "hash key [consistent] [bounded=factor];",
        "Requests with the same key (text and variables) go to the same server;"
        " `consistent` (ketama) moves few keys when servers come or go. Without a key,"
        " round robin. `bounded` is of twisted_upstream, and means `consistent`: no"
        " server has more than `factor` (at least 1, such as 1.25) times its share of"
        " the requests under way, rounded up; those above go on to the next server of"
        " the circle. Servers after it cannot have `backup` or `slow_start`.",
    ),
    "ip_hash": (
        "ip_hash;",
        "Requests from the same IPv4 network of 256 addresses, or the same IPv6"
        " address, go to the same server. Servers after it cannot have `backup` or"
        " `slow_start`.",
    ),
    "iwrr": (
        "iwrr;",
        "Of Tengine: interleaved weighted round robin. In each round every server gets"
        " one request, until it has had as many as its weight says; then all begin"
        " anew. It begins with a random server. Servers after it cannot have"
        " `slow_start`.",
    ),
    "least_conn": (
        "least_conn;",
        "The server with the fewest requests under way for its weight; equals take"
        " turns.",
    ),
    "least_time": (
        "least_time header | last_byte [inflight];",
        "The server that is expected to be through first: the average time of its"
        " answers (to their head, or whole; in milliseconds, clusters of 20), times"
        " the requests under way and one, for its weight; equals take turns. The"
        " average of a server that is not asked halves in each `fail_timeout`."
        " `inflight`: a server whose requests have waited longer than its average is"
        " as slow as that already. In `stream` it is `connect`, `first_byte` or"
        " `last_byte`.",
    ),
    "persist": (
        "persist key [zone=name[:size]] [size=number] [timeout=time] [lifetime=time]"
        " [on_full=move | spill | wait | reject] [on_fail=move | spill | reject]"
        " [commit=select | connect | first_byte] [failback=on | off]"
        " [mask=bits[,bits]];",
        "Requests with the same key (text and variables; none: not remembered) go to"
        " the server that the first of them went to, in whichever way that was chosen."
        " When it has `max_conns` requests (`on_full`) or is down, resting, or fails"
        " (`on_fail`), they `move` there where the method sends them now, `spill`"
        " there this once, `wait` for it in the `queue`, or are refused. A client is"
        " remembered when its server is chosen (over UDP always), connected (the"
        " default; in `http`, when the head of a response has come) or sends something;"
        " for `timeout` (`10m`) after its last request, and no longer than `lifetime`"
        " (no limit); `size` is how many are (`10000`). `zone` keeps them over a"
        " reload."
        " `failback=on`: a backup server is left as soon as another is available."
        " `mask` makes one key of a network's addresses, IPv4 and IPv6.",
    ),
    "queue": (
        "queue number [timeout=time];",
        "Requests for which no server is available (`max_conns`, or resting after"
        " failures) wait for one, first come, first served: so many at once, and so"
        " long (`60s`). Others get 502.",
    ),
    "random": (
        "random [two [least_conn | least_time[=header | last_byte | ewma]]];",
        "A server by chance, as often as its weight says; `two`: the one of two with"
        " fewer requests under way for its weight, or with the smaller estimate of"
        " `least_time` (by itself: `header`). `ewma` is of twisted_upstream: a"
        " server's cost rises at once to the longest time to a head and sinks slowly,"
        " its load is `max(cost * w, 1 ms) * (1 + conns) / weight`; with a shorter time"
        " `t`, `cost` becomes `cost * w + t * (1 - w)`, where `w = exp(-elapsed / 10"
        " s)` and `elapsed` is the time since the last answer; failures count when"
        " they took longer. In `stream`, `least_time` has `connect`, `first_byte` or"
        " `last_byte`. Servers after it cannot have `backup` or `slow_start`.",
    ),
    "vnswrr": (
        "vnswrr [max_init=number];",
        "Of Tengine: the order of smooth weighted round robin, written down as it is"
        " walked, `max_init` entries at a time (by itself, as many as there are"
        " servers). It begins at a random server; who is out is passed over. Servers"
        " after it cannot have `slow_start`.",
    ),
}
_ORIGINS = {"persist": "ours", "queue": "plus"}
_DEFAULTS_BY_NAME = {
    "access_log": "`logs/access.log combined`",
    "error_log": "the file of `-e`, level `error`",
    "index": "`index.html`",
    "listen": "`*:80`; `*:8000` where the user is not root",
    "log_format": "`combined` is there without being defined",
    "root": "`html`",
    "server_name": '`""`',
    "types": "`{ text/html html; image/gif gif; image/jpeg jpg; }`",
}


def markdown(text: str) -> str:
    """
    A docstring's markup as Markdown.
    """
    text = re.sub(r"[CL]\{([^{}]*)\}", r"`\1`", text)
    return re.sub(r"  +", " ", text).replace("*", "\\*")


def syntax(each: Directive) -> str:
    """
    What is written: C{proxy_buffers value value;}.
    """
    least, most = each.arity
    words = each.type
    if not words:
        words = " ".join(["value"] * least)
        if most is None:
            words += " ..."
        elif most > least:
            words += " [value]" if most == least + 1 else " [value ...]"
    end = ";" if each.opens is None else " { ... }"
    return f"{each.name} {words}".rstrip() + end


def default(each: Directive) -> str:
    """
    The default as it would be written, or nothing.
    """
    if each.prefix and each.name.startswith(each.prefix + "_"):
        special = _DEFAULTS.get(each.name[len(each.prefix) + 1 :])
        if special is not None:
            return special.replace("{}", each.prefix)
    if each.name in _DEFAULTS_BY_NAME:
        return _DEFAULTS_BY_NAME[each.name]
    value: Any = each.default
    if value is None or value == () or each.arity == (0, 0):
        return ""
    if each.fieldName == "nextUpstream" and isinstance(value, tuple):
        return f"`{' '.join(w for w, bit in HTTP_WORDS.items() if value[0] & bit)}`"
    parts = value if isinstance(value, tuple) else (value,)
    if isinstance(value, frozenset):
        parts = tuple(sorted(value))
    written = [_word(part, each.unit) for part in parts]
    if each.name == "keepalive":
        written[1:] = ["local"] if value[1] else []
    if each.name == "keepalive_timeout" and len(written) == 2:
        # No second value: the client is told nothing.
        del written[1]
    return f"`{' '.join(written)}`" if written else ""


def _word(value: Any, unit: str) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, bytes):
        return value.decode()
    if unit == "seconds":
        return f"{value:g}s" if value == int(value) else f"{value * 1000:g}ms"
    if unit == "bytes" and value > 999:
        for power, letter in ((30, "g"), (20, "m"), (10, "k")):
            if value % (1 << power) == 0:
                return f"{value >> power}{letter}"
    return str(value)


def entry(each: Directive, title: str) -> str:
    """
    The paragraph of one directive.
    """
    written, text = syntax(each), markdown(each.doc)
    if each.where & Where.UPSTREAM and each.name in _BALANCERS:
        written, text = _BALANCERS[each.name]
    rows = [
        ("Syntax", f"`{written}`"),
        ("Default", default(each) or "none"),
        ("Unit", each.unit),
        ("Context", ", ".join(each.where.names)),
        ("Origin", _ORIGINS.get(each.name, each.origin)),
    ]
    lines = [f"- {name}: {value}" for name, value in rows if value]
    if each.repeat:
        lines.append("- May be given several times")
    return "\n".join([f"### {title}", "", *lines, "", text, ""])


def page() -> str:
    """
    The whole page.
    """
    grammar = makeGrammar()
    found = sorted(grammar.directives(), key=lambda d: (d.name, d.where.value))
    names = [each.name for each in found]
    parts = [TOP, "## Supported\n"]
    for each in found:
        title = each.name
        if names.count(title) > 1:
            title += f" (in {', '.join(each.where.names)})"
        parts.append(entry(each, title))
    parts.append(BOTTOM)
    for module, missing in notSupported(grammar):
        # The language itself, not a directive that a grammar declares.
        if module == "ngx_conf_module":
            continue
        listed = ", ".join(f"`{name}`" for name in missing)
        parts.append(f"- **{module}**: {listed}")
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
