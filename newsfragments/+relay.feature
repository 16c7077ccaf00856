Joined connections (upgrades) move bulk data by splice(2) through a pipe where both ends are plain TCP on Linux, on CPython and PyPy: a gigabyte costs about two thirds of the processor time.
