"""
What gets installed, and that it works from there.
"""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from importlib.util import find_spec
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

CHECKOUT = Path(__file__).resolve().parents[1]


def run(*command: str | Path, cwd: Path) -> str:
    """
    Run a program outside of the checkout's influence.

    @return: what it wrote to standard output.
    @raise AssertionError: it failed; the text is what it said.
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        words = " ".join(str(word) for word in command)
        raise AssertionError(f"{words}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class LayoutTests(SynchronousTestCase):
    """
    The list of packages in setup.cfg is written by hand.
    """

    def test_everyPackageIsListed(self) -> None:
        """
        Every package of the checkout is installed, and the plugins are.
        """
        setup = configparser.ConfigParser()
        setup.read(CHECKOUT / "setup.cfg")
        there = {
            ".".join(path.parent.relative_to(CHECKOUT).parts)
            for path in (CHECKOUT / "twisted_upstream").rglob("__init__.py")
        }
        self.assertEqual(
            set(setup["options"]["packages"].split()), there | {"twisted.plugins"}
        )

    def test_twistedIsNotOurs(self) -> None:
        """
        No C{__init__.py} stands where it would replace one of Twisted's.
        """
        self.assertEqual(list((CHECKOUT / "twisted").rglob("__init__.py")), [])


class WheelTests(SynchronousTestCase):
    """
    The wheel in a new environment.
    """

    def setUp(self) -> None:
        for tool in ("build", "pip", "setuptools"):
            if find_spec(tool) is None:
                raise SkipTest(f"{tool} is not installed")
        self.folder = Path(tempfile.mkdtemp(prefix="packaging"))
        self.addCleanup(shutil.rmtree, self.folder)

    def buildWheel(self) -> Path:
        """
        Build the wheel from a copy, which leaves nothing behind in the checkout.
        """
        source = self.folder / "source"
        source.mkdir()
        for name in (
            "setup.cfg",
            "pyproject.toml",
            "README.md",
            "LICENSE",
            "MANIFEST.in",
        ):
            if (CHECKOUT / name).exists():
                shutil.copy(CHECKOUT / name, source)
        unwanted = shutil.ignore_patterns("__pycache__", "dropin.cache")
        for name in ("twisted_upstream", "twisted"):
            shutil.copytree(CHECKOUT / name, source / name, ignore=unwanted)
        out = self.folder / "dist"
        run(
            *(sys.executable, "-m", "build", "--wheel", "--no-isolation"),
            *("--outdir", out, source),
            cwd=self.folder,
        )
        (wheel,) = out.glob("*.whl")
        return wheel

    def newEnvironment(self, wheel: Path) -> Path:
        """
        An environment with nothing but the wheel in it; what the wheel requires comes
        from the environment of this test, found behind its own.

        @return: its folder of programs.
        """
        environment = self.folder / "environment"
        run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=self.folder)
        programs = environment / "bin"
        run(
            *(sys.executable, "-m", "pip", "--python", programs / "python"),
            *("install", "--quiet", "--no-deps", "--no-index", wheel),
            cwd=self.folder,
        )
        scheme = {"base": str(environment), "platbase": str(environment)}
        ours = Path(sysconfig.get_path("purelib", "venv", scheme))
        theirs = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        (ours / "requirements.pth").write_text("\n".join(sorted(theirs)) + "\n")
        return programs

    def test_installed(self) -> None:
        """
        C{twistd} lists the C{upstream} command, the console script answers, and the
        code that runs is the wheel's.
        """
        programs = self.newEnvironment(self.buildWheel())
        place = run(
            *(
                programs / "python",
                "-c",
                "import twisted_upstream as t; print(t.__file__)",
            ),
            cwd=self.folder,
        )
        self.assertTrue(place.startswith(str(self.folder)), place)
        listed = run(
            *(programs / "python", "-c"),
            "import sys; from twisted.scripts.twistd import run;"
            " sys.argv[:] = ['twistd', '--help']; run()",
            cwd=self.folder,
        )
        self.assertRegex(listed, r"(?m)^ +upstream ")
        run(programs / "twisted-upstream", "-v", cwd=self.folder)

    def test_typesAreMarked(self) -> None:
        """
        Type checkers of those who use the package find its annotations.
        """
        names = run(
            *(sys.executable, "-m", "zipfile", "-l", self.buildWheel()),
            cwd=self.folder,
        )
        self.assertIn("twisted_upstream/py.typed", names)
        self.assertIn("twisted/plugins/", names)
        self.assertNotIn("twisted/__init__.py", names)
        self.assertNotIn("tests/", names)
