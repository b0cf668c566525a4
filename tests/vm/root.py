# SPDX-License-Identifier: MIT OR Apache-2.0
"""The disk of the machine: a Debian 12 of this host's packages, with Debian's
kernel 6.1 and an initial RAM disk, kept until one of these changes."""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integ"))
import vm_image  # noqa: E402

SOURCE = HERE.parents[1]
# Beside those that ./dev names, and those no Debian is without.
BASE = ["kmod", "libc6-dev", "passwd", "mawk", "perl", "meson"]
LEFT_OUT = ("/usr/share/doc", "/usr/share/man", "/usr/share/locale",
            "/usr/share/info", "/var", "/boot")
# To the disk with the root; the others are loaded from there.
EARLY = ["virtio_blk", "virtio_pci"]
# Of /etc, what is this host's alone.
PRIVATE = ("shadow", "shadow-", "gshadow", "gshadow-", "ssh_host_*", "private",
           "mtab", "hostname", "resolv.conf", "machine-id", "fstab")
SIZE = "12G"  # sparse


def run(*argv, **kw):
    return subprocess.run([str(a) for a in argv], check=True, **kw)


def key(names):
    """Changes with everything the disk is made of."""
    h = hashlib.sha256()
    for path in (__file__, vm_image.__file__, vm_image.KERNEL,
                 HERE / "init", HERE / "initrd"):
        h.update(pathlib.Path(path).read_bytes())
    h.update(vm_image.query("dpkg-query", "-W", "-f",
                            "${Package} ${Version}\n", *names).encode())
    return h.hexdigest()


def put_modules(root, tree):
    """The kernel's, with the index that Debian makes while installing it."""
    shutil.copytree(tree / "lib/modules", root / "usr/lib/modules")
    version, = os.listdir(root / "usr/lib/modules")
    run("/sbin/depmod", "-b", root, version)
    return version


def make_root(root, names):
    vm_image.put_packages(root, names, LEFT_OUT)
    for path in vm_image.query("dpkg", "-L", *names).splitlines():
        cache = f"{os.path.dirname(path)}/__pycache__"
        if path.endswith(".py") and os.path.isdir(cache):
            for name in os.listdir(cache):
                vm_image.put(root, f"{cache}/{name}")
    # what packages choose when they are installed, as java
    for name in os.listdir("/usr/bin"):
        path = f"/usr/bin/{name}"
        if os.path.islink(path) and \
                os.readlink(path).startswith("/etc/alternatives/") and \
                (root / os.path.realpath(path)[1:]).exists():
            vm_image.put(root, path)
    # npm renews itself there, behind the back of its package
    for top, dirs, files in os.walk("/usr/lib/node_modules"):
        for name in (*dirs, *files):
            vm_image.put(root, f"{top}/{name}")
    # a copy: what is linked above is this host's own
    shutil.rmtree(root / "etc")
    shutil.copytree("/etc", root / "etc", symlinks=True,
                    ignore=shutil.ignore_patterns(*PRIVATE))
    for name in ("hostname", "resolv.conf", "hosts"):
        (root / "etc" / name).write_text({
            "hostname": "machine\n", "resolv.conf": "nameserver 10.0.2.3\n",
            "hosts": "127.0.0.1 localhost machine\n::1 localhost\n"}[name])
    (root / "etc/mtab").symlink_to("../proc/self/mounts")
    shutil.copytree("/var/lib/dpkg", root / "var/lib/dpkg", symlinks=True)
    for name in ("proc", "sys", "dev", "run", "root", "home", "mnt", "srv",
                 "var/cache/apt/archives/partial", "var/lib/apt/lists/partial",
                 "var/log", "var/spool"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("tmp", "var/tmp"):
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / name).chmod(0o1777)
    (root / "var/run").symlink_to("/run")
    shutil.copy(HERE / "init", root / "usr/sbin/init-tests")


def early(root, version):
    """Those modules and what each needs, in the order of loading."""
    lines = (root / "usr/lib/modules" / version / "modules.dep").read_text()
    needs = {pathlib.Path(a).stem.replace("-", "_"): [a, *b.split()]
             for a, b in (x.split(":") for x in lines.splitlines())}
    out = []
    for name in EARLY:
        for path in reversed(needs[name]):
            if path not in out:
                out.append(path)
    return out


def make_initrd(root, version, top, out):
    """top: an empty directory for what it holds."""
    (top / "bin").mkdir()
    (top / "modules").mkdir()
    shutil.copy("/bin/busybox", top / "bin/busybox")
    shutil.copy(HERE / "initrd", top / "init")
    found = early(root, version)
    for path in found:
        shutil.copy(root / "usr/lib/modules" / version / path,
                    top / "modules")
    (top / "modules/order").write_text(
        "".join(pathlib.Path(p).name + "\n" for p in found))
    names = "\n".join(str(p.relative_to(top)) for p in sorted(top.rglob("*")))
    with open(out, "wb") as f:
        run("busybox", "cpio", "-o", "-H", "newc", cwd=top, stdout=f,
            input=names.encode() + b"\n", stderr=subprocess.DEVNULL)


def make(packages, at):
    """The directory with kernel, initrd and root.ext4 of these packages."""
    required = [line.split()[1] for line in vm_image.query(
        "dpkg-query", "-W", "-f", "${Priority} ${Package}\n").splitlines()
        if line.startswith("required ")]
    names = vm_image.closure([*required, *BASE, *packages], without=())
    want = key(names)
    if (at / "key").exists() and (at / "key").read_text() == want:
        return
    print("making the machine's disk", flush=True)
    at.mkdir(parents=True, exist_ok=True)
    (at / "key").unlink(missing_ok=True)
    # links to files of this host: on its file system, if that can be
    with tempfile.TemporaryDirectory(dir=at) as tmp:
        tmp = pathlib.Path(tmp)
        run("dpkg-deb", "-x", vm_image.KERNEL, tmp / "package")
        make_root(tmp / "root", names)
        version = put_modules(tmp / "root", tmp / "package")
        shutil.copy(tmp / "package/boot" / f"vmlinuz-{version}",
                    tmp / "kernel")
        (tmp / "early").mkdir()
        make_initrd(tmp / "root", version, tmp / "early", tmp / "initrd")
        run("/sbin/mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d",
            tmp / "root", tmp / "root.ext4", SIZE)
        # another machine may be running from the last ones
        for name in ("kernel", "initrd", "root.ext4"):
            (tmp / name).replace(at / name)
    (at / "key").write_text(want)
