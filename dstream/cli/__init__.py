"""The command line. As process 1 of a container, it can be stopped from its start."""

import os
import signal

if os.getpid() == 1:
    # Before the other imports: the kernel drops signals to process 1 that have no handler (pid_namespaces(7)).
    signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))
