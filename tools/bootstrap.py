"""The cell that follows every notebook's opening: in Colab and on Kaggle it fetches the course's
package."""

BOOTSTRAP = """\
# @title Run this first: in Colab and on Kaggle it fetches the course's package
# It takes the version that this notebook was made for and changes no package that is
# already there. Anywhere else it only imports it, or says how to install it.
import importlib.util, os, shutil, subprocess, sys, tempfile

hosted = "google.colab" in sys.modules or "KAGGLE_KERNEL_RUN_TYPE" in os.environ
present = importlib.util.find_spec("course_utils")
course, tag = "{address}", "v{version}"
if not present and not hosted:
    raise SystemExit(
        "The course's package is not in this Python: install it by a new cell with "
        f"%pip install git+{course} and run this one again, or open the notebook in Colab."
    )
if not present:

    def run(trouble, *command):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            said = done.stderr.splitlines() or [""]
            marks = ("ERROR: ", "error: ", "fatal: ")
            errors = [line for line in said if line.startswith(marks)]
            raise SystemExit(f"{trouble} ({(errors or said)[-1]})")
        return done.stdout

    if not shutil.which("git"):
        raise SystemExit("This machine has no git: install it, run this cell again.")
    os.environ["GIT_TERMINAL_PROMPT"] = "0"  # an address that is wrong asks no password
    trouble = "The course cannot be reached: check the network, run this cell again."
    if "KAGGLE_KERNEL_RUN_TYPE" in os.environ:  # there it is off until one asks for it
        trouble = "Switch Internet on in Kaggle's panel at the right, run this cell again."
    if run(trouble, "git", "ls-remote", course, f"refs/tags/{tag}"):
        source = f"git+{course}@{tag}"
    else:
        print(f"The course has no version {tag}: its newest state is taken instead.")
        source = f"git+{course}"
    pip = [sys.executable, "-m", "pip", "--no-color", "--disable-pip-version-check"]
    with tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False) as there:
        there.write(run("This Python has no pip.", *pip, "list", "--format=freeze"))
    trouble = "The course's package could not be installed."
    run(trouble, *pip, "install", "-q", "-c", there.name, source)
    os.remove(there.name)
    importlib.invalidate_caches()

import course_utils  # before torch: threads that wait then sleep, and slow nothing down"""


FOLDED = {  # one line to be seen, in Colab and in JupyterLab; who wants to can unfold it
    "cellView": "form",
    "jupyter": {"source_hidden": True},
    "tags": ["bootstrap"],
}


def bootstrap(address: str, version: str) -> str:
    """The cell's text for a course that lives at this address, in this version."""
    return BOOTSTRAP.replace("{address}", address).replace("{version}", version)
