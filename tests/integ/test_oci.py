# SPDX-License-Identifier: MIT OR Apache-2.0
"""An OCI image layout becomes the root of a machine: what is unpacked is what
the image specification says, to the mode of every file."""

import os
import pathlib
import signal
import shutil
import subprocess
import tarfile

import pytest

import vm_image
from conftest import BUILD, IS_ROOT, QEMU, SANITIZED, wait_until
from oci_layout import (DOCKER, LAYER, OCI, REF, TOP, Box, dir_, entry, link,
                        packed, sha, symlink, tar, tree)

if IS_ROOT:
    @pytest.fixture
    def box(tmp_path):
        return Box(tmp_path)

    # -- one layer --

    EVERYTHING = [
        dir_("./"), dir_("etc", uid=0, gid=42, mode=0o2750),
        entry("etc/shadow", b"x", mode=0o640, gid=42),
        entry("bin/su", b"su", mode=0o4755), entry("bin/none", b"", mode=0),
        entry("bin/wall", b"w", mode=0o2755, gid=5),
        link("bin/su2", "bin/su"), link("bin/su3", "/bin/su2"),
        symlink("sh", "bin/su", uid=7, gid=8), symlink("out", "../../etc"),
        link("sh2", "sh"), dir_("tmp", mode=0o1777),
        entry("/absolute", b"a"), entry("./a//b/./c", b"c"),
        entry("big", b"b", uid=4294967294, gid=2000000),
        entry("é/" + "n" * 200, b"long"),
        entry("dev/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
        entry("dev/sda", type=tarfile.BLKTYPE, devmajor=8),
        entry("run/pipe", type=tarfile.FIFOTYPE),
    ]
    EXPECTED = {
        "etc": "750 0:42 /", "etc/shadow": "640 0:42 x", "bin": TOP,
        "bin/su": "755 0:0 su", "bin/none": "0 0:0 ",
        "bin/wall": "755 0:5 w", "bin/su2": "= bin/su", "bin/su3": "= bin/su",
        "sh": "7:8 -> bin/su", "out": "0:0 -> ../../etc",
        "sh2": "7:8 -> bin/su", "tmp": "1777 0:0 /", "absolute": "644 0:0 a",
        "a": TOP, "a/b": TOP, "a/b/c": "644 0:0 c",
        "big": "644 4294967294:2000000 b", "é": TOP,
        "é/" + "n" * 200: "644 0:0 long", "dev": TOP, "run": TOP,
    }

    @pytest.mark.parametrize("media, how", [
        (LAYER["tar"], "tar"), (LAYER["gzip"], "gzip"),
        (LAYER["zstd"], "zstd"),
        (DOCKER + "image.rootfs.diff.tar", "tar"),
        (DOCKER + "image.rootfs.diff.tar.gzip", "gzip"),
        (DOCKER + "image.rootfs.diff.tar.zstd", "zstd")])
    def test_a_layer_of_each_media_type(box, media, how):
        assert box.tree(EVERYTHING, media=media, how=how) == EXPECTED

    @pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    def test_each_format_of_tar(box, format):
        box.layout.image(tar(*EVERYTHING, format=format))
        rc, out = box.unpack()
        got = tree(box.into)
        assert (rc, got.pop("")) == (0, TOP), out
        assert got == EXPECTED

    def test_what_is_told(box):
        d = box.layout.image(tar(*EVERYTHING), tar(), run={
            "User": "app", "WorkingDir": "/srv", "Entrypoint": ["/bin/sh"],
            "Cmd": [], "Env": ["A=é\x1b[2J", "B=" + "b" * 5000]})
        assert box.unpack() == (0, f"""{d["digest"]}
layers 2, files 8, bytes 11
left out: devices and pipes 3, set-id bits of files 2
User "app"
WorkingDir "/srv"
Entrypoint ["/bin/sh"]
Env (longer than 4096 bytes)
""")
        d = box.layout.image(tar(), run={"Env": ["A=é\x1b"], "Cmd": None})
        assert box.unpack() == (0, d["digest"] + "\nlayers 1, files 0, bytes 0"
                                "\nEnv [\"A=\\xc3\\xa9\\u001b\"]\n")

    def test_extended_attributes_and_times_are_left_out(box):
        box.tree([entry("f", b"f", pax_headers={
            "SCHILY.xattr.user.a": "b", "SCHILY.xattr.security.capability":
            "\x01\x00\x00\x02"})])
        assert os.listxattr(box.into / "f") == []

    def test_holes(box):
        """As GNU tar writes them; a file is as long as it was."""
        src = box.tmp / "src"
        src.mkdir()
        with open(src / "f", "wb") as f:
            f.write(b"begin")
            f.seek(1 << 20)
            f.write(b"middle")
            f.truncate(3 << 20)
        for format in ("gnu", "posix"):
            data = subprocess.run(
                ["tar", "-C", src, "-S", "--format", format, "-c", "f"],
                check=True, stdout=subprocess.PIPE).stdout
            assert len(data) < 1 << 20
            box.layout.image(data)
            rc, out = box.unpack()
            assert rc == 0, out
            assert (box.into / "f").read_bytes() == (src / "f").read_bytes()

    def test_several_streams_in_one_blob(box):
        """gzip and zstd files that were appended to each other are one."""
        data = tar(entry("f", b"x" * 5000), entry("g", b"g"))
        for how in ("gzip", "zstd"):
            blob = packed(data[:1000], how) + packed(data[1000:], how)
            box.layout.index(box.layout.manifest(
                [data], change=lambda doc: doc.update(
                    layers=[box.layout.blob(blob, LAYER[how])])))
            rc, out = box.unpack()
            assert rc == 0, out
            assert (box.into / "g").read_text() == "g"

    # -- layers upon each other --

    LOWER = [dir_("d", mode=0o700, uid=3), entry("d/x", b"lx"),
             entry("d/e/y", b"ly"), entry("f", b"lf"), symlink("s", "d"),
             symlink("up", "/d/../../d"), entry("gone/a/b", b"")]

    @pytest.mark.parametrize("upper, changed, gone", [
        # attributes of a directory, its content stays
        ([dir_("d", mode=0o711, gid=9)], {"d": "711 0:9 /"}, ()),
        # one kind instead of another; a link is not followed
        ([entry("d", b"file")], {"d": "644 0:0 file"},
         ("d/x", "d/e", "d/e/y")),
        ([dir_("f")], {"f": TOP}, ()),
        ([entry("s", b"ss")], {"s": "644 0:0 ss"}, ()),
        ([dir_("s")], {"s": TOP}, ()),
        ([symlink("f", "/etc")], {"f": "0:0 -> /etc"}, ()),
        ([entry("f", b"new", mode=0o600)], {"f": "600 0:0 new"}, ()),
        ([link("f", "d/x")], {"f": "= d/x"}, ()),
        ([link("new", "f"), link("new", "new")], {"new": "= f"}, ()),
        # an entry that is left out hides all the same
        ([entry("f", type=tarfile.CHRTYPE)], {}, ("f",)),
        # by way of a link of the layer below, inside
        ([entry("s/in", b"in")], {"d/in": "644 0:0 in"}, ()),
        ([entry("up/in", b"in")], {"d/in": "644 0:0 in"}, ()),
        ([entry("s/.wh.x", b"")], {}, ("d/x",)),
        # whiteouts
        ([entry(".wh.f", b"")], {}, ("f",)),
        ([entry(".wh.s", b"")], {}, ("s",)),
        ([entry(".wh.gone", b"")], {}, ("gone", "gone/a", "gone/a/b")),
        ([entry(".wh.nothing", b""), entry("no/dir/.wh.x", b""),
          entry("f/.wh.x", b""), entry("no/.wh..wh..opq", b""),
          entry(".wh..wh.aufs", b"")], {}, ()),
        # only of the layers below, before and after
        ([entry("f", b"mine"), entry(".wh.f", b"")],
         {"f": "644 0:0 mine"}, ()),
        ([entry(".wh.f", b""), entry("f", b"mine")],
         {"f": "644 0:0 mine"}, ()),
        ([link("moved", "f"), entry(".wh.f", b"")],
         {"moved": "644 0:0 lf"}, ("f",)),
        ([entry("d/mine", b"m"), entry(".wh.d", b"")],
         {"d/mine": "644 0:0 m"}, ("d/x", "d/e", "d/e/y")),
        ([dir_("d", mode=0o711), entry(".wh.d", b"")],
         {"d": "711 0:0 /"}, ("d/x", "d/e", "d/e/y")),
        # opaque: the same, wherever it stands
        ([entry("d/.wh..wh..opq", b""), entry("d/x", b"mine")],
         {"d/x": "644 0:0 mine"}, ("d/e", "d/e/y")),
        ([entry("d/x", b"mine"), entry("d/.wh..wh..opq", b"")],
         {"d/x": "644 0:0 mine"}, ("d/e", "d/e/y")),
        ([entry("d/e/z", b"z"), entry("d/.wh..wh..opq", b"")],
         {"d/e/z": "644 0:0 z"}, ("d/x", "d/e/y")),
        ([entry(".wh..wh..opq", b""), entry("only", b"o")],
         {"only": "644 0:0 o"},
         ("d", "d/x", "d/e", "d/e/y", "f", "s", "up", "gone", "gone/a",
          "gone/a/b")),
    ])
    def test_the_next_layer(box, upper, changed, gone):
        below = {"d": "700 3:0 /", "d/x": "644 0:0 lx", "d/e": TOP,
                 "d/e/y": "644 0:0 ly", "f": "644 0:0 lf", "s": "0:0 -> d",
                 "up": "0:0 -> /d/../../d", "gone": TOP, "gone/a": TOP,
                 "gone/a/b": "644 0:0 "}
        want = {**below, **changed}
        for name in gone:
            del want[name]
        assert box.tree(LOWER, upper) == want

    def test_what_a_whiteout_took_can_come_back(box):
        assert box.tree([entry("d/a", b"1")], [entry(".wh.d", b"")],
                        [entry("d/b", b"3")],
                        [entry("d/.wh.a", b""), entry("d/.wh.c", b"")]) == {
            "d": TOP, "d/b": "644 0:0 3"}

    def test_many_layers(box):
        layers = [[entry("n", str(i).encode()), entry(f"l{i}", b""),
                   entry(f".wh.l{i - 1}", b"")] for i in range(500)]
        assert box.tree(*layers) == {"n": "644 0:0 499", "l499": "644 0:0 "}

    # -- which image --

    def images(box, *rows):
        """(name or None, platform or None), each with a file of its number"""
        made = []
        for i, (ref, arch) in enumerate(rows):
            more = {}
            if ref:
                more["annotations"] = {REF: ref}
            if arch:
                more["platform"] = {"os": "linux", "architecture": arch}
            made.append(box.layout.manifest([tar(entry(f"i{i}", b""))],
                                            **more))
        return made

    def chosen(box, ref=None):
        rc, out = box.unpack(ref)
        assert rc == 0, out
        name, = os.listdir(box.into)
        return name

    def test_by_name(box):
        made = images(box, ("a", None), ("docker.io/b:1.0@x", "amd64"),
                      ("c", "arm64"), ("a/b", None))
        box.layout.index(*made)
        assert [chosen(box, r) for r in ("a", "docker.io/b:1.0@x", "a/b")] == [
            "i0", "i1", "i3"]
        short = [f"(sha256:{m['digest'][7:19]}...)" for m in made]
        names = f'"a" {short[0]}, "docker.io/b:1.0@x" {short[1]}, ' \
            f'"a/b" {short[3]}'
        assert box.unpack() == (1, f"index.json: more than one image: {names}; "
                                "say which, as --oci DIR:NAME")
        assert box.unpack("c") == (
            1, "index.json: no image for linux/amd64 is named \"c\"; there is "
            + names)

    def test_without_a_choice(box):
        made = images(box, (None, None), (None, "arm64"), ("x", "riscv64"))
        box.layout.index(*made)
        assert chosen(box) == "i0"
        # two names of one image
        named = [{**made[0], "annotations": {REF: r}} for r in ("u", "v")]
        box.layout.index(*named)
        assert chosen(box) == "i0" == chosen(box, "v")
        box.layout.index(*made[1:])
        assert box.unpack() == (1, "index.json: has no image for linux/amd64")
        assert box.unpack("u") == (1,
                                   "index.json: has no image for linux/amd64")
        box.layout.index()
        assert box.unpack()[0] == 1

    def test_two_of_a_name(box):
        made = images(box, ("a", None), ("a", None))
        box.layout.index(*made)
        rc, out = box.unpack("a")
        assert rc == 1 and out.startswith(
            "index.json: more than one image is named so: \"a\" (sha256:")
        assert out.endswith("; give each a name of its own "
                            "(org.opencontainers.image.ref.name)")

    def nest(box, entries, depth, media=OCI + "index.v1+json"):
        d, = entries if depth == 0 else [box.layout.blob(
            {"schemaVersion": 2, "mediaType": media, "manifests": entries},
            media, annotations={REF: "multi"})]
        return d if depth <= 1 else nest(box, [d], depth - 1)

    @pytest.mark.parametrize("media", [
        OCI + "index.v1+json", DOCKER + "distribution.manifest.list.v2+json"])
    def test_an_index_of_platforms(box, media):
        """The first that fits, as the specification says; what is no image is
        passed over."""
        made = images(box, (None, "arm64"), (None, "amd64"), (None, "amd64"))
        other = box.layout.blob({}, "application/vnd.other+json")
        box.layout.index(nest(box, [other, *made], 1, media))
        assert chosen(box) == "i1" == chosen(box, "multi")
        box.layout.index(nest(box, made, 4))
        assert chosen(box) == "i1"
        box.layout.index(nest(box, made, 5))
        assert box.unpack() == (1, "index.json: more than 4 indexes in each "
                                "other")
        d = nest(box, made[:1], 1)
        box.layout.index(d)
        assert box.unpack() == (1, f"blobs/sha256/{d['digest'][7:]}: has no "
                                "image for linux/amd64")

    def test_docker_schema_2(box):
        """Its names of everything, as `docker save` of our day writes them."""
        L = box.layout
        data = tar(entry("i", b""))
        config = L.blob({"architecture": "amd64", "os": "linux", "rootfs": {
            "type": "layers", "diff_ids": [sha(data)]}},
            DOCKER + "container.image.v1+json")
        layer = L.blob(packed(data, "gzip"),
                       DOCKER + "image.rootfs.diff.tar.gzip")
        media = DOCKER + "distribution.manifest.v2+json"
        L.index(L.blob({"schemaVersion": 2, "mediaType": media,
                        "config": config, "layers": [layer]}, media))
        assert chosen(box) == "i"

    # -- what the unpacking process is --

    def test_what_it_holds(box):
        """Stopped in the middle of a layer: two directories are all there is."""
        box.layout.image(tar(entry("zeros", bytes(200 << 20))))
        outside = open("/etc/passwd")
        p = subprocess.Popen(
            [BUILD / "cellos-unpack", box.layout.path, box.into,
             str(1 << 30)], stdout=subprocess.DEVNULL,
            pass_fds=[outside.fileno()])
        proc = pathlib.Path(f"/proc/{p.pid}")
        try:
            assert wait_until(lambda: (box.into / "zeros").exists(), 20)
            p.send_signal(signal.SIGSTOP)
            assert wait_until(lambda: " T " in (proc / "stat").read_text(), 20)
            status = dict(x.split(":\t", 1) for x in
                          (proc / "status").read_text().splitlines())
            # CHOWN, DAC_OVERRIDE, FOWNER
            assert [int(status[f"Cap{x}"], 16) for x in (
                "Eff", "Prm", "Bnd", "Inh", "Amb")] == [0xb, 0xb, 0, 0, 0]
            assert status["NoNewPrivs"].strip() == "1"
            if not SANITIZED:
                assert status["Seccomp"].strip() == "2"
            assert sorted(os.listdir(proc / "root")) == ["layout", "root"]
            mounts = [x.split() for x in
                      (proc / "mountinfo").read_text().splitlines()]
            assert {m[4]: m[5].split(",")[0] for m in mounts} == {
                "/": "ro", "/layout": "ro", "/root": "rw"}
            assert all({"nosuid", "nodev", "noexec"} <= set(m[5].split(","))
                       for m in mounts)
            assert {os.readlink(proc / "fd" / n).split("/")[1] for n in
                    os.listdir(proc / "fd") if int(n) > 2} <= {
                "layout", "root"}
            for ns in ("mnt", "net", "ipc", "uts"):
                assert os.readlink(proc / "ns" / ns) != \
                    os.readlink(f"/proc/self/ns/{ns}")
        finally:
            p.kill()
            p.wait()
            outside.close()

    # -- the whole way --

    @pytest.fixture(scope="module")
    def kernel(tmp_path_factory):
        at = tmp_path_factory.mktemp("kernel")
        subprocess.run(["dpkg-deb", "-x", vm_image.KERNEL, at], check=True)
        return at

    def build(box, kernel, *argv, **env):
        r = subprocess.run(
            [BUILD / "cellos", "image", "build", "--kernel", kernel, *argv],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME":
                 "/nonexistent", "CELLOS_STATE_DIR": str(box.tmp / "state"),
                 **env})
        return r

    def test_boots(box, kernel):
        """Of the host: the kernel, and busybox out of a layer. Its user's
        files are its own in the machine too."""
        busybox = pathlib.Path("/bin/busybox").read_bytes()
        base = tar(dir_("bin"), entry("bin/busybox", busybox, mode=0o755),
                   link("bin/sh", "bin/busybox"), entry("etc/old", b"old"))
        top = tar(entry("etc/.wh.old", b""), symlink("sbin", "bin"),
                  entry("home/f", b"mine\n", mode=0o600, uid=1000, gid=1000),
                  entry("home/root", b"", mode=0o600))
        d = box.layout.manifest([base, top], how="zstd", annotations={
            REF: "v1:0"}, run={"Entrypoint": ["/bin/false"], "User": "7"})
        box.layout.index(d, *images(box, ("other", None)))
        r = build(box, kernel, "--oci", f"{box.layout.path}:v1:0")
        assert r.returncode == 0, r
        state = box.tmp / "state"
        assert f"\noci     {d['digest']}\n" in r.stdout, r
        told = f"""cellos: image: oci: {d["digest"]}
cellos: image: oci: layers 2, files 4, bytes {len(busybox) + 8}
cellos: image: oci: User "7"
cellos: image: oci: Entrypoint ["/bin/false"]
cellos: image: oci: a document says what runs, as whom and where: User, \
WorkingDir, Entrypoint, Cmd and Env of the image are not applied
"""
        assert r.stderr.endswith("cellos: image: manifest\n" + told), r
        manifest = (state / "images/default/manifest").read_text()
        assert manifest.startswith(f"# oci {d['digest']}\n# oci layers 2, "), \
            manifest
        assert "\n# oci Entrypoint [\"/bin/false\"]\nsha256:" in manifest
        assert sorted(os.listdir(state / "images")) == ["default"]
        assert sorted(os.listdir(state / "images/default")) == [
            "init", "initrd", "kernel", "manifest", "manifest.sig", "root"]
        # the same again is the same; what a dead builder left goes
        roots = (state / "images/default/root").read_bytes()
        with subprocess.Popen(["true"]) as dead:
            pass
        left = [state / f"images/default.{x}" for x in (
            dead.pid, os.getpid(), "1x", "x")]
        for path in left:
            (path / "unpacked").mkdir(parents=True)
        r = build(box, kernel, "--oci", f"{box.layout.path}:v1:0")
        assert r.returncode == 0, r
        assert [p.exists() for p in left] == [False, True, True, True]
        for path in left[1:]:
            shutil.rmtree(path)
        assert (state / "images/default/root").read_bytes() == roots
        if SANITIZED:
            return    # its init is a dynamic program
        r = subprocess.run(
            [BUILD / "cellos", "run", *QEMU, "--", "/bin/sh", "-c",
             "echo in; cat /home/f; cat /home/root; echo /etc/*; id -u; "
             "exit 42"], timeout=60,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={"PATH": "/bin:/usr/bin", "HOME": "/nonexistent",
                 "CELLOS_STATE_DIR": str(state),
                 "CELLOS_RUN_DIR": str(box.tmp / "run")})
        assert (r.returncode, r.stdout) == (
            42, "in\nmine\n/etc/*\n1000\n"), r
        assert "/home/root: Permission denied" in r.stderr or \
            "can't open '/home/root': Permission denied" in r.stderr, r

    def test_build_says_what_is_wrong(box, kernel):
        at = str(box.layout.path)
        box.layout.image(tar(entry("../x", b"")))
        for argv, rc, text in (
                (["--oci", at], 1, f'--oci {at}: layer 0: "../x": ".." in a '
                 "path\n"),
                (["--oci", at + ":none"], 1, f"--oci {at}: index.json: no "
                 "image for linux/amd64 is named \"none\"; there is "),
                (["--oci", at + ":"], 1, f"--oci {at}:: no name after the "
                 "colon; leave the colon out, or name the image\n"),
                (["--oci", "/nowhere:x"], 1, "--oci /nowhere: No such file"),
                (["--oci", at, "--root", "/usr"], 2, "cellos image: --root "
                 "and --oci: name one of them\n")):
            r = build(box, kernel, *argv)
            assert (r.returncode, r.stdout) == (rc, ""), r
            assert text in r.stderr, r
        box.layout.image(tar(entry("f", bytes(1 << 20)), entry("g", b"g")))
        r = build(box, kernel, "--oci", at, CELLOS_LIMIT_IMAGE_BYTES=str(1 << 20))
        assert r.returncode == 1 and "of more than 1048576 bytes in all" in \
            r.stderr and "CELLOS_LIMIT_IMAGE_BYTES" in r.stderr, r
        assert os.listdir(box.tmp / "state/images") == []
