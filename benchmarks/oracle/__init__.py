"""The oracle: a real bash and a real vim in a pseudo-terminal, read cell for cell.

benchmarks.oracle.machine        the pseudo-terminal: keys in, screens out, never a sleep
benchmarks.oracle.decode         terminal output -> rows, style runs, cursor
benchmarks.oracle.compare        a film against the oracle, first mismatch drawn side by side
benchmarks.oracle.fuzz           random buffers and keys, looking for a frame the model draws wrong
benchmarks.oracle.repositories   random repositories, looking for a commit that is played wrong
benchmarks.oracle.widths         regenerates schema/widths.tsv from the installed vim
"""

from benchmarks.report import need

need("test", "ptyprocess", "pyte")
