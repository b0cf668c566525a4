# SPDX-License-Identifier: MIT OR Apache-2.0
"""A layout is somebody else's to the last byte: what breaks a rule is refused
by name, and whatever it was, nothing outside the directory has changed."""

import gzip
import json
import os
import tarfile

import pytest

from conftest import IS_ALL, IS_ROOT
from oci_layout import (DOCKER, LAYER, OCI, Box, Layout, dir_, entry, link,
                        packed, sha, symlink, tar, tree)

AGAIN = "; the layout is damaged: copy it here again"

if IS_ROOT:
    class Guarded(Box):
        """What lies around the directory is looked at after every attempt."""

        def __init__(self, tmp):
            super().__init__(tmp)
            self.victim = tmp / "victim"
            self.victim.mkdir(mode=0o700)
            (self.victim / "secret").write_text("secret")
            (self.victim / "secret").chmod(0o600)

        def around(self):
            return sorted(os.listdir(self.tmp)), tree(self.victim), \
                tree(self.layout.path)

        def unpack(self, *args, **more):
            before = self.around()
            result = super().unpack(*args, **more)
            assert self.around() == before
            return result

        def refused(self, text, *layers, **more):
            self.layout.image(*[x if isinstance(x, bytes) else tar(*x)
                                for x in layers], **more)
            self.says(text)

        def says(self, text, **more):
            rc, out = self.unpack(**more)
            assert (rc, out) == (1, text)

    @pytest.fixture
    def box(tmp_path):
        return Guarded(tmp_path)

    # -- out of the directory --

    @pytest.mark.parametrize("name", [
        "../x", "..", "a/../../x", "/../x", "a/..", "./../victim/secret"])
    def test_up_by_name(box, name):
        box.refused(f'layer 0: "{name}": ".." in a path', [entry(name, b"")])

    def test_through_a_link_of_an_earlier_layer(box):
        """Followed with the image as root: what is outside is not there."""
        outside = str(box.victim)
        behind = "lies behind a symbolic link that leads to nothing in the " \
            "image"
        for to in (outside, "../" * 20 + outside[1:], "/proc/1/root"):
            box.refused(f'layer 1: "e/secret": {behind}', [symlink("e", to)],
                        [entry("e/secret", b"x")])
            # in one layer, and for what is in it
            box.refused(f'layer 0: "e/d/": {behind}',
                        [symlink("e", to), dir_("e/d")])
            box.refused(f'layer 0: "e/d/f": {behind}',
                        [symlink("e", to), symlink("e/d/f", "x")])
            # nothing is hidden there, by either kind
            assert list(box.tree([symlink("e", to)], [
                entry("e/.wh.secret", b""), entry("e/.wh..wh..opq", b""),
            ])) == ["e"]
        # up from the top is the top
        assert box.tree([symlink("e", "../../..")],
                        [entry("e/f", b"f")])["f"] == "644 0:0 f"
        box.refused('layer 0: "a/x": its directory: Too many levels of '
                    "symbolic links (os error 40)",
                    [symlink("a", "b"), symlink("b", "a"), entry("a/x", b"")])
        box.refused('layer 0: "f/x": its directory: Not a directory '
                    "(os error 20)", [entry("f", b""), entry("f/x", b"")])

    @pytest.mark.parametrize("to", [
        "../victim/secret", "/etc/passwd", "e/secret", "none", "d", ".",
        "a/../f", ".wh.f", "n" * 256])
    def test_a_hard_link_out(box, to):
        box.refused('layer 0: "l": a hard link to what is no file of the '
                    "image", [symlink("e", str(box.victim)), dir_("d"),
                              entry("f", b""), link("l", to)])

    def test_a_hard_link_to_a_link_out(box):
        """Is that link, and what is written over it replaces it."""
        assert box.tree([symlink("e", str(box.victim / "secret"))],
                        [link("l", "e")], [entry("l", b"mine")]) == {
            "e": f"0:0 -> {box.victim}/secret", "l": "644 0:0 mine"}

    @pytest.mark.parametrize("name, why", [
        (".wh.", 'a whiteout of nothing, of "." or of ".."'),
        (".wh..", 'a whiteout of nothing, of "." or of ".."'),
        (".wh...", 'a whiteout of nothing, of "." or of ".."'),
        ("d/.wh...", 'a whiteout of nothing, of "." or of ".."'),
        (".wh.d/x", "a whiteout (.wh.) is no directory"),
        (".wh..wh..opq/x", "a whiteout (.wh.) is no directory"),
        ("../.wh.victim", '".." in a path')])
    def test_a_whiteout_of_more(box, name, why):
        box.refused(f'layer 0: "{name}": {why}', [entry(name, b"")])

    def test_the_root_stays_a_directory(box):
        box.refused('layer 0: "./": the root of an image is a directory',
                    [symlink("./", "/etc")])

    def test_blobs_that_lie_elsewhere(box):
        d = box.layout.image(tar(entry("f", b"f")))
        blob = box.layout.blobs / d["digest"][7:]
        data = blob.read_bytes()
        blob.unlink()
        at = f"blobs/sha256/{blob.name}: "
        box.says(at + "No such file or directory (os error 2)")
        (box.tmp / "victim" / "m").write_bytes(data)
        blob.symlink_to(box.tmp / "victim" / "m")
        box.says(at + "Too many levels of symbolic links (os error 40)")
        blob.unlink()
        os.mkfifo(blob)
        rc, out = Box.unpack(box)
        assert (rc, out) == (1, at + "is no regular file")
        blob.unlink()
        box.layout.blobs.rename(box.tmp / "victim" / "sha256")
        box.layout.blobs.symlink_to(box.tmp / "victim" / "sha256")
        assert box.unpack()[0] == 1

    # -- what is not what it says --

    def test_sizes_and_digests(box):
        """Each blob, by one bit and by one byte."""
        d = box.layout.image(tar(entry("f", b"f" * 2000)),
                             tar(entry("g", b"g")))
        doc = json.loads((box.layout.blobs / d["digest"][7:]).read_text())
        for desc, who in ((d, ""), (doc["config"], ""),
                          (doc["layers"][0], "layer 0: "),
                          (doc["layers"][1], "layer 1: ")):
            blob = box.layout.blobs / desc["digest"][7:]
            data = blob.read_bytes()
            for i in (0, len(data) // 2, len(data) - 1):
                bad = bytearray(data)
                bad[i] ^= 1
                blob.write_bytes(bad)
                box.says(f"{who}blobs/sha256/{blob.name}: its content has "
                         f"{sha(bad)}{AGAIN}")
            for bad in (data[:-1], data + b"\0", b""):
                blob.write_bytes(bad)
                box.says(f"{who}blobs/sha256/{blob.name}: has {len(bad)} "
                         f"bytes, its descriptor says {len(data)}{AGAIN}")
            blob.write_bytes(data)
        assert box.unpack()[0] == 0

    def test_diff_ids(box):
        data = tar(entry("f", b"f"))
        none = sha(b"")
        box.refused(f"layer 0: unpacked it has {sha(data)}, the config's "
                    f"diff_id is {none}", data, ids=[none])
        # of the whole stream, behind the end of the archive too
        more = data + bytes(1024)
        box.refused(f"layer 0: unpacked it has {sha(more)}, the config's "
                    f"diff_id is {sha(data)}", more, ids=[sha(data)])
        d = box.layout.manifest([data], ids=[none, none])
        doc = json.loads((box.layout.blobs / d["digest"][7:]).read_text())
        box.layout.index(d)
        box.says(f"blobs/sha256/{doc['config']['digest'][7:]}: 2 diff_ids, "
                 "and 1 layers in the manifest")

    @pytest.mark.parametrize("how, blob, why", [
        ("gzip", tar(entry("f", b"")), "is not gzip, once, as its media type "
         "says"),
        ("zstd", packed(tar(entry("f", b"")), "gzip"),
         "is not zstd, once, as its media type says"),
        ("gzip", packed(packed(tar(entry("f", b"")), "gzip"), "gzip"),
         "is not gzip, once, as its media type says"),
        ("tar", packed(tar(entry("f", b"")), "gzip"),
         'tar: "Unrecognized archive format"'),
        ("tar", b"x" * 2000, 'tar: "Unrecognized archive format"'),
        ("tar", b"", 'tar: "Unrecognized archive format"'),
        ("tar", tar(entry("f", bytes(5000)))[:2000],
         '"f": tar: "Truncated tar archive"'),
        ("gzip", packed(tar(entry("f", os.urandom(9000))), "gzip")[:4000],
         'gzip: "truncated gzip input"'),
        ("zstd", packed(tar(entry("f", os.urandom(9000))), "zstd")[:4000],
         'zstd: "Truncated zstd input"')], ids=range(9))
    def test_other_content_than_its_media_type(box, how, blob, why):
        """With digests that are right"""
        box.layout.index(box.layout.manifest(
            [b""], change=lambda doc: doc.update(
                layers=[box.layout.blob(blob, LAYER[how])])))
        box.says("layer 0: " + why)

    def test_media_types(box):
        for media in (OCI + "layer.nondistributable.v1.tar", "text/plain",
                      DOCKER + "image.rootfs.foreign.diff.tar.gzip",
                      OCI + "config.v1+json"):
            d = box.layout.image(tar(), media=media)
            box.says(f"blobs/sha256/{d['digest'][7:]}: layers[0]: \"{media}\" "
                     "is no layer that can be unpacked: tar, tar+gzip or "
                     "tar+zstd")

    # -- documents --

    def with_manifest(box, change):
        d = box.layout.image(tar(), change=change)
        return f"blobs/sha256/{d['digest'][7:]}: "

    DIGEST = "digest is not sha256: and 64 lower-case hex digits"

    @pytest.mark.parametrize("change, why", [
        ({"schemaVersion": 1}, "schemaVersion is not 2"),
        ({"mediaType": OCI + "config.v1+json"},
         f'mediaType "{OCI}config.v1+json" is not that of a manifest'),
        ({"manifests": []}, "has manifests and layers, and can be read as two "
         "different images"),
        ({"layers": None}, 'has no array "layers"'),
        ({"config": []}, 'has no object "config"'),
        ({"layers": [1]}, "layers[0] has no mediaType that is a string"),
        ({"layers": [{"mediaType": "x", "digest": "sha256:" + "A" * 64,
                      "size": 1}]}, "layers[0]: " + DIGEST),
        ({"layers": [{"mediaType": "x", "size": 1, "digest":
                      "sha256:../../../../etc/passwd" + "a" * 42}]},
         "layers[0]: " + DIGEST),
        ({"layers": [{"mediaType": "x", "digest": "sha512:" + "a" * 128,
                      "size": 1}]}, "layers[0]: " + DIGEST),
        ({"layers": [{"mediaType": "x", "digest": "sha256:" + "a" * 64,
                      "size": -1}]}, "layers[0]: size is no number of bytes"),
        ({"layers": [{"mediaType": "x", "digest": "sha256:" + "a" * 64,
                      "size": 1.5}]}, "layers[0]: size is no number of bytes"),
        ({"config": {"mediaType": "x/y", "digest": "sha256:" + "a" * 64,
                     "size": 1}}, 'config: "x/y" is not the config of an '
         "image"),
        ({"layers": [{}] * 501}, "layers: 501 entries, of which there may be "
         "500"),
        ({"layers": [{}] * 5000}, "layers: 5000 entries, of which there may "
         "be 500")])
    def test_a_manifest(box, change, why):
        at = with_manifest(box, lambda doc: doc.update(change))
        box.says(at + why)

    def with_config(box, config):
        """A manifest whose config is these bytes; where it is"""
        c = box.layout.blob(config, OCI + "config.v1+json")
        box.layout.image(tar(), change=lambda doc: doc.update(config=c))
        return f"blobs/sha256/{c['digest'][7:]}: "

    FITS = {"os": "linux", "architecture": "amd64"}

    @pytest.mark.parametrize("config, why", [
        ({"os": "linux", "architecture": "arm64"}, 'is for os "linux", '
         'architecture "arm64"; a machine here is linux, amd64'),
        ({}, "is for os (none), architecture (none); a machine here is linux, "
         "amd64"),
        (FITS, 'rootfs is not of type "layers" with at most 500 diff_ids'),
        ({**FITS, "rootfs": {"type": "x", "diff_ids": []}},
         'rootfs is not of type "layers" with at most 500 diff_ids'),
        ({**FITS, "rootfs": {"type": "layers", "diff_ids": ["x"]}},
         "rootfs.diff_ids[0] is not sha256: and 64 lower-case hex digits"),
        ({**FITS, "rootfs": {"type": "layers", "diff_ids": [1]}},
         "rootfs.diff_ids[0] is not sha256: and 64 lower-case hex digits")])
    def test_a_config(box, config, why):
        box.says(with_config(box, config) + why)

    def test_members_that_are_there_twice(box):
        """Anywhere, escaped or not, also where nobody reads them."""
        twice = 'member "{}" is there twice in one object'.format
        index = box.layout.path / "index.json"
        image = box.layout.image(tar())
        good = index.read_text()
        index.write_text(good[:-1] + ', "manifests": []}')
        box.says("index.json: " + twice("manifests"))
        index.write_text(good[:-1] + ', "a": [{"x": {"b": 1, "\\u0062": 2}}]}')
        box.says("index.json: " + twice("b"))
        layout = box.layout.path / "oci-layout"
        layout.write_text('{"imageLayoutVersion": "1.0.0", '
                          '"imageLayoutVersion": "1.0.0"}')
        box.says("oci-layout: " + twice("imageLayoutVersion"))
        layout.write_text('{"imageLayoutVersion": "1.0.0"}')
        old = (box.layout.blobs / image["digest"][7:]).read_bytes()
        d = box.layout.blob(old[:-1] + b', "layers": []}', image["mediaType"])
        box.layout.index(d)
        box.says(f"blobs/sha256/{d['digest'][7:]}: " + twice("layers"))
        text = json.dumps({**FITS, "rootfs": {"type": "layers", "diff_ids": [
            sha(tar())]}})
        at = with_config(box, (text[:-1] + ', "os": "linux"}').encode())
        box.says(at + twice("os"))

    @pytest.mark.parametrize("name, text, why", [
        ("oci-layout", "{}", 'imageLayoutVersion is not "1.0.0"'),
        ("oci-layout", '{"imageLayoutVersion": "2.0.0"}',
         'imageLayoutVersion is not "1.0.0"'),
        ("oci-layout", "[]", "is not a JSON object"),
        ("index.json", "[]", "is not a JSON object"),
        ("index.json", '{"schemaVersion": 2}', 'has no array "manifests"'),
        ("index.json", '{"schemaVersion": 2, "layers": [], "manifests": []}',
         "has manifests and layers, and can be read as two different images"),
        ("index.json", '{"schemaVersion": 2, "manifests": [%s]}' % ",".join(
            ["{}"] * 1025), "manifests: 1025 entries, of which there may be "
         "1024")])
    def test_a_layout(box, name, text, why):
        box.layout.image(tar())
        (box.layout.path / name).write_text(text)
        box.says(f"{name}: {why}")

    def test_documents_without_end(box):
        index = box.layout.path / "index.json"
        index.write_text("[" * 33 + "]" * 33)
        rc, out = box.unpack()
        assert rc == 1 and out.startswith("index.json: ") and \
            " at line 1 column " in out
        index.write_text('{"schemaVersion": 2, "x": "%s"}' % ("x" * (4 << 20)))
        box.says("index.json: File too large (os error 27)")
        at = with_config(box, b" " * ((4 << 20) + 1))
        box.says(at + "a document of 4194305 bytes, of which there may be "
                 "4194304")
        # 4 MiB of the smallest values that there are
        index.write_text('{"schemaVersion": 2, "x": [%s1]}' % ("1," * 2097000))
        rc, out = box.unpack()
        assert rc == 1 and out.startswith("index.json: "), out

    def test_no_layout(box):
        (box.layout.path / "oci-layout").unlink()
        box.says("oci-layout: No such file or directory (os error 2)")
        (box.layout.path / "oci-layout").symlink_to("index.json")
        box.says("oci-layout: Too many levels of symbolic links (os error 40)")

    # -- too much --

    MANY = "of more than 1048576 bytes in all{}; the limit is " \
        "CELLOS_LIMIT_IMAGE_BYTES"

    def test_bombs(box):
        """Of a stream that unpacks to more, and of holes that do not even
        need that."""
        bomb = tar(entry("f", bytes(1 << 25)))
        assert len(packed(bomb, "gzip")) < 40000
        for how in ("gzip", "zstd", "tar"):
            box.layout.image(bomb, how=how)
            box.says("layer 0: \"f\": files " + MANY.format(""), max=1 << 20)
        # nothing but the end of an archive, a lot of it
        box.layout.image(bytes(1 << 25), how="zstd")
        box.says("layer 0: layers " + MANY.format(" when unpacked"),
                 max=1 << 20)
        # as much as may be, in every layer
        half = [tar(entry(f"f{i}", bytes(600000))) for i in range(2)]
        box.layout.image(*half)
        box.says("layer 1: \"f1\": files " + MANY.format(""), max=1 << 20)

    @pytest.mark.parametrize("size", [1 << 40, (1 << 63) - 1])
    def test_holes(box, size):
        data = tar(entry("GNUSparseFile.0/f", b"0\n" + bytes(510),
                         pax_headers={"GNU.sparse.major": "1",
                                      "GNU.sparse.minor": "0",
                                      "GNU.sparse.name": "f",
                                      "GNU.sparse.realsize": str(size)}))
        box.layout.image(data)
        box.says("layer 0: \"f\": files " + MANY.format(""), max=1 << 20)
        assert os.listdir(box.into) == []

    def test_deep(box):
        deep = "/".join(["d"] * 128)
        assert len(box.tree([dir_(deep)])) == 128
        rc, out = (box.layout.image(tar(dir_(deep + "/d"))), box.unpack())[1]
        assert rc == 1 and out.endswith(
            '/d/...": a name of more than 255 bytes, or more than 128 '
            "directories in each other")
        box.refused('layer 0: "l/d/": more than 128 directories in each other, '
                    "by way of symbolic links",
                    [dir_(deep), symlink("l", deep), dir_("l/d")])
        # by as many links as it takes
        chain = [dir_("0/" + "/".join(["d"] * 60))]
        for i in range(1, 4):
            chain += [symlink(f"l{i}", "/".join(
                [f"l{i - 1}" if i > 1 else "0", *["d"] * 60])),
                dir_(f"l{i}/" + "/".join(["d"] * 60))]
        rc, out = (box.layout.image(tar(*chain)), box.unpack())[1]
        assert rc == 1 and out.endswith(": more than 128 directories in each "
                                        "other, by way of symbolic links")

    def test_long(box):
        part = "n" * 255
        assert list(box.tree([entry(part, b"")])) == [part]
        rc, out = (box.layout.image(tar(entry(part + "n", b""))),
                   box.unpack())[1]
        assert rc == 1 and out.endswith(
            'nnn...": a name of more than 255 bytes, or more than 128 '
            "directories in each other")
        rc, out = (box.layout.image(tar(entry("/".join([part] * 9), b""))),
                   box.unpack())[1]
        assert rc == 1 and out.endswith(
            "a path of 2048 bytes or more, or with a NUL")
        rc, out = (box.layout.image(tar(symlink("l", "t" * 5000))),
                   box.unpack())[1]
        assert (rc, out) == (1, 'layer 0: "l": cannot be made: File name too '
                             "long (os error 36)")

    if IS_ALL:    # half a gigabyte of entries
        def test_entries(box):
            one = tar(entry(".wh..wh.aufs", b""))[:512]
            data = one * (1 << 20) + bytes(1024)
            box.layout.image(data, how="zstd")
            assert box.unpack(max=1 << 31)[0] == 0
            box.layout.image(one + data, how="zstd")
            box.says("layer 0: more than 1048576 entries in all", max=1 << 31)

    # -- the rest of an entry --

    @pytest.mark.parametrize("uid, gid", [(-1, 0), (0, 4294967295),
                                          (4294967295, 0),
                                          (1 << 40, 0)])
    def test_owners_that_are_none(box, uid, gid):
        box.refused(f'layer 0: "f": owner {uid}:{gid} is none',
                    tar(entry("f", b"", uid=uid, gid=gid),
                        format=tarfile.GNU_FORMAT))

    def test_names_that_are_no_text(box):
        """In a message they are ASCII; in the tree they are what they are."""
        name = "..\x1b]0;x\x07\n\\\"é"
        box.refused('layer 0: "..\\x1b]0;x\\x07\\x0a\\x5c\\x22\\xc3\\xa9/..": '
                    '".." in a path', [entry(name + "/..", b"")])
        raw = tar(entry("f?", b""), format=tarfile.GNU_FORMAT).replace(
            b"f?\0", b"f\xff\0", 1)
        sums = sum(raw[:148]) + 256 + sum(raw[156:512])
        raw = raw[:148] + b"%06o\0 " % sums + raw[156:]
        box.layout.image(raw)
        assert box.unpack()[0] == 0
        assert os.listdir(os.fsencode(box.into)) == [b"f\xff"]
        # where the format says UTF-8 it has to be
        rc, out = (box.layout.image(tar(entry("a" * 99 + "é", b"")).replace(
            "aé".encode(), b"a\xff\xff")), box.unpack())[1]
        assert rc == 1 and out.startswith('layer 0: tar: "Pathname can\'t be '
                                          "converted from UTF-8"), out
