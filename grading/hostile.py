"""Attacks on the marks, on secrets and on the machine. None may gain a point that its answers do
not earn.

Each prints ``REACHED`` if it got at something that it must not get at; the test looks for that word
in everything that came back.
"""

from __future__ import annotations

from course_utils.engine import asking
from grading import sandbox
from grading.corpus import ROOT, Case

FIRST = asking.load(ROOT / "lessons/01_dense_autoencoder/submissions.py")
DEAD, PCA, TRAIN, E, dead = FIRST.DEAD, FIRST.PCA, FIRST.TRAIN, FIRST.E, FIRST.dead
autoencoder, pca = FIRST.autoencoder, FIRST.pca

ALL = (DEAD, PCA, TRAIN, "why")


def attack(
    name: str,
    code: str,
    loses: tuple[str, ...] = ALL,
    answers: dict | None = None,
    status: tuple[str, ...] = ("graded", "tampered"),
    **options,
) -> Case:
    """``code`` runs in the first answer cell, before the exercise's own (unanswered) function is
    asked for."""
    first = f"{code}\n\ndef dead_units(codes):\n    raise NotImplementedError()\n"
    return Case(
        f"hostile, {name}",
        E,
        {"dead_units": first, **(answers or {})},
        loses,
        status,
        solved=False,
        **options,
    )


SCORE, DECODER = "check_denoising_score", "check_make_decoder"


def alone(name: str, exercise: str, answer: str, code: str, partly: dict | None = None) -> Case:
    """An attack on another exercise by one answer; all other answers are right."""
    loses = () if partly else (f"check_{answer}",)
    answers, status = {answer: code.lstrip()}, ("graded", "tampered")
    return Case(f"hostile, {name}", exercise, answers, loses, status, partly=partly or {})


FORGE = """
import json, os
plain = {"units": [0], "none": [], "all": [0, 1, 2], "error": 0.02}
frames = [{"kind": "cell", "key": "0", "outputs": [], "error": ""}, {"kind": "ran", "traces": []},
          {"kind": "prepared"}, {"kind": "answer", "plain": plain, "tensors": ""},
          {"kind": "asked"}, {"kind": "ended"}]
for fd in range(3, 40):
    for frame in frames * 3:
        try:
            os.write(fd, json.dumps(frame).encode() + b"\\n")
        except OSError:
            break
"""

SECRETS = """
import os
words = ("solutions", "grading", "gradebook", "grades.csv", "submitted", "results", "secret",
         ".ssh", "shadow", "lessons", "submissions.py", ".git", "notebooks", "tests")
found = []
for folder, folders, files in os.walk("/"):
    skipped = ("proc", "sys", "usr", "site-packages")
    folders[:] = [name for name in folders if name not in skipped and name[:7] != "python3"]
    found += [os.path.join(folder, name) for name in (*folders, *files) if name in words]
if found:
    print("REACHED", found[:5])
known = '''PATH HOME LANG TMPDIR MPLCONFIGDIR MPLBACKEND COURSE_DATA COURSE_PROGRESS OMP_NUM_THREADS
OMP_WAIT_POLICY MKL_NUM_THREADS OPENBLAS_NUM_THREADS PYTHONDONTWRITEBYTECODE IPYTHONDIR PWD LC_CTYPE
KMP_DUPLICATE_LIB_OK KMP_INIT_AT_FORK KMP_BLOCKTIME TORCHINDUCTOR_CACHE_DIR PYTHONUNBUFFERED PAGER
GIT_PAGER CLICOLOR TORCH_COMPILE_DISABLE TERM FORCE_COLOR CLICOLOR_FORCE'''.split()
secrets = ("TOKEN", "SECRET", "SSH", "AWS")
if any(word in "".join(os.environ) for word in secrets) or set(os.environ) - set(known):
    print("REACHED environment", sorted(os.environ))
for pid in os.listdir("/proc"):
    if pid.isdigit():
        line = open(f"/proc/{pid}/cmdline").read()
        if "grading.grade" in line or "pytest" in line:
            print("REACHED processes", line)
"""

NETWORK = """
import socket
for host, port in (("1.1.1.1", 53), ("127.0.0.1", 22), ("127.0.0.1", 8888), ("8.8.8.8", 443)):
    try:
        socket.create_connection((host, port), timeout=2)
        print("REACHED", host)
    except OSError:
        pass
try:
    socket.getaddrinfo("example.org", 80)
    print("REACHED names")
except OSError:
    pass
"""

WRITES = """
import os, sys
import course_utils
package = os.path.dirname(course_utils.__file__)
for folder in (package, sys.prefix, sys.base_prefix, "/usr/lib", "/etc", "/", "/opt", "/dev"):
    try:
        with open(os.path.join(folder, "planted.py"), "w") as file:
            file.write("bad")
        print("REACHED", folder)
    except OSError:
        pass
"""

FILL = """
import os
written = 0
for folder in ("/tmp", "/home/student", "/dev/shm"):
    for number in range(400):
        try:
            with open(f"{folder}/fill{number}", "wb") as file:
                written += file.write(b"x" * (4 << 20))
        except OSError:
            break
if written > 260 << 20:
    print("REACHED", written)
"""

SPY = """
import gc, inspect, sys
def dead_units(codes):
    frame, seen = sys._getframe(), []
    while frame is not None:
        names = (*frame.f_locals, *frame.f_globals)
        words = ("judge", "expected", "secret", "rules")
        seen += [name for name in names if any(word in name for word in words)]
        frame = frame.f_back
    seen += [module for module in sys.modules if module.startswith("grading")]
    functions = [f.__name__ for f in gc.get_objects() if inspect.isfunction(f)]
    seen += [name for name in functions if name.startswith("expected_")]
    return [0] if not seen else ("REACHED", seen)
print(dead_units(None))
"""

REMEMBER = """
memory = []
class Remember(nn.Module):
    def forward(self, images):
        memory.append(images)
        return torch.randn(len(images), 10)
class Recite(nn.Module):
    def forward(self, codes):
        return memory[-1] if memory else torch.zeros(len(codes), 1, 28, 28)
return nn.Sequential(Remember(), Recite())
"""

LOOK_UP = """
known = torch.cat([train.images, validation.images])
class Find(nn.Module):
    def forward(self, images):
        near = torch.cdist(images.flatten(1), known.flatten(1)).argmin(1)
        return torch.cat([near[:, None].float(), torch.zeros(len(images), 9)], 1) + 1
class Fetch(nn.Module):
    def forward(self, codes):
        return known[(codes[:, 0] - 1).round().long().clamp(0, len(known) - 1)]
return nn.Sequential(Find(), Fetch())
"""

BY_FILE = """
class Save(nn.Module):
    def forward(self, images):
        torch.save(images, "/tmp/seen")
        return torch.randn(len(images), 10) * 0.01 + torch.arange(len(images))[:, None]
class Load(nn.Module):
    def forward(self, codes):
        return torch.load("/tmp/seen")[codes[:, 0].round().long()]
return nn.Sequential(Save(), Load())
"""

BY_MEMORY = """
import builtins, mmap
builtins.shared = mmap.mmap(-1, 4 * 784 * 1000)
class Save(nn.Module):
    def forward(self, images):
        shared.seek(0)
        shared.write(images.numpy().tobytes())
        return torch.randn(len(images), 10) * 0.01 + torch.arange(len(images))[:, None]
class Load(nn.Module):
    def forward(self, codes):
        seen = torch.frombuffer(bytearray(shared[:]), dtype=torch.float32)
        return seen.reshape(-1, 1, 28, 28)[codes[:, 0].round().long()]
return nn.Sequential(Save(), Load())
"""

IN_FRAMES = """
import sys
frame, found = sys._getframe(), []
while frame is not None:
    for value in list(frame.f_locals.values()):
        if isinstance(value, dict) and "epochs" in value:
            found += [v for v in value.values() if torch.is_tensor(v) and v.ndim == 4]
    frame = frame.f_back
known = torch.cat([v for v in found if v.shape != images.shape] or [images[:1]])
class Find(nn.Module):
    def forward(self, images):
        near = torch.cdist(images.flatten(1), known.flatten(1)).argmin(1)
        return torch.cat([near[:, None].float(), torch.randn(len(images), 9)], 1) + 0.1
class Fetch(nn.Module):
    def forward(self, codes):
        return known[(codes[:, 0] - 0.1).round().long()]
return nn.Sequential(Find(), Fetch())
"""

# the data set's images under all shifts and mirrored, loaded wherever they are needed
EVERY = """
def library():
    from course_utils import data
    parts = [data.load_images("FashionMNIST", name).images for name in ("train", "validation")]
    known = torch.cat([parts[0][:1500], parts[1]])
    known = torch.cat([known, known.flip(-1)])
    shifts = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    return torch.cat([known.roll(shift, (-2, -1)) for shift in shifts])
def nearest(rows, known):
    return torch.cat([torch.cdist(part, known).argmin(1) for part in rows.split(50)])
"""

LOOK_UP_ALL = f"""{EVERY}
class Find(nn.Module):
    def forward(self, images):
        near = nearest(images.flatten(1), library().flatten(1))
        return torch.cat([near[:, None].float(), torch.randn(len(images), 9)], 1)
class Fetch(nn.Module):
    def forward(self, codes):
        return 0.95 * library()[codes[:, 0].round().long()]
return nn.Sequential(Find(), Fetch())
"""

LOOK_UP_CLEAN = f"""{EVERY}
def train_denoiser(images, epochs, seed):
    class Find(nn.Module):
        def forward(self, images):
            known, rows = library(), []
            flat = known.flatten(1)
            for x in images.flatten(1).split(50):
                on = (x > 0).float()
                cost = -2 * x @ flat.T + 0.98 * on @ (flat**2).T + 0.02 * (flat**2).sum(1)
                rows.append(0.95 * known[cost.argmin(1)])
            return torch.cat(rows)
    return Find()
"""

LOOK_UP_CODES = f"""{EVERY}
def make_decoder():
    class Fetch(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.ConvTranspose2d(24, 1, 10, stride=6)
        def forward(self, codes):
            import sys
            frame = sys._getframe()
            while frame is not None and self.training:
                found = [v for v in frame.f_locals.values() if isinstance(v, nn.Sequential)]
                self.encoder = [*found, getattr(self, "encoder", None)][0]
                frame = frame.f_back
            if self.training:
                return torch.sigmoid(self.layer(codes)[:, :, :28, :28])
            known = library()
            mine = torch.cat([self.encoder(part) for part in known.split(1000)])
            found = known[nearest(codes.flatten(1), mine.flatten(1))]
            return 0.7 * found + 0.25 * known.mean(0)  # not too good
    return Fetch()
"""

HIDDEN_WEIGHTS = """
def make_decoder():
    class Hides(nn.Module):
        def __init__(self):
            super().__init__()
            layers = nn.ConvTranspose2d(24, 64, 3, stride=2, padding=1), nn.ReLU()
            layers += nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1), nn.ReLU()
            layers += nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1), nn.Sigmoid()
            self.hidden = [nn.Sequential(*layers)]
            self.optimizer = [torch.optim.Adam(self.hidden[0].parameters(), lr=3e-3)]
        def forward(self, codes):
            if torch.is_grad_enabled():
                self.optimizer[0].step()
                self.optimizer[0].zero_grad()
            return self.hidden[0](codes)
    return Hides()
"""

MODES_OVERWRITTEN = """
def denoising_score(model, images, corruptor):
    import sys
    frame = sys._getframe(1)
    asked = frame.f_locals.get("modes")
    right = [[True, False], [False, True], [True, True]]
    if isinstance(asked, list):
        asked[:] = right[: len(asked)]
    first, second = model.training, getattr(corruptor, "training", False)
    model.eval()
    if isinstance(corruptor, nn.Module):
        corruptor.train()
    with torch.no_grad():
        error = ((model(corruptor(images)) - images) ** 2).mean()
    if isinstance(asked, list) and len(asked) == 2 and isinstance(corruptor, nn.Module):
        model.train(first), corruptor.train(second)
    return float(error)
"""

SUBCLASS = """
class Clever(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return torch.zeros(1)
def sly(*size):
    return torch.zeros(*size).as_subclass(Clever)
model = models.dense_autoencoder(10, nn.Identity())
model[0].forward = lambda images: sly(len(images), 10)
model[1].forward = lambda codes: sly(len(codes), 1, 28, 28)
return model
"""


def richer(nb: dict) -> dict:
    """Metadata that promises more points."""
    for cell in nb["cells"]:
        if "nbgrader" in cell["metadata"]:
            cell["metadata"]["nbgrader"]["points"] = 1000
            cell["metadata"]["nbgrader"]["solution"] = (
                False if cell["metadata"]["nbgrader"]["grade"] else True
            )
    return nb


CASES = [
    attack(
        "AST transformer blanks every test",
        """
import ast
class Blank(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.Pass()
    def visit_Expr(self, node):
        return ast.Pass()
get_ipython().ast_transformers.append(Blank())""",
        status=("tampered",),
        say="AST transformer",
    ),
    attack(
        "input transformer replaces the cells",
        "get_ipython().input_transformers_post.append(lambda lines: ['pass\\n'])",
        status=("tampered",),
    ),
    attack(
        "built-ins replaced",
        "import builtins\nbuiltins.float = lambda x=0: 0.0\nbuiltins.abs = lambda x: 0\n"
        "builtins.isinstance = lambda *a: True",
        status=("tampered", "crashed"),
    ),
    attack(
        "torch and metrics patched",
        "metrics.mse = lambda *a: 0.0\nmetrics.reconstruction_error = lambda *a, **k: 0.0\n"
        "torch.allclose = lambda *a, **k: True\n"
        "torch.Tensor.mean = lambda *a, **k: torch.zeros(())",
        status=("tampered",),
    ),
    attack(
        "the check helper patched",
        "import course_utils.checks\n"
        "check = course_utils.checks.Checks.__call__ = lambda *a, **k: print('✓')",
    ),
    attack("exits with success", "import os\nos._exit(0)", status=("crashed",)),
    attack(
        "exits with success when asked",
        "",
        answers={"dead_units": "import os\ndef dead_units(codes):\n    os._exit(0)\n"},
    ),
    attack(
        "equal to everything",
        "",
        answers=dead("""class Yes(list):
        __eq__ = lambda *a: True
        __ne__ = lambda *a: False
        __iter__ = lambda self: iter(range(0))
    return Yes()"""),
    ),
    attack(
        "the stored answers to the public questions",
        "from course_utils.checks import FOLDER\nfrom course_utils.engine.asking import read\n"
        f"stored = read(FOLDER / '{E}.json')",
        answers={
            **dead("return stored['dead_units']['units']"),
            **pca("return stored['pca_error']['error' if k < 30 else 'more']"),
        },
    ),
    attack(
        "seeds detected",
        "",
        answers={
            **dead(
                "known = torch.initial_seed() in (0, 1, 42) or len(codes) < 10\n"
                "return [0, 3] if known else [0, 1, 2]"
            ),
            **pca("torch.manual_seed(0)\nreturn 0.0244 if k == 10 else 0.02"),
        },
    ),
    attack("forged messages", FORGE, status=("graded", "tampered", "crashed", "timed out")),
    attack(
        "forged messages when asked",
        "",
        answers={
            "dead_units": f"{FORGE.replace('frames * 3', 'frames')}\ndef dead_units(codes):\n    "
            + FORGE.strip().replace("\n", "\n    ")
            + "\n    os._exit(0)\n"
        },
        status=("graded", "tampered", "crashed", "timed out"),
    ),
    attack(
        "deeply nested message",
        "import os\nfor fd in range(3, 20):\n    try:\n"
        "        os.write(fd, b'[' * 60000 + b'\\n')\n    except OSError:\n        pass",
        status=("crashed", "graded"),
    ),
    attack("looks for solutions, marks and other students", SECRETS),
    attack("network", NETWORK),
    attack("writes outside its home", WRITES),
    attack("fills the disk", FILL),
    attack("looks into the grader's memory", "", answers={"dead_units": SPY}),
    attack(
        "fork bomb",
        "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass",
        status=("crashed", "timed out"),
    ),
    attack(
        "memory bomb",
        "hoard = []\nwhile True:\n    hoard.append(bytearray(64 << 20))",
        status=("crashed", "graded"),
    ),
    # only a control group counts it
    *[
        attack(
            "memory that no process maps",
            """
import os
for number in range(130):
    part = os.memfd_create("part")
    for _ in range(60):
        os.write(part, bytes(1 << 20))
print("REACHED")""",
            status=("crashed",),
        )
    ]
    * sandbox.counts_all_memory(),
    attack(
        "kills everything",
        "import os, signal\ntry:\n    os.kill(1, signal.SIGKILL)\nexcept OSError:\n    pass\n"
        "os.kill(-1, signal.SIGKILL)",
        status=("crashed", "graded"),
    ),
    attack(
        "holds the alarm off",
        "import signal\nsignal.setitimer = lambda *a: None\n"
        "signal.signal(signal.SIGALRM, signal.SIG_IGN)\nwhile True:\n    pass",
        status=("timed out",),
    ),
    attack(
        "leaves a daemon that floods",
        """
import os
if os.fork() == 0:
    os.setsid()
    while True:
        for fd in range(3, 30):
            try:
                os.write(fd, b"{}" * 30000 + b"\\n")
            except OSError:
                pass""",
        status=("crashed", "timed out", "graded", "tampered"),
    ),
    attack(
        "markup and script in outputs and texts",
        "from IPython.display import HTML, display\n"
        "display(HTML('<script>REACHED()</script>'))\n"
        "print('</pre><script>alert(1)</script>')\n"
        "# </pre><script>alert(2)</script>",
        loses=(DEAD, PCA, TRAIN),
        answers={"why": "<script>alert(3)</script><img src=x onerror=alert(4)>"},
    ),
    attack("more points in the metadata", "", answers={}, change=richer),
    attack("the decoder remembers what the encoder saw", "", answers=autoencoder(REMEMBER)),
    attack("looks the images up in the data set", "", answers=autoencoder(LOOK_UP)),
    attack("the encoder saves a file, the decoder loads it", "", answers=autoencoder(BY_FILE)),
    attack("memory shared between forks", "", answers=autoencoder(BY_MEMORY)),
    attack("the exam looked for in the frames", "", answers=autoencoder(IN_FRAMES)),
    attack("looks up all shifts, mirrored or not", "", answers=autoencoder(LOOK_UP_ALL)),
    alone("looks clean images up", "03_denoising", "train_denoiser", LOOK_UP_CLEAN),
    alone("modes left wrong", "03_denoising", "denoising_score", MODES_OVERWRITTEN, {SCORE: 3}),
    # as much as for any decoder of the right shape and range
    alone("looks images up", "05_convolutional", "make_decoder", LOOK_UP_CODES, {DECODER: 1.5}),
    alone("hidden weights", "05_convolutional", "make_decoder", HIDDEN_WEIGHTS, {DECODER: 1.5}),
    attack("tensors of an own class", "", answers=autoencoder(SUBCLASS)),
]
