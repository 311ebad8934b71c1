"""Make or repair the folder .venv: python tools/setup_venv.py lab|all

``lab`` installs what a learner needs, ``all`` adds the tools for tests, grading and authoring.
Runs under any Python 3 up to the check of the version, uses the standard library alone, and may be
killed at any moment: the next call goes on. Where uv is on the PATH it installs the packages, else
pip does; meanwhile a line says how far it is. Whatever goes wrong, the last line is one sentence
that says what to do.
"""
# ruff: noqa: UP031, UP032  (an old Python 3 must get as far as the sentence about its version)

import glob
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.environ.get("COURSE_VENV") or os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "Scripts" if os.name == "nt" else "bin", "python")
STAMP = os.path.join(VENV, "course-stamp")
UNFINISHED = os.path.join(VENV, "course-unfinished")
LOG = os.path.join(VENV, "course-setup.log")
EXTRAS = {"lab": ["lab"], "all": ["lab", "test", "grading", "authoring", "cluster", "site"]}
OLDEST, NEWEST = (3, 10), (3, 13)
NEEDED_GB = 8 if platform.system() == "Linux" else 3  # on Linux torch brings the CUDA libraries
EVERY = 15  # seconds between two lines of progress where there is no terminal
UNREACHABLE = (
    "NewConnectionError|ConnectionError|Temporary failure|Max retries|NameResolution"
    "|ProxyError|timed out|SSLError"
)


INTEL_MAC = (
    "PyTorch has no version for Macs with Intel processors any more; open the lessons in Colab "
    "(README, 'Nothing to install')"
)


def stop(sentence):
    sys.exit("\nset-up stopped: " + sentence)


def usable(python):
    """(major, minor) of an interpreter, or None if it does not run or is out of range."""
    try:
        ask = "import sys; print('%d %d' % sys.version_info[:2])"
        out = subprocess.check_output([python, "-c", ask], stderr=subprocess.DEVNULL)
        version = tuple(int(n) for n in out.split())
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None
    return version if OLDEST <= version <= NEWEST else None


def pick_python():
    """This interpreter if its version fits, else another one on the PATH."""
    for name in [sys.executable] + ["python3.%d" % minor for minor in (12, 11, 13, 10)]:
        if name and shutil.which(name) and usable(name):
            return name
    stop(
        "the course needs Python 3.10 to 3.13 and this is %s; install one of them, or name it: "
        "make PYTHON=/path/to/python3.12" % platform.python_version()
    )


class Progress:
    """One line that is written over in a terminal; without one, a plain line now and then."""

    def __init__(self):
        self.start = self.last = time.time()
        self.terminal = sys.stdout.isatty()

    def show(self, text):
        now = time.time()
        text = "  %s (%d:%02d)" % ((text,) + divmod(int(now - self.start), 60))
        if self.terminal:
            print("\r\033[K" + text, end="", flush=True)
        elif now - self.last >= EVERY:
            self.last = now
            print(text, flush=True)

    def clear(self):
        if self.terminal:
            print("\r\033[K", end="", flush=True)


def packages_there():
    """How many packages stand in the environment."""
    folders = ("lib/python*/site-packages", "Lib/site-packages")
    return len({found for one in folders for found in glob.glob("%s/%s/*.dist-info" % (VENV, one))})


def how_far(text, new):
    """What pip or uv has done so far, from its own words and the number of packages that are
    new."""
    chosen = re.search("^Installing collected packages: (.*)$", text, re.M)
    if chosen:
        return "installed %d of %d packages" % (new, chosen.group(1).count(",") + 1)
    chosen = re.search("^Resolved (\\d+) packages", text, re.M)  # uv's words
    if chosen:
        return "installed %d of %s packages" % (new, chosen.group(1))
    return "found %d packages so far" % len(re.findall("^Collecting ", text, re.M))


def run(command):
    """Run an installer, its words in the log; what it said if it failed, else None."""
    progress, before = Progress(), packages_there()
    with open(LOG, "w") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
    try:
        while process.poll() is None:
            time.sleep(0.3)
            with open(LOG, errors="replace") as log:
                progress.show(how_far(log.read(), packages_there() - before))
    finally:
        process.wait()  # after Ctrl-C it ends by itself
        progress.clear()
    with open(LOG, errors="replace") as log:
        return log.read() if process.returncode else None


def install(arguments):
    """Install by uv where it is on the PATH; without it, and where it cannot, by pip. A failure is
    translated into a sentence."""
    uv, full, text = shutil.which("uv"), "No space left", None
    pip = [PYTHON, "-u", "-m", "pip", "install", "--disable-pip-version-check", "--retries", "2"]
    if uv:
        text = run([uv, "pip", "install", "--python", PYTHON] + arguments)
        if text is None:
            return
        if full not in text:
            print("uv could not (%s); pip takes over" % last_words(text), flush=True)
    if not uv or full not in text:
        text = run(pip + arguments)
        if text is None:
            return
    again = "and run the same command again"
    if full in text:
        stop("the disk is full; free about %d GB %s." % (NEEDED_GB, again))
    if re.search(UNREACHABLE, text):
        stop(
            "the package registry cannot be reached; check the network (or the proxy) %s. "
            "pip's words: %s" % (again, LOG)
        )
    words = last_words(text)
    stop("pip could not install the packages; its last words were: %s (all: %s)" % (words, LOG))


def last_words(text):
    return " / ".join(line.strip() for line in text.strip().splitlines()[-2:])


# Runs inside the venv: prints torch's version if there is one, and removes the records of packages
# that are half installed.
INSPECT = """
import csv, importlib.metadata as m, shutil, sys
for d in m.distributions():
    if sys.argv[1] == "repair":
        rows = list(csv.reader((d.read_text("RECORD") or "").splitlines()))
        if not rows or any(not d.locate_file(row[0]).exists() for row in rows if row[1]):
            print("half installed, will be installed again:", d.metadata["Name"], file=sys.stderr)
            shutil.rmtree(d._path, ignore_errors=True)
            continue
    if d.metadata["Name"] in ("torch", "torchvision"):
        print(d.metadata["Name"] + "==" + d.version)
"""


def wanted_stamp(level, python):
    # The folder counts: in one that was renamed or moved, .venv still points to the old place.
    digest = hashlib.sha256(repr((level, usable(python), ROOT, os.path.abspath(VENV))).encode())
    for name in ("pyproject.toml", "constraints.txt"):
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def silent(*command):
    """Whether a command fails; what it says is thrown away."""
    return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def make_venv(python):
    if os.path.exists(VENV) and (not usable(PYTHON) or silent(PYTHON, "-m", "pip", "--version")):
        print("%s is not a working environment; making it anew" % VENV)
        shutil.rmtree(VENV)
    if os.path.exists(VENV):
        mend_moved()
    else:
        without = silent(python, "-c", "import venv, ensurepip")
        if without or subprocess.call([python, "-m", "venv", VENV]):
            shutil.rmtree(VENV, ignore_errors=True)
            stop(
                "this Python cannot make a virtual environment; on Debian and Ubuntu run: "
                "apt-get install python3-venv"
            )


def mend_moved():
    """In a folder that was renamed or moved the environment's programs name a Python that is gone:
    let them name this one."""
    folder, old = os.path.dirname(PYTHON), None
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.islink(path) or not os.path.isfile(path):
            continue
        with open(path, "rb") as file:
            content = file.read()
        named = content.split(b"\n", 1)[0][2:].decode(errors="replace").strip()
        if not content.startswith(b"#!/") or os.path.exists(named.split(" ")[0]):
            continue
        old = os.path.dirname(os.path.dirname(named))
        with open(path, "wb") as file:
            file.write(content.replace(old.encode(), os.path.abspath(VENV).encode()))
    if old:
        print("the folder was renamed or moved from %s; .venv is mended" % os.path.dirname(old))


def main(level):
    if platform.system() == "Darwin" and platform.machine() == "x86_64":
        stop(INTEL_MAC)
    python = pick_python()
    stamps = ""
    if os.path.exists(STAMP) and usable(PYTHON):
        with open(STAMP) as file:
            stamps = file.read()
        if wanted_stamp(level, PYTHON) in stamps:
            return
    make_venv(python)
    mode = "repair" if os.path.exists(UNFINISHED) else "look"
    open(UNFINISHED, "w").close()
    present = subprocess.check_output([PYTHON, "-c", INSPECT, mode]).decode().split()
    has_torch = any(line.startswith("torch==") for line in present)
    small = shutil.which("uv") and os.environ.get("UV_TORCH_BACKEND") == "cpu"
    needed = 2 if has_torch else 3 if small else NEEDED_GB
    free = shutil.disk_usage(VENV).free / 1e9
    if free < needed:
        stop(
            "the disk has %.1f GB free and the course needs %d GB; free some and run the same "
            "command again." % (free, needed)
        )
    constraints = os.path.join(ROOT, "constraints.txt")
    if has_torch:  # keep what is there, a CPU build for instance: its pins replace ours
        with open(constraints) as file:
            ours = r"(torch|torchvision|triton|nvidia|cuda)[\w-]*=="
            kept = [line for line in file if not re.match(ours, line)]
        constraints = os.path.join(VENV, "course-constraints.txt")
        with open(constraints, "w") as file:
            file.writelines(kept + [line + "\n" for line in present])
        print("keeping %s" % ", ".join(present))
    where = os.path.relpath(VENV)
    print("installing the course's packages into %s (minutes, the first time)" % where, flush=True)
    install(["-c", constraints, "-e", ".[%s]" % ",".join(EXTRAS[level])])
    if silent(PYTHON, "-c", "import torch, torchvision, course_utils"):
        stop(
            "torch and torchvision do not fit together; take both from the same place "
            "(README, 'A laptop without a GPU'), or delete %s" % VENV
        )
    with open(STAMP, "w") as file:
        file.write("\n".join([wanted_stamp(one, PYTHON) for one in ("lab", level)]))
    os.remove(UNFINISHED)
    print("ready")


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):  # a folder's name may have letters that it lacks
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if len(sys.argv) != 2 or sys.argv[1] not in EXTRAS:
        stop("call it as: python tools/setup_venv.py lab|all")
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        stop("interrupted; the same command goes on from here.")
    except OSError as error:
        stop("%s; free some space or mend the permissions and run it again." % error)
