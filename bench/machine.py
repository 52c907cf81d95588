"""Where and when a run happened."""

from __future__ import annotations

import os
import platform
import re
import time
from pathlib import Path
from typing import Any


def facts() -> dict[str, Any]:
    """Date, processor, cores, memory, kernel, Python."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "cpu": cpu.group(1).strip() if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(int(memory.group(1)) / 2**20) if memory else None,
        "kernel": platform.release().split("-")[0],
        "python": platform.python_version(),
    }
