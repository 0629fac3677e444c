"""Loading from a Hub and pushing to it: a small one, served here, for stock and for ours."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tests import checkpoints

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMIT = "c" * 40
PROGRAM = """
import json, sys
engine, endpoint = sys.argv[1:]
if engine == "penstock":
    from penstock.transformers import AutoTokenizer, engine_of
else:
    from transformers import AutoTokenizer
def said(tokenizer):
    if engine == "penstock":
        assert engine_of(tokenizer).native
    return type(tokenizer).__name__, tokenizer("Water runs, <|eot_id|> downhill.")["input_ids"]
for options in ({}, {"revision": "v2"}, {"revision": "v2", "subfolder": "inner"}):
    tokenizer = AutoTokenizer.from_pretrained("someone/thing", **options)
    print(json.dumps(said(tokenizer)))
tokenizer.add_tokens(["<new>"])
print(json.dumps(said(tokenizer)))
tokenizer.push_to_hub("someone/pushed", commit_message="a tokenizer", token="hf_x")
print(json.dumps(said(AutoTokenizer.from_pretrained("someone/pushed"))))
for name, options in (("someone/nothing", {}), ("someone/thing", {"revision": "v9"})):
    try:
        AutoTokenizer.from_pretrained(name, **options)
    except Exception as error:
        print(type(error).__name__)
"""


class Hub(ThreadingHTTPServer):
    """Repositories by name, each with its files."""

    def __init__(self, files: dict[str, dict[str, bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.files = files
        self.seen: list[str] = []


class Request(BaseHTTPRequestHandler):
    """What huggingface_hub asks for while a tokenizer is loaded and pushed."""

    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *_: Any) -> None:
        """Keeps quiet."""

    def _reply(self, code: int, content: Any, headers: dict[str, str]) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(code)
        for key, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.split("?")[0].strip("/")
        parts = path.split("/")
        self.server.seen.append(f"{self.command} {self.path}")
        hub = f"http://127.0.0.1:{self.server.server_port}"
        missing = {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}
        if parts[:2] == ["api", "repos"]:
            made = json.loads(body)
            name = f"{made.get('organization') or 'someone'}/{made['name']}"
            self.server.files.setdefault(name, {})
            self._reply(200, {"url": f"{hub}/{name}", "name": name, "id": name}, {})
            return
        if path == "api/validate-yaml":
            self._reply(200, {"errors": [], "warnings": []}, {})
            return
        if parts[:2] == ["api", "models"] and len(parts) > 4:
            name, verb, revision = "/".join(parts[2:4]), parts[4], parts[5]
            files = self.server.files.get(name)
            if files is None:
                self._reply(404, {}, {"X-Error-Code": "RepoNotFound"})
            elif revision not in ("main", "v2", COMMIT):
                self._reply(404, {}, {"X-Error-Code": "RevisionNotFound"})
            elif verb == "revision":
                siblings = [{"rfilename": file} for file in files]
                self._reply(200, {"id": name, "sha": COMMIT, "siblings": siblings}, {})
            elif verb == "tree" and len(parts) == 6:
                tree = [
                    {"type": "file", "path": file, "size": len(content), "oid": "1" * 40}
                    for file, content in files.items()
                ]
                self._reply(200, tree, {})
            elif verb == "preupload":
                wanted = [file["path"] for file in json.loads(body)["files"]]
                plain = {"uploadMode": "regular", "shouldIgnore": False}
                self._reply(200, {"files": [{"path": file, **plain} for file in wanted]}, {})
            elif verb == "commit":
                for line in map(json.loads, body.splitlines()):
                    if line["key"] == "file":
                        value = line["value"]
                        files[value["path"]] = base64.b64decode(value["content"])
                done = {"commitOid": COMMIT, "commitUrl": f"{hub}/{name}/commit/{COMMIT}"}
                self._reply(200, done, {})
            else:
                self._reply(404, {}, missing)
            return
        name, file = "/".join(parts[:2]), "/".join(parts[4:])
        content = self.server.files.get(name, {}).get(file)
        if parts[2:3] != ["resolve"] or content is None:
            self._reply(404, {}, missing)
            return
        marks = {"ETag": f'"{hash(content) & 0xFFFFFFFF:08x}"', "X-Repo-Commit": COMMIT}
        self._reply(200, content, marks)

    do_GET = do_HEAD = do_POST = _answer  # noqa: N815


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    checkpoints.llama3(tmp_path / "made")
    content = {path.name: path.read_bytes() for path in (tmp_path / "made").iterdir()}
    inner = {f"inner/{name}": value for name, value in content.items()}
    server = Hub({"someone/thing": {**content, **inner}})
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_loads_from_a_hub_and_pushes_to_it(hub: Hub, tmp_path: Path) -> None:
    """HF_ENDPOINT and HF_HOME, revisions and subfolders: same requests, same files, same errors."""
    endpoint = f"http://127.0.0.1:{hub.server_port}"
    said, seen, pushed = {}, {}, {}
    for engine in ("stock", "penstock"):
        hub.seen.clear()
        hub.files.pop("someone/pushed", None)
        home = tmp_path / engine
        environment = {
            **os.environ,
            "HF_ENDPOINT": endpoint,
            "HF_HOME": str(home),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_XET": "1",
        }
        result = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", PROGRAM, engine, endpoint],
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        said[engine] = result.stdout.splitlines()
        seen[engine] = sorted(request for request in hub.seen if "agent-harnesses" not in request)
        pushed[engine] = dict(hub.files["someone/pushed"])
        assert (home / "hub" / "models--someone--thing").is_dir()
    assert said["penstock"] == said["stock"]
    assert said["stock"][-2:] == ["RepositoryNotFoundError", "RevisionNotFoundError"]
    assert seen["penstock"] == seen["stock"]
    assert "tokenizer.json" in pushed["stock"]
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert json.loads(pushed["penstock"][name]) == json.loads(pushed["stock"][name])
    assert pushed["penstock"].keys() == pushed["stock"].keys()
