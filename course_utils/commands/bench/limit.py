"""How near a training step comes to the machine's limit, its rate of multiplying matrices.

Counted are the floating-point operations of the products in a step, two per multiply-add: forward
once, backward twice (gradients of weights and of inputs), but for the first layer, whose input
needs no gradient. Normalisation, activations, pooling, the optimiser and the loader are not
counted, but their time is.
"""

from course_utils.commands.bench import cases
from course_utils.commands.bench.rounds import at_least, interleave, measured
from course_utils.commands.run.machine import matrix_rate


def limit(sizes, manifest, tell):
    """Each network's rate beside that of plain matrix products, in the same rounds."""
    results = []
    product = (sizes.product_seconds, sizes.product_size)
    chosen = [(cases.lenet_case(manifest), sizes.limit["lenet"], 0.25)]
    for topic in cases.TOPICS:
        chosen.append((cases.quick_case(manifest, topic), sizes.limit[topic], 0.9))
    for case, examples, share in chosen:
        train_iter, _ = case.loaders(case.whole_batches(examples), 1)
        rate = step_flops(case) / case.batch_size / 1e9

        precision = set()

        def step(number, case=case, train_iter=train_iter, rate=rate, precision=precision):
            history = case.train(train_iter, seed=number)
            precision.add(history.precision)
            return rate * history.examples_per_sec

        found = interleave(
            {
                "step": step,
                "fp32 product": lambda number: matrix_rate("float32", *product),
                "bf16 product": lambda number: matrix_rate("bfloat16", *product),
            },
            sizes.rounds,
            lambda text, case=case: tell(f"{case.title}: {text}"),
            warm_up=True,  # the first time sets up threads and buffers
        )
        results.append(
            measured(
                f"{case.title} ({case.preset}), {train_iter.num_examples:,} examples: "
                f"{rate * 1e3:.1f} MFLOP each",
                "GFLOP/s",
                found,
                ratio=("step", "fp32 product"),
                goal=at_least(share),
                source=train_iter.source,
                precision=sorted(precision),
            )
        )
    return results


def step_flops(case):
    """Floating-point operations of the products in one training step on a whole batch."""
    import torch
    from torch.nn import functional as F
    from torch.utils.flop_counter import FlopCounterMode

    side = case.image_size or 28
    counter = FlopCounterMode(display=False)
    with torch.device("meta"), counter:  # shapes without memory or arithmetic
        net = case.build().train()
        X = torch.empty(case.batch_size, 1, side, side)
        y = torch.empty(case.batch_size, dtype=torch.int64)
        F.cross_entropy(net(X), y).backward()
    return counter.get_total_flops()
