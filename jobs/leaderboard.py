"""Print the leaderboard of a result folder into the job's log, from where the results are.

    ray job submit --address http://HEAD:8265 --working-dir jobs -- \
        python leaderboard.py s3://BUCKET/study --format markdown

For a folder that only the cluster's nodes may read. Takes what `raybench leaderboard` takes, and exits as it does.
"""

from __future__ import annotations

import sys

from raybench.cli import main

if __name__ == "__main__":
    sys.argv = ["raybench", "leaderboard", *sys.argv[1:]]
    main()
