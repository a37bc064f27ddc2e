"""torchrun that ends with the process that started it.

python agent.py --standalone --nproc-per-node=8 launcher.py job.json
"""

import ctypes
import runpy
import signal

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
    runpy.run_module("torch.distributed.run", run_name="__main__", alter_sys=True)
