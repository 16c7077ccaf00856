"""
FastCGI and uwsgi: real PHP-FPM and real uWSGI behind both.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from unittest import SkipTest

from tests.differential.client import Play, get, request
from tests.differential.harness import DifferentialTestCase, Scene
from tests.support.nginx import freePort

_PHP = """<?php
$names = array_filter(array_keys($_SERVER), function ($name) {
    return preg_match('/^(HTTP_|SCRIPT_|PATH_|QUERY_|REQUEST_(URI|METHOD)|CONTENT_|X_)/',
                      $name);
});
sort($names);
switch ($_GET['do'] ?? '') {
    case 'status': http_response_code(418); header('X-Mine: a'); break;
    case 'redirect': header('Location: /elsewhere'); break;
    case 'stderr': file_put_contents('php://stderr', "complaint\\n"); break;
    case 'length': header('Content-Length: 4'); echo "four"; exit;
    case 'big': header('Content-Length: 300000'); echo str_repeat('0123456789', 30000); exit;
}
foreach ($names as $name) {
    if ($name != 'HTTP_HOST') echo "$name=$_SERVER[$name]\\n";
}
$body = file_get_contents('php://input');
echo strlen($body), ' ', md5($body), "\\n";
"""

_FPM = """
[global]
daemonize = no
error_log = {folder}/fpm.log
[www]
listen = 127.0.0.1:{port}
pm = static
pm.max_children = 2
catch_workers_output = no
"""

_WSGI = """
import hashlib

def application(environ, start):
    length = int(environ.get('CONTENT_LENGTH') or 0)
    body = environ['wsgi.input'].read(length)
    if environ['PATH_INFO'] == '/redirect':
        start('302 Found', [('Location', '/elsewhere')])
        return []
    start('203 Mine', [('Content-Type', 'text/plain'), ('X-A', '1'), ('X-A', '2')])
    lines = [
        '%s=%s' % each for each in sorted(environ.items())
        if isinstance(each[1], str) and each[0].startswith(('HTTP_', 'PATH_', 'X_'))
        and each[0] != 'HTTP_HOST'
    ]
    lines.append('%d %s' % (len(body), hashlib.md5(body).hexdigest()))
    return [('\\n'.join(lines) + '\\n').encode()]
"""


def _listening(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"{process.args!r} does not listen")


class CGITests(DifferentialTestCase):
    """
    The same from both, through real servers.
    """

    def start(self, command: list[str], port: int) -> None:
        """
        Run a server until the test ends.
        """
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        _listening(port, process)

    def folder(self) -> Path:
        """
        A folder that servers of another user can read.
        """
        folder = Path(tempfile.mkdtemp(prefix="cgi"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        return folder

    def test_php(self) -> None:
        """
        PHP-FPM: parameters, bodies of any size, statuses, connections kept.
        """
        program = next(
            (found for name in _PHP_NAMES if (found := shutil.which(name))), None
        )
        if program is None:
            raise SkipTest("no php-fpm: install Debian's php-fpm")
        folder = self.folder()
        (folder / "a.php").write_text(_PHP)
        port = freePort()
        text = _FPM.format(folder=folder, port=port)
        if os.getuid() == 0:
            text += "user = nobody\ngroup = nogroup\n"
        (folder / "fpm.conf").write_text(text)
        self.start([program, "-F", "-n", "-y", str(folder / "fpm.conf")], port)
        http = f"""
            upstream php {{ server 127.0.0.1:{port}; keepalive 2; }}
            fastcgi_param SCRIPT_FILENAME {folder}/a.php;
            fastcgi_param SCRIPT_NAME $fastcgi_script_name;
            fastcgi_param PATH_INFO $fastcgi_path_info;
            fastcgi_param QUERY_STRING $query_string;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param CONTENT_TYPE $content_type;
            fastcgi_param CONTENT_LENGTH $content_length;
            fastcgi_param X_EMPTY $arg_nothing if_not_empty;
            fastcgi_param HTTP_X_REPLACED other;
            server {{
                listen 127.0.0.1:%%front%%;
                client_body_buffer_size 4k;
                location / {{
                    fastcgi_pass php;
                    fastcgi_index index.php;
                    fastcgi_split_path_info ^(/x\\.php)(/.*)$;
                }}
                location /keep/ {{ fastcgi_pass php; fastcgi_keep_conn on; }}
                location /stream/ {{
                    fastcgi_pass php;
                    fastcgi_request_buffering off;
                }}
                location /direct/ {{
                    fastcgi_pass 127.0.0.1:{port};
                    fastcgi_hide_header X-Mine;
                    fastcgi_intercept_errors on;
                    error_page 418 =200 /a;
                }}
            }}
        """
        plays: list[Play] = []
        for place in ("/", "/keep/", "/stream/", "/direct/", "/x.php/info"):
            for what in ("", "status", "redirect", "length", "big"):
                plays.append(get(f"{place}?do={what}", "X-Replaced: 1", "A-B: c"))
            plays.append(request("HEAD", f"{place}?do=length"))
            for size in (0, 1, 5000, 100000):
                plays.append(
                    request("POST", place, "Content-Type: a/b", body=b"x" * size)
                )
        self.compare(Scene(http=http, plays=plays))

    def test_uwsgi(self) -> None:
        """
        uWSGI: parameters, bodies of any size, statuses.
        """
        program = shutil.which("uwsgi")
        if program is None:
            raise SkipTest("no uwsgi: install Debian's uwsgi-plugin-python3")
        folder = self.folder()
        (folder / "app.py").write_text(_WSGI)
        port = freePort()
        command = [
            program,
            "--uwsgi-socket",
            f"127.0.0.1:{port}",
            "--plugin",
            "python3",
        ]
        command += ["--wsgi-file", str(folder / "app.py"), "--master", "--die-on-term"]
        self.start(command, port)
        http = f"""
            upstream app {{ server 127.0.0.1:{port}; }}
            uwsgi_param PATH_INFO $document_uri;
            uwsgi_param REQUEST_METHOD $request_method;
            uwsgi_param CONTENT_LENGTH $content_length;
            uwsgi_param X_EMPTY "" if_not_empty;
            uwsgi_param SERVER_NAME $server_name;
            uwsgi_param SERVER_PORT 80;
            server {{
                listen 127.0.0.1:%%front%%;
                client_body_buffer_size 4k;
                location / {{ uwsgi_pass app; }}
                location /stream/ {{ uwsgi_pass app; uwsgi_request_buffering off; }}
            }}
        """
        plays: list[Play] = []
        for place in ("/", "/stream/", "/redirect"):
            plays += [get(place, "A-B: c"), request("HEAD", place)]
            for size in (0, 1, 5000, 100000):
                plays.append(request("POST", place, body=b"x" * size))
        self.compare(Scene(http=http, plays=plays))


_PHP_NAMES = ("php-fpm", "php-fpm8.2", "php-fpm8.4", "php-fpm8.3", "php-fpm8.1")
