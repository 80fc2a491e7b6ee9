"""docs/tutorial.md, run as it stands: its files, its commands, and what they print."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestration import cli
from orchestration.settings import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs" / "tutorial.md"
_BLOCK = re.compile(r'^```(?P<kind>\w+)(?: title="~/cx/(?P<file>[^"]+)")?\n(?P<text>.*?)^```$', re.DOTALL | re.MULTILINE)
_VARIES = (
    (r"\d{8}T\d{6}(\.\d+)?Z-[0-9a-f-]+", "<run>"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", "<time>"),
    (r"\d+(\.\d+)? s$", "<seconds>"),
    (r"\d+ gates passed", "<gates> passed"),
)
"""What another day, machine or version prints otherwise."""


def _told(text: str, home: Path) -> list[str]:
    text = text.replace(str(home), "/home/you/cx")
    for pattern, name in _VARIES:
        text = re.sub(pattern, name, text, flags=re.MULTILINE)
    return [line.rstrip() for line in text.strip("\n").split("\n")]


def _is_said(expected: list[str], said: list[str]) -> bool:
    """Line by line; `...` stands for any lines."""
    pattern = "".join(r"(?:.*\n)*?" if line == "..." else re.escape(line) + r"\n" for line in expected)
    return re.fullmatch(pattern, "\n".join(said) + "\n") is not None


def _commands(block: str) -> list[tuple[str, int, str]]:
    """Command, exit code and output of each `$ ` of a block."""
    found = []
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, _, output = part.partition("\n")
        command, _, remark = line.partition("      # ")
        found.append((command.strip(), int(remark.removeprefix("exit ")) if remark.startswith("exit ") else 0, output))
    return found


@pytest.mark.minutes
def test_the_tutorial_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / ".cx"
    monkeypatch.setenv("CX_HOME", str(home))
    monkeypatch.delenv("CX_CONFIG", raising=False)
    ran = 0
    for block in _BLOCK.finditer(PAGE.read_text(encoding="utf-8")):
        if block["file"]:
            (home / block["file"]).parent.mkdir(parents=True, exist_ok=True)
            (home / block["file"]).write_text(block["text"], encoding="utf-8")
            continue
        for command, code, output in _commands(block["text"]) if block["kind"] == "console" else ():
            if not command.startswith("cx "):
                continue  # git, make and the desktop: not of this test
            done = CliRunner().invoke(cli.app, shlex.split(command)[1:])
            assert done.exit_code == code, (command, done.output)
            said, expected = _told(done.stdout, home), _told(output, home)
            assert _is_said(expected, said), f"$ {command}\n" + "\n".join(said) + "\n--- the page says\n" + "\n".join(expected)
            ran += 1
    assert ran == len(re.findall(r"^\$ cx ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)) > 8
    assert (home / "releases" / "current" / "dashboard" / "index.html").exists() or not (
        PROJECT_ROOT / "orchestration" / "lib" / "dashboard"
    ).exists()
