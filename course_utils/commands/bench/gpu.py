"""Training on a CUDA device: examples per second and peak memory."""

from dataclasses import replace

from course_utils.commands.bench import cases
from course_utils.commands.bench.rounds import NotRun, at_least, interleave, measured


def gpu(sizes, manifest, tell):
    """LeNet, and ResNet-18 at the published size, with the data resident on the device."""
    import torch

    if not torch.cuda.is_available():
        raise NotRun("none here")
    resnet = cases.published_case(manifest, "resnet", 256)
    goals = (
        (cases.lenet_case(manifest), 60000, 1_000_000),
        (replace(resnet, computing={"amp": True}), 15360, 8 * 4700),  # published: 4,700 per second
    )
    results = []
    for case, examples, bound in goals:
        train_iter, _ = case.loaders(case.whole_batches(examples), device="cuda")
        torch.cuda.reset_peak_memory_stats()

        def epoch(number, case=case, train_iter=train_iter):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            case.train(train_iter, seed=number, device="cuda")
            end.record()
            torch.cuda.synchronize()
            return 1e3 * train_iter.num_examples / start.elapsed_time(end)

        found = interleave({"course": epoch}, sizes.rounds, tell, warm_up=True)
        results.append(
            measured(
                f"{torch.cuda.get_device_name()}: {case.title}, {case.image_size or 28} px, "
                f"batch {case.batch_size}, {examples:,} examples",
                "examples/s",
                found,
                goal=at_least(bound, of="course"),
                peak_memory_mb=torch.cuda.max_memory_allocated() / 1e6,
            )
        )
    return results
