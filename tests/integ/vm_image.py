# SPDX-License-Identifier: MIT OR Apache-2.0
"""Images of machines for tests: the root is a few of this host's packages with
all they depend on, linked to where they lie; the kernel is Debian's own."""

import os
import pathlib
import shutil
import subprocess

SOURCE = pathlib.Path(__file__).resolve().parents[2]
KERNEL = pathlib.Path(os.environ.get("CELLOS_TEST_KERNEL",
                                     SOURCE / "build-guest" / "kernel.deb"))
PACKAGES = ["python3", "curl", "git", "gcc", "libc6-dev", "busybox-static",
            "bash", "coreutils", "util-linux", "findutils", "grep", "sed",
            "libc-bin", "procps", "openssl", "dash", "gnutls-bin"]
# Of a package, what no test needs.
LEFT_OUT = ("/usr/share/doc", "/usr/share/man", "/usr/share/locale",
            "/usr/share/info", "/usr/share/perl", "/usr/lib/x86_64-linux-gnu/"
            "perl", "/var", "/boot")
ETC = {
    "passwd": "root:x:0:0:root:/:/bin/sh\n"
              "cell:x:1000:1000:cell:/tmp:/bin/sh\n",
    "group": "root:x:0:\ncell:x:1000:\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "resolv.conf": "nameserver 100.64.0.1\n",
    "hostname": "cell\n",
}


def query(*argv):
    return subprocess.run(argv, check=True, text=True,
                          stdout=subprocess.PIPE).stdout


def closure(names, without="perl"):
    """What is installed here of these packages and of all they need, but for
    those whose name begins with a word."""
    rows = query("dpkg-query", "-W", "-f",
                 "${Package}\t${Provides}\t${Pre-Depends}, ${Depends}\n")
    needs, by_name = {}, {}
    for row in rows.splitlines():
        name, provides, depends = row.split("\t")
        needs.setdefault(name, []).append(depends)
        for p in [name, *provides.split(",")]:
            by_name.setdefault(p.strip().split(" ")[0], name)
    found, todo = set(), list(names)
    while todo:
        name = by_name.get(todo.pop())
        if not name or name in found or name.startswith(without):
            continue
        found.add(name)
        for text in needs[name]:
            for group in text.split(","):
                for one in group.split("|"):
                    word = one.strip().split(" ")[0].split(":")[0]
                    if word in by_name:
                        todo.append(word)
                        break
    return sorted(found)


def put(root, path):
    """A link to a file of this host, or a copy; directories as they are."""
    here = root / path.lstrip("/")
    if here.is_symlink() or here.exists():
        return
    here.parent.mkdir(parents=True, exist_ok=True)
    if os.path.islink(path):
        here.symlink_to(os.readlink(path))
    elif os.path.isfile(path):
        try:
            os.link(path, here)
        except OSError:
            shutil.copy2(path, here)


def put_packages(root, names, left_out=LEFT_OUT):
    """The files of packages, and what chooses among them."""
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to("usr/" + name)
    for line in query("dpkg", "-L", *names).splitlines():
        if not line.startswith("/") or line.startswith(left_out) or \
                (os.path.isdir(line) and not os.path.islink(line)):
            continue
        # what dpkg calls /bin/x lies in /usr/bin
        top = line.split("/")[1]
        if top in ("bin", "sbin", "lib", "lib64"):
            line = "/usr" + line
        put(root, line)
    for path in ("/etc/ld.so.cache", "/etc/ssl/openssl.cnf"):
        put(root, os.path.realpath(path) if os.path.islink(path) else path)
    # chosen by links that no package has
    for name in os.listdir("/etc/alternatives"):
        put(root, f"/etc/alternatives/{name}")
    for name in ("python3", "awk", "sh", "gcc"):
        if os.path.lexists(f"/usr/bin/{name}"):
            put(root, f"/usr/bin/{name}")


def make_root(root):
    put_packages(root, closure(PACKAGES))
    for name, text in ETC.items():
        path = root / "etc" / name
        path.unlink(missing_ok=True)
        path.write_text(text)


def build(cellos, state, root, kernel=KERNEL, name="default"):
    """By the program itself; says where it is."""
    r = subprocess.run(
        [cellos, "image", "build", "--kernel", str(kernel), "--root",
         str(root), name],
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/nonexistent",
             "CELLOS_STATE_DIR": str(state)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert r.returncode == 0, r.stderr
    return state / "images" / name
