"""How many programs a step starts on a GPU, counted by PyTorch's profiler."""

import importlib.util


def of_step(step):
    """Return how many kernels and copies a step starts on the GPU; None without a GPU's PyTorch.

    The profiler sees all that this process does on the GPU, CuPy's kernels too.
    """
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    activity = torch.profiler.ProfilerActivity.CUDA
    if activity not in torch.profiler.supported_activities():
        return None
    with torch.profiler.profile(activities=[activity]) as seen:
        step()
    on_gpu = torch.autograd.DeviceType.CUDA
    return sum(event.device_type == on_gpu for event in seen.events())
