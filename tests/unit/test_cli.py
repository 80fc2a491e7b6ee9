"""What `cx` does around a run: the process's own standard output, and what went wrong in a sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestration import cli


def test_standard_output_is_given_back(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever a run leaves in the place of file descriptor 1, also one that fails: what is said afterwards is seen."""
    with (tmp_path / "step.out").open("wb") as file, pytest.raises(OSError, match="full"), cli._own_streams():
        os.dup2(file.fileno(), 1)
        os.write(1, b"of the step")
        raise OSError("the disk is full")
    os.write(1, b"of cx")
    assert capfd.readouterr().out == "of cx"
    assert (tmp_path / "step.out").read_bytes() == b"of the step"


def test_no_file_descriptor_stays_open() -> None:
    """The copies are closed again."""
    before = os.listdir("/proc/self/fd") if Path("/proc/self/fd").is_dir() else []
    with cli._own_streams():
        pass
    assert len(os.listdir("/proc/self/fd") if before else []) == len(before)


@pytest.mark.parametrize("command", [["rollback"], ["publish", "postgres"], ["quarantine", "retry"], ["verify"]])
def test_a_mistyped_home_is_told_and_gets_no_folders(command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CX_HOME", str(tmp_path / "hmoe"))
    result = CliRunner().invoke(cli.app, command)
    assert result.exit_code == 1
    assert f"there is no folder {tmp_path / 'hmoe'}: correct CX_HOME" in str(result.exception)
    assert not (tmp_path / "hmoe").exists()
