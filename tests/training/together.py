"""What test_processes.py lets several processes do: `torchrun tests/training/together.py FOLDER`.

Each process writes what it saw to FOLDER/<size>-<rank>.json, and its weights beside it.
"""

import contextlib
import json
import sys
from pathlib import Path

import torch
from torch import nn

from course_utils.data import TensorLoader
from course_utils.errors import TrainingError
from course_utils.nets import build
from course_utils.training import evaluate_accuracy_gpu, processes, train_ch6


def pictures(count, batch_size, shuffle=True):
    """A loader of noise; the classes depend on the pictures, so that something can be learned."""
    generator = torch.Generator().manual_seed(count)
    images = torch.randint(256, (count, 28, 28), generator=generator, dtype=torch.uint8)
    images[:, :14] //= 1 + torch.arange(count).remainder(10)[:, None, None].to(torch.uint8)
    return TensorLoader(
        images, torch.arange(count) % 10, batch_size, shuffle=shuffle, seed=7, source="noise"
    )


def numbers(count, batch_size):
    """A loader whose labels are the numbers of the examples."""
    images = torch.zeros(count, 2, 2, dtype=torch.uint8)
    return TensorLoader(images, torch.arange(count), batch_size, shuffle=True, seed=3)


def trained(**options):
    torch.manual_seed(1)
    net = build("lenet", activation=nn.ReLU)
    train, test = pictures(330, 64), pictures(107, 25, shuffle=False)  # last batches of 10 and 7
    history = train_ch6(
        net, train, test, 2, 0.02, "cpu", init="kaiming", seed=1, progress="none", **options
    )
    return net, history, test


def main(folder):
    rank, size = processes.world()
    processes.join()
    seen = {"rank": rank, "size": size, "writer": processes.is_writer()}
    seen["total"] = processes.total(torch.tensor([1.0, rank])).tolist()
    seen["same"] = processes.same_everywhere({"rank": rank})

    loader = numbers(106, 20)
    with processes.shared(loader):
        seen["epochs"] = [[y.tolist() for _, y in loader] for _ in range(2)]
    seen["afterwards"] = [len(y) for _, y in loader]

    net, history, test = trained()
    seen["loss"], seen["step_loss"] = history.loss, history.step_loss
    seen["examples"], seen["test_acc"] = history.examples, history.test_acc
    seen["dice"] = torch.rand(4).tolist()
    with processes.shared(test):
        seen["shared_acc"] = evaluate_accuracy_gpu(net, test)
    seen["whole_acc"] = evaluate_accuracy_gpu(net, test)
    torch.save(net.state_dict(), folder / f"{size}-{rank}.pt")

    in_parts, history, _ = trained(accumulate=3, verbose=False)
    seen["parts_loss"] = history.loss
    torch.save(in_parts.state_dict(), folder / f"{size}-{rank}-parts.pt")

    seen["refused"] = []
    for wrong in (numbers(5, 4), [(torch.zeros(4, 1, 28, 28), torch.zeros(4).long())]):
        with contextlib.suppress(TrainingError), processes.shared(wrong):
            seen["refused"].append(type(wrong).__name__)
    (folder / f"{size}-{rank}.json").write_text(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
