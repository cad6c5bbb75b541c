"""The paper's figures, each from its committed rows.

Rows are exact to the last bit, so all processors must add up in one order: AVX2's. Left to itself, one with AVX-512
gives other rows. Two AMD processors, with and without it, agree, and so do two of Intel's. Between AMD and Intel the
last bits differ, and a long training then ends elsewhere: `processor` in the rows says which it was. It holds where
torch is not loaded before this package; what the environment says already is left as it is.
"""

import os

SAME_ARITHMETIC = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}

for _name, _value in SAME_ARITHMETIC.items():
    os.environ.setdefault(_name, _value)
