"""This module is the gateway's configuration read by gixy, which knows the mistakes that nginx itself allows."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Manifests, grid
from environments import EVERY, SHARED
from gateway_harness import NAME, PREFIX
from mesh_harness import Loopback, find, mounted

MOUNT = "/etc/gateway"


@pytest.fixture
def files(manifests: Manifests, tmp_path: Path) -> Callable[[str], Path]:
    """The folder of an environment's configuration; what it includes is included from there."""

    def of(environment: str) -> Path:
        rendered = manifests(environment)
        deployment = find(rendered, "Deployment", PREFIX + NAME)
        return mounted(rendered, deployment, NAME, root=tmp_path, loopback=Loopback())[MOUNT]

    return of


def findings(folder: Path) -> list[str]:
    """What gixy finds, of any severity. What it cannot read is a failure."""
    gixy = Path(sys.executable).with_name("gixy")
    words = [str(gixy), "--format", "json", str(folder / "nginx.conf")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    found = [str(finding["plugin"]) for finding in json.loads(done.stdout)]
    assert done.returncode == (1 if found else 0)
    return found


@pytest.mark.parametrize("environment", grid(EVERY, short=SHARED))
def test_its_configuration_has_no_known_mistake(files: Callable[[str], Path], environment: str) -> None:
    assert findings(files(environment)) == []


@pytest.mark.parametrize(
    ("file", "line", "mistake", "found"),
    [
        ("nginx.conf", "server_tokens off;", "server_tokens on;", "version_disclosure"),
        (
            "nginx.conf",
            "location /oauth2/ {",
            "location /files { alias /srv/files/; }\nlocation /oauth2/ {",
            "alias_traversal",
        ),
        ("nginx.conf", "return 421;", "return 301 https://$host$uri;", "http_splitting"),
        ("location.conf", "proxy_set_header Host $host;", "proxy_set_header Host $http_host;", "host_spoofing"),
    ],
)
def test_a_mistake_would_be_found(files: Callable[[str], Path], file: str, line: str, mistake: str, found: str) -> None:
    folder = files("prod")
    text = (folder / file).read_text()
    assert line in text
    (folder / file).write_text(text.replace(line, mistake))
    assert found in findings(folder)
