"""The machine that a measurement was made on: its cores and its instruction sets, and nothing else."""

from pathlib import Path

from model.cores import cores

# What int8 and bfloat16 matrix products run on, as Linux names it.
_TELLING = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_bf16",
    "asimddp",
    "i8mm",
    "sve",
)


def machine() -> str:
    """Name the machine."""
    flags: set[str] = set()
    info = Path("/proc/cpuinfo")
    for line in info.read_text(encoding="utf-8").splitlines() if info.is_file() else ():
        name, _, value = line.partition(":")
        if name.strip().lower() in ("flags", "features"):
            flags |= set(value.split())
    found = [name for name in _TELLING if name in flags]
    return f"{cores()} cores, {', '.join(found) or 'instruction sets unknown'}"
