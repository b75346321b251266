"""Plant the mistakes of gpu_mistakes.txt and print which test sees each; CuPy must be installed."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import mutations


def main(words):
    """Try all mistakes, or those whose title or file holds one of the words, one after another."""
    found = []
    for mistake in mutations.read_mistakes(HERE / "gpu_mistakes.txt"):
        if words and not any(word in f"{mistake.file} {mistake.wrong}" for word in words):
            continue
        found.append(mutations.try_mistake(
            mistake, (HERE, "pytest"), [HERE.parent / "kernels", HERE, "-m", "slow or not slow",
                                        "-k", "not test_gradient_check or textbook"]))
        print(f"{found[-1].seconds:.0f} s  {mistake.wrong}: {found[-1].killed_by or 'SURVIVED'}",
              flush=True)
    return mutations.report(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
