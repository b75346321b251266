"""A measurement as text."""


def text(report):
    """Return the lines of a report of compare.measure."""
    ours, *theirs = report["results"]
    lines = [*fact_lines(report["facts"], ours), "", *result_lines(report["results"])]
    if "launches" in ours:
        counts = [f"{result['launches'] or 'not counted'} ({result['engine']})"
                  for result in report["results"]]
        lines += ["", f"kernels and copies that a step starts: {', '.join(counts)}"]
    for rival in theirs:
        low, high = report["ratio_range"]
        sentence = (f"{ours['engine']} takes {report['ratio']:.2f} times the images a second of "
                    f"{rival['engine']} (rounds: {low:.2f} to {high:.2f})")
        lines += ["", sentence]
    if "profile" in report:
        lines += ["", *profile_lines(report["profile"])]
    if "scaling" in report:
        lines += ["", *scaling_lines(report["scaling"])]
    return lines


def fact_lines(facts, ours):
    """Return what the figures depend on."""
    used = f"{facts['threads']} of {facts['cores']} cores used"
    rate = (f"{facts['sgemm_gflops']:,.1f} GFLOP/s by {facts['threads']} threads, "
            f"{facts['sgemm_one_thread_gflops']:,.1f} by one alone")
    factors = "bfloat16 factors, " * (ours["precision"] == "bfloat16")
    sizes = (f"{ours['parameters']:,} parameters, {ours['batch_size']} images a step, "
             f"{ours['micro_batch']} a micro-batch, {factors}{ours['ops']} layers")
    gpu = []
    if "gpu" in facts:
        gpu = [f"gpu        {facts['gpu']}, CuPy {facts['cupy']}"]
        rate = f"{facts['sgemm_gflops']:,.1f} GFLOP/s on the GPU{', in TF32' * ours['tf32']}"
    return [f"processor  {facts['cpu']}, {used}", *gpu,
            f"numpy      {facts['numpy']}, {facts['blas']}, Python {facts['python']}",
            f"sgemm      {rate}",
            f"case       {ours['case']}, {ours['mode']}: {sizes}",
            *(f"warning    {warning}" for warning in facts["warnings"])]


def result_lines(results):
    """Return a table with a line for each engine."""
    layout = "{:<24} {:>10} {:>21} {:>10} {:>8} {:>8} {:>8}".format
    lines = [layout("engine", "images/s", "quartiles", "ms a step", "GFLOP/s", "of sgemm",
                    "peak MB")]
    for result in results:
        low, high = result["quartiles"]
        lines.append(layout(
            f"{result['engine']} {result['version']}", f"{result['images_per_second']:,.1f}",
            f"{low:,.1f} - {high:,.1f}", f"{result['milliseconds']:,.2f}",
            f"{result['gflops']:,.1f}", f"{100 * result['sgemm_share']:.1f} %",
            f"{result['peak_memory_mb']:,.0f}"))
    return lines


def profile_lines(profile):
    """Return a table with a line for each part of the model."""
    layout = "{:<24} {:>10} {:>11} {:>10} {:>8}".format
    lines = [layout("part, in one lane", "forward ms", "backward ms", "both ms", "share")]
    for row in profile["parts"]:
        lines.append(layout(row["part"], f"{row['forward_ms']:,.3f}", f"{row['backward_ms']:,.3f}",
                            f"{row['milliseconds']:,.3f}", f"{100 * row['share']:.1f} %"))
    return [*lines, layout("a step", "", "", f"{profile['milliseconds']:,.3f}", "")]


def scaling_lines(rows):
    """Return a table with a line for each size."""
    layout = "{:<8} {:>8} {:>12} {:>23} {:>8}".format
    lines = [layout("varied", "value", "ms a step", "by proportional growth", "GFLOP/s")]
    for row in rows:
        lines.append(layout(row["varied"], f"{row['value']:,}", f"{row['milliseconds']:,.2f}",
                            f"{row['growth']:.2f}", f"{row['gflops']:,.1f}"))
    return lines
