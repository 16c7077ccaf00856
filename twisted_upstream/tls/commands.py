"""
C{*_ssl_conf_command}: what OpenSSL's own configuration language can say, as far as
pyOpenSSL can do it.

nginx: event/ngx_event_openssl.c (ngx_ssl_conf_commands); OpenSSL: C{SSL_CONF_cmd()}
"""

from __future__ import annotations

from collections.abc import Iterable

# Name: the bit, and whether the name means that it is set.
_OPTIONS = {
    "sessionticket": (0x4000, False),
    "serverpreference": (0x400000, True),
    "prioritizechacha": (0x200000, True),
    "norenegotiation": (0x40000000, True),
    "norenegotiation2": (0x40000000, True),
    "antireplay": (0x1000000, False),
    "middleboxcompat": (0x100000, True),
    "encryptthenmac": (0x80000, False),
    "allownodhekex": (0x400, True),
    "ignoreunexpectedeof": (0x80, True),
    "emptyfragments": (0x800, False),
    "bugs": (0x80000050, True),
    "compression": (0x20000, False),
    "unsafelegacyrenegotiation": (0x40000, True),
    "unsafelegacyserverconnect": (0x4, True),
    "noresumptiononrenegotiation": (0x10000, True),
    "extendedmastersecret": (0x1, False),
    "canames": (0x200, True),
    "ktls": (0x8, True),
    "preferneverchachaforgcm": (0, True),
    "ecdhsingle": (0, True),
    "dhsingle": (0, True),
}
_VALUES = (
    "cipherstring",
    "ciphersuites",
    "groups",
    "curves",
    "signaturealgorithms",
)
_FILES = ("certificate", "privatekey", "dhparameters", "verifycafile")
_LIMITS = ("minprotocol", "maxprotocol", "protocol")
#: Understood, and without effect here.
_IGNORED = ("numtickets", "recordpadding", "clientsignaturealgorithms")
_ORDER = ("SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")


class CommandError(Exception):
    """
    OpenSSL would refuse a command; the text is nginx's.
    """


class Commands:
    """
    The commands of one level, in order.

    @ivar files: names (lower case) and paths of those that mean files.
    """

    def __init__(self, commands: Iterable[tuple[str, str]]) -> None:
        """
        @raise CommandError: one is unknown, or its value is.
        """
        self.files: list[tuple[str, str]] = []
        self._values: dict[str, str] = {}
        self._on = self._off = 0
        self._limits: list[tuple[str, str]] = []
        for name, value in commands:
            key = name.lower()
            if key == "options":
                self._addOptions(name, value)
            elif key in _VALUES:
                self._values[key] = value
            elif key in _FILES:
                self.files.append((key, value))
            elif key in _LIMITS:
                self._addLimit(key, name, value)
            elif key not in _IGNORED:
                raise CommandError(
                    f'SSL_CONF_cmd("{name}", "{value}") failed (SSL: error:0A000182:SSL'
                    f" routines::unknown cmd name:cmd={name})"
                )

    def _addOptions(self, name: str, value: str) -> None:
        for word in value.split(","):
            isOn = not word.startswith("-")
            bit, sets = _OPTIONS.get(word.lstrip("+-").lower(), (None, True))
            if bit is None:
                raise self.failed(name, value)
            if isOn is sets:
                self._on |= bit
                self._off &= ~bit
            else:
                self._off |= bit
                self._on &= ~bit

    def _addLimit(self, key: str, name: str, value: str) -> None:
        if key == "protocol":
            words = [word.lstrip("+-").lower() for word in value.split(",")]
            known = {"all", "sslv2", *(each.lower() for each in _ORDER)}
            if not known.issuperset(words):
                raise self.failed(name, value)
        elif value not in (*_ORDER, "None"):
            raise self.failed(name, value)
        self._limits.append((key, value))

    @staticmethod
    def failed(name: str, value: str, detail: str = "") -> CommandError:
        """
        A value that is not understood.
        """
        detail = detail or (
            f"error:0A000180:SSL routines::bad value:cmd={name}, value={value}"
        )
        return CommandError(f'SSL_CONF_cmd("{name}", "{value}") failed (SSL: {detail})')

    def value(self, key: str) -> str:
        """
        The last value of a command; empty: it was not given.
        """
        return self._values.get(key, "")

    def options(self) -> tuple[int, int]:
        """
        The bits to be set, and those not to be set whatever other directives say.
        """
        return self._on, self._off

    def protocols(self, given: tuple[str, ...]) -> tuple[str, ...]:
        """
        What remains of the versions that another directive allows.
        """
        allowed = set(given)
        for key, value in self._limits:
            if key == "protocol":
                for word in value.split(","):
                    name = word.lstrip("+-").lower()
                    which = {
                        each for each in _ORDER if name == "all" or each.lower() == name
                    }
                    if word.startswith("-"):
                        allowed -= which
                    else:
                        allowed |= which
            elif value != "None":
                at = _ORDER.index(value)
                isMost = key == "maxprotocol"
                beyond = _ORDER[at + 1 :] if isMost else _ORDER[:at]
                if isMost and not allowed.intersection(_ORDER[: at + 1]):
                    allowed.add(value)
                allowed -= set(beyond)
        return tuple(each for each in _ORDER if each in allowed)
