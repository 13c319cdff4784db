"""Run one suite inside a cluster: the entrypoint of `ray job submit` for those who write it themselves.

    ray job submit --address http://HEAD:8265 --working-dir jobs -- \
        python run.py quickstart.yaml -o s3://BUCKET/quickstart

Takes what `raybench run` takes and joins the cluster that the job is on. `raybench submit` does the same and checks,
before anything starts, what the cluster's nodes could not read. Exits as `raybench run` does: 0 done, 1 incomplete,
2 bad input.
"""

from __future__ import annotations

import sys

from raybench.cli import main

if __name__ == "__main__":
    sys.argv = ["raybench", "run", *sys.argv[1:], "--address", "auto"]
    main()
