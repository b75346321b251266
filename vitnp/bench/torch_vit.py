"""The same network and the same step in PyTorch, as one writes it there."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from vitnp import params, vit
from vitnp.bench import cases, timing
from vitnp.errors import Error


class Block(nn.Module):
    """An encoder block with PyTorch's own attention kernel."""

    def __init__(self, config):
        super().__init__()
        D = config.width
        self.heads = config.heads
        self.norm1 = nn.LayerNorm(D, eps=config.eps)
        self.qkv = nn.Linear(D, 3 * D)
        self.out = nn.Linear(D, D)
        self.norm2 = nn.LayerNorm(D, eps=config.eps)
        self.mlp = nn.Sequential(nn.Linear(D, config.mlp_width), nn.GELU(approximate="tanh"),
                                 nn.Linear(config.mlp_width, D))

    def forward(self, x):
        """Return the new tokens (B, T, D)."""
        B, T, D = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(B, T, 3, self.heads, D // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)                                    # (B, H, T, Dh)
        mixed = functional.scaled_dot_product_attention(q, k, v)
        x = x + self.out(mixed.transpose(1, 2).reshape(B, T, D))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    """A plain Vision Transformer with a class token."""

    def __init__(self, config):
        super().__init__()
        D = config.width
        self.patches = nn.Conv2d(config.channels, D, config.patch_size, config.patch_size)
        self.class_token = nn.Parameter(torch.zeros(1, 1, D))
        self.position = nn.Parameter(torch.zeros(1, config.tokens, D))
        self.blocks = nn.Sequential(*(Block(config) for _ in range(config.depth)))
        self.norm = nn.LayerNorm(D, eps=config.eps)
        self.head = nn.Linear(D, config.classes)

    def forward(self, images):
        """Return the logits (B, K) of images (B, C, height, width)."""
        x = self.patches(images).flatten(2).transpose(1, 2)                     # (B, N, D)
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], dim=1) + self.position
        return self.head(self.norm(self.blocks(x)[:, 0]))


def state_dict(config, tree):
    """Return the weights of vit.shapes' tree under the names and in the shapes of ViT."""
    P, C, D = config.patch_size, config.channels, config.width
    embedding = tree["embedding"]
    projection = embedding["projection"]["weight"].reshape(P, P, C, D).transpose(3, 2, 0, 1)
    tensors = {"patches.weight": projection, "patches.bias": embedding["projection"]["bias"],
               "class_token": embedding["class_token"].reshape(1, 1, D),
               "position": embedding["position"][None]}
    tensors |= norm("norm", tree["norm"]) | linear("head", tree["head"])
    for i, block in enumerate(tree["blocks"]):
        attention, mlp = block["attention"], block["mlp"]
        parts = (norm("norm1", block["norm1"]) | norm("norm2", block["norm2"])
                 | linear("qkv", attention["qkv"]) | linear("out", attention["out"])
                 | linear("mlp.0", mlp["in"]) | linear("mlp.2", mlp["out"]))
        tensors |= {f"blocks.{i}.{name}": array for name, array in parts.items()}
    return {name: torch.tensor(np.ascontiguousarray(array)) for name, array in tensors.items()}


def linear(name, p):
    """Return a linear layer's tensors; PyTorch keeps the weight as (out, in)."""
    return {f"{name}.weight": p["weight"].T, f"{name}.bias": p["bias"]}


def norm(name, p):
    """Return a LayerNorm's tensors under PyTorch's names."""
    return {f"{name}.weight": p["gamma"], f"{name}.bias": p["beta"]}


def prepare(config, images, labels, setting):
    """Return a function that takes one step and waits for it, its facts, and one for its memory."""
    on_gpu = setting.device == "gpu"
    if on_gpu and not torch.cuda.is_available():
        raise Error("this PyTorch finds no GPU; install one with CUDA, or use --device cpu")
    torch.set_num_threads(setting.threads)
    flat = vit.init(config, np.random.default_rng(0))
    model = ViT(config)
    model.load_state_dict(state_dict(config, params.views(flat, vit.shapes(config))))
    device = "cuda" if on_gpu else "cpu"
    if on_gpu:              # PyTorch's defaults are float32 for products, TF32 for convolutions
        torch.set_float32_matmul_precision("high" if setting.tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = setting.tf32
    model.to(device)
    images = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().to(device)
    labels = torch.from_numpy(labels).to(device)
    network = torch.compile(model) if setting.engine == "torch-compile" else model
    if setting.precision == "bfloat16":
        network = torch.autocast(device, torch.bfloat16)(network.__call__)
    wait = torch.cuda.synchronize if on_gpu else lambda: None
    step = (trainer if setting.mode == "train" else predictor)(model, network, images, labels, wait)
    if setting.engine == "torch-compile":
        check_compiler(step)
    facts = {"version": torch.__version__, "parameters": sum(p.numel() for p in model.parameters())}
    return step, facts, torch.cuda.max_memory_reserved if on_gpu else timing.peak_bytes


def predictor(model, network, images, labels, wait):
    """Return a function that predicts the images once."""
    model.eval()

    @torch.inference_mode()
    def step():
        network(images)
        wait()

    return step


def trainer(model, network, images, labels, wait):
    """Return a function that takes one step of training."""
    matrices = [p for p in model.parameters() if p.ndim in (2, 4)]
    others = [p for p in model.parameters() if p.ndim not in (2, 4)]
    optimiser = torch.optim.AdamW(
        [{"params": matrices}, {"params": others, "weight_decay": 0.0}], lr=cases.LEARNING_RATE,
        betas=(cases.BETA1, cases.BETA2), eps=cases.EPS, weight_decay=cases.WEIGHT_DECAY,
        fused=True)

    def step():
        optimiser.zero_grad()
        functional.cross_entropy(network(images), labels).backward()
        nn.utils.clip_grad_norm_(model.parameters(), cases.CLIP_NORM)
        optimiser.step()
        wait()

    return step


def check_compiler(step):
    """Take the first step, in which torch.compile works, and raise Error where it cannot."""
    try:
        step()
    except RuntimeError as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()),
                      type(error).__name__)
        raise Error(f"torch.compile does not work here ({reason}); install a C++ compiler "
                    "such as g++, or use --vs torch") from None
