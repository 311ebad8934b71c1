"""Sweeps: every run once, whatever is killed, widened, changed or broken.

In one process, in several, and on a cluster.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from course_utils import sweeps
from course_utils.corruption import Dropout, Masking
from course_utils.models import dense_autoencoder
from course_utils.sweeps import latent_sweep, summary

ERRORS = ["validation_error", "test_error", "clean_error", "train_error"]


def pictures(n, seed):
    """Images with something to learn in them: mixtures of four fixed patterns."""
    patterns = torch.rand((4, 1, 28, 28), generator=torch.Generator().manual_seed(0))
    weights = torch.rand((n, 4), generator=torch.Generator().manual_seed(seed))
    return torch.einsum("np,pchw->nchw", weights / weights.sum(1, keepdim=True), patterns)


DATA = {"patterns": (pictures(600, 1), pictures(200, 2), pictures(200, 3))}


@pytest.fixture
def trained(monkeypatch):
    """The (latent dimension, seed) of every model that was really trained in this process."""
    seen, real = [], sweeps._train

    def counted(block, *others):
        seen.extend((run["latent_dim"], run["seed"]) for run, _ in block)
        return real(block, *others)

    monkeypatch.setattr(sweeps, "_train", counted)
    return seen


def test_one_row_for_each_run():
    table = latent_sweep(dense_autoencoder, [8, 2], [1, 0], DATA, epochs=2)
    assert table[["dataset", "latent_dim", "seed"]].values.tolist() == [
        ["patterns", d, s] for d in (2, 8) for s in (0, 1)
    ]
    assert (
        (table["error"] == "").all()
        and (table["train_images"] == 600).all()
        and table[ERRORS].notna().all().all()
    )
    assert (table["train_error"] - table["validation_error"]).abs().between(1e-6, 0.02).all()
    assert table["psnr"].between(3, 40).all() and table["dead_units"].between(0, 8).all()
    assert (table["test_error"] - table["clean_error"]).abs().max() > 1e-4, (
        "corruption on and off give two numbers"
    )


def test_a_table_does_not_depend_on_what_ran_before():
    first = latent_sweep(dense_autoencoder, [4], [0], DATA, epochs=1)
    torch.rand(17)
    again = latent_sweep(dense_autoencoder, [2, 4], [0, 1], DATA, epochs=1)
    both = first.merge(again, on=["latent_dim", "seed"])
    assert (both["test_error_x"] == both["test_error_y"]).all() and len(both) == 1


def test_side_by_side_gives_the_numbers_of_single_runs():
    alone = latent_sweep(dense_autoencoder, [2, 4, 8], [0, 1], DATA, epochs=2)
    together = latent_sweep(dense_autoencoder, [2, 4, 8], [0, 1], DATA, epochs=2, together=4)
    assert together["together"].tolist() == [2, 2, 2, 2, 1, 1]
    pd.testing.assert_frame_equal(alone[ERRORS], together[ERRORS], rtol=1e-5)


def test_an_interrupted_sweep_goes_on_and_a_wider_one_adds(tmp_path, trained, monkeypatch):
    real = sweeps.fit
    monkeypatch.setattr(
        sweeps,
        "fit",
        lambda *a, **k: (
            real(*a, **k) if len(trained) < 3 else (_ for _ in ()).throw(KeyboardInterrupt)
        ),
    )
    with pytest.raises(KeyboardInterrupt):
        latent_sweep(dense_autoencoder, [2, 4], [0, 1], DATA, epochs=1, store=tmp_path)
    assert len(list(tmp_path.glob("*.json"))) == 2 and trained == [(4, 0), (2, 0), (4, 1)]
    monkeypatch.setattr(sweeps, "fit", real)
    trained.clear()
    whole = latent_sweep(dense_autoencoder, [2, 4], [0, 1], DATA, epochs=1, store=tmp_path)
    assert trained == [(4, 1), (2, 1)] and len(whole) == 4
    trained.clear()
    wider = latent_sweep(dense_autoencoder, [2, 4, 6], [0, 1, 2], DATA, epochs=1, store=tmp_path)
    assert sorted(trained) == [(2, 2), (4, 2), (6, 0), (6, 1), (6, 2)] and len(wider) == 9
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".json"], (
        "nothing but results is left behind"
    )


def test_ctrl_c_in_the_middle_of_a_run_keeps_no_half_result(tmp_path):
    calls = []

    def interrupted(images):
        calls.append(len(images))
        if len(calls) == 8:
            raise KeyboardInterrupt
        return Dropout(0.5)(images)

    with pytest.raises(KeyboardInterrupt):
        latent_sweep(
            dense_autoencoder, [2], [0], DATA, epochs=50, corruptor=interrupted, store=tmp_path
        )
    assert len(calls) == 8 and not list(tmp_path.iterdir())


def cured(latent_dim):
    return dense_autoencoder(latent_dim, nn.LeakyReLU())


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 2},
        {"lr": 2e-3},
        {"batch_size": 64},
        {"corruptor": Masking(0.5)},
        {"corruptor": Dropout(0.4)},
        {"build": cured},
        {"datasets": {"patterns": (DATA["patterns"][0] * 0.99, *DATA["patterns"][1:])}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_setting_never_finds_an_old_result(tmp_path, trained, change):
    settings = {
        "build": dense_autoencoder,
        "dims": [2],
        "seeds": [0],
        "datasets": DATA,
        "epochs": 1,
        "store": tmp_path,
    }
    latent_sweep(**settings)
    latent_sweep(**settings)
    assert trained == [(2, 0)]
    latent_sweep(**(settings | change))
    assert trained == [(2, 0), (2, 0)]


def cells(helper="x * 0.5"):
    """Builder and corruptor of a notebook, each with a helper in another cell."""
    names = {"__name__": "__main__", "dense_autoencoder": dense_autoencoder}
    text = f"""
def half(x):
    return {helper}
corrupt = lambda x: half(x)
def build(latent_dim):
    return wide(latent_dim)
wide = lambda latent_dim: dense_autoencoder(latent_dim)
"""
    exec(text, names)
    return {"build": names["build"], "corruptor": names["corrupt"]}


def test_a_repaired_helper_never_finds_an_old_result(tmp_path, trained, capsys):
    how = {"dims": [2], "seeds": [0], "datasets": DATA, "epochs": 1, "store": tmp_path}
    first = latent_sweep(**cells(), **how)
    again = latent_sweep(**cells(), **how)
    assert trained == [(2, 0)] and first.equals(again)
    assert capsys.readouterr().out == f"{tmp_path}: 1 of 1 runs loaded, nothing trained.\n"
    repaired = latent_sweep(**cells("x * 0.25"), **how)
    assert trained == [(2, 0), (2, 0)] and capsys.readouterr().out == ""
    assert repaired["test_error"][0] != first["test_error"][0]


@pytest.mark.parametrize("damaged", [b"", b'{"latent_dim": 2, "se', b"[]", b"\xff"])
def test_a_damaged_row_is_set_aside_and_computed_again(tmp_path, trained, damaged):
    how = {"dims": [2, 4], "seeds": [0], "datasets": DATA, "epochs": 1, "store": tmp_path}
    first = latent_sweep(dense_autoencoder, **how)
    file = next(tmp_path.glob("patterns_2_*.json"))
    file.write_bytes(damaged)
    with pytest.warns(UserWarning, match="is damaged; it is kept as .*damaged, and computed again"):
        again = latent_sweep(dense_autoencoder, **how)
    assert trained == [(4, 0), (2, 0), (2, 0)]
    pd.testing.assert_frame_equal(first[ERRORS], again[ERRORS])
    assert file.with_suffix(".damaged").read_bytes() == damaged


def test_a_full_disk_ends_no_sweep(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(UserWarning, match="could not be written .*No space left"):
        table = latent_sweep(dense_autoencoder, [2, 4], [0], DATA, epochs=1, store=tmp_path)
    assert (table["error"] == "").all() and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("store", "n_jobs"), [("/proc/nowhere", 1), ("/proc/self", 2), (__file__, 1)]
)
def test_a_store_that_cannot_be_used_ends_no_sweep(store, n_jobs):
    with pytest.warns(UserWarning, match="cannot be used .* goes on without it"):
        table = latent_sweep(
            dense_autoencoder, 2, [0, 1], DATA, epochs=1, store=store, n_jobs=n_jobs
        )
    assert table["error"].tolist() == ["", ""]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"datasets": {"a": DATA["patterns"][:2]}}, r"a: expected \(train, validation, test\)"),
        ({"datasets": {"a": (np.zeros((9, 1, 28, 28)),) * 3}}, "a: .* got a ndarray"),
        ({"datasets": DATA["patterns"][0]}, "datasets must be names .* got a Tensor"),
        ({"build": dense_autoencoder(2)}, "build must be a function .* got a Sequential"),
        ({"corruptor": "dropout"}, "corruptor must be a function .* got 'dropout'"),
        ({"together": "all"}, "together must be an integer, 0 or more, got 'all'"),
    ],
)
def test_mistakes_are_said_before_the_first_run(wrong, words):
    how = {"build": dense_autoencoder, "dims": [2], "seeds": [0], "datasets": DATA, "epochs": 1}
    with pytest.raises(ValueError, match=words):
        latent_sweep(**how | wrong)


def test_numpy_numbers_are_numbers(tmp_path):
    numbers = {"epochs": np.int64(1), "batch_size": np.int32(128), "lr": np.float32(0.001)}
    table = latent_sweep(
        dense_autoencoder, np.array([2, 4]), np.arange(1), DATA, store=tmp_path, **numbers
    )
    assert (table["error"] == "").all() and len(list(tmp_path.glob("*.json"))) == 2
    for wrong in ({"dims": [2.5]}, {"seeds": [-1]}, {"epochs": "3"}, {"lr": "1e-3"}):
        settings = {"dims": [2], "seeds": [0], "epochs": 1} | wrong
        with pytest.raises(ValueError, match="must be .* got"):
            latent_sweep(dense_autoencoder, datasets=DATA, **settings)


KILLED = """
import os, sys, time, torch
from course_utils.models import dense_autoencoder
from course_utils.sweeps import latent_sweep

def slow(images):
    os.write(1, f"worker {os.getpid()}\\n".encode())  # whole: print's parts may mix with another's
    time.sleep(600)

if __name__ == "__main__":
    images = torch.rand(20, 1, 28, 28)
    data = {"a": (images, images, images)}
    latent_sweep(
        dense_autoencoder, [2, 3], [0], data, corruptor=slow, store=sys.argv[1], n_jobs=2
    )
"""


@pytest.mark.skipif(not os.path.exists("/proc"), reason="workers know their parent by its number")
def test_a_killed_sweep_leaves_neither_workers_nor_images(tmp_path):
    (tmp_path / "killed.py").write_text(KILLED)
    store = tmp_path / "store"
    program = subprocess.Popen(
        [sys.executable, str(tmp_path / "killed.py"), str(store)], stdout=subprocess.PIPE, text=True
    )
    workers = {int(program.stdout.readline().split()[1]) for _ in range(2)}
    program.kill()
    program.wait()
    assert len(workers) == 2
    end = time.monotonic() + 600
    while any(is_alive(pid) for pid in workers):
        assert time.monotonic() < end, "workers outlive their parent"
        time.sleep(0.1)
    (left,) = store.glob("images-*")
    os.utime(left, (0, 0))
    latent_sweep(dense_autoencoder, [2], [0], DATA, epochs=1, store=store)
    assert [path.suffix for path in store.iterdir()] == [".json"]


def is_alive(pid):
    try:
        state = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_failed_run_is_a_row_and_the_others_go_on(tmp_path, trained):
    def fragile(latent_dim):
        if latent_dim == 4:
            raise MemoryError("too wide for me")
        model = dense_autoencoder(latent_dim)
        if latent_dim == 6:
            nn.init.constant_(model[1].linear.bias, float("nan"))
        return model

    table = latent_sweep(
        fragile, [2, 4, 6], [0], DATA, epochs=1, together=6, store=tmp_path
    ).set_index("latent_dim")
    assert (
        table.loc[4, "error"] == "MemoryError: too wide for me"
        and "FloatingPointError" in table.loc[6, "error"]
    )
    assert table.loc[2, "error"] == "" and table.loc[2, "test_error"] > 0
    assert [json.loads(path.read_text())["latent_dim"] for path in tmp_path.glob("*.json")] == [
        2
    ], "failures are tried again next time"
    assert summary(table.reset_index())["latent_dim"].tolist() == [2]


def test_corruption_that_is_switched_off_is_noticed():
    table = latent_sweep(dense_autoencoder, [2], [0], DATA, epochs=1, corruptor=nn.Dropout().eval())
    assert "eval mode" in table["error"][0]


@pytest.mark.parametrize(
    "nothing", [{"dims": []}, {"seeds": []}, {"datasets": {}}, {"epochs": 0}], ids=str
)
def test_a_sweep_over_nothing_is_refused(nothing):
    with pytest.raises(ValueError):
        latent_sweep(
            **({"build": dense_autoencoder, "dims": [2], "seeds": [0], "datasets": DATA} | nothing)
        )


def test_two_processes_give_the_numbers_of_one(tmp_path):
    one = latent_sweep(dense_autoencoder, [2, 4], [0, 1], DATA, epochs=1)
    two = latent_sweep(dense_autoencoder, [2, 4], [0, 1], DATA, epochs=1, n_jobs=2, store=tmp_path)
    pd.testing.assert_frame_equal(one[ERRORS], two[ERRORS], rtol=1e-4)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_cluster_that_loses_a_worker_finishes_each_run_once(tmp_path):
    distributed = pytest.importorskip("distributed")
    dims, seeds, at_kill = [2, 3, 4, 5, 6, 7, 8, 9], [0, 1, 2], []
    store, killed = tmp_path / "store", tmp_path / "killed"

    def build(latent_dim):
        """From a third of the runs on, nothing goes on before a worker was killed."""
        while len(list(store.glob("*.json"))) >= 8 and not killed.exists():
            time.sleep(0.01)
        return dense_autoencoder(latent_dim)

    with (
        distributed.LocalCluster(
            n_workers=3, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):

        def kill_a_busy_worker():
            try:
                while len(done := list(store.glob("*.json"))) < 8:
                    time.sleep(0.01)
                while not (busy := [name for name, tasks in client.processing().items() if tasks]):
                    time.sleep(0.01)
                pid = client.run(os.getpid, workers=busy[:1])[busy[0]]
                os.kill(pid, signal.SIGKILL)
                at_kill.extend([pid, len(done)])
            finally:
                killed.touch()

        killer = threading.Thread(target=kill_a_busy_worker, daemon=True)
        killer.start()
        with joblib.parallel_config("dask"):
            table = latent_sweep(build, dims, seeds, DATA, epochs=1, store=store)
        killer.join()
        pids = set(client.run(os.getpid).values())
    assert at_kill and at_kill[0] not in pids and at_kill[1] < len(table), (
        "a worker died while runs were still to come"
    )
    assert (
        table[["latent_dim", "seed"]].values.tolist() == [[d, s] for d in dims for s in seeds]
        and (table["error"] == "").all()
    )
    assert len(list(store.glob("*.json"))) == len(table)
    expected = latent_sweep(dense_autoencoder, dims[:2], seeds, DATA, epochs=1)
    pd.testing.assert_frame_equal(
        table[table["latent_dim"] <= 3][ERRORS].reset_index(drop=True), expected[ERRORS], rtol=1e-4
    )


def test_summary_is_mean_and_standard_error():
    table = pd.DataFrame(
        {
            "dataset": "a",
            "latent_dim": [8, 8, 8, 16],
            "validation_error": [1.0, 2.0, 3.0, 5.0],
            "error": ["", "", None, "broken"],
        }
    )
    row = summary(table).iloc[0]
    assert (
        len(summary(table)) == 1
        and row["mean"] == 2
        and row["deviation"] == pytest.approx(1)
        and row["runs"] == 3
    )
    assert row["standard_error"] == pytest.approx(3**-0.5)


def test_no_seed_wakes_dead_units_by_the_noise_of_its_own_weights():
    """Seed 0 drew weights and masks from the same numbers: each dead unit fired for one image."""

    def dying(latent_dim):
        model = dense_autoencoder(latent_dim)
        nn.init.constant_(model[0].linear.bias, -6.0)  # ten deviations of what goes in
        return model

    splits = {"white": [torch.ones(64, 1, 28, 28)] * 3}
    table = latent_sweep(dying, [16], [0, 1], splits, epochs=1, lr=1e-9)
    assert table["dead_units"].tolist() == [16, 16]


def test_the_shipped_sweep_has_two_budgets():
    short, long = sweeps.shipped("MNIST", epochs=12), sweeps.shipped("MNIST")
    assert set(short["epochs"]) == {12} and set(long["epochs"]) == {36}
    runs = ["latent_dim", "seed"]
    assert short[runs].equals(long[runs])
    with pytest.raises(ValueError, match=r"budgets of \[12, 36\] epochs, not 13"):
        sweeps.shipped("MNIST", epochs=13)
