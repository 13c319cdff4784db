"""Judge what a result folder holds, on the cluster that this job is on; never regenerates an answer.

    ray job submit --address http://HEAD:8265 --working-dir jobs -- \
        python judge.py s3://BUCKET/study --judge llama-3-8b --set judges.0.gpus=1

Takes what `raybench judge` takes, and exits as it does.
"""

from __future__ import annotations

import sys

from raybench.cli import main

if __name__ == "__main__":
    sys.argv = ["raybench", "judge", *sys.argv[1:], "--address", "auto"]
    main()
