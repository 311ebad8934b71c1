"""Every notebook in a real JupyterLab in a real browser: restart and run all, no error, every
widget moved by keyboard.

Needs Debian's `chromium`. Runs on the sample, on copies in a temporary folder. With
COURSE_TESTS=all screenshots are left in build/screenshots.
"""

import json
import os
import re
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

from tools import my_course

ROOT = Path(__file__).resolve().parents[1]
SHOTS = ROOT / "build/screenshots"
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
ALL = os.environ.get("COURSE_TESTS") == "all"
if ALL:  # else nbval runs them
    NOTEBOOKS += sorted(ROOT.glob("solutions/*/*.ipynb"))
HANGS = 3_600_000  # milliseconds: no test waits for a busy machine in vain
WINDOW = {"width": 1400, "height": 1000}
TALLEST = 16_000  # the browser draws no larger picture
DONE = "every cell of this notebook ran"
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {
        "windowingMode": "none"
    },  # keep all cells in the page, so that each can be looked at
    "docmanager-extension/plugin": {"autosave": False},
}


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """A JupyterLab with a home of its own; yields its folder and its address."""
    home = tmp_path_factory.mktemp("lab")
    work = home / "course"
    work.mkdir()
    for name, values in SETTINGS.items():
        path = home / "settings/@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "COURSE_DATA": "sample",
        "COURSE_PROGRESS": "0",
        "HOME": str(home),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    for variable, folder in {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    }.items():
        environment[variable] = str(home / folder)
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "jupyter",
            "lab",
            "--no-browser",
            "--allow-root",
            f"--port={port}",
            "--ServerApp.port_retries=0",
            "--IdentityProvider.token=course",
            "--LabApp.expose_app_in_browser=True",
            f"--ServerApp.root_dir={work}",
        ],
        env=environment,
        cwd=work,
        stdout=open(home / "log", "w"),
        stderr=subprocess.STDOUT,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                urllib.request.urlopen(f"{address}/api?token=course", timeout=5)
                break
            except OSError:
                assert server.poll() is None, (home / "log").read_text()[-2000:]
                time.sleep(0.5)
        yield work, address
    finally:
        server.terminate()
        server.wait()


def run_all(page):
    """Restart the kernel and run every cell; wait until the last one has printed its mark."""
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_role("menuitem", name="Restart Kernel and Run All Cells…").click()
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    mark = page.locator(".jp-Cell").last.locator(".jp-OutputArea-output", has_text=DONE)
    mark.wait_for(state="detached", timeout=HANGS)  # what an earlier run printed is cleared first
    running = page.locator(".jp-InputPrompt", has_text="*")
    mark.or_(running).first.wait_for(timeout=HANGS)
    deadline = time.monotonic() + HANGS / 1000
    while running.count() and not mark.count():
        page.wait_for_timeout(300)
        assert time.monotonic() < deadline, "the notebook did not come to its end within an hour"
    page.wait_for_timeout(1000)
    assert mark.count(), (
        f"a cell stopped the run: {page.locator('.jp-OutputArea-output').last.inner_text()[-600:]}"
    )


def picture_of(page, panel):
    """The bytes of a panel's picture, as a digest."""
    return panel.locator("img").first.evaluate(
        """async image => {
            const bytes = await (await fetch(image.src)).arrayBuffer();
            return Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))).join();
        }"""
    )


def move(page, panel, handle, key):
    """Press a key on a control and wait until the picture differs; the new picture and the seconds
    that it took."""
    before = picture_of(page, panel)
    start = time.monotonic()
    handle.focus()
    page.keyboard.press(key)
    while time.monotonic() - start < HANGS / 1000:
        after = picture_of(page, panel)
        if after != before:
            return after, time.monotonic() - start
        page.wait_for_timeout(20)
    raise AssertionError(f"{key} on a control of {panel.get_attribute('class')} changed nothing")


def move_every_control(page) -> list[float]:
    """Move each slider by one step and back; the seconds that each picture took to come back."""
    panels = page.locator(".jp-OutputArea-output .widget-vbox:has(img)")
    seconds = []
    for index in range(panels.count()):
        panel = panels.nth(index)
        panel.scroll_into_view_if_needed()
        for control in panel.locator(".widget-slider .noUi-handle").all():
            if control.locator("xpath=ancestor-or-self::*[@disabled]").count():
                continue  # a dead unit
            now, last = (control.get_attribute(f"aria-value{end}") for end in ("now", "max"))
            keys = ["ArrowLeft", "ArrowRight"] if now == last else ["ArrowRight", "ArrowLeft"]
            first = picture_of(page, panel)
            move(page, panel, control, keys[0])
            back, took = move(page, panel, control, keys[1])
            assert back == first, "the picture did not come back"
            seconds.append(took)
    return seconds


def screenshots(page, name: str) -> None:
    """The whole notebook in the light and the dark theme, in build/screenshots."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-WindowedPanel-outer")
    height = panel.evaluate("panel => panel.scrollHeight") + 150
    for theme in ("light", "dark"):
        page.evaluate(
            "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})",
            f"JupyterLab {theme.title()}",
        )
        page.wait_for_timeout(1500)  # the theme of the last notebook's second shot is remembered
        page.set_viewport_size({"width": 1400, "height": min(height, TALLEST)})
        page.locator(".jp-Cell").first.scroll_into_view_if_needed()
        page.wait_for_timeout(2500)  # until all is laid out anew
        page.screenshot(path=SHOTS / f"{name}-{theme}.png")
        if height > TALLEST:  # the end of the notebook gets a picture of its own
            page.locator(".jp-Cell").last.scroll_into_view_if_needed()
            page.wait_for_timeout(1000)
            page.screenshot(path=SHOTS / f"{name}-{theme}-end.png")
    page.set_viewport_size(WINDOW)


def save(page) -> None:
    page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    dirty = ".lm-TabBar-tab.lm-mod-current.jp-mod-dirty"
    page.wait_for_function(f"() => !document.querySelector('{dirty}')", timeout=HANGS)


def end_kernels(address: str) -> None:
    """Each would keep a gigabyte."""
    sessions = f"{address}/api/sessions"
    with urllib.request.urlopen(f"{sessions}?token=course", timeout=600) as answer:
        open_ones = json.load(answer)
    for session in open_ones:
        url = f"{sessions}/{session['id']}?token=course"
        urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=600).close()


def without_outputs(notebook: Path) -> nbformat.NotebookNode:
    """A notebook as it was before its first run, and one more cell that marks its end."""
    nb = nbformat.read(notebook, as_version=4)
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nb.cells.append(nbformat.v4.new_code_cell(f"print({DONE!r})"))
    return nb


def has_widgets(nb: nbformat.NotebookNode) -> bool:
    """Whether a cell shows controls that can be moved (live training has none)."""
    code = [cell.source for cell in nb.cells if cell.cell_type == "code"]
    return any("widgets." in source for source in code if "live_training" not in source)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_notebook_runs_in_jupyterlab(chromium, lab, notebook):
    work, address = lab
    nb = without_outputs(notebook)
    name = f"{notebook.parent.name}_{notebook.name}"
    nbformat.write(nb, work / name)
    page = chromium.new_page(viewport=WINDOW)
    try:
        page.goto(f"{address}/lab/tree/{name}?reset&token=course")
        page.locator("#jp-bottom-panel", has_text="| Idle").wait_for(timeout=HANGS)
        run_all(page)
        seconds = move_every_control(page)
        if has_widgets(nb):
            assert seconds, "the notebook has widgets, but none was found in the page"
            answer = f"{1000 * statistics.median(seconds):.0f} ms"
            print(f"{len(seconds)} controls moved and moved back; median answer {answer}")
            if ALL:
                run_all(page)  # Run all twice
        if ALL:  # for the eye
            screenshots(page, f"{notebook.parent.name}-{notebook.stem}")
        save(page)
    except Exception:
        SHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SHOTS / f"FAILED-{name}.png")
        raise
    finally:
        page.close()
        end_kernels(address)
    saved = nbformat.read(work / name, as_version=4)
    code = [cell for cell in saved.cells if cell.cell_type == "code"]
    order = [cell.execution_count for cell in code]
    assert order == list(range(1, len(code) + 1)), "some cell did not run, or not in its order"
    for cell in code:
        if "raises-exception" not in cell.metadata.get("tags", []):
            errors = [output for output in cell.outputs if output.output_type == "error"]
            assert not errors, cell.source


def cell_of(page, text):
    """The cell of the open notebook whose text holds these words."""
    panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    return panel.locator(".jp-Cell", has_text=text).first


def command(page, name):
    page.evaluate("name => window.jupyterapp.commands.execute(name)", name)


def write_into(page, cell, source):
    """As a learner does: click, select all, type."""
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(source)


def said_under(page, cell, *words):
    """Wait until one of these words is printed under a cell; what is printed."""
    output = cell.locator(".jp-OutputArea-output").last
    pattern = re.compile("|".join(map(re.escape, words)))
    output.filter(has_text=pattern).wait_for(timeout=HANGS)
    return output.inner_text().strip()


def answer_in(notebook: Path, name: str, marks: str) -> str:
    """The code that an author wrote for `def name`, without the solution's marks."""
    cells = nbformat.read(notebook, as_version=4).cells
    cell = next(c for c in cells if f"def {name}(" in c.source and marks in c.source)
    if marks == "```python":
        return cell.source.partition("```python\n")[2].partition("```")[0]
    return re.sub(r" *### (BEGIN|END) SOLUTION\n?", "", cell.source)


def test_a_learner_goes_from_make_lab_over_lesson_3_to_exercise_3(chromium, lab):
    """The learner's own copies: no outputs yet, lines to write, a stop, a task, a check."""
    work, address = lab
    lesson, exercise = "03_denoising.ipynb", "exercises/03_denoising/03_denoising.ipynb"
    my_course.hand_out(work / "my-course")
    page = chromium.new_page(viewport=WINDOW)
    try:
        page.goto(f"{address}/lab/tree/my-course/notebooks/{lesson}?reset&token=course")
        page.locator("#jp-bottom-panel", has_text="| Idle").wait_for(timeout=HANGS)
        assert page.locator(".jp-OutputArea-output").count() == 0
        first = page.locator(".jp-CodeCell").first
        assert first.locator(".cm-content").count() == 0, "the cell for Colab is not folded"
        assert "Run this first" in first.inner_text()

        lines = cell_of(page, "def my_dropout")
        lines.scroll_into_view_if_needed()
        lines.locator(".cm-content").click()
        command(page, "notebook:run-all-above")
        command(page, "notebook:run-cell")
        assert said_under(page, lines, "not yet").startswith("not yet")
        source = nbformat.read(ROOT / "notebooks" / lesson, as_version=4)
        stub = next(c.source for c in source.cells if "fill-in" in c.metadata.get("tags", []))
        check = stub.partition("\n\n\n")[2]
        answer = answer_in(ROOT / "notebooks" / lesson, "my_dropout", "```python")
        write_into(page, lines, f"{answer}\n\n{check}")
        command(page, "notebook:run-cell")
        assert said_under(page, lines, "right") == "right"

        page.locator("a", has_text="task 1 of the exercise").click()
        heading = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) h1", has_text="Exercise 3")
        heading.wait_for(timeout=HANGS)
        page.locator("#jp-bottom-panel", has_text="| Idle").wait_for(timeout=HANGS)
        task, check = cell_of(page, "def corrupt("), cell_of(page, 'check("corrupt"')
        solution = ROOT / "solutions/03_denoising" / lesson
        write_into(page, task, answer_in(solution, "corrupt", "BEGIN SOLUTION"))
        check.locator(".cm-content").click()
        command(page, "notebook:run-all-above")
        command(page, "notebook:run-cell")
        assert "✓" in said_under(page, check, "✓", "✗")
        save(page)
    except Exception:
        SHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SHOTS / "FAILED-a-learner.png")
        raise
    finally:
        page.close()
        end_kernels(address)
    mine = (work / "my-course" / exercise).read_bytes()
    assert my_course.hand_out(work / "my-course") == ""
    assert (work / "my-course" / exercise).read_bytes() == mine, "the learner's work is gone"
