"""Every chapter on a GPU, in a fast run: on a pretended one everywhere, and on a real one.

The pretended GPU finds tensors that are on another device than those that they meet; times,
graphs and kernels only a real one has.
"""

from pathlib import Path

import nbformat
import pytest
import torch
from kernels import every_chapter, execute

PRETEND = f"""import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import pretend_gpu
pretend_gpu.install()
import torch
assert torch.ones(1, device="cuda").is_cuda"""

real = pytest.mark.skipif(not torch.cuda.is_available(), reason="NOT RUN: needs a CUDA GPU")


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize("gpu", ["pretended", pytest.param("real", marks=real)])
@every_chapter
def test_chapter_runs(chapter, gpu, monkeypatch):
    notebook = nbformat.read(chapter, as_version=4)
    if gpu == "pretended":
        notebook.cells.insert(0, nbformat.v4.new_code_cell(PRETEND))
    execute(notebook, monkeypatch)


def test_devices_do_not_mix_on_the_pretended_gpu():
    """A pretended GPU on which everything passes would be worth nothing."""
    import pretend_gpu

    X = torch.ones(2, 3)
    with pretend_gpu.PretendGpu():
        there = X.to("cuda")
        assert there.device.type == (there + there).device.type == "cuda"
        assert there.cpu().device.type == torch.ones(1, device="cpu").device.type == "cpu"
        with pytest.raises(RuntimeError, match="same device"):
            X @ there.T
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
