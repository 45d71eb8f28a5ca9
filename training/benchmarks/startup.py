"""How long a user waits: `newsframe --help`, and the first label. One command, one table.

    python -m training.benchmarks.startup [--runs 7]

Each figure is a whole process, run several times; beside it stands `python -c pass` of the same machine in the same
run, since a number of seconds says little on a shared machine.
"""

import argparse
import statistics
import subprocess
import sys
import time

SENTENCE = "The ministers of both countries met in Moscow on Wednesday, the agency said."
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "newsframe --help": [sys.executable, "-m", "serving.cli", "--help"],
    "first label": [sys.executable, "-m", "serving.cli", "classify", "--json", SENTENCE],
}


def seconds(command: list[str]) -> float:
    """Time one run of a command as a whole process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Print minimum, median and maximum of each command, and its median as a multiple of a bare interpreter's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    print(f"{'command':18} {'min s':>7} {'median s':>9} {'max s':>7} {'ratio':>7}")
    bare = 0.0
    for name, command in COMMANDS.items():
        seconds(command)  # the first run fills the page cache
        times = [seconds(command) for _ in range(runs)]
        median = statistics.median(times)
        bare = bare or median
        print(f"{name:18} {min(times):7.3f} {median:9.3f} {max(times):7.3f} {median / bare:7.1f}")


if __name__ == "__main__":
    main()
