# SPDX-License-Identifier: MIT OR Apache-2.0
"""Each way in which the manifest of an image can fail, behind both walls of a
machine: one signed manifest-failed, by its four members, and nothing booted."""

import base64
import hashlib
import json
import os
import pathlib
import shutil
import subprocess

import pytest

from conftest import IS_ROOT, Before
from test_firecracker import Fire, kvm  # noqa: F401

NOBODY = hashlib.sha256(b"nobody's").hexdigest()
OPEN = ", which has to be a file that only root may write: "


class Image:
    """A copy that may be spoilt, and what is said of it then."""

    def __init__(self, at, key):
        self.at, self.key = at, key
        self.lines = (at / "manifest").read_text().splitlines(keepends=True)
        self.want = {x.split()[1]: x.split()[0][7:] for x in self.lines}

    def path(self, role):
        return self.at / ("root" if role == "rootfs" else role)

    def sign(self, seed=None):
        """As `cellos image build` would, or somebody else."""
        if seed is None:
            text = self.key.read_text().strip()
            seed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        der = self.at / "der"
        der.write_bytes(bytes.fromhex("302e020100300506032b657004220420")
                        + seed)
        sig = subprocess.run(
            ["openssl", "pkeyutl", "-sign", "-rawin", "-keyform", "DER",
             "-inkey", der, "-in", self.at / "manifest"], check=True,
            stdout=subprocess.PIPE).stdout
        der.unlink()
        (self.at / "manifest.sig").write_text(
            base64.urlsafe_b64encode(sig).decode().rstrip("=") + "\n")

    def write(self, text, sign=False):
        (self.at / "manifest").write_text(text)
        if sign:
            self.sign()
        return hashlib.sha256(text.encode()).hexdigest()

    def without(self, role, sign=False):
        return self.write("".join(x for x in self.lines
                                  if x.split()[1] != role), sign)

    # -- each: role, expected, actual, what is said --

    def missing(self):
        (self.at / "manifest").unlink()
        return ("manifest", None, None,
                f"image: {self.at}/manifest; make it with `cellos image "
                "build`: No such file")

    def fifo(self):
        (self.at / "manifest").unlink()
        os.mkfifo(self.at / "manifest")
        return ("manifest", None, None,
                f"image: {self.at}/manifest is not a regular file; make it")

    def link(self):
        (self.at / "manifest").rename(self.at / "another")
        (self.at / "manifest").symlink_to("another")
        return ("manifest", None, None, f"image: {self.at}/manifest; make it "
                "with `cellos image build`: Too many levels")

    def too_large(self):
        self.write("#" * 65537)
        return ("manifest", None, None, f"image: {self.at}/manifest; make it")

    def json(self):
        return ("manifest", None, self.write('{"kernel": 1}\n', True),
                "manifest line 1: expected `sha256:<hex>  <role>  <path>`, "
                'got: {"kernel":')

    def empty(self):
        return ("manifest", None, self.write("\n", True), "manifest at "
                f"{self.at}/manifest is missing a `kernel` role entry")

    def short(self):
        """A digest of one digit less"""
        return ("manifest", None, self.write(
            "".join(self.lines).replace("sha256:", "sha256:0", 1), True),
            "manifest line 1: sha256 digest must be 64 hex chars")

    def no_kernel(self):
        return ("manifest", None, self.without("kernel", True), "manifest at "
                f"{self.at}/manifest is missing a `kernel` role entry")

    def no_rootfs(self):
        return ("manifest", None, self.without("rootfs", True), "manifest at "
                f"{self.at}/manifest is missing a `rootfs` role entry")

    def no_initrd(self):
        return ("manifest", None, self.without("initrd", True),
                f"image: {self.at}/manifest has no init of ours")

    def no_init(self):
        return ("manifest", None, self.without("init", True),
                f"image: {self.at}/manifest has no init of ours")

    NOT_SIGNED = "/manifest.sig is no signature of it by this host's key; " \
        "make the image here with `cellos image build`"

    def whole(self):
        return hashlib.sha256("".join(self.lines).encode()).hexdigest()

    def unsigned(self):
        (self.at / "manifest.sig").unlink()
        return ("manifest", None, self.whole(),
                f"image: {self.at}{self.NOT_SIGNED}: No such file")

    def tampered(self):
        return ("manifest", None,
                self.write("".join(self.lines) + "# one more\n"),
                f"image: {self.at}{self.NOT_SIGNED}")

    def another_key(self):
        self.sign(bytes(32))
        return ("manifest", None, self.whole(),
                f"image: {self.at}{self.NOT_SIGNED}")

    def torn_signature(self):
        sig = self.at / "manifest.sig"
        sig.write_text(sig.read_text()[:-2])
        return ("manifest", None, self.whole(),
                f"image: {self.at}{self.NOT_SIGNED}")

    # -- and of each artifact --

    def flipped(self, role):
        path = self.path(role)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.unlink()
        path.write_bytes(data)
        got = hashlib.sha256(data).hexdigest()
        return (role, self.want[role], got, "artifact digest mismatch for "
                f"role `{role}` at {path}: expected sha256:{self.want[role]}, "
                f"got sha256:{got}")

    def listed_as_another(self, role):
        """Signed, and not true of what lies there"""
        got = self.want[role]
        self.write("".join(self.lines).replace(got, NOBODY), True)
        return (role, NOBODY, got, "artifact digest mismatch for role "
                f"`{role}` at {self.path(role)}: expected sha256:{NOBODY}, "
                f"got sha256:{got}")

    def gone(self, role):
        self.path(role).unlink()
        return (role, self.want[role], None,
                f"image: {self.path(role)}{OPEN}No such file")

    def anybodys(self, role):
        self.path(role).chmod(0o666)
        return (role, self.want[role], None,
                f"image: {self.path(role)}{OPEN}Operation not permitted")

    def linked(self, role):
        path = self.path(role)
        path.rename(self.at / "another")
        path.symlink_to("another")
        return (role, self.want[role], None,
                f"image: {path}{OPEN}Too many levels")


WHOLE = ["missing", "fifo", "link", "too_large", "json", "empty", "short",
         "no_kernel", "no_rootfs", "no_initrd", "no_init", "unsigned",
         "tampered", "another_key", "torn_signature"]
ARTIFACT = ["flipped", "listed_as_another", "gone", "anybodys", "linked"]

if IS_ROOT:
    @pytest.fixture
    def vm(tmp_path, image, kvm):  # noqa: F811
        c = Fire(tmp_path, image)
        yield c
        c.close()

    @pytest.fixture
    def spoilt(vm, image):
        images = vm.state_dir / "images"
        images.unlink()
        images.mkdir()
        shutil.copytree(image / "images/default", images / "other")
        return Image(images / "other", vm.state_dir / "signing.key")

    def boot(vm, wall, by_run=True, **environment):
        """What stands where Firecracker would leaves a mark if it is started.
        """
        doc = json.loads(pathlib.Path(vm.document(["true"])).read_text())
        doc["spec"]["environment"] = {"imageReference": "other", **environment}
        path = vm.tmp / "image.json"
        path.write_text(json.dumps(doc))
        vmm = vm.tmp / "vmm"
        vmm.write_text(f"#!/bin/sh\n: > {vm.tmp}/started\n")
        vmm.chmod(0o755)
        env = {"CELLOS_FIRECRACKER_BINARY": str(vmm)}
        if by_run:
            return vm.run_document(str(path), ["--backend", wall], env=env)
        at = vm.state_dir / "images/other"
        return vm.supervise(str(path), env={
            **env, "CELLOS_CELL_BACKEND": wall,
            "CELLOS_FIRECRACKER_ALLOW_NO_JAILER": "1",
            "CELLOS_FIRECRACKER_KERNEL_IMAGE": str(at / "kernel"),
            "CELLOS_FIRECRACKER_ROOTFS_IMAGE": str(at / "root"),
            "CELLOS_FIRECRACKER_MANIFEST": str(at / "manifest")})

    def assert_failed(vm, wall, r, role, expected, actual, said):
        assert "cell create: " + said in r.err, r
        failed, = r.of_type("lifecycle.v1.manifest-failed")
        assert failed["data"] == {
            "actualSha256": actual, "expectedSha256": expected,
            "manifestPath": str(vm.state_dir / "images/other/manifest"),
            "role": role}
        assert (failed["source"], failed["time"]) == (
            "cellos-host-firecracker", None)
        told = r.enforcement("refused")
        assert (told["backend"], told["stage"]) == (wall, "create")
        # nothing was booted, and nothing says that it was
        assert [e["type"].split("events.cell.")[1] for e in r.events] == [
            "evidence.v1.link", "lifecycle.v1.manifest-failed",
            "evidence.v1.enforcement", "evidence.v1.link"], r.events
        assert not (vm.tmp / "started").exists()

    def assert_run_failed(vm, wall, r, *said):
        assert r.rc == 125, r
        assert_failed(vm, wall, r, *said)
        assert vm.verify(r.events_path).rc == 0

    WALLS = pytest.mark.parametrize("wall", ["qemu", "firecracker"])

    @WALLS
    @pytest.mark.parametrize("how", WHOLE)
    def test_a_manifest_that_fails(vm, spoilt, wall, how):
        before = Before(vm)
        said = getattr(spoilt, how)()
        assert_run_failed(vm, wall, boot(vm, wall), *said)
        assert before.left() == []

    @WALLS
    @pytest.mark.parametrize("role", ["kernel", "initrd", "rootfs"])
    @pytest.mark.parametrize("how", ARTIFACT)
    def test_an_artifact_that_fails(vm, spoilt, wall, how, role):
        before = Before(vm)
        said = getattr(spoilt, how)(role)
        assert_run_failed(vm, wall, boot(vm, wall), *said)
        assert before.left() == []

    @WALLS
    def test_another_image_than_the_document_names(vm, spoilt, wall):
        before = Before(vm)
        r = boot(vm, wall, imageDigest="sha256:" + NOBODY)
        assert_run_failed(
            vm, wall, r, "rootfs", NOBODY, spoilt.want["rootfs"],
            f"rootfs digest mismatch at {spoilt.at}/manifest: "
            f"/spec/environment/imageDigest is {NOBODY}, it has "
            f"{spoilt.want['rootfs']} (L2-06-1)")
        assert before.left() == []

    @WALLS
    @pytest.mark.parametrize("how", ["unsigned", "tampered"])
    def test_by_the_supervisor(vm, spoilt, wall, how):
        """With the original's variables, and its exit code"""
        before = Before(vm)
        said = getattr(spoilt, how)()
        r = boot(vm, wall, by_run=False)
        assert r.rc == 1, r
        assert_failed(vm, wall, r, *said)
        assert before.left() == []
