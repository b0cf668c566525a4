# SPDX-License-Identifier: MIT OR Apache-2.0
"""What stands where Firecracker would refuses what that would: otherwise the
tests of its driver, which it answers, prove nothing."""

import json
import socket
import threading

import pytest

import firecracker_server
from conftest import SLACK

CONFIG = {"vcpu_count": 1, "mem_size_mib": 128}
ACTION = {"action_type": "InstanceStart"}


@pytest.fixture
def right(tmp_path):
    """All that is told of a machine, in order; files it names are there."""
    (tmp_path / "kernel").write_bytes(b"\x7fELF")
    (tmp_path / "root").write_bytes(b"")
    return [
        ("/machine-config", CONFIG),
        ("/boot-source", {"kernel_image_path": f"{tmp_path}/kernel"}),
        ("/drives/rootfs", {
            "drive_id": "rootfs", "path_on_host": f"{tmp_path}/root",
            "is_root_device": True, "is_read_only": True}),
        ("/vsock", {"guest_cid": 3, "uds_path": f"{tmp_path}/v"}),
        ("/actions", ACTION),
    ]


@pytest.fixture
def talk(tmp_path, monkeypatch):
    """A connection by its socket; its guest does nothing."""
    monkeypatch.setattr(firecracker_server, "HOW", {"guest": "silent"})
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "api"))
    listener.listen()
    ours = socket.socket(socket.AF_UNIX)
    ours.settimeout(20 * SLACK)
    ours.connect(str(tmp_path / "api"))
    vmm = firecracker_server.Vmm()
    served = threading.Thread(target=vmm.serve, args=listener.accept()[:1])
    served.start()
    yield ours
    ours.close()
    served.join(20 * SLACK)
    assert not served.is_alive()
    listener.close()
    if hasattr(vmm, "own"):
        vmm.own.close()


def put(path, body, method="PUT", size=None, more=""):
    """A request, as the driver words it."""
    body = body if isinstance(body, str) else json.dumps(body)
    return (f"{method} http://localhost{path} HTTP/1.1\r\nhost: localhost\r\n"
            "accept: application/json\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body) if size is None else size}\r\n{more}"
            f"\r\n{body}").encode()


def answer(s):
    """All of one answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += s.recv(1) or pytest.fail(f"the end, after {data}")
    size = int(data.partition(b"Content-Length: ")[2].split(b"\r")[0] or 0)
    while size:
        more = s.recv(size) or pytest.fail(f"the end, after {data}")
        data += more
        size -= len(more)
    return data


TAKEN = (b"HTTP/1.1 204 \r\nServer: Firecracker API\r\n"
         b"Connection: keep-alive\r\n\r\n")


def refused(fault):
    text = json.dumps({"fault_message": fault}).encode()
    return (b"HTTP/1.1 400 \r\nServer: Firecracker API\r\n"
            b"Connection: keep-alive\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(text) + text)


def test_what_is_right_is_taken(talk, right):
    for path, body in right:
        talk.sendall(put(path, body))
        assert answer(talk) == TAKEN, path


# (how many that are right come first, the request, why it is refused)
@pytest.mark.parametrize("first, request_, fault", [
    (0, put("/machine-config", {**CONFIG, "vcpus": 1}),
     "unknown field `vcpus`"),
    (0, put("/machine-config", {**CONFIG, "vcpu_count": "1"}),
     "/machine-config: vcpu_count is '1'"),
    (0, put("/machine-config", {**CONFIG, "vcpu_count": True}),
     "/machine-config: vcpu_count is True"),
    (0, put("/machine-config", {**CONFIG, "vcpu_count": 33}),
     "/machine-config: vcpu_count is 33"),
    (0, put("/machine-config", {"vcpu_count": 1}),
     "missing field {'mem_size_mib'}"),
    (0, put("/machine-config", '{"vcpu_count":1,"vcpu_count":1}'),
     "a member twice: ['vcpu_count', 'vcpu_count']"),
    (0, put("/machines", CONFIG), "/machines: unknown or told twice"),
    (1, put("/machine-config", CONFIG),
     "/machine-config: unknown or told twice"),
    (0, put("/machine-config", CONFIG, method="PATCH"),
     "PATCH http://localhost/machine-config"),
    (0, put("/machine-config", CONFIG, more="accept-encoding: *\r\n"),
     "headers {'host': 'localhost', 'accept': 'application/json', "
     "'content-type': 'application/json', 'content-length': "
     "'38', 'accept-encoding': '*'}"),
    (2, put("/drives/rootfs", {"drive_id": "root", "is_root_device": True}),
     "/drives/rootfs: not its id"),
    (1, put("/boot-source", {"kernel_image_path": "/dev/null"}),
     "the kernel is no ELF file"),
    (1, put("/actions", ACTION), "started with only ['/machine-config']"),
    (3, put("/actions", ACTION), "started with only ['/boot-source', "
     "'/drives/rootfs', '/machine-config']"),
    (4, put("/actions", {"action_type": "FlushMetrics"}),
     "action {'action_type': 'FlushMetrics'}"),
    (5, put("/boot-source", {"kernel_image_path": "/dev/null"}),
     "/boot-source is not allowed after starting the VM"),
    (5, put("/actions", ACTION),
     "/actions is not allowed after starting the VM"),
    (0, put("/machine-config", CONFIG, size=39),
     "a body of 39 bytes ends after 38"),
    (0, put("/machine-config", json.dumps(CONFIG)[:-1]),
     "Expecting ',' delimiter: line 1 column 38 (char 37)"),
], ids=["member", "kind", "boolean", "range", "missing", "twice", "path",
        "again", "method", "header", "id", "kernel", "early", "earlier",
        "action", "late", "later", "cut", "torn"])
def test_what_is_wrong_is_refused(talk, right, first, request_, fault):
    for path, body in right[:first]:
        talk.sendall(put(path, body))
        assert answer(talk) == TAKEN, path
    talk.sendall(request_)
    talk.shutdown(socket.SHUT_WR)
    assert answer(talk) == refused(fault)
    assert talk.recv(1) == b""


@pytest.mark.parametrize("expect, fault", [
    ([["/boot-source", "{}"]], '/machine-config {body} came, not '
     "['/boot-source', '{{}}']"),
    ([["/machine-config", "{}"]], '/machine-config {body} came, not '
     "['/machine-config', '{{}}']"),
    ([], None)], ids=["path", "body", "any"])
def test_what_is_not_expected_is_refused(talk, expect, fault):
    """Nor what is right in itself."""
    firecracker_server.HOW["expect"] = expect
    talk.sendall(put("/machine-config", CONFIG))
    assert answer(talk) == (refused(fault.format(body=json.dumps(CONFIG)))
                            if fault else TAKEN)


def test_a_start_before_all_that_is_expected_is_refused(talk, right):
    firecracker_server.HOW["expect"] = [
        [path, json.dumps(body)] for path, body in [*right, right[0]]]
    for path, body in right[:4]:
        talk.sendall(put(path, body))
        assert answer(talk) == TAKEN, path
    talk.sendall(put("/actions", ACTION))
    assert answer(talk) == refused(
        f"started after {[path for path, _ in right[:4]]}")
