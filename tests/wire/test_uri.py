"""
Tests for L{twisted_upstream.wire.uri}.
"""

from __future__ import annotations

from urllib.parse import quote, unquote_to_bytes

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.wire.uri import (
    BadURI,
    UnsafeURI,
    escapeArgs,
    escapeComponent,
    escapeHtmlUri,
    escapeMemcached,
    escapeRefresh,
    escapeUri,
    normalizePath,
    splitSafe,
    unescape,
    unescapeRedirect,
)


class NormalizeTests(SynchronousTestCase):
    """
    Tests for L{normalizePath}.
    """

    def test_plain(self) -> None:
        """
        A path with nothing to do is cut at its question mark.
        """
        for path, uri, args in [
            (b"/", b"/", b""),
            (b"/a/b.html", b"/a/b.html", b""),
            (b"/a/?", b"/a/", b""),
            (b"/a?b=%41/../c?d", b"/a", b"b=%41/../c?d"),
            (b"/a+b;c=d", b"/a+b;c=d", b""),
            (b"/\xff", b"/\xff", b""),
            (b"/a..b/c.", b"/a..b/c.", b""),
            (b"?a", b"/", b"a"),
        ]:
            self.assertEqual(normalizePath(path), (uri, args))

    def test_decoded(self) -> None:
        """
        C{%XX} is decoded once; what it stands for is of the path, except for slashes
        and dots, which mean what they mean.
        """
        for path, uri in [
            (b"/%41%4a%6A", b"/AJj"),
            (b"/%20%ff", b"/ \xff"),
            (b"/%3f%23%25", b"/?#%"),
            (b"/%2541", b"/%41"),
            (b"/a%2fb", b"/a/b"),
            (b"/a%2f%2Fb", b"/a/b"),
            (b"/a/%2e/b", b"/a/b"),
            (b"/a/.%2e/b", b"/b"),
            (b"/a%2f..%2fb", b"/b"),
            (b"/%02", b"/\x02"),
            (b"/.%3f", b"/.?"),
        ]:
            self.assertEqual(normalizePath(path), (uri, b""), path)

    def test_dots(self) -> None:
        """
        C{.} and C{..} are resolved where they are all of a segment.
        """
        for path, uri in [
            (b"/.", b"/"),
            (b"/./", b"/"),
            (b"/a/.", b"/a/"),
            (b"/a/./b", b"/a/b"),
            (b"/a/..", b"/"),
            (b"/a/../b", b"/b"),
            (b"/a/b/..", b"/a/"),
            (b"/a/b/../../c", b"/c"),
            (b"/a/.b", b"/a/.b"),
            (b"/a/..b", b"/a/..b"),
            (b"/a/...", b"/a/..."),
            (b"/a/.../b", b"/a/.../b"),
            (b"/a./b", b"/a./b"),
        ]:
            for merge in (True, False):
                self.assertEqual(normalizePath(path, merge), (uri, b""))

    def test_slashes(self) -> None:
        """
        Slashes are merged, or stay and count as segments.
        """
        for path, merged, kept in [
            (b"//", b"/", b"//"),
            (b"//a///b//", b"/a/b/", b"//a///b//"),
            (b"/a//../b", b"/b", b"/a/b"),
            (b"/a///../b", b"/b", b"/a//b"),
            (b"/a//.", b"/a/", b"/a//"),
            (b"//..", None, b"/"),
        ]:
            if merged is None:
                self.assertRaises(BadURI, normalizePath, path, True)
            else:
                self.assertEqual(normalizePath(path, True), (merged, b""))
            self.assertEqual(normalizePath(path, False), (kept, b""))

    def test_fragment(self) -> None:
        """
        A fragment is cut off, from the path or from the arguments.
        """
        for path, uri, args in [
            (b"/a#b", b"/a", b""),
            (b"/a#b?c", b"/a", b""),
            (b"/a?b#c?d", b"/a", b"b"),
            (b"/a/.#b", b"/a/", b""),
            (b"/a/..#b", b"/", b""),
            (b"/a/.?b", b"/a/", b"b"),
            (b"/a/..?b", b"/", b"b"),
            (b"/%41#%", b"/A", b""),
            (b"?b#c", b"/", b"b"),
        ]:
            self.assertEqual(normalizePath(path), (uri, args))

    def test_bad(self) -> None:
        """
        There is nothing above the root, no NUL, and no C{%} without two digits.
        """
        for path in [
            b"/..",
            b"/../a",
            b"/a/../..",
            b"/./..",
            b"/%2e%2e",
            b"/..?a",
            b"/..#a",
            b"/%",
            b"/a%4",
            b"/%4?1",
            b"/%zz",
            b"/%4z",
            b"/%+1",
            b"/% 1",
            b"/%00",
            b"/a%00b",
            b"/%#41",
        ]:
            self.assertRaises(BadURI, normalizePath, path)

    @given(
        st.lists(
            st.sampled_from([b"/", b".", b"a", b"%2e", b"%2F", b"%61", b"?", b"#"]),
            max_size=12,
        ).map(b"".join),
        st.booleans(),
    )
    def test_isNormal(self, path: bytes, merge: bool) -> None:
        """
        What comes out has nothing more to resolve.
        """
        try:
            uri, _ = normalizePath(b"/" + path, merge)
        except BadURI:
            return
        self.assertTrue(uri.startswith(b"/"))
        self.assertFalse({b".", b".."} & set(uri.split(b"/")))
        if merge:
            self.assertNotIn(b"//", uri)
        self.assertEqual(normalizePath(escapeUri(uri), merge), (uri, b""))


class EscapeTests(SynchronousTestCase):
    """
    Tests for what writes C{%XX}.
    """

    def test_sets(self) -> None:
        """
        Each place in a URI has its own unsafe characters.
        """
        everything = bytes(range(0x20, 0x80))
        never = ' "<>\\^`{|}\x7f'
        for escape, unsafe in [
            (escapeUri, never + "#%?"),
            (escapeArgs, never + "#%&+;?"),
            (escapeComponent, never + "!#$%&'()*+,/:;=?@[]"),
            (escapeHtmlUri, never + "#%'"),
            (escapeRefresh, never.replace("}", "") + "'~"),
            (escapeMemcached, " %"),
        ]:
            escaped = escape(everything).decode()
            wanted = "".join(
                f"%{ord(character):02X}" if character in unsafe else character
                for character in everything.decode()
            )
            self.assertEqual(escaped, wanted)
            self.assertEqual(escape(b"\x00\x1f"), b"%00%1F")
            if escape is not escapeMemcached:
                self.assertEqual(escape(b"\x80\xff"), b"%80%FF")

    def test_nothingToDo(self) -> None:
        """
        What is safe comes back as it is.
        """
        path = b"/a/b.html"
        self.assertIs(escapeUri(path), path)

    @given(st.binary())
    def test_likeUrllib(self, data: bytes) -> None:
        """
        Python's own library agrees on components, both ways.
        """
        self.assertEqual(escapeComponent(data), quote(data, safe="").encode())
        self.assertEqual(unescape(escapeUri(data)), data)
        self.assertEqual(unquote_to_bytes(escapeArgs(data)), data)


class UnescapeTests(SynchronousTestCase):
    """
    Tests for L{unescape} and L{unescapeRedirect}.
    """

    def test_all(self) -> None:
        """
        Everything is decoded; a percent sign without digits is lost.
        """
        for data, wanted in [
            (b"a%20b%3F%c3%A9?%41", b"a b?\xc3\xa9?A"),
            (b"%00", b"\0"),
            (b"%", b""),
            (b"%4", b""),
            (b"%zz", b"zz"),
            (b"%4zz", b"z"),
            (b"%%41", b"%41"),
            (b"%\n", b"\n"),
        ]:
            self.assertEqual(unescape(data), wanted)

    def test_redirect(self) -> None:
        """
        What may not stand in a Location stays encoded, and so do the arguments.
        """
        for data, wanted in [
            (b"/a%41%20%0a%C3%25%7f%26", b"/aA%20%0a%C3%25%7f&"),
            (b"/%41?%41", b"/A?%41"),
            (b"/%41%3f%41", b"/A?%41"),
            (b"/a", b"/a"),
            (b"/%zz%4z%", b"/zz"),
        ]:
            self.assertEqual(unescapeRedirect(data), wanted)


class SplitSafeTests(SynchronousTestCase):
    """
    Tests for L{splitSafe}.
    """

    def test_safe(self) -> None:
        """
        A path is decoded, arguments are not.
        """
        for uri, path, args in [
            (b"/a/b", b"/a/b", b""),
            (b"/a%20b?c%20d?e", b"/a b", b"c%20d?e"),
            (b"/a..b/..c/...", b"/a..b/..c/...", b""),
            (b"/a/.", b"/a/.", b""),
            (b"a", b"a", b""),
            (b"/a?/../b", b"/a", b"/../b"),
            (b"/a#b", b"/a#b", b""),
        ]:
            self.assertEqual(splitSafe(uri), (path, args))

    def test_unsafe(self) -> None:
        """
        Nothing leads upwards, neither plainly nor encoded.
        """
        for uri in [
            b"",
            b"?a",
            b"..",
            b"../a",
            b"/..",
            b"/../a",
            b"/a/../b",
            b"/a/..",
            b"/a/..?b",
            b"/%2e%2e/a",
            b"/a%2f..%2fb",
            b"%2e%2e",
            b"/a\0b",
            b"/a%00b",
        ]:
            self.assertRaises(UnsafeURI, splitSafe, uri)
