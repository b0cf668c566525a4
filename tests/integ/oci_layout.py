# SPDX-License-Identifier: MIT OR Apache-2.0
"""OCI image layouts for tests, from Python's own tarfile, gzip and hashlib: what
the specification says, and whatever it does not."""

import gzip
import hashlib
import io
import json
import pathlib
import shutil
import subprocess
import tarfile

from conftest import BUILD, SLACK

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
LAYER = {"tar": OCI + "layer.v1.tar", "gzip": OCI + "layer.v1.tar+gzip",
         "zstd": OCI + "layer.v1.tar+zstd"}
REF = "org.opencontainers.image.ref.name"
MAX = 1 << 26
TOP = "755 0:0 /"


def entry(name, data=None, **more):
    """A member of an archive: a file with data, else as `type` says."""
    t = tarfile.TarInfo(name)
    t.mode = 0o644
    for key, value in more.items():
        setattr(t, key, value)
    if data is not None:
        t.size = len(data)
    return t, data


def dir_(name, mode=0o755, **more):
    return entry(name, type=tarfile.DIRTYPE, mode=mode, **more)


def symlink(name, to, **more):
    return entry(name, type=tarfile.SYMTYPE, linkname=to, **more)


def link(name, to):
    return entry(name, type=tarfile.LNKTYPE, linkname=to)


def tar(*entries, format=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as f:
        for t, data in entries:
            f.addfile(t, io.BytesIO(data) if data is not None else None)
    return out.getvalue()


def packed(data, how):
    if how == "gzip":
        return gzip.compress(data, mtime=0)
    if how == "zstd":
        return subprocess.run(["zstd", "-q", "-c"], input=data, check=True,
                              stdout=subprocess.PIPE).stdout
    return data


def sha(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Layout:
    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.blobs = self.path / "blobs" / "sha256"
        self.blobs.mkdir(parents=True)
        (self.path / "oci-layout").write_text(
            '{"imageLayoutVersion": "1.0.0"}')
        self.entries = []
        self.index()

    def blob(self, data, media, **more):
        """Its descriptor"""
        if not isinstance(data, bytes):
            data = json.dumps(data).encode()
        (self.blobs / sha(data)[7:]).write_bytes(data)
        return {"mediaType": media, "digest": sha(data), "size": len(data),
                **more}

    def index(self, *entries):
        (self.path / "index.json").write_text(json.dumps(
            {"schemaVersion": 2, "manifests": list(entries)}))

    def manifest(self, layers, how="gzip", run=None, media=None, arch="amd64",
                 ids=None, change=None, **more):
        """Of layers that are archives; the descriptor of it"""
        media = media or LAYER[how]
        config = {"architecture": arch, "os": "linux", "config": run or {},
                  "rootfs": {"type": "layers",
                             "diff_ids": ids or [sha(x) for x in layers]}}
        doc = {"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
               "config": self.blob(config, OCI + "config.v1+json"),
               "layers": [self.blob(packed(x, how), media) for x in layers]}
        if change:
            change(doc)
        return self.blob(doc, OCI + "manifest.v1+json", **more)

    def image(self, *layers, **more):
        """The only one of the layout"""
        d = self.manifest(layers, **more)
        self.index(d)
        return d


def tree(root):
    """{path: what it is} of a directory, "" for itself: mode, owner and either
    content, target or the other names of the same file."""
    root = pathlib.Path(root)
    out, names = {}, {}
    for p in sorted([root, *root.rglob("*")]):
        st = p.lstat()
        name = str(p.relative_to(root)) if p != root else ""
        who = f"{st.st_mode & 0o7777:o} {st.st_uid}:{st.st_gid}"
        if p.is_symlink():
            out[name] = f"{st.st_uid}:{st.st_gid} -> {p.readlink()}"
        elif p.is_dir():
            out[name] = f"{who} /"
        elif st.st_nlink > 1 and st.st_ino in names:
            out[name] = f"= {names[st.st_ino]}"
        else:
            assert p.is_file(), p
            names[st.st_ino] = name
            out[name] = f"{who} {p.read_bytes().decode(errors='replace')}"
    return out


class Box:
    """A layout, and a directory to unpack to with a neighbour."""

    def __init__(self, tmp):
        self.tmp = tmp
        self.layout = Layout(tmp / "layout")
        self.into = tmp / "into"
        self.into.mkdir()

    def unpack(self, ref=None, max=MAX):
        shutil.rmtree(self.into)
        self.into.mkdir()
        r = subprocess.run(
            [BUILD / "cellos-unpack", self.layout.path, self.into,
             str(max), *([ref] if ref else [])],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            timeout=120 * SLACK)
        assert r.stderr == "", r
        return r.returncode, r.stdout

    def tree(self, *layers, **more):
        """Of an image of these layers, each a list of entries"""
        self.layout.image(*[tar(*x) for x in layers], **more)
        rc, out = self.unpack()
        assert rc == 0, out
        got = tree(self.into)
        assert got.pop("") == TOP
        return got
