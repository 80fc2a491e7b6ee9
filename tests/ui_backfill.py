"""`python -m tests.ui_backfill`: a backfill over a range of partitions as Dagster's UI launches it, against `cx ui`.

Sends to the GraphQL end point what the UI sends when somebody launches a backfill of the job `nightly`; waits for the daemon,
and checks that it became one run over the whole range that published. It takes two minutes, so it is no part of the suite;
there, `test_definitions.py` holds what Dagster decides that by.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import timedelta
from pathlib import Path
from typing import Any

from orchestration.lib import release
from orchestration.lib.simulator import simulate
from orchestration.settings import Settings
from tests.company import write_company

SELECTOR = {"repositoryName": "__repository__", "repositoryLocationName": "orchestration.definitions"}
ASSETS = """query Assets($selector: PipelineSelector!) { assetNodes(pipeline: $selector) { assetKey { path } } }"""
LAUNCH = """mutation LaunchPartitionBackfill($backfillParams: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $backfillParams) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}"""
STATE = """query Backfill($id: String!) { partitionBackfillOrError(backfillId: $id) {
  ... on PartitionBackfill { status runs(limit: 20) { status tags { key value } } }
} }"""


def ask(port: int, query: str, **variables: Any) -> dict[str, Any]:
    """The answer of the UI's GraphQL end point."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/graphql", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        told = json.load(answer)
    if told.get("errors"):
        raise SystemExit(f"the UI answered: {told['errors']}")
    return told["data"]


def backfill(port: int, days: list[str]) -> list[dict[str, Any]]:
    """Launch a backfill, wait for its end, return its runs, oldest first."""
    nodes = ask(port, ASSETS, selector={**SELECTOR, "pipelineName": "nightly"})["assetNodes"]
    params = {
        "tags": [],
        "assetSelection": [node["assetKey"] for node in nodes],
        "partitionNames": days,
        "fromFailure": False,
        "selector": {"partitionSetName": "nightly_partition_set", "repositorySelector": SELECTOR},
    }
    launched = ask(port, LAUNCH, backfillParams=params)["launchPartitionBackfill"]
    if launched["__typename"] != "LaunchBackfillSuccess":
        raise SystemExit(f"the UI answered: {launched}")
    while True:
        time.sleep(2)
        state = ask(port, STATE, id=launched["backfillId"])["partitionBackfillOrError"]
        if state["status"] not in ("REQUESTED", "CANCELING"):
            print(f"  backfill {launched['backfillId']}: {state['status']}")
            return state["runs"][::-1]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main() -> None:
    """Simulate a company, start the UI, launch two backfills, print runs and releases."""
    company = simulate(customers=120, days=14, seed=5)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write_company(company, home)
        port = _free_port()
        with (home / "ui.log").open("wb") as log:
            command = [str(Path(sys.executable).parent / "cx"), "ui", "--port", str(port)]
            ui = subprocess.Popen(
                command, env={**os.environ, "CX_HOME": str(home)}, stdout=log, stderr=log, start_new_session=True
            )
        try:
            for _ in range(120):
                try:
                    ask(port, "{ version }")
                    break
                except OSError:
                    time.sleep(1)
            for last in (11, 13):  # the second one finds most of its days loaded
                days = [str(company.start + timedelta(days=n)) for n in range(last + 1)]
                print(f"launching {days[0]} .. {days[-1]}")
                runs = backfill(port, days)
                for run in runs:
                    tags = {tag["key"].removeprefix("dagster/asset_partition_"): tag["value"] for tag in run["tags"]}
                    print(f"  run over {tags['range_start']} .. {tags['range_end']}: {run['status']}")
                name = release.current(Settings(home))
                through = name and release.manifest_of(Settings(home), name)["data_through"]
                print(f"  published: {name}, through {through}")
                if through != days[-1] or len(runs) != 1:
                    raise SystemExit("not as it should be")
        finally:
            os.killpg(ui.pid, signal.SIGINT)
            ui.wait(timeout=60)


if __name__ == "__main__":
    main()
