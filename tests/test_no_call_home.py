"""No process of ours asks for another host, told by a name server of the test's own in a network without a way out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runtime.onnx_networks import fork_proto

ROOT = Path(__file__).resolve().parents[1]
SERVER = """
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
print("up", flush=True)
while True:
    query, _ = server.recvfrom(600)
    parts, place = [], 12
    while query[place]:
        parts.append(query[place + 1 : place + 1 + query[place]].decode())
        place += query[place] + 1
    print(".".join(parts), flush=True)
"""
ALONE = """
mount --bind "$HERE/resolv.conf" /etc/resolv.conf && ip link set lo up || exit 77
"$PYTHON" "$HERE/server.py" > "$HERE/asked" &
server=$!
until grep -q up "$HERE/asked"; do sleep 0.1; done
timeout 100 sh "$HERE/work.sh" > "$HERE/said" 2>&1
echo "ended with $?" >> "$HERE/said"
kill $server
"""
ASKS = '"$PYTHON" -c \'import socket; socket.gethostbyname("a-host.example")\' || true\n'


def asked_for(folder: Path, work: str) -> list[str]:
    """The names that were asked for while the commands ran."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("needs unshare and ip")
    (folder / "server.py").write_text(SERVER)
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    (folder / "work.sh").write_text(work)
    ran = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-c", ALONE],
        env={
            **os.environ,
            "HERE": str(folder),
            "PYTHON": sys.executable,
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(folder),
        },
        cwd=folder,
        timeout=150,
        check=False,
    )
    if ran.returncode != 0 and not (folder / "asked").exists():
        pytest.skip("this system gives no namespaces")
    return (folder / "asked").read_text().split()[1:]


def test_the_name_server_of_the_test_hears_who_asks(tmp_path):
    assert "a-host.example" in asked_for(tmp_path, ASKS)


def test_a_file_is_read_measured_and_run_without_asking_for_any_host(tmp_path):
    (tmp_path / "fork.onnx").write_bytes(fork_proto().SerializeToString())
    run = '"$PYTHON" -m decc_core run fork.onnx --native --repeats 3 --uplink-mbps 100 --strategy cloud-only\nsleep 5\n'
    assert asked_for(tmp_path, run) == []
    said = (tmp_path / "said").read_text()
    assert "ended with 0" in said, said
    assert "outputs bit-identical" in said
    assert not list(tmp_path.rglob("*.ses"))


@pytest.mark.slow
def test_page_profile_and_comparison_ask_for_no_host(tmp_path):
    (tmp_path / "fork.onnx").write_bytes(fork_proto().SerializeToString())
    work = (
        '"$PYTHON" -m decc_core profile fork.onnx --repeats 3\n'
        '"$PYTHON" -m decc_core compare fork.onnx\n'
        '"$PYTHON" -m decc_core compare googlenet\n'
        f'timeout 25 "$PYTHON" -m streamlit run {ROOT}/app/main.py --server.headless true --server.port 8599\n'
    )
    assert asked_for(tmp_path, work) == []


def test_the_switch_is_on_in_every_process():
    child = "import decc_core, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    told = subprocess.run([sys.executable, "-c", child], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert told.stdout.strip() == "1"
